"""The stream of examples (expression, x, y) from a seed: presets `paper` and `science`; rejected rows are replaced.

    paper      the released generator of "End-to-end symbolic regression with transformers" (Kamienny et al. 2022)
    science    mends its gaps: laws as textbooks have them, measured as laboratories measure (see `sample_examples`)
    exact      science as computers simulate it: no noise on y, no column that the law does not use
    raw        science with laws as they were drawn, not simplified

The clear, one-at-a-time version of `paper` is `reference.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sr_accessor.device import DTYPE
from sr_accessor.errors import InputError, UnknownNameError, nearest
from sr_accessor.expressions.batch import Expressions, concatenate, constant, empty
from sr_accessor.expressions.paired import lay_out, run_paired
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE, Vocabulary
from sr_accessor.prior.constants import draw_paper_numbers, paper_prefactors, science_numbers, with_values
from sr_accessor.prior.inputs import POINTS, mixed, paper_clusters, sample_paper_points, sample_science_points
from sr_accessor.prior.trees import (
    IRRELEVANT,
    NUMBER,
    PAPER_UNARIES,
    paper_trees,
    sample_paper_sizes,
    sample_science_sizes,
    science_trees,
    splice,
)

__all__ = ["PRESETS", "SCALINGS", "Examples", "check_preset", "sample_examples", "sample_expressions"]

PRESETS = ("paper", "science", "exact", "raw")
#: How the data of a preset are scaled, in the words of `TransformerConfig.scaling`.
SCALINGS = dict.fromkeys(PRESETS, "rms") | {"paper": "standard"}
PAPER_LARGEST = 1e103  # system.md §1.1: 100 + 3 mantissa digits
SCIENCE_LARGEST = 1e30
SCIENCE_LENGTH = 36  # symbols of a law before scaling and simplification
EFFECTIVE_POINTS = 0.04  # of N: (Σy²)²/Σy⁴; below, one or two points decide everything (search.md §1)
RELATIVE_SPREAD = 1e-3  # std(y)/rms(y); below, y is a constant
NOISE_FREE = 0.5  # of the examples; the others have
NOISE = (1e-4, 0.1)  # ... a relative level in this range, log-uniform

#: Attempts drawn at once: large tensors, yet few enough to stay near the caches of one core.
ATTEMPTS, ATTEMPTS_CUDA = 2048, 65536
SIMPLIFIED = 16384  # rows rewritten together


@dataclass(frozen=True)
class Examples:
    """B examples, padded to the most points and dimensions among them.

    Parameters
    ----------
    expressions : Expressions, B rows; `y = f(x)` but for noise
    x : (B, N, D) float64, 0 beyond `points` and `dimensions`
    y : (B, N) float64, 0 beyond `points`
    points : (B,) int64
    dimensions : (B,) int64, columns of x; a law need not use all
    """

    expressions: Expressions
    x: torch.Tensor
    y: torch.Tensor
    points: torch.Tensor
    dimensions: torch.Tensor

    def __len__(self) -> int:
        return len(self.expressions)

    def __getitem__(self, rows) -> Examples:
        """Rows by slice, mask or index tensor."""
        return Examples(self.expressions[rows], self.x[rows], self.y[rows], self.points[rows], self.dimensions[rows])


#: Examples, which of the attempts asked for each of them is, and whether it is accepted.
Attempts = tuple[Examples, torch.Tensor, torch.Tensor]


def sample_examples(
    preset: str,
    count: int,
    generator: torch.Generator,
    vocabulary: Vocabulary,
    device: torch.device | str = "cpu",
) -> Examples:
    """Exactly `count` examples of a preset; the same again from the same generator state.

    Parameters
    ----------
    preset : one of `PRESETS`
    count : number of examples
    generator : source of all randomness, on `device`
    vocabulary : only its active operators are used (and `mul`, where `science` scales)
    device : where everything is computed

    Notes
    -----
    `paper`: x standardised, y as it comes (up to 1e103), no noise, every variable used. [system.md §1]

    `science`: x and y are divided by their root mean square, per column, and the law is rewritten for the scaled
    variables, so that `y = f(x)` holds for what is returned. Divided and not shifted: a monomial stays a monomial,
    and the law keeps the length that it has in the user's units. A law is simplified (rewrite.py). Half of the
    examples have noise on y: multiplicative or additive, relative level log-uniform in 1e-4..0.1. `exact` and `raw`
    leave parts of this away.

    An example is thrown away as a whole when any value is invalid, since dropping single points would tell the
    domain of f; dimensions (and the number of unaries, in `paper`) are drawn once and stay, so that rejection
    does not skew them.

    Raises
    ------
    UnknownNameError : no preset of that name.
    InputError : the generator lives on another device.
    """
    device = torch.device(device)
    check_preset(preset)
    if generator.device.type != device.type:
        raise InputError(
            f"the generator lives on {generator.device}, the examples on {device}: "
            f"pass device={str(generator.device)!r} or a torch.Generator(device={str(device)!r})"
        )
    if preset == "paper":
        dimensions, unaries = sample_paper_sizes(count, generator)

        def attempt(rows: torch.Tensor) -> Attempts:
            return _attempt_paper(dimensions[rows], unaries[rows], vocabulary, generator)
    else:
        dimensions = sample_science_sizes(count, generator)

        def attempt(rows: torch.Tensor) -> Attempts:
            return _attempt_science(dimensions[rows], vocabulary, generator, preset == "exact")

    examples = _until_accepted(attempt, dimensions, vocabulary)
    if preset in ("paper", "raw"):
        return examples
    # After rejection and in large pieces: the cost of rewriting is one of calls, hardly of rows.
    laws = [simplify_batch(examples.expressions[i : i + SIMPLIFIED]) for i in range(0, count, SIMPLIFIED)]
    return replace(examples, expressions=concatenate([empty(vocabulary, device), *laws]))


def sample_expressions(
    preset: str,
    count: int,
    dimensions: int,
    vocabulary: Vocabulary,
    generator: torch.Generator,
) -> Expressions:
    """`count` expressions of a preset over `dimensions` variables, without data: candidates for a search.

    `paper` uses every variable; `science` any non-empty subset, in user's units, simplified; `exact` and `raw` as in
    `sample_examples`. Only active operators of the vocabulary occur.

    Raises
    ------
    UnknownNameError : no preset of that name.
    InputError : `dimensions` is not positive.
    """
    check_preset(preset)
    if dimensions < 1:
        raise InputError(f"dimensions={dimensions}: an expression needs at least one variable")
    columns = torch.full((count,), dimensions, dtype=torch.int64, device=generator.device)
    if preset == "paper":
        unaries = torch.randint(0, PAPER_UNARIES + 1, (count,), generator=generator, device=generator.device)
        return _paper_expressions(columns, unaries, vocabulary, generator)
    batches, have = [], 0
    while have < count:  # a law that simplifies to a number, or is too long, is drawn again
        raw = _science_expressions(columns, vocabulary, generator, preset == "exact")
        laws = raw if preset == "raw" else simplify_batch(raw)
        laws = laws[(laws.codes >= VARIABLE).any(1) & (raw.lengths <= SCIENCE_LENGTH)]
        batches.append(laws)
        have += len(laws)
    return concatenate(batches)[:count].trimmed()


def check_preset(preset: str) -> None:
    """Raise UnknownNameError where no preset has that name."""
    if preset not in PRESETS:
        raise UnknownNameError(f"no preset {preset!r}; {nearest(preset, PRESETS)}")


def _until_accepted(
    attempt: Callable[[torch.Tensor], Attempts],
    dimensions: torch.Tensor,
    vocabulary: Vocabulary,
) -> Examples:
    """Attempts for all rows until each has one; a row that needs several tries gets several at once near the end.

    The first accepted of independent attempts is distributed like the first accepted of a sequence.
    """
    count, device = len(dimensions), dimensions.device
    size = ATTEMPTS if device.type == "cpu" else ATTEMPTS_CUDA
    pending = dimensions.argsort(stable=True)  # alike together: short trees and few columns are not padded to long
    most = int(dimensions.max()) if count else 1
    x = torch.zeros(count, most, POINTS, dtype=DTYPE, device=device)  # in memory the points of a column lie together
    y = torch.zeros(count, POINTS, dtype=DTYPE, device=device)
    points = torch.zeros_like(dimensions)
    laws, owners = [empty(vocabulary, device)], [pending[:0]]
    while len(pending):
        asked = pending[:size]
        copies = max(1, min(64, size // 4 // len(asked)))
        examples, which, good = attempt(asked.repeat_interleave(copies))
        accepted = good.nonzero()[:, 0]
        number, order = torch.sort(which[accepted])
        slot = torch.div(number, copies, rounding_mode="floor")
        is_first = torch.ones_like(slot, dtype=torch.bool)
        is_first[1:] = slot[1:] != slot[:-1]
        first, slot = accepted[order[is_first]], slot[is_first]
        owner = asked[slot]
        done = torch.zeros(len(asked), dtype=torch.bool, device=device).index_fill(0, slot, True)
        drawn = examples.x.transpose(1, 2).index_select(0, first).to(DTYPE)
        x[:, : drawn.shape[1], : drawn.shape[2]].index_copy_(0, owner, drawn)
        y[:, : examples.y.shape[1]].index_copy_(0, owner, examples.y.index_select(0, first))
        points[owner] = examples.points[first]
        laws.append(examples.expressions[first])
        owners.append(owner)
        pending = torch.cat([pending[size:], asked[~done]])
    expressions = concatenate(laws)[torch.cat(owners).argsort()].trimmed()
    width = int(points.max()) if count else 0
    return Examples(expressions, x[:, :, :width].transpose(1, 2), y[:, :width], points, dimensions)


def _evaluate(
    expressions: Expressions, x: torch.Tensor, points: torch.Tensor, largest: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """y (B, N), 0 beyond the points and where rejected, and whether every value is valid and not too large (B,)."""
    values = run_paired(lay_out(expressions), x, points)
    inside = torch.arange(x.shape[1], device=x.device) < points[:, None]
    good = ((values.abs() <= largest) | ~inside).all(1)  # NaN compares as false
    return torch.where(inside & good[:, None], values, 0.0), good


def _by_size(dimensions: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Rows in the order of their dimensions, then points: what is computed together has one size."""
    return (dimensions * (POINTS + 1) + points).argsort(stable=True)


