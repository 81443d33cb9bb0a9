"""Stream: the prior's examples -> token batches of a few fixed shapes, endless, never the same example twice.

A block of examples is drawn at once on the training device, augmented, sorted into shapes (points × tokens) and cut
into batches; what does not fill a batch waits for the next block. Where a stream stands is a value, `Position`, which
is stored with the weights: a stream that goes on from it is the stream that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch

from sr_accessor.decoding.scaling import fit
from sr_accessor.errors import InputError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.vocabulary import VARIABLE
from sr_accessor.prior.examples import SCALINGS, Examples, check_preset, sample_examples
from sr_accessor.transformer.config import TransformerConfig
from sr_accessor.transformer.tokenizer import Points, Tokenizer, layout

__all__ = ["BATCH_POINTS", "Batch", "Position", "Prepared", "Source", "augment", "batches", "held_out", "prepare"]

#: Points of a batch, padding included, as published ("tokens per batch", system.md §4).
BATCH_POINTS = 10_000
#: Most points and most tokens of each shape; a network's own limits end the lists. 25 shapes waste a fifth of the
#: computation on padding; twice as many would save little, and every shape is compiled on its own.
POINT_SIZES = (24, 32, 64, 128)
TOKEN_SIZES = {"triples": (16, 24, 36, 56), "words": (8, 12, 16, 24, 36, 56)}
#: Examples drawn at once: large enough that the prior's tensors are efficient, small beside the memory.
BLOCK, BLOCK_CUDA = 4096, 65_536
#: An augmented example keeps at least this many of its points; a law is rarely clear from fewer.
FEWEST_POINTS = 16
#: Share of the examples that have one of the operators to be learnt, if there are any; the prior alone gives few.
NEW_SHARE = 1 / 4
#: The validation functions are those of this seed, whatever the seed of the training.
HELD_OUT_SEED = 20_220_422


@dataclass(frozen=True)
class Prepared:
    """Examples with their tokens, padded to the network's limits.

    Parameters
    ----------
    x : (B, N, D_max), y : (B, N), zero beyond `points` and `dimensions`; single precision where the network reads
        bits of singles
    points, dimensions : (B,) int64
    tokens : (B, length) int64, see `Targets`
    """

    x: torch.Tensor
    y: torch.Tensor
    points: torch.Tensor
    dimensions: torch.Tensor
    tokens: torch.Tensor

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: torch.Tensor) -> Prepared:
        """Some examples, by index."""
        return Prepared(*(t[rows] for t in self.tensors))

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All five, in the order of the fields."""
        return tuple(getattr(self, f.name) for f in fields(self))

    def joined(self, other: Prepared) -> Prepared:
        """These and the other examples."""
        return Prepared(*(torch.cat(pair) for pair in zip(self.tensors, other.tensors, strict=True)))


