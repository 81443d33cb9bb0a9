"""Proposals: the rounds of a search, each a function from where it stands to candidates not yet refined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from sr_accessor.decoding.draft import draft, subexpressions
from sr_accessor.expressions.batch import Expressions, concatenate, constant, literal, variable
from sr_accessor.expressions.build import exponents_up_to, linear_combination, monomials, writable
from sr_accessor.expressions.definitions import lifted, unlifted
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import jacobian
from sr_accessor.expressions.linear import single_term
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.plugins.manager import routes
from sr_accessor.prior.examples import sample_expressions
from sr_accessor.search.kernels import written
from sr_accessor.search.library import extend, monomial_exponents
from sr_accessor.search.moves import offspring
from sr_accessor.search.polishing import rank_within
from sr_accessor.search.power_screens import (
    log_law,
    regress,
    screen_log_chain,
    screen_log_pair,
    screen_power,
    screen_powers,
)
from sr_accessor.search.ratio_screens import screen_fraction, screen_noisy_ratio, screen_ratio, screen_short_ratio
from sr_accessor.search.screens import (
    screen_chain,
    screen_common,
    screen_factor,
    screen_few,
    screen_mixed,
    screen_one,
    screen_pair,
    screen_product,
    screen_recombined,
    screen_residual,
    screen_span,
    screen_sparse,
    shares_of_mixed,
)
from sr_accessor.search.selection import Data
from sr_accessor.search.state import (
    FEW_VARIABLES,
    MOST_FACTORS,
    MOST_SECOND,
    Proposal,
    Propose,
    SearchState,
    Workspace,
    shortest,
)
from sr_accessor.search.surfaces import smoothed
from sr_accessor.search.targets import Rows, Target, join_rows
from sr_accessor.search.views import View, view_of

__all__ = [
    "CHILDREN",
    "LINEAR_VIEWS",
    "MOST_RATIO",
    "drafted",
    "propose_beside_monomials",
    "propose_chains",
    "propose_common",
    "propose_dictionaries",
    "propose_drafts",
    "propose_drafts_of_residuals",
    "propose_factors",
    "propose_fractions",
    "propose_kernels",
    "propose_kernels_of_residuals",
    "propose_log_pairs",
    "propose_mixed",
    "propose_moves",
    "propose_negative_powers",
    "propose_pairs",
    "propose_pairs_of_kernels",
    "propose_pairs_of_products",
    "propose_powers",
    "propose_prior",
    "propose_products",
    "propose_ratios",
    "propose_recombined",
    "propose_residuals",
    "propose_short_ratios",
    "propose_simple",
    "target_around",
    "together",
]

#: Views are linearised around a law that leaves less than this share of the variance.
ROUGH = 0.1
#: Sequences the network draws in one round, parts of its laws that join the screens, laws whose residuals are screened.
DRAFTS, DRAFTED_GROUPS, IMPROVED = 64, 200, 6
#: Monomials of one dictionary at most.
MOST_MONOMIALS, MOST_RATIO = 90, 130
#: Largest exponents, of both signs, of sums of powers of one variable; roots in a term at most; what the sums may be.
MOST_NEGATIVE, MOST_HALVES, POWER_VIEWS = 6, 4, ("y", "1/y", "y²")
#: Monomials of which every choice of a few is tried; in up to so many variables with roots.
MOST_CHOSEN, FEW_ROOTS = 60, 2
#: Monomials that short ratios are made of; their degree in up to `FEW_MIXED` variables, and in more.
MOST_SHORT, SHORT_DEGREES = 21, (3, 2)
#: Values of a monomial are less than this.
MOST_SIZE = 1e150
#: From so many variables on dictionaries of a few degrees hold too few monomials.
MANY = 7
#: Monomials beside a common factor, and their degree at most.
MOST_COMMON_TERMS, MOST_COMMON_DEGREE = 500, 5
#: Terms of a quadratic beside a row at most, and variables up to which it is multiplied with one too, and features with
#: each other.
MOST_MIXED, FEW_MIXED = 28, 2
#: Pieces of laws that are recombined, and their products with monomials at most.
MOST_PIECES, MOST_PIECED = 30, 1500
#: Terms of the spans; terms of a base.
MOST_SPAN, MOST_BASE = 60, 30
#: Children of one round of moves.
CHILDREN = 1500
#: Kernels of one family that are proposed, alone and in pairs, and of all.
EACH_KERNEL, MOST_KERNELS, EACH_PAIRED, MOST_PAIRED = 6, 60, 60, 2500
#: Views in which chains are joined.
CHAINED = ("y", "y²", "1/y", "1/y²", "log y", "log(1/y−1)")
#: Views in which one row stands beside monomials.
BESIDE_VIEWS = ("y", "1/y", "y²", "1/y²")
#: Up to so many variables kernels, and rows, are tried times each variable.
MOST_TIMES = 5
#: Rows, each alone and times every variable, of the pairs of products; those of them with inner constants of their own.
MOST_PRODUCTS, MOST_SHARP = 6000, 60
#: Monomials that waves are multiplied with, beside exponentials and peaks.
MOST_ENVELOPES = 40
#: Rows that are proposed beside monomials.
MOST_BESIDE = 10
#: Views of fractions with a feature, and groups that are tried in them.
FRACTION_VIEWS, MOST_FRACTIONS = ("y", "y²", "exp y", "sin y", "cos y", "tan y"), 12
#: Pairs of exponentials that are proposed.
MOST_RATES = 30
#: Views whose logarithm is screened for power laws, and views screened for sums.
LOG_VIEWS = ("y", "1/y−1", "y−1", "y+1", "1−y²", "sin y", "cos y", "exp y")
LINEAR_VIEWS = ("y", "1/y", "y²", "log y", "√y", "1/y²", "exp y")


def together(*proposals: Propose) -> Propose:
    """Several short rounds as one."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        return [found for one in proposals for found in one(state, generator)]

    return propose


