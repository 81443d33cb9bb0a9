"""Checkpoints: safetensors with configuration, operator names, provenance and SHA-256 in the header.

A file is read only after its header has been found sane: its length fits the file, its configuration is one
`TransformerConfig` accepts, every tensor has the name and shape that configuration asks for. Nothing in it is ever
executed. Operators are stored by name; `tokenizer.Tokenizer` maps them to the ids of the session's vocabulary.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sr_accessor.errors import LoadError, ModelIntegrityError, ModelNotFoundError, nearest
from sr_accessor.transformer.config import TransformerConfig
from sr_accessor.transformer.model import Transformer
from sr_accessor.writing import write_whole

__all__ = [
    "SUMS",
    "Checkpoint",
    "file_sha256",
    "find",
    "folders",
    "load",
    "merge",
    "read_header",
    "read_sums",
    "save",
    "shard",
]

FORMAT = 1
#: Header bytes we are willing to parse; a real one is about 20 kB.
_LARGEST_HEADER = 4 * 2**20
_KEY = "sr_accessor"
_WEIGHTS = Path(__file__).parent.parent / "weights"
#: Folder of the user's networks, NAME.safetensors each; without it, that of the operating system's custom.
ENVIRONMENT = "SR_ACCESSOR_MODELS"
#: File beside networks with a line for each, as `sha256sum` writes it and checks it.
SUMS = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)\Z")
_SHARD = re.compile(r"(.+)\.(\d{3})-of-(\d{3})\Z")


@dataclass(frozen=True)
class Checkpoint:
    """A network and where it comes from.

    Parameters
    ----------
    model : in evaluation mode
    provenance : what the trainer wrote: prior, examples, seconds, device ... (JSON values)
    sha256 : of the tensors' bytes, as the header says and as was checked
    """

    model: Transformer
    provenance: Mapping[str, Any]
    sha256: str


def save(
    model: Transformer,
    path: str | Path,
    *,
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> str:
    """Write a network; the file appears whole or not at all.

    Parameters
    ----------
    path : of the file; its folder must exist
    provenance : JSON values, stored as they are
    dtype : of the stored numbers; torch.float16 halves the file and is what is bundled

    Returns
    -------
    str : SHA-256 of the whole file, for `load(..., sha256=...)`
    """
    from safetensors.torch import save as serialise

    tensors = {name: t.detach().to("cpu", dtype).contiguous() for name, t in model.state_dict().items()}
    header = {
        "format": FORMAT,
        "config": model.config.to_dict(),
        "provenance": dict(provenance or {}),
        "sha256": hashlib.sha256(_data(serialise(tensors))).hexdigest(),
    }
    content = serialise(tensors, metadata={_KEY: json.dumps(header)})
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def load(
    name: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    sha256: str | None = None,
) -> Checkpoint:
    """Read a network.

    Parameters
    ----------
    name : of a bundled network ("default" ...), of one in the user's folder (`folders`), or a path
    device, dtype : of the network in memory, whatever the file has
    sha256 : of the whole file, as `save` returned it; None: as the SHA256SUMS beside it says, if there is one. The
        tensors' own hash is checked in any case.

    Raises
    ------
    ModelNotFoundError : there is none; says where it was looked for.
    ModelIntegrityError : truncated, or a hash does not agree.
    LoadError : not a network of ours, or of a version or shape this package does not read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as deserialise

    path = find(name)
    header, config = read_header(path)
    content = path.read_bytes()
    expected = sha256 or read_sums(path.parent).get(path.name)
    if expected is not None and hashlib.sha256(content).hexdigest() != expected.lower():
        found = hashlib.sha256(content).hexdigest()
        raise ModelIntegrityError(f"{path}: SHA-256 is {found}, expected {expected}; fetch the file again")
    found = hashlib.sha256(_data(content)).hexdigest()
    if found != header["sha256"]:
        raise ModelIntegrityError(
            f"{path}: the weights' SHA-256 is {found}, its header says {header['sha256']}; "
            "the file is damaged, fetch it again"
        )
    try:
        tensors = deserialise(content)
    except SafetensorError as error:
        raise LoadError(f"{path} is not a safetensors file: {error}") from error
    with torch.device("meta"):
        model = Transformer(config)
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    given = {name: tuple(t.shape) for name, t in tensors.items()}
    if expected != given:
        wrong = sorted(k for k in expected.keys() | given.keys() if expected.get(k) != given.get(k))
        raise LoadError(
            f"{path}: {len(wrong)} tensors do not fit its configuration, e.g. {wrong[0]!r}: "
            f"{given.get(wrong[0])} instead of {expected.get(wrong[0])}"
        )
    moved = {name: t.to(device, dtype) for name, t in tensors.items()}
    if not all(bool(torch.isfinite(t).all()) for t in moved.values()):
        raise ModelIntegrityError(f"{path}: weights that are not finite numbers; fetch the file again")
    model.load_state_dict(moved, assign=True)
    return Checkpoint(model.eval(), header["provenance"], found)


def folders() -> tuple[Path, Path]:
    """Where names are looked for: the bundled networks, then the user's.

    The user's are in `$SR_ACCESSOR_MODELS` where that is set; else in the folder for data of programs that the
    operating system has, e.g. ~/.local/share/sr_accessor/models.
    """
    stated = os.environ.get(ENVIRONMENT)
    if stated:
        return _WEIGHTS, Path(stated)
    from platformdirs import user_data_path

    return _WEIGHTS, user_data_path("sr_accessor", appauthor=False) / "models"