# ---------------------------------------------------------------- paper
def _paper_expressions(dimensions, unaries, vocabulary: Vocabulary, generator) -> Expressions:
    codes = paper_trees(dimensions, unaries, vocabulary, generator)
    return draw_paper_numbers(paper_prefactors(codes, vocabulary), vocabulary, generator)


def _attempt_paper(dimensions, unaries, vocabulary: Vocabulary, generator) -> Attempts:
    expressions = _paper_expressions(dimensions, unaries, vocabulary, generator)
    points = sample_paper_points(dimensions, generator)
    which = (~_hopeless(expressions)).nonzero()[:, 0]
    which = which[_by_size(dimensions[which], points[which])]
    expressions, dimensions, points = expressions[which], dimensions[which], points[which]
    x = paper_clusters(points, dimensions, generator)
    y, good = _evaluate(expressions, x, points, PAPER_LARGEST)
    return Examples(expressions, x, y, points, dimensions), which, good


def _hopeless(e: Expressions) -> torch.Tensor:
    """(B,) True where no standardised inputs can be valid, so that none need be drawn: a quarter of all attempts.

    √ or log of a + b·x_d: N points of mean 0 and standard deviation 1 have one at or below -1/√(N - 1) and one at or
    above 1/√(N - 1), so a must be at least |b|/√(N - 1). Of b·x_d ± c·x_e: it has mean 0.
    """
    width, code = e.codes.shape[1], e.vocabulary.id
    codes = torch.nn.functional.pad(e.codes, (0, 8))
    s = [codes[:, i : i + width] for i in range(8)]
    root = (s[0] == code("sqrt")) | (s[0] == code("log"))
    total, mul = (s[1] == code("add")) | (s[1] == code("sub")), code("mul")
    affine = root & (s[2] == CONSTANT) & (s[3] == mul) & (s[5] >= VARIABLE)
    sums = root & total & (s[2] == mul) & (s[4] >= VARIABLE) & (s[5] == mul) & (s[7] >= VARIABLE) & (s[4] != s[7])
    numbers = torch.nn.functional.pad(e.constants, (0, 2))
    slot = e.number_slot + ~e.is_number  # of the first number at or after a symbol that is none
    a, b = numbers.gather(1, slot), numbers.gather(1, slot + 1)
    return (sums | (affine & (a < 0.999 * b.abs() / (POINTS - 1) ** 0.5))).any(1)


