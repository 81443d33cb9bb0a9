"""Products: equal factors of one product or quotient are collected, and quotients within quotients become one.

What is put together from parts says the same thing twice: t·(sin(t·u)/(t·u)²), or 1/(v/w)³ for (w/v)³; and a factor
stands before a sum that is divided by it: r·√(1 + z²/r²) for √(r² + z²).
"""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, variable
from sr_accessor.expressions.build import NAMED_POWERS, monomials
from sr_accessor.expressions.definitions import replaced, unlifted
from sr_accessor.expressions.vocabulary import LITERAL, PAD, VARIABLE
from sr_accessor.stopping import look

__all__ = ["collected", "distributed"]

#: Products of one expression that are rewritten, one after the other, and factors of each.
MOST_PRODUCTS, MOST_FACTORS = 8, 12
#: Sums of one expression that variables are multiplied into, one after the other, and terms of each.
MOST_SUMS, MOST_TERMS = 3, 6
#: Exponents that an operator hands to its first argument; `div` hands the opposite to its second.
HANDED = {"mul": 1, "div": 1, "inv": -1, "square": 2, "cube": 3}
#: Multiplier of the hashes of sub-expressions, odd, so that it has an inverse modulo 2**64.
PRIME = 0x5851F42D4C957F2D
INVERSE = pow(PRIME, -1, 2**64)


def collected(expressions: Expressions) -> Expressions:
    """Products with each factor once, to an integer power, where that takes fewer symbols, or as many and one quotient.

    Parameters
    ----------
    expressions : Expressions, B well-formed rows over a vocabulary with mul and div

    Returns
    -------
    Expressions, B rows with equal values wherever the original is valid, none longer; factors with free constants stay
    apart, since each is a number of its own
    """
    e = expressions
    if "mul" not in e.vocabulary or "div" not in e.vocabulary:
        return e
    for _ in range(MOST_PRODUCTS):
        look()
        rows, roots, exponents, first = _shorter(e)
        if not len(rows):
            break
        d = max(0, int(e.codes.max()) - VARIABLE + 1)
        parts = monomials(exponents, e.vocabulary)
        slot, factor = (exponents != 0).nonzero().T  # by rows, so that each row's factors follow each other
        columns = e.subexpression(rows[slot], first[slot, factor])
        place = torch.zeros_like(first)
        place[slot, factor] = torch.arange(len(slot), device=e.device)
        own = place.gather(1, (parts.codes - VARIABLE).clamp(0, place.shape[1] - 1))
        codes = torch.where(parts.codes >= VARIABLE, VARIABLE + d + own, parts.codes)
        new = replaced(e[rows], roots, [Expressions(codes, parts.constants, e.vocabulary)])
        new = unlifted(new, columns, d) if len(columns) else new
        index = torch.arange(len(e), device=e.device)
        index[rows] = len(e) + torch.arange(len(rows), device=e.device)
        e = concatenate([e, new])[index].trimmed()
    return e


def distributed(expressions: Expressions) -> Expressions:
    """Variables multiplied into the first sum of the outermost product, plain or below a root, or divided out of it,
    where that is shorter.

    Parameters
    ----------
    expressions : Expressions, B well-formed rows over a vocabulary with mul and div

    Returns
    -------
    Expressions, B rows, none longer; below a root they are equal where the variable is positive
    """
    e = expressions
    if "mul" not in e.vocabulary or "div" not in e.vocabulary or not len(e):
        return e
    for _ in range(MOST_SUMS):
        look()
        tried, rows = _multiplied(e)
        if not len(rows):
            break
        tried = collected(tried)
        every, source = concatenate([e, tried]), torch.cat([torch.arange(len(e), device=e.device), rows])
        order = torch.argsort(every.lengths, stable=True)
        order = order[torch.argsort(source[order], stable=True)]  # by row, the shortest first, of equals the original
        first = torch.ones_like(order, dtype=torch.bool)
        first[1:] = source[order][1:] != source[order][:-1]
        chosen = order[first]
        if bool((chosen < len(e)).all()):
            break
        e = every[chosen].trimmed()
    return e


