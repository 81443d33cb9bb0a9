"""Template: a law of known outer form with parts to be searched, e.g. "A*exp(-k*t) + f(T)".

A candidate is the outline with an expression in the place of each part. For the search of one part the others and
the constants are held as they are in a good candidate: then each observation tells which value the part must have
there, by inverting the outline numerically, and the whole search works on these values as on any target. What it
proposes is put into the outline and refined as a whole. The first values come from parts that are polynomials.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from sr_accessor.errors import InputError, OptionError, ParseError, nearest
from sr_accessor.expressions.batch import Expressions, concatenate, join, literal, variable
from sr_accessor.expressions.build import linear_combination, power
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.jacobian import input_derivative
from sr_accessor.expressions.parse import ALIASES, parse_model
from sr_accessor.expressions.text import IDENTIFIER
from sr_accessor.expressions.vocabulary import CONSTANT, LITERAL, VARIABLE, Vocabulary
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.refinement.refine import refine
from sr_accessor.search.guesses import NAME, START, unknown_names
from sr_accessor.search.selection import Data

__all__ = ["Part", "Template", "read_template"]

#: Newton steps of the inversion, halvings of one step; what counts as solved, relative to the spread of y.
NEWTON_STEPS, HALVINGS, SOLVED = 30, 6, 1e-8
#: A row says nothing about a part whose value hardly matters there, relative to the row where it matters most.
MATTERS = 1e-6
#: Degrees of the first polynomials, most terms of one, restarts and steps of their refinement, rows used.
DEGREES, MOST_TERMS, RESTARTS, STEPS, ROWS = range(6), 30, 30, 40, 400
#: Rows that a part's search needs.
LEAST_ROWS = 6


@dataclass(frozen=True)
class Part:
    """A searched part: its name, the indices of its variables, where it stands in the outline's code."""

    name: str
    variables: tuple[int, ...]
    position: int


