"""Constraints at work: which candidates of a batch have the form and the shape that the user asked for.

Form is read off the codes of all candidates at once. Shape is tested by values and derivatives on a grid: data
points, corners of their box, and evenly spread points in it. A law that has no value somewhere there fails.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch

from sr_accessor.constraints import Constraints, Limit, Monotone, Positive, Shape, Shaped
from sr_accessor.errors import ColumnError, PluginError, UnknownNameError, nearest
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.dimensions import Dimensions, consistent
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import input_derivative
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.plugins.manager import catalogue

__all__ = ["Admission", "constrained"]

#: Points of the grid: rows of the data, evenly spread points; corners of the box up to this many features.
GRID_ROWS, GRID_SPREAD, MOST_CORNERED = 300, 300, 6
#: Rows of the data at which a limit is tested.
LIMIT_ROWS = 40
#: A derivative or a value may have the wrong sign by this share of the largest: rounding of what is level or zero.
SIGN_SLACK = 1e-9
#: A limit is reached when the law comes this close to it, in standard deviations of the target.
LIMIT_SLACK = 1e-3
#: Towards infinity: to 10^12 times the range. A law must have values at least to ten times the range.
LADDER, LEAST_RUNGS = 49, 5
#: Candidates whose shape is tested at once, which bounds the memory.
PIECE = 256
#: Evenly spread points are drawn by Sobol's sequence, which torch has for up to this many features.
MOST_SOBOL = 21201


def constrained(vocabulary: Vocabulary, constraints: Constraints, names: Sequence[Hashable]) -> Vocabulary:
    """The vocabulary without forbidden operators and with the operators' costs as the user sets them.

    Raises
    ------
    UnknownNameError : `costs` or `forbid` names what is neither a feature (forbid only) nor an operator.
    """
    known = [o.name for o in vocabulary.operators]
    for name in constraints.costs:
        if name not in known:
            raise UnknownNameError(f"costs: no operator {name!r}; {nearest(name, known)}")
    for name in constraints.forbid:
        _code(name, "forbid", vocabulary, names)
    costs = constraints.costs
    operators = tuple(replace(o, cost=costs[o.name]) if o.name in costs else o for o in vocabulary.operators)
    vocabulary = Vocabulary(operators, vocabulary.active)
    forbidden = {name for name in constraints.forbid if name not in names}
    return vocabulary.restricted([o.name for o in vocabulary if o.name not in forbidden]) if forbidden else vocabulary


def _code(name: Hashable, role: str, vocabulary: Vocabulary, names: Sequence[Hashable]) -> int:
    """Id of a feature or an operator."""
    if name in names:
        return VARIABLE + list(names).index(name)
    operators = [o.name for o in vocabulary.operators]
    if name not in operators:
        raise UnknownNameError(f"{role}: no feature or operator {name!r}; {nearest(name, [*names, *operators])}")
    return vocabulary.id(name)


@dataclass(frozen=True)
class Admission:
    """Constraints bound to a vocabulary and to data.

    Parameters
    ----------
    most_complexity, most_depth : limits, math.inf for none
    required : codes
    uses : (code, most) pairs
    nested : (outer code, inner code, most) triples
    shape : what derivatives and values must be like, with the index of the feature (None for all)
    grid : (G, D) points at which the shape is tested
    limits : one (R, P, D) tensor of points on R ladders for each Limit of `shape`, in order
    spread : standard deviation of the target
    dimensions : units that must fit together while constants have none; None where they need not
    """

    most_complexity: float
    most_depth: float
    required: tuple[int, ...]
    uses: tuple[tuple[int, int], ...]
    nested: tuple[tuple[int, int, int], ...]
    shape: tuple[tuple[Shape, int | None], ...]
    grid: torch.Tensor
    limits: tuple[torch.Tensor, ...]
    spread: float
    dimensions: Dimensions | None = None

    @classmethod
    def bind(
        cls,
        constraints: Constraints,
        shape: Sequence[Shape],
        vocabulary: Vocabulary,
        names: Sequence[Hashable],
        x: torch.Tensor,
        y: torch.Tensor,
        dimensions: Dimensions | None = None,
    ) -> Admission:
        """Constraints for one fit.

        Parameters
        ----------
        vocabulary, names : operators and labels of the features
        x, y : (N, D), (N,) the rows that are fitted

        Raises
        ------
        UnknownNameError : a name that is neither a feature nor an operator.
        ColumnError : a shape along what is no feature.
        """

        def code(name: Hashable, role: str) -> int:
            return _code(name, role, vocabulary, names)

        operators = [o.name for o in vocabulary.operators]
        for outer, inner in ((outer, inner) for outer, limits in constraints.nested.items() for inner in limits):
            for name in (outer, inner):
                if name not in operators:
                    raise UnknownNameError(f"nested: no operator {name!r}; {nearest(name, operators)}")
        bound = tuple((s, _feature(s, names)) for s in shape)
        return cls(
            most_complexity=math.inf if constraints.max_complexity is None else constraints.max_complexity,
            most_depth=math.inf if constraints.max_depth is None else constraints.max_depth,
            required=tuple(code(name, "require") for name in constraints.require),
            uses=tuple((code(name, "max_uses"), most) for name, most in constraints.max_uses.items()),
            nested=tuple(
                (vocabulary.id(outer), vocabulary.id(inner), most)
                for outer, limits in constraints.nested.items()
                for inner, most in limits.items()
            ),
            shape=bound,
            grid=_grid(x),
            limits=tuple(_ladders(s, d, x) for s, d in bound if isinstance(s, Limit)),
            spread=float(y.std()),
            dimensions=dimensions,
        )

    def formed(self, e: Expressions, *, but: Sequence[int] = ()) -> torch.Tensor:
        """(B,) whether each candidate has the form asked for (but for the codes `but`), and active operators only."""
        fine = e.permitted & (e.complexity <= self.most_complexity)
        if self.most_depth < math.inf and len(e):
            fine = fine & (e.heights[:, 0] + 1 <= self.most_depth)
        for code in set(self.required) - set(but):
            fine = fine & (e.codes == code).any(1)
        for code, most in self.uses:
            fine = fine & ((e.codes == code).sum(1) <= most)
        if self.dimensions is not None:
            fine = fine & consistent(e, self.dimensions)
        for outer, inner, most in self.nested:
            fine = fine & ~((e.codes == outer) & (_stacked(e, inner) > most)).any(1)
        return fine

    def shaped(self, e: Expressions) -> torch.Tensor:
        """(B,) whether each candidate, with its numbers as they are, has the shape asked for."""
        if not self.shape or not len(e):
            return torch.ones(len(e), dtype=torch.bool, device=e.device)
        return torch.cat([self._shaped(e[i : i + PIECE]) for i in range(0, len(e), PIECE)])

    def _shaped(self, e: Expressions) -> torch.Tensor:
        fine = torch.ones(len(e), dtype=torch.bool, device=e.device)
        values, slopes = input_derivative(e, self.grid)
        fine &= values.isfinite().all(1)
        ladders = iter(self.limits)
        for wanted, d in self.shape:
            if isinstance(wanted, Positive):
                fine &= _not_negative(values)
            elif isinstance(wanted, Monotone):
                sign = 1.0 if wanted.direction == "increasing" else -1.0
                fine &= _not_negative(sign * slopes[:, d])
            elif isinstance(wanted, Shaped):
                fine &= self._holds(wanted, values, slopes)
            else:
                fine &= self._tends(e, wanted, next(ladders))
        return fine

    def _holds(self, wanted: Shaped, values: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """Whether a plugin's demand is met."""
        constraint = catalogue().find("shape_constraints", wanted.name)
        held = constraint.holds(values, slopes, self.grid, *wanted.arguments)
        if not isinstance(held, torch.Tensor) or held.dtype != torch.bool or held.shape != values.shape[:1]:
            raise PluginError(f"shape constraint {wanted.name!r} must give bool ({len(values)},), not {held!r}")
        return held

    def _tends(self, e: Expressions, wanted: Limit, ladders: torch.Tensor) -> torch.Tensor:
        """Whether the last value on each ladder is the limit: beyond it the arithmetic overflows."""
        rows, rungs, d = ladders.shape
        values = evaluate(e, ladders.reshape(-1, d))[0].view(len(e), rows, rungs)
        finite = values.isfinite().long().cumprod(2)  # up to the first that is not
        reached = finite.sum(2)
        last = values.gather(2, (reached - 1).clamp(min=0)[:, :, None])[:, :, 0]
        near = (last - wanted.value).abs() <= LIMIT_SLACK * self.spread + 1e-9 * abs(wanted.value)
        return (near & (reached >= LEAST_RUNGS)).all(1)


