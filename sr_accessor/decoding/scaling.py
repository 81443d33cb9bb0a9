"""Scaling: data to the network's range, and expressions to and from it by an exact rewrite.

x̃ = (x - μ)/s and ỹ = (y - m)/t. An expression of x becomes one of x̃ when every variable x_d is replaced by s·x̃_d + μ
and the result by (result - m)/t. The four extra nodes per variable which that would cost are not written: factors
and shifts travel through the expression to the numbers that are already there,

    2.5·x·y + 1   ->   (2.5·s_x·s_y)·x̃·ỹ + 1          sin(3·x + 1)   ->   sin(3s·x̃ + (1 + 3μ))

and only what meets no number on its way is written as a new one. How a factor passes through an operator is what the
operator declares about physical dimensions (`Operator.units`): sqrt is "half", so √(F·u) = √F·√u.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, PAD, VARIABLE, Vocabulary

__all__ = ["Scaling", "fit", "substitute"]


@dataclass(frozen=True)
class Scaling:
    """x̃ = (x - x_shift)/x_scale, ỹ = (y - y_shift)/y_scale, for B data sets at once.

    Parameters
    ----------
    x_shift, x_scale : (B, D) float64, scales positive
    y_shift, y_scale : (B,) float64
    """

    x_shift: torch.Tensor
    x_scale: torch.Tensor
    y_shift: torch.Tensor
    y_scale: torch.Tensor

    def apply(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (B, N, D), (B, N) in the user's units -> in the network's range."""
        x = (x - self.x_shift[:, None]) / self.x_scale[:, None]
        return x, (y - self.y_shift[:, None]) / self.y_scale[:, None]

    def scale(self, expressions: Expressions) -> Expressions:
        """Laws y(x) in the user's units -> ỹ(x̃); B rows, or any number of rows for one data set."""
        return substitute(expressions, self.x_scale, self.x_shift, 1 / self.y_scale, -self.y_shift / self.y_scale)

    def unscale(self, expressions: Expressions) -> Expressions:
        """Laws ỹ(x̃) as the network writes them -> y(x) in the user's units."""
        return substitute(expressions, 1 / self.x_scale, -self.x_shift / self.x_scale, self.y_scale, self.y_shift)


def fit(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None = None, *, kind: str = "rms") -> Scaling:
    """The scaling of B data sets.

    Parameters
    ----------
    x : (B, N, D) float64
    y : (B, N) float64
    mask : (B, N) bool, True where there is a point; None: everywhere
    kind : `TransformerConfig.scaling`. "rms": every column and y divided by its root mean square and not shifted, so
        that x₁·x₂/x₃ stays as short as it is (the data of the prior `science` come so). "standard": x to mean 0 and
        deviation 1, y as it is (as published, system.md §5). A column of zeros, or one that does not vary, is
        divided by 1.
    """
    values = torch.cat([x, y[..., None]], -1).double()
    weight = torch.ones_like(values[..., :1]) if mask is None else mask[..., None].double()
    values = torch.where(weight > 0, values, 0.0)
    largest = values.abs().amax(1, keepdim=True)
    largest = torch.where(largest > 0, largest, 1.0)
    unit = values / largest  # squares of y = 1e200 would overflow
    count = weight.sum(1, keepdim=True).clamp(min=1)
    mean = unit.sum(1, keepdim=True) / count
    if kind == "standard":
        deviation = (((unit - mean) ** 2 * weight).sum(1, keepdim=True) / count).sqrt()
        shift, scale = mean * largest, torch.where(deviation > 1e-12, deviation * largest, 1.0)
        shift[..., -1], scale[..., -1] = 0.0, 1.0
    else:
        square = (unit**2).sum(1, keepdim=True) / count
        shift, scale = torch.zeros_like(mean), torch.where(square > 0, square.sqrt() * largest, 1.0)
    shift, scale = shift[:, 0], scale[:, 0]
    return Scaling(shift[:, :-1], scale[:, :-1], shift[:, -1], scale[:, -1])


# ---------------------------------------------------------------------- the rewrite
# How an operator treats a factor F > 0 and a shift S of its argument(s). `_DEGREE` operators are homogeneous:
# f(F·u) = F^degree·f(u).
_LEAF, _ADD, _SUB, _COMMON, _PRODUCT, _QUOTIENT, _NEG, _DEGREE, _POWER, _LOG, _EXP, _OPAQUE = range(12)
# Linearity cannot be read off a declaration, so the operators of arithmetic are named here.
_BY_NAME = {
    "add": _ADD, "sub": _SUB, "neg": _NEG, "mul": _PRODUCT, "div": _QUOTIENT, "pow": _POWER, "log": _LOG, "exp": _EXP,
}  # fmt: skip
_DEGREES = {"same": 1.0, "inverse": -1.0, "half": 0.5, "twice": 2.0, "thrice": 3.0}

