"""Pause: where a search stopped and what it was asked, without its libraries; what it takes to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, VARIABLE, Vocabulary
from sr_accessor.options import FitOptions
from sr_accessor.search.front import Front
from sr_accessor.search.selection import Scored
from sr_accessor.search.state import PATIENCE, SearchState

__all__ = ["Pause"]


@dataclass(frozen=True, eq=False)
class Pause:
    """A search that rests; the fields of `SearchState` mean what they mean there.

    Parameters
    ----------
    options : how the user asked for it
    """

    options: FitOptions
    seed: int
    round: int
    front: Front
    population: Scored
    proposed: Mapping[str, int]
    waiting: int
    exact: bool
    quiet: bool
    doing: str

    @classmethod
    def of(cls, state: SearchState, options: FitOptions) -> Pause:
        """The pause of a search, on the CPU."""
        e, p = state.front.expressions.to("cpu"), state.population
        parents = p.expressions.to("cpu").trimmed()
        stderr = p.stderr.cpu()[:, : parents.constants.shape[1]]
        population = Scored(parents, p.loss.cpu(), p.bits.cpu(), stderr, p.origins)
        return cls(
            options=replace(options, callbacks=(), progress="auto", checkpoint=None),
            front=Front(e, state.front.loss.cpu(), state.front.bits.cpu(), state.front.origins),
            population=population,
            **{name: getattr(state, name) for name in ("seed", "round", "waiting", "exact", "quiet", "doing")},
            proposed=dict(state.proposed),
        )

    def state(self, started: SearchState) -> SearchState:
        """The search again, in the workspace of one that was just started on the same rows.

        One that had ended for lack of finds begins to wait anew.
        """
        work, device = started.workspace, started.workspace.data.y.device
        codes = work.vocabulary
        front, p = self.front, self.population
        ended = self.quiet or self.waiting >= PATIENCE
        return SearchState(
            workspace=work,
            seed=self.seed,
            round=self.round,
            front=Front(
                _spelled(front.expressions, codes).to(device),
                front.loss.to(device), front.bits.to(device), front.origins,
            ),
            population=Scored(
                _spelled(p.expressions, codes).to(device),
                p.loss.to(device), p.bits.to(device), p.stderr.to(device), p.origins,
            ),
            proposed=self.proposed,
            waiting=0 if ended else self.waiting,
            exact=self.exact,
            quiet=False,
            doing=self.doing,
        )  # fmt: skip


def _spelled(e: Expressions, vocabulary: Vocabulary) -> Expressions:
    """The same expressions in the ids of another vocabulary, which has their operators by the same names."""
    if e.vocabulary == vocabulary:
        return e
    ids = torch.arange(max(VARIABLE, int(e.codes.max())) + 1)
    for code in torch.unique(e.codes[(e.codes >= FIRST_OPERATOR) & (e.codes < VARIABLE)]).tolist():
        ids[code] = vocabulary.id(e.vocabulary.operator(code).name)
    return replace(e, codes=ids[e.codes], vocabulary=vocabulary)
