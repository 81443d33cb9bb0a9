"""Every hook: what a stranger registers is found by name and used; what fails is named and the fit goes on."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import sr_accessor as sr
from sr_accessor.errors import OptionError, PluginConflictError, PluginError, SymRegWarning, UnknownNameError
from sr_accessor.exports.exporter import Formula
from sr_accessor.frontends.cli import main
from sr_accessor.plugins import hookspecs, manager

HEAD = "import sr_accessor as sr\nfrom sr_accessor import hookimpl\n"
EVERYTHING = HEAD + textwrap.dedent("""
    TOLD = []

    def spice(formula, prefix="B"):
        return f"{prefix}{len(formula.used)}"

    @hookimpl
    def register_exporters(registry):
        registry.add(sr.Exporter("spice", spice, suffix=".cir"))

    @hookimpl
    def register_selection_rules(registry):
        registry.add(sr.SelectionRule("simplest", lambda front, n, validation: front.complexity.double()))
        registry.add(sr.SelectionRule("broken", lambda front, n, validation: 1.0))

    @hookimpl
    def register_shape_constraints(registry):
        def between(values, slopes, points, low, high):
            return ((values >= low) & (values <= high)).all(1)
        registry.add(sr.ShapeConstraint("between", between, words="between {0} and {1}"))

    @hookimpl
    def configure(settings):
        TOLD.append(("configure", settings.version, settings.plugins))

    @hookimpl
    def fit_started(context):
        TOLD.append(("started", context.observations.target, context.seed, "sin" in context.operators))

    @hookimpl
    def fit_progress(snapshot):
        TOLD.append(("progress", len(snapshot.front)))

    @hookimpl
    def fit_finished(result):
        TOLD.append(("finished", result.status))
""")
LISTENER = HEAD + "@hookimpl\ndef {hook}({argument}):\n    raise OSError('disk full')\n"
RAISES_LATER = HEAD + textwrap.dedent("""
    import sympy, torch

    def gamble(x):
        if x.numel() > 50:  # more than the checks ask for
            raise ValueError("too many points")
        return torch.tanh(x) * x

    @hookimpl
    def register_operators(registry):
        registry.add(sr.Operator("gamble", 1, gamble, lambda x: sympy.tanh(x) * x))