# ---------------------------------------------------------------- science
def _science_expressions(dimensions, vocabulary: Vocabulary, generator, exact: bool) -> Expressions:
    trees = science_trees(dimensions, vocabulary, generator, irrelevant=0.0 if exact else IRRELEVANT)
    return science_numbers(trees, vocabulary, generator)


def _attempt_science(dimensions, vocabulary: Vocabulary, generator, exact: bool) -> Attempts:
    points = sample_science_points(dimensions, generator)
    which = _by_size(dimensions, points)
    dimensions, points = dimensions[which], points[which]
    raw = _science_expressions(dimensions, vocabulary, generator, exact)
    x = mixed(points, dimensions, generator)
    y, good = _evaluate(raw, x, points, SCIENCE_LARGEST)
    good &= raw.lengths <= SCIENCE_LENGTH
    n = points[:, None]
    x, square = x.double(), y.square()
    power = square.sum(1)
    scale_y = (power / points).sqrt()
    inside = torch.arange(y.shape[1], device=y.device) < n
    spread = torch.where(inside, y - y.sum(1, keepdim=True) / n, 0.0).square().sum(1)
    good &= power.square() > EFFECTIVE_POINTS * points * square.square().sum(1)
    good &= (spread > RELATIVE_SPREAD**2 * power) & (scale_y > 1 / SCIENCE_LARGEST)
    scale_x = (x.square().sum(1) / n).sqrt()
    scale_x, scale_y = torch.where(scale_x > 0, scale_x, 1.0), torch.where(good, scale_y, 1.0)
    laws = _in_scaled_variables(raw, scale_x, scale_y)
    y = y / scale_y[:, None]
    y = (y if exact else _noisy(y, generator)) * inside
    return Examples(laws, x / scale_x[:, None], y, points, dimensions), which, good


