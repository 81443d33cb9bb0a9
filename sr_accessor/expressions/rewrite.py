"""Simplification of a whole batch by array rewriting: folding, affine merging, inverse pairs, canonical order.

Every sub-expression is held as ``a · core + b`` with numbers a, b, so that scales and offsets merge by arithmetic
instead of by pattern. One pass per depth from the deepest operators computes these forms; one pass from the root
writes them down again. A free constant absorbs the numbers it meets; the number of free constants never grows, and
rules never turn a fixed relation between two literals into two free constants.

The result equals the original wherever the original is valid, up to rounding; it may be valid where the original is
not (exp(log(x)) becomes x). Only active operators of the vocabulary are introduced. It knows operators by name, since
an algebraic law is about named functions; a stranger's operator is kept as it is and folded over numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from sr_accessor.expressions.batch import Expressions, concatenate
from sr_accessor.expressions.paired import depths, lay_out
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE
from sr_accessor.stopping import look

__all__ = ["simplify_batch"]

#: A core that stands for a whole form, where merging would add a free constant or overflow (ids 3-7 are reserved).
WHOLE = 5
NUMBER = -1  # core of a form that is only a number

EVEN = ("cos", "cosh", "abs", "square")
ODD = ("sin", "tan", "asin", "atan", "sinh", "tanh")
#: outer(inner(u)) = u
CANCEL = {
    "log": "exp", "exp": "log", "inv": "inv", "square": "sqrt", "sin": "asin", "cos": "acos", "tan": "atan",
}  # fmt: skip
#: abs(f(u)) = f(u)
NONNEGATIVE = ("abs", "square", "sqrt", "exp", "cosh")
#: f(exp(u)) = exp(p·u); and log(f(u)) = p·log(u) where f needs, or leaves, a positive u
EXPONENT_OF = {"inv": -1.0, "square": 2.0, "cube": 3.0, "sqrt": 0.5}
#: Powers of powers that become one power.
MOST_POWERS = 3
POSITIVE_ONLY = ("inv", "cube", "sqrt")
#: f(a·u) = image(a)·f(u)
SCALE_IMAGE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "square": torch.square,
    "cube": lambda a: a * a * a,
    "abs": torch.abs,
    "inv": torch.reciprocal,
    "sqrt": torch.sqrt,  # NaN, that is never, for a negative scale
}
POWER_NAME = {2.0: "square", 3.0: "cube", 0.5: "sqrt", -1.0: "inv"}


def simplify_batch(
    expressions: Expressions, *, outward: bool | torch.Tensor = False, inward: bool | torch.Tensor = False
) -> Expressions:
    """Simpler expressions with equal values, row by row.

    Parameters
    ----------
    expressions : Expressions, B well-formed rows; free constants and literals keep their kinds
    outward : in all rows or where (B,) true free scales that belong to nothing else leave sums with a literal offset
        too, k·log(c·x + 1) + d -> k·log(x + c′) + d′; this frees the offset, so it is simpler only where something
        outside takes the scale up
    inward : the same for scales that enter the sum under a power, k·sqrt(u + c·v) -> sqrt(a·u + b·v); simpler only
        where one of a and b is a number of its own

    Returns
    -------
    Expressions, B rows. Numbers only -> one number; 0 and 1 vanish; scales and offsets merge (c₁(c₂x + c₃) + c₄ ->
    a·x + b); x·x -> square(x), x/x -> 1, x − x -> 0; inverse functions cancel; arguments of commutative operators
    stand in one canonical order. A row whose simpler form needs an inactive operator stays as it is.
    """
    if not len(expressions) or not expressions.codes.shape[1]:
        return expressions
    forms = _Forms(expressions, outward, inward)
    for depth in range(int(forms.depths.max()), -1, -1):
        forms.rewrite((forms.depths == depth).nonzero()[:, 0])
    written = forms.written()
    excluded = expressions.permitted & ~written.permitted  # x + x + x is no product where `mul` is excluded
    if not bool(excluded.any()):
        return written
    rows = torch.arange(len(written), device=excluded.device)
    return concatenate([written, expressions])[torch.where(excluded, len(written) + rows, rows)]


class _Forms:
    """Working arrays, one entry per position of the batch (flat): the form a·core + b and the core's own symbol."""

    def __init__(self, expressions: Expressions, outward: bool | torch.Tensor, inward: bool | torch.Tensor):
        layout = lay_out(expressions)
        self.vocabulary, self.device = layout.vocabulary, layout.codes.device
        self.rows, self.length = layout.codes.shape
        self.outward, self.inward = (
            torch.as_tensor(way, device=self.device).expand(self.rows).repeat_interleave(self.length)
            for way in (outward, inward)
        )
        base = torch.arange(self.rows, device=self.device)[:, None] * self.length
        self.code = layout.codes.reshape(-1).clone()
        self.left = (base + torch.arange(1, self.length + 1, device=self.device).clamp(max=self.length - 1)).reshape(-1)
        self.right = (base + layout.second).reshape(-1)
        inner = layout.arity > 0
        self.depths = torch.where(inner, depths(layout.ends, inner), -1).reshape(-1)
        number = (self.code == CONSTANT) | (self.code == LITERAL)
        position = torch.arange(len(self.code), device=self.device)
        self.core = torch.where(number, NUMBER, position)
        self.a = torch.where(number, 0.0, 1.0).double()
        self.b = torch.where(number, layout.values.reshape(-1), 0.0)
        self.a_free = torch.zeros_like(number)
        self.b_free = self.code == CONSTANT
        self.hash = _mixed(self.code, torch.zeros_like(self.code))
        self.shape = self.hash.clone()  # the same without any number: the canonical order, stable under rewriting
        self.bearing = torch.zeros_like(number)  # a free constant inside the core: equal symbols are not equal values
        v = self.vocabulary
        arities = v.arities.to(self.device)
        self.arity = torch.cat([arities, arities.new_zeros(1)])
        self.arity[WHOLE] = 1
        self.known = {o.name: v.id(o.name) for o in v.operators}
        self.active = {o.name: v.id(o.name) for o in v}
        self.nullary = torch.zeros(VARIABLE + 1, dtype=torch.float64, device=self.device)
        for o in v.operators:
            if o.arity == 0:
                self.nullary[v.id(o.name)] = o.torch()
        self.commutative = torch.zeros(VARIABLE + 1, dtype=torch.bool, device=self.device)
        for o in v.operators:
            self.commutative[v.id(o.name)] = o.commutative

        self.in_table = {
            "even": self._table(EVEN),
            "odd": self._table(ODD),
            "nonnegative": self._table(NONNEGATIVE),
        }
        self.cancels = torch.full((VARIABLE + 1,), -1, device=self.device)
        for outer, inner in CANCEL.items():
            if outer in self.known and inner in self.known:
                self.cancels[self.known[outer]] = self.known[inner]

    def _table(self, names) -> torch.Tensor:
        out = torch.zeros(VARIABLE + 1, dtype=torch.bool, device=self.device)
        out[[self.known[n] for n in names if n in self.known]] = True
        return out

    # ------------------------------------------------------------------ one depth
    def rewrite(self, at: torch.Tensor) -> None:
        """Forms of the nodes `at`, whose arguments have theirs."""
        look()
        self._name_powers(at)
        code = self.code[at]
        whole = code == WHOLE
        self.affine(at[whole], self.left[at[whole]])
        at = self._folded(at[~whole])
        code = self.code[at]
        binary = self.arity[code] == 2
        known = {name: self.known.get(name, PAD) for name in ("add", "sub", "mul", "div", "pow", "neg")}
        subtracted = at[code == known["sub"]]
        self._negate(self.right[subtracted])
        rules = {"mul": self._mul, "div": self._div, "pow": self._pow, "neg": self._neg}
        self._add(at[(code == known["add"]) | (code == known["sub"])])
        for name, rule in rules.items():
            rule(at[code == known[name]])
        self._unary(at[~binary & (code != known["neg"])])
        other = at[binary & ~torch.isin(code, code.new_tensor(list(known.values())))]
        self.make(other, self.code[other], self.left[other], self.right[other])

    def _name_powers(self, at: torch.Tensor) -> None:
        """pow(u, 2) is square(u) and so on; pow(u, 1) is u; pow(u, 0) is 1."""
        if "pow" not in self.known:
            return
        at = at[self.code[at] == self.known["pow"]]
        self._one_power(at)
        exponent = self.right[at]
        p, fixed = self.b[exponent], (self.core[exponent] == NUMBER) & ~self.b_free[exponent]
        for value, name in POWER_NAME.items():
            if name in self.active:
                self.code[at[fixed & (p == value)]] = self.active[name]
        self.code[at[fixed & (p == 1.0)]] = WHOLE
        one = at[fixed & (p == 0.0)]
        self.code[one] = WHOLE
        self._set_number(self.left[one], 1.0, False)

    def _one_power(self, at: torch.Tensor) -> None:
        """(u^p)^q is u^(p·q) where q is a number that is not whole, or u^p is a root: u is positive wherever it is
        defined, or a square, whose root is |u|."""
        for _ in range(MOST_POWERS):
            base, exponent = self.left[at], self.right[at]
            q = self.b[exponent]
            broken = (self.core[exponent] == NUMBER) & ((q != q.round()) | self.b_free[exponent])
            todo = broken & self._bare(base)
            if not bool(todo.any()):
                return
            at, base, exponent = at[todo], base[todo], exponent[todo]
            inner = self.code[self.core[base]]
            argument = self._argument(base)
            for name, p in EXPONENT_OF.items():
                here = self._of(inner, name)
                if name == "square" and "abs" not in self.active:
                    continue
                self.b[exponent[here]] *= p
                if name == "square":
                    self._unary(base[here], self.active["abs"], argument[here])
                else:
                    self.left[at[here]] = argument[here]
            power, other = self._number_power(base)
            p, p_free = self.b[other], self.b_free[other]
            here = power & (p != p.round()) & (self.b[exponent] * p).isfinite()
            self.b[exponent[here]] *= p[here]
            self.b_free[exponent[here]] |= p_free[here]
            self.left[at[here]] = argument[here]

    def _folded(self, at: torch.Tensor) -> torch.Tensor:
        """The nodes that are not only numbers; the others become one number, where that is finite."""
        code = self.code[at]
        binary = self.arity[code] == 2
        one, two = self.left[at], self.right[at]
        numbers = (self.core[one] == NUMBER) & (~binary | (self.core[two] == NUMBER))
        only, code = at[numbers], code[numbers]
        if not len(only):
            return at
        value = torch.full_like(self.b[only], torch.nan)
        for symbol in torch.unique(code).tolist():
            operator, here = self.vocabulary.operator(symbol), code == symbol
            value[here] = operator.torch(*(self.b[j[only[here]]] for j in (self.left, self.right)[: operator.arity]))
        free = self.b_free[one] | (binary & self.b_free[two])
        fold = torch.isfinite(value)
        self._set_number(only[fold], value[fold], free[numbers][fold])
        dead = only[~fold]  # no value anywhere: kept as it is
        self.make(dead, self.code[dead], self.left[dead], self.right[dead])
        return at[~numbers]

    def _set_number(self, at, value, free) -> None:
        self.core[at] = NUMBER
        self.a[at], self.a_free[at] = 0.0, False
        self.b[at], self.b_free[at] = value, free

    # ------------------------------------------------------------------ building forms
    def make(self, at, code, left, right=None) -> None:
        """The form 1·core + 0 with a new core code(left, right); canonical order where the code is commutative."""
        if not len(at):
            return
        code = torch.as_tensor(code, device=self.device).expand(len(at))
        right = left if right is None else right
        binary = self.arity[code] == 2
        one, two = self._order(left), self._order(right)
        swap = self.commutative[code] & (one > two)
        left, right = torch.where(swap, right, left), torch.where(swap, left, right)
        self.code[at], self.left[at], self.right[at], self.core[at] = code, left, right, at
        self.a[at], self.b[at] = 1.0, 0.0
        self.a_free[at] = self.b_free[at] = False
        for hashes, one, two in (
            (self.hash, self._digest(left), self._digest(right)),
            (self.shape, self._shape(left), self._shape(right)),
        ):
            hashes[at] = _mixed(_mixed(code, one), torch.where(binary, two, 0))
        self.bearing[at] = self._bears(left) | (binary & self._bears(right))

    def affine(self, at, j, s=1.0, s_free=None, t=0.0, t_free=None) -> None:
        """The form s·(form j) + t."""
        if not len(at):
            return
        none = torch.zeros(len(at), dtype=torch.bool, device=self.device)
        s, t = (torch.as_tensor(v, dtype=torch.float64, device=self.device).expand(len(at)) for v in (s, t))
        s_free, t_free = (none if f is None else f for f in (s_free, t_free))
        a, b, core = self.a[j], self.b[j], self.core[j]
        a_free, b_free = self.a_free[j], self.b_free[j]
        # A whole form under a free scale opens when a free offset joins: v(x+3) + c = v·x + c'.
        inner = self.left[core.clamp(min=0)]
        opened = (core != NUMBER) & (self.code[core] == WHOLE) & (a_free | s_free) & (t_free | b_free)
        b = torch.where(opened, b + a * self.b[inner], b)
        b_free = b_free | (opened & (self.b_free[inner] | a_free))
        a_free = a_free | (opened & self.a_free[inner])
        a = torch.where(opened, a * self.a[inner], a)
        core = torch.where(opened, self.core[inner], core)

        has_b = (b != 0) | b_free
        new_a, new_b = s * a, torch.where(has_b, s * b + t, t)
        new_a_free = (s_free & (core != NUMBER)) | a_free
        new_b_free = t_free | (has_b & (b_free | s_free))
        zero = (s == 0) & ~s_free
        lost = ~torch.isfinite(new_a) | ~torch.isfinite(new_b) | ((new_a == 0) & (a != 0) & (s != 0))
        grows = s_free & ~a_free & ~b_free & has_b & ~t_free & (core != NUMBER)
        whole = (lost | grows) & ~zero
        self.make(at[whole], WHOLE, j[whole])
        self.a[at], self.a_free[at] = torch.where(whole, s, new_a), torch.where(whole, s_free, new_a_free)
        self.b[at], self.b_free[at] = torch.where(whole, t, new_b), torch.where(whole, t_free, new_b_free)
        self.core[at] = torch.where(whole, at, core)
        self._settle(at)

    def _settle(self, at) -> None:
        """A literal scale 0 leaves a number; π under a free number is a free number."""
        core = self.core[at]
        code = self.code[core].clamp(max=VARIABLE)
        named = (core != NUMBER) & (code >= FIRST_OPERATOR) & (code < VARIABLE) & (self.arity[code] == 0)
        named &= self.a_free[at] | self.b_free[at]
        b = torch.where(named, self.b[at] + self.a[at] * self.nullary[code], self.b[at])
        gone = ((self.a[at] == 0) & ~self.a_free[at]) | named
        self._set_number(at[gone], b[gone], (self.b_free[at] | named)[gone])

    def _digest(self, j) -> torch.Tensor:
        """A hash of the form j; free constants all alike (`_same` asks `bearing`)."""
        a = torch.where(self.a_free[j], 0.123, self.a[j] + 0.0).view(torch.int64)
        b = torch.where(self.b_free[j], 0.123, self.b[j] + 0.0).view(torch.int64)
        core = self.core[j]
        inside = torch.where(core == NUMBER, 7, self.hash[core])
        plain = (self.a[j] == 1) & ~self.a_free[j] & (self.b[j] == 0) & ~self.b_free[j]
        return torch.where(plain, inside, _mixed(_mixed(inside, a), b))

    def _shape(self, j) -> torch.Tensor:
        return torch.where(self.core[j] == NUMBER, 7, self.shape[self.core[j]])

    def _bears(self, j) -> torch.Tensor:
        core = self.core[j]
        return self.a_free[j] | self.b_free[j] | ((core != NUMBER) & self.bearing[core])

    def _order(self, j) -> torch.Tensor:
        """Sort key: numbers, variables by index, then by operator."""
        core = self.core[j]
        code = self.code[core]
        rank = torch.where(core == NUMBER, 0, torch.where(code >= VARIABLE, code, (1 << 20) + code))
        return (rank << 40) + (self._shape(j) & ((1 << 40) - 1))

    def _same(self, i, j) -> torch.Tensor:
        return (self._digest(i) == self._digest(j)) & ~self._bears(i) & ~self._bears(j)

    def _same_core(self, i, j) -> torch.Tensor:
        i, j = self.core[i], self.core[j]
        return (self.hash[i] == self.hash[j]) & ~self.bearing[i] & ~self.bearing[j] & (i != NUMBER) & (j != NUMBER)

    def _is(self, j, name: str) -> torch.Tensor:
        """Whether form j is exactly a core of this operator: 1·name(…) + 0."""
        if name not in self.known:
            return torch.zeros(len(j), dtype=torch.bool, device=self.device)
        return self._bare(j) & (self.code[self.core[j]] == self.known[name])

    def _bare(self, j) -> torch.Tensor:
        plain = (self.a[j] == 1) & ~self.a_free[j] & (self.b[j] == 0) & ~self.b_free[j]
        return plain & (self.core[j] != NUMBER)

    def _pull(self, j, image: torch.Tensor, allowed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the scale a out of the forms j where f(a·u) = image(a)·f(u): image(a) or 1, and whether it is free.

        With an offset, (a·u + b) = a·(u + b/a), only when both are free, or when scales go outward. A literal is
        taken out only when its image is short in binary, so that 1/(3x) does not turn into 0.333…/x.
        """
        a, b = self.a[j], self.b[j]
        s, offset = image, torch.where(b == 0, 0.0, b / a)
        no_b = (b == 0) & ~self.b_free[j]
        short = (s * 1024).round() == s * 1024
        wanted = torch.where(self.a_free[j], no_b | self.b_free[j] | self.outward[j], no_b & short & (a != 1))
        take = wanted & allowed & (self.core[j] != NUMBER) & (a != 0)
        take &= torch.isfinite(s) & (s != 0) & torch.isfinite(offset) & ((b == 0) | (offset != 0))
        free = take & self.a_free[j]
        self.b[j] = torch.where(take, offset, b)
        self.b_free[j] = self.b_free[j] | (free & (offset != 0))
        self.a[j] = torch.where(take, 1.0, a)
        self.a_free[j] = self.a_free[j] & ~take
        return torch.where(take, s, 1.0), free

    # ------------------------------------------------------------------ rules
    def _neg(self, at) -> None:
        self.affine(at, self.left[at], -1.0)

    def _negate(self, j) -> None:
        self.a[j], self.b[j] = -self.a[j], -self.b[j]

    def _add(self, at) -> None:
        if not len(at):
            return
        at, left, right = self._without_numbers(at, factor=False)
        t, t_free = self.b[left] + self.b[right], self.b_free[left] | self.b_free[right]
        move = torch.isfinite(t)
        t, t_free = torch.where(move, t, 0.0), t_free & move
        for j in (left, right):
            self.b[j] = torch.where(move, 0.0, self.b[j])
            self.b_free[j] = self.b_free[j] & ~move
        one, two = self.a[left], self.a[right]
        free_one, free_two = self.a_free[left], self.a_free[right]

        like = self._same_core(left, right) & move & torch.isfinite(one + two)
        m = at[like]
        self.core[m] = self.core[left[like]]
        self.a[m], self.a_free[m] = (one + two)[like], (free_one | free_two)[like]
        self.b[m], self.b_free[m] = t[like], t_free[like]
        self._settle(m)

        at, left, right, one, two = at[~like], left[~like], right[~like], one[~like], two[~like]
        free_one, free_two, t, t_free = free_one[~like], free_two[~like], t[~like], t_free[~like]
        ratio = two / one
        both_free = free_one & free_two & (one != 0) & (two != 0) & torch.isfinite(ratio) & (ratio != 0)
        common = ~free_one & ~free_two & (one.abs() == two.abs()) & (one != 1) & ~((one == -1) & (two == 1))
        factor = (both_free | common) & self._no_offset(left) & self._no_offset(right)
        self.a[left] = torch.where(factor, 1.0, one)
        self.a[right] = torch.where(factor, ratio, two)
        self.a_free[left] = free_one & ~factor
        self.make(at, self.known["add"], left, right)
        self.a[at] = torch.where(factor, one, 1.0)
        self.a_free[at] = factor & free_one
        self.b[at], self.b_free[at] = t, t_free

    def _without_numbers(self, at, *, factor: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A number on one side becomes a factor, or an offset, of the other; the nodes with none, left and right."""
        left, right = self.left[at], self.right[at]
        for number, other in ((left, right), (right, left)):
            m = (self.core[number] == NUMBER) & (self.core[other] != NUMBER)
            n = number[m]
            taken = ("s", "s_free") if factor else ("t", "t_free")
            self.affine(at[m], other[m], **dict(zip(taken, (self.b[n], self.b_free[n]), strict=True)))
        m = (self.core[left] != NUMBER) & (self.core[right] != NUMBER)
        return at[m], left[m], right[m]

    def _no_offset(self, j) -> torch.Tensor:
        return (self.b[j] == 0) & ~self.b_free[j]

    def _mul(self, at) -> None:
        if len(at):
            self._product(*self._without_numbers(at, factor=True))

    def _div(self, at) -> None:
        if not len(at):
            return
        left, right = self.left[at], self.right[at]
        by_number = self.core[right] == NUMBER
        inverse = 1 / self.b[right]
        m = by_number & torch.isfinite(inverse)
        self.affine(at[m], left[m], s=inverse[m], s_free=self.b_free[right[m]])
        m = by_number & ~torch.isfinite(inverse)
        self.make(at[m], self.known["div"], left[m], right[m])
        at, left, right = at[~by_number], left[~by_number], right[~by_number]
        # number / u = number · inv(u); the scale of u joins the number
        m = self.core[left] == NUMBER
        here, top, under = at[m], left[m], right[m]
        if "inv" in self.known:
            s, free = self._pull(under, self.a[under].reciprocal(), torch.ones_like(here, dtype=torch.bool))
            scale, scale_free = self.b[top] * s, self.b_free[top] | free
            self._unary(here, self.known["inv"], under, scale, scale_free)
        else:
            self.make(here, self.known["div"], top, under)
        at, left, right = at[~m], left[~m], right[~m]
        always = torch.ones_like(at, dtype=torch.bool)
        s, free = self._pull(left, self.a[left], always)
        under, under_free = self._pull(right, self.a[right].reciprocal(), always)
        s, free = s * under, free | under_free
        same = self._same(left, right)
        self._set_number(at[same], s[same], free[same])
        flipped = self._is(right, "inv") & ~same & ("mul" in self.active)
        self._product(at[flipped], left[flipped], self.left[self.core[right[flipped]]], s[flipped], free[flipped])
        power, exponent = self._number_power(right)
        turned = power & (self.b[exponent] < 0) & ~same & ("mul" in self.active)
        self._other_power(right[turned], right[turned])
        self._product(at[turned], left[turned], right[turned], s[turned], free[turned])
        rest = ~same & ~flipped & ~turned
        rest[rest.clone()] = ~self._divided(at[rest], left[rest], right[rest], s[rest], free[rest])
        self._scaled(at[rest], self.known["div"], left[rest], right[rest], s[rest], free[rest])

    def _divided(self, at, left, right, s, free) -> torch.Tensor:
        """s·(c·w + v)/w is s·c + s·v/w; returns where that was so. Two numbers stay two: c is free wherever s is."""
        core = self.core[left].clamp(min=0)
        todo = self._of(self.code[core], "add") & (self.core[left] != NUMBER) & self._bare(right)
        done = torch.zeros_like(todo)
        for one, two in ((self.left[core], self.right[core]), (self.right[core], self.left[core])):
            here = todo & ~done & self._same_core(one, right) & self._no_offset(one) & (~free | self.a_free[one])
            here &= ~self.a_free[left]
            done |= here
            i, j, c, v = at[here], left[here], one[here], two[here]
            scale, scale_free = s[here], free[here]
            offset, offset_free = scale * self.a[j] * self.a[c], scale_free | self.a_free[c]
            self.affine(j, v, self.a[j], self.a_free[j], self.b[j], self.b_free[j])
            more, more_free = self._pull(j, self.a[j], torch.ones_like(i, dtype=torch.bool))
            self._scaled(i, self.known["div"], j, right[here], scale * more, scale_free | more_free)
            self.b[i], self.b_free[i] = offset, offset_free
        return done

    def _scaled(self, at, code, left, right, s, free) -> None:
        """The form s·code(left, right)."""
        self.make(at, code, left, right)
        self.a[at], self.a_free[at] = s, free
        self._settle(at)

    def _product(self, at, left, right, scale=1.0, scale_free=None) -> None:
        """scale · left · right, neither a number."""
        always = torch.ones_like(at, dtype=torch.bool)
        s, free = self._pull(left, self.a[left], always)
        other, other_free = self._pull(right, self.a[right], always)
        s, free = s * other * scale, free | other_free
        if scale_free is not None:
            free = free | scale_free
        todo = always.clone()

        def settle(mask, act) -> None:
            mask = mask & todo
            todo[mask] = False
            if mask.any():
                act(at[mask], left[mask], right[mask], s[mask], free[mask])

        same = self._same(left, right)
        # √u·√u = u
        settle(same & self._is(left, "sqrt"), lambda i, u, v, s, f: self.affine(i, self._argument(u), s, f))
        if "square" in self.active:
            settle(same, lambda i, u, v, s, f: self._unary(i, self.active["square"], u, s, f))
        for one, two in ((left, right), (right, left)):
            # u · (1/u) = 1
            inverse = self._is(two, "inv")
            mask = inverse & self._same(one, self._argument(two))
            settle(mask, lambda i, u, v, s, f: self._set_number(i, s, f))
            if "cube" in self.active:
                mask = self._is(two, "square") & self._same(one, self._argument(two))
                first = one is left
                settle(
                    mask,
                    lambda i, u, v, s, f, first=first: self._unary(i, self.active["cube"], u if first else v, s, f),
                )
        if "div" in self.active:
            div = self.active["div"]
            settle(self._is(right, "inv"), lambda i, u, v, s, f: self._scaled(i, div, u, self._argument(v), s, f))
            settle(self._is(left, "inv"), lambda i, u, v, s, f: self._scaled(i, div, v, self._argument(u), s, f))
        settle(todo, lambda i, u, v, s, f: self._scaled(i, self.known["mul"], u, v, s, f))

    def _argument(self, j) -> torch.Tensor:
        """The first argument of form j's core."""
        return self.left[self.core[j].clamp(min=0)]

    def _pow(self, at) -> None:
        if not len(at):
            return
        base, exponent = self.left[at], self.right[at]
        a, p = self.a[base], self.b[exponent]
        fixed = (self.core[exponent] == NUMBER) & (self.core[base] != NUMBER)
        s, free = self._pull(base, torch.pow(a.clamp(min=0), p), fixed & (a > 0) & self.a_free[base])
        of_exp = self._is(base, "exp") & (self.core[exponent] == NUMBER)  # exp(u)^p = exp(p·u)
        rest = ~of_exp
        self._scaled(at[rest], self.known["pow"], base[rest], exponent[rest], s[rest], free[rest])
        at, base, exponent, s, free = (part[of_exp] for part in (at, base, exponent, s, free))
        self.affine(base, self._argument(base), self.b[exponent], self.b_free[exponent])
        if len(at):
            self._unary(at, self.known["exp"], base, s, free)

    def _unary(self, at, code=None, child=None, scale=1.0, scale_free=None) -> None:
        """scale · f(child) with the operators f of the nodes or `code`; no child is a number."""
        if not len(at):
            return
        code = self.code[at] if code is None else torch.as_tensor(code, device=self.device).expand(len(at))
        child = self.left[at] if child is None else child
        s = torch.as_tensor(scale, dtype=torch.float64, device=self.device).expand(len(at))
        free = torch.zeros(len(at), dtype=torch.bool, device=self.device) if scale_free is None else scale_free

        # ---- signs: f(-u) = f(u), f(-u) = -f(u)
        below = self.a[child] < 0
        odd = below & self.in_table["odd"][code] & ~self.a_free[child] & self._no_offset(child)
        self._negate(child[odd | (below & self.in_table["even"][code])])
        s = torch.where(odd, -s, s)
        # ---- scales: f(a·u) = image(a)·f(u)
        a = self.a[child]
        image = torch.full_like(a, torch.nan)
        for name, of in SCALE_IMAGE.items():
            if name in self.known:
                image = torch.where(code == self.known[name], of(a), image)
        pulled, pulled_free = self._pull(child, image, torch.isfinite(image))
        s, free = s * pulled, free | pulled_free
        # ---- log(a·u) = log a + log u; a literal only where an exponential is waiting
        is_log, is_exp = self._of(code, "log"), self._of(code, "exp")
        waiting = is_log & self._of(self.code[self.core[child]], "exp") & self._no_offset(child)
        waiting &= (a > 0) & (a != 1) & ~self.a_free[child]
        self.a[child] = torch.where(waiting, 1.0, self.a[child])
        _, t_free = self._pull(child, torch.ones_like(a), is_log & (a > 0) & self.a_free[child])
        t = torch.where(waiting | t_free, a.clamp(min=torch.finfo(a.dtype).tiny).log() * s, 0.0)
        # ---- exp(u + b) = exp(b)·exp(u) for a free b
        b = self.b[child]
        image = torch.exp(b)
        take = is_exp & self.b_free[child] & torch.isfinite(image) & (image > 0)
        self.b[child] = torch.where(take, 0.0, b)
        self.b_free[child] = self.b_free[child] & ~take
        s, free = torch.where(take, s * image, s), free | take

        # ---- what f meets
        inner = torch.where(self._bare(child), self.code[self.core[child]].clamp(max=VARIABLE), PAD)
        argument = self._argument(child)
        todo = torch.ones_like(take)

        def replace(mask, form) -> None:
            """Another form instead of f(child)."""
            mask = mask & todo
            todo[mask] = False
            self.affine(at[mask], form[mask], s[mask], free[mask], t[mask], t_free[mask])

        def settle(mask, act) -> None:
            """`act(nodes, children)` makes the forms; the scale and offset taken out go around them."""
            mask = mask & todo
            todo[mask] = False
            if mask.any():
                act(at[mask], child[mask])
                self._around(at[mask], s[mask], free[mask], t[mask], t_free[mask])

        replace((inner != PAD) & (self.cancels[code] == inner), argument)
        replace(self._of(code, "abs") & self.in_table["nonnegative"][inner], child)
        settle(
            self._of(code, "square") & self._of(inner, "abs"),
            lambda i, j: self._unary(i, self.known["square"], self._argument(j)),
        )
        if "abs" in self.active:
            settle(
                self._of(code, "sqrt") & self._of(inner, "square"),
                lambda i, j: self._unary(i, self.active["abs"], self._argument(j)),
            )
        settle(
            self._of(code, "inv") & self._of(inner, "div"),
            lambda i, j: self.make(i, self.known["div"], self.right[self.core[j]], self._argument(j)),
        )
        for name, p in EXPONENT_OF.items():
            settle(self._of(code, name) & self._of(inner, "exp"), lambda i, j, p=p: self._power_of_exp(i, j, p))
        for name in POSITIVE_ONLY:
            p = EXPONENT_OF[name]
            settle(is_log & self._of(inner, name), lambda i, j, p=p: self._log_of_power(i, self._argument(j), p))
        if "abs" in self.active:
            settle(is_log & self._of(inner, "square"), self._log_of_square)
        if "add" in self.active:
            settle(is_log & self._exponential_factor(child)[0], self._log_of_exponential)
        # log(u^p) where p is broken, since only then u is positive wherever u^p is
        power, exponent = self._number_power(child)
        p, p_free = self.b[exponent], self.b_free[exponent]
        broken = is_log & power & (p != p.round()) & todo
        s, free = torch.where(broken, s * p, s), free | (broken & p_free)
        settle(broken, lambda i, j: self._unary(i, self.known["log"], self._argument(j)))
        settle(self._of(code, "inv") & power & (p < 0), self._other_power)
        if "pow" in self.active:
            for outer, below in (("cube", "sqrt"), ("sqrt", "cube")):
                settle(self._of(code, outer) & self._of(inner, below), self._three_halves)
        if {"pow", "log"} <= self.active.keys():
            settle(is_exp & self._no_offset(child) & self._log_factor(child)[0], self._power_of_log)
        rest = code[todo]
        settle(todo.clone(), lambda i, j: self.make(i, rest, j))

    def _of(self, code, name: str) -> torch.Tensor:
        return code == self.known.get(name, -1)

    def _number_power(self, j) -> tuple[torch.Tensor, torch.Tensor]:
        """Whether the forms j are u^p for a number p, and the forms of p."""
        exponent = self.right[self.core[j].clamp(min=0)]
        return self._is(j, "pow") & (self.core[exponent] == NUMBER), exponent

    def _other_power(self, at, j) -> None:
        """u^(−p) for the forms j = u^p."""
        base, exponent = self._argument(j), self.right[self.core[j]]
        self._set_number(exponent, -self.b[exponent], self.b_free[exponent])  # nothing else needs the form j any more
        self.make(at, self.known.get("pow", 0), base, exponent)

    def _power_of_exp(self, at, j, p: float) -> None:
        """exp(p·u) for the forms j = exp(u)."""
        argument = self._argument(j)
        self.affine(j, argument, p)  # nothing else needs the form j any more
        self._unary(at, self.known["exp"], j)

    def _three_halves(self, at, j) -> None:
        """u^(3/2) for the cube of a root and the root of a cube."""
        argument = self._argument(j)
        self._set_number(j, 1.5, False)  # nothing else needs the form j any more
        self.make(at, self.active["pow"], argument, j)

    def _log_factor(self, j) -> tuple[torch.Tensor, torch.Tensor]:
        """Whether the forms j are a·u·log v or a·log v, and the position of the logarithm."""
        core = self.core[j].clamp(min=0)
        one, two = self.left[core], self.right[core]
        product = self.code[core] == self.known.get("mul", -1)

        def is_log(k):
            return self._bare(k) & (self.core[k] != NUMBER) & self._of(self.code[self.core[k].clamp(min=0)], "log")

        alone = self._of(self.code[core], "log")
        found = (alone | (product & (is_log(one) | is_log(two)))) & (self.core[j] != NUMBER)
        return found, torch.where(alone, core, torch.where(is_log(two), two, one))

    def _power_of_log(self, at, j) -> None:
        """v^(a·u) for exp(a·u·log v)."""
        _, log = self._log_factor(j)
        core, a, a_free = self.core[j], self.a[j].clone(), self.a_free[j].clone()
        alone = self._of(self.code[core], "log")
        other = torch.where(self.right[core] == log, self.left[core], self.right[core])
        base = self._argument(log)
        self._set_number(log[alone], a[alone], a_free[alone])  # nothing else needs the logarithm any more
        self.affine(log[~alone], other[~alone], a[~alone], a_free[~alone])
        self.make(at, self.active["pow"], base, log)

    def _log_of_power(self, at, argument, p: float) -> None:
        self._unary(at, self.known["log"], argument)
        self._around(at, torch.full((len(at),), p, dtype=torch.float64, device=self.device))

    def _exponential_factor(self, j) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Whether the forms j are u·exp(v), exp(v)·u or u/exp(v); the positions of u and of the exponential, and the
        sign of v."""
        core = self.core[j].clamp(min=0)
        one, two = self.left[core], self.right[core]
        product, quotient = (self._of(self.code[core], name) for name in ("mul", "div"))
        first, second = self._is(one, "exp") & product, self._is(two, "exp")
        found = self._bare(j) & ((product & (first | second)) | (quotient & second))
        return found, torch.where(second, one, two), torch.where(second, two, one), torch.where(quotient, -1.0, 1.0)

    def _log_of_exponential(self, at, j) -> None:
        """log(u) + v for the forms j = u·exp(v), which are positive where u is."""
        _, other, exponential, sign = self._exponential_factor(j)
        argument = self._argument(exponential)
        self._unary(j, self.known["log"], other)  # nothing else needs the form j any more
        self.affine(exponential, argument, sign)
        self.left[at], self.right[at] = j, exponential
        self.code[at] = self.known["add"]
        self._add(at)

    def _log_of_square(self, at, j) -> None:
        """2·log|u| for the forms j = u²."""
        self._unary(j, self.active["abs"], self._argument(j))  # nothing else needs the form j any more
        self._log_of_power(at, j, 2.0)

    def _around(self, at, s, free=None, t=0.0, t_free=None) -> None:
        """The forms at, cores of their own, become s·form + t in place."""
        none = torch.zeros(len(at), dtype=torch.bool, device=self.device)
        free, t_free = (none if f is None else f for f in (free, t_free))
        b = self.b[at]
        has_b = (b != 0) | self.b_free[at]
        self.a[at] = s * self.a[at]
        self.a_free[at] = (self.a_free[at] | free) & (self.core[at] != NUMBER)
        self.b[at] = torch.where(has_b, s * b + t, t)
        self.b_free[at] = t_free | (has_b & (self.b_free[at] | free))
        self._settle(at)

    # ------------------------------------------------------------------ writing
    def written(self) -> Expressions:
        """Prefix codes of all roots: sizes from the leaves up, places from the root down, level by level."""
        roots = torch.arange(self.rows, device=self.device) * self.length
        level, levels = roots, []
        while len(level):
            self._push(level)
            self._spread(level)
            head, tail, numbers = self._symbols(level)
            arguments = self._arguments(level)
            levels.append((level, head, tail, numbers, arguments))
            level = torch.cat([child[has] for child, has in arguments])
        size = torch.zeros_like(self.code)
        for level, head, tail, _, arguments in reversed(levels):
            inside = sum(torch.where(has, size[child], 0) for child, has in arguments)
            size[level] = (head != PAD).sum(1) + inside + (tail != PAD).sum(1)
        width = int(size[roots].max())
        spare = self.rows * width
        codes = self.code.new_zeros(spare + 1)
        values = self.b.new_zeros(spare + 1)
        place = torch.zeros_like(self.code)
        place[roots] = torch.arange(self.rows, device=self.device) * width
        for level, head, tail, numbers, arguments in levels:
            at = place[level]
            for k in range(head.shape[1]):
                at = _put(codes, values, at, head[:, k], numbers[:, k])
            for child, has in arguments:
                place[child[has]] = at[has]
                at = at + torch.where(has, size[child], 0)
            for k in range(tail.shape[1]):
                at = _put(codes, values, at, tail[:, k], numbers[:, head.shape[1] + k])
        codes, values = codes[:-1].view(self.rows, width), values[:-1].view(self.rows, width)
        is_number = (codes == CONSTANT) | (codes == LITERAL)
        slot = is_number.cumsum(1)
        most = int(slot[:, -1].max())
        constants = values.new_zeros(self.rows, most + 1)
        constants.scatter_(1, torch.where(is_number, slot - 1, most), values)
        return Expressions(codes, constants[:, :most].contiguous(), self.vocabulary)

    def _arguments(self, level) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """First and second arguments of the cores, each with a mask of where there is one."""
        core = self.core[level]
        index = core.clamp(min=0)
        arity = torch.where(core == NUMBER, 0, self.arity[self.code[index].clamp(max=VARIABLE)])
        return [(self.left[index], arity > 0), (self.right[index], arity == 2)]

    def _push(self, at) -> None:
        """k·f(c·u + v) becomes f(a·u + b·v) for the powers f, where k and one of the two scales are free."""
        at = at[self.inward[at] & (self.core[at] != NUMBER) & self.a_free[at]]
        if not len(at) or "add" not in self.known:
            return
        for name, p in EXPONENT_OF.items():
            here = at[self._of(self.code[self.core[at]], name)]
            child = self.left[self.core[here]]
            core = self.core[child].clamp(min=0)
            one, two = self.left[core], self.right[core]
            terms = (self.core[child] != NUMBER) & self._of(self.code[core], "add") & self._bare(child)
            terms &= (self.a_free[one] ^ self.a_free[two]) & self._no_offset(one) & self._no_offset(two)
            offset = (self.core[child] != NUMBER) & (self.b[child] != 0) & (self.a_free[child] ^ self.b_free[child])
            k = self.a[here]
            image = torch.sign(k) * k.abs().pow(1 / p)
            fits = (terms | offset) & image.isfinite() & (image != 0) & ((k > 0) | (name in ("inv", "cube")))
            here, child, image = here[fits], child[fits], image[fits]
            self.b[child] = self.b[child] * image
            self.b_free[child] |= offset[fits]
            self.a[child], self.a_free[child] = self.a[child] * image, True
            self.a[here], self.a_free[here] = 1.0, False

    def _spread(self, at) -> None:
        """a·(c·u + v) becomes a·c·u + a·v where c is free; a negative term is subtracted."""
        if "add" not in self.known:
            return
        at = at[self.core[at] != NUMBER]
        at = at[self.code[self.core[at]] == self.known["add"]]
        core = self.core[at]
        left, right = self.left[core], self.right[core]
        a, one, two = self.a[at], self.a[left], self.a[right]
        spread = ((a != 1) | self.a_free[at]) & (self.a_free[left] | self.a_free[right])
        fixed = ~self.a_free[at] & ~self.a_free[left] & ~self.a_free[right]
        spread |= fixed & (a == -1) & ((one < 0) ^ (two < 0))  # -(u - v) = v - u
        spread &= self._no_offset(left) & self._no_offset(right)
        spread &= torch.isfinite(a * one) & torch.isfinite(a * two) & (a * one * two != 0)
        for j, scale in ((left, one), (right, two)):
            self.a[j] = torch.where(spread, a * scale, scale)
            self.a_free[j] = self.a_free[j] | (spread & self.a_free[at])
        self.a[at] = torch.where(spread, 1.0, a)
        self.a_free[at] = self.a_free[at] & ~spread
        if "sub" not in self.active:
            return
        below = [(self.a[j] < 0) & ~self.a_free[j] & self._no_offset(j) for j in (left, right)]
        swap = below[0] & ~below[1]
        self.left[core], self.right[core] = torch.where(swap, right, left), torch.where(swap, left, right)
        self.code[core[swap | below[1]]] = self.active["sub"]
        lowered = torch.where(below[1], right, left)[swap | below[1]]
        self.a[lowered] = -self.a[lowered]

    def _symbols(self, level) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Symbols of each form before (n, 5) and after (n, 2) the core's arguments, PAD where none, and the numbers.

        [add] [mul a] core … [b]      [sub b] core …      [div a] …            for a · inv(…)
        [add] [neg] core … [b]        number              [div] core … [n]     for core / n
        """
        a, b, core = self.a[level], self.b[level], self.core[level]
        a_free, b_free = self.a_free[level], self.b_free[level]
        number = core == NUMBER
        code = torch.where(number, torch.where(b_free, CONSTANT, LITERAL), self.code[core.clamp(min=0)])
        has_a = ((a != 1) | a_free) & ~number
        has_b = ((b != 0) | b_free) & ~number
        minus = has_a & (a == -1) & ~a_free
        none = torch.zeros_like(number)
        inverse = (code == self.known["inv"]) & ~number if "inv" in self.known else none
        add, sub, mul, div, neg = (self.active.get(n, PAD) for n in ("add", "sub", "mul", "div", "neg"))
        over = (inverse & has_a if "inv" in self.active else inverse) if div else none
        subtracted = minus & has_b & ~over if sub else none
        negated = minus & ~subtracted & ~over if neg else none
        n = (1 / a).round()
        divided = has_a & ~a_free & (n >= 2) & (n <= 100) & ((a * n - 1).abs() < 1e-15) & ~over if div else none
        times = has_a & ~over & ~subtracted & ~negated & ~divided

        def where(mask, symbol) -> torch.Tensor:
            return torch.where(mask, symbol, PAD)

        kind_a, kind_b = torch.where(a_free, CONSTANT, LITERAL), torch.where(b_free, CONSTANT, LITERAL)
        add = add or self.known.get("add", PAD)
        mul = mul or self.known.get("mul", PAD)
        head = torch.stack([
            where(has_b, torch.where(subtracted, sub, add)),
            where(subtracted, kind_b),
            where(over | divided, div) + where(negated, neg) + where(times, mul),
            where(over | times, kind_a),
            where(~over & (code != WHOLE), code),
        ], 1)  # fmt: skip
        tail = torch.stack([where(divided, LITERAL), where(has_b & ~subtracted, kind_b)], 1)
        zero = torch.zeros_like(a)
        numbers = torch.stack([zero, b, zero, a, torch.where(number, b, zero), n, b], 1)
        return head, tail, numbers


def _put(codes, values, at, symbol, number) -> torch.Tensor:
    """Write a column of symbols at their places; the places after them."""
    here = symbol != PAD
    target = torch.where(here, at, len(codes) - 1)
    codes[target], values[target] = symbol, number
    return at + here


def _mixed(h: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """A hash of two integers (multiply-xorshift, wrapping int64) [Steele et al. 2014, splitmix]."""
    z = (h * -7046029254386353131 + k) ^ ((h + k) >> 29)
    z = (z ^ (z >> 30)) * -4658895280553007687
    return z ^ (z >> 27)
