"""FitOptions: every keyword of a fit that is not about the table, its default and what it may be."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from os import PathLike
from typing import Any

from sr_accessor.constraints import Constraints, Shape
from sr_accessor.errors import InputError, OptionError, brief, nearest

__all__ = ["SESSION", "FitOptions", "check_keywords"]

#: With validation="auto": this share is held out, but never so much that fewer rows than this are left to learn from.
HELD_OUT, FEWEST_TRAINING_ROWS = 0.2, 20
#: Options of fits that do not name them, as `sr_accessor.set_options` left them.
SESSION: dict[str, Any] = {}
#: Keywords of other programs, and how to say the same here.
ELSEWHERE = {
    "p0": "start={'a': 1.0}, the first values by name",
    "binary_operators": "operators=['add', 'mul', ...], those of one argument too",
    "unary_operators": "operators=['exp', 'log', ...], those of two arguments too",
    "maxsize": "constraints=sr_accessor.Constraints(max_complexity=...)",
    "niterations": "max_rounds=..., or timeout=... in seconds",
    "model_selection": "select='mdl'",
    "yerr": "sigma=...",
    "xerr": "sigma_x={'t': ...}",
    "X_units": "units={'m': 'kg'}, columns and their units",
}


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to look for a law.

    Parameters
    ----------
    noise : how y scatters about the law: a NoiseModel, or the name of one: "gaussian", "heteroscedastic",
        "multiplicative", "lognormal", "student_t" (outliers), "laplace", "poisson", "negative_binomial", "binomial"
        (y is a share, `sample_weight` the number of trials); "auto" takes additive, relative or counting errors,
        whichever describe the data in fewer bits
    operators : which operators may stand in the law: name of a vocabulary, list of names and Operators, or a
        Vocabulary; ["-tan", "-abs"] means the default ones without these, ["spectroscopy", "-exp", "+erf"] a named
        vocabulary without some and with others
    network : name of the network that drafts laws ("default" is the bundled one), a path to its weights, or None
    select : name of the rule that chooses one law of the front
    constraints : limits of the law's form, a `Constraints`, or None
    guesses : laws to start from: texts such as "a*x**2 + b" (unknown names are free constants) or sympy expressions
    constants : {name: value} of known numbers that the law may use, such as {"g": 9.81}
    template : known outer form such as "A*exp(-k*t) + f(T)"; what is called like an unknown function of features is
        searched, other unknown names are free constants
    shape : `monotone`, `positive`, `limit`, or `shape` for a plugin's: what the law must be like in the box that the
        data span
    units : "report" tells the unit of each constant; "strict" admits only laws whose units fit together while their
        constants have none; None ignores units; {label: unit} says units that the table does not, and reports
    validation : share of the rows (0 to 0.5) held out to judge the front; None holds out none;
        "auto" holds out a fifth if 20 rows or more are left to learn from, else none; a table like the fitted one, with
        the rows to judge by; or what parts a DataFrame as scikit-learn's ``ShuffleSplit(n_splits=1)`` does, once
    timeout : seconds after which no new round begins (math.inf: only `max_rounds` ends the search)
    max_rounds : number of rounds; None: as many as the time allows. With equal `random_state` and equal
        number of rounds two fits are the same
    device : "auto", "cpu", "cuda", "cuda:1" …
    random_state : seed; None draws one, which the result records
    progress : True, False, or "auto" (where someone is watching)
    callbacks : functions called with the state after each round
    checkpoint : path of a file that holds the result so far, with its data, from the first round on; written whole,
        every few seconds between rounds. `sr_accessor.load(path).resume()` goes on after a crash. None: no file

    Raises
    ------
    OptionError : a keyword of the wrong kind.
    InputError : a keyword out of its range.
    """

    noise: Any = "gaussian"
    operators: Any = "default"
    network: Any = "default"
    select: str = "mdl"
    constraints: Constraints | None = None
    guesses: tuple[Any, ...] = ()
    constants: Mapping[str, float] | None = None
    template: str | None = None
    shape: tuple[Shape, ...] = ()
    units: str | Mapping[Hashable, str] | None = "report"
    validation: Any = "auto"
    timeout: float = 10.0
    max_rounds: int | None = None
    device: Any = "auto"
    random_state: int | None = None
    progress: bool | str = "auto"
    callbacks: tuple[Callable[[Any], Any], ...] = ()
    checkpoint: str | PathLike | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "callbacks", _several(self.callbacks))
        object.__setattr__(self, "guesses", _several(self.guesses))
        object.__setattr__(self, "shape", _several(self.shape))
        if isinstance(self.operators, list):
            object.__setattr__(self, "operators", tuple(self.operators))
        for name, value, right, wanted in (
            (
                "operators",
                self.operators,
                lambda v: isinstance(v, Iterable) and v != (),
                "a name, a list of names or a Vocabulary",
            ),
            ("network", self.network, _is((str, PathLike), None), "a name, a path or None"),
            ("select", self.select, _is(str), "a name"),
            ("constraints", self.constraints, _is(Constraints, None), "sr_accessor.Constraints(...) or None"),
            ("constants", self.constants, _is(Mapping, None), 'a dictionary such as {"g": 9.81} or None'),
            ("template", self.template, _is(str, None), "text such as 'A*exp(-k*t) + f(T)', or None"),
            ("shape", self.shape, lambda given: all(map(_is(Shape), given)), "monotone(...), positive(), limit(...)"),
            ("units", self.units, _is(Mapping, None, "report", "strict"), "'report', 'strict', {label: unit} or None"),
            ("callbacks", self.callbacks, lambda given: all(map(callable, given)), "functions of the state"),
            ("checkpoint", self.checkpoint, _is((str, PathLike), None), "a path or None"),
            ("progress", self.progress, _is(bool, "auto"), "True, False or 'auto'"),
            ("timeout", self.timeout, _is(Real), "a number of seconds"),
            ("max_rounds", self.max_rounds, _is(Integral, None), "a whole number or None"),
            ("random_state", self.random_state, _is(Integral, None), "a whole number or None"),
            ("validation", self.validation, _is_validation, "a share, a table, a splitter, None or 'auto'"),
        ):
            if not right(value):
                raise OptionError(f"{name}={brief(value)}; give {wanted}")
        for name, value, right, wanted in (
            ("timeout", self.timeout, lambda v: v > 0, "seconds above 0"),
            ("max_rounds", self.max_rounds, lambda v: v >= 1, "a whole number from 1"),
            ("random_state", self.random_state, lambda v: v >= 0, "a whole number from 0"),
            ("validation", self.validation, lambda v: 0 < v <= 0.5, "a share between 0 and 0.5"),
        ):
            if isinstance(value, Real) and not right(value):
                raise InputError(f"{name}={value!r} is out of range; give {wanted}")

        if self.guesses and self.template is not None:
            raise InputError("guesses and a template exclude each other; write the guess as the template, or leave one")

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any], others: Iterable[str] = ()) -> FitOptions:
        """Options from the keywords of a call whose own keywords are `others`; else those of this session.

        Raises
        ------
        OptionError : a keyword that neither knows, with the nearest ones.
        """
        check_keywords(keywords, [*others, *(field.name for field in fields(cls))])
        return cls(**SESSION | keywords)

    @property
    def asked(self) -> dict[str, Any]:
        """What the law has to be like, in words."""
        form = () if self.constraints is None else self.constraints.words
        return {
            "constraints": [*form, *(shape.words for shape in self.shape)],
            "guesses": [str(guess) for guess in self.guesses],
            "constants": dict(self.constants or {}),
            "template": self.template,
        }

    @property
    def names_its_judges(self) -> bool:
        """Whether `validation` says which rows judge the front, not how many."""
        return not isinstance(self.validation, (Real, str, type(None)))

    def rows_held_out(self, n: int) -> int:
        """How many of `n` rows, drawn at random, judge the front instead of teaching it.

        Raises
        ------
        OptionError : `validation` says which; only `sr_accessor.fit` of one table in memory knows these.
        """
        if self.names_its_judges:
            raise OptionError(
                f"validation={type(self.validation).__name__}(...) is for one DataFrame or one table of xarray in "
                "memory; give a share of the rows here"
            )
        if self.validation is None:
            return 0
        if self.validation != "auto":
            return round(self.validation * n)
        held_out = int(HELD_OUT * n)
        return held_out if n - held_out >= FEWEST_TRAINING_ROWS else 0


