"""Common constants: those that the data cannot tell apart between groups, by description length; refined jointly."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sr_accessor.expressions.batch import Expressions
from sr_accessor.expressions.description import constant_bits
from sr_accessor.groups.refine import laplace_each, losses_each, refine_each, slopes_each
from sr_accessor.groups.split import Stack
from sr_accessor.noise.model import NoiseModel
from sr_accessor.refinement.levenberg_marquardt import solve_normal
from sr_accessor.refinement.likelihood import MANY_PASSES, Parameters
from sr_accessor.uncertainty.laplace import Laplace

__all__ = ["Shared", "promised_savings", "share"]

#: Joint refinement: steps at most, nats a step must promise, halvings of a step, steps of the groups' own constants.
STEPS, PROMISED, HALVINGS, OWN_STEPS = 30, 1e-6, 8, 20
#: Bits per nat, and bits that ½ of a squared standard error costs.
BITS = 1 / math.log(2)


@dataclass(frozen=True)
class Shared:
    """One form in all groups, some of its constants common to all.

    Parameters
    ----------
    numbers : (G, K) of each group; NaN for groups without a fit
    common : (P,) bool, constants with one value for all groups
    laplace : covariance of the constants in each group, the common ones' from all groups
    loss : (G,) nats
    bits : of the numbers' values: the common ones once, the others in every group
    """

    numbers: torch.Tensor
    common: torch.Tensor
    laplace: Laplace
    loss: torch.Tensor
    bits: float

    @property
    def cost(self) -> float:
        """Bits of the data and of the numbers."""
        return float(self.loss[self.loss.isfinite()].sum()) * BITS + self.bits


def promised_savings(values: torch.Tensor, laplace: Laplace, free: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Which constants are cheaper said once for all groups, and the bits this saves, to second order around the fits.

    Parameters
    ----------
    values : (G, P) of the groups to go by
    laplace : their covariance
    free : (P,) constants that may be made common

    One constant after the other, the one that saves most first; the others follow by their covariance. These become
    surer thereby, and are said in more digits: what a needless constant seems to save is paid by them.
    """
    known = laplace.identifiable & values.isfinite()
    c = values.clone()
    spread = torch.where(known[:, :, None] & known[:, None, :], laplace.covariance, 0.0)
    common, left, saved = torch.zeros_like(free), free.clone(), 0.0

    def bits_of(c: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """(P,) bits of constants that every group has for itself."""
        return torch.where(known, constant_bits(c, spread.diagonal(dim1=1, dim2=2).sqrt()), 2.0).sum(0)

    while bool(left.any()):
        variance, own = spread.diagonal(dim1=1, dim2=2), bits_of(c, spread)
        sound = known & (variance > 0)
        weight = torch.where(sound, 1 / variance, 0.0)
        total = weight.sum(0)
        mean = (weight * torch.where(sound, c, 0.0)).sum(0) / total
        moved = torch.where(sound, mean - c, 0.0)
        gain = own - constant_bits(mean, total.rsqrt()) - BITS / 2 * (weight * moved.square()).sum(0)
        best = int(torch.where(left & (total > 0), gain, -torch.inf).argmax())
        if not (bool(left[best]) and float(gain[best]) > 0):
            break
        left[best] = False
        along = spread[:, :, best] * weight[:, best, None]
        after = (c + along * moved[:, best, None], spread - along[:, :, None] * spread[:, best, None, :])
        others = free & ~common
        others[best] = False
        gained = float(gain[best] - (bits_of(*after) - own)[others].sum())
        if gained > 0:
            (c, spread), saved = after, saved + gained
            common[best] = True
    return common, saved


def share(
    form: Expressions,
    numbers: torch.Tensor,
    stacks: Sequence[Stack],
    noise: NoiseModel,
    parameters: Parameters | None = None,
    *,
    look: bool = True,
) -> Shared:
    """One form's constants with those made common that are cheaper so, once the groups are refined jointly.

    Parameters
    ----------
    form : Expressions, one row
    numbers : (G, K) of each group at its own optimum
    stacks : the groups that have a fit
    parameters : names, ties and bounds of its numbers, `free` of one row; None: every number is alone
    look : False leaves every constant to its group
    """
    free = form.free[0] if parameters is None else parameters.free[0]
    laplace = laplace_each(form, numbers, stacks, noise, parameters)
    loss = losses_each(form, numbers, stacks, noise)
    best = Shared(
        numbers, torch.zeros_like(free), laplace, loss, _bits(_values(numbers, parameters), laplace, free, None)
    )
    fitted = torch.cat([stack.groups for stack in stacks]).sort().values
    if not look or len(fitted) < 2:
        return best
    common, _ = promised_savings(_values(numbers, parameters)[fitted], laplace[fitted], free)
    order = common.nonzero()[:, 0].tolist()
    while order:  # constants, at most K
        trial = _joint(form, numbers, stacks, noise, parameters, common, laplace)
        if trial.cost < best.cost:
            return trial
        common = common.clone()
        common[order.pop()] = False
    return best


def _values(numbers: torch.Tensor, parameters: Parameters | None) -> torch.Tensor:
    """(G, P) parameters from the numbers (G, K)."""
    return numbers if parameters is None else parameters.values(numbers)


def _bits(values: torch.Tensor, laplace: Laplace, free: torch.Tensor, common: torch.Tensor | None) -> float:
    """Bits of the free numbers' values over all groups that have a fit."""
    fitted = values.isfinite().all(1)
    bits = constant_bits(values[fitted], laplace.stderr[fitted])
    own = free if common is None else free & ~common
    once = bits[0, free & common].sum() if common is not None and len(bits) else 0.0
    return float(bits[:, own].sum() + once)


def _joint(
    form: Expressions,
    numbers: torch.Tensor,
    stacks: Sequence[Stack],
    noise: NoiseModel,
    parameters: Parameters | None,
    common: torch.Tensor,
    laplace: Laplace,
) -> Shared:
    """The form with these constants common, by Newton steps in them: the others' share is eliminated group by group.

    With curvature A of a group, c common and o own constants, the profile of the common ones has the curvature
    Σ A_cc − A_co A_oo⁻¹ A_oc and the slope Σ g_c − A_co A_oo⁻¹ g_o [Golub & Van Loan 2013, §3.2.11: Schur complement].
    """
    values = _values(numbers, parameters)
    index = torch.arange(numbers.shape[1], device=numbers.device) if parameters is None else parameters.index
    free = form.free[0] if parameters is None else parameters.free[0]
    fitted = torch.cat([stack.groups for stack in stacks])
    own = free & ~common
    variance = laplace.covariance.diagonal(dim1=1, dim2=2)[fitted][:, common]
    weight = torch.where(variance > 0, 1 / variance, 0.0).nan_to_num(nan=0.0, posinf=0.0)
    level = (weight * values[fitted][:, common].nan_to_num()).sum(0) / weight.sum(0)

    def refined(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (G, K) with the groups' own constants at their best beside the common ones, and the loss (G,)."""
        if not bool(own.any()):
            return values[:, index], losses_each(form, values[:, index], stacks, noise)
        held, options = form, {}
        if parameters is None:
            held = form.with_literals(common[None] & form.free)
        else:
            options = {"parameters": dataclasses.replace(parameters, free=own[None])}
        start = values[:, index][:, None, None]
        found = refine_each(held, start, stacks, len(values), noise, steps=OWN_STEPS, passes=MANY_PASSES, **options)
        return found.numbers[:, 0], found.loss[:, 0]

    values = values.clone()
    values[:, common] = level
    values = torch.where(free, values, _values(numbers, parameters))
    now, loss = refined(values)
    for _ in range(STEPS):
        slopes = slopes_each(form, now, stacks, noise, parameters)
        curvature, slope, reply = _profile(slopes.normal[fitted], slopes.gradient[fitted], own, common)
        step = solve_normal(curvature[None], slope[None])[0]
        if not float((step * slope).sum()) / 2 > PROMISED:
            break
        at, before = _values(now, parameters), float(loss[fitted].sum())
        for _ in range(HALVINGS):
            moved = at.clone()
            moved[:, common] += step
            change = torch.zeros_like(at[fitted])
            change[:, own] = -(reply @ step)
            moved[fitted] += change
            if parameters is not None:
                moved = moved.clamp(parameters.lower, parameters.upper)
            trial, trial_loss = refined(moved)
            if float(trial_loss[fitted].sum()) < before:
                break
            step = step / 2
        else:
            break
        now, loss = trial, trial_loss
        if before - float(loss[fitted].sum()) < PROMISED:
            break
    joint = _covariance(slopes_each(form, now, stacks, noise, parameters).normal[fitted], own, common, laplace, fitted)
    numbers = torch.full_like(numbers, torch.nan)
    numbers[fitted] = now[fitted]
    return Shared(numbers, common, joint, loss, _bits(_values(numbers, parameters), joint, free, common))


def _profile(
    normal: torch.Tensor, gradient: torch.Tensor, own: torch.Tensor, common: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Curvature (C, C) and slope (C,) of the common constants' profile, and A_oo⁻¹ A_oc (G, O, C)."""
    across = normal[:, own][:, :, common]
    reply = _inverse(normal[:, own][:, :, own]) @ across
    curvature = (normal[:, common][:, :, common] - across.mT @ reply).sum(0)
    slope = (gradient[:, common] - (reply.mT @ gradient[:, own, None])[:, :, 0]).sum(0)
    return curvature, slope, reply


def _inverse(normal: torch.Tensor) -> torch.Tensor:
    """Pseudo-inverse of (G, O, O), its diagonal scaled to 1 first, so that units do not decide the rank."""
    diagonal = normal.diagonal(dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    unit = normal * scale[:, :, None] * scale[:, None, :]
    return torch.linalg.pinv(unit, hermitian=True, rtol=1e-13) * scale[:, :, None] * scale[:, None, :]


def _covariance(
    normal: torch.Tensor, own: torch.Tensor, common: torch.Tensor, laplace: Laplace, fitted: torch.Tensor
) -> Laplace:
    """Covariance of the constants in each group, the common ones determined by all of them.

    Where the scale of the scatter is estimated, each group's counts with its degrees of freedom.
    """
    points = laplace.degrees[fitted] + laplace.identifiable[fitted].sum(1)
    degrees = (points - own.sum() - common.sum() / len(fitted)).clamp(min=0)
    if not laplace.absolute:
        normal = normal * (degrees / points.clamp(min=1))[:, None, None]
    curvature, _, reply = _profile(normal, normal.new_zeros(normal.shape[:2]), own, common)
    once = _inverse(curvature[None])[0]
    alone = _inverse(normal[:, own][:, :, own])
    known = (normal.diagonal(dim1=1, dim2=2) > 0) & own & (degrees > 0)[:, None]
    known[:, common] = curvature.diagonal() > 0
    full = torch.zeros_like(normal)
    o, c = own.nonzero()[:, 0], common.nonzero()[:, 0]
    full[:, o[:, None], o[None, :]] = alone + reply @ once @ reply.mT
    full[:, o[:, None], c[None, :]] = -reply @ once
    full[:, c[:, None], o[None, :]] = -(reply @ once).mT
    full[:, c[:, None], c[None, :]] = once
    root = torch.zeros_like(laplace.root)
    values, vectors = torch.linalg.eigh(full)
    root[fitted] = vectors * values.clamp(min=0).sqrt()[:, None, :]
    square = torch.full_like(laplace.covariance, torch.nan)
    square[fitted] = torch.where(known[:, :, None] & known[:, None, :], full, torch.nan)
    told = torch.zeros_like(laplace.identifiable)
    told[fitted] = known
    left = torch.zeros_like(laplace.degrees)
    left[fitted] = degrees.floor().long()
    variance = torch.full_like(laplace.variance, torch.nan)
    variance[fitted] = 1.0
    return dataclasses.replace(
        laplace, covariance=square, stderr=square.diagonal(dim1=1, dim2=2).sqrt(), identifiable=told, variance=variance,
        degrees=left, root=root, null=torch.zeros_like(laplace.null),
    )  # fmt: skip
