"""Fits with a network and without it on functions of many unaries: which functions, what is asked, and the table."""

import pandas as pd
from click.testing import CliRunner

from sr_accessor.evaluation import in_domain, nested
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.runner import read_rows
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.vocabulary import Vocabulary


def test_functions_of_many_unaries():
    some = in_domain.paper_functions(5, Vocabulary(ELEMENTARY), seed=0, least_unaries=3)
    assert len(some) == 5 and all(f.unaries >= 3 for f in some)


def rows_of(hits):
    lines = [
        {"problem": f"function {i}", "method": method, "R2": 0.5, **dict.fromkeys(in_domain.SCORES[1:], hit)}
        for method, both in hits.items() for i, hit in enumerate(both)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_the_table_counts_functions_that_both_have_fitted():
    rows = rows_of({"with": [True, True, False, True], "without": [False, True, False]})
    table = nested.nested_table(rows, "with", "without")
    assert list(table.index) == list(in_domain.SCORES) and table.loc["R2", "with"] == "0.500"
    assert table.loc["Acc 0.01", "with"].startswith("2/3") and table.loc["Acc 0.01", "without"].startswith("1/3")
    assert table.loc["Acc 0.01", "the same functions"].startswith("won 1, lost 0")
    assert nested.nested_table(rows_of({"with": [True]}), "with", "without").loc["Acc 0.1", "with"] == "-"


def test_the_command_asks_for_the_network_and_for_none(tmp_path, monkeypatch):
    asked = []

    def product(rounds, network):
        def find(x, y, seconds, seed):
            asked.append((rounds, network, len(x), seconds, seed))
            return in_domain.Law("0", lambda points: 0 * points[:, 0].numpy(), 7 * seed if network else 0)

        return find

    monkeypatch.setattr(nested, "product", product)
    out = tmp_path / "rows.csv"
    options = ["nested", "--functions", "2", "--points", "40", "--rounds", "3", "--out", str(out)]
    done = CliRunner().invoke(commands, options)
    assert done.exit_code == 0, done.output
    assert asked == [(3, network, 40, 5.0, place) for place in (0, 1) for network in ("default", None)]
    assert "3 unaries or more" in done.stdout and "3 rounds of sr.fit" in done.stdout and "0/2" in done.stdout
    assert "the network had its turn in 1 of 2 fits" in done.stdout
    assert len(read_rows(out)) == 4 and CliRunner().invoke(commands, options).stdout[:200] == done.stdout[:200]
    assert len(asked) == 4  # nothing is measured twice
