"""Ablations: what each changes, that all spend the same, and that they are judged alike and not trained twice."""

from click.testing import CliRunner

from sr_accessor.errors import UnknownNameError
from sr_accessor.evaluation.__main__ import commands
from sr_accessor.evaluation.ablations import ABLATIONS, ablations_table
from sr_accessor.training.train import make_plan
from sr_accessor.transformer import checkpoint


def test_each_changes_what_its_name_says():
    recipe = make_plan(preset_name="mini")
    for name, what in ABLATIONS.items():
        plan = make_plan(**{"preset_name": "mini", **what.changed})
        assert (plan == recipe) == (name == "recipe"), name
        assert what.judged in ("science", plan.prior)  # judged on what it has learnt, or all on the same


def test_the_command_trains_each_once_and_judges_all(tmp_path):
    options = (
        "ablations --preset tiny --operations 1 --batch-points 200 --validation 20 --no-progress --threads 1".split()
    )
    options += ["--out", str(tmp_path), "recipe", "y-scaled"]
    done = CliRunner().invoke(commands, options)
    assert done.exit_code == 0, done.output
    header, *rows = done.stdout.splitlines()[:3]
    assert header.split()[:5] == ["ablation", "parameters", "updates", "examples", "judged"]
    assert [row.split()[0] for row in rows] == ["recipe", "y-scaled"] and [row.split()[4] for row in rows] == [
        "science", "paper",
    ]  # fmt: skip
    written = {name: checkpoint.file_sha256(tmp_path / name / "network.safetensors") for name in ("recipe", "y-scaled")}
    again = CliRunner().invoke(commands, options)
    assert again.stdout.splitlines()[:3] == [header, *rows]
    assert written == {n: checkpoint.file_sha256(tmp_path / n / "network.safetensors") for n in written}


def test_no_such_ablation():
    done = CliRunner().invoke(commands, ["ablations", "adma"])
    assert isinstance(done.exception, UnknownNameError) and "did you mean 'adam'" in str(done.exception)


def test_the_table():
    row = {"ablation": "a", "parameters": 1234, "updates": 1, "examples": 61000, "judged": "paper"}
    table = ablations_table([row | {"own": 1.5, "other": 2.0, "difference": 0.5, "tokens right": 0.25}])
    assert table.splitlines()[1].split() == ["a", "1,234", "1", "61,000", "paper", "1.500", "2.000", "0.500", "25.0%"]
