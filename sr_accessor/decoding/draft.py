"""Draft: observations -> bags -> what the network writes -> expressions in the user's own units.

Deterministic for a generator: a call draws its number of samples and looks at no clock; who has a deadline calls it
again. It knows no noise model and refines nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_accessor.decoding import scaling
from sr_accessor.decoding.beam import beam
from sr_accessor.decoding.grammar import grammar
from sr_accessor.decoding.sampling import sample
from sr_accessor.device import DTYPE
from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.transformer.model import Transformer
from sr_accessor.transformer.tokenizer import Tokenizer

__all__ = ["Draft", "bag_indices", "draft", "merge_skeletons", "rank_features", "subexpressions"]

#: Fewer points determine no law.
_LEAST_POINTS = 3
#: Different points make the network write different laws; more bags than this bring little.
BAGS = 4


@dataclass(frozen=True)
class Draft:
    """What the network wrote.

    Parameters
    ----------
    expressions : distinct skeletons, in the user's own units and variable numbers, by increasing mean squared error
    mean_squared_error : (B,) float64 over the points in the bags, before any refinement; inf where a value is invalid
    log_probability : (B,) nats, of the kept sample of each skeleton
    counts : (B,) int64, samples that had this skeleton
    samples : sequences drawn; more than the sum of `counts` where unscaling needed an operator that is excluded
    kept, dropped : variables the network saw, and those it has no input for, by decreasing relevance
    """

    expressions: Expressions
    mean_squared_error: torch.Tensor
    log_probability: torch.Tensor
    counts: torch.Tensor
    samples: int
    kept: tuple[int, ...]
    dropped: tuple[int, ...]


def draft(
    model: Transformer,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    vocabulary: Vocabulary,
    generator: torch.Generator,
    samples: int = 100,
    bags: int = BAGS,
    temperature: float = 1.0,
    beam_width: int | None = None,
    length: int | None = None,
    random_start: bool = False,
) -> Draft:
    """Let the network write laws for the observations.

    Parameters
    ----------
    model : on the device to compute on
    x : (N, D) float, in the user's units, finite; any D
    y : (N,) float, finite
    vocabulary : its active operators are those that may be written
    generator : on the model's device
    samples : sequences drawn, shared evenly by the bags (rounded up)
    bags : random subsets of the points, each encoded once; more than one only where there are more points than the
        network reads
    temperature : 0 is greedy (one sequence per bag)
    beam_width : search with a beam of this width in every bag instead of drawing samples
    length : longest expression, tokens; None: the network's limit
    random_start : put N(0, 1) draws in the place of the numbers the network wrote, as is always done for a network
        that writes skeletons

    Raises
    ------
    InputError : fewer than 3 points, no variable, shapes that do not fit, values that are not finite, no sample asked
        for, or a generator of another device.
    LoadError : the network writes operators the vocabulary does not have.
    """
    _check(x, y)
    if samples < 1 or bags < 1:
        raise InputError(f"samples={samples}, bags={bags}: both must be at least 1")
    if generator.device.type != model.device.type:
        raise InputError(
            f"the generator lives on {generator.device}, the network on {model.device}: pass device.generator(seed, "
            f"{str(model.device)!r})"
        )
    tokenizer = Tokenizer(model.config, vocabulary)
    x, y = x.to(model.device, DTYPE), y.to(model.device, DTYPE)
    order = rank_features(x, y) if x.shape[1] > model.config.variables else torch.arange(x.shape[1], device=x.device)
    kept = order[: model.config.variables]
    subset = x[:, kept]

    index = bag_indices(len(y), bags, model.config.points, generator)
    scaled = scaling.fit(subset[None], y[None], kind=model.config.scaling)
    bag_x, bag_y = scaled.apply(subset[index], y[index])
    with torch.no_grad():
        memory = model.encode(tokenizer.encode_points(bag_x, bag_y, dtype=model.decoder.tokens.weight.dtype))
    rules = grammar(tokenizer, variables=len(kept), length=length, device=model.device)
    if beam_width is not None:
        written = beam(model, memory, rules, width=beam_width)
    else:
        per_bag = 1 if temperature == 0 else -(-samples // len(index))
        written = sample(model, memory, rules, samples=per_bag, temperature=temperature, generator=generator)

    expressions = tokenizer.decode_targets(written.tokens.flatten(0, 1))
    if random_start or model.config.targets == "skeleton":  # N(0, 1) as published
        numbers = expressions.constants
        start = torch.randn(numbers.shape, generator=generator, dtype=DTYPE, device=numbers.device)
        expressions = expressions.with_constants(torch.where(expressions.free, start, numbers))
    expressions = simplify_batch(scaled.unscale(expressions))
    is_variable = expressions.codes >= VARIABLE
    own = VARIABLE + kept[(expressions.codes - VARIABLE).clamp(0, len(kept) - 1)]
    expressions = Expressions(torch.where(is_variable, own, expressions.codes), expressions.constants, vocabulary)
    # A beam may be wider than the language; unscaling may need a product or a sum that the user excluded.
    log_probability = written.log_probability.flatten()
    usable = torch.isfinite(log_probability) & _active(expressions)
    expressions, log_probability = expressions[usable], log_probability[usable]

    seen = index.unique()
    values, valid = evaluate(expressions, x[seen])
    error = ((values - y[seen]) ** 2).mean(1)
    error = torch.where(valid.all(1) & torch.isfinite(error), error, torch.inf)
    best, counts = merge_skeletons(expressions, error)
    return Draft(
        expressions=expressions[best].trimmed(),
        mean_squared_error=error[best],
        log_probability=log_probability[best],
        counts=counts,
        samples=len(usable),
        kept=tuple(kept.tolist()),
        dropped=tuple(order[model.config.variables :].tolist()),
    )


def _active(expressions: Expressions) -> torch.Tensor:
    """(B,) True where every operator is one that may be written."""
    vocabulary = expressions.vocabulary
    table = torch.ones(VARIABLE + 1, dtype=torch.bool)
    for operator in vocabulary.operators:
        table[vocabulary.id(operator.name)] = operator.name in vocabulary
    return table.to(expressions.device)[expressions.codes.clamp(max=VARIABLE)].all(1)


def _check(x: torch.Tensor, y: torch.Tensor) -> None:
    wrong = []
    if x.ndim != 2 or y.ndim != 1 or len(x) != len(y):
        wrong.append(f"x must be (N, D) and y (N,), not {tuple(x.shape)} and {tuple(y.shape)}")
    elif x.shape[1] == 0:
        wrong.append("there is no input column; the network needs at least one")
    elif len(y) < _LEAST_POINTS:
        wrong.append(f"{len(y)} points; at least {_LEAST_POINTS} are needed")
    for name, values in (("x", x), ("y", y)):
        if not bool(torch.isfinite(values).all()):
            wrong.append(f"{name} has values that are not finite; drop those rows first")
    if wrong:
        raise InputError("; ".join(wrong))


def bag_indices(points: int, bags: int, largest: int, generator: torch.Generator) -> torch.Tensor:
    """Rows of each bag (S, n): one bag of all points where they fit, else `bags` random ones of `largest`.

    Bags are cut from shuffled passes over the data, so that no point comes twice before every point came once.
    """
    device = generator.device
    if points <= largest:
        return torch.arange(points, device=device)[None]
    whole = points // largest  # bags per pass; a bag does not straddle two passes, or a point could come twice in it
    shuffled = torch.rand(-(-bags // whole), points, generator=generator, device=device).argsort(1)
    return shuffled[:, : whole * largest].reshape(-1, largest)[:bags]


def rank_features(x: torch.Tensor, y: torch.Tensor, *, bins: int = 10) -> torch.Tensor:
    """Variables (D,) by decreasing relevance for y.

    The share of the variance of y's ranks that lies between bins of equal counts along a variable: unlike a linear
    correlation it also sees even functions (system.md §8, W7). Ties by the variables' order.
    """
    points = len(y)
    ranks = y.argsort().argsort().to(DTYPE)
    along = ranks[x.argsort(dim=0, stable=True)]  # (N, D) ranks of y in the order of each variable
    bins = max(2, min(bins, points // 5))
    bin_of = torch.arange(points, device=y.device) * bins // points
    sums = along.new_zeros(bins, x.shape[1]).index_add_(0, bin_of, along)
    counts = torch.bincount(bin_of, minlength=bins)[:, None]
    between = (counts * (sums / counts - ranks.mean()) ** 2).sum(0)
    constant = x.amax(0) == x.amin(0)
    return between.masked_fill(constant, -1.0).argsort(dim=0, descending=True, stable=True)


def merge_skeletons(expressions: Expressions, error: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each distinct skeleton the row of least error, by increasing error, and how many rows had it.

    Rows with the same codes and the same literals are of one skeleton; the values of free constants do not count.
    """
    literal = torch.where(expressions.free, 0.0, expressions.constants)
    order = error.argsort(dim=0, stable=True)
    place, counts = _distinct(torch.cat([expressions.codes.to(DTYPE), literal], 1)[order])
    return order[place], counts


def subexpressions(expressions: Expressions) -> Expressions:
    """Every different proper part of some laws that is no leaf, numbers included; those that most laws share first.

    What the search takes into its library: a part may be right where the law as a whole is not.
    """
    row, position = (expressions.arities > 0).nonzero(as_tuple=True)
    inner = position > 0
    if not bool(inner.any()):
        return expressions[:0]
    parts = expressions.subexpression(row[inner], position[inner]).trimmed()
    place, counts = _distinct(torch.cat([parts.codes.to(DTYPE), parts.constants], 1))
    return parts[place[counts.argsort(descending=True, stable=True)]]


def _distinct(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first place of every different row, ascending, and how many rows are like it."""
    _, kind, counts = torch.unique(rows, dim=0, return_inverse=True, return_counts=True)
    here = torch.arange(len(rows), device=rows.device)
    first = torch.full_like(counts, len(rows)).scatter_reduce_(0, kind, here, "amin").sort().values
    return first, counts[kind[first]]
