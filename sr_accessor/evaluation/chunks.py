"""evaluation chunks: a law refined on all rows of a Dask table, on a cluster of local processes: seconds and memory."""

from __future__ import annotations

import time
import warnings

import click
import numpy as np
import pandas as pd

from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.machine import peak_memory, provenance
from sr_accessor.frontends.functions import fit

__all__ = ["chunk", "chunks", "measure_chunks"]

#: y = A·z·exp(−k·x) with normal noise.
TRUTH = {"A": 2.345, "k": 1.234}
NOISE = 0.05


def chunk(number: int, rows: int) -> pd.DataFrame:
    """One chunk of the table, made where it is needed."""
    random = np.random.default_rng(number)
    frame = pd.DataFrame({"x": random.uniform(0, 3, rows), "z": random.uniform(1, 2, rows)})
    frame["y"] = TRUTH["A"] * frame["z"] * np.exp(-TRUTH["k"] * frame["x"]) + NOISE * random.normal(size=rows)
    return frame


def measure_chunks(rows: int, parts: int, workers: int, timeout: float, seed: int) -> dict[str, object]:
    """Seconds of a fit of so many rows, the law, and the peak memory of this process and of the workers."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        table = dd.from_map(chunk, range(parts), rows=rows // parts)
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SymRegWarning)
            result = fit(table, "y", timeout=timeout, random_state=seed)
        seconds = time.perf_counter() - began
        theirs, worked = client.run(peak_memory), client.run(time.process_time)
    params = result.best.params
    return {
        "rows": rows, "workers": workers, "seconds": seconds, "CPU s here": time.process_time(),
        "CPU s a worker": max(worked.values()), "law": repr(result.best),
        "pulls": ", ".join(
            f"{min((abs(v) - t for t in TRUTH.values()), key=abs) / e:+.1f}"
            for v, e in zip(params["value"], params["stderr"], strict=True)
        ),
        "GB here": peak_memory() / 1e9, "GB a worker": max(theirs.values()) / 1e9,
    }  # fmt: skip


@click.command()
@click.option("--rows", default=10_000_000, show_default=True)
@click.option("--parts", default=20, show_default=True, help="Chunks of the table.")
@click.option("--workers", default=2, show_default=True, help="Processes of the cluster.")
@click.option("--seconds", default=20.0, show_default=True, help="Timeout of the search on the sample.")
@click.option("--seed", default=0, show_default=True)
def chunks(rows: int, parts: int, workers: int, seconds: float, seed: int) -> None:
    """A Dask table on local processes: goal 120 seconds for 10⁷ rows on two workers, below 2 GB a process."""
    row = measure_chunks(rows, parts, workers, seconds, seed)
    click.echo("\n".join(f"{name:12} {value}" for name, value in row.items()))
    click.echo(provenance(seed=seed))