""")
BAD = {
    "import_fault": "import no_such_module_anywhere",
    "call_fault": HEAD + "@hookimpl\ndef register_operators(registry):\n    registry.add(1)\n",
    "typo": HEAD + "@hookimpl\ndef register_exporter(registry):\n    pass\n",
    "clash": HEAD
    + textwrap.dedent("""
        @hookimpl
        def register_exporters(registry):
            registry.add(sr.Exporter("spice", lambda formula: "x", suffix=".txt"))
    """),
}


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    x = random.uniform(0.5, 2.0, 60)
    return pd.DataFrame({"x": x, "y": 3 * x + 1 + random.normal(0, 0.01, 60)})


@pytest.fixture
def lab(install):
    install("lab", EVERYTHING, version="1.2")


def fit(table, max_rounds=1, **options):
    return sr.fit(table, "y", timeout=20.0, max_rounds=max_rounds, random_state=0, **options)


def told():
    import sr_test_plugin_sr_lab as plugin

    return plugin.TOLD


# ---------------------------------------------------------------------- each hook
def test_the_contract_is_one_screen_with_a_sentence_for_each_hook():
    assert len(hookspecs.HOOKS) == 9
    for name in hookspecs.HOOKS:
        assert getattr(hookspecs, name).__doc__.endswith("."), name
    assert len(Path(hookspecs.__file__).read_text().splitlines()) < 100


def test_all_kinds_are_in_the_tables(lab):
    row = sr.plugins.table().set_index("name").loc["lab"]
    assert row.status == "loaded" and row.exporters == "spice" and row.shape_constraints == "between"
    assert row.selection_rules == "simplest, broken" and "fit_progress" in row.hooks
    exporters = sr.plugins.exporters().set_index("name")
    assert exporters.loc["spice", "plugin"] == "lab" and exporters.loc["python", "plugin"] == "builtin"
    assert set(exporters.index) == {
        *("latex sympy python numpy torch jax pandas excel c julia matlab fortran sql lmfit onnx spice".split())
    }


def test_exporters_are_found_by_name(lab):
    law = manager.vocabulary()
    from sr_accessor.expressions.parse import parse

    formula = Formula(parse("x + z*x", law, ["x", "z"]), ("x", "z"), "y")
    assert manager.exporter("spice")(formula) == "B2" and manager.exporter("lab:spice")(formula, prefix="R") == "R2"
    assert "def law(x, z)" in manager.exporter("numpy")(formula)
    with pytest.raises(UnknownNameError, match=r"no exporter 'excell'; did you mean 'excel'"):
        manager.exporter("excell")


def test_selection_rules_are_found_by_name(lab, table):
    result = fit(table, select="simplest")
    assert result.best.complexity == result.front["complexity"].min()
    assert result.select("lab:simplest").best.complexity == result.best.complexity
    assert result.select("mdl").best.complexity > result.best.complexity
    with pytest.raises(PluginError, match="selection rule 'broken' must give one price for each of"):
        result.select("broken")
    with pytest.raises(UnknownNameError, match=r"no selection rule 'simplist'; did you mean 'simplest'"):
        fit(table, select="simplist")


def test_shape_constraints_are_found_by_name(lab, table):
    result = fit(table, shape=[sr.shape("between", 0, 100)])
    assert result.status != "no_model" and "between(0, 100)" in str(result.provenance["constraints"])
    with pytest.warns(SymRegWarning, match="NO_MODEL"):
        assert fit(table, shape=sr.shape("lab:between", 50, 100)).status == "no_model"
    with pytest.raises(UnknownNameError, match=r"no shape constraint 'betwen'; did you mean 'between'"):
        fit(table, shape=[sr.shape("betwen", 0, 1)])


def test_listeners_are_told(lab, table):
    result = fit(table)
    first, second, *rounds, last = told()
    assert first == ("configure", sr.__version__, ("builtin", "lab"))
    assert second == ("started", "y", 0, True) and last == ("finished", result.status)
    assert [word for word, _ in rounds] == ["progress"] and rounds[0][1] >= len(result) > 0


# ---------------------------------------------------------------------- faults
@pytest.mark.parametrize(
    ("hook", "argument"), [("fit_started", "context"), ("fit_progress", "snapshot"), ("fit_finished", "result")]
)
def test_a_listener_that_fails_is_named_and_told_no_more(lab, install, table, hook, argument):
    install("noisy", LISTENER.format(hook=hook, argument=argument), version="0.3")
    words = rf"plugin 'noisy' \(sr-noisy 0.3\) fails at hook '{hook}': OSError: disk full\. The fit goes on without it"
    with pytest.warns(SymRegWarning, match=words):
        result = fit(table)
    assert result.best is not None and told()[-1][0] == "finished"  # the other one was told
    assert sr.plugins.table().set_index("name").loc["noisy", "status"] == "failed"
    fit(table)  # silently: it is told no more


def test_configure_that_fails_keeps_the_plugin_out(install):
    install("rude", EVERYTHING.replace('TOLD.append(("configure"', 'raise OSError(("configure"'))
    with pytest.warns(SymRegWarning, match=r"plugin 'rude' \(sr-rude 1.0\) fails at hook 'configure': OSError"):
        assert "spice" not in set(sr.plugins.exporters()["name"])


def test_an_operator_that_raises_in_a_fit_is_named_with_its_plugin(install, table):
    install("casino", RAISES_LATER, version="7")
    with pytest.raises(PluginError) as caught:
        fit(table.assign(y=np.tanh(table["x"]) * table["x"]), max_rounds=9)
    told = "plugin 'casino' (sr-casino 7) fails at torch of operator 'gamble': ValueError: too many points"
    assert told in str(caught.value) and isinstance(caught.value.__cause__, ValueError)


def test_four_bad_plugins_are_named_and_the_fit_runs(lab, install, table):
    for name, source in BAD.items():
        install(name, source)
    with pytest.warns(SymRegWarning) as caught:
        result = fit(table)
    assert result.best.complexity > 1
    rows = sr.plugins.table().set_index("name")
    assert rows["status"].to_dict() == {
        "builtin": "loaded", "call_fault": "failed", "clash": "conflict", "import_fault": "failed", "lab": "conflict",
        "typo": "failed",
    }  # fmt: skip
    for name, words in {
        "import_fault": "plugin 'import_fault' (sr-import_fault 1.0) fails at import: ModuleNotFoundError",
        "call_fault": "(sr-call_fault 1.0) fails at hook 'register_operators': PluginError: registry.add takes a",
        "typo": "(sr-typo 1.0) implements an unknown hook 'register_exporter'; did you mean 'register_exporters'",
        "clash": "plugin 'clash' (sr-clash 1.0) and plugin 'lab' (sr-lab 1.2) both give the exporter 'spice'",
    }.items():
        assert words in rows.loc[name, "error"], name
        assert any(words in str(w.message) for w in caught), name
    with pytest.raises(PluginConflictError, match="write 'clash:spice' or 'lab:spice'"):
        manager.exporter("spice")
    listed = json.loads(CliRunner().invoke(main, ["plugins", "--all", "--json"]).output)
    assert {row["name"]: (row["status"], row["error"]) for row in listed} == {
        name: (row["status"], row["error"]) for name, row in rows.iterrows()
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("registry.add(sr.Exporter('my law', str))", "exporter name 'my law' must be an identifier"),
        ("registry.add(sr.Exporter('law', 3))", "exporter 'law': write must be callable"),
        (
            "registry.add(sr.Exporter('law', lambda f: 3, suffix='.x'))",
            "exporter 'law' must return text for '.x', not 3",
        ),
        ("registry.add(sr.Exporter('law', lambda: 3))", "exporter 'law' raised TypeError"),
        ("registry.add(sr.Exporter('law', str)); registry.add(sr.Exporter('law', str))", "'law' is added twice"),
        ("registry.add(sr.SelectionRule('rule', len))", "registry.add takes a sr_accessor.Exporter, not SelectionRule"),
        ("sr.SelectionRule('a rule', len)", "selection rule name 'a rule' must be an identifier"),
        ("sr.ShapeConstraint('shape', 3)", "shape constraint 'shape': holds must be callable"),
    ],
)
def test_faulty_contributions_are_refused(install, source, message):
    install("bad", HEAD + f"@hookimpl\ndef register_exporters(registry):\n    {source}\n")
    with pytest.raises(PluginError, match=message), sr.plugins.only("bad"):
        pass


# ---------------------------------------------------------------------- operators=
def names(spec):
    return {o.name for o in manager.vocabulary(spec)}


def test_include_and_exclude(install):
    install("lab", RAISES_LATER + '    registry.vocabulary("few", base=None, add=["add", "mul"])\n')
    everything = names("default")
    assert names(["-sin"]) == everything - {"sin"}
    assert names(["few", "+gamble", "+sin", "-mul"]) == {"add", "gamble", "sin"}
    assert names(["elementary", "-tan", "+lab:gamble"]) == everything - {"tan"}
    assert manager.vocabulary(["-sin"]).id("sin")  # can still be read
    for wrong in (["few", "sin", "-mul"], ["-sin", "cos"], ["sin", "cos", "+tan"]):
        with pytest.raises(OptionError, match="name either those to use, or with '-' those to leave out"):
            names(wrong)
    with pytest.raises(UnknownNameError, match="no operator 'sinn'; did you mean 'sin'"):
        names(["-sinn"])
    with pytest.raises(UnknownNameError, match="no vocabulary 'fev'; did you mean 'few'"):
        names(["fev", "+sin"])


def test_costs_of_a_strangers_operator_are_the_users(install, table):
    install("lab", RAISES_LATER)
    result = fit(table, constraints=sr.Constraints(costs={"gamble": 9, "exp": 4}))
    assert "'gamble' counts for 9 nodes" in result.provenance["constraints"]
