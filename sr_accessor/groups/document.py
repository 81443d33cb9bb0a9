"""The document of a fit of groups and the way back: rows and form as in any file, what each group has as arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from sr_accessor import regression
from sr_accessor.device import DTYPE
from sr_accessor.errors import LoadError, SymRegWarning
from sr_accessor.files import record
from sr_accessor.files.record import Record
from sr_accessor.files.values import array, from_array, from_label, from_number, label, number, plain, read
from sr_accessor.groups.forms import Laws, SharedForm
from sr_accessor.groups.split import Groups, keys_along
from sr_accessor.noise.model import NoiseModel
from sr_accessor.result import FitResult
from sr_accessor.search.front import Front
from sr_accessor.uncertainty.laplace import Laplace
from sr_accessor.version import __version__

__all__ = ["STATUS", "GroupedRecord", "from_document", "to_document"]

#: What can be said of a group, see `GroupedResult`.
STATUS = ("ok", "no_convergence", "no_data", "too_few_rows", "no_fit", "interrupted")
#: Columns of the table of forms and what they hold.
_FORMS = {"complexity": int, "loss": float, "mdl": float, "n_constants": int, "n_common": int, "selected": bool,
          "equation": str}  # fmt: skip


@dataclass(frozen=True, eq=False)
class GroupedRecord:
    """The parts of a `GroupedResult`, by the names that it takes them."""

    groups: Groups
    found: SharedForm | Laws
    noise: NoiseModel | None
    status: Sequence[str]
    forms: pd.DataFrame
    sizes: Mapping[Hashable, pd.Index] | None
    seconds: float
    provenance: Mapping[str, Any]
    remarks: tuple[SymRegWarning, ...]


# ---------------------------------------------------------------------- to a document
def to_document(given: GroupedRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document of a record, with its rows, and its times.

    Raises
    ------
    InputError : a label that no file can hold.
    """
    groups, found = given.groups, given.found
    about = {
        "by": [from_label(one) for one in groups.by],
        "keys": None if given.sizes is not None else [from_label(key) for key in groups.keys.tolist()],
        "sizes": None
        if given.sizes is None
        else [[from_label(dim), [from_label(one) for one in index.tolist()]] for dim, index in given.sizes.items()],
        "code": from_array(groups.code),
        "status": list(given.status),
        "forms": {
            name: [from_number(one) if kind is float else one for one in given.forms[name].tolist()]
            for name, kind in (_FORMS.items() if len(given.forms) else ())
        },
    }
    time = {"seconds": from_number(given.seconds)}
    if isinstance(found, Laws):
        laws = [[from_label(key), _law(result)] for key, result in found.results.items()]
        document = {
            "sr_accessor": __version__,
            "data": record.from_observations(groups.observations),
            "remarks": record.from_remarks(given.remarks),
            "provenance": plain(given.provenance),
        }
        return document | {"groups": about | {"laws": laws}}, time
    document, _ = record.to_document(_shared(given, found))
    return document | {"groups": about | _from_form(found)}, time


def _law(result: FitResult) -> dict[str, Any]:
    return record.to_document(result.to_record(data=True))[0]


def _shared(given: GroupedRecord, found: SharedForm) -> Record:
    """The shared form as the only law of a record of all rows."""
    nothing = torch.full((1,), torch.nan, dtype=DTYPE)
    return Record(
        observations=given.groups.observations, held_out=None,
        front=Front(found.expression.trimmed(), nothing, nothing, ("groups",)), noise=given.noise,
        parameters=found.parameters, rule="", status="", rounds=0, seconds=given.seconds,
        provenance=given.provenance, remarks=given.remarks, findings=None, pause=None,
    )  # fmt: skip


def _from_form(found: SharedForm) -> dict[str, Any]:
    """What each group has of the form: arrays with a row for each."""
    k = int(found.expression.number_counts[0])
    p = k if found.parameters is None else len(found.parameters.names)
    laplace = found.laplace.first(p)
    arrays = {
        "numbers": found.numbers[:, :k], "loss": found.loss, "covariance": laplace.covariance, "root": laplace.root,
        "null": laplace.null, "variance": laplace.variance, "degrees": laplace.degrees,
        "identifiable": laplace.identifiable.long(),
    }  # fmt: skip
    return {
        "common": found.common[:p].tolist(),
        "absolute": laplace.absolute,
        "each": {name: from_array(values.numpy()) for name, values in arrays.items()},
    }


