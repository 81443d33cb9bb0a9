"""Record: everything that a file says about a result, and its way into a JSON document and back.

With the rows a record is all there is to know; without them it holds what predictions, bands, reports and exports
need instead: covariances, misfits, ranges. It knows the parts of a result, not the result.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

import torch

from sr_accessor.constraints import Constraints, Limit, Monotone, Positive, Shaped
from sr_accessor.errors import InputError, LoadError, NoiseModelError, OptionError, SymRegWarning, UnknownNameError
from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import CONSTANT, FIRST_OPERATOR, LITERAL, PAD, VARIABLE, Vocabulary
from sr_accessor.files.pause import Pause
from sr_accessor.files.values import (
    array,
    from_array,
    from_label,
    from_number,
    from_tensor,
    label,
    number,
    plain,
    read,
    tensor,
)
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import BY_ROW, Observations
from sr_accessor.options import FitOptions
from sr_accessor.plugins.catalogue import BUILTIN, NOTEBOOK
from sr_accessor.plugins.manager import catalogue, vocabulary
from sr_accessor.refinement.likelihood import Parameters
from sr_accessor.search.constants import with_constants
from sr_accessor.search.front import Front
from sr_accessor.search.selection import Scored
from sr_accessor.summary import Summary
from sr_accessor.uncertainty.laplace import Laplace
from sr_accessor.version import __version__

__all__ = [
    "Findings",
    "Record",
    "from_document",
    "from_observations",
    "from_remarks",
    "observations_of",
    "remarks_of",
    "to_document",
]

#: Laws of one file, symbols of one law, variables.
MOST_LAWS, MOST_SYMBOLS, MOST_VARIABLES = 10_000, 1_000, 100_000


@dataclass(frozen=True, eq=False)
class Findings:
    """What the rows say about the F laws of a front.

    Parameters
    ----------
    laplace : covariance of the constants
    squares : mean of r² and of (r/σ)², (F,) each
    held_out_squares : the same of the held-out rows, or None
    rounded : (F, K) the constants in the digits that the error bars justify
    own_errors : (F,) standard error of each law, root mean square over the rows
    form_spread : standard deviation of near-front laws
    scattered : for each law the noise model's own parameters (1, P), and the usual error bar or None
    """

    laplace: Laplace
    squares: tuple[torch.Tensor, torch.Tensor]
    held_out_squares: tuple[torch.Tensor, torch.Tensor] | None
    rounded: torch.Tensor
    own_errors: torch.Tensor
    form_spread: float
    scattered: tuple[tuple[torch.Tensor, float | None], ...]

    def of(self, row: int, expression: Expressions) -> dict[str, Any]:
        """What an `Equation` need not compute: the law in this row, whose expression is given."""
        rounded = expression.with_constants(self.rounded[row : row + 1, : expression.constants.shape[1]])
        return {"rounded": rounded, "_scattered": self.scattered[row]}

    def only(self, row: int) -> Findings:
        """What they say about one law."""
        at, held_out = slice(row, row + 1), self.held_out_squares
        return Findings(
            self.laplace[row], tuple(part[at] for part in self.squares),
            None if held_out is None else tuple(part[at] for part in held_out), self.rounded[at], self.own_errors[at],
            self.form_spread, self.scattered[at],
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Record:
    """The parts of a result, as `FitResult` takes them, and what was found out from the rows."""

    observations: Observations | Summary
    held_out: Observations | Summary | None
    front: Front
    noise: NoiseModel
    parameters: Parameters | None
    rule: str | int
    status: str
    rounds: int
    seconds: float
    provenance: Mapping[str, Any]
    remarks: tuple[SymRegWarning, ...]
    findings: Findings | None
    pause: Pause | None

    def only(self, row: int) -> Record:
        """The record of a result that found one law of the front alone."""
        at, front = slice(row, row + 1), self.front
        return replace(
            self, front=Front(front.expressions[at], front.loss[at], front.bits[at], front.origins[at]), pause=None,
            rule=self.rule if isinstance(self.rule, str) else 0,
            findings=None if self.findings is None else self.findings.only(row),
        )  # fmt: skip


# ---------------------------------------------------------------------- to a document
def to_document(record: Record) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document of a record, and its times.

    Raises
    ------
    InputError : a label that no file can hold.
    """
    e = record.front.expressions
    batches = [e] if record.pause is None else [e, record.pause.front.expressions, record.pause.population.expressions]
    operators = list(dict.fromkeys(o for batch in batches for o in _used(batch)))
    # A named number is an operator that only this law knows; its value is what it gives.
    named = [o for o in operators if o.arity == 0 and _owner("operators", o, "torch") == NOTEBOOK]
    constants = {o.name: float(o.torch()) for o in named if o.name not in catalogue().operators}
    document = {
        "sr_accessor": __version__,
        "data": from_observations(record.observations),
        "held_out": None if record.held_out is None else from_observations(record.held_out),
        "noise": _from_noise(record.noise),
        "operators": [_from_operator(o) for o in operators if o.name not in constants],
        "constants": constants,
        "parameters": None if record.parameters is None else _from_parameters(record.parameters),
        "laws": [
            {"equation": f"{record.observations.target} = {text}"} | law
            for text, law in zip(to_text(e, record.observations.names), from_expressions(e), strict=True)
        ],
        "loss": from_tensor(record.front.loss),
        "bits": from_tensor(record.front.bits),
        "origins": list(record.front.origins),
        "findings": None
        if record.findings is None
        else _from_findings(record.findings, _slots(record), e.number_counts),
        "rule": record.rule,
        "status": record.status,
        "rounds": record.rounds,
        "remarks": from_remarks(record.remarks),
        "provenance": plain(record.provenance),
        "search": None if record.pause is None else _from_pause(record.pause),
    }
    return document, {"seconds": from_number(record.seconds)}