def check_keywords(keywords: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise OptionError for a keyword that is not known, with the nearest ones, and for `weights`."""
    known = list(known)
    for name, value in keywords.items():
        if name == "weights":
            raise OptionError(
                "weights= means 1/s to some programs and 1/s**2 to others. If w = 1/s (lmfit, np.polyfit), give "
                "sigma=1/w; if w = 1/s**2 (scikit-learn), give sample_weight=w, or sigma=1/sqrt(w)"
            )
        if name not in known:
            here = ELSEWHERE.get(name, "")
            hint = f"write {here}" if here.partition("=")[0] in known else nearest(name, known, shown=len(known))
            raise OptionError(f"no keyword {name}={brief(value)}; {hint}")


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)


def _is_validation(value: Any) -> bool:
    """Whether it is a share, or a table or what parts one, by the methods that these have."""
    given = not isinstance(value, str) and any(hasattr(value, name) for name in ("split", "columns", "dims"))
    return given or _is(Real, None, "auto")(value)


def _is(kind: type | tuple[type, ...], *words: Any) -> Callable[[Any], bool]:
    """Whether a value is of this kind, or one of these words; a bool is not a number here."""
    return lambda value: (
        (isinstance(value, kind) and (kind is bool or not isinstance(value, bool)))
        or any(value is word or (isinstance(word, str) and isinstance(value, str) and value == word) for word in words)
    )