# ---------------------------------------------------------------------- from a document
def from_document(document: Mapping[str, Any], time: Mapping[str, Any]) -> GroupedRecord:
    """The record of a document.

    Raises
    ------
    LoadError : a part that is missing or not as `to_document` writes it; an operator or noise model that is not here.
    """
    get = read(document.get("groups"), dict).get
    by = tuple(label(one) for one in read(get("by"), list))
    sizes = read(get("sizes"), list, absent=None)
    sizes = None if sizes is None else {label(dim): _index(labels) for dim, labels in map(_pair, sizes)}
    if not by or (sizes is not None and tuple(sizes) != by):
        raise LoadError("the file's groups lie along nothing, or along other dimensions than it names")
    if sizes is not None:
        keys = keys_along(sizes)
    elif len(by) == 1:
        keys = _index(get("keys")).set_names(list(by))
    else:
        keys = _levels(read(get("keys"), list), by)
    if not len(keys) or not keys.is_unique:
        raise LoadError("the file has no groups, or two of one name")
    about = {
        "sizes": sizes,
        "status": [_word(one) for one in read(get("status"), list)],
        "forms": _forms(read(get("forms"), dict)),
        "seconds": number(time.get("seconds")),
    }
    if len(about["status"]) != len(keys):
        raise LoadError(f"{len(about['status'])} words about {len(keys)} groups")
    if (laws := read(get("laws"), list, absent=None)) is not None:
        observations = record.observations_of(document.get("data"))
        groups = _groups(by, keys, observations, get("code"))
        provenance, remarks = read(document.get("provenance"), dict), record.remarks_of(document.get("remarks"))
        found = _laws(laws, groups, about["status"])
        return GroupedRecord(groups, found, None, provenance=provenance, remarks=remarks, **about)
    whole = record.from_document(document, time)
    groups = _groups(by, keys, whole.observations, get("code"))
    found = _form(whole, get, len(keys))
    return GroupedRecord(groups, found, whole.noise, provenance=whole.provenance, remarks=whole.remarks, **about)


def _groups(by: tuple[Hashable, ...], keys: pd.Index, observations: Any, given: Any) -> Groups:
    code = array(given, observations.count)
    if code is None or code.dtype.kind != "i" or code.min() < 0 or code.max() >= len(keys):
        raise LoadError("the file's rows are of groups that it does not name")
    _ = observations.y  # says what is missing
    return Groups(by, keys, observations, code)


def _pair(given: Any) -> list[Any]:
    if len(read(given, list)) != 2:
        raise LoadError(f"{str(given)[:80]!r} stands where a pair was expected")
    return given


def _index(given: Any) -> pd.Index:
    return pd.Index([label(one) for one in read(given, list)], tupleize_cols=False)


def _levels(given: list[Any], by: tuple[Hashable, ...]) -> pd.MultiIndex:
    keys = [label(one) for one in given]
    if not all(isinstance(key, tuple) and len(key) == len(by) for key in keys):
        raise LoadError(f"a group is not told by {len(by)} labels")
    return pd.MultiIndex.from_tuples(keys, names=by)


def _word(given: Any) -> str:
    if given not in STATUS:
        raise LoadError(f"{str(given)[:80]!r} is nothing that can be said of a group; known: {', '.join(STATUS)}")
    return given


def _forms(given: Mapping[str, Any]) -> pd.DataFrame:
    if not given:
        return pd.DataFrame()
    columns = {
        name: [number(one) if kind is float else read(one, kind) for one in read(given.get(name), list)]
        for name, kind in _FORMS.items()
    }
    if len({len(values) for values in columns.values()}) > 1:
        raise LoadError("the file's table of forms has columns of different lengths")
    return pd.DataFrame(columns)


def _laws(given: list[Any], groups: Groups, status: Sequence[str]) -> Laws:
    """A law for each group that has one; its rows are those of the group."""
    found = {
        label(key): FitResult.from_document(read(one, dict), {}, regression.resume) for key, one in map(_pair, given)
    }
    if list(found) != [key for key, word in zip(groups.keys, status, strict=True) if word in ("ok", "no_convergence")]:
        raise LoadError("the file's laws are not those of its groups")
    return Laws(found)


def _form(whole: Record, get: Any, groups: int) -> SharedForm:
    e, parameters = whole.front.expressions, whole.parameters
    if len(e) != 1:
        raise LoadError(f"{len(e)} forms, and groups share one")
    k, each = int(e.number_counts[0]), read(get("each"), dict)
    p = k if parameters is None else len(parameters.names)
    shapes = {
        "numbers": (k,), "loss": (), "covariance": (p, p), "root": (p, p), "null": (p, p), "variance": (),
        "degrees": (), "identifiable": (p,),
    }  # fmt: skip
    arrays = {name: array(each.get(name), groups, *shape, finite=False) for name, shape in shapes.items()}
    if lost := [name for name, values in arrays.items() if values is None]:
        raise LoadError(f"the file's groups lack {lost[0]!r}")
    of = {name: torch.from_numpy(values) for name, values in arrays.items()}
    common = [read(one, bool) for one in read(get("common"), list)]
    if len(common) != p:
        raise LoadError(f"{len(common)} constants may be common, and the form has {p}")
    laplace = Laplace(
        covariance=of["covariance"].double(), stderr=of["covariance"].double().diagonal(dim1=1, dim2=2).sqrt(),
        identifiable=of["identifiable"] > 0, variance=of["variance"].double(), degrees=of["degrees"].long(),
        absolute=read(get("absolute"), bool), root=of["root"].double(), null=of["null"].double(),
    )  # fmt: skip
    return SharedForm(e, parameters, of["numbers"].double(), torch.tensor(common, dtype=torch.bool), laplace,
                      of["loss"].double())  # fmt: skip
