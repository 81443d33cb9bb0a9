"""evaluation in-domain: the paper's Table 2: functions of its own prior, four ways from points to a law, and sr.fit.

Protocol [Kamienny et al. 2022, §4.1; system.md §6.2]: every function has one set of 200 points, of which the first N
are given, and is judged at 200 points of a fresh draw of clusters. Every failure counts as one.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

import sr_accessor as sr
from sr_accessor.device import generator
from sr_accessor.errors import ModelNotFoundError, SymRegWarning
from sr_accessor.evaluation.intervals import paired, wilson
from sr_accessor.evaluation.machine import provenance
from sr_accessor.evaluation.modes import REFINEMENTS, TOLERANCES, Mode, modes_of, scores, values_of
from sr_accessor.evaluation.options import numbers
from sr_accessor.evaluation.runner import Task, run
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.prior.examples import PAPER_LARGEST, sample_examples
from sr_accessor.prior.inputs import POINTS, paper_clusters
from sr_accessor.prior.trees import PAPER_DIMENSIONS
from sr_accessor.training.stream import HELD_OUT_SEED
from sr_accessor.transformer.checkpoint import find, load

__all__ = [
    "NOISES",
    "PAPER",
    "PRODUCT",
    "SCALES",
    "SCORES",
    "SIZES",
    "Law",
    "PaperFunction",
    "Prepared",
    "budget",
    "checks",
    "fit_options",
    "in_domain",
    "measure",
    "paper_functions",
    "product",
    "product_name",
    "table_2",
]

#: Given points; the test points' standard deviations; levels ε of noise y·(1 + ε·ξ) [figure 4].
SIZES, SCALES, NOISES = (50, 100, 150, 200), (1, 2, 4, 8, 16, 32), (0.001, 0.01, 0.1)
#: Table 2 of the paper: R², and accuracy to 0.1, 0.01 and 0.001; after 150 million examples.
PAPER: Mapping[str, tuple[float, float, float, float]] = {
    "skeleton": (0.43, 0.40, 0.27, 0.17),
    "raw": (0.62, 0.51, 0.27, 0.09),
    "random": (0.44, 0.44, 0.30, 0.19),
    "own": (0.68, 0.61, 0.44, 0.29),
}
PAPER_EXAMPLES = 150e6
#: The whole library, as a fifth way.
PRODUCT = "sr.fit"
#: The columns of `PAPER`.
SCORES = ("R2", *(f"Acc {t:g}" for t in TOLERANCES))
#: What a row says after its task; a scale is Acc 0.1 at wider test points.
COLUMNS = (
    "unaries", "binaries", "variables", "no law", *SCORES, *(f"scale {s}" for s in SCALES), "seconds", "drafts",
    "truth", "law",
)  # fmt: skip
#: Of a law in the results: names of its variables, and digits of its numbers.
_NAMES, _DIGITS = tuple(f"x{i}" for i in range(PAPER_DIMENSIONS)), 5
#: Draws of points before a law is given up: one that is rarely valid has no fresh points either. Laws drawn at once.
_DRAWS, _BLOCK = 8, 64


@dataclass(frozen=True)
class PaperFunction:
    """A held-out law of the prior `paper`.

    Parameters
    ----------
    x, y : (200, D), (200,); the first N are given
    fresh_x : (200, D), of other clusters
    unaries, binaries : operators before constants were put in, as published: a law of b binaries has b + 1 leaves
    """

    law: Expressions
    x: torch.Tensor
    y: torch.Tensor
    fresh_x: torch.Tensor
    unaries: int
    binaries: int

    @property
    def variables(self) -> int:
        return self.x.shape[1]


def paper_functions(count: int, known: Vocabulary, *, seed: int, least_unaries: int = 0) -> list[PaperFunction]:
    """`count` functions, the first of which are those of a smaller `count`, from a seed that no training uses."""
    random, found = generator(HELD_OUT_SEED + 1_000_003 + seed), []
    unary = torch.tensor([known.id(o.name) for o in known if o.arity == 1])
    while len(found) < count:
        examples = sample_examples("paper", _BLOCK, random, known)
        for row, dimensions in enumerate(examples.dimensions.tolist()):
            law = examples.expressions[row]
            x = paper_clusters(torch.full((_DRAWS,), POINTS), torch.full((_DRAWS,), dimensions), random).double()
            y, valid = (t.view(_DRAWS, POINTS) for t in evaluate(law, x.reshape(-1, dimensions)))
            sound = (valid & (y.abs() <= PAPER_LARGEST)).all(1).nonzero()[:, 0]
            codes = law.codes[0]
            unaries, binaries = int(torch.isin(codes, unary).sum()), int((codes >= VARIABLE).sum()) - 1
            if len(sound) >= 2 and unaries >= least_unaries:
                first, fresh = sound[0], sound[1]
                found.append(PaperFunction(law.trimmed(), x[first], y[first], x[fresh], unaries, binaries))
            if len(found) == count:
                break
    return found


# ---------------------------------------------------------------------- solving
@dataclass(frozen=True)
class Law:
    """What was found.

    Parameters
    ----------
    text : the law as it is read
    predict : its values (M,) at points (M, D)
    drafts : of `sr.fit`, candidates that come from its network; 0 where the network's turn did not come
    """

    text: str
    predict: Callable[[torch.Tensor], np.ndarray]
    drafts: int | None = None


#: x (N, D), y (N,), seconds, seed -> Law, or None where none was found
Way = Callable[[torch.Tensor, torch.Tensor, float, int], Law | None]


def ways(modes: Sequence[Mode], known: Vocabulary) -> dict[str, Way]:
    """The modes by name."""

    def of(mode: Mode) -> Way:
        def find(x, y, seconds, seed):
            law = mode.law(x, y, known.restricted(mode.model.config.operators), generator(seed))
            return None if law is None else Law(_text(law), lambda points: values_of(law, points))

        return find

    return {mode.name: of(mode) for mode in modes}


def product(rounds: int | None = None, **options: object) -> Way:
    """The library's `fit` with these of its options; for so many rounds, or, where None, for the seconds of a task."""

    def find(x, y, seconds, seed):
        frame = pd.DataFrame(x.numpy(), columns=_NAMES[: x.shape[1]]).assign(y=y.numpy())
        limits = {"timeout": seconds} if rounds is None else {"timeout": math.inf, "max_rounds": rounds}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SymRegWarning)
            result = sr.fit(frame, "y", random_state=seed, progress=False, **limits, **options)
        best, proposed = result.best, result.provenance["proposed"]
        predict = lambda points: np.broadcast_to(best.predict_array(points.numpy()), len(points))  # noqa: E731
        drafts = sum(count for origin, count in proposed.items() if origin.startswith("network"))
        return Law(best.to_text(_DIGITS), predict, drafts)

    return find


