"""python -m sr_accessor.evaluation.cold_fit NOISE LAUNCHED: a first and a second fit in a fresh process.

A script of `evaluation speed`, which says when it launched it (seconds of `time.time`): -m imports this package, and
pandas with it, before a clock in here could run.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd

import sr_accessor as sr
from sr_accessor.evaluation.machine import peak_memory

__all__ = ["main", "table"]


def table(noise: float, seed: int, rows: int = 200) -> pd.DataFrame:
    """A frame of `rows` × 3 inputs and y = a·b/c², with Gaussian noise relative to y's root mean square."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.uniform(1, 5, (rows, 3)), columns=["a", "b", "c"])
    y = 1.7 * frame["a"] * frame["b"] / frame["c"] ** 2
    return frame.assign(y=y + random.normal(0, noise * np.sqrt(np.mean(y**2)), rows))


def main(noise: float, launched: float) -> None:
    """Print the front, then a line of JSON: seconds from launch to the first front, of the second fit, peak bytes."""
    print(sr.fit(table(noise, seed=1), "y", random_state=0, progress=False).front)
    first = time.time()
    print(sr.fit(table(noise, seed=2), "y", random_state=0, progress=False).front)
    second = time.time()
    print(json.dumps({"cold": first - launched, "second": second - first, "peak": peak_memory()}))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
