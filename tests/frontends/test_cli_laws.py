"""symreg fit, refine, predict, report, export, models, doctor: from files to files, with their exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner

import sr_accessor as sr
from sr_accessor.frontends.cli import main
from sr_accessor.frontends.cli_machine import EXTRAS, REQUIRED
from sr_accessor.frontends.exit_codes import BAD_INPUT, INTERRUPTED, NO_MODEL, NOTHING_FOUND

ROOT = Path(__file__).parents[2]
#: One round without the network: power laws are found in it.
QUICK = ("--network", "none", "--max-rounds", "1", "--seed", "1")


def table(rows=60):
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"m": random.uniform(1, 3, rows), "a b": random.uniform(1, 3, rows), "note": "x"})
    return frame.assign(F=2.5 * frame["m"] * frame["a b"] + random.normal(0, 0.01, rows), dF=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab")
    frame = table()
    frame.to_csv(path / "data.csv", index=False)
    frame.to_csv(path / "data.tsv.gz", index=False, sep="\t")
    frame.to_parquet(path / "data.parquet")
    xr.Dataset.from_dataframe(frame.drop(columns="note").rename_axis("run")).to_netcdf(path / "data.nc", engine="scipy")
    return path


@pytest.fixture
def symreg(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def run(*arguments, code=0, given=None):
        done = CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)
        assert done.exit_code == code, (done.output, done.stderr, done.exception)
        return done

    return run


@pytest.fixture(scope="module")
def law(folder):
    done = CliRunner().invoke(
        main,
        [
            "fit",
            str(folder / "data.csv"),
            "--y",
            "F",
            "--x",
            "m,a b",
            "--sigma",
            "dF",
            *QUICK,
            "--out",
            str(folder / "law.json"),
        ],
    )
    assert done.exit_code == 0, (done.output, done.exception)
    return folder / "law.json"


def test_fit_is_the_function(law):
    loaded = sr.load(law)
    wanted = sr.fit(table(), "F", ["m", "a b"], sigma="dF", network=None, max_rounds=1, random_state=1, timeout=60.0)
    assert loaded.to_json(time=False) == wanted.to_json(time=False) and repr(loaded.best) in repr(wanted)


@pytest.mark.parametrize("name", ["data.tsv.gz", "data.parquet", "data.nc", "-"])
def test_every_format_gives_the_same_law(name, law, symreg):
    text = (law.parent / "data.csv").read_text() if name == "-" else None
    told = symreg("fit", name, "--y", "F", "--x", "m,a b", "--sigma", "dF", *QUICK, "--json", given=text)
    summary = json.loads(told.stdout)
    assert (
        summary["text"] == sr.load(law).to_text()
        and summary["status"] == "rounds"
        and summary["features"] == ["m", "a b"]
    )


def test_without_out_the_report_is_printed_and_nothing_written(symreg, folder):
    before = sorted(folder.iterdir())
    told = symreg("fit", "data.csv", "--y", "F", "--x", "m", "--x", "a b", *QUICK).stdout
    assert "[[Model]]" in told and "random_state" in told
    assert sorted(folder.iterdir()) == before


def test_the_same_seed_gives_the_same_bytes_and_leaves_equal_files_alone(symreg, law):
    arguments = ("fit", "data.csv", "--y", "F", "--x", "m,a b", "--sigma", "dF", *QUICK)
    written = {}
    for name in ("one", "two"):
        symreg(*arguments, "--out", f"{name}.json", "--data", "--report", f"{name}.html")
        written[name] = [Path(f"{name}.{end}").read_bytes() for end in ("json", "html")]
    assert written["one"] == written["two"]
    stamps = [Path(f"one.{end}").stat().st_mtime_ns for end in ("json", "html")]
    symreg(*arguments, "--out", "one.json", "--data", "--report", "one.html", "--if-changed")
    assert [Path(f"one.{end}").stat().st_mtime_ns for end in ("json", "html")] == stamps
    page = written["one"][1].decode()
    assert page.startswith("<!DOCTYPE html>") and "a b" in page and "Parity" in page and " s, cpu" not in page


def test_every_option_arrives(symreg):
    Path("units.json").write_text('{"m": "kg", "a b": "m/s^2"}')
    symreg(
        "fit", "data.csv", "--y", "F", "--x", "m,a b", "--sigma", "0.02", "--relative-sigma", "--noise", "gaussian",
        "--operators=-tan,-abs", "--network", "none", "--select", "bic", "--max-complexity", "7", "--require", "m",
        "--guess", "k*m", "--constant", "g=9.81", "--units", "units.json", "--validation", "none", "--timeout", "60",
        "--max-rounds", "1", "--seed", "4", "--device", "cpu", "--quiet", "--checkpoint", "check.json",
        "--out", "o.json",
    )  # fmt: skip
    made, resumed = sr.load("o.json"), sr.load("check.json")
    told = made.provenance
    assert (
        made.rule == "bic"
        and told["random_state"] == 4
        and told["guesses"] == ["k*m"]
        and told["constants"] == {"g": 9.81}
    )
    assert told["constraints"] == ["complexity at most 7", "'m' occurs"] and "tan" not in told["operators"]
    assert told["units"] == {"m": "kg", "a b": "m/s^2"} and told["validation"] is None
    assert resumed.resume(max_rounds=1, timeout=60.0).provenance["rounds"] == 2
    assert symreg("fit", "d.csv", "--y", "F", "--units", "units.json", "--print-inputs").stdout == "d.csv\nunits.json\n"


def test_a_file_of_rows_that_judge(symreg, law):
    table().iloc[:20].to_csv("judges.csv", index=False)
    given = ("fit", "data.csv", "--y", "F", "--x", "m,a b", "--validation", "judges.csv")
    assert symreg(*given, "--print-inputs").stdout == "data.csv\njudges.csv\n"
    symreg(*given, *QUICK, "--out", "judged.json")
    judged = sr.load("judged.json")
    assert judged.provenance["validation"] == "rows given" and "held-out rows = 20" in judged.report()


def test_names_of_rows_are_no_feature(symreg, law):
    table().drop(columns=["note", "dF"]).to_csv("indexed.csv")
    summary = json.loads(symreg("fit", "indexed.csv", "--y", "F", *QUICK, "--json").stdout)
    assert summary["features"] == ["m", "a b"]
    assert "Unnamed" not in symreg("predict", "law.json", "indexed.csv", "--keep").stdout


def test_nothing_better_than_the_mean(symreg):
    random = np.random.default_rng(3)
    pd.DataFrame(random.normal(size=(80, 2)), columns=["x", "y"]).to_csv("noise.csv", index=False)
    done = symreg("fit", "noise.csv", "--y", "y", *QUICK, "--out", "noise.json", code=NOTHING_FOUND)
    assert "nothing better than the mean was found" in done.stderr and Path("noise.json").exists()


def test_refine(symreg):
    symreg(
        "refine", "data.csv", "--y", "F", "--formula", "k*m*`a b` + c", "--start", "k=1", "--bound", "k=0:", "--fix",
        "c=0", "--sigma", "dF", "--seed", "0", "--restarts", "2", "--out", "known.json",
    )  # fmt: skip
    wanted = sr.refine(table(), "F", "k*m*`a b` + c", start={"k": 1.0}, bounds={"k": (0, None)}, fix={"c": 0.0},
                       sigma="dF", random_state=0, restarts=2)  # fmt: skip
    assert sr.load("known.json").to_json(time=False) == wanted.to_json(time=False)


def test_predict(symreg, law):
    wanted = sr.load(law)
    told = symreg("predict", law, "data.csv").stdout
    lines = told.splitlines()
    assert lines[0] == "F" and [float(v) for v in lines[1:]] == wanted.predict(table()).tolist()
    told = symreg(
        "predict", law, "data.parquet", "--out", "p.parquet", "--band", "prediction", "--level", "0.9", "--json"
    )
    assert json.loads(told.stdout) == {
        "out": "p.parquet",
        "rows": 60,
        "missing": {"mean": 0},
        "warnings": json.loads(told.stdout)["warnings"],
    }
    pd.testing.assert_frame_equal(pd.read_parquet("p.parquet"), wanted.predict(table(), "prediction", level=0.9))
    symreg("predict", law, "data.csv", "--out", "kept.csv", "--keep")
    kept = pd.read_csv("kept.csv")
    pd.testing.assert_frame_equal(kept[list(table())], pd.read_csv("data.csv"))  # what was measured stays
    assert kept["F_hat"].tolist() == wanted.predict(table()).tolist()
    table().set_axis(["same"] * 60).to_csv("indexed.csv")
    assert len(symreg("predict", law, "indexed.csv", "--keep").stdout.splitlines()) == 61
    symreg("predict", law, "data.nc", "--out", "p.nc", "--keep", "--band", "confidence")
    with xr.open_dataset("p.nc", engine="scipy") as made:
        assert {"mean", "lower", "upper", "m"} <= set(made) and made["mean"].dims == ("run",)
    symreg("predict", law, "data.nc", "--out", "p.nc", "--keep")
    with xr.open_dataset("p.nc", engine="scipy") as made, xr.open_dataset("data.nc", engine="scipy") as given:
        xr.testing.assert_identical(made.drop_vars("F_hat"), given)


# ---------------------------------------------------------------------------- a law for each group
def samples():
    """Three samples of two labs, in all of which F = c·m with a c of its own."""
    frame = table().assign(sample=lambda f: np.arange(len(f)) % 3, lab=lambda f: np.where(f.index < 30, "A", "B"))
    return frame.assign(F=(1.5 + frame["sample"]) * frame["m"] + np.random.default_rng(1).normal(0, 0.01, len(frame)))


@pytest.fixture
def grouped(symreg):
    samples().to_csv("samples.csv", index=False)
    given = ("samples.csv", "--y", "F", "--sigma", "dF", "--by", "sample", "--seed", "0")
    symreg("refine", *given, "--formula", "c*m", "--restarts", "0", "--out", "groups.json")
    return sr.load("groups.json")


def test_refine_by_is_the_function(symreg, grouped):
    options = {"sigma": "dF", "random_state": 0, "restarts": 0}
    wanted = samples().symreg.refine("F", "c*m", by="sample", **options)
    assert grouped.to_json(time=False) == wanted.to_json(time=False)
    given = ("samples.csv", "--y", "F", "--sigma", "dF", "--formula", "c*m + d", "--seed", "0", "--restarts", "0")
    summary = json.loads(symreg("refine", *given, "--by", "lab,sample", "--shared", "--json").stdout)
    assert summary["groups"] == 6 and summary["by"] == ["lab", "sample"] and summary["status"] == {"ok": 6}
    assert summary["equation"] == "c*m + d" and summary["features"] == ["m"] and "d" in summary["common"]
    wanted = samples().symreg.refine("F", "c*m + d", by=["lab", "sample"], shared=True, **options)
    assert [row["value"] for row in summary["params"]] == wanted.params["value"].tolist()
    assert {"lab", "sample", "name", "stderr", "common"} <= summary["params"][0].keys()


def test_fit_by_is_the_function(symreg, grouped):
    given = ("fit", "samples.csv", "--y", "F", "--x", "m,a b", "--sigma", "dF", "--by", "sample", *QUICK)
    options = {"sigma": "dF", "network": None, "max_rounds": 1, "random_state": 1, "timeout": 60.0, "by": "sample"}
    for more, shared in (((), True), (("--apart",), False)):
        text = symreg(*given, *more, "--out", "one.json", "--report", "one.html").stdout
        wanted = sr.fit(samples(), "F", ["m", "a b"], shared=shared, **options)
        assert Path("one.json").read_text() == wanted.to_json(time=False) and "3 groups by sample" in text
        assert "<title>F of 3 groups</title>" in Path("one.html").read_text()
    pd.DataFrame({"sample": [1, 2] * 9, "m": range(18), "y": [3.0, 4.0] * 9}).to_csv("flat.csv", index=False)
    done = symreg("fit", "flat.csv", "--y", "y", "--by", "sample", *QUICK, "--out", "f.json", code=NOTHING_FOUND)
    assert "nothing better than the mean was found" in done.stderr and sr.load("f.json").inputs == ()


def test_over_dimensions_of_a_netcdf_file(symreg, grouped):
    frame = samples()[["sample", "m", "F"]].assign(i=lambda f: f.index // 3)
    frame.set_index(["sample", "i"]).to_xarray().to_netcdf("samples.nc", engine="scipy")
    given = ("refine", "samples.nc", "--y", "F", "--formula", "c*m", "--restarts", "0", "--seed", "0")
    symreg(*given, "--over", "sample", "--out", "over.json")
    symreg("predict", "over.json", "samples.nc", "--out", "law.nc")
    with xr.open_dataset("law.nc", engine="scipy") as made:
        assert dict(made["F"].sizes) == {"sample": 3, "i": 20}
    assert "over names 'run', which is no dimension" in symreg(*given, "--over", "run", code=BAD_INPUT).stderr
    assert "of xarray name the dimensions" in symreg(*given, "--by", "sample", code=BAD_INPUT).stderr


def test_what_is_made_of_a_file_of_groups(symreg, grouped):
    symreg("predict", "groups.json", "samples.csv", "--out", "out.csv")
    np.testing.assert_allclose(pd.read_csv("out.csv")["F"], grouped.predict(samples()), rtol=1e-12)
    assert symreg("report", "groups.json").stdout == grouped.report() + "\n"
    tex = symreg("report", "groups.json", "--format", "tex").stdout
    assert tex.count(r"\\") == 4 and r"sample & c \\" in tex and r"\[ F = " in tex
    assert symreg("report", "groups.json", "--format", "html").stdout.startswith("<!DOCTYPE html>")
    assert json.loads(symreg("report", "groups.json", "--json").stdout)["groups"] == 3
    assert symreg("export", "groups.json", "--to", "c", "--group", "2").stdout == grouped[2].to("c")
    labs = samples().symreg.refine("F", "c*m", by=["lab", "sample"], restarts=0)
    labs.save("labs.json")
    assert symreg("export", "labs.json", "--to", "sql", "--group", "B,0").stdout == labs["B", 0].to("sql") + "\n"
    for words, arguments in {
        "name one with --group: 0, 1, 2": ("export", "groups.json", "--to", "c"),
        "no group '7'; known: '0', '1', '2'": ("export", "groups.json", "--to", "c", "--group", "7"),
        "leave out --band, --select and --complexity": ("report", "groups.json", "--select", "knee"),
        "this is about one law": ("predict", "groups.json", "samples.csv", "--band", "confidence"),
        "holds one law for all rows": ("export", "law.json", "--to", "c", "--group", "1"),
        "no column 'smple'; did you mean 'sample'": ("fit", "samples.csv", "--y", "F", "--by", "smple"),
        "errors='raise' is about groups": ("fit", "samples.csv", "--y", "F", "--errors", "raise"),
        "--out 'no/x.json': there is no folder": ("fit", "samples.csv", "--y", "F", "--out", "no/x.json"),
        "select='knee' chooses from": ("fit", "samples.csv", "--y", "F", "--by", "sample", "--select", "knee"),
        "validation=0.2: of groups": ("fit", "samples.csv", "--y", "F", "--by", "sample", "--validation", "0.2"),
        "checkpoint= keeps one law": ("fit", "samples.csv", "--y", "F", "--by", "sample", "--checkpoint", "c.json"),
    }.items():
        told = symreg(*arguments, code=BAD_INPUT).stderr
        assert words in told and told.startswith("symreg: ") and len(told.splitlines()) == 1
    Path("few.csv").write_text("sample,m,F\n" + "a,1,2\na,2,4\na,3,6.1\na,4,8\nb,1,2\n")
    few = ("refine", "few.csv", "--y", "F", "--formula", "c*m", "--by", "sample", "--seed", "0")
    assert "group 'b' has no law: too_few_rows" in symreg(*few, "--errors", "raise", code=BAD_INPUT).stderr
    assert "FEW_ROWS" in symreg(*few).stderr and symreg(*few, "--errors", "ignore").stderr == ""


def test_reports(symreg, law):
    text = symreg("report", law).stdout
    assert text == sr.load(law).report() + "\n"
    symreg("report", law, "--format", "html", "--out", "r.html")
    assert "<details" in Path("r.html").read_text()
    tex = symreg("report", law, "--format", "tex", "--select", "knee").stdout
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") >= 1 and r"\[ F = " in tex
    assert json.loads(symreg("report", law, "--json").stdout)["laws"] == len(sr.load(law))


def test_exports(symreg, law):
    listed = symreg("export", law).stdout.splitlines()
    assert "python" in listed and "lmfit (a Python object, not for files)" in listed
    assert symreg("export", law, "--to", "excel").stdout == sr.load(law).best.to("excel") + "\n"
    simplest = sr.load(law)[0]
    told = symreg("export", law, "--to", "c", "--complexity", simplest.complexity, "--json").stdout
    assert json.loads(told)["text"] == simplest.to("c")
    symreg("export", law, "--to", "onnx", "--out", "law.onnx")
    assert Path("law.onnx").read_bytes() == sr.load(law).best.to("onnx")
    assert "give --out" in symreg("export", law, "--to", "onnx", code=BAD_INPUT).stderr
    assert "gives a Python object" in symreg("export", law, "--to", "sympy", code=BAD_INPUT).stderr


WRONG = {
    "no file 'none.csv'": ("fit", "none.csv", "--y", "F"),
    "tells no format": ("fit", "law.json", "--y", "F"),
    "no column 'f'; known: 'm'": ("fit", "data.csv", "--y", "f"),
    "no column 'q'": ("fit", "data.csv", "--y", "F", "--x", "m,q"),
    "no column 'dG'": ("fit", "data.csv", "--y", "F", "--sigma", "dG"),
    "--constant 'g': write name=value": ("fit", "data.csv", "--y", "F", "--constant", "g"),
    "--validation 'half' is no number": ("fit", "data.csv", "--y", "F", "--validation", "half"),
    "--bound a=1: write a=low:high": ("refine", "data.csv", "--y", "F", "--formula", "a*m", "--bound", "a=1"),
    "expected 'sr_accessor result'": ("report", "units.json"),
    "No such file": ("report", "nothing.json"),
    "--json tells about the file": ("predict", "law.json", "data.csv", "--json"),
    "no exporter 'exel'; did you mean 'excel'": ("export", "law.json", "--to", "exel"),
    "cannot be read as parquet": ("fit", "broken.parquet", "--y", "F"),
    "is no UTF-8": ("fit", "latin.csv", "--y", "F"),
    "duplicate column labels: 'm'; rename them": ("fit", "twice.csv", "--y", "F"),
    "the first line has 1 names and the others more values": ("fit", "remarks.csv", "--y", "F"),
    "the first line names the columns": ("fit", "ragged.csv", "--y", "F"),
    "its values seem to be separated by ' '": ("fit", "spaces.csv", "--y", "F"),
    "--units 'si' is neither report, strict nor none": ("fit", "data.csv", "--y", "F", "--units", "si"),
    "its values seem to be separated by ';'": ("fit", "semicolons.csv", "--y", "F"),
    "--out 'none/law.json': there is no folder 'none'": ("fit", "data.csv", "--y", "F", "--out", "none/law.json"),
    "--checkpoint 'none/c.json': there is no": ("fit", "data.csv", "--y", "F", "--checkpoint", "none/c.json"),
    "--report 'law.pdf': the name must end with .txt": (
        "refine",
        "data.csv",
        "--y",
        "F",
        "--formula",
        "a*m",
        "--report",
        "law.pdf",
    ),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_told_in_one_line(words, symreg, law):
    Path("units.json").write_text('{"m": "kg"}')
    Path("broken.parquet").write_text("no parquet")
    Path("latin.csv").write_bytes("µ,F\n1,2\n".encode("latin-1"))
    Path("twice.csv").write_text("m,m,F\n1,1,2\n")
    Path("remarks.csv").write_text("# of May\nm,F\n1,2\n")
    Path("ragged.csv").write_text("m,F\n1,2\n1,2,3\n")
    Path("spaces.csv").write_text("m F\n1 2\n")
    Path("semicolons.csv").write_text("m;F\n1,5;2,5\n2;3\n3;4\n")
    done = symreg(*WRONG[words], code=BAD_INPUT)
    assert words in done.stderr and done.stderr.startswith("symreg: ") and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_models_and_missing_weights(symreg, law, monkeypatch, tmp_path):
    monkeypatch.setenv("SR_ACCESSOR_MODELS", str(tmp_path))
    rows = json.loads(symreg("models", "--verify", "--json").stdout)
    assert "default" in {row["name"] for row in rows}
    assert all(row["status"] == "ok" and len(row["sha256"]) == 64 for row in rows)
    (tmp_path / "mine.safetensors").write_bytes(b"damaged")
    told = symreg("models", code=NO_MODEL).stdout
    assert "default: ok" in told and "mine: " in told
    done = symreg("fit", "data.csv", "--y", "F", "--x", "m", "--network", "none-such", code=NO_MODEL)
    assert "none-such" in done.stderr


def test_doctor_knows_the_dependencies_and_the_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(given):
        return {re.match("[a-zA-Z0-9_-]+", text)[0] for text in given}

    assert set(REQUIRED) == names(project["dependencies"])
    offered = {extra: names(given) for extra, given in project["optional-dependencies"].items()}
    assert offered.keys() - {"test", "all", "peers"} == EXTRAS.keys() - {"lmfit"}
    assert all(offered[extra] <= set(brought) for extra, brought in EXTRAS.items() if extra in offered)


def test_doctor(symreg):
    found = json.loads(symreg("doctor", "--json").stdout)
    assert found["weights"]["status"] == "ok" and found["fit"].startswith("ok: y = 3*exp(-0.5*t)")
    assert {"torch", "pandas"} <= set(found["packages"]) and "scikit-learn" in found["extras"]["sklearn"]


# ---------------------------------------------------------------------------- as a process
def process(*arguments, folder, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "sr_accessor", *map(str, arguments)], cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def test_a_terminated_fit_writes_what_it_found(folder, tmp_path):
    rows = table(200)
    rows["F"] += np.sin(9 * rows["m"]) * rows["a b"] ** 0.3
    rows.to_csv(tmp_path / "data.csv", index=False)
    check = tmp_path / "check.json"
    run = process(
        "fit", "data.csv", "--y", "F", "--x", "m,a b", "--network", "none", "--seed", "1", "--timeout", "90",
        "--checkpoint", check, "--out", "law.json", folder=tmp_path,
    )  # fmt: skip
    began = time.monotonic()
    while not check.exists() and time.monotonic() - began < 60:
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=100)
    assert run.returncode == INTERRUPTED, (out, err)
    assert sr.load(tmp_path / "law.json").status == "interrupted" and "%|" not in err  # no progress: no terminal
    assert sorted(p.name for p in tmp_path.iterdir()) == ["check.json", "data.csv", "law.json"]
