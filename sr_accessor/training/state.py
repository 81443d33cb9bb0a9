"""State: a run at one moment, and its folder; a kill at any time leaves the last complete state.

OUT/network.safetensors               the weights so far, half precision, with provenance
OUT/log.jsonl                         one line per interval
OUT/state/latest.json                 names the complete state: written last, by renaming
OUT/state/STEP/network.safetensors    parameters, optimizer
OUT/state/STEP/shard-I.safetensors    where stream I stands (each process writes its own)

Tensors are safetensors; what is no tensor is JSON, in latest.json or in a safetensors header.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sr_accessor.errors import InputError, LoadError
from sr_accessor.training.distributed import World
from sr_accessor.training.stream import Position, Prepared
from sr_accessor.transformer.config import TransformerConfig, preset
from sr_accessor.writing import write_whole

__all__ = [
    "Counters",
    "Plan",
    "append_log",
    "latest",
    "load_position",
    "read_log",
    "restore",
    "save",
    "trim_log",
]

_KEY = "sr_accessor"
_CARRY = tuple(f.name for f in fields(Prepared))


@dataclass(frozen=True)
class Plan:
    """What makes a run this run and no other; how long it lasts, and where, does not.

    Parameters
    ----------
    preset : of the network
    prior : of the functions, or several joined by "+"
    targets : "e2e" or "skeleton"
    schedule, peak : of the learning rate
    clip : largest norm of the gradient
    shards : streams whose batches make one update; processes share them
    batch_points : points of one batch of one stream
    validation : held-out functions
    start : SHA-256 of the weights it began with, "" for none
    operators : names the network learns besides those of its preset or weights, separated by commas
    layers : "ENCODER+DECODER", "" for those of the preset
    inputs : how numbers are read, as in `TransformerConfig`, "" for as in the preset
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
    layers: str = ""
    inputs: str = ""

    @property
    def config(self) -> TransformerConfig:
        """Of the network that is trained, before it gets further operators."""
        encoder, _, decoder = self.layers.partition("+")
        changed = {"encoder_layers": int(encoder), "decoder_layers": int(decoder)} if self.layers else {}
        changed |= {"inputs": self.inputs} if self.inputs else {}
        return preset(self.preset, targets=self.targets, **changed)

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
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    positions: Mapping[int, Position],
) -> None:
    """Write a complete state, then make it the latest, then remove older ones."""
    place = folder / "state" / str(counters.step)
    place.mkdir(parents=True, exist_ok=True)
    for shard, position in positions.items():
        carry = dict(zip(_CARRY, position.carry.tensors, strict=True))
        _write_tensors(place / f"shard-{shard}.safetensors", carry, [position.block, position.batch])
    if world.leader:
        kept = optimizer.state_dict()
        tensors = {f"model/{name}": t for name, t in model.state_dict().items()}
        for parameter, its in kept["state"].items():
            tensors |= {f"optimizer/{parameter}/{name}": t for name, t in its.items()}
        _write_tensors(place / "network.safetensors", tensors, kept["param_groups"])
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


def restore(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Give network and optimizer the numbers of a state.

    Raises
    ------
    LoadError : the state is missing or damaged.
    """
    tensors, groups = _read_tensors(folder / "state" / str(step) / "network.safetensors")
    parameters, kept = {}, {}
    for path, tensor in tensors.items():
        part, _, name = path.partition("/")
        if part == "model":
            parameters[name] = tensor
        else:
            parameter, _, name = name.partition("/")
            kept.setdefault(int(parameter), {})[name] = tensor
    model.load_state_dict(parameters)
    optimizer.load_state_dict({"state": kept, "param_groups": groups})


def load_position(folder: Path, step: int, shard: int, device: torch.device) -> Position:
    """Where a stream stood.

    Raises
    ------
    LoadError : the state is missing or damaged.
    """
    tensors, at = _read_tensors(folder / "state" / str(step) / f"shard-{shard}.safetensors")
    return Position(*at, Prepared(*(tensors[name].to(device) for name in _CARRY)))


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
def _write_text(path: Path, text: str) -> None:
    write_whole(path, text.encode())


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], rest: Any) -> None:
    """Tensors, and JSON values in the header."""
    from safetensors.torch import save as serialise

    on_cpu = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_whole(path, serialise(on_cpu, metadata={_KEY: json.dumps(rest)}))


def _read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], Any]:
    from safetensors import SafetensorError, safe_open

    anew = f"remove {path.parent.parent} to begin anew"
    if not path.is_file():
        raise LoadError(f"{path} is missing; {anew}")
    try:
        with safe_open(path, framework="pt") as file:
            rest = json.loads((file.metadata() or {}).get(_KEY, "null"))
            return {name: file.get_tensor(name) for name in file.keys()}, rest
    except (SafetensorError, ValueError) as error:
        raise LoadError(f"{path} is damaged ({error}); {anew}") from error
