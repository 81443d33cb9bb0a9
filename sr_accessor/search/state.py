"""State: what every round of a search reads, built once, and where a search stands; values that are never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, literal
from sr_accessor.expressions.build import power
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.search.features import Feature, features
from sr_accessor.search.front import Front
from sr_accessor.search.given import Given
from sr_accessor.search.guesses import parts_of
from sr_accessor.search.kernels import Kernels, build_kernels, sharp_kernels
from sr_accessor.search.library import Library, build_library, extend, extend_by_monomials, rests_on_enough
from sr_accessor.search.power_screens import regress
from sr_accessor.search.reductions import Reduction, reductions
from sr_accessor.search.ridges import ridges
from sr_accessor.search.rows import linear_rows, sharp_rows
from sr_accessor.search.selection import Data, Scored, score
from sr_accessor.search.separation import separate
from sr_accessor.search.surfaces import noise_above_surface
from sr_accessor.search.targets import Rows, Target, join_rows
from sr_accessor.search.views import View, view_of
from sr_accessor.transformer.model import Transformer

__all__ = [
    "FEW_VARIABLES",
    "MOST_FACTORS",
    "MOST_SECOND",
    "NOTHING_GIVEN",
    "PATIENCE",
    "Proposal",
    "Propose",
    "SearchState",
    "Workspace",
    "shortest",
]

SCREEN_POINTS = 200  # search_findings.md §8: 200-300 points rank as well as all rows
#: Moves end when this many rounds of them in a row did not shorten the description.
PATIENCE = 12
#: Simple rows that are paired with the sharpest kernels, and variables up to which kernels are sharpened.
MOST_BESIDE_KERNELS, MOST_SHARPENED = 800, 3
#: Monomials and features of single variables whose products stand beside monomials, and inner constants of the latter.
MOST_LEFT, MOST_RIGHT, SIMPLE_INNER = 20, 100, (1.0, 2.0, 0.5)
#: Monomials and rows that are tried as factors, and rows that are tried beside them.
MOST_FACTORS, MOST_SECOND = 1000, 2500
#: Sums that stand as distances, and their powers.
MOST_SUMS, SUM_POWERS = 300, (-1.5, -1.0, -0.5, 0.5, 1.5)
#: Up to so many variables the grids of kernels are fine.
FEW_VARIABLES = 1
Proposal = tuple[str, Expressions]
Propose = Callable[["SearchState", torch.Generator], Sequence[Proposal]]
NOTHING_GIVEN = Given()


@dataclass(frozen=True)
class Workspace:
    """What every round reads: data, screening points, libraries. Built once, never changed."""

    data: Data
    vocabulary: Vocabulary
    order: torch.Tensor  # a fixed permutation of the rows: every subset of points is its beginning
    network: Callable[[], Transformer] | None = None  # loaded when its first round comes
    given: Given = NOTHING_GIVEN
    snapping: bool = True  # whether numbers are snapped; the laws of a problem within another are snapped there

    @property
    def dimensions(self) -> int:
        return self.data.x.shape[1]

    @cached_property
    def screen(self) -> Data:
        return self.data.rows(self.order[:SCREEN_POINTS])

    @cached_property
    def middle(self) -> Data:
        """Twice the points: under noise exponents and inner constants need more than ranks do."""
        return self.data.rows(self.order[: 2 * SCREEN_POINTS])

    @cached_property
    def wide(self) -> Data:
        """More points, for dictionaries with many terms."""
        return self.data.rows(self.order[: 5 * SCREEN_POINTS])

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        return features(self.vocabulary)

    @cached_property
    def small(self) -> Library:
        return self._guessed(build_library(self.screen.x, self.vocabulary, count=300))

    @cached_property
    def large(self) -> Library:
        return self._guessed(build_library(self.screen.x, self.vocabulary, count=2500))

    def _guessed(self, library: Library) -> Library:
        """The library with the groups that the surface y(x) shows, and the sub-expressions of guesses, first."""
        more = extend_by_monomials(library, self.ridges, self.screen.x, self.vocabulary)
        if self.given.guesses is not None:
            more = extend(more, parts_of(self.given.guesses), self.screen.x)
        index = torch.arange(len(more), device=more.values.device)
        return more[torch.cat([index[len(library) :], index[: len(library)]])]

    @cached_property
    def ridges(self) -> torch.Tensor:
        """(M, D) exponents of groups that y may depend on through a function."""
        return ridges(self.wide.x, self.wide.y)

    @cached_property
    def rough(self) -> Scored:
        """The template with polynomials as parts: from these the search of the parts begins."""
        generator = torch.Generator().manual_seed(int(self.order[0]))
        wholes = self.given.template.polynomials(self.wide, generator)
        return score(wholes, self.data, ("polynomial",) * len(wholes))

    @cached_property
    def rows(self) -> Rows:
        return linear_rows(self.large, self.features, self.vocabulary)

    @cached_property
    def monomials(self) -> Rows:
        """The literal 1 and the monomials of the large library."""
        one = literal([1.0], self.vocabulary, self.data.y.device)
        few = self.large[self.large.is_monomial.nonzero()[:, 0][:MOST_FACTORS]]
        values = torch.cat([torch.ones_like(few.values[:1]), few.values])
        return Rows(concatenate([one, few.expressions]), values)

    @cached_property
    def every(self) -> Rows:
        """Monomials and all rows."""
        few, rows = self.monomials, self.rows
        return Rows(concatenate([few.expressions, rows.expressions]), torch.cat([few.values, rows.values]))

    @cached_property
    def dressed(self) -> Rows:
        """Features of single variables with simple inner constants."""
        rows = linear_rows(self.small[: self.dimensions], self.features, self.vocabulary)
        inner, free = rows.expressions.constants.abs(), rows.expressions.free
        known = (inner[..., None] == torch.tensor(SIMPLE_INNER, device=inner.device)).any(-1)
        simple = free.any(1) & (known | ~free).all(1)
        return rows[simple.nonzero()[:, 0][:MOST_RIGHT]]

    @cached_property
    def products(self) -> Rows:
        """Simple monomials times these."""
        few, dressed = self.monomials[: MOST_LEFT + 1], self.dressed
        if "mul" not in self.vocabulary:
            return dressed
        i, j = torch.cartesian_prod(torch.arange(len(few)), torch.arange(len(dressed))).T
        return Rows(few.expressions[i] * dressed.expressions[j], few.values[i] * dressed.values[j])

    @cached_property
    def distances(self) -> Rows:
        """Sums of two and more variables to broken and negative powers, as forces and fields have them."""
        sums = self.large[(~self.large.is_monomial).nonzero()[:, 0][:MOST_SUMS]]
        positive = (sums.values > 0).all(1)
        parts, one = [], literal([1.0], self.vocabulary, self.data.y.device)
        for e in SUM_POWERS:
            some = sums if e == round(e) else sums[positive.nonzero()[:, 0]]
            size = torch.full((len(some),), abs(e), dtype=torch.float64, device=self.data.y.device)
            if not len(some) or ("pow" not in self.vocabulary and abs(e) not in (0.5, 1.0)):
                continue
            whole = power(some.expressions, size, self.vocabulary)
            if e > 0 or "div" in self.vocabulary:
                parts.append(Rows(whole if e > 0 else one / whole, some.values.pow(e)))
        if not parts:
            return Rows(sums.expressions[:0], sums.values[:0])
        rows = Rows(concatenate([part.expressions for part in parts]), torch.cat([part.values for part in parts]))
        return rows[(rows.values.isfinite().all(1) & rests_on_enough(rows.values)).nonzero()[:, 0]]

    @cached_property
    def outer(self) -> Rows:
        """Monomials, and the simplest rows with a feature: what a sum may be multiplied with."""
        dressed = self.rows[self.rows.expressions.free.any(1).nonzero()[:, 0][:MOST_FACTORS]]
        few = self.monomials[: MOST_FACTORS // 2]
        return Rows(concatenate([few.expressions, dressed.expressions]), torch.cat([few.values, dressed.values]))

    @cached_property
    def separable(self) -> bool:
        """Whether variables seem to do nothing but multiply, as far as y alone tells."""
        target = self.target(view_of("y"), True, self.wide)
        return target is not None and separate(regress([target], self.wide.x), self.vocabulary) is not None

    @cached_property
    def noisy(self) -> bool:
        """Whether y scatters more than it bends: then logarithms and inverses of small values say little."""
        return noise_above_surface(self.wide.x, self.wide.y)

    @cached_property
    def reductions(self) -> list[Reduction]:
        """Ways to tell y from fewer variables, no two the same: as log y shows it, as y does, and second choices."""
        asked = (self.wide.x, self.wide.y, self.wide.screening_sigma, self.vocabulary)
        found = [reductions(*asked, log=log) for log in (True, False)]
        order = [way for choice in zip_longest(*found) for way in choice if way is not None]
        return list({way.signature: way for way in reversed(order)}.values())[::-1]

    @cached_property
    def kernels(self) -> Kernels:
        return build_kernels(self.small, self.features, self.vocabulary, coarse=self.dimensions > FEW_VARIABLES)

    def sharp(self, target: Target, log: bool) -> Rows:
        """`sharp_rows` of a target, for sums or (log) for products."""
        return sharp_rows(target, self.screen.x, self.small, self.features, self.vocabulary, log=log)

    def sharp_kernels(self, target: Target, log: bool, others: Rows) -> Rows:
        """`sharp_kernels` of a target and the first of other rows. They are screened apart: two kernels come close to
        anything smooth, and crowd out pairs of simpler rows.
        """
        if self.dimensions > MOST_SHARPENED:  # of five variables they take a second, and groups are likelier
            return others[:0]
        return join_rows(sharp_kernels(self.kernels, target, self.screen.x, log=log), others[:MOST_BESIDE_KERNELS])

    def target(self, view: View, relative: bool, data: Data | None = None) -> Target | None:
        """A view of y at the screening points; weights relative to |y|, or from sigma (equal without)."""
        data = self.screen if data is None else data
        y = data.y
        if not view.usable(y, self.vocabulary):
            return None
        sigma = (y.abs() + 1e-3 * y.abs().median()) * data.doubt if relative else data.screening_sigma
        target = Target.of(view, y, sigma, relative=relative)
        return target if target.sound else None


@dataclass(frozen=True)
class SearchState:
    """Where a search stands.

    Parameters
    ----------
    workspace : Workspace
    seed : int
    round : rounds done
    front : Front over all rounds
    population : the best fits of every complexity, parents of moves
    proposed : origin -> candidates it proposed so far, all of them refined
    waiting : rounds of moves since the description last became shorter
    exact : whether a law fits to float64 arithmetic
    quiet : whether the residuals of the shortest description pass as noise
    doing : what the last round did, for progress
    """

    workspace: Workspace
    seed: int
    round: int
    front: Front
    population: Scored
    proposed: Mapping[str, int]
    waiting: int
    exact: bool
    quiet: bool
    doing: str

    @property
    def refined(self) -> int:
        """Candidates refined so far."""
        return sum(self.proposed.values())

    @property
    def finished(self) -> bool:
        """An exact law, residuals that pass as noise, or moves that no longer find anything."""
        return self.exact or self.quiet or self.waiting >= PATIENCE


def shortest(state: SearchState, count: int) -> Scored:
    """The candidates with the shortest descriptions."""
    return state.population[torch.argsort(state.population.description_length, stable=True)[:count]]