def _text(law: Expressions) -> str:
    return to_text(law, _NAMES, digits=_DIGITS)[0]


def budget(seconds: float, rounds: int | None) -> str:
    """What `product` is given, for the line below a table."""
    return f"{seconds:g} s for {PRODUCT}" if rounds is None else f"{rounds} rounds of {PRODUCT}"


def product_name(rounds: int | None) -> str:
    """Of `product` among the ways: rows of other budgets are not the same rows."""
    return PRODUCT if rounds is None else f"{PRODUCT}, {rounds} rounds"


def measure(
    functions: Sequence[PaperFunction],
    by_name: Mapping[str, Way],
    path: Path,
    *,
    sizes: Sequence[int],
    noises: Sequence[float] = (),
    seconds: float,
    seed: int,
    minutes: float | None = None,
) -> pd.DataFrame:
    """Every way on every function with every number of points; with noise, on the largest number only.

    The ways follow each other function by function, so that a run cut short has compared them on the same.
    """
    tasks = [
        Task(f"{size} points", f"function {i}", seed, noise, name, seconds)
        for i in range(len(functions))
        for size, noise in [*((s, 0.0) for s in sizes), *((max(sizes), e) for e in noises)]
        for name in by_name
    ]

    def solve(task: Task) -> dict[str, object]:
        place = int(task.problem.split()[1])
        return _solve(functions[place], by_name[task.method], int(task.suite.split()[0]), task, seed + place)

    return run(tasks, solve, COLUMNS, path, minutes=minutes)


def _solve(f: PaperFunction, way: Way, size: int, task: Task, seed: int) -> dict[str, object]:
    x, y = f.x[:size], f.y[:size]
    if task.noise:
        y = y * (1 + task.noise * torch.randn(size, generator=generator(seed), dtype=y.dtype))
    began = time.process_time()
    found = way(x, y, task.budget, seed)
    row = {
        "seconds": round(time.process_time() - began, 3), "no law": found is None,
        "unaries": f.unaries, "binaries": f.binaries, "variables": f.variables,
        "drafts": found and found.drafts, "truth": _text(f.law), "law": found and found.text,
    }  # fmt: skip
    for scale in SCALES:
        points = scale * f.fresh_x
        truth, valid = (t[0] for t in evaluate(f.law, points))
        points, truth = points[valid], truth[valid].numpy()  # beyond its domain a law cannot be judged
        if not len(truth):
            continue
        prediction = np.full(len(truth), np.nan) if found is None else found.predict(points)
        judged = scores(truth, prediction)
        row[f"scale {scale}"] = judged["Acc 0.1"]
        row |= judged if scale == 1 else {}
    return row