def propose_simple(state: SearchState, generator: torch.Generator) -> list[Proposal]:
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
    targets = [t for name in LOG_VIEWS if (t := work.target(view_of(name), True)) is not None]
    targets += [t] if (t := work.target(view_of("y"), False)) is not None else []
    if targets:
        found.append(("screen power", screen_powers(targets, work.screen.x, work.vocabulary)))
    return found


def target_around(state: SearchState, view: View, data: Data) -> Target | None:
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


def propose_powers(library: str, around: bool, half: int | None = None):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data = work.middle if around and library == "small" else work.screen  # noise needs more points to rank by
        groups = work.small if library == "small" else work.large
        kinds = work.features if half is None else work.features[half::2]  # rounds are short: the clock acts between
        if around:
            targets = [t for name in LOG_VIEWS if (t := target_around(state, view_of(name), data)) is not None]
            groups = replace(groups, values=evaluate(groups.expressions, data.x)[0])
        else:
            targets = [t for name in LOG_VIEWS if (t := work.target(view_of(name), True)) is not None]
        if not targets:
            return []
        laws = screen_power(targets, data.x, groups, kinds, work.vocabulary, noisy=around)
        found = [(f"screen power × feature, {view.name}", law) for view, law in laws]
        if around:
            found.append(("screen power", screen_powers(targets, data.x, work.vocabulary)))
        return found

    return propose


def _dictionary(x: torch.Tensor, vocabulary: Vocabulary, degree: int) -> Rows:
    """Monomials of total degree 0 to `degree`, without those of values too large to be squared."""
    exponents = exponents_up_to(x.shape[1], degree).double().to(x.device)
    expressions = monomials(exponents[writable(exponents, vocabulary)], vocabulary)
    rows = Rows(expressions, evaluate(expressions, x)[0])
    return rows[(rows.values.abs().amax(1) < MOST_SIZE).nonzero()[:, 0]]


