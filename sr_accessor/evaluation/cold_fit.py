"""python -m sr_accessor.evaluation.cold_fit NOISE: a first and a second fit in a fresh process, timed from the import.

A script of `evaluation speed`; it imports nothing heavy before its clock runs.
"""

from __future__ import annotations

import json
import resource
import sys
import time

__all__ = ["main", "table"]


def table(noise: float, seed: int, rows: int = 200):
    """A frame of `rows` × 3 inputs and y = a·b/c², with Gaussian noise relative to y's root mean square."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.uniform(1, 5, (rows, 3)), columns=["a", "b", "c"])
    y = 1.7 * frame["a"] * frame["b"] / frame["c"] ** 2
    return frame.assign(y=y + random.normal(0, noise * np.sqrt(np.mean(y**2)), rows))


def main(noise: float) -> None:
    """Print the front, then one line of JSON: seconds of import and first fit, of the second fit, peak bytes."""
    began = time.perf_counter()
    import sr_accessor as sr

    frame = table(noise, seed=1)
    print(sr.fit(frame, "y", random_state=0, progress=False).front)
    first = time.perf_counter()
    print(sr.fit(table(noise, seed=2), "y", random_state=0, progress=False).front)
    second = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"cold": first - began, "second": second - first, "peak": peak}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
