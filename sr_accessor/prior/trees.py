"""Random trees as prefix codes, a batch at once: skeletons, operators, leaves and unaries of both presets.

Numbers are not drawn here: a tree carries placeholders (`EXPONENT`, `NUMBER`) that `constants.py` turns into
CONSTANT or LITERAL with a value. Nothing here knows points or data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sr_accessor.expressions.paired import ends
from sr_accessor.expressions.vocabulary import PAD, VARIABLE, Vocabulary

__all__ = [
    "EXPONENT",
    "IRRELEVANT",
    "NUMBER",
    "paper_trees",
    "parents",
    "sample_paper_sizes",
    "sample_science_sizes",
    "sample_symbols",
    "science_trees",
    "skeletons",
    "splice",
    "weights",
]

#: Ids that no vocabulary uses (3-7 are reserved): numbers whose kind and value `constants.py` draws.
EXPONENT, NUMBER = 3, 4

# ---------------------------------------------------------------- paper: system.md §1.1, the released code
PAPER_DIMENSIONS = 10
PAPER_BINARY = {"add": 1.0, "sub": 1.0, "mul": 1.0}
PAPER_UNARY = {
    "sqrt": 5.0, "inv": 3.0, "square": 3.0, "abs": 1.0, "log": 1.0, "exp": 1.0, "sin": 1.0, "cos": 1.0,
    "cube": 1.0, "tan": 0.2, "atan": 0.2,
}  # fmt: skip
PAPER_UNARIES = 4  # target count uniform on 0..4
PAPER_UNARY_DEPTH = 6  # a unary goes only above a subtree of fewer nodes

# ---------------------------------------------------------------- science: own choice, broad; see `science_trees`
SCIENCE_DIMENSIONS = (0.20, 0.26, 0.20, 0.13, 0.08, 0.05, 0.03, 0.02, 0.015, 0.015)  # columns 1..10
SCIENCE_EXTRA = (0.44, 0.27, 0.14, 0.07, 0.04, 0.02, 0.02)  # binary operators beyond those that join the variables
FAMILIES = ("polynomial", "product", "rational", "nested", "mixed")
FAMILY_WEIGHTS = (0.18, 0.28, 0.14, 0.24, 0.16)
SCIENCE_BINARY: Mapping[str, Sequence[float]] = {  # one weight per family
    "add": (4.0, 0.7, 3.0, 2.0, 2.0),
    "sub": (3.0, 0.6, 2.0, 1.2, 1.5),
    "mul": (5.0, 6.0, 3.0, 3.5, 3.0),
    "div": (0.0, 4.0, 4.0, 1.2, 2.0),
    "pow": (2.0, 2.0, 1.0, 0.5, 0.8),
    "min": (0.0, 0.0, 0.0, 0.02, 0.03),
    "max": (0.0, 0.0, 0.0, 0.02, 0.03),
}
SCIENCE_UNARY: Mapping[str, Sequence[float]] = {
    "neg": (0.5, 0.0, 0.3, 0.5, 0.5),
    "inv": (0.0, 1.0, 2.0, 0.6, 1.0),
    "abs": (0.0, 0.0, 0.0, 0.2, 0.3),
    "sqrt": (0.0, 3.0, 0.6, 2.0, 2.0),
    "square": (4.0, 3.0, 2.0, 2.0, 2.0),
    "cube": (1.5, 1.0, 0.6, 0.3, 0.5),
    "log": (0.0, 0.3, 0.0, 1.5, 1.0),
    "exp": (0.0, 0.6, 0.0, 2.2, 1.5),
    "sin": (0.0, 0.7, 0.0, 2.0, 1.2),
    "cos": (0.0, 0.7, 0.0, 2.0, 1.2),
    "tan": (0.0, 0.1, 0.0, 0.2, 0.2),
    "asin": (0.0, 0.0, 0.0, 0.15, 0.15),
    "acos": (0.0, 0.0, 0.0, 0.15, 0.15),
    "atan": (0.0, 0.0, 0.0, 0.3, 0.3),
    "sinh": (0.0, 0.0, 0.0, 0.15, 0.15),
    "cosh": (0.0, 0.0, 0.0, 0.15, 0.15),
    "tanh": (0.0, 0.0, 0.0, 0.4, 0.3),
}
STRANGER_WEIGHT = 0.5  # an active operator that the tables above do not name (a plugin's), in every family
SCIENCE_UNARIES = {  # probability of 0, 1, 2, 3 unaries, by family
    "polynomial": (0.60, 0.30, 0.10, 0.00),
    "product": (0.55, 0.32, 0.10, 0.03),
    "rational": (0.65, 0.25, 0.08, 0.02),
    "nested": (0.05, 0.40, 0.35, 0.20),
    "mixed": (0.25, 0.40, 0.25, 0.10),
}
NUMBER_LEAF = 0.30  # a leaf beyond those of the variables is a number, else a variable again
POWER_OF_NUMBER = 0.08  # ... and a base of `pow` is a number (c^x), its exponent a variable (x^y):
POWER_BY_VARIABLE = 0.12
ONE_MORE = 0.7
SCIENCE_USED = 12  # most variables of one law; a search may offer more columns
IRRELEVANT = 0.25  # an example has columns that its law does not use


def weights(table: Mapping[str, float | Sequence[float]], arity: int, vocabulary: Vocabulary) -> torch.Tensor:
    """(F, V) weight of each id by family; only active operators of this arity; one family if `table` holds floats."""
    families = max((len(w) for w in table.values() if isinstance(w, Sequence)), default=1)
    out = torch.zeros(families, VARIABLE, dtype=torch.float64)
    for operator in vocabulary:
        if operator.arity == arity and operator.name in table:
            out[:, vocabulary.id(operator.name)] = torch.as_tensor(table[operator.name], dtype=torch.float64)
    return out


def _with_strangers(out: torch.Tensor, arity: int, known: Mapping[str, object], vocabulary: Vocabulary) -> torch.Tensor:
    for operator in vocabulary:
        if operator.arity == arity and operator.name not in known:
            out[:, vocabulary.id(operator.name)] = STRANGER_WEIGHT
    return out


def sample_symbols(table_FV: torch.Tensor, family_B: torch.Tensor, count: int, generator) -> torch.Tensor:
    """(B, count) ids drawn by the weights of each row's family; PAD where a family has no operator."""
    cumulative = table_FV.cumsum(1)
    total = cumulative[:, -1:]
    # One sorted list for all families: family f owns the interval f..f+1, an empty family is all at its start.
    cumulative = (
        torch.where(total > 0, cumulative / total, 0.0) + torch.arange(len(total), device=total.device)[:, None]
    )
    draw = torch.rand(len(family_B), count, generator=generator, device=generator.device, dtype=torch.float64)
    draw = draw * (1 - 1e-12) + family_B[:, None]  # so that rounding cannot carry it into the next interval
    found = torch.searchsorted(cumulative.view(-1), draw, right=True)
    return torch.where(total[family_B] > 0, found - family_B[:, None] * table_FV.shape[1], PAD)


