"""Side by side: the public `fit` with a network and without, on laws nobody has seen, in the user's own units."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import pandas as pd
import torch

from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.functions import Function, judge
from sr_accessor.evaluation.intervals import share
from sr_accessor.expressions.text import to_text
from sr_accessor.frontends.functions import fit

__all__ = ["fit_both", "side_by_side"]

_WIDTH = 76


def fit_both(some: Sequence[Function], network: str, seconds: float, seed: int) -> pd.DataFrame:
    """One row per function and fit: law, exact and close at fresh points, origin, seconds."""
    rows = []
    for place, f in enumerate(some):
        names = [f"x{k}" for k in range(f.x.shape[1])]
        table = pd.DataFrame(f.x.numpy(), columns=names).assign(y=f.y.numpy())
        fresh = pd.DataFrame(f.fresh_x.numpy(), columns=names)
        truth = to_text(f.law, names, digits=4)[0]
        for name, given in ((network, network), ("None", None)):
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SymRegWarning)
                result = fit(table, "y", network=given, timeout=seconds, random_state=seed + place, progress=False)
                took = time.perf_counter() - began
                prediction = torch.tensor(result.predict(fresh).to_numpy())
            exact, close = judge(prediction, f.fresh_y)
            law = result.to_text(4)
            facts = dict(law=law, exact=exact, close=close, origin=result.best.origin, seconds=took)
            rows.append(dict(function=place, truth=truth, network=name, **facts))
    return pd.DataFrame(rows)


def side_by_side(rows: pd.DataFrame) -> str:
    """The truth, and below it both laws, whether exact, who proposed them and how long it took; then the sums."""
    lines = []
    for place, group in rows.groupby("function", sort=False):
        lines.append(f"{place + 1:>3} truth         {_cut(group['truth'].iloc[0])}")
        for row in group.itertuples():
            mark = "exact" if row.exact else "R2>0.999" if row.close else "no"
            which = "network=None" if row.network == "None" else "network"
            lines.append(f"    {which:<13} {_cut(row.law):<{_WIDTH}}  {mark:<8}  {row.seconds:5.1f} s  {row.origin}")
    lines.append("")
    for name, group in rows.groupby("network", sort=False):
        own, count = int(group["origin"].str.startswith("network").sum()), len(group)
        lines.append(
            f"network={name}: exact {share(group['exact'])}, "
            f"R2>0.999 {int(group['close'].sum())}/{count}, chosen law drafted by the network {own}/{count}, "
            f"mean {group['seconds'].mean():.1f} s"
        )
    return "\n".join(lines)


def _cut(law: str) -> str:
    return law if len(law) <= _WIDTH else law[: _WIDTH - 1] + "…"
