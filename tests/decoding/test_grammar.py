"""Every sequence under the mask is one complete expression within the limit."""

import pytest
import torch

from sr_accessor.decoding.grammar import grammar
from sr_accessor.errors import InputError
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.tokenizer import Tokenizer

VOCABULARY = Vocabulary(ELEMENTARY)


def uniform_decodes(tokenizer: Tokenizer, rows: int, length: int, variables: int, weight=None) -> torch.Tensor:
    """Token rows drawn with uniform logits (or `weight`) under the mask."""
    generator = torch.Generator().manual_seed(0)
    rules = grammar(tokenizer, variables=variables, length=length)
    state, written = rules.start(rows), []
    while not bool(state.done.all()):
        mask = rules.mask(state)
        assert mask.any(1).all()
        chances = (mask.double() if weight is None else mask * weight.double()).cumsum(1)
        draw = torch.rand(rows, 1, generator=generator) * chances[:, -1:]
        tokens = torch.searchsorted(chances, draw, right=True)[:, 0]  # ten times faster than multinomial
        state = rules.advance(state, tokens)
        written.append(tokens)
    assert len(written) <= length
    return torch.stack(written, 1)


def operators_first(tokenizer: Tokenizer) -> torch.Tensor:
    """Weights with which expressions grow until only the limit stops them."""
    weight = torch.ones(tokenizer.ids.size)
    weight[list(tokenizer.ids.operators)] = 30.0
    weight[list(tokenizer.ids.numbers)] = 2.0 / len(tokenizer.ids.numbers)
    return weight


@pytest.mark.parametrize(
    "change", [{}, {"targets": "skeleton"}, {"numbers": "words", "lowest_exponent": -4, "highest_exponent": 4}]
)
@pytest.mark.parametrize("grow", [False, True], ids=["uniform", "growing"])
def test_ten_thousand_decodes_are_well_formed(change, grow):
    tokenizer = Tokenizer(preset("tiny", **change), VOCABULARY)
    weight = operators_first(tokenizer) if grow else None
    tokens = uniform_decodes(tokenizer, 10_000, 30, 3, weight)
    expressions = tokenizer.decode_targets(tokens)
    assert expressions.well_formed.all()
    assert torch.isfinite(expressions.constants).all()
    assert (expressions.codes < VARIABLE + 3).all()
    assert ((tokens != tokenizer.ids.pad).sum(1) <= 30).all()
    if grow:
        assert (expressions.lengths > 20).float().mean() > 0.5  # the limit was felt
    back = tokenizer.encode_targets(expressions)
    assert back.valid.all()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_the_shortest_limits(length):
    tokenizer = Tokenizer(preset("tiny"), VOCABULARY)
    expressions = tokenizer.decode_targets(uniform_decodes(tokenizer, 500, length, 1, operators_first(tokenizer)))
    assert expressions.well_formed.all()
    assert (expressions.lengths <= length).all()
    assert bool((expressions.number_counts > 0).any())


def test_excluded_operators_are_never_written():
    allowed = ["add", "mul", "sin"]
    tokenizer = Tokenizer(preset("tiny"), VOCABULARY.restricted(allowed))
    tokens = uniform_decodes(tokenizer, 2_000, 20, 2, operators_first(tokenizer))
    codes = tokenizer.decode_targets(tokens).codes
    written = {VOCABULARY.operator(c).name for c in codes.unique().tolist() if 8 <= c < VARIABLE}
    assert written == set(allowed)


def test_the_paper_vocabulary_obeys_too():
    tokenizer = Tokenizer(preset("paper"), VOCABULARY)
    tokens = uniform_decodes(tokenizer, 200, 40, 10, operators_first(tokenizer))
    assert tokenizer.decode_targets(tokens).well_formed.all()


def test_limits_that_make_no_sense():
    tokenizer = Tokenizer(preset("tiny"), VOCABULARY)
    with pytest.raises(InputError, match="1 to 4"):
        grammar(tokenizer, variables=5)
    with pytest.raises(InputError, match="1 to 4"):
        grammar(tokenizer, variables=0)
    with pytest.raises(InputError, match="length=0"):
        grammar(tokenizer, variables=1, length=0)
    assert grammar(tokenizer, variables=1, length=10**6).length == tokenizer.config.length - 1
