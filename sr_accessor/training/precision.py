"""Precision: bfloat16 where the device multiplies it faster, float32 elsewhere; weights stay float32."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sr_accessor.errors import InputError

__all__ = ["Precision", "choose"]


@dataclass(frozen=True)
class Precision:
    """How one device computes.

    Parameters
    ----------
    dtype : of products and of what the embedder reads
    context : makes the context manager that forward and backward pass run in
    """

    dtype: torch.dtype
    context: Callable[[], AbstractContextManager[object]]


def choose(device: torch.device, name: str = "auto") -> Precision:
    """The precision called "float32", "bfloat16" or "auto".

    Raises
    ------
    InputError : no such precision.
    """
    if name not in ("auto", "float32", "bfloat16"):
        raise InputError(f"precision={name!r} must be 'auto', 'float32' or 'bfloat16'")
    if name == "auto":
        name = "bfloat16" if has_bfloat16(device) else "float32"
    dtype = getattr(torch, name)

    def context() -> AbstractContextManager[object]:
        stack = ExitStack()
        if dtype is torch.bfloat16:
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            if device.type == "cpu":
                # The fused kernel's backward pass is four times slower in bfloat16 than in float32 on a CPU; with
                # plain products `small` learns 240 instead of 150 examples/s (one EPYC core, torch 2.13, 2026-11-21).
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        return stack

    return Precision(dtype, context)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; without them it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere
    return torch.cpu._is_avx512_bf16_supported()  # public only as get_capabilities() of torch 2.12
