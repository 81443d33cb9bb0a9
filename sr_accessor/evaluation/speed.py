"""evaluation speed: what must be fast, each timed beside its reference in the same run and printed with its goal.

Every measurement runs in a process of its own with a stated number of threads, so that none warms or crowds another.
Seconds of two machines, or of two runs on a busy one, are not comparable; the ratios are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import click
import numpy as np
import pandas as pd
import torch

from sr_accessor.device import DTYPE, generator
from sr_accessor.errors import SymRegError, UnknownNameError, nearest
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.options import words
from sr_accessor.expressions.batch import Expressions, concatenate, literal
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import bind, evaluate, run
from sr_accessor.expressions.jacobian import sweep
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.program import compile_program
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import sample_examples, sample_expressions
from sr_accessor.prior.reference import reference_example
from sr_accessor.refinement.bfgs import bfgs
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.refinement.solution import Refined
from sr_accessor.search.features import features
from sr_accessor.search.library import build_library
from sr_accessor.search.rows import linear_rows
from sr_accessor.search.screens import screen_pair
from sr_accessor.search.targets import Rows, Target
from sr_accessor.search.views import VIEWS

__all__ = [
    "MEASUREMENTS",
    "Measurement",
    "best_seconds",
    "measure",
    "mixed_structures",
    "seconds_of",
    "speed",
    "ten_constants",
]


@dataclass(frozen=True)
class Measurement:
    """One line of the table.

    Parameters
    ----------
    measured, reference : with their units; the reference was timed in the same process
    ratio : how many times faster than the reference, or how much of its cost, as `goal` says
    """

    what: str
    measured: str
    reference: str
    ratio: float | None
    goal: str
    ok: bool


@dataclass(frozen=True)
class Bench:
    """A function that measures, and the threads it may use."""

    function: Callable[[], list[Measurement]]
    threads: int


def seconds_of(function: Callable[[], object]) -> float:
    """Processor time of one call on one thread, wall time on several.

    On one thread the two agree on an idle machine, and processor time does not count what others take of a busy one.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    function()
    return clock() - began


