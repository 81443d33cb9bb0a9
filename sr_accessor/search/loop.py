"""The search: proposals are refined, priced and kept on a front, round after round; the state is a value.

    state = start(data, vocabulary, seed=0)
    while not state.finished:
        state = step(state)

A round has a fixed content: given data, vocabulary, seed and thread count the n-th round is the same on every run,
and the clock acts only between rounds. Rounds come in the order of what they cost and how often they end the
search: screens over a small library, dictionaries, screens over a large library, then moves on what was found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from sr_accessor.decoding.draft import draft, subexpressions
from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty, literal, variable
from sr_accessor.expressions.build import exponents_up_to, linear_combination, monomials, writable
from sr_accessor.expressions.definitions import lifted, unlifted
from sr_accessor.expressions.description import structure_bits
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.expressions.products import collected
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.plugins.manager import routes
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.refinement.solution import Refined
from sr_accessor.search.constants import name_numbers
from sr_accessor.search.features import Feature, features
from sr_accessor.search.front import Front
from sr_accessor.search.given import Given
from sr_accessor.search.guesses import parts_of, refine_guesses
from sr_accessor.search.kernels import Kernels, build_kernels, sharp_kernels, written
from sr_accessor.search.library import Library, build_library, extend, extend_by_monomials
from sr_accessor.search.moves import offspring
from sr_accessor.search.power_screens import (
    log_law,
    regress,
    screen_log_chain,
    screen_log_pair,
    screen_power,
    screen_powers,
)
from sr_accessor.search.reductions import Reduction, reductions
from sr_accessor.search.ridges import ridges
from sr_accessor.search.rows import linear_rows, sharp_rows
from sr_accessor.search.screens import (
    screen_chain,
    screen_factor,
    screen_noisy_ratio,
    screen_one,
    screen_pair,
    screen_product,
    screen_ratio,
    screen_residual,
    screen_span,
    screen_sparse,
)
from sr_accessor.search.selection import (
    Data,
    Scored,
    best_front,
    refit,
    rough_bits,
    score,
    snap,
    snap_savings,
    stack,
)
from sr_accessor.search.separation import separate
from sr_accessor.search.targets import Rows, Target, join_rows
from sr_accessor.search.template import Template
from sr_accessor.search.unit_forms import unit_forms
from sr_accessor.search.views import VIEWS, View
from sr_accessor.transformer.model import Transformer

__all__ = ["Found", "SearchState", "find", "join", "start", "step"]

SCREEN_POINTS = 200  # search_findings.md §8: 200-300 points rank as well as all rows
#: (points, Levenberg–Marquardt steps, candidates kept) of each stage of polishing; then all rows.
STAGES = ((64, 8, 160), (256, 10, 50))
FINAL_STEPS, MOST_ROWS = 16, 20_000
#: Stages of a problem within another, whose laws are refined again: simplified only after the first.
QUICK_STAGES = ((64, 8, 60),)
#: The best few that have not converged by then are given so many steps more.
MOST_LONGER, LONGER_STEPS = 8, 60
#: Candidates of one round whose numbers are snapped.
MOST_SNAPPED = 8
#: A law with this relative error (root mean square) is exact in float64 arithmetic; free constants it may have, when
#: simple numbers are snapped and when not.
EXACT, MOST_FREE, MOST_UNSNAPPED = 1e-12, 3, 6
#: Rows that a law must leave over beyond its free constants.
SPARE_ROWS = 3
#: Moves end when this many rounds of them in a row did not shorten the description.
PATIENCE = 12
#: Views are linearised around a law that leaves less than this share of the variance.
ROUGH = 0.1
#: Not before so many rounds do residuals that pass as noise end a search: a simpler law may still come.
LEAST_ROUNDS = 14
#: Above 2·ln M this much (χ² units) is left to chance: M rows are not independent, so the true excess is smaller.
NOISE_MARGIN = 4.0
#: Correlations of neighbours above this many standard errors are structure.
NOISE_SIGMAS = 2.5
#: Parents kept of every complexity; children of one round.
POPULATION, CHILDREN = 8, 1500
#: Sequences the network draws in one round, parts of its laws that join the screens, laws whose residuals are screened.
DRAFTS, DRAFTED_GROUPS, IMPROVED = 64, 200, 6
#: Monomials of one dictionary at most.
MOST_MONOMIALS, MOST_RATIO = 90, 130
#: Rows u and v of the product screens; terms of the spans; terms of a base.
MOST_FACTORS, MOST_SECOND, MOST_SPAN, MOST_BASE = 1000, 2500, 60, 30

#: Kernels of one family that are proposed, alone and in pairs, and of all.
EACH_KERNEL, MOST_KERNELS, EACH_PAIRED, MOST_PAIRED = 6, 60, 60, 2500
#: Views in which chains are joined.
CHAINED = ("y", "y²", "1/y", "1/y²", "log y", "log(1/y−1)")
#: Views in which one row stands beside monomials.
BESIDE_VIEWS = ("y", "1/y", "y²", "1/y²")
#: Up to so many variables the grids of kernels are fine; and kernels are tried times each variable.
FEW_VARIABLES, MOST_TIMES = 1, 5
#: Up to so many variables the rest of a separable law is searched for kernels.
MOST_CURVES = 2
#: Laws of a problem within another that are put together again, and symbols beyond which they only approximate.
MOST_REJOINED, LONG = 30, 60
#: Share of the rows at least at which a separable law's factor is neither zero nor infinite.
MOST_SOUND = 0.9
#: Simple rows that are paired with the sharpest kernels, and variables up to which kernels are sharpened.
MOST_BESIDE_KERNELS, MOST_SHARPENED = 800, 3
#: Rows, each alone and times every variable, of the pairs of products; those of them with inner constants of their own.
MOST_PRODUCTS, MOST_SHARP = 6000, 60
#: Monomials that waves are multiplied with, beside exponentials and peaks.
MOST_ENVELOPES = 40
#: Monomials and rows with a feature whose products stand beside monomials, and how many of these are proposed.
MOST_LEFT, MOST_RIGHT, MOST_BESIDE = 20, 100, 10
#: Inner constants of these features.
SIMPLE_INNER = (1.0, 2.0, 0.5)
#: Pairs of exponentials that are proposed.
MOST_RATES = 30

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
    def products(self) -> Rows:
        """Simple monomials times features of single variables with simple inner constants."""
        few, rows = (
            self.monomials[: MOST_LEFT + 1],
            linear_rows(self.small[: self.dimensions], self.features, self.vocabulary),
        )
        inner, free = rows.expressions.constants.abs(), rows.expressions.free
        known = (inner[..., None] == torch.tensor(SIMPLE_INNER, device=inner.device)).any(-1)
        simple = free.any(1) & (known | ~free).all(1)
        dressed = rows[simple.nonzero()[:, 0][:MOST_RIGHT]]
        if "mul" not in self.vocabulary:
            return dressed
        i, j = torch.cartesian_prod(torch.arange(len(few)), torch.arange(len(dressed))).T
        return Rows(few.expressions[i] * dressed.expressions[j], few.values[i] * dressed.values[j])

    @cached_property
    def outer(self) -> Rows:
        """Monomials, and the simplest rows with a feature: what a sum may be multiplied with."""
        dressed = self.rows[self.rows.expressions.free.any(1).nonzero()[:, 0][:MOST_FACTORS]]
        few = self.monomials[: MOST_FACTORS // 2]
        return Rows(concatenate([few.expressions, dressed.expressions]), torch.cat([few.values, dressed.values]))

    @cached_property
    def separable(self) -> bool:
        """Whether variables seem to do nothing but multiply, as far as y alone tells."""
        target = self.target(_view("y"), True, self.wide)
        return target is not None and separate(regress([target], self.wide.x), self.vocabulary) is not None

    @cached_property
    def log_reductions(self) -> list[Reduction]:
        """Ways to tell log y from fewer variables."""
        return reductions(self.wide.x, self.wide.y, self.wide.screening_sigma, self.vocabulary, log=True)

    @cached_property
    def plain_reductions(self) -> list[Reduction]:
        """Ways to tell y from fewer variables."""
        return reductions(self.wide.x, self.wide.y, self.wide.screening_sigma, self.vocabulary, log=False)

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


def start(
    data: Data,
    vocabulary: Vocabulary,
    *,
    seed: int,
    network: Callable[[], Transformer] | None = None,
    given: Given | None = None,
    snapping: bool = True,
) -> SearchState:
    """A search before its first round; the front holds the mean (the constant law).

    Parameters
    ----------
    data : the rows
    vocabulary : its active operators are those that may occur
    seed : decides every random choice
    network : returns the network that drafts laws, called when its first round comes; None: no drafts
    given : constraints, guesses, template and known numbers; None: nothing
    snapping : whether numbers are snapped where the data cannot tell; not where all that is found is refined again
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data), generator=generator).to(data.y.device)
    # Screens are least squares: rows that look like outliers come last, so that the beginnings do without them.
    order = order[torch.argsort(data.doubt[order], stable=True)]
    workspace = Workspace(data, vocabulary, order, network, given or NOTHING_GIVEN, snapping)
    mean = constant([float(data.y.mean())], vocabulary, data.y.device)
    refined = refit(mean, data, steps=2)
    scored = score(refined.expressions, data, ("mean",))
    return SearchState(workspace, seed, 0, best_front([scored.front()]), scored, {"mean": 1}, 0, False, False, "mean")


