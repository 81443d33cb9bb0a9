"""Catalogue: every plugin and what it registered, as one immutable value that answers questions by name.

It knows what can be registered; it does not know where plugins come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sr_accessor.errors import PluginConflictError, PluginError, UnknownNameError, nearest
from sr_accessor.exports.exporter import Exporter
from sr_accessor.expressions.operator import Operator
from sr_accessor.noise.model import NoiseModel
from sr_accessor.plugins.contributions import SelectionRule, ShapeConstraint

__all__ = ["BUILTIN", "NOTEBOOK", "Catalogue", "Plugin", "VocabularyRule"]

#: The two plugins that are not installed: our own, and what `register_operator` added in this session.
BUILTIN, NOTEBOOK = "builtin", "notebook"

#: What a catalogue holds, and the word for one of each.
KINDS = {
    "operators": "operator",
    "vocabularies": "vocabulary",
    "noise_models": "noise model",
    "exporters": "exporter",
    "selection_rules": "selection rule",
    "shape_constraints": "shape constraint",
}


@dataclass(frozen=True)
class VocabularyRule:
    """A named set of operators: those of `base` (None: nothing), without `remove`, with `add`."""

    name: str
    base: str | None
    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class Plugin:
    """One plugin and what became of it; a row of `table()`.

    Parameters
    ----------
    name : of its entry point; `name:operator` says whose operator is meant
    distribution, version : where it comes from; empty for built-ins and a notebook's own
    hooks : names of the hooks it implements
    operators, vocabularies, noise_models, exporters, selection_rules, shape_constraints : what it registered
    listeners : hook that is told of configuration or fits -> the plugin's function
    overrides : names of operators it registered with override=True
    status : "loaded", "failed", "conflict", "blocked" or "not loaded"
    error : why, in one sentence
    """

    name: str
    distribution: str = ""
    version: str = ""
    hooks: tuple[str, ...] = ()
    operators: tuple[Operator, ...] = ()
    vocabularies: tuple[VocabularyRule, ...] = ()
    noise_models: tuple[NoiseModel, ...] = ()
    exporters: tuple[Exporter, ...] = ()
    selection_rules: tuple[SelectionRule, ...] = ()
    shape_constraints: tuple[ShapeConstraint, ...] = ()
    listeners: Mapping[str, Callable[..., Any]] = field(default_factory=dict, repr=False)
    overrides: frozenset[str] = frozenset()
    status: str = "loaded"
    error: str = ""

    def __str__(self) -> str:
        origin = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plugin {self.name!r}{origin}"


@dataclass(frozen=True)
class Catalogue:
    """All plugins: built-ins, then by name, then the notebook's own.

    Each of `KINDS` is a mapping from a name to the plugins that give it and the thing itself. A built-in keeps its
    bare name whoever else claims it; a name that two plugins give must be asked for as `plugin:name`.
    """

    plugins: tuple[Plugin, ...]
    operators: Mapping[str, dict[str, Operator]] = field(init=False)
    vocabularies: Mapping[str, dict[str, VocabularyRule]] = field(init=False)
    noise_models: Mapping[str, dict[str, NoiseModel]] = field(init=False)
    exporters: Mapping[str, dict[str, Exporter]] = field(init=False)
    selection_rules: Mapping[str, dict[str, SelectionRule]] = field(init=False)
    shape_constraints: Mapping[str, dict[str, ShapeConstraint]] = field(init=False)

    def __post_init__(self) -> None:
        for kind in KINDS:
            owners: dict[str, dict[str, Any]] = {}
            for plugin in self.plugins:
                for thing in getattr(plugin, kind):
                    entry = owners.setdefault(thing.name, {})
                    if kind == "operators" and thing.name in plugin.overrides:
                        entry.clear()  # asked for in so many words; the place, and so the id, stays
                    entry[plugin.name] = thing
            object.__setattr__(self, kind, owners)

    def find(self, kind: str, name: str) -> Any:
        """The thing of one of `KINDS` called `name` or `plugin:name`.

        Raises
        ------
        UnknownNameError : there is none; tells the nearest name, and which plugins could not be asked.
        PluginConflictError : two plugins give it.
        """
        owner, _, bare = name.rpartition(":")
        entry = getattr(self, kind).get(bare, {})
        found = entry.get(owner) if owner else _by_bare_name(entry)
        if found is not None:
            return found
        if entry and not owner:
            raise PluginConflictError(self._conflict(kind, name))
        known = self.named(kind)
        absent = ", ".join(f"{p} {p.status}" for p in self.plugins if p.status in ("failed", "blocked", "not loaded"))
        why = f"; there may be one in {absent}: see sr_accessor.plugins.table()" if absent else ""
        raise UnknownNameError(f"no {KINDS[kind]} {name!r}; {nearest(name, known)}{why}")

    def named(self, kind: str) -> dict[str, Any]:
        """All things of one kind by the name to ask for them: the bare one, or `plugin:name` where two give it."""
        entries = getattr(self, kind).items()
        return {
            name if _by_bare_name(entry) is thing else f"{owner}:{name}": thing
            for name, entry in entries
            for owner, thing in entry.items()
        }

    def default(self) -> dict[str, Operator]:
        """Operators by bare name in the order of their ids, without the names that two plugins give."""
        named = {name: _by_bare_name(entry) for name, entry in self.operators.items()}
        return {name: operator for name, operator in named.items() if operator is not None}

    def vocabulary(self, name: str, path: tuple[str, ...] = ()) -> dict[str, Operator]:
        """Operators of the vocabulary called `name`, by bare name; `path` is where it was referred from."""
        if name == "default":
            return self.default()
        if name in path:
            raise PluginError(f"the vocabulary {name!r} is based on itself: {' -> '.join((*path, name))}")
        rule = self.find("vocabularies", name)
        chosen = {} if rule.base is None else self.vocabulary(rule.base, (*path, name))
        removed = {self.find("operators", n).name for n in rule.remove}  # a misspelt name is an error, not a no-op
        added = {o.name: o for o in (self.find("operators", n) for n in rule.add)}
        return {n: o for n, o in chosen.items() if n not in removed} | added

    def conflicts(self) -> dict[str, str]:
        """Plugin name -> what it shares with others; built-ins are never at fault."""
        told: dict[str, list[str]] = {}
        for kind in KINDS:
            for name, entry in getattr(self, kind).items():
                if len(entry) > 1:
                    for owner in entry.keys() - {BUILTIN}:
                        told.setdefault(owner, []).append(self._conflict(kind, name))
        return {owner: "; ".join(sentences) for owner, sentences in told.items()}

    def _conflict(self, kind: str, name: str) -> str:
        entry = getattr(self, kind)[name]
        owners = " and ".join(str(p) for p in self.plugins if p.name in entry)
        qualified = " or ".join(repr(f"{owner}:{name}") for owner in entry)
        mend = f"{name!r} stays the built-in one, " if BUILTIN in entry else ""
        return f"{owners} both give the {KINDS[kind]} {name!r}: {mend}write {qualified}"


def _by_bare_name(entry: Mapping[str, Any]) -> Any | None:
    """What a name means without its plugin; None where that is ambiguous."""
    if BUILTIN in entry:
        return entry[BUILTIN]
    return next(iter(entry.values())) if len(entry) == 1 else None
