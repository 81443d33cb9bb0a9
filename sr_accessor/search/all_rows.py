"""All rows: a front that was found on some of the rows, its constants refined and its laws priced on all of them."""

from __future__ import annotations

import torch

from sr_accessor.expressions.batch import concatenate, constant
from sr_accessor.search.front import Front
from sr_accessor.search.given import Given
from sr_accessor.search.selection import Data, Scored, best_front, refit, score, snap, stack

__all__ = ["on_all_rows"]

#: Newton steps from the constants that some of the rows gave; of the tries of a snap, which begin at the best ones.
STEPS, SNAP_STEPS = 4, 2
#: Laws of the shortest descriptions whose literals are freed; then numbers of the one shortest are snapped.
MOST_FREED = 2
#: Laws times rows that a front keeps in a hurry: 0.6 s until the result is there (1,000,000 rows, 2 laws; 2026-11-21).
MOST_IN_A_HURRY = 2_000_000


def on_all_rows(front: Front, data: Data, given: Given, *, hurry: bool = False) -> Front:
    """The front as all rows see it; the mean alone where no law has a value in every row.

    What some rows could not tell from a simple number, all may: the literals of the shortest laws are freed too. And a
    law that was too long for some rows may now pay. In a `hurry` the constants stay as some rows gave them, and of many
    laws on many rows only the shortest descriptions are kept.
    """
    order = torch.argsort(front.description_length, stable=True)
    if hurry:
        kept = order[: max(1, MOST_IN_A_HURRY // len(data))].sort().values
        origins = tuple(front.origins[i] for i in kept.tolist())
        return _front(score(front.expressions[kept], data, origins), front, data, given)
    short = order[:MOST_FREED]
    candidates = concatenate([front.expressions, front.expressions[short].freed()])
    origins = front.origins + tuple(front.origins[i] for i in short.tolist())
    scored = score(refit(candidates, data, steps=STEPS).expressions, data, origins)
    best = scored.description_length.argmin()[None]
    scored = stack([snap(scored[best], data, steps=SNAP_STEPS), scored])
    return _front(scored, front, data, given)


def _front(scored: Scored, before: Front, data: Data, given: Given) -> Front:
    """The front of what is as asked for and has a value in every row; else the mean."""
    kept = given.formed(scored.expressions) & given.shaped(scored.expressions) & scored.loss.isfinite()
    if not bool(kept.any()):
        mean = constant([float(data.y.mean())], before.expressions.vocabulary, data.y.device)
        return score(mean, data, ("mean",)).front()
    return best_front([scored[kept.nonzero()[:, 0]].front()])
