"""The one place for device, dtype and random generators."""

from __future__ import annotations

import torch

from sr_accessor.errors import DeviceError

__all__ = ["DTYPE", "generator", "resolve"]

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