@dataclass(frozen=True)
class Found:
    """What one round found: polished candidates, and how many were proposed, by origin."""

    scored: Scored
    proposed: Mapping[str, int]


def step(state: SearchState) -> SearchState:
    """One round: propose, polish, keep."""
    return join(state, find(state))


def find(state: SearchState, propose: Propose | None = None) -> Found:
    """Propose and polish: what round `state.round`, or `propose`, makes of this state, which need not be the last."""
    work = state.workspace
    generator = torch.Generator().manual_seed(state.seed * 1_000_003 + state.round + 1)
    propose = propose or _entry(state)[1]
    proposals = [p for p in propose(state, generator) if len(p[1])]
    if state.round == 0 and work.given.guesses is not None:
        guesses = refine_guesses(work.given.guesses.to(work.data.y.device), work.wide, generator)
        proposals.insert(0, ("guess", guesses))
    if state.round == 0 and work.given.dimensions is not None:
        proposals.insert(0, ("units", unit_forms(work.given.dimensions, work.vocabulary)))
    proposed: Counter[str] = Counter()
    for origin, e in proposals:
        proposed[origin] += len(e)
    known = float(state.front.description_length.min()) if work.given.admits(state.front) else math.inf
    return Found(_polish(proposals, work, known) if proposals else _shortest(state, 0), proposed)


def join(state: SearchState, found: Found) -> SearchState:
    """The state after the round `state.round`, which found this."""
    work, (name, _, moving) = state.workspace, _entry(state)
    proposed = dict(Counter(state.proposed) + Counter(found.proposed))
    nothing = replace(state, round=state.round + 1, proposed=proposed, doing=name, waiting=state.waiting + moving)
    if not len(found.scored):
        return nothing
    kept = [state.front] if work.given.admits(state.front) else []  # the mean may not be what was asked for
    before = min((float(front.description_length.min()) for front in kept), default=math.inf)
    front = best_front([*kept, found.scored.front()])
    shorter = float(front.description_length.min()) < before - 0.5
    return replace(
        nothing,
        front=front,
        population=_best(stack([state.population, found.scored]), POPULATION),
        waiting=0 if shorter else nothing.waiting,
        exact=_is_exact(front, work),
        quiet=state.round + 1 >= LEAST_ROUNDS and not shorter and _passes_as_noise(front, work),
    )


def _entry(state: SearchState) -> tuple[str, Propose, bool]:
    """Name and proposals of the round `state.round`, and whether it comes after the plan."""
    work = state.workspace
    plan, moves = (_plan(work), MOVES) if work.given.template is None else (_plan_of_parts(work), MOVES_OF_PARTS)
    if work.given.admission is not None:  # screens look for the best law of all, moves for the best admissible one
        plan = [entry for i, first in enumerate(plan) for entry in ((first, moves[0]) if i % 2 else (first,))]
    moving = state.round >= len(plan)
    return *(moves[(state.round - len(plan)) % len(moves)] if moving else plan[state.round]), moving


# ------------------------------------------------------------------------------------------------ proposals
def _plan(work: Workspace) -> list[tuple[str, Propose]]:
    """The rounds before the moves, cheap and often successful ones first.

    Two and two of them run beside each other (`rounds.py`): neither of a pair waits for what the other finds, they
    take about as long, and what is built for many rounds, as kernels are, is built in the first.
    """
    usable = {v.name for v in VIEWS if v.usable(work.screen.y, work.vocabulary)}
    sums = [v for v in ("y", "y²", "1/y") if v in usable]
    order = SEPARABLE if work.dimensions > 2 and work.separable else ORDER[min(work.dimensions, len(ORDER))]
    plan = [(name, ROUNDS[name]) for name in order]
    plan += [(f"products, {v}", _products(v, False)) for v in sums[1:2]]
    plan += [(f"factors, {v}", _factors(v, False)) for v in sums[1:]]
    plan += [(f"pairs, {v}", _pairs(v, False)) for v in LINEAR_VIEWS[2:]]
    plan += [(f"pairs, {v}, relative errors", _pairs(v, True)) for v in LINEAR_VIEWS if v in usable]
    plan += [(f"products, {v}, relative errors", _products(v, True)) for v in sums[:2]]
    plan += [(f"factors, {v}, relative errors", _factors(v, True)) for v in sums]
    plan += [("large ratios", _ratios(("y", "y²"), MOST_RATIO)), ("prior", _propose_prior)]
    return plan


