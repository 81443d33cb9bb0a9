"""evaluation coverage: do error bars tell the truth? Pulls of constants and coverage of bands over simulated data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import click
import pandas as pd
import torch

from sr_accessor.device import DTYPE, generator
from sr_accessor.evaluation.machine import provenance
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.noise.laplace import LAPLACE
from sr_accessor.noise.lognormal import LOGNORMAL
from sr_accessor.noise.model import NoiseModel
from sr_accessor.noise.multiplicative import MULTIPLICATIVE
from sr_accessor.noise.negative_binomial import NEGATIVE_BINOMIAL
from sr_accessor.noise.poisson import POISSON
from sr_accessor.noise.student_t import STUDENT_T
from sr_accessor.refinement.likelihood import most_likely
from sr_accessor.uncertainty.bands import band
from sr_accessor.uncertainty.laplace import covariance

__all__ = ["EXPERIMENTS", "Experiment", "coverage", "simulate"]

#: A decay onto a background: one constant enters nonlinearly, and the counts are between 20 and 120.
LAW = "100.0*exp(-0.8*x) + 20.0"
ROWS, LONGEST, GRID = 80, 5.0, 41
LEVELS = {"68 %": 0.6826894921370859, "95 %": 0.95}
#: Goals: mean and standard deviation of pulls, and coverage, may be off by this much.
MEAN, DEVIATION, COVERED = 0.15, 0.10, 0.03


@dataclass(frozen=True)
class Experiment:
    """How measurements of the law scatter.

    Parameters
    ----------
    noise : the noise model that simulates and that fits
    own : its own parameters in the simulation
    sigma : error bars at the first and at the last row, in units of y, or None
    goal : whether the table's goals are asked of it
    """

    noise: NoiseModel
    own: tuple[float, ...] = ()
    sigma: tuple[float, float] | None = None
    goal: bool = True


EXPERIMENTS = {
    "gaussian": Experiment(GAUSSIAN, (4.0,)),
    "gaussian, sigma": Experiment(GAUSSIAN, (), (6.0, 2.0)),
    "gaussian, relative sigma": Experiment(replace(GAUSSIAN, absolute=False), (2.0,), (3.0, 1.0)),
    "poisson": Experiment(POISSON),
    "student_t": Experiment(STUDENT_T, (4.0, 3.0)),
    "student_t, sigma": Experiment(STUDENT_T, (4.0,), (5.0, 2.0)),
    "negative_binomial": Experiment(NEGATIVE_BINOMIAL, (0.02,), goal=False),
    "multiplicative": Experiment(MULTIPLICATIVE, (0.1,), goal=False),
    "lognormal": Experiment(LOGNORMAL, (0.1,), goal=False),
    "laplace": Experiment(LAPLACE, (3.0,), goal=False),
}


def _law() -> Expressions:
    return parse(LAW, Vocabulary(ELEMENTARY), ["x"]).freed()


def simulate(experiment: Experiment, sets: int, seed: int) -> dict[str, float]:
    """Simulate data sets, fit all of them in one batch, and see how often error bars and bands hold the truth.

    Returns
    -------
    Largest |mean|, and largest deviation from 1 of the standard deviation, of the constants' pulls
    (estimate − truth)/stderr; coverage of confidence and prediction bands at both levels; and the share of data sets
    that could be fitted.
    """
    random, law, noise = generator(seed), _law(), experiment.noise
    x = torch.linspace(0, LONGEST, ROWS, dtype=DTYPE)[:, None]
    truth = evaluate(law, x)[0].expand(sets, -1)
    own = torch.tensor([experiment.own], dtype=DTYPE).expand(sets, -1)
    sigma = None if experiment.sigma is None else torch.linspace(*experiment.sigma, ROWS, dtype=DTYPE)
    y = noise.sample(random, truth, sigma, own)
    start = law[[0] * sets]
    found = most_likely(start.with_constants(1.3 * start.constants), x, y, noise, sigma, steps=60, tolerance=1e-10)
    fitted = found.loss.isfinite().nonzero()[:, 0]
    laws, y = found.expressions[fitted], y[fitted]
    laplace = covariance(laws, x, y, sigma, noise=noise)
    pulls = (laws.constants - law.constants) / laplace.stderr

    points = torch.linspace(0, LONGEST, GRID, dtype=DTYPE)[:, None]
    expected = evaluate(law, points)[0]
    new_sigma = None if experiment.sigma is None else torch.linspace(*experiment.sigma, GRID, dtype=DTYPE)
    new = noise.sample(random, expected.expand(len(laws), -1), new_sigma, own[fitted])
    estimated = noise.estimate(y, evaluate(laws, x)[0], sigma)
    shares = {"mean": float(pulls.mean(0).abs().max()), "deviation": float((pulls.std(0) - 1).abs().max())}
    for name, level in LEVELS.items():
        _, low, high = band(laws, laplace, points, level)
        shares[f"law {name}"] = float(((low <= expected) & (expected <= high)).double().mean())
        _, low, high = band(laws, laplace, points, level, noise=noise, own=estimated, sigma=new_sigma)
        shares[f"new {name}"] = float(((low <= new) & (new <= high)).double().mean())
    return {**shares, "fitted": len(fitted) / sets}


def as_good_as_asked(row: dict[str, float]) -> bool:
    """Whether pulls and the law's bands are within the goals."""
    bands = all(abs(row[f"law {name}"] - level) <= COVERED for name, level in LEVELS.items())
    return row["mean"] <= MEAN and row["deviation"] <= DEVIATION and bands and row["fitted"] == 1


@click.command()
@click.option("--sets", default=3000, show_default=True, help="Simulated data sets of each experiment.")
@click.option("--seed", default=0, show_default=True)
def coverage(sets: int, seed: int) -> None:
    """Pulls of constants, and coverage of 68 % and 95 % bands of the law and of new measurements.

    Of 300 data sets the standard deviation of pulls is itself uncertain by 0.04, of 3,000 by 0.013.
    """
    rows = {name: simulate(experiment, sets, seed) for name, experiment in EXPERIMENTS.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.columns = ["|mean pull|", "|std pull − 1|", *table.columns[2:]]
    verdicts = {name: "yes" if as_good_as_asked(row) else "NO" for name, row in rows.items()}
    table["ok"] = [verdicts[name] if experiment.goal else "-" for name, experiment in EXPERIMENTS.items()]
    click.echo(table.to_string(float_format=lambda value: f"{value:.3f}"))
    click.echo(
        f"{LAW} at {ROWS} points; largest of the constants' pulls; goals: mean 0 ± {MEAN}, std 1 ± {DEVIATION}, "
        f"bands of the law within {100 * COVERED:.0f} points"
    )
    click.echo(provenance(sets=sets, seed=seed))
