"""Products: equal factors are collected, the values stay, and nothing becomes longer."""

import pytest
import torch

from sr_accessor.expressions.batch import concatenate, empty
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.products import collected, distributed
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.prior.examples import sample_expressions

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["a", "b", "c", "d"]
PAIRS = {
    "a*b*a": "a**2*b",
    "a/a + b*b/(b*a)": "1 + b/a",
    "1/(1/a)": "a",
    "a/(b/(c/(a/b)))": "c",
    "d*(sin(d*a)/(d*a)**2)": "sin(d*a)/(d*a**2)",
    "1/(a/b)**3": "b**3/a**3",
    "sin(c)/(a/(b*d))": "sin(c)*b*d/a",
    "exp(a*(b/a))": "exp(b)",
    "cos(a*a)*cos(a*a)/cos(a*a)": "cos(a**2)",
    "a**5/a**3": "a**2",
}
SAME = ("a", "3", "a**2*b**2", "sqrt(a)*sqrt(b)", "a*(a + 1)", "2*a/3", "a/b", "a**1.5")


def text(formula: str) -> str:
    return to_text(collected(parse(formula, VOCABULARY, NAMES)), NAMES)[0]


@pytest.mark.parametrize(("formula", "expected"), PAIRS.items())
def test_equal_factors_are_collected(formula, expected):
    assert text(formula) == expected


@pytest.mark.parametrize("formula", SAME)
def test_what_is_collected_stays(formula):
    assert text(formula) == formula


SUMS = {
    "a*b*(sin(d)*c/b + 1)": "a*(sin(d)*c + b)",
    "a*sqrt(b**2/a**2 + 1)": "sqrt(b**2 + a**2)",
    "d/(c*sqrt(b**2/c**2 + 1))": "d/sqrt(b**2 + c**2)",
    "a/(1 + b/a)": "a**2/(a + b)",
    "a*(1 + b)": "a*(1 + b)",
    "sin(a) + b": "sin(a) + b",
}


@pytest.mark.parametrize(("formula", "expected"), SUMS.items())
def test_factors_are_multiplied_into_sums(formula, expected):
    law = parse(formula, VOCABULARY, NAMES)
    shorter = distributed(collected(law))
    assert to_text(shorter, NAMES)[0] == expected
    x = 0.5 + torch.rand(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(evaluate(shorter, x)[0], evaluate(law, x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("texts", [[], ["3"], ["2*(3 + 1)", "7"], ["a"]])
def test_nothing_to_do(texts):
    laws = [parse(text, VOCABULARY, NAMES) for text in texts]
    batch = concatenate(laws) if laws else empty(VOCABULARY)
    for rewritten in (collected, distributed):
        assert to_text(rewritten(batch), NAMES) == to_text(batch, NAMES)


def test_factors_with_free_constants_stay_apart():
    e = parse("exp(2*a)*exp(2*a)", VOCABULARY, NAMES, numbers="constant")
    assert int(collected(e).free.sum()) == 2


def test_random_expressions_keep_their_values():
    generator = torch.Generator().manual_seed(3)
    drawn = sample_expressions("science", 400, 3, VOCABULARY, generator)
    batch = concatenate(
        [drawn, drawn * drawn, drawn / (drawn[torch.randperm(len(drawn), generator=generator)] / drawn)]
    )
    x = 0.3 + 2 * torch.rand(64, 3, dtype=torch.float64, generator=generator)
    before, valid = evaluate(batch, x)
    held = valid & before.isfinite() & (before.abs() < 1e100)
    for rewritten in (collected, distributed):
        shorter = rewritten(batch)
        assert bool((shorter.lengths <= batch.lengths).all()) and bool((shorter.lengths < batch.lengths).any())
        assert bool(shorter.well_formed.all())
        after, still = evaluate(shorter, x)
        assert bool(still[held].all())
        torch.testing.assert_close(after[held], before[held], rtol=1e-7, atol=1e-7)
