"""Wide tables: a known law of three columns among many that say nothing or only resemble them.

`python -m sr_accessor.evaluation.wide_tables` fits one in a fresh process, so that its memory is its own.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
import zlib

import numpy as np
import pandas as pd

from sr_accessor.errors import SymRegWarning
from sr_accessor.evaluation.machine import peak_memory
from sr_accessor.evaluation.problems import Problem, Record
from sr_accessor.evaluation.rows import Variable

__all__ = ["LAWS", "TARGET", "main", "record_of", "wide_table"]

TARGET = "y"
#: name -> (law, where its columns lie). Linear; even about a point inside the range; products of centred columns, which
#: have no effect of one column; a wave; powers over decades; a quotient; a decay.
LAWS = {
    "linear": ("3*a - 2*b + c/2", ("uniform", 0.0, 1.0)),
    "even": ("(a - 0.5)**2 + b*c", ("uniform", 0.0, 1.0)),
    "interaction": ("a*b + c**2", ("uniform", -1.0, 1.0)),
    "product": ("a*b*c", ("uniform", -1.0, 1.0)),
    "waves": ("sin(6*a)*sin(6*b) + c", ("uniform", 0.0, 1.0)),
    "powers": ("a**1.5*c/b**2", ("loguniform", 0.1, 10.0)),
    "quotient": ("a/(1 + b*c)", ("uniform", 0.5, 3.0)),
    "decay": ("a*exp(-b*c)", ("uniform", 0.5, 2.0)),
}
#: Columns of a law resembled by others: one in so many is a true one and noise of half its spread.
RESEMBLING, LIKENESS = 3, 0.5
#: What the others are, in turn.
OTHERS = (
    lambda random, n: random.uniform(0, 1, n),
    lambda random, n: random.normal(size=n),
    lambda random, n: 10.0 ** random.uniform(-2, 2, n),
    lambda random, n: random.integers(0, 6, n).astype(float),
)


def record_of(law: str) -> Record:
    """The law as a benchmark problem of the three columns a, b, c."""
    formula, (kind, low, high) = LAWS[law]
    variables = tuple(Variable(name, low, high, kind) for name in "abc")
    return Record(
        suite="wide", name=law, target=TARGET, formula=formula, variables=variables, rows=0, test=None,
        largest=math.inf, table=None, relative=False, certified=None, source="", units={},
    )  # fmt: skip


def wide_table(law: str, rows: int, columns: int, noise: float, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame of `columns` columns and the target, and the target before noise.

    Parameters
    ----------
    columns : at least three; the law's are called a, b, c and stand anywhere, the others n0, n1, …
    noise : standard deviation relative to the root mean square of the target

    A million rows of a hundred columns are held once: pandas keeps the block that is filled here.
    """
    record = record_of(law)
    random = np.random.default_rng([seed, zlib.crc32(law.encode()), rows, columns])
    order = random.permutation(columns)
    block = np.empty((columns, rows))
    inputs = record.inputs(rows, seed=int(random.integers(2**31)))
    true = inputs.to_numpy().T
    block[order[: len(true)]] = true
    for i, place in enumerate(order[len(true) :]):
        if i % RESEMBLING == 0:
            like = true[i // RESEMBLING % len(true)]
            block[place] = like + LIKENESS * like.std() * random.normal(size=rows)
        else:
            block[place] = OTHERS[i % len(OTHERS)](random, rows)
    names = np.empty(columns, dtype=object)
    names[order] = [*inputs, *(f"n{i}" for i in range(columns - len(true)))]
    clean = record.values(inputs)
    frame = pd.DataFrame(block.T, columns=list(names), copy=False)
    frame[TARGET] = clean + random.normal(0, noise * np.sqrt(np.mean(clean**2)), rows)
    return frame, clean


def main(law: str, rows: int, columns: int, noise: float, seed: int, seconds: float) -> None:
    """Fit one table and print a line of JSON: what was found, seconds and gigabytes."""
    import sr_accessor as sr
    from sr_accessor.evaluation.scoring import Answer, score

    frame, clean = wide_table(law, rows, columns, noise, seed)
    held = peak_memory()
    began, worked = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SymRegWarning)
        result = sr.fit(frame, TARGET, timeout=seconds, random_state=seed, progress=False)
    took, work = time.perf_counter() - began, time.process_time() - worked
    # The law itself is judged, by SRBench's rules, on rows without noise.
    record = record_of(law)
    test = frame.loc[: min(rows, 10_000) - 1, record.features].assign(**{TARGET: clean[:10_000]})
    answer = Answer(
        predict=lambda inputs: result.predict(inputs).to_numpy(),
        expression=result.best.to_sympy(), status=result.status, seconds=took, complexity=result.best.complexity,
    )  # fmt: skip
    found = {
        "columns": " ".join(map(str, result.best.names)),
        "kept": len(result.names),
        "rounds": result.provenance["rounds"],
        "processor_seconds": round(work, 1),
        "frame_gb": round(held / 1e9, 2),
        "peak_gb": round(peak_memory() / 1e9, 2),
    }
    unknown = set(result.best.names) - set(record.features)
    if unknown:  # it reads columns that are none of the law's: no rows to judge it by, and wrong in any case
        told = {"status": result.status, "solved": False, "exact": False, "seconds": round(took, 3)}
        told["expression"] = str(answer.expression)
    else:
        told = score(Problem(record, test, test, clean, seed, noise), answer)
    print(json.dumps(found | told))


if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    main(name, int(numbers[0]), int(numbers[1]), float(numbers[2]), int(numbers[3]), float(numbers[4]))
