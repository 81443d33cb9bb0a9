"""Distributed: who of several processes this is, and sums over all of them; one process is the simplest case.

torchrun sets RANK, WORLD_SIZE and LOCAL_RANK; without them the world has one member and every sum is its own. Every
decision that all must take alike (learning rate, stop, validate) is taken from summed numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from sr_accessor.device import resolve

__all__ = ["World", "join"]


@dataclass(frozen=True)
class World:
    """This process among `size`.

    Parameters
    ----------
    rank : 0 … size - 1; 0 writes files and prints
    device : where this process computes
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leader(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sums over all processes, the same everywhere."""
        total = values.clone()
        if self.size > 1:
            distributed.all_reduce(total)
        return total

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter], divisor: torch.Tensor) -> None:
        """Replace every gradient by its sum over all processes, divided by `divisor`: one message for all of them."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size > 1:
            flat = torch.cat([g.flatten() for g in gradients])
            distributed.all_reduce(flat)
            pieces = flat.split([g.numel() for g in gradients])
            torch._foreach_copy_(gradients, [p.view_as(g) for p, g in zip(pieces, gradients, strict=True)])
        torch._foreach_div_(gradients, divisor)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started, or be alone.

    Raises
    ------
    DeviceError : the device asked for is not there.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = resolve(device)
    if chosen.type == "cuda" and chosen.index is None:
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    if size == 1:
        yield World(0, 1, chosen)
        return
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(rank, size, chosen)
    finally:
        distributed.destroy_process_group()