def _multiplied(e: Expressions) -> tuple[Expressions, torch.Tensor]:
    """Each row with each of its variables v once and twice multiplied into its sum S^q, or divided out of it, and the
    whole divided, f·S^q = v^(−k·q)·f·(Σ vᵏ·term)^q; and the rows they come from.
    """
    member, handed = _members(e)
    exponent, root, factor = _walk(e, member, handed)
    index = torch.arange(e.codes.shape[1], device=e.device)
    total = _is(e, "add") | _is(e, "sub")
    below = factor & (root == 0) & (exponent.abs() == 1)
    rooted = below & _is(e, "sqrt") & total.gather(1, e.children[0])
    site = (below & total) | rooted
    row, d = site.any(1).nonzero()[:, 0], int(e.codes.max()) - VARIABLE + 1
    if not len(row) or d < 1:
        return e[:0], row[:0]
    at = site[row].long().argmax(1)
    half, power = rooted[row, at], exponent[row, at]
    start = torch.where(half, at + 1, at)
    terms = _terms(e[row], start)
    which, v = torch.stack([e[row].uses(i) for i in range(d)], 1).nonzero().T
    # A root of v may stand outside a root only; what the vocabulary cannot write is not tried.
    ways = [k for k, name in ((1, "mul"), (2, "square"), (-1, "inv")) if name in e.vocabulary]
    k = torch.tensor(ways, device=e.device).repeat_interleave(len(which))
    which, v = which.repeat(len(ways)), v.repeat(len(ways))
    keep = terms[which].sum(1) <= MOST_TERMS
    if "sqrt" not in e.vocabulary:
        keep &= ~half[which] | (k == 2)
    which, v, k = which[keep], v[keep], k[keep]
    if not len(which):
        return e[:0], row[:0]
    inserted = torch.zeros(len(which), 3, dtype=torch.int64, device=e.device)
    inserted[:, 0], inserted[:, 1] = e.vocabulary.id("mul"), v + VARIABLE
    for way, name in ((2, "square"), (-1, "inv")):
        if way in ways:
            inserted[:, 1] = torch.where(k == way, e.vocabulary.id(name), inserted[:, 1])
    inserted[:, 2] = torch.where(k == 1, PAD, v + VARIABLE)
    here, own, symbols = terms[which], e.codes[row[which]], torch.where(k == 1, 2, 3)
    shift = here.long().cumsum(1) * symbols[:, None]
    width = int(shift[:, -1].max()) + own.shape[1]
    codes = torch.full((len(which), width + 1), PAD, device=e.device)
    codes.scatter_(1, torch.where(own != PAD, index + shift, width), own)
    for j in range(3):
        place = index + shift - symbols[:, None] + j
        codes.scatter_(
            1, torch.where(here & (j < symbols)[:, None], place, width), inserted[:, j : j + 1].expand_as(own)
        )
    inner = Expressions(codes[:, :width], e.constants[row[which]], e.vocabulary)
    out = k / torch.where(half[which], 2.0, 1.0).double() * power[which]
    one = variable(v, e.vocabulary, e.device)
    shell = monomials(torch.stack([-out, torch.ones_like(out)], 1), e.vocabulary)  # v^(−k·q) · the rest, of two slots
    line = torch.arange(len(v), device=e.device)
    slots = torch.where(shell.codes >= VARIABLE, shell.codes + d + 2 * line[:, None], shell.codes)
    columns = concatenate([one, inner])[torch.stack([line, line + len(v)], 1).flatten()]
    return unlifted(Expressions(slots, shell.constants, e.vocabulary), columns, d), row[which]


def _terms(e: Expressions, start: torch.Tensor) -> torch.Tensor:
    """(B, L) where the terms of the sum that begins at start[row] begin; one pass from the left."""
    rows, length = e.codes.shape
    total = _is(e, "add") | _is(e, "sub")
    sums, terms = torch.zeros_like(total), torch.zeros_like(total)
    sums[torch.arange(rows, device=e.device), start] = True
    for i in range(length):
        inside = sums[:, i] & total[:, i]
        for child in e.children:
            place = child[:, i : i + 1]
            summed = inside[:, None] & total.gather(1, place)
            sums.scatter_(1, place, sums.gather(1, place) | summed)
            terms.scatter_(1, place, terms.gather(1, place) | (inside[:, None] & ~summed))
    return terms