def _in_scaled_variables(e: Expressions, scale_x: torch.Tensor, scale_y: torch.Tensor) -> Expressions:
    """f(x̃·s)/t: a free factor before each variable and before the whole."""
    extra = torch.tensor([e.vocabulary.id("mul"), NUMBER], device=e.device).expand(*e.codes.shape, 2)
    codes = splice(e.codes, 2 * (e.codes >= VARIABLE), extra)
    own = (codes == CONSTANT) | (codes == LITERAL)
    padded = torch.nn.functional.pad(e.constants, (0, 1))
    values = padded.gather(1, (own.cumsum(1) - 1).clamp(0, e.constants.shape[1]))
    following = torch.nn.functional.pad(codes[:, 1:] - VARIABLE, (0, 1)).clamp(0, scale_x.shape[1] - 1)
    values = torch.where(codes == NUMBER, scale_x.gather(1, following), values)
    scaled = with_values(torch.where(codes == NUMBER, CONSTANT, codes), values, e.vocabulary)
    return constant(1 / scale_y, e.vocabulary, e.device) * scaled


def _noisy(y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """y of root mean square 1 with multiplicative or additive gaussian noise on half of the rows."""
    draw = torch.rand(3, len(y), 1, generator=generator, device=y.device, dtype=y.dtype)
    low, high = NOISE
    level = torch.where(draw[0] < NOISE_FREE, 0.0, low * (high / low) ** draw[1])
    scatter = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype) * level
    return y + scatter * torch.where(draw[2] < 0.5, y, 1.0)
