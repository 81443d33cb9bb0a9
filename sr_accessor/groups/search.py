"""The recipe for groups: forms from searches in a few groups and in all rows, refined on all groups, one chosen."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from sr_accessor import regression
from sr_accessor.device import DTYPE, alone, resolve, seed_of
from sr_accessor.errors import InputError, OptionError, SymRegWarning
from sr_accessor.expressions.batch import Expressions, concatenate, constant
from sr_accessor.expressions.description import constant_bits, literal_bits, structure_bits
from sr_accessor.expressions.rewrite import simplify_batch
from sr_accessor.expressions.text import to_text
from sr_accessor.expressions.vocabulary import VARIABLE, Vocabulary
from sr_accessor.groups.common import BITS, Shared, promised_savings, share
from sr_accessor.groups.forms import Laws, SharedForm
from sr_accessor.groups.refine import Each, laplace_each, losses_each, refine_each
from sr_accessor.groups.result import GroupedResult
from sr_accessor.groups.split import Groups, Stack, told_groups
from sr_accessor.noise.model import NoiseModel
from sr_accessor.observations import FEWEST_ROWS, Observations
from sr_accessor.options import FitOptions
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.refinement.likelihood import MANY_PASSES
from sr_accessor.refinement.solution import Reason
from sr_accessor.result import FitResult
from sr_accessor.scatter import noises_of
from sr_accessor.search.selection import in_exponent
from sr_accessor.version import versions

__all__ = ["fit_groups", "report_groups", "status_of", "told_status"]

#: Groups in which forms are searched, beside all rows together; groups on which all forms are tried first; forms that
#: are refined on all groups; starts of each form, first and then.
SEARCHED, TRIED, FINALISTS, STARTS, STARTS_OF_ALL = 3, 24, 5, 6, 6
#: Forms tried at most; rows beyond the constants that a group needs to have a say in the choice of the form.
MOST_FORMS, SPARE_ROWS = 80, 1
#: Share of the time that the searches may take.
SEARCHING = 0.8
#: Steps of refinement; nats that a group costs which a form cannot describe, beside those of its mean; how far further
#: starts lie from the found ones (standard deviation of a factor's logarithm).
STEPS, MISFIT, NEAR = 30, 20.0, 0.7


def fit_groups(
    groups: Groups,
    options: FitOptions,
    *,
    shared: bool = True,
    sizes: Mapping[Hashable, Any] | None = None,
    errors: str = "warn",
    each: Callable[[Callable, Sequence[tuple]], list] | None = None,
) -> GroupedResult:
    """One form with own constants in every group, or independent fits.

    Parameters
    ----------
    groups : checked rows
    options : how to look; the time is shared by the searches
    shared : False fits every group by itself
    sizes : of xarray's dimensions, see `GroupedResult`
    errors : of groups without a law: "warn", "raise" or "ignore"
    each : values of a function of several lists of arguments, for independent fits; by default one after the other

    Raises
    ------
    InputError : no group has enough rows; with errors="raise", some group has no law.
    OptionError : an option that would mean nothing here.
    """
    began = time.perf_counter()
    _check_options(options, shared)
    large = np.flatnonzero(groups.counts >= FEWEST_ROWS)
    if not len(large):
        most = int(groups.counts.max(initial=0))
        raise InputError(f"no group has {FEWEST_ROWS} rows or more (the largest has {most}); a law needs that many")
    seed = seed_of(options.random_state)
    options = dataclasses.replace(options, random_state=seed)
    if not shared:
        return _apart(groups, options, sizes, began, errors, each or _in_turn)
    noises = noises_of(options.noise, groups.observations)
    results = _searches(groups, options, noises, seed)
    noise = _noise_of(results, noises)
    device = resolve(options.device)
    names = groups.observations.names
    forms, numbers = _candidates(results, names, free=_may_free(options))
    forms, numbers, telling = _few_constants(forms, numbers, groups)
    with ThreadPoolExecutor(1, initializer=alone) as pool:
        chosen = pool.submit(
            _chosen, forms.to(device), numbers.to(device), groups, telling, noise, seed, device
        ).result()
    found, status = chosen.found, status_of(groups, chosen.fitted, chosen.reason, chosen.needed)
    result = GroupedResult(
        groups=groups,
        found=SharedForm(
            chosen.form.to("cpu"),
            None,
            found.numbers.cpu(),
            found.common.cpu(),
            _to_cpu(found.laplace),
            found.loss.cpu(),
        ),
        noise=noise,
        status=status,
        forms=chosen.table,
        sizes=sizes,
        seconds=time.perf_counter() - began,
        remarks=told_status(groups, status),
        provenance=_provenance(options, device, results.values())
        | {"forms tried": len(forms), "groups searched": [repr(key) for key in results]},
    )
    report_groups(result, errors)
    return result


def _check_options(options: FitOptions, shared: bool) -> None:
    if options.checkpoint is not None:
        raise OptionError("checkpoint= keeps one law of one table; leave it out with groups")
    if shared and options.select != "mdl":
        raise OptionError(
            f"select={options.select!r} chooses from the front of one table; the form that groups share is that of the "
            "shortest description: leave select out, or give every group its own law with shared=False"
        )
    options.rows_held_out(0)  # refuses rows that are named
    if shared and options.validation not in (None, "auto"):
        raise OptionError(
            f"validation={options.validation!r}: of groups that share a form no rows are held out; leave validation "
            "out, or give every group its own law with shared=False"
        )


class _Chosen(NamedTuple):
    """The form that describes all groups in the fewest bits, its constants, and the table of those that competed."""

    form: Expressions
    found: Shared
    fitted: np.ndarray
    reason: np.ndarray
    needed: int
    table: pd.DataFrame


def _chosen(
    forms: Expressions,
    numbers: torch.Tensor,
    groups: Groups,
    telling: np.ndarray,
    noise: NoiseModel,
    seed: int,
    device: torch.device,
) -> _Chosen:
    """All forms on some of the groups that have a say, the best of them on all groups, the best of these."""
    names = groups.observations.names
    tried = np.sort(np.random.default_rng(seed).permutation(telling)[:TRIED])
    stacks = groups.stacks(tried, device)
    first = refine_each(forms, numbers, stacks, len(groups), noise, steps=STEPS)
    cost, _ = _costs(forms, first, stacks, noise, len(names))
    best = cost.argsort(stable=True)[:FINALISTS]
    forms = forms[best]
    starts = _starts(first.numbers[tried][:, best], first.loss[tried][:, best])
    stacks = groups.stacks(np.flatnonzero(groups.counts >= FEWEST_ROWS), device)
    each = refine_each(forms, starts, stacks, len(groups), noise, steps=STEPS, passes=MANY_PASSES)
    cost, common = _costs(forms, each, groups.stacks(telling, device), noise, len(names))
    winner = int(cost.argmin())
    form = forms[[winner]]
    needed = max(FEWEST_ROWS, int((form.free[0] & ~common[winner]).sum()))
    fitted = each.loss[:, winner].isfinite().cpu().numpy() & (groups.counts >= needed)
    found = share(form, each.numbers[:, winner], groups.stacks(np.flatnonzero(fitted), device), noise)
    table = pd.DataFrame(
        {
            "complexity": forms.complexity.tolist(),
            "loss": torch.where(each.loss.isfinite(), each.loss, 0.0).sum(0).tolist(),
            "mdl": cost.tolist(),
            "n_constants": forms.free.sum(1).tolist(),
            "n_common": common.sum(1).tolist(),
            "selected": [i == winner for i in range(len(forms))],
            "equation": to_text(forms, names, digits=4),
        }
    )
    return _Chosen(
        form, found, fitted, each.reason[:, winner].cpu().numpy(), needed, table.sort_values("mdl", ignore_index=True)
    )


def report_groups(result: GroupedResult, errors: str) -> None:
    """Say what is wrong with groups of a result.

    Raises
    ------
    InputError : errors="raise", and a group has no law.
    """
    lost = result.status[~result.status.isin(["ok", "no_convergence"])]
    if errors == "raise" and len(lost):
        raise InputError(
            f"group {lost.index.tolist()[0]!r} has no law: {lost.iloc[0]} ({len(lost)} such groups of {len(result)}); "
            "leave them out, or mark them with errors='warn'"
        )
    for remark in result.remarks if errors != "ignore" else ():
        warnings.warn(remark, stacklevel=5)


def told_status(groups: Groups, status: np.ndarray) -> list[SymRegWarning]:
    """One remark for each kind of groups without a law, or without an end of the refinement."""
    return [
        *told_groups("FEW_ROWS", groups.keys, (status == "too_few_rows") | (status == "no_data"), "have too few rows"),
        *told_groups("NO_MODEL", groups.keys, status == "no_fit", "cannot be described by the law"),
        *told_groups("NO_CONVERGENCE", groups.keys, status == "no_convergence", "did not converge"),
        *told_groups("INTERRUPTED", groups.keys, status == "interrupted", "were not fitted any more"),
    ]


def status_of(groups: Groups, fitted: np.ndarray, reason: np.ndarray, needed: int) -> np.ndarray:
    """(G,) a word for each group: whether it has a law, which needs so many rows, and why its refinement ended."""
    words = np.where(np.isin(reason, (Reason.STEPS_SPENT,)), "no_convergence", "ok").astype(object)
    words[~fitted] = "no_fit"
    words[~fitted & (groups.counts < needed)] = "too_few_rows"
    words[groups.counts == 0] = "no_data"
    return words


def _provenance(options: FitOptions, device: torch.device, results: Iterable[FitResult]) -> dict[str, Any]:
    interrupted = any(result.status == "interrupted" for result in results)
    return {
        **versions(), **({"interrupted": True} if interrupted else {}),
        "device": str(device), "random_state": options.random_state, "timeout": options.timeout,
        "max_rounds": options.max_rounds, "network": None if options.network is None else str(options.network),
        "operators": [o.name for o in vocabulary(options.operators)], **options.asked,
    }  # fmt: skip


def _to_cpu(laplace: Any) -> Any:
    moved = {f.name: getattr(laplace, f.name) for f in dataclasses.fields(laplace)}
    return dataclasses.replace(laplace, **{k: v.cpu() for k, v in moved.items() if isinstance(v, torch.Tensor)})


# ---------------------------------------------------------------------------- independent fits
def _in_turn(function: Callable, given: Sequence[tuple]) -> list[Any]:
    """Values of the function, one after the other; fewer where one was interrupted."""
    found = []
    for arguments in given:
        found.append(function(*arguments))
        if found[-1] is not None and found[-1].status == "interrupted":
            break
    return found


def _apart(
    groups: Groups,
    options: FitOptions,
    sizes: Mapping[Hashable, Any] | None,
    began: float,
    errors: str,
    each: Callable[[Callable, Sequence[tuple]], list],
) -> GroupedResult:
    status = np.full(len(groups), "ok", dtype=object)
    status[groups.counts < FEWEST_ROWS], status[groups.counts == 0] = "too_few_rows", "no_data"
    large = np.flatnonzero(groups.counts >= FEWEST_ROWS)
    found = each(_quietly, [(_varying(groups.observed(i)), options) for i in large])  # each with all of the time
    status[large[len(found) :]], large = "interrupted", large[: len(found)]
    results = {groups.keys[i]: result for i, result in zip(large, found, strict=True) if result is not None}
    status[large[[result is None for result in found]]] = "no_fit"
    remarks = told_status(groups, status)
    result = GroupedResult(
        groups=groups,
        found=Laws(results),
        noise=None,
        status=status,
        forms=pd.DataFrame(),
        sizes=sizes,
        seconds=time.perf_counter() - began,
        remarks=remarks,
        provenance=_provenance(options, resolve(options.device), results.values()),
    )
    report_groups(result, errors)
    return result


# ---------------------------------------------------------------------------- where forms come from
def _searches(
    groups: Groups, options: FitOptions, noises: tuple[NoiseModel, ...], seed: int
) -> dict[Hashable, FitResult]:
    """Fits of some of the largest groups, and of all rows together; the time is shared."""
    began = time.perf_counter()
    order = np.lexsort((np.arange(len(groups)), -groups.counts))
    enough = order[groups.counts[order] >= FEWEST_ROWS]
    # Of many large groups some far apart: neighbours are often measured alike.
    alike = enough[groups.counts[enough] >= groups.counts[enough[0]] / 2]
    pool = alike if len(alike) >= SEARCHED else enough
    chosen = pool[np.unique(np.linspace(0, len(pool) - 1, min(SEARCHED, len(pool))).round().astype(int))]
    tables: list[tuple[Hashable, Observations]] = [(groups.keys[i], groups.observed(i)) for i in chosen]
    if len(enough) > 1:
        tables.append(("all rows", groups.observations))
    results = {}
    for done, (key, observations) in enumerate(tables):
        left = SEARCHING * options.timeout - (time.perf_counter() - began)
        part = dataclasses.replace(options, timeout=max(0.1, left / (len(tables) - done)), validation=None)
        if (result := _quietly(_varying(observations), part)) is not None:
            results[key] = result
            if result.status == "interrupted":
                break
    if not results:
        raise InputError("no group has a feature that varies; add one, or fit the table without by=")
    return results


def _varying(observations: Observations) -> Observations | None:
    """The observations without features that are constant in them; None if there is no other."""
    kept = [i for i in range(len(observations.names)) if np.ptp(observations.x[:, i]) > 0]
    return observations.with_features(kept) if kept else None


def _quietly(observations: Observations | None, options: FitOptions) -> FitResult | None:
    """A fit whose remarks nobody needs: it proposes forms. None where nothing can be searched."""
    if observations is None:
        return None
    return regression.launch(observations, options, waiting=True, shown=False).found().result


def _noise_of(results: Mapping[Hashable, FitResult], noises: tuple[NoiseModel, ...]) -> NoiseModel:
    """The noise model that most of the searches chose; of few choices the first."""
    chosen = [result.provenance["noise"] for result in results.values()]
    return max(noises, key=lambda noise: chosen.count(noise.name))


def _may_free(options: FitOptions) -> bool:
    """Whether written numbers of a found form may be constants of the groups: not where forms must obey."""
    return options.constraints is None and options.template is None and not options.shape and options.units != "strict"


def _candidates(
    results: Mapping[Hashable, FitResult], names: Sequence[Hashable], *, free: bool
) -> tuple[Expressions, torch.Tensor]:
    """F forms from all fronts, and S starts of each, (S, F, K).

    A number that one group has by chance, 2 or 1/2, is a free constant of another: forms come with all their written
    numbers freed too, and with all but those in exponents. The same form in several fronts is a start from each.
    """
    found = concatenate(
        [_renamed(law.expression, result.names, names) for result in results.values() for law in result]
    )
    if free:
        few = simplify_batch(found.freed().with_literals(in_exponent(found) & ~found.free))
        found = concatenate([found, few, simplify_batch(found.freed())])
    found = found[found.complexity.argsort(stable=True)]
    written = torch.where(found.free, 0.0, found.constants)
    _, form = torch.cat([found.codes.to(written), written], 1).unique(dim=0, return_inverse=True)
    alike: dict[int, list[int]] = {}
    for row, number in enumerate(form.tolist()):
        alike.setdefault(number, []).append(row)
    rows = list(alike.values())[:MOST_FORMS]
    forms = found[[same[0] for same in rows]]
    starts = torch.stack([found.constants[[same[i % len(same)] for same in rows]] for i in range(STARTS)])
    drawn = torch.randn(starts.shape, generator=torch.Generator().manual_seed(0), dtype=starts.dtype)
    repeated = torch.tensor([[i >= len(same) for same in rows] for i in range(STARTS)])
    near = starts * torch.exp(NEAR * drawn)
    return forms, torch.where(repeated[:, :, None] & forms.free, near, starts)


def _renamed(e: Expressions, names: Sequence[Hashable], to: Sequence[Hashable]) -> Expressions:
    """An expression of some features as one of all."""
    place = torch.tensor([to.index(name) for name in names])
    is_variable = e.codes >= VARIABLE
    codes = torch.where(is_variable, VARIABLE + place[(e.codes - VARIABLE).clamp(min=0)], e.codes)
    return dataclasses.replace(e, codes=codes)


def _few_constants(
    forms: Expressions, numbers: torch.Tensor, groups: Groups
) -> tuple[Expressions, torch.Tensor, np.ndarray]:
    """Forms with no more constants than a middling group can tell, their starts, and the groups that can tell all.

    Only these have a say in the choice of the form: a law through all its points explains nothing.
    """
    middling = float(np.median(groups.counts[groups.counts >= FEWEST_ROWS]))
    counts = forms.free.sum(1)
    kept = counts <= max(middling - SPARE_ROWS, float(counts.min()))
    forms, numbers = forms[kept], numbers[:, kept]
    telling = np.flatnonzero(groups.counts >= int(forms.free.sum(1).max()) + SPARE_ROWS)
    return forms, numbers, telling if len(telling) else np.flatnonzero(groups.counts >= FEWEST_ROWS)


def _starts(numbers: torch.Tensor, loss: torch.Tensor) -> torch.Tensor:
    """(S, F, K) starts of each form from its solutions (T, F, K) in some groups, those without one left out."""
    sound = loss.isfinite()
    order = (~sound).long().argsort(dim=0, stable=True)
    count = sound.sum(0).clamp(min=1)
    at = torch.arange(STARTS_OF_ALL, device=loss.device)[:, None] * count // STARTS_OF_ALL
    rows = order.gather(0, at)
    return numbers.gather(0, rows[:, :, None].expand(-1, -1, numbers.shape[2])).nan_to_num(nan=1.0)


def _costs(
    forms: Expressions, each: Each, stacks: Sequence[Stack], noise: NoiseModel, inputs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bits (F,) of every form over the groups of the stacks, and which of its constants are common (F, K).

    A group that a form cannot describe is described by its mean, and `MISFIT` more.
    """
    rows = torch.cat([stack.groups for stack in stacks]).sort().values
    mean = _mean_losses(forms.vocabulary, stacks, len(each.loss), noise)[rows] + MISFIT
    structure, common = structure_bits(forms, inputs), []
    held = torch.arange(forms.constants.shape[1], device=forms.device) < forms.number_counts[:, None]
    written = torch.where(held & ~forms.free, literal_bits(forms.constants), 0.0).sum(1)
    data = torch.minimum(each.loss[rows], mean[:, None]).sum(0) * BITS
    numbers = torch.zeros_like(data)
    for i in range(len(forms)):  # forms, of which there are few
        free, values = forms.free[i], each.numbers[:, i]
        laplace = laplace_each(forms[[i]], values, stacks, noise)[rows]
        once, saved = promised_savings(values[rows], laplace, free)
        numbers[i] = constant_bits(values[rows], laplace.stderr)[:, free].sum() - saved
        common.append(once)
    return data + structure + written + numbers, torch.stack(common)


def _mean_losses(vocabulary: Vocabulary, stacks: Sequence[Stack], groups: int, noise: NoiseModel) -> torch.Tensor:
    """(G,) nats of the mean of each group."""
    device = stacks[0].y.device
    means = torch.full((groups, 1), torch.nan, dtype=DTYPE, device=device)
    for stack in stacks:
        means[stack.groups] = stack.y.mean(1, keepdim=True)
    return losses_each(constant([0.0], vocabulary, device), means, stacks, noise)
