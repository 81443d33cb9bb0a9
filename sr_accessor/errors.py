"""Exceptions and warnings: what went wrong, why it matters, one line to mend it.

    SymRegError
    ├── InputError (ValueError)          the data or an option cannot be used
    │   ├── MissingDataError             missing values where none are allowed
    │   ├── SigmaError                   error bars that are not positive numbers, or do not fit the data
    │   └── UnitError                    a unit that is not understood or cannot be
    ├── ColumnError (KeyError)           no such column
    ├── OptionError (TypeError)          no such keyword, or a keyword of the wrong kind
    ├── UnknownNameError (LookupError)   no operator, vocabulary, noise model or rule of that name
    ├── OperatorError (ValueError)       an operator that fails its checks
    ├── NoiseModelError (ValueError)     data that a noise model cannot describe, or a model that fails its checks
    ├── PluginError (RuntimeError)       a plugin raised, or misspelt a hook
    │   └── PluginConflictError          two plugins give the same name
    ├── ParseError (SyntaxError)         text that is not an expression; carries the position
    ├── LoadError (ValueError)           a file that is not ours, damaged or hostile
    ├── ModelNotFoundError (FileNotFoundError)   no such network on this machine
    ├── ModelIntegrityError (ValueError) a network file that is damaged or not what its hash says
    ├── MissingDependencyError (ImportError)     an extra is not installed
    └── DeviceError (RuntimeError)       the device asked for is not there

    SymRegWarning (UserWarning)          has a `code` (DROPPED, CONSTANT, LEAK, ...) and is kept on the result

Every leaf also inherits the built-in exception that pandas and scikit-learn users expect.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable

__all__ = [
    "ColumnError",
    "DeviceError",
    "InputError",
    "LoadError",
    "MissingDataError",
    "MissingDependencyError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "NoiseModelError",
    "OperatorError",
    "OptionError",
    "ParseError",
    "PluginConflictError",
    "PluginError",
    "SigmaError",
    "SymRegError",
    "SymRegWarning",
    "UnitError",
    "UnknownNameError",
    "brief",
    "nearest",
    "run_commands",
]


class SymRegError(Exception):
    """Base of every exception this package raises on purpose."""


class InputError(SymRegError, ValueError):
    """The data or an option cannot be used."""


class MissingDataError(InputError):
    """Missing values where none are allowed."""


class SigmaError(InputError):
    """Error bars that are not positive numbers, or do not fit the data."""


class UnitError(InputError):
    """A unit that is not understood, or that no law can have."""


class ColumnError(SymRegError, KeyError):
    """No such column."""

    def __str__(self) -> str:  # KeyError would print the message in quotes
        return str(self.args[0])


class OptionError(SymRegError, TypeError):
    """No such keyword, or a keyword of the wrong kind."""


class UnknownNameError(SymRegError, LookupError):
    """No operator, vocabulary, noise model or rule of that name."""


class OperatorError(SymRegError, ValueError):
    """An operator that fails its checks."""


class NoiseModelError(SymRegError, ValueError):
    """Data that a noise model cannot describe, or a model that fails its checks."""


class PluginError(SymRegError, RuntimeError):
    """A plugin raised, or misspelt a hook."""


class PluginConflictError(PluginError):
    """Two plugins give the same name."""


class ParseError(SymRegError, SyntaxError):
    """Text that is not an expression.

    Parameters
    ----------
    message : what is wrong
    text : the whole text
    position : index of the offending character in `text`
    """

    def __init__(self, message: str, text: str = "", position: int = 0):
        start = max(0, position - 60)  # a window of one line: text may be long
        shown = "".join(c if c.isprintable() else " " for c in text[start : position + 40])
        caret = f"\n  {shown}\n  {' ' * (position - start)}^" if text else ""
        super().__init__(f"{message}{caret}")
        self.message, self.text_given, self.position = message, text, position

    def __reduce__(self) -> tuple:  # see SymRegWarning
        return ParseError, (self.message, self.text_given, self.position)


class LoadError(SymRegError, ValueError):
    """A file that is not ours, damaged or hostile."""


class ModelNotFoundError(SymRegError, FileNotFoundError):
    """No such network on this machine."""


class ModelIntegrityError(SymRegError, ValueError):
    """A network file that is damaged or not what its hash says."""


class MissingDependencyError(SymRegError, ImportError):
    """An extra is not installed."""


class DeviceError(SymRegError, RuntimeError):
    """The device asked for is not there."""


class SymRegWarning(UserWarning):
    """A remark that is also kept on the result.

    Parameters
    ----------
    code : one upper-case word, stable between versions
    message : the sentence
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message

    def __reduce__(self) -> tuple:  # the warning itself holds one text, and travels between processes
        return SymRegWarning, (self.code, self.message)


def brief(value: object, most: int = 80) -> str:
    """A value as it stands in a message: of a long text, or of a table, the beginning."""
    first, more, _ = repr(value).partition("\n")
    return first[:most] + " …" * bool(more or len(first) > most)


def nearest(name: Hashable, known: Iterable[Hashable], *, shown: int = 10) -> str:
    """Text "did you mean ...? known: ..." for a name that is not among `known`."""
    labels = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), labels, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    more = f", … ({len(labels)} in all)" if len(labels) > shown else ""
    return f"{hint}known: {', '.join(map(repr, labels[:shown]))}{more}"


def run_commands(commands: Callable[..., object], program: str) -> None:
    """Run a program's commands (of click); an error on purpose is one line, without a traceback.

    Raises
    ------
    SystemExit : when they have run.
    """
    try:
        commands(prog_name=program)
    except SymRegError as error:
        raise SystemExit(f"error: {error}") from error
