"""Table 2 and figures 3 and 4: functions, what is measured of each way, failures, findings, curves, resumption."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from sr_accessor.device import generator
from sr_accessor.errors import ModelNotFoundError
from sr_accessor.evaluation import in_domain
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.figure3 import reach
from sr_accessor.evaluation.figure4 import curves, draw
from sr_accessor.evaluation.modes import scores
from sr_accessor.evaluation.runner import read_rows
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.evaluate import evaluate
from sr_accessor.expressions.vocabulary import Vocabulary
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build

VOCABULARY = Vocabulary(ELEMENTARY)
RAW, RANDOM, OWN = (
    "E2E, no BFGS", "E2E + BFGS, N(0,1) in place of its constants", "E2E + BFGS from its constants",
)  # fmt: skip


@pytest.fixture(scope="module")
def some():
    return in_domain.paper_functions(6, VOCABULARY, seed=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for targets in ("e2e", "skeleton"):
        network = build(preset("tiny", targets=targets, variables=10, length=24), generator(0))
        checkpoint.save(network, folder / f"{targets}.safetensors", provenance={"examples": 1500, "operations": 2e9})
    return folder


def test_functions_are_the_same_again_and_fresh_points_are_others(some):
    for f, g in zip(some, in_domain.paper_functions(6, VOCABULARY, seed=1), strict=True):
        assert torch.equal(f.x, g.x) and torch.equal(f.fresh_x, g.fresh_x) and f.x.shape == (200, f.variables)
        assert f.variables - 1 <= f.binaries <= f.variables + 3 and 0 <= f.unaries <= 4
        values, valid = evaluate(f.law, torch.cat([f.x, f.fresh_x]))
        assert bool(valid.all()) and torch.equal(values[0, :200], f.y)
        assert not torch.isin(f.fresh_x, f.x).any()
    assert not torch.equal(in_domain.paper_functions(1, VOCABULARY, seed=2)[0].y, some[0].y)
    assert torch.equal(in_domain.paper_functions(1, VOCABULARY, seed=1)[0].y, some[0].y)  # more begin with fewer


def knows(some):
    """The truth, told by the number of points and their values."""

    def way(x, y, seconds, seed):
        law = next(f.law for f in some if torch.equal(f.x[: len(x)], x))
        return in_domain.Law("the truth", lambda points: evaluate(law, points)[0][0].numpy())

    return way


def test_rows_of_the_truth_of_nothing_and_of_noise(some, tmp_path):
    seen = []

    def listens(x, y, seconds, seed):
        seen.append((len(x), y, seed))
        return in_domain.Law("nothing", lambda points: np.full(len(points), np.nan))

    ways = {"truth": knows(some), "nothing": lambda *given: None, "listens": listens}
    measured = partial(in_domain.measure, some[:2], ways, tmp_path / "r.csv", sizes=(50, 200), seconds=1.0, seed=0)
    rows = measured(noises=(0.1,))
    truth = rows[rows["method"] == "truth"]
    assert len(truth) == 6 and (truth[["Acc 0.1", "Acc 0.001", "scale 1"]].astype(str) == "True").all(axis=None)
    for name in ("nothing", "listens"):
        missed = rows[rows["method"] == name]
        assert (missed["R2"] == 0).all() and (missed["Acc 0.1"].astype(str) == "False").all()
    assert set(truth["law"]) == {"the truth"} and rows.loc[rows["method"] == "nothing", "law"].isna().all()
    assert rows["truth"].str.contains("x0").all()
    assert rows["no law"].astype(str).eq("True").equals(rows["method"] == "nothing")
    clean, noisy = ([y for n, y, _ in seen if n == 200][i] for i in (0, 1))
    assert torch.equal(clean, some[0].y)
    error = noisy / clean - 1
    assert 0.08 < float(error.std()) < 0.12
    assert [n for n, _, _ in seen] == [50, 200, 200] * 2
    assert measured(noises=(0.1,)).equals(rows) and len(seen) == 6  # nothing is measured twice


def test_scores_of_huge_values():
    y = np.array([1e200, -2e200, 3e200])
    assert scores(y, y)["R2"] == 1.0 and scores(y, y * 1.05)["Acc 0.1"] and not scores(y, y * 1.05)["Acc 0.01"]
    assert 0.9 < scores(y, y * 1.05)["R2"] < 1.0


def rows_of(hits, noise=0.0):
    """Rows of a results file: for each mode and function whether it is right to 0.1 and to 0.001."""
    lines = [
        {"suite": "50 points", "problem": f"function {i}", "noise": noise, "method": method, "R2": 0.5, "no law": False,
         "Acc 0.1": loose, "Acc 0.01": tight, "Acc 0.001": tight, "seconds": 1.0}
        for method, both in hits.items() for i, (loose, tight) in enumerate(both)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_the_table_and_the_findings():
    few, many, none = (
        [(True, False)] * 3 + [(False, False)],
        [(True, True)] * 3 + [(False, False)],
        [(False, False)] * 4,
    )
    hits = {"skeleton + BFGS": [(True, True), *none[:3]], RAW: few, RANDOM: none, OWN: many, in_domain.PRODUCT: many}
    rows = pd.concat([rows_of(hits), rows_of({"skeleton + BFGS": few, RAW: none}, noise=0.1)], ignore_index=True)
    table = in_domain.table_2(rows).set_index("mode")
    assert table.loc[OWN, "Acc 0.001"].startswith("0.75 (") and table.loc[OWN, "paper Acc 0.001"] == 0.29
    assert table.loc[in_domain.PRODUCT, "paper R2"] == "-" and (table["n"] == 4).all()
    said = in_domain.checks(rows)
    verdicts = {line[5:].split(":")[0]: line[:3].strip() for line in said}
    assert verdicts["refinement more than doubles Acc 0.001 of E2E"] == "yes"
    assert verdicts["unrefined E2E leads the skeleton model at Acc 0.1"] == "yes"
    assert verdicts["unrefined E2E trails it at Acc 0.001"] == "yes"
    assert verdicts["unrefined E2E trails it under noise of 0.1, Acc 0.1"] == "yes"
    assert verdicts["start from the model beats a random start, Acc 0.1"] == "yes"
    assert verdicts["start from the model beats a random start, R2"] == "no"
    assert verdicts["sr.fit above the paper's best, Acc 0.001"] == "yes"
    assert verdicts["sr.fit above the paper's best, R2"] == "no"
    assert any("won 3, lost 0" in line for line in said)
    assert in_domain.checks(rows_of({RAW: few})) == []


def options_of(weights, folder, command):
    return [
        command, "--weights", str(weights / "e2e.safetensors"), "--skeleton", str(weights / "skeleton.safetensors"),
        "--functions", "2", "--points", "20,50", "--no-product", "--refinement", "lm",
        "--out", str(folder / "rows.csv"),
    ]  # fmt: skip


def test_both_commands_share_their_rows(weights, some, tmp_path, monkeypatch):
    def prepared(functions, first, second, refinement, with_product, rounds, seed):
        assert (functions, refinement, with_product, rounds, seed) == (2, "lm", False, None, 0)
        both = {"E2E, no LM": lambda *given: None, "skeleton + LM": knows(some)}
        return in_domain.Prepared(some[:functions], both, (first, second))

    for module in ("in_domain", "figure4"):
        monkeypatch.setattr(f"sr_accessor.evaluation.{module}.prepared", prepared)
    done = CliRunner().invoke(commands, options_of(weights, tmp_path, "in-domain"))
    assert done.exit_code == 0, done.output
    assert "skeleton + LM" in done.stdout and "E2E, no LM" in done.stdout and "1,500 examples (0.00%" in done.stdout
    rows = read_rows(tmp_path / "rows.csv")
    assert len(rows) == 2 * 2 * 2
    more = ["--table", str(tmp_path / "t.csv"), "--plot", str(tmp_path / "p.png")]
    done = CliRunner().invoke(commands, [*options_of(weights, tmp_path, "figure4"), *more])
    assert done.exit_code == 0, done.output
    after = read_rows(tmp_path / "rows.csv")
    assert after.iloc[: len(rows)].equals(rows) and len(after) == len(rows) + 2 * 3 * 2
    assert set(pd.read_csv(tmp_path / "t.csv")["panel"]) == set("ABCDEF")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG") and "F  Acc 0.1 by multiplicative" in done.stdout
    assert CliRunner().invoke(commands, ["in-domain", "--points", "2"]).exit_code == 2


def test_four_ways_and_the_product(weights):
    e2e, skeleton = (str(weights / f"{name}.safetensors") for name in ("e2e", "skeleton"))
    asked = in_domain.prepared(1, e2e, skeleton, "lm", True, None, seed=0)
    assert len(asked.functions) == 1 and asked.networks == (e2e, skeleton) and not asked.missing
    assert [in_domain.kind(name) for name in asked.ways] == ["skeleton", "raw", "random", "own", None]
    without = in_domain.prepared(1, e2e, "nobody", "lm", False, None, seed=0)
    assert [in_domain.kind(name) for name in without.ways] == ["raw", "random", "own"]
    assert "the skeleton model: no network 'nobody'" in without.missing and without.networks == (e2e,)
    with pytest.raises(ModelNotFoundError, match="nobody"):
        in_domain.prepared(1, "nobody", skeleton, "lm", False, None, seed=0)


@pytest.mark.parametrize(("rounds", "seconds"), [(None, 2.0), (1, 0.0)])
def test_the_product_is_the_public_fit(rounds, seconds):
    x = torch.rand(60, 2, generator=generator(0), dtype=torch.float64) + 0.5
    found = in_domain.product(rounds)(x, 2 * x[:, 1] + 1, seconds, 0)
    np.testing.assert_allclose(found.predict(10 * x), (20 * x[:, 1] + 1).numpy(), rtol=1e-6)
    assert found.text == "2*x1 + 1" and found.drafts == 0  # the law was found before the network's turn


def test_the_product_counts_what_comes_from_the_network(monkeypatch):
    best = SimpleNamespace(to_text=lambda digits: "x0", predict_array=lambda x: x[:, 0])
    proposed = {"mean": 1, "network": 200, "network, residual": 3, "pairs, y": 50}
    result = SimpleNamespace(best=best, provenance={"proposed": proposed})
    monkeypatch.setattr(in_domain.sr, "fit", lambda *given, **options: result)
    x = torch.rand(20, 2, generator=generator(0), dtype=torch.float64)
    assert in_domain.product(1)(x, x[:, 0], 0.0, 0).drafts == 203


def test_the_product_predicts_every_point():
    x, way = torch.rand(60, 2, generator=generator(0), dtype=torch.float64), in_domain.product()
    assert way(x, torch.ones(60, dtype=torch.float64) + 1e-3 * x[:, 0], 0.5, 0).predict(x).shape == (60,)


def test_curves_and_their_panels(some, tmp_path):
    ways = {OWN: knows(some), RAW: lambda *given: None}
    rows = in_domain.measure(some, ways, tmp_path / "r.csv", sizes=(50, 100), noises=(0.01,), seconds=1, seed=0)
    table = curves(rows)
    right = table[table["method"] == OWN]
    assert (right["share"] == 1).all() and (table.loc[table["method"] == RAW, "share"] == 0).all()
    assert right[right["panel"] == "D"][["at", "n"]].to_numpy().tolist() == [[50, 6], [100, 6]]
    assert right.loc[right["panel"] == "F", "at"].tolist() == [0.0, 0.01]
    assert right.loc[right["panel"] == "E", "at"].tolist() == list(in_domain.SCALES)
    assert right.loc[right["panel"] == "C", "n"].sum() == 12
    page = draw(table)
    assert len(page.axes) == 6 and all(len(ax.lines) == 2 for ax in page.axes)


def test_reach_of_heads():
    count = 30
    alike, near = torch.full((count, count), 1 / count), torch.eye(count)
    one = torch.zeros(count, count)
    one[:, 4] = 1.0
    table = reach(torch.stack([alike, near, one])[None])
    assert table["head"].tolist() == [1, 2, 3]
    assert table["mean distance"].tolist()[:2] == pytest.approx([(count - 1 / count) / 3, 0.0], rel=1e-3)
    assert table["most watched"].tolist() == pytest.approx([1 / count, 1 / count, 1.0])


def test_figure3_command(weights, tmp_path):
    options = ["figure3", "--network", str(weights / "e2e.safetensors"), "--points", "12"]
    options += ["--out", str(tmp_path / "f.csv"), "--plot", str(tmp_path / "f.png")]
    done = CliRunner().invoke(commands, options)
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(tmp_path / "f.csv")) == 2 and (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    refused = CliRunner().invoke(commands, [*options, "--range", "0", "9"])
    assert "has no value at 0" in str(refused.exception)
