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

import torch

from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.products import collected, distributed
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.gaussian import GAUSSIAN
from sr_accessor.search.given import Given
from sr_accessor.search.guesses import refine_guesses
from sr_accessor.search.library import build_library
from sr_accessor.search.moves import offspring
from sr_accessor.search.polishing import LONG, best_of_each, is_exact, passes_as_noise, polish, rank_within
from sr_accessor.search.power_screens import regress
from sr_accessor.search.proposals import (
    CHILDREN,
    LINEAR_VIEWS,
    MOST_RATIO,
    propose_beside_monomials,
    propose_chains,
    propose_common,
    propose_dictionaries,
    propose_drafts,
    propose_drafts_of_residuals,
    propose_factors,
    propose_fractions,
    propose_kernels,
    propose_kernels_of_residuals,
    propose_log_pairs,
    propose_mixed,
    propose_moves,
    propose_negative_powers,
    propose_pairs,
    propose_pairs_of_kernels,
    propose_pairs_of_products,
    propose_powers,
    propose_prior,
    propose_products,
    propose_ratios,
    propose_recombined,
    propose_residuals,
    propose_short_ratios,
    propose_simple,
    target_around,
    together,
)
from sr_accessor.search.reductions import Reduction
from sr_accessor.search.selection import Data, Scored, best_front, refit, score, stack
from sr_accessor.search.separation import separate
from sr_accessor.search.state import NOTHING_GIVEN, Proposal, Propose, SearchState, Workspace, shortest
from sr_accessor.search.template import Template
from sr_accessor.search.unit_forms import unit_forms
from sr_accessor.search.views import VIEWS, view_of
from sr_accessor.transformer.model import Transformer

__all__ = ["Found", "find", "join", "start", "step"]

#: Residuals that pass as noise end a search not before so many rounds, nor before one for every so many bits of the
#: law: a simpler one may still come, and the longer the law is the more there are.
LEAST_ROUNDS, BITS_EACH = 10, 4.0
#: Parents kept of every complexity.
POPULATION = 8
#: Up to so many variables the rest of a separable law is searched for kernels.
MOST_CURVES = 2
#: Laws of a problem within another that are put together again.
MOST_REJOINED = 30
#: Share of the rows at least at which a separable law's factor is neither zero nor infinite.
MOST_SOUND = 0.9


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
    return Found(polish(proposals, work, known) if proposals else shortest(state, 0), proposed)


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
    enough = max(LEAST_ROUNDS, float(front.bits[int(front.description_length.argmin())]) / BITS_EACH)
    return replace(
        nothing,
        front=front,
        population=best_of_each(stack([state.population, found.scored]), POPULATION),
        waiting=0 if shorter else nothing.waiting,
        exact=is_exact(front, work),
        quiet=state.round + 1 >= enough and not shorter and passes_as_noise(front, work),
    )


def _entry(state: SearchState) -> tuple[str, Propose, bool]:
    """Name and proposals of the round `state.round`, and whether it comes after the plan."""
    work = state.workspace
    plan, moves = (_plan(work), MOVES) if work.given.template is None else (_plan_of_parts(work), MOVES_OF_PARTS)
    if work.given.admission is not None:  # screens look for the best law of all, moves for the best admissible one
        plan = [entry for i, first in enumerate(plan) for entry in ((first, moves[0]) if i % 2 else (first,))]
    moving = state.round >= len(plan)
    return *(moves[(state.round - len(plan)) % len(moves)] if moving else plan[state.round]), moving


def _plan(work: Workspace) -> list[tuple[str, Propose]]:
    """The rounds before the moves, cheap and often successful ones first.

    Two and two of them run beside each other (`rounds.py`): neither of a pair waits for what the other finds, they
    take about as long, and what is built for many rounds, as kernels are, is built in the first.
    """
    usable = {v.name for v in VIEWS if v.usable(work.screen.y, work.vocabulary)}
    sums = [v for v in ("y", "y²", "1/y") if v in usable]
    order = SEPARABLE if work.dimensions > 2 and work.separable else ORDER[min(work.dimensions, len(ORDER))]
    plan = [(name, ROUNDS[name]) for name in _under_noise(order, work)]
    plan += [(f"products, {v}", propose_products(v, False)) for v in sums[1:2]]
    plan += [(f"factors, {v}", propose_factors(v, False)) for v in sums[1:]]
    plan += [(f"pairs, {v}", propose_pairs(v, False)) for v in LINEAR_VIEWS[2:]]
    plan += [(f"pairs, {v}, relative errors", propose_pairs(v, True)) for v in LINEAR_VIEWS if v in usable]
    plan += [(f"products, {v}, relative errors", propose_products(v, True)) for v in sums[:2]]
    plan += [(f"factors, {v}, relative errors", propose_factors(v, True)) for v in sums]
    plan += [("large ratios", propose_ratios(("y", "y²"), MOST_RATIO)), ("prior", propose_prior)]
    return plan


