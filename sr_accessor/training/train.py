"""Training: one run from the first step to the last, read top to bottom; it can be killed and goes on.

1  begin       network, optimizer and counters: new, from weights, or from the last saved state
2  open        one stream of batches per shard, where it stood
3  hold out    functions that are never trained on
4  learn       batches -> summed gradients -> clipped -> step at the schedule's rate
5  report      a log line per interval: speed, loss, and now and then what the points tell the network
6  save        whole states only
7  stop        when the budget is spent, the validation accuracy saturates, or someone asks
"""

from __future__ import annotations

import math
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sr_accessor.errors import InputError, SymRegError, UnknownNameError, nearest
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.prior.examples import check_preset
from sr_accessor.training import state
from sr_accessor.training.distributed import World, join
from sr_accessor.training.operations import operations
from sr_accessor.training.optimizer import PAPER_PEAK, SCHEDULES, learning_rate, make_optimizer
from sr_accessor.training.precision import Precision, choose
from sr_accessor.training.state import Counters, Plan
from sr_accessor.training.stream import BATCH_POINTS, Batch, Position, Source, batches, held_out, shapes, start
from sr_accessor.training.validation import Validation, validate
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import Transformer, build, cross_entropy, with_operators, with_targets
from sr_accessor.transformer.tokenizer import Tokenizer, layout
from sr_accessor.version import versions

__all__ = ["EPOCH", "Budget", "Intervals", "Outcome", "make_plan", "saturated", "train"]

#: Examples of one epoch, as published.
EPOCH = 3_000_000
#: Training ends when so many epochs in a row bring less than this to the best validation accuracy.
PATIENCE, LEAST_GAIN = 3, 1e-3
#: Largest rate of the modern schedules by preset; smaller networks bear more.
PEAKS = {"paper": PAPER_PEAK, "base": 6e-4, "small": 1e-3, "mini": 3e-3, "pair": 3e-3, "tiny": 3e-3}
#: Largest rate of a run that begins with weights, relative to those: what they know should change little.
GENTLER = 1 / 3
#: Published (system.md §4).
CLIP = 0.5
#: Updates in a row whose gradient is not finite before the run gives up.
MOST_SKIPPED = 20


@dataclass(frozen=True)
class Budget:
    """How long a run lasts, restarts included; None: until its accuracy saturates.

    Parameters
    ----------
    operations : floating-point operations of the network, so that networks of other sizes are compared fairly
    """

    minutes: float | None = None
    steps: int | None = None
    operations: float | None = None

    def spent(self, counters: Counters) -> float:
        """Share that is spent, 0 … 1; 0 without a budget."""
        by_time = counters.seconds / (60 * self.minutes) if self.minutes else 0.0
        by_steps = counters.step / self.steps if self.steps else 0.0
        by_operations = counters.operations / self.operations if self.operations else 0.0
        return min(1.0, max(by_time, by_steps, by_operations))