#: exp(S) is written as a factor only within this; beyond, the factor could overflow.
_LARGEST_EXPONENT = 300.0


def _kinds(vocabulary: Vocabulary, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(VARIABLE + 1,) kind of every code and its degree."""
    kind = torch.full((VARIABLE + 1,), _LEAF, dtype=torch.int64)
    degree = torch.ones(VARIABLE + 1, dtype=torch.float64)
    for operator in vocabulary.operators:
        code = vocabulary.id(operator.name)
        if operator.arity == 0:
            continue
        if operator.name in _BY_NAME:
            kind[code] = _BY_NAME[operator.name]
        elif operator.arity == 1 and operator.units in _DEGREES:
            kind[code], degree[code] = _DEGREE, _DEGREES[operator.units]
        else:
            kind[code] = _COMMON if operator.arity == 2 and operator.units == "same" else _OPAQUE
    return kind.to(device), degree.to(device)


def substitute(
    expressions: Expressions,
    factor: torch.Tensor,
    shift: torch.Tensor,
    y_factor: torch.Tensor,
    y_shift: torch.Tensor,
) -> Expressions:
    """y_factor·e(factor·x + shift) + y_shift for every expression e, with as few new numbers as possible.

    Parameters
    ----------
    expressions : B well-formed rows
    factor, shift : (B, D) or (1, D), what variable d becomes; factors positive
    y_factor, y_shift : (B,) or (1,), what is done with the result; factors positive

    Returns
    -------
    Expressions : B rows. A literal that takes up a factor or a shift becomes a constant; exponents stay.

    One pass from the last symbol to the first writes every node as F·node + S with numbers F > 0 and S, which its
    parent still has to deal with; one pass back hands down to the numbers what they can take up. What meets no number
    is written as a new one.
    """
    e = expressions.trimmed()
    if not len(e):
        return e
    work = _Rewrite(e, factor, shift)
    for i in reversed(work.inner):
        work.ascend(i)
    root = torch.zeros(len(e), dtype=torch.int64, device=e.device)
    work.note(root, work.F[:, 0], work.S[:, 0])
    work.note(root, y_factor.to(work.F).expand(len(e)), y_shift.to(work.F).expand(len(e)))
    for i in work.inner:
        work.descend(i)
    return work.written()


@dataclass(frozen=True)
class _Node:
    """The symbol at one position of every row, (B,) each: its kind, where its arguments are, what they can take up."""

    first: torch.Tensor
    second: torch.Tensor
    binary: torch.Tensor
    inner: torch.Tensor
    kind: torch.Tensor
    sums: torch.Tensor
    products: torch.Tensor  # and quotients
    quotient: torch.Tensor
    first_takes_factor: torch.Tensor
    second_takes_factor: torch.Tensor
    first_takes_shift: torch.Tensor
    second_takes_shift: torch.Tensor


class _Rewrite:
    """Working arrays (B, L) of `substitute`.

    F, S : the node stands for F·node + S; its parent deals with them
    G, H : noted: the node is to become G·node + H
    takes_factor, takes_shift : a number below the node can take up a factor or a shift of it
    """

    def __init__(self, e: Expressions, factor: torch.Tensor, shift: torch.Tensor):
        self.vocabulary, self.codes = e.vocabulary, e.codes
        rows, length = e.codes.shape
        self.rows = torch.arange(rows, device=e.device)
        kinds, degrees = _kinds(e.vocabulary, e.device)
        self.kind, self.degree = kinds[e.codes.clamp(max=VARIABLE)], degrees[e.codes.clamp(max=VARIABLE)]
        self.first, self.second = e.children
        self.binary, self.number = e.arities == 2, e.is_number
        self.inner = [i for i, some in enumerate((self.kind != _LEAF).any(0).tolist()) if some]
        held = torch.nn.functional.pad(e.constants, (0, 1))
        self.value = torch.where(self.number, held.gather(1, e.number_slot), 0.0)

        # a number that is an exponent stays as it is; the spare column takes what is no power
        spare = torch.where(self.kind == _POWER, self.second, length)
        is_exponent = self.number.new_zeros(rows, length + 1).scatter_(1, spare, True)[:, :-1]
        self.exponent = self.number & is_exponent
        self.takes_factor = self.number & ~is_exponent
        self.takes_shift = self.takes_factor.clone()

        which = (e.codes - VARIABLE + 1).clamp(min=0)  # column 0: not a variable
        self.F = torch.nn.functional.pad(factor.to(self.value), (1, 0), value=1.0).expand(rows, -1).gather(1, which)
        self.S = torch.nn.functional.pad(shift.to(self.value), (1, 0), value=0.0).expand(rows, -1).gather(1, which)
        self.G, self.H = torch.ones_like(self.F), torch.zeros_like(self.S)

    def note(self, at: torch.Tensor, factor: torch.Tensor, shift: torch.Tensor) -> None:
        """The node at one position of every row (B,) becomes factor·node + shift."""
        self.G[self.rows, at] *= factor
        self.H[self.rows, at] = self.H[self.rows, at] * factor + shift

    def node(self, i: int) -> _Node:
        """What stands at position i."""
        kind, u, v, binary = self.kind[:, i], self.first[:, i], self.second[:, i], self.binary[:, i]
        quotient = kind == _QUOTIENT
        return _Node(
            first=u,
            second=v,
            binary=binary,
            inner=kind != _LEAF,
            kind=kind,
            sums=(kind == _ADD) | (kind == _SUB),
            products=(kind == _PRODUCT) | quotient,
            quotient=quotient,
            first_takes_factor=self.takes_factor[self.rows, u],
            second_takes_factor=binary & self.takes_factor[self.rows, v],
            first_takes_shift=self.takes_shift[self.rows, u],
            second_takes_shift=binary & self.takes_shift[self.rows, v],
        )

    def ascend(self, i: int) -> None:
        """F and S of the nodes at position i from those of their arguments, which keep what cannot pass."""
        n, rows = self.node(i), self.rows
        k, u, v = n.kind, n.first, n.second
        Fu, Su = self.F[rows, u], self.S[rows, u]
        one, zero = torch.ones_like(Fu), torch.zeros_like(Su)
        Fv = torch.where(n.binary, self.F[rows, v], one)
        Sv = torch.where(n.binary, self.S[rows, v], zero)
        number_u, number_v = self.value[rows, u], self.value[rows, v]
        bare_u = self.number[rows, u] & n.first_takes_factor
        bare_v = self.number[rows, v] & n.second_takes_factor & (number_v != 0)

        # Shifts pass sums, signs and products with a bare number: k·(F·u + S) = F·(k·u) + k·S.
        keeps_u = (k == _NEG) | (bare_v & n.products)
        keeps_v = bare_u & (k == _PRODUCT)
        passed_u = torch.where(k == _NEG, -Su, torch.where(n.quotient, Su / number_v, Su * number_v))
        S = torch.where(n.sums, torch.where(k == _SUB, Su - Sv, Su + Sv), zero)
        S = S + torch.where(keeps_u, passed_u, zero) + torch.where(keeps_v, Sv * number_u, zero)
        S = torch.where(k == _LOG, torch.log(Fu), S)
        to_factor = (k == _EXP) & (Su.abs() < _LARGEST_EXPONENT)  # exp(u + S) = exp(S)·exp(u)
        settle_u = n.inner & ~n.sums & ~keeps_u & ~to_factor
        settle_v = n.binary & ~n.sums & ~keeps_v
        self.note(u, one, torch.where(settle_u, Su / Fu, zero))
        self.note(v, one, torch.where(settle_v, Sv / Fv, zero))

        # Factors pass products, homogeneous functions and fixed powers; a sum has one, the other argument the ratio.
        common = torch.where(n.second_takes_factor, Fu, Fv)
        power = torch.where(k == _POWER, number_v, self.degree[:, i])
        raised = (k == _DEGREE) | ((k == _POWER) & self.exponent[rows, v])
        alike = (k == _COMMON) & (Fu == Fv)
        F = torch.where(n.sums, common, one)
        F = torch.where(n.products, Fu * torch.where(n.quotient, 1 / Fv, Fv), F)
        F = torch.where((k == _NEG) | alike, Fu, F)
        F = torch.where(raised, Fu**power, F)
        F = torch.where(to_factor, torch.exp(Su), F)
        passes = n.products | (k == _NEG) | raised | alike | (k == _LOG)
        stays = n.inner & ~passes
        self.note(u, torch.where(n.sums, Fu / common, torch.where(stays, Fu, one)), zero)
        self.note(v, torch.where(n.sums, Fv / common, torch.where(stays & n.binary, Fv, one)), zero)

        # What a number below can take up is dealt with here.
        one_of_them = n.first_takes_factor | n.second_takes_factor
        takes_factor = (
            (n.sums & n.first_takes_factor & n.second_takes_factor)
            | (n.products & one_of_them)
            | (((k == _NEG) | (k == _DEGREE)) & n.first_takes_factor)
            | ((k == _EXP) & n.first_takes_shift)
        )
        takes_shift = (n.sums & (n.first_takes_shift | n.second_takes_shift)) | ((k == _NEG) & n.first_takes_shift)
        here = torch.full_like(rows, i)
        self.note(here, torch.where(takes_factor, F, one), zero)
        F = torch.where(takes_factor, one, F)
        self.note(here, one, torch.where(takes_shift, S / F, zero))
        S = torch.where(takes_shift, zero, S)
        for table, new in (
            (self.F, F), (self.S, S), (self.takes_factor, takes_factor), (self.takes_shift, takes_shift),
        ):  # fmt: skip
            table[:, i] = torch.where(n.inner, new, table[:, i])

    def descend(self, i: int) -> None:
        """What is noted at position i goes to the arguments that can take it up."""
        n, k = self.node(i), self.kind[:, i]
        gives = n.inner & self.takes_factor[:, i]
        g = torch.where(gives, self.G[:, i], 1.0)
        one, zero = torch.ones_like(g), torch.zeros_like(g)
        to_first = n.sums | (k == _NEG) | (n.products & n.first_takes_factor)
        to_second = n.sums | (n.products & ~n.first_takes_factor)
        rooted = torch.where(k == _DEGREE, g ** (1 / self.degree[:, i]), one)
        self.note(n.first, torch.where(to_first, g, rooted), torch.where(k == _EXP, torch.log(g), zero))
        self.note(n.second, torch.where(to_second, torch.where(n.quotient, 1 / g, g), one), zero)
        self.G[:, i] = torch.where(gives, one, self.G[:, i])

        # a node that keeps its factor takes the shift inside it: G·node + H = G·(node + H/G)
        gives = n.inner & self.takes_shift[:, i]
        h = torch.where(gives, self.H[:, i] / self.G[:, i], zero)
        to_first = gives & n.first_takes_shift
        self.note(n.first, one, torch.where(to_first, torch.where(k == _NEG, -h, h), zero))
        self.note(n.second, one, torch.where(n.sums & ~to_first, torch.where(k == _SUB, -h, h), zero))
        self.H[:, i] = torch.where(gives, zero, self.H[:, i])

    def written(self) -> Expressions:
        """The expressions with their numbers changed, and new numbers for what found none."""
        free = self.number & ~self.exponent
        changed = free & ((self.G != 1) | (self.H != 0))
        value = torch.where(changed, self.G * self.value + self.H, self.value)
        codes = torch.where(changed, CONSTANT, self.codes)
        factor, shift = torch.where(free, 1.0, self.G), torch.where(free, 0.0, self.H)
        return _write(codes, value, factor, shift, self.vocabulary)


def _write(
    codes: torch.Tensor, value: torch.Tensor, factor: torch.Tensor, shift: torch.Tensor, vocabulary: Vocabulary
) -> Expressions:
    """Codes (B, L) with "add shift" and "mul factor" written before the nodes that have one; `value` of numbers."""
    plus, times = (shift != 0) & (codes != PAD), (factor != 1) & (codes != PAD)
    blank = torch.zeros_like(codes)
    # a symbol becomes a block of five places, most of them blank: add shift mul factor symbol
    block = [
        torch.where(plus, vocabulary.id("add"), blank),
        torch.where(plus, CONSTANT, blank),
        torch.where(times, vocabulary.id("mul"), blank),
        torch.where(times, CONSTANT, blank),
        codes,
    ]
    wide = torch.stack(block, -1).flatten(1)
    held = torch.stack([blank.double(), shift, blank.double(), factor, value], -1).flatten(1)
    kept, is_number = wide != PAD, (wide == CONSTANT) | (wide == LITERAL)
    length, count = int(kept.sum(1).max()), int(is_number.sum(1).max())
    column = torch.where(kept, kept.cumsum(1) - 1, length)
    slot = torch.where(is_number, is_number.cumsum(1) - 1, count)
    new = codes.new_zeros(len(codes), length + 1).scatter_(1, column, wide)
    constants = held.new_zeros(len(codes), count + 1).scatter_(1, slot, held)
    return Expressions(new[:, :length], constants[:, :count], vocabulary)
