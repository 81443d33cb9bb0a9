import os
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

import sr_accessor as sr
from sr_accessor.device import alone
from sr_accessor.plugins.manager import noise_model, vocabulary
from sr_accessor.search import rounds as module
from sr_accessor.search.loop import find, join, start, step
from sr_accessor.search.rounds import Rounds
from sr_accessor.search.selection import Data


@pytest.fixture
def begun():
    """A search in two variables that no early round ends."""
    alone()
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(80, 2, generator=generator, dtype=torch.float64) + 0.5
    y = torch.sin(3 * x[:, 0] * x[:, 1]) + torch.exp(-x[:, 1]) * x[:, 0] + 0.3 * torch.cos(5 * x[:, 0])
    return start(Data(x, y, None, noise_model("gaussian")), vocabulary("default"), seed=0)


@pytest.fixture
def computed(monkeypatch):
    """The rounds that this process computed."""
    here, known = os.getpid(), []

    def counted(state):
        if os.getpid() == here:
            known.append(state.round)
        return find(state)

    monkeypatch.setattr(module, "find", counted)
    return known


def states(begun, *, beside, count=4):
    found = []
    with Rounds(beside=beside) as rounds:
        rounds._beside = beside  # on one core too
        for _ in range(count):
            begun = rounds.step(begun)
            found.append(begun)
    return found


def same(one, other):
    assert one.round == other.round and one.doing == other.doing and dict(one.proposed) == dict(other.proposed)
    for mine, theirs in ((one.front, other.front), (one.population, other.population)):
        mine_e, theirs_e = mine.expressions.trimmed(), theirs.expressions.trimmed()
        assert torch.equal(mine_e.codes, theirs_e.codes) and torch.equal(mine_e.constants, theirs_e.constants)
        assert torch.equal(mine.loss, theirs.loss) and mine.origins == theirs.origins


def test_two_processes_find_what_one_finds(begun, computed):
    one = states(begun, beside=False)
    assert computed == [0, 1, 2, 3]
    computed.clear()
    for mine, theirs in zip(one, states(begun, beside=True), strict=True):
        same(mine, theirs)
    assert computed == [0, 2]


def test_the_second_of_a_pair_begins_where_the_first_did(begun):
    first, second = states(begun, beside=False, count=2)
    same(second, join(first, find(replace(begun, round=1))))


def test_what_fails_in_the_other_process_is_computed_here(begun, computed, monkeypatch):
    here, packed = os.getpid(), module._packed
    monkeypatch.setattr(module, "_packed", lambda found: packed(found if os.getpid() == here else None))
    for mine, theirs in zip(states(begun, beside=False), states(begun, beside=True), strict=True):
        same(mine, theirs)
    assert computed == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_machine_without_memory_for_a_second_process_does_without(begun, computed, monkeypatch):
    def refused():
        raise BlockingIOError("fork: Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    pipes = len(os.listdir("/proc/self/fd"))
    assert [state.round for state in states(begun, beside=True)] == [1, 2, 3, 4] and computed == [0, 1, 2, 3]
    assert len(os.listdir("/proc/self/fd")) == pipes


def test_searches_in_turn_keep_to_themselves(begun):
    other = replace(begun, workspace=replace(begun.workspace))
    with Rounds(beside=False) as rounds:
        first = rounds.step(begun)
        assert rounds.resting(first) is begun
        rounds.step(other)
        same(rounds.step(first), step(first))
        assert rounds.resting(first) is first


def test_no_process_is_left_behind(begun):
    with Rounds(beside=True) as rounds:
        rounds._beside = True
        rounds.step(begun)
        process = rounds._other._process
        assert os.path.exists(f"/proc/{process}")
    assert not os.path.exists(f"/proc/{process}")


def test_parts_of_a_template_are_searched_one_after_the_other():
    x = np.linspace(0.5, 2, 60)
    frame = pd.DataFrame({"x": x, "z": np.roll(x, 17)})
    frame["y"] = 3 * np.exp(-(frame.x**2)) * (frame.z + 1 / frame.z)
    seen = []
    sr.fit(frame, "y", template="f(x)*g(z)", max_rounds=3, random_state=0, progress=False, callbacks=[seen.append])
    for before, after in pairwise(seen):
        same(after, step(before))
