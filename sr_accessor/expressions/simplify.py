"""A simpler expression with the same values, by sympy under a hard time limit, proven on random points.

sympy's simplification can take minutes, and a thread cannot be stopped from outside. A process would cost the
start of an interpreter with sympy (0.4 s measured) and, under spawn, the user's main module. Here the
interpreter itself looks at the clock at every Python call that sympy makes (`sys.settrace`, of this thread only):
sympy is pure Python, so that the limit holds within milliseconds, in any thread, on any system.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from sr_accessor.device import DTYPE, generator
from sr_accessor.errors import InputError, UnknownNameError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.symbolic import from_sympy, to_sympy
from sr_accessor.expressions.vocabulary import CONSTANT, VARIABLE

if TYPE_CHECKING:
    import sympy

__all__ = ["equal_values", "simplify", "time_limit"]

#: Relative difference up to which two values are equal: rearranged sums of doubles differ by rounding.
TOLERANCE = 1e-9
#: Random points of the equality check, a third each around zero, in (0, 1) and in (1, 5).
POINTS = 300


class TimeUp(BaseException):
    """The limit is reached; not an Exception, so that nothing on the way takes it for its own."""


def simplify(expressions: Expressions, *, seconds: float = 2.0) -> Expressions:
    """A simpler expression with equal values.

    Parameters
    ----------
    expressions : Expressions, one row
    seconds : limit; what was found and checked until then counts (the first import of sympy is not included)

    Returns
    -------
    Expressions, one row of less complexity, or `expressions` itself: where nothing simpler was found, or where
    it has no finite value to compare. Free constants may be merged, so that their number can fall.

    Raises
    ------
    InputError : not one row.
    """
    if len(expressions) != 1:
        raise InputError(f"simplify takes one expression, not {len(expressions)}; index the batch first")
    import sympy

    best = expressions
    # From cheap to dear; the first is sympy's own normal form. Each starts from the simplest form so far.
    stages: tuple[Callable[[Any], Any], ...] = (
        lambda form: form,
        sympy.factor_terms,
        sympy.powsimp,
        sympy.cancel,
        sympy.factor,
        sympy.trigsimp,
        sympy.simplify,
    )
    try:
        with time_limit(seconds):
            form, values, names = _with_symbols(expressions)
            for stage in stages:
                try:
                    new = stage(form)
                    candidate = from_sympy(new.xreplace(values), expressions.vocabulary, names)
                except (InputError, UnknownNameError, *_sympy_failures()):
                    continue  # not an expression of ours (sign, Piecewise, nan), or sympy cannot
                candidate = _literals_kept(candidate, expressions)
                if candidate.complexity < best.complexity and equal_values(expressions, candidate):
                    best, form = candidate, new
    except TimeUp:
        pass  # the best so far has been checked already
    return best


def equal_values(expected: Expressions, candidate: Expressions) -> bool:
    """Whether `candidate` has the values of `expected` at random points, wherever `expected` is finite.

    One row each. False where `expected` is finite at fewer than ten points. `candidate` may be defined at more.
    """
    inputs = max(int(expected.codes.max()), int(candidate.codes.max())) - VARIABLE + 1
    draw = generator(0)
    x = torch.rand(POINTS, max(inputs, 1), dtype=DTYPE, generator=draw)
    third = POINTS // 3
    x[:third] = 3 * torch.randn(third, x.shape[1], dtype=DTYPE, generator=draw)
    x[third : 2 * third] = 1 + 4 * x[third : 2 * third]
    (want, valid), (have, _) = (evaluate(e, x.to(expected.device)) for e in (expected, candidate))
    want, have = want[valid], have[valid]
    if len(want) < 10:
        return False
    room = TOLERANCE * (want.abs() + want.abs().median())
    return bool(((have - want).abs() <= room).all())


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Python code inside is ended by `TimeUp` at the next Python call after `seconds`; for this thread.

    A trace function that raises is forgotten, and code in C may swallow what it raised (seen once: a simplification
    that never ended). So each of the two functions arms the other before it raises.
    """
    until = time.monotonic() + seconds

    def is_over(frame: FrameType) -> bool:
        # Only in sympy's own functions: what garbage collection runs cannot raise, it would be printed and lost.
        return time.monotonic() > until and frame.f_globals.get("__name__", "").startswith("sympy.")

    def look_at_clock(frame: FrameType, event: str, argument: object) -> None:
        if is_over(frame):
            sys.setprofile(look_again)
            raise TimeUp

    def look_again(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and is_over(frame):
            sys.settrace(look_at_clock)
            raise TimeUp

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(look_at_clock)
    try:
        yield
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])


def _sympy_failures() -> tuple[type[Exception], ...]:
    """What sympy's algorithms are known to raise on expressions that they cannot treat."""
    from sympy.polys.polyerrors import BasePolynomialError

    return BasePolynomialError, NotImplementedError, ArithmeticError, ValueError, TypeError, RecursionError


def _literals_kept(candidate: Expressions, original: Expressions) -> Expressions:
    """sympy's Float means free; numbers that were literals before are literals again."""
    free = original.free[0]
    literals = original.constants[0][~free]
    if not bool(free.any()):
        return candidate.with_literals(candidate.free)
    return candidate.with_literals(candidate.free & torch.isin(candidate.constants, literals))


def _with_symbols(expressions: Expressions) -> tuple[sympy.Expr, dict, list[str]]:
    """The expression with a symbol for each variable and free constant, and the constants' values.

    With symbols for constants the polynomial algorithms stay exact: over floats they lose terms. Symbols are
    real, those of constants signed.
    """
    import sympy

    is_free = expressions.codes == CONSTANT
    inputs = max(int(expressions.codes.max()) - VARIABLE + 1, 0)
    named = torch.where(is_free, VARIABLE + inputs + is_free.cumsum(1) - 1, expressions.codes)
    values = expressions.constants[0][expressions.free[0]].tolist()
    names = [f"x{d}" for d in range(inputs)]
    labels = [*names, *(f"c{k}" for k in range(len(values)))]
    fixed = expressions.constants[:, ~expressions.free[0]]
    [symbolic] = to_sympy(replace(expressions, codes=named, constants=fixed), labels)
    real = {sympy.Symbol(n): sympy.Symbol(n, real=True) for n in names}
    signed = {}
    for k, value in enumerate(values):
        sign = {"positive": True} if value > 0 else {"negative": True} if value < 0 else {"zero": True}
        signed[sympy.Symbol(f"c{k}", **sign)] = sympy.Float(value)
    real |= {sympy.Symbol(c.name): c for c in signed}
    return symbolic.xreplace(real), signed, names