@dataclass(frozen=True)
class Intervals:
    """Seconds between log lines, between validations, and between saved states."""

    log: float = 30.0
    validate: float = 600.0
    save: float = 180.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    reason : "budget", "saturated" or "asked"
    leader : whether this process wrote the weights
    """

    reason: str
    counters: Counters
    weights: Path
    leader: bool


def make_plan(
    *,
    preset_name: str | None = None,
    prior: str = "science",
    targets: str = "e2e",
    seed: int = 0,
    schedule: str | None = None,
    peak: float | None = None,
    clip: float = CLIP,
    shards: int = 1,
    batch_points: int | None = None,
    validation: int = 10_000,
    start_from: str | None = None,
    operators: Sequence[str] = (),
    layers: str | None = None,
    inputs: str | None = None,
) -> Plan:
    """Settings checked all at once, with the defaults that depend on each other.

    With `start_from`, preset and batches are by default those of the weights, and the rate is `GENTLER`.

    Raises
    ------
    InputError, UnknownNameError : settings that cannot be, operators that are not registered.
    ModelNotFoundError : no weights to start from.
    """
    begun_with = ""
    if start_from is not None:
        path = checkpoint.find(start_from)
        begun_with = checkpoint.file_sha256(path)
        header, _ = checkpoint.read_header(path)
        stored = header["provenance"].get("plan", {})
        preset_name = preset_name or stored.get("preset")
        batch_points = batch_points or stored.get("batch_points")
        layers = layers or stored.get("layers")
        inputs = inputs or stored.get("inputs")
    batch_points = BATCH_POINTS if batch_points is None else batch_points
    preset_name = preset_name or "base"
    preset(preset_name)  # raises where there is none
    schedule = schedule or ("paper" if preset_name == "paper" else "stable")
    for name in prior.split("+"):
        check_preset(name)
    if schedule not in SCHEDULES:
        raise UnknownNameError(f"no schedule {schedule!r}; {nearest(schedule, SCHEDULES)}")
    if peak is None:
        peak = PAPER_PEAK if schedule == "paper" else PEAKS[preset_name] * (GENTLER if start_from else 1)
    numbers = {"lr": peak, "clip": clip, "shards": shards, "batch-points": batch_points, "validation": validation}
    wrong = [f"{name}={value} must be positive" for name, value in numbers.items() if not 0 < value < math.inf]
    if targets not in ("e2e", "skeleton"):
        wrong.append(f"targets={targets!r} must be 'e2e' or 'skeleton'")
    if layers and not re.fullmatch(r"[1-9]\d*\+[1-9]\d*", layers):
        wrong.append(f"layers={layers!r} must be those of encoder and decoder, such as 2+3")
    vocabulary(operators)
    if wrong:
        raise InputError("; ".join(wrong))
    plan = Plan(
        preset_name, prior, targets, seed, schedule, peak, clip, shards, batch_points, validation, begun_with,
        ",".join(operators), layers or "", inputs or "",
    )  # fmt: skip
    _ = plan.config  # raises where there is no such network
    return plan


def train(
    plan: Plan,
    folder: Path,
    budget: Budget,
    *,
    start_from: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    intervals: Intervals = Intervals(),
    compiled: bool = False,
    progress: bool = False,
) -> Outcome:
    """Train, from the beginning or from the folder's last saved state.

    Parameters
    ----------
    plan : from `make_plan`
    folder : for the state, log and weights; made where it does not exist
    start_from : weights to begin with, as in `make_plan`
    compiled : compile the network for each batch shape: minutes at the start, faster after
    progress : show a bar

    Raises
    ------
    InputError : the folder holds another run; more processes than shards.
    SymRegError : the loss or its gradient stays not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with join(device) as world, asked_to_stop() as asked:
        how = choose(world.device, precision)
        model, optimizer, counters = begin(plan, folder, start_from, world)
        streams = open_streams(plan, folder, model, counters, world, how)
        unseen = hold_out(plan, model, world, how)
        forward = compile_for_shapes(model) if compiled else model
        positions: dict[int, Position] = {}
        clock = Clock(counters, intervals)
        bar = _bar(progress and world.leader, budget, counters)
        since = Tally(counters.seconds)

        def save_now() -> None:
            if positions:  # nothing to save before the first step
                state.save(folder, world, plan, counters, model, optimizer, positions)
            if world.leader:
                export(model, plan, counters, world, folder)

        reason = why_stop(counters, budget, False)
        while reason is None:
            rate = learning_rate(plan.schedule, counters.step, budget.spent(counters), plan.peak)
            sums = accumulate(model, forward, streams, positions, how, world, clock.seconds, asked)
            fine = update(model, optimizer, sums, rate, plan.clip, world)
            count(counters, sums, fine)
            since.add(sums)
            bar.update(counters)
            epoch_over = counters.examples // EPOCH > len(counters.epoch_accuracies)
            reason = why_stop(counters, budget, sums.asked > 0)
            if clock.due("validate", counters.seconds) or epoch_over or reason == "budget":
                found = validate(model, unseen, world, how)
                counters.validation = found.to_dict()
                if epoch_over:
                    counters.epoch_accuracies.append(found.accuracy)
                    reason = reason or ("saturated" if saturated(counters.epoch_accuracies) else None)
                report(folder, world, counters, since, rate, found)
                since = Tally(counters.seconds)
            elif clock.due("log", counters.seconds) or reason:
                report(folder, world, counters, since, rate, None)
                since = Tally(counters.seconds)
            if clock.due("save", counters.seconds) and not reason:
                save_now()
        bar.close()
        save_now()
        return Outcome(reason, counters, folder / "network.safetensors", world.leader)


