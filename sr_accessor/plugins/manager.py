"""Load plugins on first use; operators, vocabularies and noise models by name.

Built-ins come first, with fixed ids; then installed plugins in the order of their names, whatever the order of
their installation; then what `register_operator` adds. A plugin joins whole or not at all: one that fails is
named in a warning and in `table()`, and the others work.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib import metadata
from typing import Any

import pandas as pd
import pluggy

from sr_accessor.errors import (
    OperatorError,
    OptionError,
    PluginConflictError,
    PluginError,
    SymRegWarning,
    UnknownNameError,
    nearest,
)
from sr_accessor.exports.exporter import Exporter
from sr_accessor.expressions.definitions import base_operators
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.noise.model import NoiseModel
from sr_accessor.plugins import builtin, hookspecs
from sr_accessor.plugins.catalogue import BUILTIN, KINDS, NOTEBOOK, Catalogue, Plugin, VocabularyRule
from sr_accessor.plugins.contributions import SelectionRule, Settings, ShapeConstraint
from sr_accessor.testing import check_exporter, check_noise_model, check_operator
from sr_accessor.version import __version__

__all__ = [
    "BLOCK_VARIABLE",
    "LOAD_VARIABLE",
    "catalogue",
    "exporter",
    "exporters",
    "noise_model",
    "noise_models",
    "only",
    "operators",
    "register_operator",
    "routes",
    "table",
    "tell",
    "vocabularies",
    "vocabulary",
]

#: Environment: the only plugins to load (empty: none), and those not to load; names separated by commas.
LOAD_VARIABLE, BLOCK_VARIABLE = "SR_ACCESSOR_LOAD_PLUGINS", "SR_ACCESSOR_BLOCK_PLUGINS"


# ---------------------------------------------------------------------- what a hook is handed
class Registry:
    """Collects what one hook of one plugin adds.

    Parameters
    ----------
    kind : class of what may be added
    words : what one is called
    """

    def __init__(self, kind: type, words: str) -> None:
        self.kind, self.words = kind, words
        self.added: dict[str, Any] = {}

    def add(self, thing: Any) -> None:
        """Add one."""
        if not isinstance(thing, self.kind):
            raise PluginError(f"registry.add takes a sr_accessor.{self.kind.__name__}, not {type(thing).__name__}")
        if thing.name in self.added:
            raise PluginConflictError(f"the {self.words} {thing.name!r} is added twice")
        self.added[thing.name] = thing


class OperatorRegistry(Registry):
    """Collects what one plugin's `register_operators` adds."""

    def __init__(self) -> None:
        super().__init__(Operator, "operator")
        self.vocabularies: dict[str, VocabularyRule] = {}
        self.overrides: set[str] = set()

    def add(self, operator: Operator, *, override: bool = False) -> None:
        """Add an operator; `override` lets it take the place of another of the same name."""
        super().add(operator)
        if override:
            self.overrides.add(operator.name)

    def vocabulary(
        self, name: str, *, base: str | None = "default", add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        """Name a set of operators: all of the vocabulary `base` without `remove`, with `add`."""
        if name in self.vocabularies or name == "default":
            raise PluginConflictError(f"the vocabulary {name!r} is there already; choose another name")
        self.vocabularies[name] = VocabularyRule(name, base, tuple(add), tuple(remove))


def _no_check(thing: Any) -> None:
    """What cannot be tried before it is used; it is checked there."""


#: Hook that registers -> its registry, the name in `KINDS`, and the check of each thing.
_REGISTERING: Mapping[str, tuple[Callable[[], Registry], str, Callable[[Any], None]]] = {
    "register_operators": (OperatorRegistry, "operators", check_operator),
    "register_noise_models": (lambda: Registry(NoiseModel, "noise model"), "noise_models", check_noise_model),
    "register_exporters": (lambda: Registry(Exporter, "exporter"), "exporters", check_exporter),
    "register_selection_rules": (lambda: Registry(SelectionRule, "selection rule"), "selection_rules", _no_check),
    "register_shape_constraints": (
        lambda: Registry(ShapeConstraint, "shape constraint"),
        "shape_constraints",
        _no_check,
    ),
}
#: Hooks that are told of something.
_LISTENING = tuple(name for name in hookspecs.HOOKS if name not in _REGISTERING)


# ---------------------------------------------------------------------- loading
#: Signs, and what their operators are called.
_SIGNS = {o.infix[0]: o.name for o in ELEMENTARY if o.infix and o.arity == 2}
#: What noise models are called elsewhere.
_ALSO_CALLED = {
    "normal": "gaussian",
    "student": "student_t",
    "t": "student_t",
    "robust": "student_t",
    "outliers": "student_t",
    "relative": "multiplicative",
    "counts": "poisson",
    "negbin": "negative_binomial",
}
_lock = threading.RLock()
_catalogue: Catalogue | None = None  # None until first use


def catalogue() -> Catalogue:
    """Everything registered; installed plugins are loaded at the first call, with a warning for each that fails."""
    global _catalogue
    with _lock:
        if _catalogue is not None:
            return _catalogue
        allowed, blocked = _listed(LOAD_VARIABLE), _listed(BLOCK_VARIABLE) or ()
        _catalogue = loaded = _configured(load(allowed, blocked))
    # Warned after it is kept: where warnings are errors, the next call works.
    installed = [name for p in loaded.plugins for name in (p.name, p.distribution) if name]
    for name in (*(allowed or ()), *blocked):
        if name not in installed:
            text = f"{LOAD_VARIABLE} or {BLOCK_VARIABLE} names {name!r}, which is not installed"
            warnings.warn(SymRegWarning("PLUGIN", f"{text}; {nearest(name, installed)}"), stacklevel=3)
    for plugin in loaded.plugins:
        if plugin.status in ("failed", "conflict"):
            text = f"{plugin.error}. All other plugins work; {BLOCK_VARIABLE}={plugin.name} leaves this one out"
            warnings.warn(SymRegWarning("PLUGIN", text), stacklevel=3)
    return loaded


def _listed(variable: str) -> tuple[str, ...] | None:
    """Names in an environment variable, None where it is not set."""
    text = os.environ.get(variable)
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def load(allowed: Sequence[str] | None = None, blocked: Sequence[str] = ()) -> Catalogue:
    """A catalogue of the built-ins and the installed plugins, each in its own right.

    Parameters
    ----------
    allowed : names of plugins or distributions to load; None for all
    blocked : names of plugins or distributions not to load
    """
    plugins, taken = [_joined(Plugin(BUILTIN), lambda: builtin, check=False)], {BUILTIN, NOTEBOOK}
    points = metadata.entry_points(group=hookspecs.PROJECT)
    for point in sorted(points, key=lambda p: (p.name, p.dist.name)):
        plugin = Plugin(point.name, point.dist.name, point.dist.version)
        names = {point.name, point.dist.name}
        if names & set(blocked):
            plugin = replace(plugin, status="blocked", error=f"named in {BLOCK_VARIABLE}")
        elif allowed is not None and not names & set(allowed):
            plugin = replace(plugin, status="not loaded", error="not among the plugins to load")
        elif point.name in taken:
            text = f"{plugin}: another plugin is called {point.name!r} too; leave one out by its distribution's name"
            plugin = replace(plugin, status="conflict", error=text)
        else:
            taken.add(point.name)
            try:
                plugin = _joined(plugin, point.load, check=True)
            except PluginError as error:  # its own misfortune: kept for table() and warned of
                plugin = replace(plugin, status="failed", error=str(error))
        plugins.append(plugin)
    told = Catalogue(tuple(plugins)).conflicts()
    return Catalogue(
        tuple(
            replace(p, status="conflict", error=told[p.name]) if p.status == "loaded" and p.name in told else p
            for p in plugins
        )
    )


def _joined(plugin: Plugin, find_module: Callable[[], Any], *, check: bool) -> Plugin:
    """A plugin with what its hooks register; `check` runs the checks of `sr_accessor.testing` on that.

    Raises
    ------
    PluginError : names the plugin, its distribution, and the import or hook that failed.
    """
    module = _guarded(plugin, "import", find_module)
    manager = pluggy.PluginManager(hookspecs.PROJECT)  # one for each plugin, so that none can stop another
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, plugin.name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{plugin} does not fit its hook: {error}") from error
    callers = {caller.name: caller for caller in manager.get_hookcallers(module) or ()}
    for name, caller in callers.items():
        if not caller.has_spec():
            raise PluginError(f"{plugin} implements an unknown hook {name!r}; {nearest(name, hookspecs.HOOKS)}")
    if not callers:
        raise PluginError(f"{plugin} implements no hook; put @sr_accessor.hookimpl on {' or '.join(_REGISTERING)}")
    found: dict[str, Any] = {}
    for name in callers.keys() & _REGISTERING.keys():
        make, kind, checked = _REGISTERING[name]
        registry = make()
        _guarded(plugin, f"hook {name!r}", callers[name], registry=registry)
        for thing in registry.added.values() if check else ():
            _guarded(plugin, f"hook {name!r}", checked, thing)
        found[kind] = tuple(registry.added.values())
        if isinstance(registry, OperatorRegistry):
            found["vocabularies"] = tuple(registry.vocabularies.values())
            found["overrides"] = frozenset(registry.overrides)
            if check:
                found["operators"] = tuple(_accountable(plugin, operator) for operator in found["operators"])
    listeners = {name: callers[name] for name in _LISTENING if name in callers}
    return replace(plugin, hooks=tuple(sorted(callers)), listeners=listeners, **found)


def _accountable(plugin: Plugin, operator: Operator) -> Operator:
    """The operator, with whatever its functions raise in a fit told as its plugin's error."""

    def named(function: Callable[..., Any], role: str) -> Callable[..., Any]:
        place = f"{role} of operator {operator.name!r}"
        return functools.wraps(function)(lambda *arguments: _guarded(plugin, place, function, *arguments))

    derivative = operator.derivative
    if derivative is not None:
        derivative = tuple(named(function, f"derivative[{i}]") for i, function in enumerate(derivative))
    domain = None if operator.domain is None else named(operator.domain, "domain")
    return replace(operator, torch=named(operator.torch, "torch"), derivative=derivative, domain=domain)


def _guarded(plugin: Plugin, place: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """function(*arguments), with whatever a stranger's code raises told as that plugin's error.

    The one place that catches every exception: a plugin may raise any, and none may stop the others.
    """
    try:
        return function(*arguments, **named)
    except Exception as error:
        raise PluginError(f"{plugin} fails at {place}: {type(error).__name__}: {error}") from error


@contextmanager
def only(*names: str) -> Iterator[None]:
    """Within it only these installed plugins are loaded, and nothing registered in a notebook; for tests.

        with sr_accessor.plugins.only("lab"):
            ...

    Raises
    ------
    PluginError : one of them fails, which here is an error and no warning.
    UnknownNameError : one of them is not installed.
    """
    global _catalogue
    with _lock:
        inside = _configured(load(allowed=names))
        for name in names:
            found = [p for p in inside.plugins if name in (p.name, p.distribution)]
            if not found:
                raise UnknownNameError(f"no plugin {name!r}; {nearest(name, [p.name for p in inside.plugins])}")
            for plugin in found:
                if plugin.status != "loaded":
                    kind = PluginConflictError if plugin.status == "conflict" else PluginError
                    raise kind(plugin.error)
        before, _catalogue = _catalogue, inside
    try:
        yield
    finally:
        with _lock:
            _catalogue = before


def _configured(loaded: Catalogue) -> Catalogue:
    """The catalogue after `configure` of each plugin; one that fails there joins no more than one that fails before."""
    settings = Settings(__version__, tuple(p.name for p in loaded.plugins if p.status in ("loaded", "conflict")))
    plugins = []
    for plugin in loaded.plugins:
        try:
            if "configure" in plugin.listeners:
                _guarded(plugin, "hook 'configure'", plugin.listeners["configure"], settings=settings)
        except PluginError as error:
            bare = Plugin(plugin.name, plugin.distribution, plugin.version, plugin.hooks)
            plugin = replace(bare, status="failed", error=str(error))
        plugins.append(plugin)
    return Catalogue(tuple(plugins))


def tell(hook: str, **what: Any) -> list[SymRegWarning]:
    """Tell every plugin that listens, e.g. `tell("fit_finished", result=result)`.

    Returns
    -------
    A remark for each plugin that failed. It is told no more, and `table()` shows it as failed; what it registered
    stays, since a fit may be using it.
    """
    global _catalogue
    remarks = []
    for plugin in catalogue().plugins:
        if hook not in plugin.listeners:
            continue
        try:
            _guarded(plugin, f"hook {hook!r}", plugin.listeners[hook], **what)
        except PluginError as error:
            failed = replace(plugin, status="failed", error=str(error), listeners={})
            with _lock:
                plugins = catalogue().plugins
                _catalogue = Catalogue(tuple(failed if p.name == plugin.name else p for p in plugins))
            remarks.append(SymRegWarning("PLUGIN", f"{error}. The fit goes on without it"))
    return remarks


# ---------------------------------------------------------------------- asking
def vocabulary(spec: str | Vocabulary | Iterable[str | Operator] = "default") -> Vocabulary:
    """The operators that a search may use.

        vocabulary("spectroscopy")                      # a named set
        vocabulary(["add", "mul", "lab:erfcx"])         # these alone
        vocabulary(["spectroscopy", "-tan", "+erfcx"])  # a named set (default: "default") without some, with others

    Parameters
    ----------
    spec : "default" (everything registered, built-ins and plugins), the name of a vocabulary, a list of operator
        names ("sin", "lab:erfcx") or operators, or a `Vocabulary`, which is returned as it is. Names that begin
        with "-" or "+" change a named set, which may stand first in the list.

    Raises
    ------
    UnknownNameError : no such vocabulary or operator; tells the nearest name.
    PluginConflictError : two plugins give an operator of that name.
    OptionError : names with and without a sign, or no list of them.
    """
    if isinstance(spec, Vocabulary):
        return spec
    if isinstance(spec, Mapping):
        raise OptionError(f"operators={spec!r}; give a list of names: operators={list(spec)!r}")
    known = catalogue()
    if isinstance(spec, str):
        parts = [part.strip() for part in spec.split(",")]
        if spec not in known.vocabularies and all(part.lstrip("+-") in known.operators for part in parts):
            raise OptionError(f"operators={spec!r} names no vocabulary but operators; give a list: operators={parts!r}")
        chosen = known.vocabulary(spec)
    else:
        chosen = _chosen(known, list(spec))
    everything = tuple((known.default() | chosen).values())  # a present name keeps its place, and so its id
    return Vocabulary(everything, None if len(chosen) == len(everything) else frozenset(chosen))


def _chosen(known: Catalogue, entries: list[str | Operator]) -> dict[str, Operator]:
    """Operators by bare name of a list of names and operators."""
    if strange := [entry for entry in entries if not isinstance(entry, str | Operator)]:
        raise OptionError(
            f"operators: {strange[0]!r} is neither the name of an operator nor one; give names such as 'sin', and "
            "make your own known with sr_accessor.register_operator"
        )
    if signs := [entry for entry in entries if entry in _SIGNS]:
        raise OptionError(
            f"operators: {signs[0]!r} is called {_SIGNS[signs[0]]!r} here; give names: {list(_SIGNS.values())}"
        )
    signed = [isinstance(entry, str) and entry[:1] in ("-", "+") for entry in entries]
    if not any(signed):
        asked = [o if isinstance(o, Operator) else known.find("operators", o) for o in entries]
        chosen = {o.name: o for o in asked}
        if len(chosen) < len(set(asked)):
            raise PluginConflictError(f"two of {[o.name for o in asked]} are different operators of one name; take one")
        return chosen
    base = "default" if signed[0] else entries[0]
    if not all(signed[1:]) or not isinstance(base, str) or base in known.operators.keys() - known.vocabularies.keys():
        raise OptionError(
            f"operators={entries!r}: name either those to use, or with '-' those to leave out and with '+' those to "
            "add; a vocabulary to start from may stand first"
        )
    chosen = known.vocabulary(base)
    for entry in entries[not signed[0] :]:
        operator = known.find("operators", entry[1:])
        if entry[0] == "+":
            chosen = chosen | {operator.name: operator}
        else:
            chosen = {name: o for name, o in chosen.items() if name != operator.name}
    return chosen


def noise_model(spec: str | NoiseModel = "gaussian") -> NoiseModel:
    """The noise model called `spec` ("gaussian", "lab:poisson_background"), or `spec` itself.

    Raises
    ------
    UnknownNameError : there is none; tells the nearest name.
    PluginConflictError : two plugins give one of that name.
    OptionError : neither a name nor a noise model.
    """
    if not isinstance(spec, str | NoiseModel):
        raise OptionError(f"noise={spec!r}; give a name such as 'poisson', or an instance of a NoiseModel")
    if isinstance(spec, NoiseModel):
        return spec
    known = catalogue()
    if spec in _ALSO_CALLED and spec not in known.noise_models:
        raise UnknownNameError(f"no noise model {spec!r}; here it is called {_ALSO_CALLED[spec]!r}")
    return known.find("noise_models", spec)


def exporter(name: str) -> Exporter:
    """The exporter called `name`: "python", "excel", "lab:spice".

    Raises
    ------
    UnknownNameError : there is none; tells the nearest name.
    PluginConflictError : two plugins give one of that name.
    """
    return catalogue().find("exporters", name)


def routes(operators: Vocabulary, network: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
    """By which routes each active operator that is not built in takes part in a search.

    Parameters
    ----------
    operators : what the search may use
    network : names of the operators that the network can write; None where the search has no network

    Returns
    -------
    {operator: routes}: "screens" (functions of one argument: each screen tries it as a feature), "moves" (every
    operator, in random trees too); and of the network "native" (it writes the operator), "rewritten" (it writes the
    definition), "lifted" (it reads columns of the function's values), or "not by the network".
    """
    builtin_names = {o.name: o for o in catalogue().plugins[0].operators}
    told = {}
    for operator in operators:
        if builtin_names.get(operator.name) is operator or operator.arity == 0:
            continue
        ways = ["screens", "moves"] if operator.arity == 1 and operator.linear == "none" else ["moves"]
        if network is not None:
            if operator.name in network:
                ways.append("native")
            elif operator.definition is not None and base_operators(operator, operators) <= set(network):
                ways.append("rewritten")
            elif operator.arity == 1:
                ways.append("lifted")
            else:
                ways.append("not by the network")
        told[operator.name] = tuple(ways)
    return told


def register_operator(
    operator: str | Operator, *, torch: Any = None, sympy: Any = None, override: bool = False, **declaration: Any
) -> Operator:
    """Add an operator for this session; it takes part in the next fit.

        sr.register_operator("bump", torch=lambda x: torch.exp(-x * x), sympy=lambda x: sympy.exp(-(x**2)))

    Parameters
    ----------
    operator : name, or a complete `Operator`
    torch, sympy, **declaration : as in `Operator`; `arity` is read off the signature of `torch` where it has one
    override : True to take the place of a built-in's or a plugin's operator. One's own earlier operator of the
        same name is replaced anyway.

    Raises
    ------
    OperatorError : it fails a check of `sr_accessor.testing.check_operator`.
    PluginConflictError : the name belongs to a built-in or a plugin, and `override` is not set.
    OptionError : no such keyword in a declaration.
    """
    global _catalogue
    if isinstance(operator, Operator):
        if torch is not None or sympy is not None or declaration:
            raise OptionError("register_operator takes an Operator alone, or a name with its declaration; not both")
    else:
        known = [f.name for f in fields(Operator)]
        for keyword in declaration:
            if keyword not in known:
                raise OptionError(f"no keyword {keyword!r}; {nearest(keyword, known, shown=len(known))}")
        if torch is None or sympy is None:
            raise OperatorError(f"operator {operator!r} needs torch= and sympy=, two forms of the same function")
        arity = declaration.pop("arity", None)
        operator = Operator(operator, _arity(operator, torch) if arity is None else arity, torch, sympy, **declaration)
    check_operator(operator)
    catalogue()  # outside the lock: it may warn
    with _lock:
        present = catalogue()
        others = tuple(p for p in present.plugins if p.name != NOTEBOOK)
        mine = next((p for p in present.plugins if p.name == NOTEBOOK), Plugin(NOTEBOOK, hooks=("register_operators",)))
        owners = [p for p in others if any(o.name == operator.name for o in p.operators)]
        if owners and not override and operator.name not in mine.overrides:
            raise PluginConflictError(
                f"the operator {operator.name!r} belongs to {owners[0]}; choose another name, or say override=True"
            )
        own = {o.name: o for o in mine.operators} | {operator.name: operator}
        overrides = mine.overrides | ({operator.name} if owners else set())
        mine = replace(mine, operators=tuple(own.values()), overrides=overrides)
        _catalogue = Catalogue((*others, mine))
    return operator


def _arity(name: str, function: Any) -> int:
    """Number of arguments that a callable takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # functions written in C tell nothing
        raise OperatorError(f"operator {name!r}: torch's signature cannot be read; say arity=1 or arity=2") from None
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


# ---------------------------------------------------------------------- tables
def table() -> pd.DataFrame:
    """One row per plugin: name, distribution, version, hooks, one column for each kind of thing, status, error."""
    return pd.DataFrame(
        [
            {
                "name": p.name,
                "distribution": p.distribution,
                "version": p.version,
                "hooks": ", ".join(p.hooks),
                **{kind: ", ".join(thing.name for thing in getattr(p, kind)) for kind in KINDS},
                "status": p.status,
                "error": p.error,
            }
            for p in catalogue().plugins
        ]
    )


def operators() -> pd.DataFrame:
    """One row per operator in the order of their ids: name, arity, plugin, units, cost, bits, latex."""
    known = catalogue()
    rows = [(owner, o) for entry in known.operators.values() for owner, o in entry.items()]
    return pd.DataFrame(
        [
            {
                "name": o.name,
                "arity": o.arity,
                "plugin": owner,
                "units": o.units,
                "cost": o.cost,
                "bits": o.bits,
                "latex": o.latex,
            }
            for owner, o in rows
        ]
    )


def vocabularies() -> pd.DataFrame:
    """One row per named set of operators: name, plugin, operators."""
    known = catalogue()
    rows = [("default", BUILTIN)] + [(n, owner) for n, entry in known.vocabularies.items() for owner in entry]
    named = [(n, owner, n if owner == BUILTIN else f"{owner}:{n}") for n, owner in rows]
    return pd.DataFrame(
        [{"name": n, "plugin": owner, "operators": ", ".join(known.vocabulary(q))} for n, owner, q in named]
    )


def noise_models() -> pd.DataFrame:
    """One row per noise model: name, plugin, support, uses_sigma."""
    rows = [(owner, m) for entry in catalogue().noise_models.values() for owner, m in entry.items()]
    return pd.DataFrame(
        [{"name": m.name, "plugin": owner, "support": m.support, "uses_sigma": m.uses_sigma} for owner, m in rows]
    )


def exporters() -> pd.DataFrame:
    """One row per exporter: name, plugin, suffix of its files."""
    rows = [(owner, e) for entry in catalogue().exporters.values() for owner, e in entry.items()]
    return pd.DataFrame([{"name": e.name, "plugin": owner, "suffix": e.suffix} for owner, e in rows])