def find(name: str | Path) -> Path:
    """Where a network's file is; a bundled one before the user's.

    Raises
    ------
    ModelNotFoundError : nowhere; names the places and the environment variable. Nothing is ever fetched.
    """
    given = Path(name)
    if given.suffix == ".safetensors" or given.is_file():
        places = [given]
    else:
        places = [folder / f"{name}.safetensors" for folder in folders()]
    for place in places:
        if place.is_file():
            return place
    known = sorted({path.stem for folder in folders() for path in folder.glob("*.safetensors")})
    raise ModelNotFoundError(
        f"no network {str(name)!r}: looked for {', '.join(map(str, places))}; {nearest(str(name), known)}. Give a "
        f"path, set {ENVIRONMENT} to a folder with NAME.safetensors, or use network=None"
    )


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 in hexadecimal, as the SHA256SUMS of a folder says; empty without one.

    Raises
    ------
    LoadError : a line that is not of that form.
    """
    path = folder / SUMS
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    matches = [_SUM.match(line) for line in lines]
    if None in matches:
        raise LoadError(f"{path}: line {matches.index(None) + 1} is not a SHA-256 and a file name; remove the file")
    return {match[2]: match[1] for match in matches}


def read_header(path: str | Path) -> tuple[dict[str, Any], TransformerConfig]:
    """Header and configuration of a checkpoint, without its tensors.

    Raises
    ------
    ModelIntegrityError : the file is shorter than its header says.
    LoadError : not a network of ours, damaged or hostile.
    """
    path = find(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size >= 8 and length <= _LARGEST_HEADER and length > size - 8:
            raise ModelIntegrityError(
                f"{path} is truncated: {size} bytes, its header alone has {length}; fetch it again"
            )
        if size < 8 or not 2 <= length <= _LARGEST_HEADER:
            raise LoadError(f"{path} is not a network of sr_accessor: its first bytes are no safetensors header")
        table = _parse(file.read(length), path)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise LoadError(f"{path} is a safetensors file, but not a network of sr_accessor: no {_KEY!r} in its header")
    header = _parse(metadata[_KEY].encode(), path)
    if header.get("format") != FORMAT:
        raise LoadError(f"{path} has format {header.get('format')!r}, this version reads {FORMAT}; update sr_accessor")
    if not isinstance(header.get("sha256"), str) or not isinstance(header.get("provenance"), dict):
        raise LoadError(f"{path}: its header lacks 'sha256' or 'provenance'")
    try:
        end = max((int(entry["data_offsets"][1]) for entry in table.values()), default=0)
    except (TypeError, KeyError, IndexError, ValueError, OverflowError) as error:
        raise LoadError(f"{path}: its table of tensors is damaged") from error
    if 8 + length + end != size:
        raise ModelIntegrityError(f"{path} has {size} bytes, its header says {8 + length + end}; fetch it again")
    return header, TransformerConfig.from_dict(header.get("config"))


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a whole file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shard(path: str | Path, size: int) -> list[Path]:
    """Cut a file into pieces of at most `size` bytes, NAME.000-of-003 … beside it, for transport."""
    path = Path(path)
    content = path.read_bytes()
    count = math.ceil(len(content) / size)
    if not 1 <= size or count > 999:
        raise LoadError(f"shard size {size} bytes must be positive and give at most 999 pieces, not {count}")
    pieces = [path.with_name(f"{path.name}.{i:03d}-of-{count:03d}") for i in range(count)]
    for i, piece in enumerate(pieces):
        write_whole(piece, content[i * size : (i + 1) * size])
    return pieces


def merge(pieces: Iterable[str | Path], path: str | Path) -> Path:
    """Join the pieces of `shard`, in any order, and check the result before it gets its name.

    Raises
    ------
    ModelIntegrityError : a piece is missing or strange, or the whole is not what its hash says.
    """
    found: dict[int, Path] = {}
    names = set()
    for piece in map(Path, pieces):
        match = _SHARD.match(piece.name)
        if match is None:
            raise ModelIntegrityError(f"{piece} is not a piece made by shard: its name must end in .000-of-003")
        found[int(match[2])] = piece
        names.add((match[1], int(match[3])))
    if len(names) != 1:
        raise ModelIntegrityError(f"these are pieces of {len(names)} files; give those of one")
    _, count = names.pop()
    missing = [i for i in range(count) if i not in found]
    if missing:
        raise ModelIntegrityError(f"pieces {missing} of {count} are missing")
    path = Path(path)
    content = b"".join(found[i].read_bytes() for i in range(count))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder) / "merged.safetensors"
        whole.write_bytes(content)
        header, _ = read_header(whole)
        if hashlib.sha256(_data(content)).hexdigest() != header["sha256"]:
            raise ModelIntegrityError("the pieces are there, but together their SHA-256 is not the header's")
        os.replace(whole, path)
    return path


def _data(content: bytes) -> memoryview:
    """The bytes after the header."""
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, not UTF-8, or a number of 5000 digits
        raise LoadError(f"{path}: its header is not readable JSON ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise LoadError(f"{path}: its header is not a JSON object")
    return value