#: Views whose logarithm is screened for power laws, and views screened for sums.
LOG_VIEWS = ("y", "1/y−1", "y−1", "y+1", "1−y²", "sin y", "cos y", "exp y")
LINEAR_VIEWS = ("y", "1/y", "y²", "log y", "√y", "1/y²", "exp y")


#: The first rounds by the number of variables, the last entry for as many and more; two and two of them run beside each
#: other. Of curves, ratios, peaks, waves and decays are what laboratories measure; of many variables groups come first.
_LARGE = tuple(
    f"power × feature, large library, {part}"
    for part in ("first half", "second half", "around the best fit, first half", "around the best fit, second half")
)
_FIRST = ("linear and power laws", "dictionaries and ratios")
ORDER = {
    1: (
        *_FIRST,
        *("kernels", "power × feature, small library"),
        *("pairs, y", "pairs of factors"),
        *("pairs of kernels", "kernels of residuals"),
        *("power × feature, small library, around the best fit", "chains"),
        *("products, y", "factors, y"),
        *_LARGE[:2],
        *("network", "pairs, 1/y"),
        *_LARGE[2:],
        *("pairs of factors, around the best fit", "beside monomials"),
    ),
    2: (
        *_FIRST,
        *("power × feature, small library", "pairs of factors"),
        *("kernels", "separated: small library"),
        *("power × feature, small library, around the best fit", "chains"),
        *("pairs, y", "products, y"),
        *("factors, y", "separated: pairs"),
        *_LARGE[:2],
        *("pairs of kernels", "kernels of residuals"),
        *("network", "pairs, 1/y"),
        *("pairs of products", "separated: products"),
        *_LARGE[2:],
        *("pairs of factors, around the best fit", "separated: factors and chains"),
        "beside monomials",
    ),
    3: (
        *_FIRST,
        *("power × feature, small library", "pairs of factors"),
        *("reduced: log y", "reduced: y"),
        *("pairs, y", "chains"),
        *_LARGE[:2],
        *("products, y", "factors, y"),
        *("reduced: log y, on", "reduced: y, on"),
        *("power × feature, small library, around the best fit", "separated: small library"),
        *("kernels", "pairs, 1/y"),
        *("network", "pairs of products"),
        *("separated: pairs", "separated: factors and chains"),
        *("pairs of kernels", "kernels of residuals"),
        *("separated: products", "separated: pairs of products"),
        *_LARGE[2:],
        *("pairs of factors, around the best fit", "beside monomials"),
    ),
}
#: The same for three variables and more where some seem to do nothing but multiply: the rest first.
SEPARABLE = (
    *_FIRST,
    *("power × feature, small library", "pairs of factors"),
    *("reduced: log y", "reduced: y"),
    *("separated: small library", "chains"),
    *_LARGE[:2],
    *("separated: pairs", "separated: factors and chains"),
    *("reduced: log y, on", "reduced: y, on"),
    *("separated: products", "separated: pairs of products"),
    *("power × feature, small library, around the best fit", "pairs, y"),
    *("products, y", "factors, y"),
    *("network", "kernels"),
    *("pairs, 1/y", "pairs of products"),
    *("pairs of kernels", "kernels of residuals"),
    *_LARGE[2:],
    *("pairs of factors, around the best fit", "beside monomials"),
)


