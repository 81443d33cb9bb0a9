"""Writing: a file whole or not at all; a kill at any time leaves the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | Path, content: bytes, *, if_changed: bool = False) -> None:
    """Write a file beside its place and rename it; others may read it.

    Parameters
    ----------
    path : its folder must be there
    content : all of the file
    if_changed : a file that holds just that is left alone, its time too

    Raises
    ------
    OSError : the disk is full, the folder is missing or may not be written; what stood there stays.
    """
    path = Path(path)
    if if_changed and path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(path.parent)!r} for {path.name!r}; make it first")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:  # less the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
