"""on_all_rows: what some of the rows could not tell, all can; and what only some of them allow, is dropped."""

import pytest
import torch

from sr_accessor.constraints import Constraints
from sr_accessor.expressions.batch import concatenate
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.parse import parse
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.refinement import pieces
from sr_accessor.search import all_rows, selection
from sr_accessor.search.all_rows import on_all_rows
from sr_accessor.search.constraints import Admission
from sr_accessor.search.given import Given
from sr_accessor.search.selection import Data, best_front, refit, score

VOCABULARY = Vocabulary(ELEMENTARY)
NAMES = ["a", "b"]
GENERATOR = torch.Generator().manual_seed(7)
X = torch.rand(4000, 2, dtype=torch.float64, generator=GENERATOR) + 0.5
EPSILON = torch.randn(4000, dtype=torch.float64, generator=GENERATOR)
SOME = 100


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """A search looks at a hundred rows, and rows come in pieces of a thousand."""
    monkeypatch.setattr(selection, "MOST_ROWS", SOME)
    monkeypatch.setattr(pieces, "POINTS", 1000)


def front_of(y, *texts, numbers="constant"):
    """The laws as refined on some of the rows."""
    some = Data(X[:SOME], y[:SOME], None, GAUSSIAN)
    laws = concatenate([parse(t, VOCABULARY, NAMES, numbers=numbers) for t in texts])
    return best_front([score(refit(laws, some, steps=20).expressions, some, ("test",) * len(laws)).front()])


def chosen(front):
    return to_text(front.expressions[int(front.description_length.argmin())], NAMES, digits=6)[0]


def test_constants_and_prices_are_those_of_all_rows():
    y = 0.7312 * X[:, 0] * X[:, 1] + 0.1 * EPSILON
    data = Data(X, y, None, GAUSSIAN)
    front = on_all_rows(front_of(y, "0.5*a*b", "0.5*a"), data, Given())
    best = int(front.description_length.argmin())
    optimum = refit(parse("0.7*a*b", VOCABULARY, NAMES, numbers="constant"), data, steps=9)
    # Written with the digits that all rows justify: 4000 rows tell 0.731 to 0.0015, the first hundred to 0.01.
    assert float(front.loss[best]) - float(optimum.loss[0]) < 4.5
    again = score(front.expressions, data, front.origins)
    torch.testing.assert_close(front.loss, again.loss)
    torch.testing.assert_close(front.bits, again.bits)
    assert set(front.origins) == {"test"}


def test_a_snap_that_all_rows_refuse_is_undone():
    y = 1.97 * X[:, 0] * X[:, 1] + 0.05 * EPSILON
    front = on_all_rows(front_of(y, "2*a*b", numbers="literal"), Data(X, y, None, GAUSSIAN), Given())
    best = front.expressions[int(front.description_length.argmin())]
    assert float(best.constants[0, 0]) == pytest.approx(1.97, abs=0.005) and bool(best.free[0, 0])


def test_a_snap_that_all_rows_confirm_stays_and_a_new_one_is_made():
    y = 2 * X[:, 0] * X[:, 1] + 0.05 * EPSILON
    data = Data(X, y, None, GAUSSIAN)
    for numbers in ("literal", "constant"):
        assert chosen(on_all_rows(front_of(y, "2*a*b", numbers=numbers), data, Given())) == "2*a*b"


def test_a_small_term_pays_on_all_rows():
    y = X[:, 0] + 0.05 * X[:, 1] + 0.1 * EPSILON
    front = front_of(y, "a", "a + 0.1*b", numbers="constant")
    assert chosen(front) == "a"
    assert "b" in chosen(on_all_rows(front, Data(X, y, None, GAUSSIAN), Given()))


def test_a_law_without_a_value_somewhere_is_dropped():
    low = float(X[:SOME, 0].min())
    assert low > float(X[:, 0].min())
    y = X[:, 0] + 0.1 * EPSILON
    law = f"sqrt(a - {low:.17g})"
    front = front_of(y, law, numbers="literal")
    assert len(front) == 1
    data = Data(X, y, None, GAUSSIAN)
    kept = on_all_rows(front, data, Given())
    assert kept.origins == ("mean",) and float(kept.expressions.constants[0, 0]) == pytest.approx(float(y.mean()))
    both = on_all_rows(front_of(y, law, "0.5 + b", numbers="literal"), data, Given())
    assert set(both.origins) == {"test"} and not any("sqrt" in text for text in to_text(both.expressions, NAMES))


def test_only_what_was_asked_for_is_kept():
    y = X[:, 0] + 0.1 * EPSILON
    data = Data(X, y, None, GAUSSIAN)
    admission = Admission.bind(Constraints(require=["b"]), (), VOCABULARY, NAMES, data.x, data.y)
    front = on_all_rows(front_of(y, "0.9*a", "0.8*a + 0.1*b"), data, Given(admission))
    assert all("b" in text for text in to_text(front.expressions, NAMES)) and len(front)


def test_a_hurry_keeps_the_constants_and_the_shortest_descriptions(monkeypatch):
    y = 0.7312 * X[:, 0] * X[:, 1] + 0.1 * EPSILON
    data, front = Data(X, y, None, GAUSSIAN), front_of(y, "0.5*a*b", "0.5*a")
    before = to_text(front.expressions, NAMES)
    assert to_text(on_all_rows(front, data, Given(), hurry=True).expressions, NAMES) == before and len(before) == 2
    monkeypatch.setattr(all_rows, "MOST_IN_A_HURRY", len(y))
    few = on_all_rows(front, data, Given(), hurry=True)
    assert to_text(few.expressions, NAMES) == [before[int(front.description_length.argmin())]]
    again = score(few.expressions, data, few.origins)
    torch.testing.assert_close(few.loss, again.loss)
