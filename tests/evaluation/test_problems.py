"""The visible pack: complete, finite, the same rows for a seed, the protocols' splits, NIST's residuals, units."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.evaluation.problems import load, read_records, select, stratified
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary

RECORDS = read_records()


def test_pack_is_complete():
    assert len(RECORDS) == len({r.name for r in RECORDS}) == 195
    assert Counter(r.suite for r in RECORDS) == {
        "feynman": 60, "livermore": 25, "keijzer": 15, "classic": 15, "nist_strd": 14, "nguyen": 13, "korns": 12,
        "constant": 8, "vladislavleva": 8, "blackbox": 8, "jin": 6, "rational": 6, "empirical": 5,
    }  # fmt: skip


@pytest.mark.parametrize("points", ["srbench", "source"])
def test_every_problem_has_finite_rows(points):
    for record in RECORDS:
        problem = load(record, 860, 0.0, points=points, max_train=60)
        for frame in (problem.train, problem.test):
            assert list(frame.columns) == [*record.features, record.target]
            assert len(frame) >= 2 and np.isfinite(frame.to_numpy()).all(), record.name
            assert (frame[record.target].abs() < record.largest).all()
        if points == "srbench":
            assert len(problem.train) <= 60


def test_load_depends_on_seed_and_name_only():
    one, other = select(names=["Nguyen-9", "Nguyen-10"])
    first = load(one, 860, 0.1)
    load(other, 860)
    again = load(one, 860, 0.1)
    pd.testing.assert_frame_equal(first.train, again.train)
    pd.testing.assert_frame_equal(first.test, again.test)
    assert not np.array_equal(first.train[one.features], load(one, 15795, 0.1).train[one.features])


def test_rows_are_the_protocols():
    # the reference loader of the pack, seed 23654, noise 0.01
    (record,) = select(names=["Nguyen-9"])
    problem = load(record, 23654, 0.01)
    assert len(problem.train) == 1000 and len(problem.test) == 334
    assert problem.train.iloc[0].tolist() == pytest.approx(
        [0.6612290114880298, 0.5335999073753533, 0.9019638393204649], rel=1e-12
    )
    assert problem.clean[0] == pytest.approx(0.8949845376176764, rel=1e-12)


def test_noise_is_on_the_training_target_only():
    (record,) = select(names=["Nguyen-9"])
    clean, noisy = load(record, 860), load(record, 860, 0.1)
    pd.testing.assert_frame_equal(clean.test, noisy.test)
    pd.testing.assert_frame_equal(clean.train[record.features], noisy.train[record.features])
    assert np.array_equal(noisy.clean, clean.train[record.target])
    shift = noisy.train[record.target] - noisy.clean
    assert shift.std() == pytest.approx(0.1 * np.sqrt(np.mean(noisy.clean**2)), rel=0.1)


def test_source_points_test_on_the_sources_range():
    (record,) = select(names=["Keijzer-1"])
    problem = load(record, points="source")
    assert len(problem.train) == 21 and len(problem.test) == 2001


def test_nist_certified_values_give_the_certified_residuals():
    checked = [r for r in RECORDS if r.certified]
    assert len(checked) == 14
    for record in checked:
        nist = record.certified
        problem = load(record, max_train=10**6)
        rows = pd.concat([problem.train, problem.test])
        names = [*record.features, *nist.values]
        inputs = rows[record.features].assign(**nist.values)[names]
        expression = parse(nist.model, Vocabulary(ELEMENTARY), names, numbers="literal")
        values = evaluate(expression, torch.from_numpy(inputs.to_numpy(copy=True)))[0][0].numpy()
        residual = float(np.sum((rows[record.target] - values) ** 2))
        # Lanczos1 is exact to 1e-25, of which the certified digits of the parameters leave 1e-20
        assert residual == pytest.approx(nist.residual_sum_of_squares, rel=1e-5, abs=1e-19), record.name


def test_select_names_the_nearest():
    with pytest.raises(UnknownNameError, match="no suite 'nguyn'; did you mean 'nguyen'"):
        select(["nguyn"])
    with pytest.raises(UnknownNameError, match="no problem 'Nguyen-99'"):
        select(names=["Nguyen-99"])
    assert {r.suite for r in select(["jin", "constant"])} == {"jin", "constant"}


def test_a_table_without_a_law_says_so():
    (record,) = select(names=["diabetes"])
    with pytest.raises(InputError, match="no known formula"):
        record.expression  # noqa: B018


def test_every_beginning_of_the_stratified_order_is_in_proportion():
    order = stratified(RECORDS, seed=3)
    assert sorted(r.name for r in order) == sorted(r.name for r in RECORDS)
    assert order == stratified(RECORDS, seed=3) != stratified(RECORDS, seed=4)
    whole = Counter(r.suite for r in RECORDS)
    for n in (30, 60, 120):
        part = Counter(r.suite for r in order[:n])
        assert all(abs(part[s] - n * whole[s] / 195) <= 1.5 for s in whole), part


def test_every_feynman_law_is_consistent_in_its_units():
    from sr_accessor.expressions.dimensions import Dimensions, check_reachable, consistent, mismatch

    with_units = [record for record in read_records() if record.units]
    assert {record.suite for record in with_units} == {"feynman"} and len(with_units) == 60
    for record in with_units:
        assert set(record.units) == {*record.features, record.target}
        given = [record.units[name] for name in record.features]
        dimensions = Dimensions.of(given, record.units[record.target], record.features, record.target)
        check_reachable(dimensions, record.features, record.target)
        told = mismatch(record.expression, dimensions, record.features, record.target)
        assert told is None and bool(consistent(record.expression, dimensions)), (record.name, told)


def test_units_are_in_the_table_only_where_asked_for():
    (record,) = select(names=["feynman_I_12_2"])
    assert load(record, max_train=10).train.attrs == {}
    assert load(record, max_train=10, units=True).train.attrs["units"]["q1"] == "C"
