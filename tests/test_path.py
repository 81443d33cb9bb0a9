"""The whole path on small tables: ``df.symreg.fit("y")`` to html, with the real engine."""

import math
import time

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

import sr_accessor as sr
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR, VARIABLE

KEPLER = pd.DataFrame(
    {
        "a [AU]": [0.387, 0.723, 1.0, 1.524, 5.203, 9.537, 19.19, 30.07],
        "P [d]": [87.97, 224.7, 365.26, 686.98, 4332.6, 10759.2, 30688.5, 60182.0],
    }
)


def table(formula, count=60, noise=0.0, seed=0, columns=("x", "z")):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({name: random.uniform(0.5, 3, count) for name in columns})
    clean = formula(frame)
    return frame.assign(y=clean + noise * np.std(clean) * random.normal(size=count))


def written(result) -> set[str]:
    """Names of the operators in the laws of a front."""
    return {operator for law in result for operator in operators_of(law)}


def operators_of(law) -> set[str]:
    expression = law.expression
    codes = expression.codes[(expression.codes >= FIRST_OPERATOR) & (expression.codes < VARIABLE)]
    return {expression.vocabulary.operator(code).name for code in codes.tolist()}


# -------------------------------------------------------------------------------------------- laws
def test_kepler_to_html():
    began = time.perf_counter()
    result = KEPLER.symreg.fit("P [d]", timeout=4, random_state=0)
    fitted = result.best.predict(KEPLER)
    np.testing.assert_allclose(fitted, KEPLER["P [d]"], rtol=5e-3)
    slope = np.diff(np.log(result.best.predict(pd.DataFrame({"a [AU]": [1.0, 10.0]})))) / math.log(10)
    assert slope == pytest.approx([1.5], abs=0.02)
    page = result._repr_html_()
    assert "a [AU]" in page and "P [d]" in page and "<table" in page
    assert str(result) and result.to_latex()
    assert time.perf_counter() - began < 8


def test_exact_law_ends_by_itself_and_leaves_the_irrelevant_column_out():
    frame = table(lambda f: 3 * f.x**2 / (1 + f.z), columns=("x", "z", "unrelated"))
    result = frame.symreg.fit("y", timeout=600, random_state=1)
    assert result.status == "converged"
    np.testing.assert_allclose(result.best.predict(frame), frame.y, rtol=1e-12)
    assert not bool(result.best.expression.uses(result.names.index("unrelated")).any())


def test_a_noisy_law_is_the_law():
    frame = table(lambda f: 2.5 * np.exp(-0.8 * f.x) + 0.3 * f.z, count=120, noise=0.01)
    result = frame.symreg.fit("y", max_rounds=8, timeout=60, random_state=0)
    clean = table(lambda f: 2.5 * np.exp(-0.8 * f.x) + 0.3 * f.z, count=120)
    error = np.sqrt(np.mean((result.best.predict(frame) - clean.y) ** 2)) / clean.y.std()
    assert error < 0.006  # less than the noise: the noise was not learnt


def test_odd_labels():
    frame = table(lambda f: f.x * f.z).rename(columns={"x": "my column", "z": ("a", 1), "y": 7})
    result = frame.symreg.fit(7, timeout=10, random_state=0)
    np.testing.assert_allclose(result.best.predict(frame), frame[7], rtol=1e-12)
    assert "my column" in str(result.best)


# -------------------------------------------------------------------------------------------- degenerate targets
@pytest.mark.filterwarnings("ignore::sr_accessor.errors.SymRegWarning")
def test_pure_noise_is_a_constant():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(100, 3)), columns=["a", "b", "y"])
    result = frame.symreg.fit("y", timeout=60, max_rounds=12, random_state=0)
    assert not operators_of(result.best), str(result.best)


@pytest.mark.filterwarnings("ignore:CONSTANT")
def test_a_constant_target_is_its_own_law():
    frame = pd.DataFrame({"x": np.arange(30.0), "y": 4.25})
    result = frame.symreg.fit("y", random_state=0)
    assert result.status == "converged" and len(result) == 1
    assert float(result.best.predict(frame).iloc[0]) == 4.25


# -------------------------------------------------------------------------------------------- determinism, clock
def test_same_seed_and_rounds_give_the_same_front():
    frame = table(lambda f: np.sin(f.x) * f.z + 0.1 * f.x, count=40, noise=0.02)
    one, two = (frame.symreg.fit("y", max_rounds=3, timeout=600, random_state=5) for _ in range(2))
    assert one.status == two.status
    pd.testing.assert_frame_equal(one.front, two.front, check_exact=True)
    assert [str(law) for law in one] == [str(law) for law in two]


def test_timeout_holds():
    frame = table(lambda f: np.sin(3 * f.x * f.z) + f.z**f.x, count=80, noise=0.05)
    lasted = [0.0]
    marks = [time.perf_counter()]

    def watch(state):
        marks.append(time.perf_counter())
        lasted.append(marks[-1] - marks[-2])

    began = time.perf_counter()
    result = frame.symreg.fit("y", timeout=1.5, random_state=0, callbacks=watch)
    assert result.status == "timeout"
    assert time.perf_counter() - began < 1.65 + max(lasted)


def test_interrupt_gives_the_best_so_far():
    def stop(state):
        if state.round == 2:
            raise KeyboardInterrupt

    frame = table(lambda f: f.x**2 + np.sin(f.z), noise=0.05)
    result = frame.symreg.fit("y", timeout=60, random_state=0, callbacks=stop)
    assert result.status == "interrupted" and result.provenance["rounds"] == 2
    assert len(result) > 1 and np.isfinite(result.best.predict(frame)).all()


# -------------------------------------------------------------------------------------------- operators
def test_an_excluded_operator_is_in_no_law():
    frame = table(lambda f: f.x**2 / f.z + np.sqrt(f.x) + f.x**1.7, count=40, noise=0.01)
    for operators in (["add", "sub", "mul", "exp"], ["sub", "square"]):
        result = frame.symreg.fit("y", operators=operators, max_rounds=6, timeout=60, random_state=0)
        assert written(result) <= set(operators)


def test_a_registered_operator_takes_part():
    def softplus(z):
        return torch.log1p(torch.exp(z))

    frame = table(lambda f: 3 * np.log1p(np.exp(-0.7 * f.x)) * f.z)
    with sr.plugins.only():
        sr.register_operator("softplus", torch=softplus, sympy=lambda z: sympy.log(1 + sympy.exp(z)))
        result = frame.symreg.fit("y", max_rounds=6, timeout=30, random_state=0)
    np.testing.assert_allclose(result.best.predict(frame), frame.y, rtol=1e-9)
    assert "softplus" in operators_of(result.best)