def from_observations(o: Observations | Summary) -> dict[str, Any]:
    """Observations as a file has them: what is said about them, and their rows if they are here."""
    said = {
        "target": from_label(o.target),
        "names": [from_label(name) for name in o.names],
        "target_unit": o.target_unit,
        "units": list(o.units),
        "count": o.count,
        "low": [from_number(value) for value in o.low.tolist()],
        "high": [from_number(value) for value in o.high.tolist()],
        "variance": from_number(o.variance),
        "has_sigma": o.has_sigma,
        "has_weight": o.has_weight,
        "absolute_sigma": o.absolute_sigma,
        "dropped": [[from_label(name), count] for name, count in o.dropped.items()],
        "remarks": from_remarks(o.remarks),
        "sha256": o.data_hash,
    }
    if isinstance(o, Observations):
        said["rows"] = {name: from_array(getattr(o, name)) for name in BY_ROW}
    return said


def from_remarks(remarks: Sequence[SymRegWarning]) -> list[list[str]]:
    """Code and sentence of each."""
    return [[remark.code, remark.message] for remark in remarks]


def _owner(kind: str, thing: Any, same: str) -> str:
    """The plugin that a thing is of; a notebook's own where it is of none."""
    entry = getattr(catalogue(), kind).get(thing.name, {})
    return next((owner for owner, one in entry.items() if getattr(one, same) is getattr(thing, same)), NOTEBOOK)


def _origin(plugin: str) -> dict[str, str]:
    found = next((p for p in catalogue().plugins if p.name == plugin), None)
    origin = "" if found is None else f"{found.distribution} {found.version}".strip()
    return {"plugin": plugin} | ({"distribution": origin} if origin else {})


def _from_noise(noise: NoiseModel) -> dict[str, Any]:
    own = {field.name: getattr(noise, field.name) for field in fields(noise) if field.name != "name"}
    settings = {name: value for name, value in own.items() if value is None or isinstance(value, bool | Real | str)}
    return {"name": noise.name} | _origin(_owner("noise_models", noise, "__class__")) | {"settings": plain(settings)}