# ---------------------------------------------------------------------- 1 begin
def begin(
    plan: Plan, folder: Path, start_from: str | None, world: World
) -> tuple[Transformer, torch.optim.Optimizer, Counters]:
    """Network, optimizer and counters; every process begins with the same numbers."""
    if plan.shards % world.size:
        raise InputError(f"{world.size} processes cannot share {plan.shards} shards evenly; give --shards {world.size}")
    config = plan.config
    if start_from is not None:
        model = with_targets(checkpoint.load(start_from, device=world.device).model, plan.targets)
        if model.config.replace(operators=config.operators) != config:
            raise InputError(
                f"the weights {start_from!r} are not of preset {plan.preset!r}; "
                "leave --preset, --layers and --inputs out, or begin without --from"
            )
    else:
        model = build(config, torch.Generator().manual_seed(plan.seed)).to(world.device)
    more = tuple(name for name in plan.operators.split(",") if name and name not in model.config.operators)
    if more:
        model = with_operators(model, more, torch.Generator().manual_seed(plan.seed)).to(world.device)
    model.train()
    optimizer = make_optimizer(model, plan.schedule)
    counters = state.latest(folder, plan)
    if counters is not None:
        state.restore(folder, counters.step, model, optimizer)
    if world.leader:
        state.trim_log(folder, -1 if counters is None else counters.step)
    return model, optimizer, counters or Counters()


# ---------------------------------------------------------------------- 2 open, 3 hold out
def source(plan: Plan, model: Transformer, shard: int, world: World, how: Precision) -> Source:
    """Where one stream draws from: all operators that the network writes, and no others."""
    known = vocabulary().restricted(model.config.operators)
    return Source(
        plan.prior,
        Tokenizer(model.config, known),
        world.device,
        seed=plan.seed,
        shard=shard,
        batch_points=plan.batch_points,
        features=how.dtype,
        new=tuple(name for name in plan.operators.split(",") if name),
    )


def open_streams(
    plan: Plan, folder: Path, model: Transformer, counters: Counters, world: World, how: Precision
) -> dict[int, Iterator[tuple[Batch, Position]]]:
    """This process's streams by shard, where they stood."""
    streams = {}
    for shard in range(world.rank, plan.shards, world.size):
        from_here = source(plan, model, shard, world, how)
        stood = state.load_position(folder, counters.step, shard, world.device) if counters.step else start(from_here)
        streams[shard] = batches(from_here, stood)
    return streams


def hold_out(plan: Plan, model: Transformer, world: World, how: Precision) -> list[Batch]:
    """The validation functions; the same for every run of a prior."""
    return held_out(source(plan, model, 0, world, how), plan.validation)


# ---------------------------------------------------------------------- 4 learn
def compile_for_shapes(model: Transformer) -> Callable[..., torch.Tensor]:
    """The network compiled anew for every batch shape; with its usual limit of 8, torch would give up at the ninth."""
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(limit, 2 * len(shapes(model.config)))
    return torch.compile(model, dynamic=False)


@dataclass(frozen=True)
class Sums:
    """Over all shards of one update."""

    nats: float
    tokens: float
    examples: float
    points: float
    operations: float
    seconds: float
    asked: float
    divisor: torch.Tensor


def accumulate(
    model: Transformer,
    forward: Callable[..., torch.Tensor],
    streams: dict[int, Iterator[tuple[Batch, Position]]],
    positions: dict[int, Position],
    how: Precision,
    world: World,
    seconds: Callable[[], float],
    asked: Callable[[], bool],
) -> Sums:
    """Add up the gradients of the summed cross-entropy of one batch per shard, and what was done.

    Summed and not averaged: the mean over all tokens of all shards is then one division at the end, however the
    shards are shared among processes.
    """
    done = torch.zeros(7, dtype=torch.float64, device=world.device)
    for shard, stream in streams.items():
        batch, positions[shard] = next(stream)
        with how.context():
            logits = forward(batch.points, batch.tokens[:, :-1])
            nats = cross_entropy(logits, batch.tokens, layout(model.config).pad, reduction="sum")
            nats.backward()
        facts = [batch.real_tokens, len(batch), batch.real_points, operations(model, batch), 0.0, 0.0]
        done[0] += nats.detach().double()
        done[1:] += torch.tensor(facts, dtype=torch.float64, device=world.device)
    done[5:] += torch.tensor([seconds() / world.size, float(asked())], dtype=torch.float64, device=world.device)
    total = world.sum(done)
    return Sums(*total.tolist(), divisor=total[1].float())


def update(
    model: Transformer, optimizer: torch.optim.Optimizer, sums: Sums, rate: float, clip: float, world: World
) -> bool:
    """One step along the mean gradient, its norm clipped; False, and no step, where it is not finite."""
    world.sum_gradients(model.parameters(), sums.divisor)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    fine = math.isfinite(sums.nats) and bool(torch.isfinite(norm))
    if fine:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return fine


