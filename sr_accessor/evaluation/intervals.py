"""Confidence intervals of a counted share, and whether two methods differ on the same problems."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

__all__ = ["paired", "share", "sign_test", "wilson"]


def wilson(hits: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a share [Wilson 1927, JASA 22, 209]; 95 % for the default z.

    Without a trial nothing is known: (0, 1).

    Raises
    ------
    ValueError : `hits` is not between 0 and `trials`.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"hits={hits} must be between 0 and trials={trials}")
    if trials == 0:
        return 0.0, 1.0
    share, scale = hits / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def sign_test(first: int, second: int) -> float:
    """Two-sided probability of counts at least as unequal if both were as likely [McNemar 1947, Psychometrika 12, 153].

    Parameters
    ----------
    first, second : problems that only one of two methods solves, and only the other
    """
    n, most = first + second, max(first, second)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(most, n + 1)) / 2**n)


def paired(first: Sequence[bool], second: Sequence[bool]) -> str:
    """ "won 5, lost 3 (sign test p = 0.73)": problems that only one of two methods solves, given in the same order."""
    won = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    return f"won {won}, lost {lost} (sign test p = {sign_test(won, lost):.2g})"


def share(hits: Collection[bool]) -> str:
    """ "3/60   5% (2-14)": a counted share with Wilson's 95 % interval; "-" of nothing."""
    trials, found = len(hits), int(sum(hits))
    if not trials:
        return "-"
    low, high = wilson(found, trials)
    return f"{found}/{trials} {found / trials:4.0%} ({100 * low:.0f}-{100 * high:.0f})"
