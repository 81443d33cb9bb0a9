"""SRBench's symbolic solution: is a formula the true one up to a constant? And SRBench's size of a model.

It knows sympy expressions only. sympy may think for hours, so `check` asks a process of its own and ends it when
the time is up.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import sympy

__all__ = ["Verdict", "check", "model_size", "relation", "round_floats"]

_PI = sympy.Float("3.1415926535")  # as SRBench writes it


@dataclass(frozen=True)
class Verdict:
    """The answer of `check`.

    Parameters
    ----------
    relation : "equal", "shifted", "scaled", "different", "constant" (the candidate is a number),
        "out of time", or "failed: ..." where sympy gave up
    seconds : how long it took
    """

    relation: str
    seconds: float

    @property
    def exact(self) -> bool:
        return self.relation in ("equal", "shifted", "scaled")


def check(candidate: sympy.Expr, truth: sympy.Expr, *, seconds: float = 60.0) -> Verdict:
    """SRBench's symbolic-solution test with a time limit; not finishing counts as not exact.

    SRBench also skips models of test R² ≤ 0.5; that is for the caller, who knows the data.
    """
    began = time.perf_counter()
    quick = _unrounded(candidate, truth)
    if quick:
        return Verdict(quick, time.perf_counter() - began)
    # A fork server holds sympy and nothing else: its children start in milliseconds, and none inherits the
    # threads of torch, with which a plain fork may hang.
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, candidate, truth), daemon=True)
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(seconds) else "out of time"
    except EOFError:
        found = "failed: the process died, probably for want of memory"
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    return Verdict(found, time.perf_counter() - began)


def relation(candidate: sympy.Expr, truth: sympy.Expr) -> str:
    """How a candidate stands to the truth by SRBench's rule; the words of `Verdict.relation`.

    After rounding every float to three decimals and `simplify`, truth − candidate is a constant ("equal" where
    sympy shows it to be 0) or candidate / truth is a constant other than 0. Three additions that only remove false
    negatives: what sympy sees as equal up to a constant before any rounding is accepted (rounding makes some truths
    differ from themselves), float exponents within 5e-4 of a half or an integer become that number, and a float that
    is rounded to an integer becomes it (to sympy, sin(1.0*x) - sin(x) is not 0).
    """
    found = _unrounded(candidate, truth)
    if found:
        return found
    truth, candidate = (_whole(round_floats(_rational_powers(e).subs(sympy.pi, _PI))) for e in (truth, candidate))
    candidate = sympy.simplify(candidate, ratio=1)
    if candidate.is_number or candidate is sympy.nan:
        return "constant"
    difference, quotient = round_floats(truth - candidate), round_floats(candidate / truth)
    if not _is_constant(difference) or _is_constant(quotient):
        difference = round_floats(sympy.simplify(difference, ratio=1))
    if difference == 0:
        return "equal"
    if _is_constant(difference):
        return "shifted"
    if not _is_constant(quotient):
        quotient = round_floats(sympy.simplify(quotient))  # later versions of SRBench, experiment/metrics
    return "scaled" if _is_constant(quotient) and quotient != 0 else "different"


def round_floats(expression: sympy.Expr) -> sympy.Expr:
    """SRBench's rounding: |c| < 1e-4 becomes 0, every other float three decimals in a 3-digit Float."""
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({c: sympy.Integer(0) if abs(c) < 1e-4 else sympy.Float(round(c, 3), 3) for c in floats})


def model_size(expression: sympy.Expr, *, rounded: bool = True) -> int:
    """SRBench's `model_size`: nodes of the sympy tree; x - y is Add(x, Mul(-1, y)), five nodes.

    rounded : round floats first, as SRBench does; not for laws of tiny constants, of which it leaves nothing
    """
    return sum(1 for _ in sympy.preorder_traversal(round_floats(expression) if rounded else expression))


def _answer(sender: Connection, candidate: sympy.Expr, truth: sympy.Expr) -> None:
    sympy.core.random.seed(0)  # is_constant tries random numbers
    try:
        found = relation(candidate, truth)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        found = f"failed: {type(e).__name__}: {str(e)[:200]}"  # what sympy is known to raise from inside simplify
    sender.send(found)
    sender.close()


def _unrounded(candidate: sympy.Expr, truth: sympy.Expr) -> str | None:
    """The relation where sympy sees it without simplifying."""
    if candidate.is_number:
        return None
    difference, quotient = truth - candidate, candidate / truth
    if difference == 0:
        return "equal"
    if difference.is_number and difference.is_finite:
        return "shifted"
    if quotient.is_number and quotient.is_finite and quotient != 0:
        return "scaled"
    return None


def _whole(expression: sympy.Expr) -> sympy.Expr:
    """2.0 becomes 2."""
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({c: sympy.Integer(int(c)) for c in floats if float(c).is_integer()})


def _is_constant(expression: sympy.Expr) -> bool:
    unbounded = expression.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo)
    return not unbounded and expression.is_constant() is True


def _rational_powers(expression: sympy.Expr) -> sympy.Expr:
    """x**0.5 becomes sqrt(x), x**2.0 becomes x**2."""

    def near(power: sympy.Pow) -> sympy.Expr:
        exponent = sympy.Rational(round(float(power.exp) * 2), 2)
        return sympy.Pow(power.base, exponent) if abs(float(power.exp - exponent)) < 5e-4 else power

    return expression.replace(lambda e: e.is_Pow and e.exp.is_Float, near)