# ---------------------------------------------------------------------- the table
def kind(method: str) -> str | None:
    """Which row of `PAPER` a mode is; None for the library."""
    return next((key for key, word in _WORDS.items() if word in method), None)


_WORDS = {"skeleton": "skeleton", "raw": "no ", "random": "N(0,1)", "own": "from its constants"}


def table_2(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over all functions and numbers of points without noise, failures included, beside the paper's."""
    clean, lines = rows[rows["noise"] == 0], []
    for name, group in clean.groupby("method", sort=False):
        published = PAPER.get(kind(name), ("-",) * len(SCORES))
        line: dict[str, object] = {"mode": name, "n": len(group)}
        for column, theirs in zip(SCORES, published, strict=True):
            values = group[column].astype(float)
            low, high = wilson(int(values.sum()), len(values)) if column != "R2" else (None, None)
            interval = "" if low is None else f" ({100 * low:.0f}-{100 * high:.0f})"
            line |= {column: f"{values.mean():.2f}{interval}", f"paper {column}": theirs}
        line |= {"no law": int(group["no law"].astype(bool).sum()), "mean s": f"{group['seconds'].mean():.2f}"}
        lines.append(line)
    return pd.DataFrame(lines)


def checks(rows: pd.DataFrame) -> list[str]:
    """The paper's findings, each with yes or no and the numbers behind it; those whose modes were not measured not."""
    clean = rows[rows["noise"] == 0]
    by_kind = {kind(name) or PRODUCT: name for name in dict.fromkeys(rows["method"])}
    mean = clean.groupby("method")[[*SCORES]].agg(lambda values: values.astype(float).mean())

    def value(which: str, column: str, table: pd.DataFrame = mean) -> float:
        return float(table.loc[by_kind[which], column])

    def pair(first: str, second: str, column: str, table: pd.DataFrame = mean) -> str:
        return f"{value(first, column, table):.3f} and {value(second, column, table):.3f}"

    found = []

    def say(claim: str, holds: bool, numbers: str) -> None:
        found.append(f"{'yes' if holds else 'no ':<3}  {claim}: {numbers}")

    tight, loose = "Acc 0.001", "Acc 0.1"
    if {"raw", "own"} <= by_kind.keys():
        better = value("own", tight) > max(2 * value("raw", tight), 0)
        say("refinement more than doubles Acc 0.001 of E2E", better, pair("own", "raw", tight))
    if {"raw", "skeleton"} <= by_kind.keys():
        say("unrefined E2E leads the skeleton model at Acc 0.1", value("raw", loose) > value("skeleton", loose),
            pair("raw", "skeleton", loose))  # fmt: skip
        say("unrefined E2E trails it at Acc 0.001", value("raw", tight) < value("skeleton", tight),
            pair("raw", "skeleton", tight))  # fmt: skip
        noisy = rows[rows["noise"] == rows["noise"].max()]
        if noisy["noise"].max() > 0:
            table = noisy.groupby("method")[[*SCORES]].agg(lambda values: values.astype(float).mean())
            say(f"unrefined E2E trails it under noise of {noisy['noise'].max():g}, Acc 0.1",
                value("raw", loose, table) < value("skeleton", loose, table),
                pair("raw", "skeleton", loose, table))  # fmt: skip
    if {"own", "random"} <= by_kind.keys():
        for column in SCORES:
            won = value("own", column) > value("random", column)
            say(f"start from the model beats a random start, {column}", won, pair("own", "random", column))
        one, other = (
            clean[clean["method"] == by_kind[k]].set_index(["suite", "problem"])[loose].astype(bool)
            for k in ("own", "random")
        )
        both = one.index.intersection(other.index)
        found.append(f"     ... {loose}: {paired(one[both], other[both])}")
    if PRODUCT in by_kind:
        for column, theirs in zip(SCORES, PAPER["own"], strict=True):
            ours = value(PRODUCT, column)
            say(f"{PRODUCT} above the paper's best, {column}", ours > theirs, f"{ours:.3f} and {theirs}")
    return found


def spent(name: str | Path) -> str:
    """What a network has cost, beside the paper's."""
    told = load(name).provenance
    examples, operations = float(told.get("examples", 0)), float(told.get("operations", 0))
    return (
        f"{name}: {examples:,.0f} examples ({examples / PAPER_EXAMPLES:.2%} of the paper's {PAPER_EXAMPLES:,.0f}), "
        f"{operations:.2g} floating-point operations"
    )


# ---------------------------------------------------------------------- the command
def shared_options(command: Callable) -> Callable:
    """Options that `in-domain` and `figure4` have in common: they write the same rows."""
    for option in reversed(
        [
            click.option("--functions", type=click.IntRange(min=1), default=100, show_default=True, help="Held out."),
            click.option("--weights", default="paper-e2e", show_default=True, help="Writes laws; a name or file."),
            click.option("--skeleton", default="paper-skeleton", show_default=True, help="Writes skeletons."),
            click.option(
                "--refinement", type=click.Choice(list(REFINEMENTS)), default="bfgs", show_default=True,
                help="Of constants: as published, or this library's.",
            ),
            click.option(
                "--points", "sizes", default=",".join(map(str, SIZES)), show_default=True, callback=_sizes,
                help="So many are given.",
            ),
            click.option(
                "--product/--no-product", "with_product", default=True, show_default=True, help="Also sr.fit."
            ),
        ]
    ):  # fmt: skip
        command = option(command)
    return fit_options(command)


def fit_options(command: Callable) -> Callable:
    """Options of the commands that call `sr.fit` on functions of the paper's prior."""
    for option in reversed(
        [
            click.option("--seconds", default=5.0, show_default=True, help="Budget of sr.fit for each function."),
            click.option(
                "--rounds",
                type=click.IntRange(min=1),
                help="Of sr.fit, in place of --seconds: the same on a busy machine.",
            ),
            click.option("--minutes", type=float, help="Begin nothing after this time; a later run goes on."),
            click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the functions."),
        ]
    ):
        command = option(command)
    return command


def _sizes(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    found = [int(n) for n in numbers(context, parameter, value)]
    if not found or not all(5 <= n <= POINTS for n in found):
        raise click.BadParameter(f"{value!r} must be numbers of points from 5 to {POINTS}, such as 50,100")
    return found


@dataclass(frozen=True)
class Prepared:
    """What the options ask for.

    Parameters
    ----------
    missing : what is not measured and why; "" where nothing is missing
    networks : names or files of those that are measured
    """

    functions: list[PaperFunction]
    ways: dict[str, Way]
    networks: tuple[str, ...]
    missing: str = ""


def prepared(
    functions: int, weights: str, skeleton: str, refinement: str, with_product: bool, rounds: int | None, seed: int
) -> Prepared:
    """The functions and the ways; without a skeleton network the three modes that need none.

    Operators are those that both networks write.
    """
    known, networks, missing = vocabulary(), (weights, skeleton), ""
    try:
        modes = modes_of(weights, find(skeleton), refinement)
    except ModelNotFoundError as error:
        find(weights)  # without which there is nothing to measure
        modes, networks = modes_of(weights, None, refinement), (weights,)
        missing = f"not measured: the skeleton model: {error}"
    common = [n for n in modes[0].model.config.operators if n in modes[-1].model.config.operators]
    some = paper_functions(functions, known.restricted(common), seed=seed)
    fitted = {product_name(rounds): product(rounds)} if with_product else {}
    return Prepared(some, ways(modes, known) | fitted, networks, missing)


@click.command("in-domain")
@shared_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="in-domain.csv", show_default=True)
def in_domain(
    functions, weights, skeleton, refinement, sizes, with_product, seconds, rounds, minutes, seed, out
) -> None:  # fmt: skip
    """Print the paper's Table 2 for functions of its prior, beside the published numbers, and which findings hold."""
    asked = prepared(functions, weights, skeleton, refinement, with_product, rounds, seed)
    rows = measure(asked.functions, asked.ways, out, sizes=sizes, seconds=seconds, seed=seed, minutes=minutes)
    click.echo(table_2(rows).to_string(index=False))
    click.echo(
        "R2: mean of max(0, R²); Acc t: error at most t·|y| at 95 % of 200 fresh points (95 % Wilson intervals); "
        "a law\nthat is missing or not finite counts as 0; n: functions × numbers of points"
    )
    for line in (*checks(rows), *map(spent, asked.networks), asked.missing):
        if line:
            click.echo(line)
    click.echo(provenance(functions=functions, points=",".join(map(str, sizes)), refinement=refinement,
                          budget=budget(seconds, rounds), seed=seed, rows=out))  # fmt: skip