def _used(e: Expressions) -> list[Operator]:
    codes = torch.unique(e.codes).tolist()
    return [e.vocabulary.operator(code) for code in codes if FIRST_OPERATOR <= code < VARIABLE]


def _from_operator(o: Operator) -> dict[str, Any]:
    return {"name": o.name} | _origin(_owner("operators", o, "torch")) | {"arity": o.arity, "cost": o.cost}


def _from_parameters(p: Parameters) -> dict[str, Any]:
    return {
        "index": p.index.tolist(),
        "lower": from_tensor(p.lower),
        "upper": from_tensor(p.upper),
        "free": p.free[0].tolist(),
        "names": list(p.names),
    }


def from_expressions(e: Expressions) -> list[dict[str, Any]]:
    """Each expression as its prefix form ("$0" a variable, "?" a free number, "=" a fixed one), and its numbers."""
    names = {PAD: "", CONSTANT: "?", LITERAL: "="} | {e.vocabulary.id(o.name): o.name for o in _used(e)}
    counts, lengths = e.number_counts.tolist(), e.lengths.tolist()
    return [
        {
            "prefix": [names[c] if c < VARIABLE else f"${c - VARIABLE}" for c in codes[:length]],
            "numbers": [from_number(v) for v in numbers[:count]],
        }
        for codes, numbers, length, count in zip(e.codes.tolist(), e.constants.tolist(), lengths, counts, strict=True)
    ]


def _slots(record: Record) -> list[int]:
    """How many constants each law's covariance is about."""
    if record.parameters is not None:
        return [len(record.parameters.names)] * len(record.front)
    return record.front.expressions.number_counts.tolist()


def _from_findings(found: Findings, slots: Sequence[int], numbers: torch.Tensor) -> list[dict[str, Any]]:
    """What is common to all laws, and one entry for each."""
    laplace, held_out = found.laplace, found.held_out_squares
    entries = []
    for i, k in enumerate(slots):
        own, usual = found.scattered[i]
        at = (i, slice(k), slice(k))
        entries.append(
            {
                "squares": [from_number(float(part[i])) for part in found.squares],
                "held_out_squares": None if held_out is None else [from_number(float(part[i])) for part in held_out],
                "rounded": from_tensor(found.rounded[i, : int(numbers[i])]),
                "own_error": from_number(float(found.own_errors[i])),
                "scatter": {"own": from_tensor(own[0]), "usual": None if usual is None else from_number(usual)},
                "degrees": int(laplace.degrees[i]),
                "variance": from_number(float(laplace.variance[i])),
                "covariance": from_tensor(laplace.covariance[at]),
                "root": from_tensor(laplace.root[at]),
                "null": from_tensor(laplace.null[at]) if bool((laplace.null[i] != 0).any()) else None,
            }
        )
    return [{"absolute": laplace.absolute, "form_spread": from_number(found.form_spread)}, *entries]


def _from_pause(pause: Pause) -> dict[str, Any]:
    front, population = pause.front, pause.population
    return {
        "options": _from_options(pause.options),
        "seed": pause.seed,
        "round": pause.round,
        "waiting": pause.waiting,
        "exact": pause.exact,
        "quiet": pause.quiet,
        "doing": pause.doing,
        "proposed": dict(pause.proposed),
        **{
            name: {
                "laws": from_expressions(part.expressions),
                "loss": from_tensor(part.loss),
                "bits": from_tensor(part.bits),
                "origins": list(part.origins),
            }
            for name, part in (("front", front), ("population", population))
        },
        "stderr": from_tensor(population.stderr),
    }


#: Shapes of a law by the name that a file gives them.
_SHAPES = {"monotone": Monotone, "positive": Positive, "limit": Limit, "shaped": Shaped}