def _categorical(probabilities: Sequence[float], count: int, generator) -> torch.Tensor:
    p = torch.tensor(probabilities, dtype=torch.float64, device=generator.device)
    draw = torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)
    return torch.searchsorted(p.cumsum(0) / p.sum(), draw, right=True).clamp(max=len(p) - 1)


def _integers(low, high, generator) -> torch.Tensor:
    """Uniform integers low..high, both inclusive, elementwise."""
    span = (high - low + 1).double()
    draw = torch.rand(span.shape, generator=generator, device=generator.device, dtype=torch.float64)
    return low + (draw * span).long().clamp(max=(high - low))


# ---------------------------------------------------------------- skeletons
def skeletons(binaries_B: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Uniformly random binary trees with the given numbers of binary nodes.

    Returns (B, L) int64 in prefix order: 2 at a binary node, 0 at a leaf, -1 after the end.

    Cycle lemma [Dvoretzky & Motzkin 1947]: of the rotations of any arrangement of b binary nodes and b+1 leaves
    exactly one is a prefix word, so shuffling and rotating is uniform over the Catalan(b) trees: the distribution
    of the recursive sampler of `reference.py`, without its recursion.
    """
    device = binaries_B.device
    width = 2 * int(binaries_B.max()) + 1
    n = 2 * binaries_B[:, None] + 1
    column = torch.arange(width, device=device)
    inside = column < n
    noise = torch.rand(len(binaries_B), width, generator=generator, device=device, dtype=torch.float64)
    noise = noise.masked_fill(~inside, 2.0)
    least = noise.sort(1).values.gather(1, (binaries_B - 1).clamp(min=0)[:, None])
    binary = (noise <= least) & (binaries_B > 0)[:, None]
    height = torch.where(inside, torch.where(binary, 1, -1), 0).cumsum(1)
    key = torch.where(inside, height * width + column, 2 * width * width)
    start = key.amin(1, keepdim=True) % width + 1  # just after the first lowest point
    turned = binary.gather(1, (start + column) % n)
    return torch.where(inside, torch.where(turned, 2, 0), -1)


def parents(arity_BL: torch.Tensor, codes_BL: torch.Tensor, ends_BL: torch.Tensor) -> torch.Tensor:
    """(B, L) code of each symbol's parent; PAD at the root."""
    length = codes_BL.shape[1]
    out = torch.nn.functional.pad(codes_BL, (1, 1))  # the first argument follows its parent; one spare column
    second = torch.nn.functional.pad(ends_BL[:, 1:], (0, 1), value=length)
    second = torch.where(arity_BL == 2, second, length + 1)
    return out.scatter(1, second, codes_BL)[:, :length]


def splice(codes_BL: torch.Tensor, before_BL: torch.Tensor, extra_BLM: torch.Tensor) -> torch.Tensor:
    """Codes with the *last* `before` of the M extra symbols put in front of each symbol."""
    present = codes_BL != PAD
    stop = (before_BL + present).cumsum(1)
    width = int(stop[:, -1].max())
    out = codes_BL.new_zeros(len(codes_BL), width + 1)
    out.scatter_(1, torch.where(present, stop - 1, width), codes_BL)
    for m in range(extra_BLM.shape[2]):
        back = extra_BLM.shape[2] - m  # 1 stands right in front of the symbol
        out.scatter_(1, torch.where(before_BL >= back, stop - 1 - back, width), extra_BLM[:, :, m])
    return out[:, :width]


def _largest(noise_BL: torch.Tensor, candidate_BL: torch.Tensor, count_B: torch.Tensor) -> torch.Tensor:
    """(B, L) True at `count` random candidates of each row (all, where there are fewer)."""
    noise = noise_BL.masked_fill(~candidate_BL, -1.0)
    width = noise.shape[1]
    ordered = noise.sort(1, descending=True).values
    threshold = ordered.gather(1, (count_B - 1).clamp(0, width - 1)[:, None])
    return candidate_BL & (noise >= threshold) & (count_B > 0)[:, None]


def _fill_leaves(leaf_BL: torch.Tensor, used_B: torch.Tensor, generator) -> torch.Tensor:
    """(B, L) a variable at every leaf: the first ones get all of 0..used-1 in random order, the others any."""
    rows, width = leaf_BL.shape
    device = leaf_BL.device
    most = int(used_B.max())
    shuffled = torch.rand(rows, most, generator=generator, device=device, dtype=torch.float64)
    shuffled = shuffled.masked_fill(torch.arange(most, device=device) >= used_B[:, None], 2.0).argsort(1)
    place = leaf_BL.cumsum(1) - 1
    any_of = (torch.rand(rows, width, generator=generator, device=device, dtype=torch.float64) * used_B[:, None]).long()
    ordered = shuffled.gather(1, place.clamp(0, most - 1))
    return torch.where(place < used_B[:, None], ordered, torch.minimum(any_of, used_B[:, None] - 1))


# ---------------------------------------------------------------- paper
def sample_paper_sizes(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Dimensions (B,) and target numbers of unaries (B,): fixed before rejection, so that it does not skew them."""
    device = generator.device
    dimensions = torch.randint(1, PAPER_DIMENSIONS + 1, (count,), generator=generator, device=device)
    return dimensions, torch.randint(0, PAPER_UNARIES + 1, (count,), generator=generator, device=device)


def paper_trees(
    dimensions_B: torch.Tensor, unaries_B: torch.Tensor, vocabulary: Vocabulary, generator: torch.Generator
) -> torch.Tensor:
    """Operator trees of the released code, without constants: (B, L) codes.

    The number of binary operators is uniform on D-1..D+3: the released code draws 0..D+3 and throws trees with fewer
    leaves than variables away, which is the same (system.md §1.6) and was half of its work.
    """
    device = generator.device
    binaries = _integers(dimensions_B - 1, dimensions_B + 3, generator)
    table = weights(PAPER_BINARY, 2, vocabulary).to(device)
    if not table.any():  # a vocabulary without + - ×: only single leaves
        binaries, dimensions_B = torch.zeros_like(binaries), torch.ones_like(dimensions_B)
    shape = skeletons(binaries, generator)
    one = torch.zeros(len(shape), dtype=torch.int64, device=device)
    operators = sample_symbols(table, one, shape.shape[1], generator)
    variables = VARIABLE + _fill_leaves(shape == 0, dimensions_B, generator)
    codes = torch.where(shape == 2, operators, torch.where(shape == 0, variables, PAD))
    # One random unary above every non-root node with a small subtree, then random ones deleted until `unaries` remain.
    size = ends(shape) - torch.arange(shape.shape[1], device=device)
    allowed = (shape >= 0) & (size < PAPER_UNARY_DEPTH)
    allowed[:, 0] = False
    table = weights(PAPER_UNARY, 1, vocabulary).to(device)
    noise = torch.rand(shape.shape, generator=generator, device=device, dtype=torch.float64)
    kept = _largest(noise, allowed, unaries_B) & bool(table.any())
    unaries = sample_symbols(table, one, shape.shape[1], generator)
    return splice(codes, kept.long(), unaries[:, :, None])


# ---------------------------------------------------------------- science
def sample_science_sizes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Numbers of columns (B,)."""
    return 1 + _categorical(SCIENCE_DIMENSIONS, count, generator)


def science_trees(
    dimensions_B: torch.Tensor, vocabulary: Vocabulary, generator: torch.Generator, *, irrelevant: float = IRRELEVANT
) -> torch.Tensor:
    """Trees of five families (polynomials, physics-like products, rationals, nested functions, mixtures).

    (B, L) codes with the placeholders EXPONENT and NUMBER. Each row uses some of its columns: all of them with
    probability 1 - `irrelevant`, else a uniform number. Unaries sit anywhere: above leaves, at the root, on each other.
    A `pow` has a number as exponent, mostly; also x^y and c^x.
    """
    device, rows = generator.device, len(dimensions_B)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, device=device, dtype=torch.float64)

    family = _categorical(FAMILY_WEIGHTS, rows, generator)
    fewer = (uniform(rows) < irrelevant) & (dimensions_B > 1)
    most_used = dimensions_B.clamp(max=SCIENCE_USED)
    used = torch.where(fewer, _integers(torch.ones_like(most_used), most_used, generator), most_used)
    binary = _with_strangers(weights(SCIENCE_BINARY, 2, vocabulary), 2, SCIENCE_BINARY, vocabulary).to(device)
    unary = _with_strangers(weights(SCIENCE_UNARY, 1, vocabulary), 1, SCIENCE_UNARY, vocabulary).to(device)
    joined = binary.clone()
    power = vocabulary.id("pow") if "pow" in vocabulary else PAD
    joined[:, power] = 0.0  # where the second argument is not a leaf, `pow` cannot stand
    binaries = used - 1 + _categorical(SCIENCE_EXTRA, rows, generator)
    # One variable alone makes no law: mostly one operator more.
    binaries += (used == 1) & (uniform(rows) < ONE_MORE)
    binaries = torch.where(joined.any(1)[family], binaries, 0)
    shape = skeletons(binaries, generator)
    width = shape.shape[1]

    # ---- operators; `pow` only above a leaf as exponent
    stop = ends(shape)
    after = torch.nn.functional.pad(stop[:, 1:], (0, 1), value=width).clamp(max=width - 1)  # the second argument
    leaf = shape == 0
    above_leaf = leaf.gather(1, after) & (shape == 2)
    operators = torch.where(
        above_leaf, sample_symbols(binary, family, width, generator), sample_symbols(joined, family, width, generator)
    )
    is_power = (operators == power) & (shape == 2) & (power != PAD)
    draw = uniform(rows, width)
    exponent = is_power & (draw > POWER_BY_VARIABLE + POWER_OF_NUMBER)
    based = is_power & (draw < POWER_OF_NUMBER)
    spare = torch.where(exponent, after, width)
    is_exponent = torch.zeros(rows, width + 1, dtype=torch.bool, device=device).scatter_(1, spare, True)[:, :width]
    is_base = torch.nn.functional.pad(based[:, :-1], (1, 0)) & leaf  # the first argument follows its parent

    # ---- leaves: the first ones are the variables, each once; c^x needs its x, so a base comes after them
    open_leaf = leaf & ~is_exponent
    variables = _fill_leaves(open_leaf, used, generator)
    later = open_leaf.cumsum(1) > used[:, None]
    number = open_leaf & later & ((uniform(rows, width) < NUMBER_LEAF) | is_base)
    leaves = torch.where(is_exponent, EXPONENT, torch.where(number, NUMBER, VARIABLE + variables))
    codes = torch.where(shape == 2, operators, torch.where(leaf, leaves, PAD))

    # ---- the labels of the columns in use: any subset of the columns, so that no column is special
    label = uniform(rows, int(dimensions_B.max()))
    label = label.masked_fill(torch.arange(label.shape[1], device=device) >= dimensions_B[:, None], 2.0).argsort(1)
    renamed = VARIABLE + label.gather(1, (codes - VARIABLE).clamp(0, label.shape[1] - 1))
    codes = torch.where(codes >= VARIABLE, renamed, codes)

    # ---- unaries: each draws its node, so that two may sit on each other; never above a number
    cumulative = torch.tensor([SCIENCE_UNARIES[f] for f in FAMILIES], dtype=torch.float64, device=device).cumsum(1)
    count = (uniform(rows, 1) >= cumulative[family, :-1]).sum(1)
    eligible = (codes != PAD) & (codes != EXPONENT) & (codes != NUMBER)
    rank = eligible.cumsum(1) - 1
    most = len(SCIENCE_UNARIES["nested"]) - 1
    chosen = (uniform(rows, most) * eligible.sum(1, keepdim=True)).long()
    chosen = torch.where(torch.arange(most, device=device) < count[:, None], chosen, -1)
    above = ((rank[:, :, None] == chosen[:, None, :]) & eligible[:, :, None]).sum(2)
    innermost = sample_symbols(unary, family, width, generator)
    outer = sample_symbols(unary, family, most - 1, generator)  # of two or three on one node; one set per row is enough
    symbols = torch.cat([outer[:, None].expand(-1, width, -1), innermost[:, :, None]], 2)
    return splice(codes, torch.where(unary.any(1)[family][:, None], above, 0), symbols)
