"""NIST's Statistical Reference Datasets: `sr.refine` from both of NIST's starts; digits are printed per problem."""

import math

import pandas as pd
import pytest

import sr_accessor as sr
from sr_accessor import evaluation
from sr_accessor.evaluation.problems import select

PACK = next(iter(evaluation.__path__)) + "/pack/"
RECORDS = {record.name.removeprefix("nist_"): record for record in select({"nist_strd"})}
#: Residuals of Lanczos1 (1e-13) are the rounding of its table. Rounded once more to float64, exact arithmetic
#: (mpmath, 40 digits, 2026-11-21) gives the certified standard errors to 3.4 digits.
STDERR_DIGITS = dict.fromkeys(RECORDS, 4.0) | {"Lanczos1": 2.8}


def digits(found: float, certified: float) -> float:
    """−log10 of the relative error, NIST's measure; at most 11, which is what they certify."""
    return min(11.0, -math.log10(max(abs(found / certified - 1), 1e-300)))


def refined(name: str, start: int, **options):
    record = RECORDS[name]
    nist = record.certified
    table = pd.read_csv(PACK + record.table)
    starts = {parameter: pair[start - 1] for parameter, pair in nist.starts.items()}
    return nist, sr.refine(table, record.target, nist.model, start=starts, random_state=0, **options)


@pytest.mark.parametrize("start", (1, 2))
@pytest.mark.parametrize("name", RECORDS)
def test_certified_parameters_and_standard_errors(name, start, capsys):
    nist, result = refined(name, start)
    params = result.best.params
    of_value = min(digits(params.value[p], v) for p, v in nist.values.items())
    of_stderr = min(digits(params.stderr[p], v) for p, v in nist.errors.items())
    with capsys.disabled():
        reached = result.provenance["starts that reached the optimum"]
        print(
            f"\n{name:9} start {start}: {of_value:4.1f} digits of parameters, {of_stderr:4.1f} of standard errors",
            end=" ",
        )
        print(f"({reached} of {result.provenance['starts']} starts)", end=" ")
    assert result.status == "converged"
    assert of_value >= 6
    assert of_stderr >= STDERR_DIGITS[name]


@pytest.mark.parametrize("name", ["Rat42", "Thurber", "Gauss1"])
def test_nists_nearer_start_needs_no_restarts(name):
    nist, result = refined(name, 2, restarts=0)
    for parameter, value in nist.values.items():
        assert result.best.params.value[parameter] == pytest.approx(value, rel=1e-6)
