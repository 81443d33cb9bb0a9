"""The one place for device, dtype and random generators."""

from __future__ import annotations

import ctypes
import sys
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch

from sr_accessor.errors import DeviceError

__all__ = ["DTYPE", "alone", "generator", "resolve", "seed_of"]

# Constants are refined and candidates scored in double precision: an exact law shows as a relative
# error of 1e-12, which single precision cannot tell from a good approximation (search.md §4).
DTYPE = torch.float64


def resolve(device: str | torch.device = "auto") -> torch.device:
    """The device to compute on.

    Parameters
    ----------
    device : "auto", "cpu", "cuda", "cuda:1" ...
        "auto" is CUDA where there is one, else the CPU (Apple's MPS has no float64).

    Raises
    ------
    DeviceError : CUDA was asked for and is not there.
    """
    if isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"device={device!r} is not a torch device; use 'auto', 'cpu' or 'cuda'") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"device={device!r}: torch {torch.__version__} sees no CUDA device; use device='cpu' or 'auto'"
        )
    return chosen


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator seeded with `seed` on `device`."""
    return torch.Generator(device=device).manual_seed(seed)


def seed_of(random_state: int | None) -> int:
    """The seed that the user asked for; a fresh one from the system, which the result will state, for None."""
    return int(np.random.SeedSequence().entropy % 2**31) if random_state is None else int(random_state)


def alone() -> bool:
    """Let the calling thread do its OpenMP work itself; other threads and torch's own settings are not touched.

    A search makes thousands of calls of 0.1 ms. Spread over two cores of which one is busy, each waits for a thread
    that is not running: 0.8 s of work took 13 s (two cores, one other process, 2026-11-21), and on idle cores the
    second thread gained a third. `omp_set_num_threads` sets a variable of the calling thread only (OpenMP 5.2, §2.4),
    and MKL, which takes logarithms of more than a few hundred numbers for torch, has a count of its own beside it.

    Returns
    -------
    whether an OpenMP runtime was found; torch.get_num_threads() in this thread tells the effect
    """
    torch.get_num_threads()  # torch sets a new thread's number on first use, and would undo what comes before that
    runtimes = _openmp(len(sys.modules))
    for runtime in runtimes:
        runtime.omp_set_num_threads(1)
    if (mkl := _mkl()) is not None:
        mkl.MKL_Set_Num_Threads_Local(1)
    return bool(runtimes)


@cache
def _mkl() -> ctypes.CDLL | None:
    """The library with torch's MKL, where it was built with it."""
    for path in (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"):
        library = ctypes.CDLL(str(path))
        if hasattr(library, "MKL_Set_Num_Threads_Local"):
            return library
    return None


@lru_cache(maxsize=1)
def _openmp(modules: int) -> tuple[ctypes.CDLL, ...]:
    """The OpenMP runtimes of this process, none where torch uses another kind of threads.

    There may be several: scikit-learn's wheels bring one of their own, and nothing says which is torch's. They are
    looked for again when more `modules` are loaded.
    """
    found = []
    maps = Path("/proc/self/maps")
    torch_libraries = Path(torch.__file__).parent / "lib"
    names = [line.split()[-1] for line in maps.read_text().splitlines() if "/" in line] if maps.is_file() else []
    names += [str(p) for p in torch_libraries.glob("lib*omp*")]
    for name in dict.fromkeys(names):
        if Path(name).name.startswith(("libgomp", "libiomp5", "libomp")):
            library = ctypes.CDLL(name)
            if hasattr(library, "omp_set_num_threads"):
                found.append(library)
    return tuple(found)
