"""Error bars tell the truth: pulls and coverage over 300 simulated data sets, as issue E asks."""

import pytest

from sr_accessor.evaluation.coverage import EXPERIMENTS, as_good_as_asked, simulate


@pytest.mark.parametrize("name", [name for name, experiment in EXPERIMENTS.items() if experiment.goal])
def test_pulls_and_bands(name):
    row = simulate(EXPERIMENTS[name], sets=300, seed=1)
    assert as_good_as_asked(row), row
    assert row["new 95 %"] == pytest.approx(0.95, abs=0.02)


def test_the_verdict_looks_at_every_number():
    row = simulate(EXPERIMENTS["poisson"], sets=300, seed=1)
    assert not as_good_as_asked({**row, "deviation": 0.2})
    assert not as_good_as_asked({**row, "law 95 %": 0.91})
    assert not as_good_as_asked({**row, "fitted": 0.99})