def best_seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Least time of `repeats` calls after one to warm up: what else the machine does only adds."""
    function()
    return min(seconds_of(function) for _ in range(repeats))


#: Ten constants each, none of them redundant, some of them linear; sums, phases, rates, poles, a peak, roots.
_TEN_CONSTANTS = (
    "1.1*exp(-0.7*a) + 0.9*exp(-1.8*b) + 1.2*sin(1.3*c + 0.4) + 0.8*a*b + 1.5*c + 0.3",
    "1.2*sin(0.9*a + 0.3) + 0.7*cos(1.4*b + 0.6) + 1.1*tanh(0.8*c - 0.5) + 0.4",
    "(1.3 + 0.8*a + 0.5*b)/(a + 1.6 + 0.4*c) + 0.9*exp(-0.6*b) + 0.7*c + 0.3*a + 0.2",
    "1.4*a/(0.8 + b) + 1.1*log(1.5 + c) + 0.9*sqrt(1.2 + a) + 0.5*b*c + 0.3*a + 0.7*c + 0.4",
    "0.9*exp(-square((a - 1.1)/0.8)) + 1.2*exp(-0.5*b) + 0.6*sin(1.7*c) + 0.7*b + 0.3*a + 0.4",
)


def ten_constants(count: int, points: int, seed: int = 0) -> tuple[Expressions, torch.Tensor, torch.Tensor]:
    """`count` candidates of ten free constants near their optimum, x (points, 3), and each one's own y (count, points).

    y is the candidate at other constants, up to 20 % away, plus noise of 1 %, so that the optimum is not zero.
    """
    random = generator(seed)
    vocabulary = Vocabulary(ELEMENTARY)
    rows = concatenate([parse(t, vocabulary, ["a", "b", "c"], numbers="literal").freed() for t in _TEN_CONSTANTS])
    start = rows[torch.arange(count) % len(rows)]
    x = 0.2 + 2.8 * torch.rand(points, 3, generator=random, dtype=DTYPE)
    away = 1 + 0.2 * (2 * torch.rand(start.constants.shape, generator=random, dtype=DTYPE) - 1)
    y = evaluate(start.with_constants(start.constants * away), x)[0]
    noise = 0.01 * torch.randn(y.shape, generator=random, dtype=DTYPE)
    return start, x, y + noise * y.square().mean(1, keepdim=True).sqrt()


def mixed_structures(count: int, points: int, seed: int = 0) -> tuple[Expressions, torch.Tensor, torch.Tensor]:
    """Like `ten_constants`: candidates of six constants, no two alike, each of three laws of preset `science`."""
    random, vocabulary = generator(seed), Vocabulary(ELEMENTARY)
    drawn = sample_expressions("science", 25 * count, 3, vocabulary, random).freed()
    drawn = drawn[drawn.free.sum(1) == 2].trimmed()
    third = len(drawn) // 3
    a, b, c = (drawn[i * third : (i + 1) * third] for i in range(3))
    start = concatenate([a + b + c, a + b * c]).trimmed()
    x = 0.2 + 2.8 * torch.rand(points, 3, generator=random, dtype=DTYPE)
    away = 1 + 0.2 * (2 * torch.rand(start.constants.shape, generator=random, dtype=DTYPE) - 1)
    y = evaluate(start.with_constants(start.constants * away), x)[0]
    size = y.square().mean(1, keepdim=True).sqrt()
    usual = (evaluate(start, x)[1].all(1) & (size[:, 0] > 1e-6) & (size[:, 0] < 1e6)).nonzero()[:, 0]
    kept = usual[torch.randperm(len(usual), generator=random)[:count]]
    return (
        start[kept].trimmed(),
        x,
        y[kept] + 0.01 * size[kept] * torch.randn(y.shape, generator=random, dtype=DTYPE)[kept],
    )


def measure_generator() -> list[Measurement]:
    """Both presets in large batches, against the per-example reference of preset `paper`."""
    count, few = 30_000, 300  # as many a call as training draws
    vocabulary = Vocabulary(ELEMENTARY)
    reference_example(0, vocabulary)
    reference = few / seconds_of(lambda: [reference_example(seed, vocabulary) for seed in range(1, few + 1)])
    lines = []
    for preset, goal in (("paper", 30 * reference), ("science", 1000.0)):
        random = generator(0)
        seconds = best_seconds(partial(sample_examples, preset, count, random, vocabulary), repeats=2)
        rate = count / seconds
        lines.append(
            Measurement(
                f"generator {preset}, batches of {count}",
                f"{rate:,.0f} examples/s",
                f"paper one by one {reference:,.1f} examples/s",
                rate / reference,
                ">= 30 x" if preset == "paper" else ">= 1,000 examples/s",
                rate >= goal,
            )
        )
    return lines


def measure_pairs() -> list[Measurement]:
    """The screen `pair` over a library of four inputs, against a least-squares solution for one pair after another."""
    points, few = 200, 300
    random, vocabulary = generator(0), Vocabulary(ELEMENTARY)
    x = 1 + 4 * torch.rand(points, 4, generator=random, dtype=DTYPE)
    y = x[:, 0] * x[:, 1] + 0.3 * torch.exp(-x[:, 2]) / x[:, 3]
    target = Target.of(VIEWS[0], y, torch.ones_like(y))
    base = Rows(literal([1.0], vocabulary), torch.ones(1, points, dtype=DTYPE))
    rows = linear_rows(build_library(x, vocabulary, count=4000), features(vocabulary), vocabulary)
    hypotheses = len(rows) * (len(rows) - 1) // 2
    ours = hypotheses / best_seconds(partial(screen_pair, target, base, rows), repeats=3)
    table, goal = rows.values.numpy(), y.numpy()
    ones = np.ones(points)
    pairs = [np.stack([ones, table[i], table[-1 - i]], axis=1) for i in range(few)]
    reference = few / seconds_of(lambda: [np.linalg.lstsq(pair, goal, rcond=None) for pair in pairs])
    return [
        Measurement(
            f"pair hypotheses, {len(rows):,} rows at 200 points",
            f"{ours:,.3g} /s",
            f"numpy lstsq {reference:,.3g} /s",
            ours / reference,
            ">= 1e7 /s, two cores",
            ours >= 1e7,
        )
    ]


def measure_refinement() -> list[Measurement]:
    """Batched Levenberg–Marquardt against SciPy's BFGS one by one; losses compared candidate by candidate."""
    count, few = 1000, 15
    start, x, y = ten_constants(count, 200)
    ours = best_seconds(lambda: levenberg_marquardt(start, x, y)) / count
    loss = levenberg_marquardt(start, x, y).loss[:few]
    bfgs(start[:1], x, y[:1])
    theirs: list[Refined] = []
    reference = seconds_of(lambda: theirs.append(bfgs(start[:few], x, y[:few]))) / few
    as_good = int((loss <= theirs[0].loss * (1 + 1e-6)).sum())
    ratio = reference / ours
    return [
        Measurement(
            f"refinement, 10 constants, 200 points ({as_good}/{few} at the same optimum or better)",
            f"{1 / ours:,.0f} candidates/s",
            f"SciPy BFGS {1 / reference:,.1f} candidates/s",
            ratio,
            ">= 100 x, every optimum",
            ratio >= 100 and as_good == few,
        )
    ]