@dataclass(frozen=True)
class Batch:
    """What one update learns from.

    Parameters
    ----------
    points : as the embedder reads them
    tokens : (B, T) int64
    dimensions : (B,) int64, variables of each example
    real_points, real_tokens : without padding; the opening EOS is not written, so it does not count
    """

    points: Points
    tokens: torch.Tensor
    dimensions: torch.Tensor
    real_points: int
    real_tokens: int

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Source:
    """Where a stream's examples come from; together with a `Position` it says every later batch.

    Parameters
    ----------
    prior : preset of `prior.examples`, or several joined by "+": as many examples of each
    tokenizer : of the network; only the operators it writes are drawn
    device : of the examples and batches
    seed, shard : streams of different shards have different examples
    batch_points : points of a batch
    block : examples drawn at once; None: by device
    features : dtype of what the embedder reads
    new : names of operators that the network is to learn beside what it knows; see `NEW_SHARE`
    """

    prior: str
    tokenizer: Tokenizer
    device: torch.device
    seed: int = 0
    shard: int = 0
    batch_points: int = BATCH_POINTS
    block: int | None = None
    features: torch.dtype = torch.float32
    new: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = [n for n in ("batch_points", "block") if getattr(self, n) is not None and getattr(self, n) < 1]
        if wrong:
            raise InputError(f"{', '.join(wrong)} must be positive")
        for name in self.priors:
            check_preset(name)

    @property
    def priors(self) -> list[str]:
        """Their names."""
        return self.prior.split("+")

    @property
    def block_size(self) -> int:
        """Examples drawn at once: in proportion to the batches, so that a block fills many of every shape."""
        usual = BLOCK_CUDA if self.device.type == "cuda" else BLOCK
        return self.block or min(4 * usual, max(256, usual * self.batch_points // BATCH_POINTS))

    def generator(self, block: int) -> torch.Generator:
        """The random numbers of one block."""
        words = np.random.SeedSequence([self.seed, self.shard, block]).generate_state(2)
        return torch.Generator(self.device).manual_seed(int(words[0]) << 31 ^ int(words[1]))


@dataclass(frozen=True)
class Position:
    """Where a stream stands: `batch` batches of block `block` are used; `carry` came into that block."""

    block: int
    batch: int
    carry: Prepared


def start(source: Source) -> Position:
    """Before the first batch."""
    return Position(0, 0, nothing(source))


def nothing(source: Source) -> Prepared:
    """No example."""
    config, device = source.tokenizer.config, source.device
    real = _real(config)
    return Prepared(
        torch.zeros(0, config.points, config.variables, dtype=real, device=device),
        torch.zeros(0, config.points, dtype=real, device=device),
        *(torch.zeros(0, dtype=torch.int64, device=device) for _ in range(2)),
        torch.zeros(0, config.length + 1, dtype=torch.int64, device=device),
    )


def batches(source: Source, position: Position | None = None) -> Iterator[tuple[Batch, Position]]:
    """Batches without end, each with the position after it.

    Every batch has the shape of `shapes` and at least `source.batch_points` points, padding included.
    """
    here = position or start(source)
    while True:
        generator, ready = source.generator(here.block), here.carry
        for examples in drawn(source, source.block_size, generator):
            if source.new:
                examples = rehearsed(examples, source.new, generator)
            ready = ready.joined(prepare(augment(examples, source.tokenizer.config, generator), source.tokenizer))
        groups, rest = cut(ready, source)
        order = torch.randperm(len(groups), generator=generator, device=source.device).tolist()
        for at, chosen in enumerate(order):
            if at >= here.batch:
                rows, shape = groups[chosen]
                yield to_batch(ready[rows], shape, source), Position(here.block, at + 1, here.carry)
        here = Position(here.block + 1, 0, ready[rest])


def held_out(source: Source, count: int) -> list[Batch]:
    """Batches of `count` functions of the same prior that no training draws, not renumbered; the last are smaller.

    Functions of as many variables follow each other, so that a neighbour's points are those of "another function" in
    the fairest sense. Functions the network has no tokens for are left out.
    """
    generator = torch.Generator(source.device).manual_seed(HELD_OUT_SEED)
    ready = nothing(source)
    for examples in drawn(source, count, generator):
        ready = ready.joined(prepare(_within(examples, source.tokenizer.config, generator), source.tokenizer))
    ready = ready[ready.dimensions.argsort(stable=True)]
    groups, _ = cut(ready, source, whole=False)
    return [to_batch(ready[rows], shape, source) for rows, shape in groups if len(rows) > 1]


# ---------------------------------------------------------------------- the steps of a block
def drawn(source: Source, count: int, generator: torch.Generator) -> Iterator[Examples]:
    """`count` examples in all, an equal part of each prior, scaled as the network wants its data."""
    names, kind = source.priors, source.tokenizer.config.scaling
    for i, name in enumerate(names):
        part = count * (i + 1) // len(names) - count * i // len(names)
        e = sample_examples(name, part, generator, source.tokenizer.vocabulary, source.device)
        yield e if SCALINGS[name] == kind else _scaled(e, kind)


def _scaled(e: Examples, kind: str) -> Examples:
    """The same laws of x and y that are scaled in another way."""
    inside = torch.arange(e.y.shape[1], device=e.y.device) < e.points[:, None]
    by = fit(e.x, e.y, inside, kind=kind)
    x, y = by.apply(e.x, e.y)
    return Examples(by.scale(e.expressions), x * inside[..., None], y * inside, e.points, e.dimensions)


def _real(config: TransformerConfig) -> torch.dtype:
    """The tokens of a number reach 1e100; bits are those of a single."""
    return torch.float64 if config.inputs == "tokens" else torch.float32


def _within(examples: Examples, config: TransformerConfig, generator: torch.Generator) -> Examples:
    """Those with at most as many variables, and random ones of as many points, as the network reads."""
    e = examples[examples.dimensions <= config.variables]
    points = e.points.clamp(max=config.points)
    x, y = _random_points(e, points, config, generator)
    return Examples(e.expressions, x, y, points, e.dimensions)


def _random_points(
    e: Examples, points: torch.Tensor, config: TransformerConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y at random `points` (B,) of each example's own, in random order, zero behind them."""
    key = torch.rand(e.y.shape, generator=generator, device=e.y.device)
    key = key.masked_fill(torch.arange(e.y.shape[1], device=e.y.device) >= e.points[:, None], 2.0)
    chosen = key.argsort(1)[:, : config.points]
    inside = torch.arange(chosen.shape[1], device=e.y.device) < points[:, None]
    x = e.x[:, :, : config.variables]
    x = torch.where(inside[..., None], x.gather(1, chosen[..., None].expand(-1, -1, x.shape[2])), 0.0)
    return x, torch.where(inside, e.y.gather(1, chosen), 0.0)


def augment(examples: Examples, config: TransformerConfig, generator: torch.Generator) -> Examples:
    """The same laws with their variables renumbered and with some of their points, in random order.

    The number of points is log-uniform between `FEWEST_POINTS` and all, at most what the network reads.
    """
    e = examples[examples.dimensions <= config.variables]
    rows, device = len(e), e.x.device
    uniform = torch.rand(rows, generator=generator, device=device)
    most = e.points.clamp(max=config.points).double()
    least = most.clamp(max=FEWEST_POINTS)
    points = (least * (most / least) ** uniform).round().long()

    x, y = _random_points(e, points, config, generator)

    key = torch.rand(rows, x.shape[2], generator=generator, device=device)
    key = key.masked_fill(torch.arange(x.shape[2], device=device) >= e.dimensions[:, None], 2.0)
    old = key.argsort(1)  # column `new` holds what was column old[new]
    x = x.gather(2, old[:, None].expand(-1, x.shape[1], -1))
    codes = e.expressions.codes
    renumbered = VARIABLE + old.argsort(1).gather(1, (codes - VARIABLE).clamp(0, x.shape[2] - 1))
    codes = torch.where(codes >= VARIABLE, renumbered, codes)
    law = Expressions(codes, e.expressions.constants, e.expressions.vocabulary)
    return Examples(law, x, y, points, e.dimensions)


def rehearsed(examples: Examples, new: tuple[str, ...], generator: torch.Generator) -> Examples:
    """All examples with a new operator, and so many others, at random, that the former are `NEW_SHARE`; without
    them the network would forget what it knows. All, where none has one.
    """
    codes, vocabulary = examples.expressions.codes, examples.expressions.vocabulary
    ids = torch.tensor([vocabulary.id(name) for name in new], device=codes.device)
    has = torch.isin(codes, ids).any(1)
    wanted = round(int(has.sum()) * (1 - NEW_SHARE) / NEW_SHARE)
    order = torch.rand(len(has), generator=generator, device=codes.device).masked_fill(has, -1.0).argsort()
    return examples[order[: int(has.sum()) + wanted]] if wanted else examples


def prepare(examples: Examples, tokenizer: Tokenizer) -> Prepared:
    """Tokens beside the points; examples whose law is too long for the network are left out."""
    config = tokenizer.config
    targets = tokenizer.encode_targets(examples.expressions, length=config.length + 1)
    x, y = examples.x, examples.y
    x = torch.nn.functional.pad(x, (0, config.variables - x.shape[2], 0, config.points - x.shape[1]))
    y = torch.nn.functional.pad(y, (0, config.points - y.shape[1]))
    if config.inputs != "tokens":
        x, y = (t.clamp(-3e38, 3e38).to(_real(config)) for t in (x, y))
    everything = Prepared(x, y, examples.points, examples.dimensions, targets.tokens)
    return everything[targets.valid.nonzero()[:, 0]]


def shapes(config: TransformerConfig) -> list[tuple[int, int]]:
    """(points, tokens) of every shape."""
    points = [*(n for n in POINT_SIZES if n < config.points), config.points]
    tokens = [*(n for n in TOKEN_SIZES[config.numbers] if n < config.length + 1), config.length + 1]
    return [(p, t) for p in points for t in tokens]


def cut(
    ready: Prepared, source: Source, *, whole: bool = True
) -> tuple[list[tuple[torch.Tensor, tuple[int, int]]], torch.Tensor]:
    """Rows of each batch with its shape, and the rows that fill none; `whole=False` keeps smaller batches too."""
    config, pad = source.tokenizer.config, layout(source.tokenizer.config).pad
    every = shapes(config)
    edges_of = [sorted({shape[axis] for shape in every}) for axis in (0, 1)]
    longest = (ready.tokens != pad).sum(1)
    places = [
        torch.searchsorted(torch.tensor(edges, device=source.device), size)
        for edges, size in zip(edges_of, (ready.points, longest), strict=True)
    ]
    kind = places[0] * len(edges_of[1]) + places[1]
    order = kind.argsort(stable=True)
    counts = torch.bincount(kind, minlength=len(every)).tolist()
    groups, rest, first = [], [order[:0]], 0
    for shape, count in zip(every, counts, strict=True):  # shapes, not examples
        size = -(-source.batch_points // shape[0])
        end = first + (count if not whole else count // size * size)
        groups += [(rows, shape) for rows in order[first:end].split(size) if len(rows)]
        rest.append(order[end : first + count])
        first += count
    return groups, torch.cat(rest)


def to_batch(examples: Prepared, shape: tuple[int, int], source: Source) -> Batch:
    """Examples cut to a shape, as the network reads and writes them."""
    n, t = shape
    device = source.device
    mask = torch.arange(n, device=device) < examples.points[:, None]
    present = torch.arange(source.tokenizer.config.variables, device=device) < examples.dimensions[:, None]
    points = source.tokenizer.encode_points(
        examples.x[:, :n], examples.y[:, :n], mask, present=present, dtype=source.features
    )
    tokens = examples.tokens[:, :t]
    real = torch.stack([examples.points.sum(), (tokens[:, 1:] != layout(source.tokenizer.config).pad).sum()]).tolist()
    return Batch(points, tokens, examples.dimensions, *real)
