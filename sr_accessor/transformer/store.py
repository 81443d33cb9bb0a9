"""Store, `sr.models`: the networks of this machine by name, bundled and the user's own; list, load and add them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import torch

from sr_accessor.errors import InputError, LoadError, ModelIntegrityError
from sr_accessor.transformer.checkpoint import (
    SUMS,
    Checkpoint,
    file_sha256,
    find,
    folders,
    read_header,
    read_sums,
)
from sr_accessor.transformer.checkpoint import load as load_checkpoint
from sr_accessor.writing import write_whole

__all__ = ["add", "list", "load"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def load(name: str | Path, *, device: torch.device | str = "cpu", sha256: str | None = None) -> Checkpoint:
    """A network and where it comes from; ``fit(..., network=name)`` takes the same names.

    Parameters
    ----------
    name : "default" and what `list` shows, or a path
    device : of its numbers
    sha256 : of the file, where you know it from elsewhere; the store's own is checked in any case

    Raises
    ------
    ModelNotFoundError : there is none; says where it was looked for. Nothing is fetched from anywhere.
    ModelIntegrityError : a damaged file; says the expected and the found SHA-256.
    LoadError : not a network of ours.
    """
    return load_checkpoint(name, device=device, sha256=sha256)


def add(path: str | Path, name: str | None = None) -> Path:
    """Copy a network into the user's folder, with its SHA-256, so that it has a name; one of that name is replaced.

    Parameters
    ----------
    path : a file that training wrote, or a name
    name : letters, digits, dots, dashes and underscores; None: as the file is called

    Raises
    ------
    InputError : a name that cannot be, or of a bundled network.
    ModelNotFoundError, ModelIntegrityError, LoadError : as `load`.
    """
    path = find(path)
    name = path.stem if name is None else name
    bundled, folder = folders()
    if _NAME.match(name) is None:
        raise InputError(f"{name!r} cannot be a network's name; use letters, digits, '.', '-' and '_'")
    if (bundled / f"{name}.safetensors").exists():
        raise InputError(f"{name!r} is a bundled network; choose another name")
    load_checkpoint(path)  # whole and ours, before it gets a name
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}.safetensors"
    write_whole(place, path.read_bytes())
    sums = read_sums(folder) | {place.name: file_sha256(place)}
    write_whole(folder / SUMS, "".join(f"{sums[file]}  {file}\n" for file in sorted(sums)).encode())
    return place


def list() -> pd.DataFrame:
    """One row per network, by name: where it is, what it writes, what it has learnt from, and whether it is sound.

    `examples` are functions seen in training; `status` is "ok", or what is wrong with the file. Headers are read and
    not the numbers, which `load` checks.
    """
    rows = {}
    for folder, origin in zip(folders(), ("bundled", "user"), strict=True):
        for path in sorted(folder.glob("*.safetensors")):
            rows.setdefault(path.stem, {"origin": origin, **_facts(path), "path": str(path)})
    columns = ["origin", "writes", "prior", "examples", "operators", "variables", "megabytes", "status", "path"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("name")


def _facts(path: Path) -> dict[str, object]:
    facts: dict[str, object] = {"megabytes": round(path.stat().st_size / 1e6, 2)}
    try:
        header, config = read_header(path)
    except (LoadError, ModelIntegrityError) as error:
        return facts | {"status": f"{type(error).__name__}: {error}"}
    told = header["provenance"]
    plan = told.get("plan")
    return facts | {
        "writes": "laws" if config.targets == "e2e" else "skeletons",
        "prior": plan.get("prior") if isinstance(plan, dict) else None,
        "examples": told.get("examples"),
        "operators": len(config.operators),
        "variables": config.variables,
        "status": "ok",
    }