def _not_negative(values: torch.Tensor) -> torch.Tensor:
    """(B,) whether rows (B, G) are finite and nowhere below zero by more than rounding."""
    return (values >= -SIGN_SLACK * values.abs().amax(1, keepdim=True)).all(1) & values.isfinite().all(1)


def _stacked(e: Expressions, inner: int) -> torch.Tensor:
    """(B, L) how many of the operator `inner` stand on one way down from each position, at most, itself not counted."""
    rows, length = e.codes.shape
    within = torch.zeros(rows, length + 1, dtype=torch.int64, device=e.device)  # itself counted
    below = torch.zeros_like(within)
    first, second = e.children
    for i in range(length - 1, -1, -1):  # positions, all rows at once
        one = within.gather(1, first[:, i : i + 1])[:, 0]
        two = within.gather(1, second[:, i : i + 1])[:, 0]
        arity = e.arities[:, i]
        below[:, i] = torch.where(arity == 2, torch.maximum(one, two), torch.where(arity == 1, one, 0))
        within[:, i] = below[:, i] + (e.codes[:, i] == inner)
    return below[:, :length]


def _feature(shape: Shape, names: Sequence[Hashable]) -> int | None:
    if isinstance(shape, Shaped):
        catalogue().find("shape_constraints", shape.name)  # raises where there is none
        return None
    if isinstance(shape, Positive):
        return None
    if shape.feature not in names:
        raise ColumnError(f"shape: no feature {shape.feature!r}; {nearest(shape.feature, names)}")
    return list(names).index(shape.feature)


