"""Grammar: which tokens may follow, so that every sequence is one complete expression within the length limit.

Two counters per sequence say everything: the arguments still open, and where inside a number it stands. A token is
allowed when what it leaves open can still be closed with the tokens that are left. It knows tokens and arities, not
logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.errors import InputError
from sr_accessor.transformer.tokenizer import Tokenizer

__all__ = ["Grammar", "State", "grammar"]

#: What may come next: a symbol, the mantissa of a number, its exponent, or nothing any more.
SYMBOL, MANTISSA, EXPONENT, NOTHING = range(4)


@dataclass(frozen=True)
class State:
    """Where each of R sequences stands.

    Parameters
    ----------
    open : (R,) int64, arguments that are still to be written
    phase : (R,) int64, SYMBOL, MANTISSA, EXPONENT or NOTHING
    left : tokens that may still be written
    """

    open: torch.Tensor
    phase: torch.Tensor
    left: int

    @property
    def done(self) -> torch.Tensor:
        """(R,) True where the expression is complete."""
        return self.phase == NOTHING

    def select(self, rows: torch.Tensor) -> State:
        """Some sequences, by index."""
        return State(self.open[rows], self.phase[rows], self.left)


@dataclass(frozen=True)
class Grammar:
    """The rules for one network, data set and choice of operators; make one with `grammar`.

    Parameters
    ----------
    allowed : (4, V) bool, tokens of each phase
    need : (V,) int64, tokens it takes at least to write this one and close all that it opens
    opens : (V,) int64, change of the number of open arguments
    follows : (V,) int64, phase after this token as long as something is open
    leaf : tokens of the shortest argument
    length : longest expression, tokens
    pad : the token a complete expression is followed by
    """

    allowed: torch.Tensor
    need: torch.Tensor
    opens: torch.Tensor
    follows: torch.Tensor
    leaf: int
    length: int
    pad: int

    def start(self, rows: int) -> State:
        """R empty sequences."""
        one = torch.ones(rows, dtype=torch.int64, device=self.need.device)
        return State(one, torch.full_like(one, SYMBOL), self.length)

    def mask(self, state: State) -> torch.Tensor:
        """(R, V) True where the token may follow; at least one in every row."""
        others = (state.open - 1) * self.leaf  # what the arguments that wait need at least
        fits = self.need <= (state.left - others)[:, None]
        return self.allowed[state.phase] & (fits | (state.phase != SYMBOL)[:, None])

    def advance(self, state: State, tokens: torch.Tensor) -> State:
        """The state after one more token (R,) in each sequence."""
        still_open = state.open + self.opens[tokens]
        phase = torch.where(state.done | (still_open == 0), NOTHING, self.follows[tokens])
        return State(still_open, phase, state.left - 1)


def grammar(
    tokenizer: Tokenizer, *, variables: int, length: int | None = None, device: torch.device | str = "cpu"
) -> Grammar:
    """The rules for `variables` inputs and the active operators of the tokenizer's vocabulary.

    Parameters
    ----------
    variables : D, inputs that exist; 1 … D_max
    length : longest expression in tokens; None: the network's own limit

    Raises
    ------
    InputError : no such number of inputs, or no room for a single number.
    """
    config, ids = tokenizer.config, tokenizer.ids
    longest = config.length - 1  # the closing EOS needs its place in training
    length = longest if length is None else min(length, longest)
    if not 1 <= variables <= config.variables:
        raise InputError(f"{variables} variables: this network writes expressions of 1 to {config.variables}")
    if length < 1:
        raise InputError(f"length={length}: an expression has at least one token")
    arity = torch.zeros(ids.size, dtype=torch.int64)
    allowed = torch.zeros(4, ids.size, dtype=torch.bool)
    follows = torch.full((ids.size,), SYMBOL, dtype=torch.int64)
    need = torch.ones(ids.size, dtype=torch.int64)
    for name, token in zip(config.operators, ids.operators, strict=True):
        arity[token] = tokenizer.vocabulary.operator(name).arity
        allowed[SYMBOL, token] = name in tokenizer.vocabulary
    allowed[SYMBOL, torch.tensor(ids.literals, dtype=torch.int64)] = True
    allowed[SYMBOL, ids.variable : ids.variable + variables] = True
    leaf = 1  # a variable
    opens = arity - 1
    need += arity * leaf
    if config.targets == "skeleton":
        allowed[SYMBOL, ids.constant] = True
    else:
        begins = slice(ids.numbers.start, ids.numbers.stop)
        allowed[SYMBOL, begins] = True
        if config.numbers == "triples":
            mantissas = slice(ids.mantissa, ids.exponent)
            exponents = slice(ids.exponent, ids.exponent + config.highest_exponent - config.lowest_exponent + 1)
            allowed[MANTISSA, mantissas] = allowed[EXPONENT, exponents] = True
            need[begins] = 3
            follows[begins], follows[mantissas] = MANTISSA, EXPONENT
            opens[begins] = opens[mantissas] = 0  # the argument is closed by the exponent
    allowed[NOTHING, ids.pad] = True
    opens[ids.pad] = 0
    tables = (t.to(device) for t in (allowed, need, opens, follows))
    return Grammar(*tables, leaf, length, ids.pad)
