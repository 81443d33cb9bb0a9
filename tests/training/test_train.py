"""Runs: learning, kill and resume, SIGTERM, two processes as one, saturation, what the weights say of themselves."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sympy
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from sr_accessor.errors import InputError, LoadError, ModelIntegrityError, SymRegError, UnknownNameError
from sr_accessor.plugins.manager import only, register_operator
from sr_accessor.training.__main__ import commands
from sr_accessor.training.state import Counters, read_log
from sr_accessor.training.train import Budget, Intervals, Sums, count, make_plan, saturated, train
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.tokenizer import layout

ROOT = Path(__file__).parents[2]
OFTEN = Intervals(log=0.0, validate=1e9, save=0.0)


def plan(**changes):
    return make_plan(**dict(preset_name="tiny", batch_points=300, validation=40, schedule="paper", peak=3e-3) | changes)


def run(folder, steps, **changes):
    return train(plan(**changes), folder, Budget(steps=steps), device="cpu", precision="float32", intervals=OFTEN)


def parameters(folder):
    return checkpoint.load(folder / "network.safetensors").model.state_dict()


def same(one, other, **tolerance):
    return all(torch.allclose(one[name], other[name], **tolerance) for name in one)


def test_the_loss_falls_and_the_log_tells(tmp_path):
    outcome = run(tmp_path, 60, schedule="stable", peak=1e-2)
    lines = read_log(tmp_path)
    assert outcome.reason == "budget" and [line["step"] for line in lines] == list(range(1, 61))
    assert lines[-1]["loss"] < lines[0]["loss"] - 1
    assert {"seconds", "examples", "tokens_per_second", "operations", "own", "other", "accuracy"} <= lines[-1].keys()
    assert lines[-1]["rate"] < lines[30]["rate"]  # falls near the end of the budget
    header, _ = checkpoint.read_header(outcome.weights)
    facts = header["provenance"]
    assert facts["examples"] == lines[-1]["examples"] and facts["plan"]["prior"] == "science"
    assert facts["validation"]["own"] == pytest.approx(lines[-1]["own"])
    assert outcome.weights.stat().st_size < 150_000  # half precision


def test_a_run_in_two_parts_is_the_run_in_one(tmp_path):
    run(tmp_path / "one", 5)
    run(tmp_path / "two", 2)
    assert run(tmp_path / "two", 5).counters.step == 5
    assert same(parameters(tmp_path / "one"), parameters(tmp_path / "two"), rtol=0, atol=0)
    losses = [[line["loss"] for line in read_log(tmp_path / name)] for name in ("one", "two")]
    assert losses[0] == losses[1]
    assert [p.name for p in (tmp_path / "two" / "state").iterdir() if p.is_dir()] == ["5"]


def test_muon_goes_on_where_it_stood(tmp_path):
    run(tmp_path / "one", 4, schedule="stable")
    run(tmp_path / "two", 2, schedule="stable")
    run(tmp_path / "two", 4, schedule="stable")
    stored = [load_file(tmp_path / name / "state" / "4" / "network.safetensors") for name in ("one", "two")]
    assert stored[0].keys() == stored[1].keys() and any(name.endswith("/mean") for name in stored[0])
    assert same(*({k: v for k, v in s.items() if k.startswith("optimizer")} for s in stored), rtol=0, atol=0)


def test_a_state_is_safetensors_and_json_and_may_be_damaged(tmp_path):
    run(tmp_path, 1)
    files = [p for p in (tmp_path / "state").rglob("*") if p.is_file()]
    assert sorted(p.name for p in files) == ["latest.json", "network.safetensors", "shard-0.safetensors"]
    stored = load_file(tmp_path / "state" / "1" / "network.safetensors")
    assert {name.partition("/")[0] for name in stored} == {"model", "optimizer"}
    assert stored["optimizer/0/step"] == 1 and stored["optimizer/0/exp_avg"].abs().max() > 0
    for name in ("network", "shard-0"):
        path = tmp_path / "state" / "1" / f"{name}.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(LoadError, match=f"{name}.safetensors is damaged .*begin anew"):
            run(tmp_path, 2)
        path.unlink()
        with pytest.raises(LoadError, match=f"{name}.safetensors is missing"):
            run(tmp_path, 2)
        path.write_bytes(content)
    assert run(tmp_path, 2).counters.step == 2


def command(folder, *more):
    options = "--preset tiny --batch-points 300 --validation 40 --device cpu --threads 1 --no-progress".split()
    every = "--save-every 0 --log-every 0".split()
    return [sys.executable, "-m", "sr_accessor.training", *options, *every, "--out", str(folder), *map(str, more)]


def wait_for(folder, step, process):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read()
        latest = folder / "state" / "latest.json"
        if latest.is_file() and json.loads(latest.read_text())["counters"]["step"] >= step:
            return
        time.sleep(0.02)
    raise AssertionError("the run saved no state")


def test_killed_and_asked_to_stop(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command(tmp_path), cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path, 3, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    stood = json.loads((tmp_path / "state" / "latest.json").read_text())["counters"]["step"]
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 1')  # a line that the kill cut
    again = subprocess.Popen(
        command(tmp_path), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(tmp_path, stood + 3, again)
    again.send_signal(signal.SIGTERM)
    output, errors = again.communicate(timeout=30)
    assert again.returncode == 0 and output.startswith("asked: ") and errors == ""
    steps = [line["step"] for line in read_log(tmp_path)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) >= stood + 3
    header, _ = checkpoint.read_header(tmp_path / "network.safetensors")
    assert header["provenance"]["step"] == steps[-1]


def test_two_processes_give_the_loss_of_one(tmp_path):
    run(tmp_path / "one", 3, shards=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    options = "--schedule paper --lr 3e-3 --shards 2 --steps 3 --precision float32 --validate-every 1e9".split()
    done = subprocess.run(
        [*launcher, *command(tmp_path / "two", *options)[1:]],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("budget: 3 steps") == 1
    one, two = (read_log(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], abs=2e-5) and b["examples"] == a["examples"]
    assert two[-1]["own"] == pytest.approx(one[-1]["own"], rel=1e-4)
    assert same(parameters(tmp_path / "one"), parameters(tmp_path / "two"), rtol=1e-2, atol=1e-5)


def test_another_run_in_the_folder(tmp_path):
    run(tmp_path, 1)
    with pytest.raises(InputError, match=r"seed 0 -> 1.*--out"):
        run(tmp_path, 2, seed=1)
    latest = tmp_path / "state" / "latest.json"
    latest.write_text("{")
    with pytest.raises(LoadError, match="begin anew"):
        run(tmp_path, 2)


def test_from_weights(tmp_path):
    first = run(tmp_path / "first", 2).weights
    again = plan(start_from=str(first), preset_name=None)
    assert again.preset == "tiny" and again.start == checkpoint.file_sha256(first)
    train(again, tmp_path / "again", Budget(steps=1), start_from=str(first), device="cpu", intervals=OFTEN)
    assert same(parameters(tmp_path / "first"), parameters(tmp_path / "again"), atol=1e-3)
    skeleton = plan(start_from=str(first), targets="skeleton")
    train(skeleton, tmp_path / "skeleton", Budget(steps=1), start_from=str(first), device="cpu", intervals=OFTEN)
    assert same(parameters(tmp_path / "first"), parameters(tmp_path / "skeleton"), atol=1e-3)
    assert checkpoint.read_header(tmp_path / "skeleton" / "network.safetensors")[1].targets == "skeleton"
    with pytest.raises(InputError, match="not of preset 'small'"):
        other = plan(start_from=str(first), preset_name="small")
        train(other, tmp_path / "other", Budget(steps=1), start_from=str(first), device="cpu")


def test_other_layers_and_inputs_and_a_budget_of_operations(tmp_path):
    settings = plan(layers="2+1", inputs="tokens", prior="science+paper")
    spent = train(settings, tmp_path, Budget(operations=1.0), device="cpu", intervals=OFTEN).counters
    assert spent.step == 1 and spent.operations > 1
    config = checkpoint.read_header(tmp_path / "network.safetensors")[1]
    assert (config.encoder_layers, config.decoder_layers, config.inputs) == (2, 1, "tokens")
    again = plan(start_from=str(tmp_path / "network.safetensors"))
    assert (again.layers, again.inputs) == ("2+1", "tokens")
    for wrong in ("2", "0+3", "two+three"):
        with pytest.raises(InputError, match=r"such as 2\+3"):
            plan(layers=wrong)
    with pytest.raises(LoadError, match="layers"):
        plan(layers="2+999")
    with pytest.raises(LoadError, match="inputs='words' must be one of tokens, bits, features"):
        plan(inputs="words")


def test_an_operator_more(tmp_path):
    first = run(tmp_path / "first", 1).weights
    with only():
        register_operator("bump", torch=lambda x: torch.exp(-x * x), sympy=lambda x: sympy.exp(-(x**2)))
        more = dict(start_from=str(first), preset_name=None, operators=["bump"])
        for steps in (1, 2):  # the second goes on where the first stood
            options = dict(start_from=str(first), device="cpu", intervals=OFTEN)
            train(plan(**more), tmp_path / "more", Budget(steps=steps), **options)
    grown = parameters(tmp_path / "more")
    config = checkpoint.read_header(tmp_path / "more" / "network.safetensors")[1]
    assert config.operators[-1] == "bump" and len(grown["decoder.output_bias"]) == layout(config).size
    with pytest.raises(UnknownNameError, match="bump"):
        plan(operators=["bump"])


def test_skeleton_targets(tmp_path):
    run(tmp_path, 1, targets="skeleton")
    assert checkpoint.read_header(tmp_path / "network.safetensors")[1].targets == "skeleton"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(tmp_path):
    outcome = train(plan(batch_points=10_000), tmp_path, Budget(steps=20), intervals=OFTEN)
    lines = read_log(tmp_path)
    assert outcome.counters.step == 20 and lines[-1]["loss"] < lines[0]["loss"]
    assert train(plan(batch_points=10_000), tmp_path, Budget(steps=21), intervals=OFTEN).counters.step == 21


@pytest.mark.parametrize(
    ("accuracies", "answer"),
    [([], False), ([0.5, 0.5, 0.5], False), ([0.5, 0.5, 0.5004, 0.5], True), ([0.5, 0.6, 0.6, 0.602], False)],
)
def test_saturation(accuracies, answer):
    assert saturated(accuracies) is answer


def test_a_loss_that_stays_not_finite_ends_the_run():
    counters = Counters()
    sums = Sums(float("nan"), 1, 1, 1, 1, 1, 0, torch.ones(()))
    with pytest.raises(SymRegError, match="--lr"):
        for _ in range(100):
            count(counters, sums, False)
    assert counters.step == 21


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (dict(preset_name="tny"), UnknownNameError, "tiny"),
        (dict(prior="sience"), UnknownNameError, "science"),
        (dict(schedule="papr"), UnknownNameError, "paper"),
        (dict(targets="all"), InputError, "skeleton"),
        (dict(peak=-1.0, clip=0.0), InputError, "lr=-1.0 .*; clip=0.0 "),
    ],
)
def test_settings_that_cannot_be(changes, error, message):
    with pytest.raises(error, match=message):
        plan(**changes)


def test_shards_merge_and_card(tmp_path):
    folder = tmp_path / "run"
    options = "--preset tiny --batch-points 300 --validation 40 --device cpu --no-progress --steps 2".split()
    done = CliRunner().invoke(commands, [*options, "--out", str(folder), "--shard-size", "0.05"])
    assert done.exit_code == 0, done.output
    pieces = done.output.split()[-3:]
    assert [Path(p).name[-10:] for p in pieces] == ["000-of-003", "001-of-003", "002-of-003"]
    whole = tmp_path / "whole.safetensors"
    assert CliRunner().invoke(commands, ["merge", *reversed(pieces), "--out", str(whole)]).exit_code == 0
    assert whole.read_bytes() == (folder / "network.safetensors").read_bytes()
    missing = CliRunner().invoke(commands, ["merge", pieces[0], "--out", str(whole)])
    assert isinstance(missing.exception, ModelIntegrityError)

    table = tmp_path / "table.txt"
    table.write_text("recovery 12 of 50")
    assert CliRunner().invoke(commands, ["card", str(folder), "--evaluation", str(table)]).exit_code == 0
    card = (folder / "MODEL_CARD.md").read_text()
    assert checkpoint.file_sha256(whole) in card and "recovery 12 of 50" in card and "| updates | 2 " in card
    assert "{" not in card


def test_the_pair_learns_from_the_same_examples(tmp_path, monkeypatch):
    monkeypatch.setattr("sr_accessor.training.__main__.PAIR_POINTS", 300)
    done = CliRunner().invoke(
        commands, f"pair --steps 1 --validation 20 --device cpu --no-progress --out {tmp_path}".split()
    )
    assert done.exit_code == 0, done.output
    both = [checkpoint.load(tmp_path / f"paper-{targets}.safetensors") for targets in ("e2e", "skeleton")]
    assert [found.model.config.targets for found in both] == ["e2e", "skeleton"]
    assert [found.model.config.scaling for found in both] == ["standard", "standard"]
    counted = [[found.provenance[key] for key in ("examples", "tokens", "operations")] for found in both]
    assert counted[0] == counted[1]  # a word or the placeholder: sequences are as long
    assert both[0].provenance["plan"]["prior"] == "paper"