def _under_noise(names: Sequence[str], work: Workspace) -> list[str]:
    """The same rounds; where y is noisy those around the best fit in the places of those with relative errors."""
    return [AROUND.get(name, name) for name in names] if work.noisy else list(names)


#: Rounds with errors relative to y, which find exact laws at once, and the same around the best fit; and the other way.
_PLAIN = ("power × feature, small library", "pairs of factors")
AROUND = {name: f"{name}, around the best fit" for name in _PLAIN}
AROUND |= {around: name for name, around in AROUND.items()}
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
        *("products, y", "mixed"),
        *("pairs of kernels", "network"),
        *("recombined", "kernels of residuals"),
        *("power × feature, small library, around the best fit", "pairs of factors, around the best fit"),
        *("chains", "factors, y"),
        *_LARGE[:2],
        *("pairs, 1/y", "beside monomials"),
        *_LARGE[2:],
    ),
    2: (
        *_FIRST,
        *("power × feature, small library", "pairs of factors"),
        *("kernels", "separated: small library"),
        *("reduced, first", "reduced, second"),
        *("power × feature, small library, around the best fit", "pairs of factors, around the best fit"),
        *("chains", "pairs, y"),
        *("mixed", "network"),
        *("products, y", "recombined"),
        *_LARGE[:2],
        *("separated: pairs", "fractions"),
        *("pairs of kernels", "kernels of residuals"),
        *("factors, y", "pairs, 1/y"),
        *("pairs of products", "separated: products"),
        *_LARGE[2:],
        *("separated: factors and chains", "beside monomials"),
    ),
    3: (
        *_FIRST,
        *("power × feature, small library", "pairs of factors"),
        *("pairs, y", "beside monomials"),
        *("reduced, first", "reduced, second"),
        *("recombined", "chains"),
        *("mixed", "network"),
        *_LARGE[:2],
        *("pairs of products", "factors, y"),
        *("reduced, third", "reduced, fourth"),
        *("power × feature, small library, around the best fit", "pairs of factors, around the best fit"),
        *("kernels", "pairs, 1/y"),
        *("products, y", "fractions"),
        *("separated: small library", "separated: pairs"),
        *("pairs of kernels", "kernels of residuals"),
        *("separated: products", "separated: pairs of products"),
        *_LARGE[2:],
        "separated: factors and chains",
    ),
}
#: The same for three variables and more where some seem to do nothing but multiply: the rest first.
SEPARABLE = (
    *_FIRST,
    *("power × feature, small library", "pairs of factors"),
    *("reduced, first", "reduced, second"),
    *("separated: small library", "chains"),
    *("beside monomials", "recombined"),
    *_LARGE[:2],
    *("pairs of products", "mixed"),
    *("separated: pairs", "separated: factors and chains"),
    *("reduced, third", "reduced, fourth"),
    *("power × feature, small library, around the best fit", "pairs of factors, around the best fit"),
    *("pairs, y", "separated: products"),
    *("separated: pairs of products", "products, y"),
    *("factors, y", "network"),
    *("kernels", "pairs, 1/y"),
    *("pairs of kernels", "kernels of residuals"),
    *_LARGE[2:],
    "fractions",
)
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
        ("fractions", "chains", "pairs of factors", "pairs of products", "products, y", "factors, y"),
    ),
    3: (
        _FIRST,
        ("beside monomials", "pairs of products", "power × feature, small library"),
        ("fractions", "chains", "pairs of factors", "pairs, y", "products, y", "factors, y"),
    ),
}
#: Ways to reduce a problem that are searched.
MOST_WAYS = 2
#: Rounds of the plan that are repeated without the separable variables, by their names.
SMALL_ROUNDS = (*_FIRST, "power × feature, small library", "kernels")
PAIR_ROUNDS = ("linear and power laws", "pairs, y")
FACTOR_ROUNDS = ("pairs of factors", "chains")
SUM_ROUNDS = ("linear and power laws", "pairs of products")
PRODUCT_ROUNDS = ("linear and power laws", "products, y", "factors, y")


