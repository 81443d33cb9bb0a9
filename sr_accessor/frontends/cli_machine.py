"""symreg doctor and models: what this machine has, and whether it works."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import time
import warnings
from typing import Any

import click

from sr_accessor.errors import SymRegError, SymRegWarning
from sr_accessor.frontends.exit_codes import NO_MODEL
from sr_accessor.version import __version__

__all__ = ["COMMANDS"]

#: Extras of this package for whoever uses it, and lmfit, which only an export needs -> distributions that they bring.
EXTRAS = {
    "sklearn": ("scikit-learn",),
    "plot": ("matplotlib",),
    "units": ("pint", "uncertainties"),
    "dask": ("dask", "distributed"),
    "onnx": ("onnx",),
    "lmfit": ("lmfit",),
    "parquet": ("pyarrow",),
}
REQUIRED = (
    *("torch", "pandas", "numpy", "scipy", "sympy", "xarray", "pluggy", "ipywidgets", "safetensors", "tqdm"),
    *("platformdirs", "click"),
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def doctor(as_json: bool) -> None:
    """Versions, device, weights, plugins, extras, and a small fit: send this along with a bug report."""
    found = _examined()
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for name, value in found.items():
            if isinstance(value, dict):
                click.echo(f"{name}:")
                for key, one in value.items():
                    click.echo(f"    {key}: {one}")
            else:
                click.echo(f"{name}: {value}")
    if found["weights"]["status"] != "ok":
        raise SystemExit(NO_MODEL)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _examined() -> dict[str, Any]:
    import torch

    from sr_accessor.plugins import table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SymRegWarning)  # the table tells the same
        plugins = table()
    cuda = torch.cuda.is_available()
    return {
        "sr_accessor": __version__,
        "python": f"{platform.python_version()} ({platform.platform()})",
        "packages": {name: _version(name) for name in REQUIRED},
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
        "weights": _weights("default"),
        "plugins": {
            row["name"]: row["status"] + (f": {row['error']}" if row["error"] else "")
            for row in plugins.to_dict("records")
        },
        "extras": {extra: ", ".join(f"{name} {_version(name)}" for name in names) for extra, names in EXTRAS.items()},
        "fit": _small_fit(),
    }


def _weights(name: str) -> dict[str, Any]:
    from sr_accessor.transformer.checkpoint import file_sha256, find, load

    try:
        path = find(name)
        checkpoint = load(path)
    except SymRegError as error:
        return {"status": str(error)}
    numbers = sum(p.numel() for p in checkpoint.model.parameters())
    return {"status": "ok", "path": str(path), "sha256": file_sha256(path), "parameters": numbers}


def _small_fit() -> str:
    """A law of one column, found without the network."""
    import numpy as np
    import pandas as pd

    from sr_accessor.frontends.functions import fit

    t = np.linspace(0.1, 4, 40)
    began = time.perf_counter()
    result = fit(pd.DataFrame({"t": t, "y": 3 * np.exp(-0.5 * t)}), "y", network=None, random_state=0, progress=False)
    ok = result.status == "converged" and result.front["r2"].max() > 1 - 1e-12
    return f"{'ok' if ok else 'WRONG'}: {result.best} in {time.perf_counter() - began:.2f} s"


@click.command()
@click.option("--verify", is_flag=True, help="Read each one whole and check its hash.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def models(verify: bool, as_json: bool) -> None:
    """Networks that --network NAME can use: bundled ones and your own."""
    from sr_accessor.files.values import plain
    from sr_accessor.transformer.store import list as listed

    rows = [{"name": name} | row for name, row in listed().to_dict("index").items()]
    for row in rows:
        if verify and row["status"] == "ok":
            row |= _weights(row["path"])
    if as_json:
        click.echo(json.dumps(plain(rows), indent=2, ensure_ascii=False))
    for row in [] if as_json else rows:
        click.echo(f"{row['name']}: {row['status']}")
        for column, value in row.items():
            if column not in ("name", "status"):
                click.echo(f"    {column}: {value}")
    if any(row["status"] != "ok" for row in rows):
        raise SystemExit(NO_MODEL)


COMMANDS = (doctor, models)