def _shorter(e: Expressions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows (R,) with a product that collecting makes shorter, where the first one begins (R,), the exponents of its
    factors (R, F) and where each of them first occurs (R, F).
    """
    rows, length = e.codes.shape
    member, handed = _members(e)
    exponent, root, factor = _walk(e, member, handed)
    row, at = factor.nonzero().T
    digest = _digests(e)[row, at]
    loose = _holds_free(e)[row, at]
    digest = torch.where(loose, at, digest)  # a free constant is a number of its own
    key = torch.stack([row, root[row, at], digest, loose.long()], 1)
    _, group = torch.unique(key, dim=0, return_inverse=True)
    count = int(group.max()) + 1 if len(group) else 0
    begins = torch.full((count,), length, device=e.device).scatter_reduce_(0, group, at, "amin")
    power = torch.where(_is_one(e)[row, at], 0, exponent[row, at])
    total = torch.zeros(count, dtype=torch.int64, device=e.device).scatter_add_(0, group, power)
    of_row = torch.zeros_like(begins).scatter_(0, group, row)
    of_root = torch.zeros_like(begins).scatter_(0, group, root[row, at])
    size = (e.ends[of_row, begins] - begins) + _power_symbols(total, e)

    def summed(values: torch.Tensor) -> torch.Tensor:
        """(B, L) sums over the factors of the product that begins at each position."""
        flat = torch.zeros(rows * length, dtype=torch.int64, device=e.device)
        return flat.scatter_add_(0, of_row * length + of_root, values).view(rows, length)

    up, down, present = summed((total > 0).long()), summed((total < 0).long()), summed((total != 0).long())
    joined = (present - 1).clamp(min=0) + 2 * ((up == 0) & (down > 0)) + (present == 0)
    new = summed(torch.where(total != 0, size, 0)) + joined
    old = e.ends - torch.arange(length, device=e.device)
    every = summed(torch.ones_like(total))
    whole = member & (root == torch.arange(length, device=e.device))
    quotients = torch.zeros_like(old).scatter_add_(1, root, (member & (_is(e, "div") | _is(e, "inv"))).long())
    better = (new < old) | ((new == old) & (quotients > 1))
    gains = whole & (every > 0) & (every <= MOST_FACTORS) & better
    some, roots = gains.any(1).nonzero()[:, 0], gains.long().argmax(1)
    here = torch.zeros(rows, dtype=torch.int64, device=e.device)
    here[some] = torch.arange(len(some), device=e.device)
    chosen = (gains.any(1)[of_row] & (of_root == roots[of_row])).nonzero()[:, 0]
    chosen = chosen[torch.argsort(of_row[chosen] * length + begins[chosen])]
    line = here[of_row[chosen]]
    place = torch.arange(len(chosen), device=e.device) - torch.searchsorted(line, line)
    exponents = torch.zeros(len(some), MOST_FACTORS, dtype=torch.float64, device=e.device)
    first = torch.zeros(len(some), MOST_FACTORS, dtype=torch.int64, device=e.device)
    exponents[line, place], first[line, place] = total[chosen].double(), begins[chosen]
    return some, roots[some], exponents, first


def _members(e: Expressions) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, L) operators that belong to products, and the exponent that each hands to its first argument."""
    handed = torch.zeros_like(e.codes)
    for name, exponent in HANDED.items():
        handed = torch.where(_is(e, name), exponent, handed)
    if e.constants.shape[1]:
        second = e.children[1]
        value = e.constants.gather(1, e.number_slot.clamp(0, e.constants.shape[1] - 1)).gather(1, second)
        whole = (e.codes.gather(1, second) == LITERAL) & (value == value.round()) & (value.abs() < 100)
        handed = torch.where(_is(e, "pow") & whole, value.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).long(), handed)
    return handed != 0, handed