def _of_both_signs(x: torch.Tensor, vocabulary: Vocabulary, *, roots: bool) -> Rows:
    """One, and the simplest monomials with positive and negative exponents, with halves among them where `roots`."""
    d = x.shape[1]
    exponents = monomial_exponents(d, MOST_COMMON_TERMS, largest=MOST_NEGATIVE if d == 1 else 2).to(x)
    exponents = torch.cat([torch.zeros_like(exponents[:1]), exponents])
    if roots:
        half = monomial_exponents(d, min(MOST_COMMON_TERMS // 4, 12 * d * d), largest=3).to(x)
        half = half[(half.abs().sum(1) <= MOST_HALVES) & (half.remainder(2) == 1).any(1)] / 2
        exponents = torch.cat([exponents, half])
        size = exponents.abs()
        price = size.sum(1) - 0.5 * (size > 1).sum(1) + 0.5 * (exponents != exponents.round()).any(1)
        exponents = exponents[torch.argsort(price, stable=True)]
    expressions = monomials(exponents[writable(exponents, vocabulary)], vocabulary)
    rows = Rows(expressions, evaluate(expressions, x)[0])
    return rows[(rows.values.isfinite().all(1) & (rows.values.abs().amax(1) < MOST_SIZE)).nonzero()[:, 0]]


def _terms(d: int, degree: int) -> int:
    return math.comb(d + degree, degree)


def propose_dictionaries(views: Sequence[str]):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data, found = work.wide, []
        degrees = [d for d in range(2, 11) if _terms(work.dimensions, d) <= min(len(data) / 3, MOST_MONOMIALS)]
        if not degrees:
            return []
        dictionaries = [_dictionary(data.x, work.vocabulary, degree) for degree in degrees]
        for name in views:
            target = work.target(view_of(name), False, data)
            if target is not None:
                found.append((f"screen sparse, {name}", screen_sparse(target, dictionaries)))
        return found

    return propose


def propose_common(*, many: bool):
    """A common factor times a few of hundreds of monomials: of many variables, or of fewer, where dictionaries do."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data, d, device = work.middle, work.dimensions, work.middle.x.device
        if d < 2 or (d >= MANY) != many or "mul" not in work.vocabulary:
            return []
        degree = max(g for g in range(1, MOST_COMMON_DEGREE + 1) if g == 1 or _terms(d, g) <= MOST_COMMON_TERMS)
        every = _dictionary(data.x, work.vocabulary, degree)
        shared = torch.eye(d, dtype=torch.float64, device=device)
        i, j = torch.triu_indices(d, d, 1, device=device)
        exponents = torch.cat([torch.zeros_like(shared[:1]), shared, shared[i] + shared[j], -shared])
        expressions = monomials(exponents[writable(exponents, work.vocabulary)], work.vocabulary)
        factors = Rows(expressions, evaluate(expressions, data.x)[0])
        factors = factors[(factors.values.abs().amax(1) < MOST_SIZE).nonzero()[:, 0]]
        target = work.target(view_of("y"), False, data)
        return [("screen common factor", screen_common(target, factors, every))] if target is not None else []

    return propose


def propose_negative_powers(*, noisy: bool):
    """Sums of monomials with positive, negative and half exponents, where y is `noisy` or where it is not: of all
    simple ones a few joined greedily, without roots and with them; and of the simplest every choice of a few, and all
    but those that can go."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work, found = state.workspace, []
        if work.noisy != noisy:
            return []
        data = work.wide
        whole, every = (_of_both_signs(data.x, work.vocabulary, roots=roots) for roots in (False, True))
        simplest = (every if work.dimensions <= FEW_ROOTS else whole)[: int(min(len(data) / 3, MOST_MONOMIALS))]
        alone = Rows(literal([1.0], work.vocabulary, data.x.device), torch.ones_like(data.y)[None])
        for name in POWER_VIEWS:
            target = work.target(view_of(name), False, data)
            if target is None or len(simplest) < 2:
                continue
            found.append((f"screen powers of both signs, {name}", screen_sparse(target, [simplest])))
            found.append((f"screen few powers of both signs, {name}", screen_few(target, simplest[:MOST_CHOSEN])))
            if "mul" in work.vocabulary:
                laws = [screen_common(target, alone, rows) for rows in (whole, every)]
                found.append((f"screen powers of both signs, greedily, {name}", concatenate(laws)))
        return found

    return propose


def propose_ratios(views: Sequence[str], most: int):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        data, found = work.wide, []
        for degree in range(1, 8):
            if 2 * _terms(work.dimensions, degree) > min(len(data) / 3, most):
                break
            dictionary = _dictionary(data.x, work.vocabulary, degree)
            for name in views:
                target = work.target(view_of(name), True, data)
                if target is not None:
                    law = screen_ratio(target, dictionary, dictionary)
                    if law is not None:
                        found.append((f"screen ratio, {name}", law))
                target = work.target(view_of(name), False, data)
                if target is not None:
                    first = smoothed(data.x, target.values, target.weight) if work.noisy else None
                    law = screen_noisy_ratio(target, dictionary, dictionary, first)
                    found.append((f"screen noisy ratio, {name}", law))
        return found

    return propose


def propose_short_ratios(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Ratios of few monomials, all of them."""
    work = state.workspace
    data, target = work.middle, work.target(view_of("y"), False, work.middle)
    most = SHORT_DEGREES[work.dimensions > FEW_MIXED]
    degrees = [g for g in range(1, most + 1) if _terms(work.dimensions, g) <= MOST_SHORT]
    if target is None or not degrees or "div" not in work.vocabulary or "mul" not in work.vocabulary:
        return []
    dictionary = _dictionary(data.x, work.vocabulary, degrees[-1])
    smooth = smoothed(data.x, target.values, target.weight)
    return [("screen short ratio", screen_short_ratio(target, dictionary, smooth))]


def _bases(work: Workspace) -> list[Rows]:
    """Constant; constant and variables; and their squares and products."""
    x = work.screen.x
    bases = [_dictionary(x, work.vocabulary, 0), _dictionary(x, work.vocabulary, 1)]
    if _terms(work.dimensions, 2) <= MOST_BASE:
        bases.append(_dictionary(x, work.vocabulary, 2))
    return bases


def _target(state: SearchState, view: str, relative: bool) -> Target | None:
    """The view with errors relative to |y|, or around the best law so far."""
    work = state.workspace
    return work.target(view_of(view), True) if relative else target_around(state, view_of(view), work.screen)


def propose_pairs(view: str, relative: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = _target(state, view, relative)
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


def propose_pairs_of_products(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Two rows, each alone or times a variable: a·sin(b) + c·exp(d), and what is straight in one of the variables."""
    work = state.workspace
    target = target_around(state, view_of("y"), work.screen)
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


def propose_kernels(views: Sequence[str]):
    """One row with two inner constants, in a sum or times a power law."""

    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work, found = state.workspace, []
        for name in views:
            target = work.target(view_of(name), False)
            for base in _bases(work)[:2] if target is not None else ():
                best = work.kernels.best(work.kernels.shares(target, base.values), EACH_KERNEL, MOST_KERNELS)
                law = screen_one(target, base, written(work.kernels[best]), keep=MOST_KERNELS)
                found.append((f"kernel, {name}", law))
                if name == "y" and len(base) > 1:
                    law = screen_one(target, base, written(work.kernels[best]), keep=MOST_KERNELS // 3, whole=True)
                    found.append((f"kernel, {name}", law))
        plain = work.target(view_of("y"), False)
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
        target = work.target(view_of("y"), True)
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


def propose_pairs_of_kernels(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Two rows with two inner constants each, or more joined greedily; and a wave times anything."""
    work = state.workspace
    target = target_around(state, view_of("y"), work.screen)
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


def propose_products(view: str, relative: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = _target(state, view, relative)
        if target is None:
            return []
        first = work.monomials if work.dimensions > FEW_MIXED else work.outer
        law = screen_product(target, _bases(work), first, work.rows[:MOST_SECOND])
        return [(f"screen product, {view}", law)]

    return propose


def propose_factors(view: str, relative: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = _target(state, view, relative)
        if target is None:
            return []
        found = [(f"screen factor, {view}", screen_factor(target, work.every, work.rows[: 2 * MOST_SECOND]))]
        degree = 2 if _terms(work.dimensions, 2) <= MOST_SPAN else 1
        if _terms(work.dimensions, degree) <= MOST_SPAN:
            span = _dictionary(work.screen.x, work.vocabulary, degree)
            found.append((f"screen span, {view}", screen_span(target, span, work.outer)))
        return found

    return propose


def propose_log_pairs(around: bool):
    def propose(state: SearchState, generator: torch.Generator) -> list[Proposal]:
        work = state.workspace
        target = target_around(state, view_of("y"), work.screen) if around else work.target(view_of("y"), True)
        if target is None:
            return []
        rows, x = join_rows(work.sharp(target, True), work.rows)[:MOST_SECOND], work.screen.x
        kernels = work.sharp_kernels(target, True, rows)
        return [
            ("screen log pair", screen_log_pair(target, x, rows, work.vocabulary, noisy=around)),
            (
                "screen log pair",
                screen_log_pair(target, x, kernels, work.vocabulary, noisy=around, keep=2 * MOST_KERNELS),
            ),
            ("screen log chain", screen_log_chain(target, x, rows, work.vocabulary)),
        ]

    return propose


def propose_chains(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Sums of several rows, joined greedily; in other views of monomials, where y spans decades."""
    work, found = state.workspace, []
    base = _bases(work)[0]
    for name in CHAINED:
        target = work.target(view_of(name), name != "y")
        if target is not None:
            rows = join_rows(work.sharp(target, False), work.rows)[:MOST_SECOND] if name == "y" else work.monomials[1:]
            found.append((f"screen chain, {name}", screen_chain(target, base, rows)))
    return found


def propose_beside_monomials(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """One row, or one times a monomial, beside a sum of monomials with positive and negative powers."""
    work, found = state.workspace, []
    base, rows = work.monomials[:MOST_BASE], join_rows(work.products, work.rows[:MOST_SECOND])
    for name in BESIDE_VIEWS:
        target = _target(state, name, not work.noisy)
        if target is not None:
            found.append((f"screen beside monomials, {name}", screen_one(target, base, rows, keep=MOST_BESIDE)))
    return found


def propose_fractions(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Fractions whose parts are straight in a group and in a feature of a variable: (cos x − v)/(1 − v·cos x)."""
    work, found = state.workspace, []
    groups = work.monomials[1 : MOST_FRACTIONS + 1]
    if "mul" not in work.vocabulary or "div" not in work.vocabulary:
        return []
    for name in FRACTION_VIEWS:
        target = _target(state, name, not work.noisy)
        if target is not None:
            found.append((f"screen fraction, {name}", screen_fraction(target, groups, work.dressed)))
    return found


def propose_prior(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    work = state.workspace
    drawn = sample_expressions("science", 2000, work.dimensions, work.vocabulary, generator)
    return [("prior", drawn.to(work.data.y.device))]


def propose_drafts(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """What the network writes for the observations; and parts of it in the screens: right where the whole is not."""
    work = state.workspace
    if work.network is None:
        return []
    written = drafted(work, work.data.x, work.data.y, DRAFTS, generator)
    found, x = [("network", written)], work.screen.x
    groups = extend(work.small, subexpressions(written)[:DRAFTED_GROUPS], x)[len(work.small) :]
    if not len(groups):
        return found
    plain, around = work.target(view_of("y"), True), target_around(state, view_of("y"), work.screen)
    if plain is not None:
        laws = screen_power([plain], x, groups, work.features, work.vocabulary)
        found += [("network, part of a power law", law) for _, law in laws]
    if around is not None:
        rows = join_rows(Rows(groups.expressions, groups.values), work.rows[:MOST_FACTORS])
        found.append(("network, part of a sum", screen_pair(around, _bases(work)[0], rows)))
    return found


def drafted(work: Workspace, x: torch.Tensor, y: torch.Tensor, samples: int, generator: torch.Generator) -> Expressions:
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


def propose_drafts_of_residuals(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """What the network writes for what the best laws leave over, added to them or multiplied with them."""
    work = state.workspace
    if work.network is None:
        return propose_moves(state, generator)
    found = []
    best = shortest(state, 2).expressions
    values, valid = evaluate(best, work.data.x)
    for i in range(len(best)):  # two laws
        for join_by, rest in (("add", work.data.y - values[i]), ("mul", work.data.y / values[i])):
            if join_by not in work.vocabulary or not bool(valid[i].all() & rest.isfinite().all()):
                continue
            if not float(rest.std()) > 1e-12 * float(rest.abs().mean()):
                continue
            written = drafted(work, work.data.x, rest, DRAFTS // 4, generator)
            found.append(("network, residual", best[i].apply(join_by, written)))
    return found


def propose_moves(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    work = state.workspace
    rank = rank_within(state.population.expressions.complexity)
    children = offspring(
        state.population.expressions,
        torch.exp(-rank / 3.0),
        work.small.expressions,
        work.dimensions,
        CHILDREN,
        generator,
    )
    return [("moves", children)]


def propose_residuals(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """One more term, or one more factor 1 + a·u, for the best laws: the row that explains most of what they leave."""
    work = state.workspace
    best = shortest(state, IMPROVED).expressions
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


def propose_mixed(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """A polynomial, and another one times a row: peaks on a background, poles, kinks, distances."""
    work, found = state.workspace, []
    target = target_around(state, view_of("y"), work.screen)
    if target is None or "mul" not in work.vocabulary:
        return []
    x, kernels = work.screen.x, work.kernels
    degrees = [(1, 1)] if _terms(work.dimensions, 2) > MOST_MIXED else [(2, 1)]
    degrees += [(2, 2)] if work.dimensions <= FEW_MIXED else []
    dressed = join_rows(work.distances, work.rows[work.rows.expressions.free.any(1).nonzero()[:, 0]][:MOST_SECOND])
    for outside, beside in degrees:
        base, span = (_dictionary(x, work.vocabulary, degree) for degree in (outside, beside))
        found.append(("mixed", screen_mixed(target, base, span, dressed)))
        best = kernels.best(shares_of_mixed(target, base, span, kernels.values), EACH_KERNEL, MOST_KERNELS)
        found.append(("mixed kernel", screen_mixed(target, base, span, written(kernels[best]), keep=MOST_KERNELS)))
    return found


def propose_recombined(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """Pieces of the best laws times few monomials each: what is right of a law stays, and what is missing joins it.

    Once with the pieces of each law alone, and once with those of all. Sums are no pieces of a single law, since none
    of its terms would be questioned; of each sum the inverse is.
    """
    work, data = state.workspace, state.workspace.middle
    target = work.target(view_of("y"), False, data)
    if target is None or "mul" not in work.vocabulary:
        return []
    best, device = shortest(state, IMPROVED).expressions, data.y.device
    one, found = literal([1.0], work.vocabulary, device), []
    sums = torch.tensor([work.vocabulary.id(name) for name in ("add", "sub") if name in work.vocabulary], device=device)
    for laws in (*(best[i : i + 1] for i in range(len(best))), best):  # a handful of laws
        parts = subexpressions(laws)[:MOST_PIECES]
        total = parts[torch.isin(parts.codes[:, 0], sums).nonzero()[:, 0]]
        if len(laws) == 1:
            parts = parts[single_term(parts).nonzero()[:, 0]]
        if "div" in work.vocabulary and len(total):
            parts = concatenate([parts, one / total])
        pieces = extend(work.small, parts, work.screen.x)[len(work.small) :].expressions  # not what is a monomial
        values, valid = evaluate(pieces, data.x)
        sound = (valid.all(1) & (values.abs().amax(1) < MOST_SIZE)).nonzero()[:, 0]
        rows = Rows(concatenate([one, pieces[sound]]), torch.cat([torch.ones_like(data.y)[None], values[sound]]))
        degrees = [g for g in (1, 2, 3) if len(rows) * _terms(work.dimensions, g) <= MOST_PIECED]
        if len(rows) > 1 and degrees:
            dictionary = _dictionary(data.x, work.vocabulary, degrees[-1])
            found.append(("recombined", screen_recombined(target, rows, dictionary)))
    return found


def propose_kernels_of_residuals(state: SearchState, generator: torch.Generator) -> list[Proposal]:
    """One more kernel for the best laws: peak after peak."""
    work, found = state.workspace, []
    best = shortest(state, IMPROVED).expressions
    kernels, data = work.kernels.single, work.screen
    values, columns, valid = jacobian(best, data.x)
    sigma = torch.ones_like(data.y)
    for i in range(len(best)):  # a handful of laws
        tangent = torch.cat([torch.ones_like(data.y)[None], columns[i][best.free[i]]])
        if not bool(valid[i].all() & tangent.isfinite().all()) or len(tangent) > len(data.y) // 2:
            continue
        rest = Target.of(view_of("y"), data.y - values[i], sigma)
        rows = written(kernels[kernels.best(kernels.shares(rest, tangent), EACH_KERNEL // 2, MOST_KERNELS // 3)])
        one = constant([1.0], work.vocabulary, data.y.device)
        found.append(("kernel of residuals", best[i] + one * rows.expressions))
    return found