@dataclass(frozen=True)
class Template:
    """The known outer form.

    Parameters
    ----------
    text : as the user wrote it
    outline : one row; part j stands as variable D + j
    parts : in the order in which they stand
    dimensions : D
    """

    text: str
    outline: Expressions
    parts: tuple[Part, ...]
    dimensions: int

    def filled(self, contents: Sequence[Expressions], numbers: torch.Tensor | None = None) -> Expressions:
        """The outline with `contents[j]` in the place of part j.

        Parameters
        ----------
        contents : one batch for each part; B rows, or one for all
        numbers : (B, K) or (1, K) for the outline's own numbers; None: as they are
        """
        outline = self.outline.to(contents[0].device)
        outline = outline if numbers is None else _repeated(outline, numbers)
        pieces, begin = [], 0
        for part, content in zip(self.parts, contents, strict=True):
            pieces += [_stretch(outline, begin, part.position), content]
            begin = part.position + 1
        return join(*pieces, _stretch(outline, begin, outline.codes.shape[1])).trimmed()

    def located(self, wholes: Expressions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Which candidates are the outline with something in each part, where the parts stand, the outline's numbers.

        Returns
        -------
        fits (B,) bool, positions (B, P), numbers (B, K); meaningless where it does not fit
        """
        rows, length = wholes.codes.shape
        index = torch.arange(rows, device=wholes.device)
        fits = torch.ones(rows, dtype=torch.bool, device=wholes.device)
        at = torch.zeros(rows, dtype=torch.int64, device=wholes.device)
        positions, slots = [], []
        for code in self.outline.codes[0].tolist():  # positions of the outline
            fits = fits & (at < length)
            here = at.clamp(max=max(length - 1, 0))
            found = wholes.codes[index, here]
            if code >= VARIABLE + self.dimensions:
                positions.append(here)
                at = wholes.ends[index, here]
                own = torch.tensor(
                    [VARIABLE + d for d in self.parts[len(positions) - 1].variables], device=found.device
                )
                strange = (wholes.codes >= VARIABLE) & ~torch.isin(wholes.codes, own)
                place = torch.arange(length, device=found.device)
                fits = fits & ~(strange & (place >= here[:, None]) & (place < at[:, None])).any(1)
                continue
            if code in (CONSTANT, LITERAL):
                slots.append(wholes.number_slot[index, here])
                fits = fits & ((found == CONSTANT) | (found == LITERAL))
            else:
                fits = fits & (found == code)
            at = here + 1
        fits = fits & (at == wholes.lengths)
        columns = torch.stack(slots, 1) if slots else at.new_zeros(rows, 0)
        columns = columns.clamp(max=max(wholes.constants.shape[1] - 1, 0))
        return fits, torch.stack(positions, 1), wholes.constants.gather(1, columns)

    def contents(self, wholes: Expressions) -> tuple[list[Expressions], torch.Tensor]:
        """The parts of candidates that fit, and the outline's numbers (B, K) in them."""
        _, positions, numbers = self.located(wholes)
        rows = torch.arange(len(wholes), device=wholes.device)
        return [wholes.subexpression(rows, positions[:, j]) for j in range(len(self.parts))], numbers

    def placed(self, contents: Expressions, j: int) -> Expressions:
        """Expressions of a part's own variables 0, 1 … as expressions of the table's variables."""
        own = torch.tensor(self.parts[j].variables, device=contents.device)
        index = (contents.codes - VARIABLE).clamp(0, len(own) - 1)
        codes = torch.where(contents.codes >= VARIABLE, VARIABLE + own[index], contents.codes)
        return Expressions(codes, contents.constants, contents.vocabulary)

    def own(self, contents: Expressions, j: int) -> Expressions:
        """The way back from `placed`."""
        own = torch.full((self.dimensions,), 0, device=contents.device)
        own[list(self.parts[j].variables)] = torch.arange(len(self.parts[j].variables), device=contents.device)
        index = (contents.codes - VARIABLE).clamp(0, self.dimensions - 1)
        codes = torch.where(contents.codes >= VARIABLE, VARIABLE + own[index], contents.codes)
        return Expressions(codes, contents.constants, contents.vocabulary)

    def polynomials(self, data: Data, generator: torch.Generator) -> Expressions:
        """Candidates whose parts are polynomials of rising degree, refined from many starts."""
        x = data.x[:ROWS]
        y, weight = data.y[:ROWS], None if data.weight is None else data.weight[:ROWS]
        found = []
        for degree in DEGREES:
            contents = [_polynomial(part, degree, x, self.outline.vocabulary) for part in self.parts]
            terms = sum(int(content.free.sum()) for content in contents)
            if terms > min(MOST_TERMS, len(x) / 3) and found:
                break
            found.append(self.filled(contents))
        many = {"restarts": RESTARTS, "generator": generator, "steps": STEPS}
        refined = refine(concatenate(found), x, y, weight, **many)
        return refined.expressions[torch.argsort(refined.loss, stable=True)]

    def problem(self, whole: Expressions, j: int, data: Data) -> Data | None:
        """What part j must be, if everything else in the candidate `whole` is right.

        Returns
        -------
        Data : the part's variables, its value where the outline can be inverted, and that value's standard error
            (relative, where the data have none); None where too few rows tell it
        """
        contents, numbers = self.contents(whole)
        value = evaluate(contents[j], data.x)[0][0]
        contents[j] = variable([self.dimensions], whole.vocabulary, whole.device)
        known = self.filled(contents, numbers)
        close = SOLVED * data.y.std()

        def at(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            values, slopes = input_derivative(known, torch.cat([data.x, z[:, None]], 1))
            return data.y - values[0], slopes[0, self.dimensions]

        value = torch.where(value.isfinite(), value, 0.0)
        residual, slope = at(value)
        for _ in range(NEWTON_STEPS):
            step = torch.where(slope != 0, residual / slope, 0.0)
            step = torch.where(step.isfinite(), step, 0.0)
            for _ in range(HALVINGS):  # each row halves its own step until it helps
                trial, trial_slope = at(value + step)
                better = trial.abs() < residual.abs()
                step = torch.where(better | (residual.abs() <= close), step, step / 2)
                if bool((better | (residual.abs() <= close)).all()):
                    break
            value = torch.where(better, value + step, value)
            residual, slope = torch.where(better, trial, residual), torch.where(better, trial_slope, slope)
            if not bool(better.any()):
                break
        told = (residual.abs() <= close) & value.isfinite() & slope.isfinite()
        told &= slope.abs() > MATTERS * torch.where(told, slope.abs(), 0.0).amax()
        rows = told.nonzero()[:, 0]
        if len(rows) < LEAST_ROWS or not float(value[rows].std()) > 1e-12 * float(value[rows].abs().mean()):
            return None
        sigma = data.screening_sigma / slope.abs()
        own = data.x[rows][:, list(self.parts[j].variables)]
        # Values that were computed scatter as y does divided by the slope: normally, whatever counts y itself.
        stated = data.plain and data.sigma is not None
        return Data(own, value[rows], sigma[rows], data.noise if stated else Gaussian(absolute=False))


def _repeated(outline: Expressions, numbers: torch.Tensor) -> Expressions:
    return Expressions(outline.codes.expand(len(numbers), -1), numbers, outline.vocabulary)


def _stretch(outline: Expressions, begin: int, end: int) -> Expressions:
    """Positions [begin, end) of the outline's code with their numbers: an unfinished prefix, for `join` only."""
    first, last = (int(outline.is_number[0, :i].sum()) for i in (begin, end))
    return Expressions(outline.codes[:, begin:end], outline.constants[:, first:last], outline.vocabulary)


def _polynomial(part: Part, degree: int, x: torch.Tensor, vocabulary: Vocabulary) -> Expressions:
    """A polynomial of total degree `degree` in the part's variables, each centred and scaled by literals."""
    device = x.device
    centred = []
    for d in part.variables:
        middle, width = float(x[:, d].mean()), float(x[:, d].std()) or 1.0
        shift, scale = (literal([v], vocabulary, device) for v in (middle, width))
        centred.append((variable([d], vocabulary, device) - shift) / scale)
    grid = torch.cartesian_prod(*[torch.arange(degree + 1)] * len(centred)).reshape(-1, len(centred))
    terms = []
    for exponents in grid[grid.sum(1) <= degree].tolist():
        factors = [
            power(u, torch.tensor([float(e)], device=device), vocabulary)
            for u, e in zip(centred, exponents, strict=True)
            if e
        ]
        term = literal([1.0], vocabulary, device)
        for i, factor in enumerate(factors):
            term = term * factor if i else factor
        terms.append(term)
    ones = torch.ones(1, len(terms), dtype=torch.float64, device=device)
    return linear_combination(terms, ones, ones.bool())


# ---------------------------------------------------------------------- reading
def read_template(text: str, vocabulary: Vocabulary, names: Sequence[Hashable]) -> Template:
    """A template from text.

    Parameters
    ----------
    text : e.g. "A*exp(-k*t) + f(T)". Names that are neither features nor known constants are free constants; a
        call of an unknown function, with features as its arguments, is a part to be searched in which only these
        features may occur. Numbers stay as they are.

    Raises
    ------
    ParseError : not an expression; says where.
    InputError : no part, a part or a constant that stands twice, arguments that are no features.
    OptionError : not text.
    """
    if not isinstance(text, str):
        raise OptionError(f"template={text!r}; give text such as 'A*exp(-k*t) + f(T)'")
    functions = {o.name for o in vocabulary.operators} | set(ALIASES)
    labels = [str(name) for name in names]
    plain, calls = text, []
    for match in NAME.finditer(text):
        if match["name"] and match["call"] and match["name"] not in functions:
            arguments, end = _arguments(text, match, labels)
            # As long as the call itself, so that errors point to the right place.
            stand_in = f"_part{len(calls)}_"[: end - match.start()].ljust(end - match.start(), "_")
            stand_in = _unused(stand_in, [text, *labels, *(name for name, _, _ in calls)])
            plain = plain[: match.start()] + stand_in + plain[end:]
            calls.append((stand_in, match["name"], arguments))
    if not calls:
        raise InputError(f"template {text!r} has nothing to search; write a part such as f({labels[0]})")
    _check_once([name for _, name, _ in calls], "part", text)
    known = [*labels, *(stand_in for stand_in, _, _ in calls)]
    unknown = unknown_names(plain, vocabulary, known)
    found = [match["name"] for match in NAME.finditer(plain) if match["name"] in unknown]
    _check_once(found, "constant", text)
    try:
        outline = parse_model(plain, vocabulary, known, dict.fromkeys(unknown, START)).expressions
    except ParseError as error:
        raise ParseError(str(error).splitlines()[0], text, error.position) from error
    parts = []
    for position, code in enumerate(outline.codes[0].tolist()):
        if code >= VARIABLE + len(labels):
            _, name, arguments = calls[code - VARIABLE - len(labels)]
            parts.append(Part(name, tuple(labels.index(label) for label in arguments), position))
    return Template(text, outline, tuple(parts), len(labels))


def _arguments(text: str, match: re.Match, labels: Sequence[str]) -> tuple[list[str], int]:
    """The labels between the brackets of a call, and where it ends."""
    one = rf"\s*(?:{IDENTIFIER.pattern}|`(?:[^`]|``)*`)\s*"
    inside = re.compile(rf"{one}(?:,{one})*\)").match(text, match.end())
    name = match["name"]
    if inside is None:
        raise ParseError(
            f"{name!r} is no known function, so it is a part to be searched; give features as its arguments, "
            f"e.g. {name}({labels[0]})",
            text,
            match.start(),
        )
    given = [a.strip() for a in re.findall(one, inside.group())]
    given = [a[1:-1].replace("``", "`") if a.startswith("`") else a for a in given]
    for label in given:
        if label not in labels:
            raise InputError(
                f"template: part {name!r} depends on {label!r}, which is no feature; {nearest(label, labels)}"
            )
    _check_once(given, "argument", text)
    return given, inside.end()


def _check_once(names: Sequence[str], kind: str, text: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"template {text!r}: the {kind} {name!r} stands twice, and its two places could not be kept equal; "
                "write it once (factor it out), or give the places different names"
            )


def _unused(name: str, taken: Sequence[str]) -> str:
    """A name of the same length that occurs nowhere in the texts `taken`."""
    for letter in "_ƒφψξηζ":
        candidate = name.replace("_", letter)
        if not any(candidate in text for text in taken):
            return candidate
    raise InputError(f"template: the labels leave no name for a part; rename a feature that looks like {name!r}")