def _grid(x: torch.Tensor) -> torch.Tensor:
    """(G, D) rows of the data, corners of their box and points spread in it."""
    dimensions, device = x.shape[1], x.device
    low, high = x.amin(0), x.amax(0)
    some = torch.linspace(0, len(x) - 1, min(len(x), GRID_ROWS), device=device).round().long()
    parts = [x[some]]
    if dimensions <= MOST_SOBOL:
        even = torch.quasirandom.SobolEngine(dimensions).draw(GRID_SPREAD, dtype=torch.float64).to(device)
        parts.append(low + even * (high - low))
    if dimensions <= MOST_CORNERED:
        corner = torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64)] * dimensions).reshape(-1, dimensions)
        parts.append(low + corner.to(device) * (high - low))
    return torch.cat(parts)


def _ladders(wanted: Limit, d: int, x: torch.Tensor) -> torch.Tensor:
    """(R, P, D) for rows of the data the feature `d` on its way to the limit, from each side that the data lie on."""
    some = torch.linspace(0, len(x) - 1, min(len(x), LIMIT_ROWS), device=x.device).round().long()
    low, high = float(x[:, d].min()), float(x[:, d].max())
    width = (high - low) or 1.0
    rung = torch.arange(LADDER, dtype=x.dtype, device=x.device) / 4  # 10^0 … 10^12
    if math.isinf(wanted.at):
        ways = [high + width * 10**rung if wanted.at > 0 else low - width * 10**rung]
    else:
        sides = [side for side, there in ((-1.0, low < wanted.at), (1.0, high > wanted.at)) if there]
        ways = [wanted.at + side * width * 10**-rung for side in sides]
    points = x[some][:, None, :].expand(-1, LADDER, -1).repeat(len(ways), 1, 1)
    points[:, :, d] = torch.stack(ways).repeat_interleave(len(some), 0)
    return points
