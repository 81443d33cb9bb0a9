"""State: a run at one moment, and its folder; a kill at any time leaves the last complete state.

OUT/network.safetensors      the weights so far, half precision, with provenance
OUT/log.jsonl                one line per interval
OUT/state/latest.json        names the complete state: written last, by renaming
OUT/state/STEP/network.pt    parameters, optimizer
OUT/state/STEP/shard-I.pt    where stream I stands (each process writes its own)
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sr_accessor.errors import InputError, LoadError
from sr_accessor.training.distributed import World
from sr_accessor.training.stream import Position, Prepared

__all__ = ["Counters", "Plan", "append_log", "latest", "load_network", "load_position", "read_log", "save", "trim_log"]


@dataclass(frozen=True)
class Plan:
    """What makes a run this run and no other; how long it lasts, and where, does not.

    Parameters
    ----------
    preset : of the network
    prior : of the functions
    targets : "e2e" or "skeleton"
    schedule, peak : of the learning rate
    clip : largest norm of the gradient
    shards : streams whose batches make one update; processes share them
    batch_points : points of one batch of one stream
    validation : held-out functions
    start : SHA-256 of the weights it began with, "" for none
    operators : names the network learns besides those of its preset or weights, separated by commas
    """

    preset: str
    prior: str
    targets: str
    seed: int
    schedule: str
    peak: float
    clip: float
    shards: int
    batch_points: int
    validation: int
    start: str
    operators: str = ""

    def check_same(self, stored: Plan, folder: Path) -> None:
        """
        Raises
        ------
        InputError : the run in the folder is another one.
        """
        theirs = asdict(stored)
        differ = [f"{k} {theirs[k]!r} -> {v!r}" for k, v in asdict(self).items() if theirs[k] != v]
        if differ:
            raise InputError(
                f"{folder} holds a run with other settings ({', '.join(differ)}): "
                "give the same settings to go on with it, or another --out for a new one"
            )


@dataclass
class Counters:
    """What has been done since the run began, over all processes and restarts."""

    step: int = 0
    examples: int = 0
    points: int = 0
    tokens: int = 0
    operations: float = 0.0
    seconds: float = 0.0
    skipped: int = 0
    epoch_accuracies: list[float] = field(default_factory=list)
    validation: dict[str, float] | None = None


def save(
    folder: Path,
    world: World,
    plan: Plan,
    counters: Counters,
    network: Mapping[str, Any],
    positions: Mapping[int, Position],
) -> None:
    """Write a complete state, then make it the latest, then remove older ones."""
    place = folder / "state" / str(counters.step)
    place.mkdir(parents=True, exist_ok=True)
    for shard, position in positions.items():
        _write_tensors(
            place / f"shard-{shard}.pt", {"at": (position.block, position.batch), "carry": position.carry.tensors}
        )
    if world.leader:
        _write_tensors(place / "network.pt", dict(network))
    world.wait()
    if world.leader:
        _write_text(folder / "state" / "latest.json", json.dumps({"plan": asdict(plan), "counters": asdict(counters)}))
        for old in (folder / "state").iterdir():
            if old.is_dir() and old != place:
                shutil.rmtree(old)
    world.wait()


def latest(folder: Path, plan: Plan) -> Counters | None:
    """The counters of the last complete state; None where no run has saved one.

    Raises
    ------
    InputError : the folder holds another run.
    LoadError : the state is damaged.
    """
    path = folder / "state" / "latest.json"
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        its_plan, counters = Plan(**stored["plan"]), Counters(**stored["counters"])
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{path} is damaged ({error}); remove {path.parent} to begin anew") from error
    plan.check_same(its_plan, folder)
    return counters


def load_network(folder: Path, step: int, device: torch.device) -> dict[str, Any]:
    """Parameters and optimizer of a state."""
    return _read_tensors(folder / "state" / str(step) / "network.pt", device)


def load_position(folder: Path, step: int, shard: int, device: torch.device) -> Position:
    """Where a stream stood."""
    stored = _read_tensors(folder / "state" / str(step) / f"shard-{shard}.pt", device)
    return Position(*stored["at"], Prepared(*stored["carry"]))


# ---------------------------------------------------------------------- the log
def append_log(folder: Path, line: Mapping[str, Any]) -> None:
    """One more line; a kill in the middle leaves half a line, which `read_log` leaves out."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All complete lines."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise LoadError(f"{path} has a line that is not JSON ({error}); remove that line") from error


def trim_log(folder: Path, step: int) -> None:
    """Without the lines after `step`: what came after the last saved state is done again."""
    lines = [line for line in read_log(folder) if line["step"] <= step]
    _write_text(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


# ---------------------------------------------------------------------- files
def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Fill a file beside `path`, then rename it: the path holds the old content or the new, whole."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _write_text(path: Path, text: str) -> None:
    _write(path, lambda file: file.write(text.encode()))


def _write_tensors(path: Path, values: dict[str, Any]) -> None:
    _write(path, lambda file: torch.save(values, file))


def _read_tensors(path: Path, device: torch.device) -> dict[str, Any]:
    if not path.is_file():
        raise LoadError(f"{path} is missing; remove {path.parent.parent} to begin anew")
    return torch.load(path, map_location=device, weights_only=True)  # tensors and numbers, no code
