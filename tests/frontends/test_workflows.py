"""The examples for Snakemake and DVC: their files are read here, and the very commands in them are run."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sr_accessor.frontends.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"


def snakemake_rules():
    """(inputs, outputs, command) of each rule, placeholders filled in; reads what the example uses of the syntax."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (EXAMPLES / "snakemake" / "Snakefile").read_text())
    rules = []
    for name, body in re.findall(r"(?ms)^rule (\w+):\n(.*?)(?=^rule |\Z)", text):
        part = {}
        for key, block in re.findall(r"(?m)^    (\w+):\n((?:        .*\n?)+)", body):
            part[key] = re.findall(r'(?:(\w+)=)?"([^"]*)"', block)
        assert set(part) <= {"input", "output", "shell"}, name
        command = "".join(text for _, text in part.get("shell", []))
        for key in ("input", "output"):
            command = command.replace(f"{{{key}}}", " ".join(path for _, path in part.get(key, [])))
            for label, path in part.get(key, []):
                command = command.replace(f"{{{key}.{label}}}", path)
        assert "{" not in command, command
        rules.append(([p for _, p in part.get("input", [])], [p for _, p in part.get("output", [])], command))
    return rules


def dvc_stages():
    folder = EXAMPLES / "dvc"
    values = yaml.safe_load((folder / "params.yaml").read_text())
    stages = []
    for stage in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].values():
        assert set(stage) <= {"cmd", "deps", "outs", "params"} and set(stage.get("params", [])) <= set(values)
        command = re.sub(r"\$\{(\w+)\}", lambda found: str(values[found[1]]), stage["cmd"])
        stages.append((stage["deps"], stage["outs"], command))
    return stages


@pytest.mark.parametrize("rules", [snakemake_rules, dvc_stages])
def test_each_command_makes_what_its_rule_says(rules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / rules.__name__.partition("_")[0] / "pendulum.csv", tmp_path)
    waiting, ran = rules(), 0
    while waiting:
        ready = [rule for rule in waiting if all(Path(path).exists() for path in rule[0])]
        assert ready, waiting
        for rule in ready:
            waiting.remove(rule)
            _, outputs, command = rule
            if not command:  # the rule that names the goals
                continue
            before = set(tmp_path.iterdir())
            program, *arguments = shlex.split(command)
            done = CliRunner().invoke(main, arguments)
            assert program == "symreg" and done.exit_code == 0, (command, done.output, done.exception)
            assert {path.name for path in set(tmp_path.iterdir()) - before} == set(outputs)
            ran += 1
    assert ran == 3
    assert Path("law.json").read_text().count('"equation": "period = ') >= 2
    head = Path("predicted.csv").read_text().partition("\n")[0]
    assert head in ("mean,lower,upper", "length,period,error,mean,lower,upper")