def _together(*proposals: Propose) -> Propose:
    """Several short rounds as one."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        return [found for one in proposals for found in one(state, generator)]

    return propose


def _view(name: str) -> View:
    return next(v for v in VIEWS if v.name == name)


def _propose_simple(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """All variables linearly, and each alone; power laws in every view."""
    work = state.workspace
    d, device = work.dimensions, work.data.y.device
    one = literal([1.0], work.vocabulary, device)
    terms = [one] + [variable([k], work.vocabulary, device) for k in range(d)]
    used = torch.zeros(d + 1, d + 1, dtype=torch.bool, device=device)
    used[:, 0] = True
    used[0] = True
    used[torch.arange(1, d + 1), torch.arange(1, d + 1)] = True
    start = torch.ones(d + 1, d + 1, dtype=torch.float64, device=device)
    found = [("linear", linear_combination(terms, start, used))]
    targets = [t for name in LOG_VIEWS if (t := work.target(_view(name), True)) is not None]
    targets += [t] if (t := work.target(_view("y"), False)) is not None else []
    if targets:
        found.append(("screen power", screen_powers(targets, work.screen.x, work.vocabulary)))
    return found


def _around(state: SearchState, view: View, data: Data) -> Target | None:
    """The view around the values of the best law so far; the plain view where nothing is good enough to lean on."""
    work = state.workspace
    best = int(state.front.description_length.argmin())
    values, valid = evaluate(state.front.expressions[best], data.x)
    left = (data.y - values[0]).square().sum() / (data.y - data.y.mean()).square().sum().clamp(min=1e-300)
    if not bool(valid.all()) or not float(left) < ROUGH:
        return work.target(view, False, data)
    if not view.usable(values[0], work.vocabulary):
        return None
    target = Target.around(view, data.y, data.screening_sigma, values[0])
    return target if target.sound else None


def _power(library: str, around: bool, half: int | None = None):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data = work.middle if around and library == "small" else work.screen  # noise needs more points to rank by
        groups = work.small if library == "small" else work.large
        kinds = work.features if half is None else work.features[half::2]  # rounds are short: the clock acts between
        if around:
            targets = [t for name in LOG_VIEWS if (t := _around(state, _view(name), data)) is not None]
            groups = replace(groups, values=evaluate(groups.expressions, data.x)[0])
        else:
            targets = [t for name in LOG_VIEWS if (t := work.target(_view(name), True)) is not None]
        if not targets:
            return []
        laws = screen_power(targets, data.x, groups, kinds, work.vocabulary, noisy=around)
        found = [(f"screen power × feature, {view.name}", law) for view, law in laws]
        if around:
            found.append(("screen power", screen_powers(targets, data.x, work.vocabulary)))
        return found

    return propose


def _dictionary(x: torch.Tensor, vocabulary: Vocabulary, degree: int) -> Rows:
    """Monomials of total degree 0 to `degree`."""
    exponents = exponents_up_to(x.shape[1], degree).double().to(x.device)
    expressions = monomials(exponents[writable(exponents, vocabulary)], vocabulary)
    return Rows(expressions, evaluate(expressions, x)[0])


def _terms(d: int, degree: int) -> int:
    return math.comb(d + degree, degree)


def _dictionaries(views: Sequence[str]):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data, found = work.wide, []
        degrees = [d for d in range(2, 11) if _terms(work.dimensions, d) <= min(len(data) / 3, MOST_MONOMIALS)]
        if not degrees:
            return []
        dictionaries = [_dictionary(data.x, work.vocabulary, degree) for degree in degrees]
        for name in views:
            target = work.target(_view(name), False, data)
            if target is not None:
                found.append((f"screen sparse, {name}", screen_sparse(target, dictionaries)))
        return found

    return propose


def _ratios(views: Sequence[str], most: int):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data, found = work.wide, []
        for degree in range(1, 8):
            if 2 * _terms(work.dimensions, degree) > min(len(data) / 3, most):
                break
            dictionary = _dictionary(data.x, work.vocabulary, degree)
            for name in views:
                target = work.target(_view(name), True, data)
                if target is not None:
                    law = screen_ratio(target, dictionary, dictionary)
                    if law is not None:
                        found.append((f"screen ratio, {name}", law))
                target = work.target(_view(name), False, data)
                if target is not None:
                    law = screen_noisy_ratio(target, dictionary, dictionary)
                    found.append((f"screen noisy ratio, {name}", law))
        return found

    return propose


def _bases(work: Workspace) -> list[Rows]:
    """Constant; constant and variables; and their squares and products."""
    x = work.screen.x
    bases = [_dictionary(x, work.vocabulary, 0), _dictionary(x, work.vocabulary, 1)]
    if _terms(work.dimensions, 2) <= MOST_BASE:
        bases.append(_dictionary(x, work.vocabulary, 2))
    return bases


def _pairs(view: str, relative: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = work.target(_view(view), True) if relative else _around(state, _view(view), work.screen)
        if target is None:
            return []
        rows, found = join_rows(work.sharp(target, False), work.rows), []
        for base in _bases(work):
            found.append((f"screen one, {view}", screen_one(target, base, rows)))
        bases = _bases(work)
        if _terms(work.dimensions, 3) <= MOST_BASE:
            bases.append(_dictionary(work.screen.x, work.vocabulary, 3))
        kernels = work.sharp_kernels(target, False, rows)
        for base in (bases[0], bases[-1]):
            found.append((f"screen pair, {view}", screen_pair(target, base, rows[:MOST_SECOND])))
            found.append((f"screen pair, {view}", screen_pair(target, base, kernels, keep=2 * MOST_KERNELS)))
        return found

    return propose


def _pairs_of_products(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Two rows, each alone or times a variable: a·sin(b) + c·exp(d), and what is straight in one of the variables."""
    work = state.workspace
    target = _around(state, _view("y"), work.screen)
    if target is None or "mul" not in work.vocabulary:
        return []
    times = min(work.dimensions, MOST_TIMES)
    dressed = work.rows[work.rows.expressions.free.any(1).nonzero()[:, 0]]
    rows = join_rows(work.sharp(target, False)[:MOST_SHARP], dressed)[: MOST_PRODUCTS // (1 + times)]
    several = join_rows(work.monomials[1:MOST_SHARP], rows)
    for d in range(times):  # variables
        x = work.screen.x[:, d]
        more = Rows(variable([d], work.vocabulary, x.device) * rows.expressions, x * rows.values)
        several = join_rows(several, more)
    return [("screen pair of products", screen_pair(target, _bases(work)[1], several))]


def _kernels(views: Sequence[str]):
    """One row with two inner constants, in a sum or times a power law."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work, found = state.workspace, []
        for name in views:
            target = work.target(_view(name), False)
            for base in _bases(work)[:2] if target is not None else ():
                best = work.kernels.best(work.kernels.shares(target, base.values), EACH_KERNEL, MOST_KERNELS)
                law = screen_one(target, base, written(work.kernels[best]), keep=MOST_KERNELS)
                found.append((f"kernel, {name}", law))
                if name == "y" and len(base) > 1:
                    law = screen_one(target, base, written(work.kernels[best]), keep=MOST_KERNELS // 3, whole=True)
                    found.append((f"kernel, {name}", law))
        plain = work.target(_view("y"), False)
        if 1 < work.dimensions <= MOST_TIMES and plain is not None and "mul" in work.vocabulary:
            base = _bases(work)[1]
            for d in range(work.dimensions):  # variables
                single, x = work.kernels.single, work.screen.x[:, d]
                best = single.best(single.times(x).shares(plain, base.values), EACH_KERNEL // 2, MOST_KERNELS // 3)
                rows = written(single[best])
                rows = Rows(variable([d], work.vocabulary, x.device) * rows.expressions, x * rows.values)
                for whole in (False, True):
                    law = screen_one(plain, base, rows, keep=len(rows), whole=whole)
                    found.append(("kernel × variable", law))
        target = work.target(_view("y"), True)
        if target is None:
            return found
        x, logs = work.screen.x, work.kernels.logarithms
        choices = [(x, logs)]
        if work.dimensions <= MOST_TIMES:  # over a short range a kernel and a power of its variable are much alike
            for d in range(work.dimensions):  # variables
                choices.append((x.index_fill(1, torch.tensor([d], device=x.device), 1.0), logs.of(d)))
        for powers, rows in choices:
            fit = regress([target], powers)
            base = torch.cat([torch.ones_like(x[:, 0])[None], fit.logs])
            best = rows.best(rows.shares(target.logarithm, base), EACH_KERNEL, MOST_KERNELS)
            factors = [written(rows[best])]
            found.append(("kernel × power", log_law(fit, factors, work.vocabulary)))
            if "pow" in work.vocabulary:
                found.append(("kernel to a power", log_law(fit, factors, work.vocabulary, free=True)))
        return found

    return propose


def _pairs_of_kernels(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Two rows with two inner constants each, or more joined greedily; and a wave times anything."""
    work = state.workspace
    target = _around(state, _view("y"), work.screen)
    if target is None:
        return []
    found, kernels, bases = [], work.kernels.single, _bases(work)[:2]
    waves, rates = written(kernels.waves), written(kernels.rates)
    for base in bases:
        most = MOST_PAIRED if work.dimensions <= FEW_VARIABLES else MOST_PAIRED // 3
        best = kernels.best(kernels.shares(target, base.values), EACH_PAIRED, most)
        rows = written(kernels[best])
        found.append(("kernel pair", screen_pair(target, base, rows)))
        found.append(("kernel chain", screen_chain(target, base, rows)))
        found.append(("rate pair", screen_pair(target, base, rates, keep=MOST_RATES)))  # any smooth rows come close
    if len(waves):
        envelopes = join_rows(work.monomials[1 : MOST_ENVELOPES + 1], rates)
        if work.dimensions <= FEW_VARIABLES:
            envelopes = join_rows(envelopes, written(kernels.peaks))
        found.append(("kernel product", screen_product(target, bases, envelopes, waves)))
    span = _dictionary(work.screen.x, work.vocabulary, 2 if work.dimensions == 1 else 1)
    best = kernels.best(kernels.shares(target, bases[0].values), EACH_KERNEL * 10, MOST_FACTORS)
    found.append(("kernel × sum", screen_span(target, span, written(kernels[best]))))
    return found


def _products(view: str, relative: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = work.target(_view(view), True) if relative else _around(state, _view(view), work.screen)
        if target is None:
            return []
        law = screen_product(target, _bases(work), work.monomials, work.rows[:MOST_SECOND])
        return [(f"screen product, {view}", law)]

    return propose


def _factors(view: str, relative: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = work.target(_view(view), True) if relative else _around(state, _view(view), work.screen)
        if target is None:
            return []
        found = [(f"screen factor, {view}", screen_factor(target, work.every, work.rows[: 2 * MOST_SECOND]))]
        degree = 2 if _terms(work.dimensions, 2) <= MOST_SPAN else 1
        if _terms(work.dimensions, degree) <= MOST_SPAN:
            span = _dictionary(work.screen.x, work.vocabulary, degree)
            found.append((f"screen span, {view}", screen_span(target, span, work.outer)))
        return found

    return propose


def _log_pairs(around: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = _around(state, _view("y"), work.screen) if around else work.target(_view("y"), True)
        if target is None:
            return []
        rows, x = join_rows(work.sharp(target, True), work.rows)[:MOST_SECOND], work.screen.x
        kernels = work.sharp_kernels(target, True, rows)
        return [
            ("screen log pair", screen_log_pair(target, x, rows, work.vocabulary)),
            ("screen log pair", screen_log_pair(target, x, kernels, work.vocabulary, keep=2 * MOST_KERNELS)),
            ("screen log chain", screen_log_chain(target, x, rows, work.vocabulary)),
        ]

    return propose


def _chains(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Sums of several rows, joined greedily; in other views of monomials, where y spans decades."""
    work, found = state.workspace, []
    base = _bases(work)[0]
    for name in CHAINED:
        target = work.target(_view(name), name != "y")
        if target is not None:
            rows = join_rows(work.sharp(target, False), work.rows)[:MOST_SECOND] if name == "y" else work.monomials[1:]
            found.append((f"screen chain, {name}", screen_chain(target, base, rows)))
    return found


def _beside_monomials(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """One row, or one times a monomial, beside a sum of monomials with positive and negative powers."""
    work, found = state.workspace, []
    base, rows = work.monomials[:MOST_BASE], join_rows(work.products, work.rows[:MOST_SECOND])
    for name in BESIDE_VIEWS:
        target = work.target(_view(name), True, work.screen)
        if target is not None:
            found.append((f"screen beside monomials, {name}", screen_one(target, base, rows, keep=MOST_BESIDE)))
    return found


#: Rounds for problems of fewer variables, each of several of the plan's, by the number of variables, the last entry for
#: as many and more; the first two are done at once, and end when a law is exact.
REDUCED = {
    1: (
        _FIRST,
        ("kernels", "power × feature, small library", "pairs, y"),
        ("pairs of factors", "chains", "products, y"),
    ),
    2: (
        _FIRST,
        ("beside monomials", "pairs, y", "power × feature, small library"),
        ("chains", "pairs of factors", "products, y", "factors, y"),
    ),
}
#: Rounds of the plan that are repeated without the separable variables, by their names.
SMALL_ROUNDS = (*_FIRST, "power × feature, small library", "kernels")
PAIR_ROUNDS = ("linear and power laws", "pairs, y")
FACTOR_ROUNDS = ("pairs of factors", "chains")
SUM_ROUNDS = ("linear and power laws", "pairs of products")
PRODUCT_ROUNDS = ("linear and power laws", "products, y", "factors, y")


def _separated(names: Sequence[str]):
    """Some rounds of the plan for what is left when the separable variables are divided out."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        targets = [work.target(_view("y"), True, work.wide), _around(state, _view("y"), work.wide)]
        fits = [regress([target], work.wide.x) for target in targets if target is not None]
        if not fits:
            return []
        separation = separate(min(fits, key=lambda fit: float(fit.rest.norm())), work.vocabulary)
        return [] if separation is None else [("separated", _searched(state, separation, [names]))]

    return propose


def _reduced(log: bool, first: bool) -> Propose:
    """The rounds of a problem of fewer variables, those done first or the others: as log y shows it, or y itself.

    The two run beside each other; where y changes its sign the first takes the second best of y itself.
    """

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        ways = work.log_reductions[:1] or work.plain_reductions[1:] if log else work.plain_reductions
        if not ways:
            return []
        rounds = REDUCED[min(len(ways[0].groups), len(REDUCED))]
        return [("reduced", _searched(state, ways[0], rounds[:2] if first else rounds[2:]))]

    return propose


def _searched(state: SearchState, reduction: Reduction, rounds: Sequence[Sequence[str]]) -> Expressions:
    """Laws for what is left of a law in the variables of a reduction, from rounds of several of the plan's each."""
    work = state.workspace
    problem = _rest(state, reduction)
    if problem is None:
        return empty(work.vocabulary, work.data.y.device)
    inner = start(problem, work.vocabulary, seed=state.seed, snapping=False)
    curve = inner.workspace.dimensions <= MOST_CURVES
    for names in rounds:
        if not inner.exact:
            chosen = [ROUNDS[name] for name in names if curve or "kernels" not in name]
            inner = join(inner, find(inner, _together(*chosen)))
    laws = collected(reduction.rejoined(_shortest(inner, MOST_REJOINED).expressions))
    return laws[(laws.complexity <= LONG).nonzero()[:, 0]]


def _rest(state: SearchState, reduction: Reduction) -> Data | None:
    """y without the factor, in the variables of the groups; errors are a third of what the best law so far leaves."""
    work = state.workspace
    data = work.middle
    factor, x = reduction.values(data.x)
    best = int(state.front.description_length.argmin())
    error = (evaluate(state.front.expressions[best], data.x)[0][0] - data.y) / data.screening_sigma
    level = error.square().mean().sqrt() / 3
    y, sigma = data.y / factor, level * data.screening_sigma / factor.abs()
    sound = y.isfinite() & sigma.isfinite() & (sigma > 0) & x.isfinite().all(1)
    if not bool(level > 0) or float(sound.double().mean()) < MOST_SOUND:  # zeros of a factor say nothing of the rest
        return None
    # A count divided by a factor is no count; outliers stay outliers.
    noise = replace(data.noise, absolute=True) if data.noise.heavy_tailed else GAUSSIAN
    return Data(x[sound], y[sound], sigma[sound], noise)


def _propose_prior(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    work = state.workspace
    drawn = sample_expressions("science", 2000, work.dimensions, work.vocabulary, generator)
    return [("prior", drawn.to(work.data.y.device))]


def _drafts(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """What the network writes for the observations; and parts of it in the screens: right where the whole is not."""
    work = state.workspace
    if work.network is None:
        return []
    written = _drafted(work, work.data.x, work.data.y, DRAFTS, generator)
    found, x = [("network", written)], work.screen.x
    groups = extend(work.small, subexpressions(written)[:DRAFTED_GROUPS], x)[len(work.small) :]
    if not len(groups):
        return found
    plain, around = work.target(_view("y"), True), _around(state, _view("y"), work.screen)
    if plain is not None:
        laws = screen_power([plain], x, groups, work.features, work.vocabulary)
        found += [("network, part of a power law", law) for _, law in laws]
    if around is not None:
        rows = join_rows(Rows(groups.expressions, groups.values), work.rows[:MOST_FACTORS])
        found.append(("network, part of a sum", screen_pair(around, _bases(work)[0], rows)))
    return found


def _drafted(
    work: Workspace, x: torch.Tensor, y: torch.Tensor, samples: int, generator: torch.Generator
) -> Expressions:
    """What the network writes for x; and for x beside columns of the operators that it can neither write nor spell."""
    model = work.network()
    own = torch.Generator(device=model.device).manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    asked = {"vocabulary": work.vocabulary, "generator": own, "samples": samples}
    written = draft(model, x, y, **asked).expressions
    ways, room = routes(work.vocabulary, model.config.operators), model.config.variables - x.shape[1]
    wide, columns = lifted(x, work.vocabulary, [name for name in ways if "lifted" in ways[name]], max(0, room))
    if len(columns):
        written = concatenate([written, unlifted(draft(model, wide, y, **asked).expressions, columns, x.shape[1])])
    return written.to(work.data.y.device)


def _propose_drafts_of_residuals(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """What the network writes for what the best laws leave over, added to them or multiplied with them."""
    work = state.workspace
    if work.network is None:
        return _propose_moves(state, generator)
    found = []
    best = _shortest(state, 2).expressions
    values, valid = evaluate(best, work.data.x)
    for i in range(len(best)):  # two laws
        for join_by, rest in (("add", work.data.y - values[i]), ("mul", work.data.y / values[i])):
            if join_by not in work.vocabulary or not bool(valid[i].all() & rest.isfinite().all()):
                continue
            if not float(rest.std()) > 1e-12 * float(rest.abs().mean()):
                continue
            written = _drafted(work, work.data.x, rest, DRAFTS // 4, generator)
            found.append(("network, residual", best[i].apply(join_by, written)))
    return found


def _propose_moves(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    work = state.workspace
    rank = _rank_within(state.population.expressions.complexity)
    children = offspring(
        state.population.expressions,
        torch.exp(-rank / 3.0),
        work.small.expressions,
        work.dimensions,
        CHILDREN,
        generator,
    )
    return [("moves", children)]


def _propose_residuals(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """One more term, or one more factor 1 + a·u, for the best laws: the row that explains most of what they leave."""
    work = state.workspace
    best = _shortest(state, IMPROVED).expressions
    data = work.screen
    values, columns, valid = jacobian(best, data.x)
    free = best.free
    one = constant([1.0], work.vocabulary, data.y.device)
    found = []
    for i in range(len(best)):  # a handful of laws
        if not bool(valid[i].all() & columns[i].isfinite().all()):
            continue
        tangent = torch.cat([torch.ones_like(data.y)[None], columns[i][free[i]]])
        for factor, rows in ((None, work.rows.values), (values[i], work.rows.values * values[i])):
            at = screen_residual(data.y - values[i], tangent, rows, keep=10)
            term = one * work.rows.expressions[at]
            law = best[i] + term if factor is None else best[i] * (one + term)
            found.append(("residual", law))
    return found


def _propose_kernels_of_residuals(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """One more kernel for the best laws: peak after peak."""
    work, found = state.workspace, []
    best = _shortest(state, IMPROVED).expressions
    kernels, data = work.kernels.single, work.screen
    values, columns, valid = jacobian(best, data.x)
    sigma = torch.ones_like(data.y)
    for i in range(len(best)):  # a handful of laws
        tangent = torch.cat([torch.ones_like(data.y)[None], columns[i][best.free[i]]])
        if not bool(valid[i].all() & tangent.isfinite().all()) or len(tangent) > len(data.y) // 2:
            continue
        rest = Target.of(_view("y"), data.y - values[i], sigma)
        rows = written(kernels[kernels.best(kernels.shares(rest, tangent), EACH_KERNEL // 2, MOST_KERNELS // 3)])
        one = constant([1.0], work.vocabulary, data.y.device)
        found.append(("kernel of residuals", best[i] + one * rows.expressions))
    return found


def _shortest(state: SearchState, count: int) -> Scored:
    """The candidates with the shortest descriptions."""
    return state.population[torch.argsort(state.population.description_length, stable=True)[:count]]


#: The rounds of the plan that `ORDER` and its like name.
ROUNDS: Mapping[str, Propose] = {
    "linear and power laws": _propose_simple,
    "dictionaries and ratios": _together(
        _dictionaries(("y", "1/y", "y²", "log y", "log(1/y−1)")), _ratios(("y", "y²"), MOST_RATIO // 4)
    ),
    "power × feature, small library": _power("small", False),
    "power × feature, small library, around the best fit": _power("small", True),
    "pairs of factors": _log_pairs(False),
    "pairs of factors, around the best fit": _log_pairs(True),
    "reduced: log y": _reduced(True, True),
    "reduced: y": _reduced(False, True),
    "reduced: log y, on": _reduced(True, False),
    "reduced: y, on": _reduced(False, False),
    "separated: small library": _separated(SMALL_ROUNDS),
    "separated: pairs": _separated(PAIR_ROUNDS),
    "separated: factors and chains": _separated(FACTOR_ROUNDS),
    "separated: products": _separated(PRODUCT_ROUNDS),
    "separated: pairs of products": _separated(SUM_ROUNDS),
    "pairs, y": _pairs("y", False),
    "pairs, 1/y": _pairs("1/y", False),
    "pairs of products": _pairs_of_products,
    "chains": _chains,
    "beside monomials": _beside_monomials,
    "products, y": _products("y", False),
    "factors, y": _factors("y", False),
    "kernels": _kernels(("y", "1/y", "log y")),
    "pairs of kernels": _pairs_of_kernels,
    "kernels of residuals": _propose_kernels_of_residuals,
    "power × feature, large library, first half": _power("large", False, 0),
    "power × feature, large library, second half": _power("large", False, 1),
    "power × feature, large library, around the best fit, first half": _power("large", True, 0),
    "power × feature, large library, around the best fit, second half": _power("large", True, 1),
    "network": _drafts,  # easy laws are found by now, noisy ones too: it costs 0.3 s and finds other kinds
}

#: After the plan: these rounds in turn, until the time is spent or nothing is found any more.
MOVES = (
    ("moves", _propose_moves),
    ("residuals", _propose_residuals),
    ("kernels of residuals", _propose_kernels_of_residuals),
    ("moves", _propose_moves),
    ("network, residuals", _propose_drafts_of_residuals),
)


# ------------------------------------------------------------------------------------------------ templates
def _plan_of_parts(work: Workspace) -> list[tuple[str, Propose]]:
    """The rounds of the plan for each part in turn: once from the closest candidate, once from the shortest.

    What was just found for the first part is in the shortest candidate, and the others continue from there.
    """
    plan: list[tuple[str, Callable]] = []
    for first in range(0, PART_ROUNDS, ROUNDS_TOGETHER):
        for turn in (True, False):
            for j, part in enumerate(work.given.template.parts):
                closest = turn == (j == 0)
                plan.append((f"part {part.name}", _part(j, range(first, first + ROUNDS_TOGETHER), closest)))
    return plan


#: Rounds of the plan that search a part, how many of them make one round, and the parts that it proposes.
PART_ROUNDS, ROUNDS_TOGETHER, MOST_PARTS = 18, 3, 60


def _part(j: int, rounds: range, closest: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work, template = state.workspace, state.workspace.given.template
        whole = _whole(state, closest)
        problem = template.problem(whole, j, work.wide)
        if problem is None:
            return []
        inner = replace(start(problem, work.vocabulary, seed=state.seed, network=work.network), round=rounds.start)
        while inner.round < rounds.stop and not inner.exact:
            inner = step(inner)
        contents, numbers = template.contents(whole)
        best = _shortest(inner, MOST_PARTS)
        return [(f"part {template.parts[j].name}", _in_place(template, contents, j, best.expressions, numbers))]

    return propose


def _whole(state: SearchState, closest: bool) -> Expressions:
    """One candidate to improve the parts of: of the least loss, or of the shortest description."""
    fitting = _fitting(state)
    if closest or not len(fitting):
        pool = stack([state.workspace.rough, fitting]) if len(fitting) else state.workspace.rough
        return pool.expressions[int(pool.loss.argmin())]
    return fitting.expressions[int(fitting.description_length.argmin())]


def _fitting(state: SearchState) -> Scored:
    """Candidates in which the template's parts can still be told."""
    fits, _, _ = state.workspace.given.template.located(state.population.expressions)
    return state.population[fits.nonzero()[:, 0]]


def _in_place(
    template: Template, contents: Sequence[Expressions], j: int, e: Expressions, numbers: torch.Tensor
) -> Expressions:
    """Proposals for part j (in its own variables) in the template, the other parts as they are."""
    if not len(e):
        return e
    filled = list(contents)
    filled[j] = template.placed(simplify_batch(e), j)
    return template.filled(filled, numbers)


def _propose_moves_of_parts(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Children of each part, in the shortest candidate."""
    work, template = state.workspace, state.workspace.given.template
    fitting = _fitting(state)
    if not len(fitting):
        return []
    contents, numbers = template.contents(fitting.expressions)
    best = int(fitting.description_length.argmin())
    chance = torch.exp(-_rank_within(fitting.expressions.complexity) / 3.0)
    found = []
    for j, part in enumerate(template.parts):
        own = list(part.variables)
        groups = build_library(work.screen.x[:, own], work.vocabulary, count=300).expressions
        count = CHILDREN // len(template.parts)
        children = offspring(template.own(contents[j], j), chance, groups, len(own), count, generator)
        others = [content[best] for content in contents]
        found.append(("moves", _in_place(template, others, j, children, numbers[best][None])))
    return found


MOVES_OF_PARTS = (("moves of parts", _propose_moves_of_parts),)


# ------------------------------------------------------------------------------------------------ polishing
def _polish(proposals: Sequence[Proposal], work: Workspace, known: float) -> Scored:
    """Everything proposed is refined on few points, the best on more, the last on all.

    Numbers are snapped where that can make a candidate shorter than the shortest description `known`.
    """
    origins = [name for name, e in proposals for _ in range(len(e))]
    candidates, given = concatenate([e for _, e in proposals]), work.given
    if (
        given.template is None and work.snapping
    ):  # the parts of a template are simplified alone, so that its outline stays
        candidates = simplify_batch(candidates)
    keep = _distinct(candidates)
    keep = keep[
        given.formed(candidates[keep], nameless=True)
    ]  # a screen may have needed an operator that the user excluded
    candidates, origins = candidates[keep], [origins[i] for i in keep.tolist()]
    data = work.data
    if not len(candidates):
        return score(candidates, data, ())
    count = len(data)
    for points, steps, most in STAGES if work.snapping else QUICK_STAGES:
        if points >= count:
            break
        part = data.rows(work.order[:points])
        refined = refit(candidates, part, steps=steps)
        length = _rough_length(refined, part, count, work)
        length = torch.where(given.shaped(refined.expressions), length, torch.inf)
        best = length.topk(min(most, len(length)), largest=False)
        keep = best.indices[best.values.isfinite()]
        candidates, origins = refined.expressions[keep], [origins[i] for i in keep.tolist()]
        if not len(candidates):
            return score(candidates, data, ())
    if not work.snapping:
        candidates = simplify_batch(candidates)
    rows = data if count <= MOST_ROWS else data.rows(work.order[:MOST_ROWS])
    refined = refit(candidates, rows, steps=FINAL_STEPS)
    length = _rough_length(refined, rows, len(rows), work)
    length = torch.where(given.shaped(refined.expressions), length, torch.inf)
    best = length.topk(min(50, len(length)), largest=False)
    keep = best.indices[best.values.isfinite()]
    if not len(keep):
        return score(refined.expressions[keep], data, ())
    longer = torch.arange(len(keep), device=keep.device)[
        : MOST_LONGER if work.snapping else 0
    ]  # in a valley sixteen steps are not enough
    longer = longer[~refined.converged[keep[longer]]]
    e = refined.expressions[keep]
    if len(longer):
        further = refit(e[longer], rows, steps=LONGER_STEPS).expressions
        order = torch.cat([torch.arange(len(e), device=keep.device), longer])
        e, keep = concatenate([e, further]), keep[order]
    scored = score(e, data, tuple(origins[i] for i in keep.tolist()))
    if given.template is not None:
        scored = stack([scored, score(simplify_batch(scored.expressions), data, scored.origins)])
    scored = scored[scored.loss.isfinite().nonzero()[:, 0]]
    if not len(scored):
        return scored
    order = torch.argsort(scored.description_length)
    hopeful = scored.description_length - snap_savings(scored) < known
    close = order[hopeful[order]][: MOST_SNAPPED if work.snapping else 0]
    if len(close) and given.template is None:
        short = close[scored.expressions[close].complexity <= LONG]  # each way costs milliseconds for every level
        ways = [simplify_batch(scored.expressions[short], scales=way) for way in ("outward", "inward")]
        ways.append(simplify_batch(collected(scored.expressions[short])))
        every = concatenate([scored.expressions[close], *ways])
        kept, rows = _distinct(every), torch.cat([close, short, short, short])
        tried = score(every[kept], data, tuple(scored.origins[i] for i in rows[kept].tolist()))
        final = stack([snap(tried, data), scored[order]])
    elif len(close):
        final = stack([snap(scored[close], data), scored[order]])
    else:
        final = scored[order]
    if given.named:
        final = stack([*name_numbers(final, data, given.named), final])
    # Snapping may have dropped what must stay, or moved a number by a standard error.
    return final[(given.formed(final.expressions) & given.shaped(final.expressions)).nonzero()[:, 0]]


def _rough_length(refined: Refined, data: Data, rows: int, work: Workspace) -> torch.Tensor:
    """Description length guessed from few points: half a double's digits per constant, degrees of freedom counted."""
    e, points = refined.expressions, len(data)
    free = e.free.sum(1)
    floor = points * (1e-11 * work.screen.y.square().mean().sqrt()) ** 2 + 1e-300
    if work.data.sigma is not None:
        floor = floor * float(work.data.sigma.median()) ** -2
    bits = rough_bits(refined, data, rows, floor)
    bits = torch.where(free <= max(1, rows - SPARE_ROWS), bits, torch.inf)  # as many constants as rows fit anything
    return bits + structure_bits(e, work.dimensions) + 12.0 * free


def _distinct(e: Expressions) -> torch.Tensor:
    """Rows without repetitions of structure with numbers equal to three digits; the first of each stays."""
    if not len(e):
        return torch.zeros(0, dtype=torch.int64, device=e.device)
    size = e.constants.abs().clamp(min=1e-300)
    digits = torch.round(torch.sign(e.constants) * torch.log10(size) * 300).to(torch.int64)
    digits = torch.where(e.constants == 0, 0, digits)
    key = torch.cat([e.codes, digits], 1)
    _, inverse = torch.unique(key, dim=0, return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), len(e), dtype=torch.int64, device=e.device)
    first.scatter_reduce_(0, inverse, torch.arange(len(e), device=e.device), "amin")
    return torch.sort(first).values


def _best(scored: Scored, each: int) -> Scored:
    """The `each` best fits of every complexity, one of each structure and numbers, simple ones first.

    Not the shortest descriptions overall: on smooth data these are a dozen near-equal polynomials, and nothing new
    comes from crossing them.
    """
    scored = scored[_distinct(scored.expressions)]
    order = torch.argsort(scored.loss, stable=True)
    complexity = scored.expressions.complexity[order]
    order = order[torch.argsort(complexity, stable=True)]
    rank = _rank_within(scored.expressions.complexity[order])
    kept = order[(rank < each) & scored.loss[order].isfinite()]
    return scored[kept]


def _rank_within(group: torch.Tensor) -> torch.Tensor:
    """Position of each entry among equal neighbours of a sorted tensor: 5 5 7 9 9 9 -> 0 1 0 0 1 2."""
    index = torch.arange(len(group), device=group.device)
    first = torch.ones_like(group, dtype=torch.bool)
    first[1:] = group[1:] != group[:-1]
    return index - torch.where(first, index, 0).cummax(0).values


def _is_exact(front: Front, work: Workspace) -> bool:
    """Whether the shortest description fits to float64 arithmetic and is a law rather than an approximant.

    A ratio of polynomials with a dozen free coefficients follows any smooth function to 1e-13; a law has few
    numbers that are not simple.
    """
    best = int(front.description_length.argmin())
    law = front.expressions[best]
    values, valid = evaluate(law, work.data.x)
    error = (values[0] - work.data.y).square().mean().sqrt()
    exact = bool(valid.all()) and float(error) <= EXACT * float(work.data.y.square().mean().sqrt())
    return exact and int(law.free.sum()) <= (MOST_FREE if work.snapping else MOST_UNSNAPPED)


def _passes_as_noise(front: Front, work: Workspace) -> bool:
    """Whether the best law's residuals look like independent noise.

    Two tests, the law's own tangent space projected out first. No row of the linear screens and no kernel explains
    anything (the largest of M squared correlations of pure noise is about 2·ln M / N). And neighbours do not resemble
    each other, along any variable or in all together: structure that no row has shows there.
    """
    best = int(front.description_length.argmin())
    law = front.expressions[best]
    data = work.wide
    values, columns, _ = jacobian(law, data.x)
    residual, weight = data.noise.working(data.y, values, data.spread(law))
    weight = weight.expand_as(values)[0].sqrt()
    residual = residual.expand_as(values)[0] * weight
    base = torch.cat([torch.ones_like(data.y)[None], columns[0][law.free[0]]]) * weight
    if not bool(base.isfinite().all()) or not bool(residual.isfinite().all()):
        return False
    q = torch.linalg.qr((base / base.norm(dim=1, keepdim=True).clamp(min=1e-300)).T).Q
    residual = residual - q @ (q.T @ residual)
    left = len(residual) - q.shape[1]
    spread = residual.square().sum() / max(left, 1)
    if left < 3 or not bool(spread > 0):
        return True
    unit = residual / spread.sqrt()
    few = work.rows[:MOST_SECOND]
    rows = evaluate(few.expressions, data.x)[0] * weight
    rows = rows[rows.isfinite().all(1)]
    rows = rows - (rows @ q) @ q.T
    heard = (rows @ unit).square() / torch.linalg.vecdot(rows, rows).clamp(min=1e-300)
    if float(heard.max()) > 2 * math.log(len(rows)) + NOISE_MARGIN:
        return False
    some, kernels = slice(0, len(work.screen)), work.kernels.single  # kernels are kept at the screening points
    if len(kernels):
        rest = Target.of(_view("y"), residual[some], torch.ones_like(residual[some]))
        explained = 1 - kernels.shares(rest, base[:, some]).min()
        if float(explained) * left * len(work.screen) / len(data) > 2 * math.log(len(kernels)) + NOISE_MARGIN:
            return False
    return float(_neighbours_alike(data.x, unit)) < NOISE_SIGMAS


def _neighbours_alike(x: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Largest correlation, in standard errors, of neighbouring residuals: along each variable, and in all of them."""
    n = len(unit)
    order = torch.argsort(x, dim=0)
    along = unit[order]  # (N, D)
    serial = (along[1:] * along[:-1]).sum(0) / n**0.5
    scaled = (x - x.mean(0)) / x.std(0).clamp(min=1e-300)
    distance = torch.cdist(scaled, scaled)
    distance.fill_diagonal_(torch.inf)
    nearest = distance.argmin(1)
    # Mutual nearest neighbours count twice: the variance of the sum is up to twice that of independent pairs.
    together = (unit * unit[nearest]).sum() / (1.5 * n) ** 0.5
    return torch.cat([serial, together[None]]).max()