def measure_candidates() -> list[Measurement]:
    """Levenberg–Marquardt on mixed structures, as a search proposes them, on one core; the goal counts two."""
    count, steps, few = 2000, 10, 15
    start, x, y = mixed_structures(count, 200)
    ours = count / best_seconds(partial(levenberg_marquardt, start, x, y, steps=steps))
    reference = few / seconds_of(lambda: bfgs(start[:few], x, y[:few], steps=steps))
    return [
        Measurement(
            f"refinement, 6 constants, 200 points, {steps} steps, mixed structures",
            f"{ours:,.0f} candidates/s",
            f"SciPy BFGS {reference:,.1f} candidates/s",
            ours / reference,
            ">= 3,000 candidates/s a core",
            ours >= 3000,
        )
    ]


def measure_jacobian() -> list[Measurement]:
    """Values and Jacobian by ten constants, against values alone, for one bound program."""
    candidates, x, _ = ten_constants(500, 200)
    bound = bind(compile_program(candidates), x)
    values = best_seconds(lambda: run(bound, candidates.constants))
    both = best_seconds(lambda: sweep(bound, candidates.constants))
    ratio = both / values
    return [
        Measurement(
            "Jacobian of 10 constants, values included",
            f"{1e3 * both:.1f} ms",
            f"values {1e3 * values:.1f} ms",
            ratio,
            "<= 4 x",
            ratio <= 4,
        )
    ]


def measure_fit() -> list[Measurement]:
    """A 200 × 3 table in a fresh process: first front from its launch on, second fit, peak memory."""
    modules = "import torch, pandas, sympy, scipy.optimize"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", modules], check=True)
    imports = time.perf_counter() - began
    reference = f"{modules.removeprefix('import ')}: {imports:.1f} s"
    lines = []
    for noise in (0.0, 0.01):
        command = [sys.executable, "-m", "sr_accessor.evaluation.cold_fit", str(noise), repr(time.time())]
        found = json.loads(_output(command, os.environ).splitlines()[-1])
        label = f"fit of 200 × 3, noise {noise:g}"
        cold, second, peak = found["cold"], found["second"], found["peak"] / 1e9
        lines += [
            Measurement(f"{label}, launch to front", f"{cold:.1f} s", reference, cold / imports, "< 6 s", cold < 6),
            Measurement(f"{label}, second fit", f"{second:.1f} s", "-", None, "< 3 s", second < 3),
            Measurement(f"{label}, peak memory", f"{peak:.2f} GB", "-", None, "< 1 GB", peak < 1),
        ]
    return lines


MEASUREMENTS: dict[str, Bench] = {
    "generator": Bench(measure_generator, threads=1),
    "refinement": Bench(measure_refinement, threads=1),
    "candidates": Bench(measure_candidates, threads=1),
    "jacobian": Bench(measure_jacobian, threads=1),
    "pairs": Bench(measure_pairs, threads=2),
    "fit": Bench(measure_fit, threads=2),
}


def measure(name: str) -> list[Measurement]:
    """The lines of one measurement, from a process of its own."""
    if name not in MEASUREMENTS:
        raise UnknownNameError(f"no measurement {name!r}; {nearest(name, MEASUREMENTS)}")
    threads = str(MEASUREMENTS[name].threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, "-m", "sr_accessor.evaluation.speed", name]
    return [Measurement(**line) for line in json.loads(_output(command, environment).splitlines()[-1])]


def _output(command: list[str], environment: dict[str, str]) -> str:
    """Standard output of a process; its standard error goes through.

    Raises
    ------
    SymRegError : it failed.
    """
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SymRegError(f"{' '.join(command[1:])} ended with status {done.returncode}; its message is above")
    return done.stdout


@click.command()
@click.option("--only", callback=words, help=f"Of {', '.join(MEASUREMENTS)}; default all.")
def speed(only) -> None:
    """Time what must be fast beside its reference and print both with the goal."""
    lines = [asdict(line) for name in only or MEASUREMENTS for line in measure(name)]
    table = pd.DataFrame(lines)
    table["ratio"] = [f"{r:.2f}" if r == r and r is not None else "-" for r in table["ratio"]]
    table["ok"] = table["ok"].map({True: "yes", False: "NO"})
    click.echo(table.to_string(index=False))
    click.echo(provenance(threads="1, but 2 for pairs and fit"))


if __name__ == "__main__":  # one measurement, for `measure`
    bench = MEASUREMENTS[sys.argv[1]]
    torch.set_num_threads(bench.threads)
    print(json.dumps([asdict(line) for line in bench.function()]))
