"""Where and when a table was measured, one line below every table; and how much memory it took."""

from __future__ import annotations

import os
import platform
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from sr_accessor.version import versions

__all__ = ["peak_memory", "processor", "provenance"]


def peak_memory() -> int:
    """Most bytes that this process has held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def processor() -> str:
    """The processor's name as the system tells it."""
    listing = Path("/proc/cpuinfo")  # platform.processor() is empty on many Linux systems
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def provenance(**facts: object) -> str:
    """Date, machine, versions, and the `facts` of the run such as seed and budget."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    made_with = versions()
    stated = "".join(f", {name.replace('_', ' ')} {value}" for name, value in facts.items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {processor()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} torch threads{gpu}, Python {made_with['python']}, "
        f"torch {made_with['torch']}, sr-accessor {made_with['sr_accessor']}{stated}"
    )