def _from_options(options: FitOptions) -> dict[str, Any]:
    """The options that a search goes on with; its noise, seed and rule stand elsewhere."""
    asked, constraints = vocabulary(options.operators), options.constraints
    kinds = {kind: name for name, kind in _SHAPES.items()}
    units = options.units
    return {
        "operators": [_from_operator(o) for o in asked],
        "network": None if options.network is None else os.fspath(options.network),
        "guesses": [str(guess) for guess in options.guesses],
        "constants": plain(options.constants),
        "template": options.template,
        "shape": [{kinds[type(one)]: [from_label(getattr(one, f.name)) for f in fields(one)]} for one in options.shape],
        "units": [[from_label(k), unit] for k, unit in units.items()] if isinstance(units, Mapping) else units,
        "constraints": None
        if constraints is None
        else {
            "max_complexity": constraints.max_complexity,
            "max_depth": constraints.max_depth,
            "require": [from_label(name) for name in constraints.require],
            "forbid": [from_label(name) for name in constraints.forbid],
            "max_uses": [[from_label(name), most] for name, most in constraints.max_uses.items()],
            "nested": {outer: dict(inner) for outer, inner in constraints.nested.items()},
            "costs": dict(constraints.costs),
        },
        "device": str(options.device),
        "validation": options.validation,
    }


# ---------------------------------------------------------------------- from a document
def from_document(document: Mapping[str, Any], time: Mapping[str, Any]) -> Record:
    """The record of a document.

    Raises
    ------
    LoadError : a part that is missing or not as `to_document` writes it; an operator or noise model that is not here.
    """
    get = document.get
    observations = observations_of(get("data"))
    operators = _vocabulary(get("operators"), get("constants"), observations.names)
    expressions = expressions_of(get("laws"), operators, len(observations.names))
    count = len(expressions)
    origins = read(get("origins"), list)
    front = Front(
        expressions,
        tensor(get("loss"), count),
        tensor(get("bits"), count),
        tuple(read(origin, str) for origin in origins),
    )
    if len(origins) != count:
        raise LoadError(f"{len(origins)} origins of {count} laws")
    parameters = _parameters(get("parameters"), front)
    held_out = None if get("held_out") is None else observations_of(get("held_out"))
    findings = None if get("findings") is None else _findings(get("findings"), front, parameters)
    if findings is None and isinstance(observations, Summary):
        raise LoadError("the file holds neither rows nor what was found out from them")
    if findings is not None and (findings.held_out_squares is None) != (held_out is None):
        raise LoadError("the file's held-out rows and the errors on them do not go together")
    return Record(
        observations=observations,
        held_out=held_out,
        front=front,
        noise=_noise(get("noise")),
        parameters=parameters,
        rule=_rule(get("rule"), count),
        status=read(get("status"), str),
        rounds=read(get("rounds"), int),
        seconds=number(time.get("seconds")),
        provenance=read(get("provenance"), dict),
        remarks=remarks_of(get("remarks")),
        findings=findings,
        pause=None if get("search") is None else _pause(get("search"), operators, observations),
    )


def _rule(given: Any, count: int) -> str | int:
    """A rule's name, or the row that was chosen by hand."""
    rule = read(given, (str, int))
    if isinstance(rule, int) and not 0 <= rule < count:
        raise LoadError(f"law {rule} is chosen, and there are {count}")
    return rule


def observations_of(given: Any) -> Observations | Summary:
    """Observations from what `from_observations` makes of them."""
    get = read(given, dict).get
    names = tuple(label(one) for one in read(get("names"), list))
    if len(names) > MOST_VARIABLES:
        raise LoadError(f"{len(names)} variables; {MOST_VARIABLES} are the most")
    count, d = read(get("count"), int), len(names)
    about = {
        "names": names,
        "target": label(get("target")),
        "units": tuple(read(unit, str, absent=None) for unit in read(get("units"), list)),
        "target_unit": read(get("target_unit"), str, absent=None),
        "absolute_sigma": read(get("absolute_sigma"), bool),
        "dropped": dict((label(name), read(n, int)) for name, n in _pairs(get("dropped"))),
        "remarks": remarks_of(get("remarks")),
    }
    if len(about["units"]) != d:
        raise LoadError(f"{len(about['units'])} units of {d} variables")
    said = read(get("sha256"), str)
    if (rows := read(get("rows"), dict, absent=None)) is None:
        return Summary(
            **about,
            count=count,
            low=tensor(get("low"), d).numpy(),
            high=tensor(get("high"), d).numpy(),
            variance=number(get("variance")),
            has_sigma=read(get("has_sigma"), bool),
            has_weight=read(get("has_weight"), bool),
            data_hash=said,
        )
    shapes = {"x": (count, d), "sigma_sides": (count, 2), "sigma_x": (count, d)}
    found = {name: array(rows.get(name), *shapes.get(name, (count,))) for name in BY_ROW}
    if any(found[name] is None for name in ("x", "y", "rows")) or count < 1:
        raise LoadError("the file's rows lack x, y or their positions")
    observations = Observations(**about, **found)
    if observations.data_hash != said:
        raise LoadError(f"the rows have SHA-256 {observations.data_hash}, and the file says {said[:80]!r}")
    return observations