def _separated(names: Sequence[str]) -> Propose:
    """Some rounds of the plan for what is left when the separable variables are divided out."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        targets = [work.target(view_of("y"), True, work.wide), target_around(state, view_of("y"), work.wide)]
        fits = [regress([target], work.wide.x) for target in targets if target is not None]
        if not fits:
            return []
        separation = separate(min(fits, key=lambda fit: float(fit.rest.norm())), work.vocabulary)
        return [] if separation is None else [("separated", _searched(state, separation, [_under_noise(names, work)]))]

    return propose


def _reduced(number: int) -> Propose:
    """Problems of fewer variables: the rounds done first for each of the ways to reduce them, then the others.

    Two of these run beside each other, so that a second way costs no time, or where there is none the first is done
    in half of it.
    """

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        ways = state.workspace.reductions[:MOST_WAYS]
        tasks = [(way, first) for first in (True, False) for way in ways]
        if number >= len(tasks):
            return []
        way, first = tasks[number]
        rounds = [_under_noise(names, state.workspace) for names in REDUCED[min(len(way.groups), len(REDUCED))]]
        return [("reduced", _searched(state, way, rounds[:2] if first else rounds[2:]))]

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
            inner = join(inner, find(inner, together(*chosen)))
    laws = collected(reduction.rejoined(shortest(inner, MOST_REJOINED).expressions))
    laws = concatenate([laws, distributed(laws)])
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


#: The rounds of the plan that `ORDER` and its like name.
ROUNDS: Mapping[str, Propose] = {
    "linear and power laws": propose_simple,
    "dictionaries and ratios": together(
        propose_dictionaries(("y", "1/y", "y²", "log y", "log(1/y−1)")),
        propose_common(many=True),
        propose_ratios(("y", "y²"), MOST_RATIO // 4),
        propose_short_ratios,
    ),
    "power × feature, small library": propose_powers("small", False),
    "power × feature, small library, around the best fit": propose_powers("small", True),
    # Sums of powers come with whichever of the two comes first: the round beside it takes longer.
    "pairs of factors": together(propose_log_pairs(False), propose_negative_powers(noisy=False)),
    "pairs of factors, around the best fit": together(propose_log_pairs(True), propose_negative_powers(noisy=True)),
    "reduced, first": _reduced(0),
    "reduced, second": _reduced(1),
    "reduced, third": _reduced(2),
    "reduced, fourth": _reduced(3),
    "separated: small library": _separated(SMALL_ROUNDS),
    "separated: pairs": _separated(PAIR_ROUNDS),
    "separated: factors and chains": _separated(FACTOR_ROUNDS),
    "separated: products": _separated(PRODUCT_ROUNDS),
    "separated: pairs of products": _separated(SUM_ROUNDS),
    "pairs, y": propose_pairs("y", False),
    "pairs, 1/y": propose_pairs("1/y", False),
    "pairs of products": propose_pairs_of_products,
    "chains": propose_chains,
    "recombined": together(propose_recombined, propose_common(many=False)),
    "mixed": together(propose_mixed, propose_dictionaries(("exp y",))),
    "beside monomials": propose_beside_monomials,
    "fractions": propose_fractions,
    "products, y": propose_products("y", False),
    "factors, y": propose_factors("y", False),
    "kernels": propose_kernels(("y", "1/y", "log y")),
    "pairs of kernels": propose_pairs_of_kernels,
    "kernels of residuals": propose_kernels_of_residuals,
    "power × feature, large library, first half": propose_powers("large", False, 0),
    "power × feature, large library, second half": propose_powers("large", False, 1),
    "power × feature, large library, around the best fit, first half": propose_powers("large", True, 0),
    "power × feature, large library, around the best fit, second half": propose_powers("large", True, 1),
    "network": propose_drafts,  # easy laws are found by now; what it writes for others is a stock of pieces
}
#: After the plan: these rounds in turn, until the time is spent or nothing is found any more.
MOVES = (
    ("recombined", propose_recombined),
    ("moves", propose_moves),
    ("residuals", propose_residuals),
    ("kernels of residuals", propose_kernels_of_residuals),
    ("moves", propose_moves),
    ("network, residuals", propose_drafts_of_residuals),
)


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
        best = shortest(inner, MOST_PARTS)
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
    chance = torch.exp(-rank_within(fitting.expressions.complexity) / 3.0)
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