def _walk(
    e: Expressions, member: torch.Tensor, handed: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B, L) each: exponent within its product, where that product begins, and whether this is one of its factors.

    One pass from the left over positions, all rows at once.
    """
    rows, length = e.codes.shape
    index = torch.arange(length, device=e.device)
    parent = torch.zeros(rows, length + 1, dtype=torch.int64, device=e.device)
    second = torch.zeros(rows, length + 1, dtype=torch.bool, device=e.device)
    for arity, child in ((1, e.children[0]), (2, e.children[1])):
        where = torch.where(e.present & (e.arities >= arity), child, length)
        parent.scatter_(1, where, index.expand(rows, -1))
        second.scatter_(1, where, arity == 2)
    divides = _is(e, "div")
    binary = divides | _is(e, "mul")
    exponent = torch.ones_like(e.codes)
    root = index.repeat(rows, 1)
    factor = torch.zeros_like(member)
    for i in range(1, length):
        above = parent[:, i : i + 1]
        argument = ~second[:, i] | binary.gather(1, above)[:, 0]  # and not an exponent
        within = member.gather(1, above)[:, 0] & e.present[:, i] & argument
        given = torch.where(second[:, i] & divides.gather(1, above)[:, 0], -1, handed.gather(1, above)[:, 0])
        exponent[:, i] = torch.where(within, exponent.gather(1, above)[:, 0] * given, 1)
        root[:, i] = torch.where(within, root.gather(1, above)[:, 0], i)
        factor[:, i] = within & ~member[:, i]
    return exponent, root, factor


def _is(e: Expressions, name: str) -> torch.Tensor:
    """(B, L) where this operator stands, if there is one of that name."""
    return e.codes == (e.vocabulary.id(name) if name in e.vocabulary else -1)


def _is_one(e: Expressions) -> torch.Tensor:
    """(B, L) literal ones."""
    if not e.constants.shape[1]:
        return torch.zeros_like(e.codes, dtype=torch.bool)
    value = e.constants.gather(1, e.number_slot.clamp(0, e.constants.shape[1] - 1))
    return (e.codes == LITERAL) & (value == 1)


def _power_symbols(exponents: torch.Tensor, e: Expressions) -> torch.Tensor:
    """Symbols that a power takes beside its base."""
    size = exponents.abs()
    symbols = torch.where(size > 1, 2, 0)
    for value, name in NAMED_POWERS.items():
        if name is not None and name in e.vocabulary:
            symbols = torch.where(size == value, 1, symbols)
    return symbols


def _digests(e: Expressions) -> torch.Tensor:
    """(B, L) int64: equal where the sub-expressions that begin there are, symbol by symbol and number by number."""
    length = e.codes.shape[1]
    token = e.codes * 0x9E3779B97F4A7C1
    if e.constants.shape[1]:
        bits = e.constants.contiguous().view(torch.int64)
        number = bits.gather(1, e.number_slot.clamp(0, bits.shape[1] - 1))
        token = torch.where(e.is_number, token ^ (number * 0x2545F4914F6CDD1D + 1), token)
    powers, inverses = _ladder(PRIME, length, e.device), _ladder(INVERSE, length, e.device)
    sums = torch.nn.functional.pad((token * powers).cumsum(1), (1, 0))
    return (sums.gather(1, e.ends) - sums[:, :-1]) * inverses


def _ladder(base: int, count: int, device: torch.device) -> torch.Tensor:
    """(count,) int64 powers of the base modulo 2**64."""
    out, value = [], 1
    for _ in range(count):
        out.append(value - 2**64 if value >= 2**63 else value)
        value = value * base % 2**64
    return torch.tensor(out, dtype=torch.int64, device=device)


def _holds_free(e: Expressions) -> torch.Tensor:
    """(B, L) whether the sub-expression that begins there holds a free constant."""
    free = e.is_number & (e.codes != LITERAL)
    before = torch.nn.functional.pad(free.long().cumsum(1), (1, 0))
    return before.gather(1, e.ends) > before[:, :-1]