def _pairs(given: Any) -> list[tuple[Any, Any]]:
    entries = read(given, list)
    if not all(isinstance(one, list) and len(one) == 2 for one in entries):
        raise LoadError(f"{str(given)[:80]!r} stands where pairs were expected")
    return [(one[0], one[1]) for one in entries]


def remarks_of(given: Any) -> tuple[SymRegWarning, ...]:
    """Remarks from what `from_remarks` makes of them."""
    return tuple(SymRegWarning(read(code, str), read(text, str)) for code, text in _pairs(given))


def _found(kind: str, words: str, given: Mapping[str, Any]) -> Any:
    """The operator or noise model that a file names, from the plugin that it was of."""
    name, plugin = read(given.get("name"), str), read(given.get("plugin"), str)
    try:
        return catalogue().find(kind, f"{plugin}:{name}")
    except UnknownNameError as error:
        origin = given.get("distribution") or plugin
        mend = f"install {origin!r}" if plugin != BUILTIN else "update sr-accessor"
        if plugin == NOTEBOOK:
            origin, mend = "a notebook", "register it there before loading"
        raise LoadError(f"the file needs the {words} {name!r} of {origin}; {mend}") from error


def _noise(given: Any) -> NoiseModel:
    noise, settings = _found("noise_models", "noise model", read(given, dict)), read(given.get("settings"), dict)
    known = {field.name: getattr(noise, field.name) for field in fields(noise) if field.name != "name"}
    for name, value in settings.items():
        if name not in known:
            raise LoadError(f"noise model {noise.name!r} has no setting {name[:80]!r}; update the plugin it is of")
        if isinstance(known[name], float) and not isinstance(value, bool):
            settings[name] = number(value)
        elif value is not None and known[name] is not None and type(value) is not type(known[name]):
            raise LoadError(f"noise model {noise.name!r}: {name} is {str(value)[:80]!r}")
    try:
        return replace(noise, **settings)
    except NoiseModelError as error:
        raise LoadError(f"the file's noise model cannot be: {error}") from error


def _vocabulary(given: Any, constants: Any, names: Sequence[Hashable]) -> Vocabulary:
    found = []
    for one in read(given, list):
        operator = _found("operators", "operator", read(one, dict))
        arity, cost = read(one.get("arity"), int), read(one.get("cost"), int)
        if operator.arity != arity:
            raise LoadError(f"operator {operator.name!r} takes {operator.arity} arguments, and in the file {arity}")
        if not 1 <= cost <= 10**6:
            raise LoadError(f"operator {operator.name!r} has cost {cost}")
        found.append(operator if operator.cost == cost else replace(operator, cost=cost))
    values = {name: number(value) for name, value in read(constants, dict).items()}
    known = Vocabulary(vocabulary(found).operators)
    if taken := sorted(set(values) & {o.name for o in known.operators}):
        raise LoadError(f"the constant {taken[0]!r} of the file is also an operator here")
    return with_constants(known, values, names)


