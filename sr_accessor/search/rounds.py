"""Rounds in pairs: both of a pair begin at the same state, and the second runs beside the first where it can.

Which state a round begins at does not depend on the number of processes: the n-th state is the same with one. The
parts of a template are searched in turn, each beside what was just found for the others: there are no pairs.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

import torch
from safetensors.torch import load, save

from sr_accessor.expressions.batch import Expressions
from sr_accessor.forked import Forked, available
from sr_accessor.search.loop import Found, find, join, step
from sr_accessor.search.selection import Scored
from sr_accessor.search.state import SearchState

__all__ = ["Rounds"]

#: Seconds, and times of the first round of a pair, after which the second is no longer waited for.
LEAST_PATIENCE, PATIENCE_TIMES = 10.0, 10.0


class Rounds:
    """The rounds of a search, one after the other; a context that ends with the search.

    Parameters
    ----------
    beside : whether a second process may be used; it is where there are two cores and the data are in their memory
    """

    def __init__(self, *, beside: bool):
        self._beside = beside and available()
        self._begun: SearchState | None = None  # where the pair began whose second round comes next
        self._other: Forked | None = None
        self._first_seconds = 0.0

    def __enter__(self) -> Rounds:
        return self

    def __exit__(self, *error: object) -> None:
        self._end_other()

    def step(self, state: SearchState) -> SearchState:
        """One round.

        Raises
        ------
        Stopped : the search was asked to end meanwhile
        """
        if self._within_pair(state):
            return join(state, self._second(self._begun))
        self._end_other()
        self._begun = None
        if state.round % 2 or state.workspace.given.template is not None:  # or a search that had ended within a pair
            return step(state)
        self._begun = state
        second = replace(state, round=state.round + 1)
        if self._beside and state.workspace.data.y.device.type == "cpu":
            self._other = self._copy(second)
        began = time.monotonic()
        found = find(state)
        self._first_seconds = time.monotonic() - began
        return join(state, found)

    def _second(self, begun: SearchState) -> Found:
        """What the second round of a pair finds."""
        second, sent = replace(begun, round=begun.round + 1), None
        if self._other is not None:
            sent = self._other.result(LEAST_PATIENCE + PATIENCE_TIMES * self._first_seconds)
            self._beside = sent is not None  # what failed once would fail again
        self._end_other()
        self._begun = None
        return find(second) if sent is None else _unpacked(sent, second)

    def resting(self, state: SearchState) -> SearchState:
        """Where a search that stops at `state` is to go on: within a pair where it began, to find the same again."""
        return self._begun if self._within_pair(state) and not state.finished else state

    def _within_pair(self, state: SearchState) -> bool:
        """Whether the second round of the pair comes next; of several searches in turn each has its own."""
        begun = self._begun
        return begun is not None and begun.round + 1 == state.round and begun.workspace is state.workspace

    def _copy(self, second: SearchState) -> Forked | None:
        """The second round in a process of its own; None from now on where the machine grants none."""
        try:
            return Forked(lambda: _packed(find(second)))
        except OSError:
            self._beside = False
            return None

    def _end_other(self) -> None:
        if self._other is not None:
            self._other.close()
        self._other = None


def _packed(found: Found) -> bytes:
    """As bytes, without the vocabulary and its functions: tensors, and words as JSON."""
    scored = found.scored
    tensors = {name: getattr(scored, name) for name in ("loss", "bits", "stderr")}
    tensors |= {name: getattr(scored.expressions, name) for name in ("codes", "constants")}
    words = json.dumps({"origins": scored.origins, "proposed": dict(found.proposed)}).encode()
    tensors["words"] = torch.tensor(list(words), dtype=torch.uint8)
    return save({name: tensor.contiguous().clone() for name, tensor in tensors.items()})  # no two share memory


def _unpacked(sent: bytes, state: SearchState) -> Found:
    given = load(sent)
    words = json.loads(bytes(given["words"].tolist()))
    expressions = Expressions(given["codes"], given["constants"], state.workspace.vocabulary)
    scored = Scored(expressions, given["loss"], given["bits"], given["stderr"], tuple(words["origins"]))
    return Found(scored, words["proposed"])
