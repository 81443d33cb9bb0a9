"""Separation: variables that only multiply are told from those that do not, and laws are put together again."""

import torch

from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.loop import start, step
from sr_accessor.search.power_screens import regress
from sr_accessor.search.selection import Data
from sr_accessor.search.separation import separate
from sr_accessor.search.targets import Target
from sr_accessor.search.views import VIEWS

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["a", "b", "c", "d"]
GENERATOR = torch.Generator().manual_seed(5)
X = 0.5 + 2 * torch.rand(600, 4, dtype=torch.float64, generator=GENERATOR)
NOISE = torch.randn(600, dtype=torch.float64, generator=GENERATOR)


def separated(formula: str, noise: float = 0.0):
    y = evaluate(parse(formula, VOCABULARY, NAMES), X)[0][0]
    y = y + noise * y.std() * NOISE
    return separate(regress([Target.of(VIEWS[0], y, y.abs(), relative=True)], X), VOCABULARY)


def test_what_only_multiplies_is_found():
    for noise in (0.0, 0.02):
        found = separated("3*a**2/(1 + b*c)/d", noise)
        assert found.factor.tolist() == [2.0, 0.0, 0.0, -1.0]
        assert found.groups.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]


def test_nothing_to_separate():
    assert separated("exp(-a*b*c*d)") is None  # every variable interacts
    assert separated("3*a*b/(c*d)") is None  # a power law leaves nothing to search
    assert separate(regress([Target.of(VIEWS[0], X[:9, 0], X[:9, 0], relative=True)], X[:9]), VOCABULARY) is None


def test_laws_are_put_together_again():
    found = separated("3*a**2/(1 + b*c)/d")
    rest = parse("3/(1 + u*v)", VOCABULARY, ["u", "v"])
    expected = evaluate(parse("3*a**2/(1 + b*c)/d", VOCABULARY, NAMES), X)[0]
    torch.testing.assert_close(evaluate(found.rejoined(rest), X)[0], expected, rtol=1e-12, atol=0.0)


def test_a_round_of_the_search_uses_it():
    """A polynomial of three variables below three factors: seven variables are too many for its dictionary."""
    x = 0.5 + 2 * torch.rand(400, 6, dtype=torch.float64, generator=GENERATOR)
    y = x[:, 3] * x[:, 4] / x[:, 5] / (1 + (x[:, 0] - x[:, 1]) ** 2 + 2 * x[:, 2] ** 2)
    state = start(Data(x, y, None, GAUSSIAN), VOCABULARY, seed=0)
    while not state.exact and state.round < 6:
        state = step(state)
    assert state.exact
    assert state.front.origins[int(state.front.description_length.argmin())] in ("separated", "reduced")