def expressions_of(given: Any, operators: Vocabulary, variables: int) -> Expressions:
    """A batch of expressions from their prefix forms."""
    laws = read(given, list)
    if not 0 < len(laws) <= MOST_LAWS:
        raise LoadError(f"{len(laws)} laws; a file holds 1 to {MOST_LAWS}")
    names = {"?": CONSTANT, "=": LITERAL} | {o.name: operators.id(o.name) for o in operators.operators}
    names |= {f"${d}": VARIABLE + d for d in range(variables)}
    codes, numbers = [], []
    for law in laws:
        prefix = read(read(law, dict).get("prefix"), list)
        if not 0 < len(prefix) <= MOST_SYMBOLS:
            raise LoadError(f"a law of {len(prefix)} symbols; {MOST_SYMBOLS} are the most")
        for symbol in prefix:
            if not isinstance(symbol, str) or symbol not in names:
                raise LoadError(f"a law holds {str(symbol)[:80]!r}, which the file does not declare")
        codes.append([names[symbol] for symbol in prefix])
        numbers.append([number(value) for value in read(law.get("numbers"), list)])
        if len(numbers[-1]) != sum(symbol in ("?", "=") for symbol in prefix):
            raise LoadError(f"a law has {len(numbers[-1])} numbers, and its prefix form others")
    length, count = (max(map(len, rows), default=0) for rows in (codes, numbers))
    codes = torch.tensor([row + [PAD] * (length - len(row)) for row in codes], dtype=torch.int64)
    numbers = torch.tensor([row + [0.0] * (count - len(row)) for row in numbers], dtype=torch.float64)
    e = Expressions(codes, numbers, operators)
    if not bool(e.well_formed.all()):
        raise LoadError("a law's prefix form is not one complete expression")
    return e


def _parameters(given: Any, front: Front) -> Parameters | None:
    if given is None:
        return None
    get, slots = read(given, dict).get, front.expressions.constants.shape[1]
    names = tuple(read(name, str) for name in read(get("names"), list))
    index, free = ([read(i, kind) for i in read(get(name), list)] for name, kind in (("index", int), ("free", bool)))
    if len(index) != slots or len(front) != 1 or len(free) != len(names):
        raise LoadError(f"parameters of {len(index)} numbers, and the law has {slots}")
    if not all(0 <= i < len(names) for i in index):
        raise LoadError("a number of the law is no parameter of the file")
    bounds = (tensor(get(side), len(names)) for side in ("lower", "upper"))
    return Parameters(torch.tensor(index, dtype=torch.int64), *bounds, torch.tensor([free], dtype=torch.bool), names)


def _findings(given: Any, front: Front, parameters: Parameters | None) -> Findings:
    entries = [read(one, dict) for one in read(given, list)]
    count, constants = front.expressions.constants.shape
    if len(entries) != count + 1:
        raise LoadError(f"findings about {len(entries) - 1} of {count} laws")
    common, *each = entries
    size = constants if parameters is None else len(parameters.names)
    slots = front.expressions.number_counts.tolist() if parameters is None else [size] * count
    free = front.expressions.free if parameters is None else parameters.free
    covariance, root, null = torch.full((count, size, size), torch.nan), *torch.zeros(2, count, size, size)
    covariance, root, null = (part.double() for part in (covariance, root, null))
    rounded, held = torch.zeros_like(front.expressions.constants), front.expressions.number_counts.tolist()
    for i, (one, k) in enumerate(zip(each, slots, strict=True)):
        rounded[i, : held[i]] = tensor(one.get("rounded"), held[i])
        covariance[i, :k, :k], root[i, :k, :k] = tensor(one.get("covariance"), k, k), tensor(one.get("root"), k, k)
        if one.get("null") is not None:
            null[i, :k, :k] = tensor(one.get("null"), k, k)
    diagonal = covariance.diagonal(dim1=1, dim2=2)
    laplace = Laplace(
        covariance=covariance,
        stderr=diagonal.sqrt(),
        identifiable=free & ~diagonal.isnan(),
        variance=tensor([one.get("variance") for one in each], count),
        degrees=torch.tensor([read(one.get("degrees"), int) for one in each], dtype=torch.int64),
        absolute=read(common.get("absolute"), bool),
        root=root,
        null=null,
    )
    held_out = each[0].get("held_out_squares") is not None
    return Findings(
        laplace=laplace,
        squares=_columns(each, "squares"),
        held_out_squares=_columns(each, "held_out_squares") if held_out else None,
        rounded=rounded,
        own_errors=tensor([one.get("own_error") for one in each], count),
        form_spread=number(common.get("form_spread")),
        scattered=tuple(_scatter(read(one.get("scatter"), dict)) for one in each),
    )


