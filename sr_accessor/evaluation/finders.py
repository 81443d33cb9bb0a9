"""Finders: one source of candidates alone, with or without refinement, for a given number of seconds.

No search is behind them, so two networks, or a network and the prior it was trained on, differ by what they propose
and by nothing else.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sr_accessor.decoding import scaling
from sr_accessor.decoding.draft import BAGS, draft
from sr_accessor.device import DTYPE, generator
from sr_accessor.evaluation.problems import Problem
from sr_accessor.evaluation.scoring import Answer, Method
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.symbolic import to_sympy
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.refinement.levenberg_marquardt import levenberg_marquardt
from sr_accessor.transformer.checkpoint import load
from sr_accessor.transformer.model import Transformer

__all__ = [
    "PRIOR",
    "ROWS",
    "Finder",
    "Found",
    "Proposals",
    "beam_proposals",
    "find_within",
    "finder",
    "method_of",
    "network_proposals",
    "prior_proposals",
]

#: Candidates of one round. Rounds of 64 cost nearly as much: both sources look at two and a half times as many per
#: second in rounds of 256.
ROUND = 256
#: Widest beam of a bag, for the memory.
WIDEST = 1024
#: A law is exact when its squared residuals are this part of Σy²; then the search for it is over.
EXACT = 1e-24
#: The finder without a network: samples of the prior that the networks are trained on.
PRIOR = "prior"
#: Rows of a visible problem that finders see; SRBench's tables have thousands.
ROWS = 300


@dataclass(frozen=True)
class Found:
    """The best law of one finder.

    Parameters
    ----------
    law : one row, in the units of the data; None where no candidate was valid at all points
    candidates : how many were looked at
    seconds : spent, on the clock of `find_within`
    """

    law: Expressions | None
    candidates: int
    seconds: float


#: x (N, D), y (N,), generator -> a function that gives the next round of candidates in the units of the data
Proposals = Callable[[torch.Tensor, torch.Tensor, torch.Generator], Callable[[], Expressions]]
#: x (N, D), y (N,), seconds, generator -> Found
Finder = Callable[[torch.Tensor, torch.Tensor, float, torch.Generator], Found]


def network_proposals(model: Transformer, vocabulary: Vocabulary, temperature: float = 1.0) -> Proposals:
    """Rounds of samples of a network."""

    def begin(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> Callable[[], Expressions]:
        return lambda: (
            draft(
                model, x, y, vocabulary=vocabulary, generator=generator, samples=ROUND, temperature=temperature
            ).expressions
        )

    return begin


def beam_proposals(model: Transformer, vocabulary: Vocabulary) -> Proposals:
    """Beams of a network, each twice as wide as the one before up to `WIDEST`, lest the same laws come again."""

    def begin(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> Callable[[], Expressions]:
        widths = (min(ROUND // BAGS << k, WIDEST) for k in itertools.count())
        return lambda: (
            draft(model, x, y, vocabulary=vocabulary, generator=generator, beam_width=next(widths)).expressions
        )

    return begin


def prior_proposals(prior: str, vocabulary: Vocabulary) -> Proposals:
    """Rounds of samples of the prior, on data scaled as the networks see them: what a network has to beat."""

    def begin(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> Callable[[], Expressions]:
        scaled = scaling.fit(x[None], y[None])
        return lambda: scaled.unscale(sample_expressions(prior, ROUND, x.shape[1], vocabulary, generator))

    return begin


def find_within(
    proposals: Proposals,
    x: torch.Tensor,
    y: torch.Tensor,
    seconds: float,
    generator: torch.Generator,
    *,
    refine: bool = True,
) -> Found:
    """The candidate of least squared error of as many rounds as begin within the time; the first of equals.

    Time is that of the processor on one thread, so that a busy machine favours nobody, and wall time otherwise.
    """
    clock = time.process_time if torch.get_num_threads() == 1 and x.device.type == "cpu" else time.perf_counter
    began, energy = clock(), float((y * y).sum())
    propose = proposals(x, y, generator)
    best, least, seen = None, float("inf"), 0
    while True:
        candidates = propose()
        seen += len(candidates)
        if refine:
            refined = levenberg_marquardt(candidates, x, y)
            candidates, loss = refined.expressions, refined.loss
        else:
            values, valid = evaluate(candidates, x)
            loss = torch.where(valid, (values - y) ** 2, torch.inf).sum(1)
        loss = torch.where(torch.isfinite(loss), loss.clamp(min=EXACT * energy), torch.inf)
        if len(candidates) and float(loss.min()) < least:
            tied = (loss == loss.min()).nonzero()[:, 0]
            chosen = tied[candidates.complexity[tied].argmin()][None]
            best, least = candidates[chosen].trimmed(), float(loss.min())
        if least <= EXACT * energy or clock() - began >= seconds:
            return Found(best, seen, clock() - began)


def finder(name: str | Path, vocabulary: Vocabulary, *, prior: str = "science") -> Finder:
    """The finder of a network, by name or file, or of `PRIOR`; with refinement."""
    if name == PRIOR:
        proposals = prior_proposals(prior, vocabulary)
    else:
        proposals = network_proposals(load(name).model, vocabulary)
    return lambda x, y, seconds, generator: find_within(proposals, x.to(DTYPE), y.to(DTYPE), seconds, generator)


def method_of(find: Finder) -> Method:
    """A finder as a method of the visible pack; it sees `ROWS` of the training rows."""

    def answer(problem: Problem, seconds: float) -> Answer:
        record, began = problem.record, time.perf_counter()
        table = problem.train.sample(min(ROWS, len(problem.train)), random_state=problem.seed)
        x, y = (torch.tensor(table[c].to_numpy(float), dtype=DTYPE) for c in (record.features, record.target))
        law = find(x, y, seconds, generator(problem.seed)).law
        took = time.perf_counter() - began

        def predict(inputs: pd.DataFrame) -> np.ndarray:
            points = torch.tensor(inputs[record.features].to_numpy(float), dtype=DTYPE)
            values = evaluate(law, points)[0][0] if law is not None else torch.full((len(points),), torch.nan)
            return values.numpy()

        expression = None if law is None else to_sympy(law, record.features)[0]
        return Answer(predict, expression, "done", took, None if law is None else int(law.complexity))

    return answer
