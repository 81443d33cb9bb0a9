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
        return substitute(
            expressions, self.x_scale, self.x_shift, 1 / self.y_scale, -self.y_shift / self.y_scale
        )  # fmt: skip

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

    Bottom-up, every node is written as F·node′ + S with numbers F > 0 and S that its parent must still deal with; where
    the node holds a number that can take them up, they are noted there. Top-down, what was noted is handed on to that
    number, or becomes a new one in front of the node.
    """
    e, device = expressions.trimmed(), expressions.device
    codes, (rows, length) = e.codes, e.codes.shape
    if rows == 0:
        return e
    every = torch.arange(rows, device=device)
    kind_of, degree_of = _kinds(e.vocabulary, device)
    kind, degree = kind_of[codes.clamp(max=VARIABLE)], degree_of[codes.clamp(max=VARIABLE)]
    first, second = e.children
    binary = e.arities == 2
    number = e.is_number
    held = e.constants if e.constants.shape[1] else e.constants.new_zeros(rows, 1)
    value = torch.where(number, held.gather(1, e.number_slot.clamp(max=held.shape[1] - 1)), 0.0)
    exponent = torch.zeros_like(number)  # numbers that are exponents stay as they are
    is_power = kind == _POWER
    exponent.scatter_(1, torch.where(is_power, second, length - 1), is_power)
    if length > 1:  # the last symbol may have been written to by a row's other positions
        exponent[:, -1] = (is_power & (second == length - 1)).any(1)

    # Pending: F, S. Noted: G, H (node″ = G·node′ + H). `takes_factor`, `takes_shift`: a number below can take it up.
    variable = (codes - VARIABLE).clamp(min=0, max=max(factor.shape[1] - 1, 0))
    is_variable = codes >= VARIABLE
    pick = lambda table: table.expand(rows, -1).gather(1, variable) if table.shape[1] else torch.zeros_like(value)  # noqa: E731
    F = torch.where(is_variable, pick(factor.to(value)), 1.0)
    S = torch.where(is_variable, pick(shift.to(value)), 0.0)
    G, H = torch.ones_like(F), torch.zeros_like(S)
    takes_factor = number & ~exponent
    takes_shift = takes_factor.clone()

    def note(at: torch.Tensor, factors: torch.Tensor, shifts: torch.Tensor) -> None:
        """node″ becomes factors·node″ + shifts, at one position of every row."""
        G[every, at] *= factors
        H[every, at] = H[every, at] * factors + shifts

    one, zero = F.new_ones(rows), F.new_zeros(rows)
    inner_positions = [i for i, some in enumerate((kind != _LEAF).any(0).tolist()) if some]
    for i in reversed(inner_positions):
        k, u, v, two = kind[:, i], first[:, i], second[:, i], binary[:, i]
        Fu, Su, takes_u = F[every, u], S[every, u], takes_factor[every, u]
        Fv = torch.where(two, F[every, v], one)
        Sv = torch.where(two, S[every, v], zero)
        takes_v = two & takes_factor[every, v]
        shift_u, shift_v = takes_shift[every, u], two & takes_shift[every, v]
        product, quotient = k == _PRODUCT, k == _QUOTIENT
        number_u, number_v = value[every, u], value[every, v]
        bare_u, bare_v = number[every, u] & takes_u, two & number[every, v] & takes_v & (number_v != 0)

        # sums: one common factor; an argument that holds a number takes the ratio
        sums = (k == _ADD) | (k == _SUB)
        common = torch.where(takes_v, Fu, Fv)
        note(u, torch.where(sums, Fu / common, one), zero)
        note(v, torch.where(sums, Fv / common, one), zero)
        S_new = torch.where(sums, torch.where(k == _SUB, Su - Sv, Su + Sv), zero)
        F_new = torch.where(sums, common, one)

        # k·(F·u + S) with a bare number k keeps the shift; any other product, quotient or power settles it first
        keeps_u = (k == _NEG) | (bare_v & (product | quotient))
        keeps_v = bare_u & product
        scaled_u = torch.where(k == _NEG, -Su, torch.where(quotient, Su / number_v, Su * number_v))
        S_new = S_new + torch.where(keeps_u, scaled_u, zero) + torch.where(keeps_v, Sv * number_u, zero)
        settle_u = ~sums & (k != _LEAF) & (k != _EXP) & ~keeps_u
        settle_v = two & ~sums & ~keeps_v
        note(u, one, torch.where(settle_u, Su / Fu, zero))
        note(v, one, torch.where(settle_v, Sv / Fv, zero))

        # factors
        power = torch.where(k == _POWER, number_v, degree[:, i])
        raised = (k == _DEGREE) | ((k == _POWER) & exponent[every, v] & number[every, v])
        F_new = torch.where(product, Fu * Fv, F_new)
        F_new = torch.where(quotient, Fu / Fv, F_new)
        F_new = torch.where(k == _NEG, Fu, F_new)
        F_new = torch.where(raised, Fu**power, F_new)
        same = (k == _COMMON) & (Fu == Fv)
        F_new = torch.where(same, Fu, F_new)
        S_new = torch.where(k == _LOG, torch.log(Fu), S_new)
        small = (k == _EXP) & (Su.abs() < _LARGEST_EXPONENT)
        F_new = torch.where(small, torch.exp(Su), F_new)
        carried = sums | product | quotient | (k == _NEG) | raised | same | (k == _LOG)
        opaque_u = (k != _LEAF) & ~carried
        opaque_v = two & ~carried | (two & (k == _POWER))
        # exp settles only the factor when its shift became a factor of the result
        note(u, torch.where(opaque_u, Fu, one), torch.where((k == _EXP) & ~small, Su, zero))
        note(v, torch.where(opaque_v, Fv, one), zero)

        # which numbers below can take up a factor or a shift of this node
        can_factor = (
            (sums & takes_u & takes_v)
            | (product & (takes_u | takes_v))
            | (quotient & (takes_u | takes_v))
            | ((k == _NEG) & takes_u)
            | ((k == _DEGREE) & takes_u)
            | ((k == _EXP) & shift_u)
        )
        can_shift = (sums & (shift_u | shift_v)) | ((k == _NEG) & shift_u)
        leaf = k == _LEAF
        takes_factor[:, i] = torch.where(leaf, takes_factor[:, i], can_factor)
        takes_shift[:, i] = torch.where(leaf, takes_shift[:, i], can_shift)
        here = torch.full_like(every, i)
        absorb = ~leaf & can_factor & (F_new != 1)
        note(here, torch.where(absorb, F_new, one), zero)
        F_new = torch.where(absorb, one, F_new)
        absorb = ~leaf & can_shift & (S_new != 0)
        note(here, one, torch.where(absorb, S_new / F_new, zero))
        S_new = torch.where(absorb, zero, S_new)
        F[:, i] = torch.where(leaf, F[:, i], F_new)
        S[:, i] = torch.where(leaf, S[:, i], S_new)

    note(torch.zeros_like(every), F[:, 0], S[:, 0])
    note(torch.zeros_like(every), y_factor.to(value).expand(rows), y_shift.to(value).expand(rows))

    # top-down: hand G and H on to the numbers; what finds none is written before the node
    for i in inner_positions:
        k, u, v, two = kind[:, i], first[:, i], second[:, i], binary[:, i]
        inner = k != _LEAF
        takes_u, takes_v = takes_factor[every, u], two & takes_factor[every, v]
        shift_u = takes_shift[every, u]
        gives = inner & takes_factor[:, i]
        g = torch.where(gives, G[:, i], one)
        sums, product, quotient = (k == _ADD) | (k == _SUB), k == _PRODUCT, k == _QUOTIENT
        to_u = gives & (sums | (k == _NEG) | ((product | quotient) & takes_u))
        to_v = gives & (sums | ((product | quotient) & ~takes_u))
        root = torch.where(k == _DEGREE, g ** (1 / degree[:, i]), one)
        note(u, torch.where(to_u, g, root), torch.where(k == _EXP, torch.log(g), zero))
        note(v, torch.where(to_v, torch.where(quotient, 1 / g, g), one), zero)
        G[:, i] = torch.where(gives, one, G[:, i])
        # a node that keeps its factor takes the shift inside it: G·(node + H/G)
        gives = inner & takes_shift[:, i]
        h = torch.where(gives, H[:, i] / G[:, i], zero)
        first_takes = gives & shift_u
        sign_u = torch.where(k == _NEG, -h, h)
        sign_v = torch.where(k == _SUB, -h, h)
        note(u, one, torch.where(first_takes, sign_u, zero))
        note(v, one, torch.where(sums & ~first_takes, sign_v, zero))
        H[:, i] = torch.where(gives, zero, H[:, i])
    changed = number & ((G != 1) | (H != 0)) & ~exponent
    value = torch.where(changed, G * value + H, value)
    codes = torch.where(changed & (codes == LITERAL), CONSTANT, codes)
    G = torch.where(number & ~exponent, 1.0, G)
    H = torch.where(number & ~exponent, 0.0, H)
    return _write(codes, value, number, G, H, e.vocabulary)


def _write(codes, value, number, G, H, vocabulary: Vocabulary) -> Expressions:
    """Codes with `add H`, `mul G` written before the nodes that still have a shift or a factor."""
    rows = len(codes)
    plus, times = (H != 0) & (codes != PAD), (G != 1) & (codes != PAD)
    # each symbol is a block of five places: add H mul G symbol
    blank, add, mul = torch.zeros_like(codes), vocabulary.id("add"), vocabulary.id("mul")
    parts = [
        torch.where(plus, add, blank),
        torch.where(plus, CONSTANT, blank),
        torch.where(times, mul, blank),
        torch.where(times, CONSTANT, blank),
        codes,
    ]
    numbers = [blank.double(), H, blank.double(), G, torch.where(number, value, 0.0)]
    wide, held = torch.stack(parts, -1).flatten(1), torch.stack(numbers, -1).flatten(1)
    kept = wide != PAD
    width = int(kept.sum(1).max())
    column = torch.where(kept, kept.cumsum(1) - 1, width)
    out = torch.zeros(rows, width + 1, dtype=torch.int64, device=codes.device).scatter_(1, column, wide)
    is_number = (wide == CONSTANT) | (wide == LITERAL)
    count = int(is_number.sum(1).max())
    slot = torch.where(is_number, is_number.cumsum(1) - 1, count)
    constants = held.new_zeros(rows, count + 1).scatter_(1, slot, held)
    return Expressions(out[:, :width], constants[:, :count], vocabulary)