def _columns(each: Sequence[Mapping[str, Any]], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = tensor([one.get(name) for one in each], len(each), 2).T
    return first, second


def _scatter(given: Mapping[str, Any]) -> tuple[torch.Tensor, float | None]:
    own = read(given.get("own"), list)
    usual = given.get("usual")
    return tensor([own], 1, len(own)), None if usual is None else number(usual)


def _pause(given: Any, operators: Vocabulary, observations: Observations | Summary) -> Pause:
    get, parts = read(given, dict).get, {}
    for name in ("front", "population"):
        part = read(get(name), dict)
        e = expressions_of(part.get("laws"), operators, len(observations.names))
        loss, bits = (tensor(part.get(column), len(e)) for column in ("loss", "bits"))
        parts[name] = (e, loss, bits, tuple(read(origin, str) for origin in read(part.get("origins"), list)))
        if len(parts[name][3]) != len(e):
            raise LoadError(f"{len(parts[name][3])} origins of {len(e)} laws")
    e, loss, bits, origins = parts["population"]
    try:
        options = _options(read(get("options"), dict), read(get("seed"), int))
    except (InputError, OptionError) as error:
        raise LoadError(f"the file's options cannot be: {error}") from error
    return Pause(
        options=options,
        seed=read(get("seed"), int),
        round=read(get("round"), int),
        front=Front(*parts["front"]),
        population=Scored(e, loss, bits, tensor(get("stderr"), *e.constants.shape), origins),
        proposed={name: read(count, int) for name, count in read(get("proposed"), dict).items()},
        waiting=read(get("waiting"), int),
        exact=read(get("exact"), bool),
        quiet=read(get("quiet"), bool),
        doing=read(get("doing"), str),
    )


def _options(given: Mapping[str, Any], seed: int) -> FitOptions:
    get, limits = given.get, read(given.get("constraints"), dict, absent=None)
    constraints = None
    if limits is not None:
        constraints = Constraints(
            max_complexity=limits.get("max_complexity"),
            max_depth=limits.get("max_depth"),
            require=tuple(label(name) for name in read(limits.get("require"), list)),
            forbid=tuple(label(name) for name in read(limits.get("forbid"), list)),
            max_uses={label(name): most for name, most in _pairs(limits.get("max_uses"))},
            nested=read(limits.get("nested"), dict),
            costs=read(limits.get("costs"), dict),
        )
    shape = []
    for one in read(get("shape"), list):
        ((kind, arguments),) = read(one, dict).items() if len(one) == 1 else [("", ())]
        if kind not in _SHAPES or len(read(arguments, list)) != len(fields(_SHAPES[kind])):
            raise LoadError(f"{str(one)[:80]!r} is no shape of a law")
        shape.append(_SHAPES[kind](*map(label, arguments)))
    units = get("units")
    constants = read(get("constants"), dict, absent=None)
    return FitOptions(
        operators=tuple(_found("operators", "operator", read(one, dict)) for one in read(get("operators"), list)),
        network=read(get("network"), str, absent=None),
        guesses=tuple(read(guess, str) for guess in read(get("guesses"), list)),
        constants=None if constants is None else {name: number(value) for name, value in constants.items()},
        template=read(get("template"), str, absent=None),
        shape=tuple(shape),
        units={label(k): read(unit, str) for k, unit in _pairs(units)} if isinstance(units, list) else units,
        constraints=constraints,
        device=read(get("device"), str),
        random_state=seed,
        validation=get("validation"),
    )