def count(counters: Counters, sums: Sums, fine: bool) -> None:
    """Add an update to the counters.

    Raises
    ------
    SymRegError : too many updates in a row were not finite.
    """
    counters.step += 1
    counters.examples += int(sums.examples)
    counters.points += int(sums.points)
    counters.tokens += int(sums.tokens)
    counters.operations += sums.operations
    counters.seconds = sums.seconds
    counters.skipped = 0 if fine else counters.skipped + 1
    if counters.skipped > MOST_SKIPPED:
        raise SymRegError(
            f"the loss or its gradient was not finite in {counters.skipped} updates in a row, at step {counters.step}; "
            "the last saved state is sound: begin again from its weights with a smaller --lr"
        )


# ---------------------------------------------------------------------- 5 report
class Clock:
    """Seconds of the run over all restarts, and which interval is over."""

    def __init__(self, counters: Counters, intervals: Intervals):
        self._began = time.perf_counter() - counters.seconds
        self._every = asdict(intervals)
        self._last = dict.fromkeys(self._every, counters.seconds)

    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self._began

    def due(self, what: str, now: float) -> bool:
        """Whether the interval of `what` is over; then a new one begins. `now` is the same in all processes."""
        if now - self._last[what] < self._every[what]:
            return False
        self._last[what] = now
        return True


@dataclass
class Tally:
    """Sums since the last log line, which was at `began` seconds."""

    began: float
    nats: float = 0.0
    tokens: float = 0.0
    examples: float = 0.0
    operations: float = 0.0

    def add(self, sums: Sums) -> None:
        self.nats += sums.nats
        self.tokens += sums.tokens
        self.examples += sums.examples
        self.operations += sums.operations


def report(folder: Path, world: World, counters: Counters, since: Tally, rate: float, found: Validation | None) -> None:
    """One line of the log: totals, then means since the line before."""
    if not world.leader:
        return
    took = max(counters.seconds - since.began, 1e-9)
    line: dict[str, Any] = {
        "step": counters.step,
        "seconds": round(counters.seconds, 2),
        "examples": counters.examples,
        "tokens": counters.tokens,
        "operations": counters.operations,
        "rate": rate,
        "loss": round(since.nats / max(1.0, since.tokens), 5),
        "examples_per_second": round(since.examples / took, 1),
        "tokens_per_second": round(since.tokens / took, 1),
        "operations_per_second": since.operations / took,
        "skipped": counters.skipped,
    }
    if found is not None:
        line |= {"own": found.own, "other": found.other, "gap": found.gap, "accuracy": found.accuracy}
    state.append_log(folder, line)


def _bar(shown: bool, budget: Budget, counters: Counters) -> _Bar:
    from tqdm import tqdm

    total = budget.steps if budget.steps else None
    return _Bar(tqdm(total=total, initial=counters.step, unit=" steps", disable=not shown, file=sys.stderr))


class _Bar:
    def __init__(self, bar: Any):
        self._bar = bar

    def update(self, counters: Counters) -> None:
        found = counters.validation
        if found is not None:
            self._bar.set_postfix_str(f"own {found['own']:.3f}, other {found['other']:.3f} nats/token", refresh=False)
        self._bar.update(counters.step - self._bar.n)

    def close(self) -> None:
        self._bar.close()


# ---------------------------------------------------------------------- 6 save
def export(model: Transformer, plan: Plan, counters: Counters, world: World, folder: Path) -> Path:
    """The weights in half precision, with everything needed to know what they are."""
    provenance = {
        "plan": asdict(plan),
        **{k: v for k, v in asdict(counters).items() if k != "skipped"},
        "device": _device_name(world.device),
        "processes": world.size,
        "threads": torch.get_num_threads(),
        **versions(),
    }
    path = folder / "network.safetensors"
    checkpoint.save(model, path, provenance=provenance, dtype=torch.float16)
    return path


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


# ---------------------------------------------------------------------- 7 stop
def why_stop(counters: Counters, budget: Budget, asked: bool) -> str | None:
    """None while there is something left to do."""
    if asked:
        return "asked"
    return "budget" if budget.spent(counters) >= 1 else None


def saturated(accuracies: Sequence[float], patience: int = PATIENCE) -> bool:
    """Whether the last `patience` epochs brought less than 0.001 over the best accuracy before them."""
    if len(accuracies) <= patience:
        return False
    return max(accuracies[-patience:]) < max(accuracies[:-patience]) + LEAST_GAIN


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """A function that tells whether SIGTERM or Ctrl-C has come; a second one has its usual effect."""
    came: list[int] = []
    usual: dict[int, Any] = {}

    def note(number: int, frame: object) -> None:
        came.append(number)
        signal.signal(number, usual[number])

    for number in (signal.SIGTERM, signal.SIGINT):
        usual[number] = signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
