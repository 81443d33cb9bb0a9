"""The plugin manager: built-ins, strangers, the four ways a plugin can be bad, and a notebook's own operators."""

import subprocess
import sys
import warnings

import pytest
import sympy
import torch

from sr_accessor import plugins
from sr_accessor.errors import (
    OperatorError,
    OptionError,
    PluginConflictError,
    PluginError,
    SymRegWarning,
    UnknownNameError,
)
from sr_accessor.expressions.elementary import ELEMENTARY
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.vocabulary import FIRST_OPERATOR
from sr_accessor.noise.gaussian import GAUSSIAN, Gaussian
from sr_accessor.plugins import manager

LAB = """
import torch
from sr_accessor.expressions.operator import Operator
from sr_accessor.plugins import hookimpl

class Erfcx:
    def __call__(self, x):
        import sympy
        return sympy.exp(x**2) * sympy.erfc(x)

ERFCX = Operator("erfcx", 1, torch.special.erfcx, Erfcx(), domain=lambda x: x > -26)

@hookimpl
def register_operators(registry):
    registry.add(ERFCX)
    registry.vocabulary("spectroscopy", base="elementary", add=["lab:erfcx"], remove=["tan"])
"""
IMPORT_FAULT = "raise RuntimeError('no licence server')"
CALL_FAULT = """
from sr_accessor.plugins import hookimpl
@hookimpl
def register_operators(registry):
    1 / 0
"""
TYPO = """
from sr_accessor.plugins import hookimpl
@hookimpl
def register_operaters(registry):
    pass
"""
CLASH = LAB.replace('registry.vocabulary("spectroscopy", base="elementary", add=["lab:erfcx"], remove=["tan"])', "")
WRONG_ARGUMENT = """
from sr_accessor.plugins import hookimpl
@hookimpl
def register_operators(register):
    pass
"""
WRONG_OPERATOR = """
import torch
from sr_accessor.expressions.operator import Operator
from sr_accessor.plugins import hookimpl
@hookimpl
def register_operators(registry):
    registry.add(Operator("twice", 1, lambda x: 2 * x, lambda x: 3 * x))
"""


@pytest.fixture
def lab(install):
    install("lab", LAB, version="2.3")


def rows():
    return plugins.table().set_index("name")


# ---------------------------------------------------------------------- built-ins
def test_builtins_enter_through_the_hooks_with_fixed_ids(install):
    vocabulary = manager.vocabulary()
    assert vocabulary.operators == ELEMENTARY and vocabulary.active is None
    assert rows().loc["builtin", "hooks"] == "register_exporters, register_noise_models, register_operators"
    assert manager.noise_model("gaussian") is GAUSSIAN and manager.noise_model() is GAUSSIAN


def test_tables(lab):
    operators = plugins.operators()
    assert list(operators["name"])[:3] == ["add", "sub", "mul"]
    assert operators.set_index("name").loc["erfcx", "plugin"] == "lab"
    assert "gaussian" in list(plugins.noise_models()["name"])
    sets = plugins.vocabularies().set_index("name")
    assert set(sets.index) == {"default", "elementary", "spectroscopy"}
    assert "erfcx" in sets.loc["spectroscopy", "operators"] and "erfcx" not in sets.loc["elementary", "operators"]


# ---------------------------------------------------------------------- a good plugin
def test_an_installed_plugin_takes_part(lab):
    row = rows().loc["lab"]
    assert (row.distribution, row.version, row.status, row.operators) == ("sr-lab", "2.3", "loaded", "erfcx")
    vocabulary = manager.vocabulary()
    assert vocabulary.id("erfcx") == FIRST_OPERATOR + len(ELEMENTARY)  # at the end
    assert vocabulary.operators[: len(ELEMENTARY)] == ELEMENTARY


def test_vocabularies_restrict_and_extend(lab):
    spectroscopy = manager.vocabulary("spectroscopy")
    assert "erfcx" in spectroscopy and "sin" in spectroscopy and "tan" not in spectroscopy
    assert spectroscopy.id("tan")  # can still be read
    listed = manager.vocabulary(["add", "lab:erfcx"])
    assert [o.name for o in listed] == ["add", "erfcx"]
    assert listed.id("erfcx") == manager.vocabulary().id("erfcx")
    assert manager.vocabulary(listed) is listed
    assert "erfcx" not in manager.vocabulary("elementary")
    with pytest.raises(UnknownNameError, match="no vocabulary 'spectroscpy'; did you mean 'spectroscopy'"):
        manager.vocabulary("spectroscpy")
    with pytest.raises(UnknownNameError, match="no operator 'sine'; did you mean 'sin'"):
        manager.vocabulary(["sine"])


@pytest.mark.parametrize("spec", ["add,mul", "sin", ["add", "-sin"]])
def test_operators_where_a_vocabulary_should_stand(install, spec):
    with pytest.raises(OptionError, match=r"give a list: operators=\['|name either those to use, or with '-'"):
        manager.vocabulary(spec)


def test_a_circular_vocabulary_is_told(install):
    circle = LAB.replace('base="elementary"', 'base="spectroscopy"')
    install("lab", circle)
    with pytest.raises(PluginError, match="based on itself: spectroscopy -> spectroscopy"):
        manager.vocabulary("spectroscopy")


def test_nothing_is_loaded_before_first_use(lab):
    assert "sr_test_plugin_sr_lab" not in sys.modules
    manager.vocabulary()
    assert "sr_test_plugin_sr_lab" in sys.modules


def test_hookimpl_costs_no_torch():
    code = "import sys; from sr_accessor.plugins import hookimpl; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_order_does_not_depend_on_installation(install, monkeypatch):
    second = LAB.replace("erfcx", "erfcy").replace("torch.special.erfcy", "torch.special.erfcx").replace("lab:", "z:")
    install("zeta", second.replace("spectroscopy", "other"))
    install("alpha", LAB.replace("lab:", "alpha:"))
    names = [o.name for o in manager.vocabulary().operators[len(ELEMENTARY) :]]
    assert names == ["erfcx", "erfcy"]


def test_allow_and_block_lists(lab, install, monkeypatch):
    install("other", CLASH.replace('"erfcx"', '"erfcz"'))
    for variable, value, expected in (
        (manager.LOAD_VARIABLE, "", ("not loaded", "not loaded")),
        (manager.LOAD_VARIABLE, "lab", ("loaded", "not loaded")),
        (manager.LOAD_VARIABLE, "sr-other", ("not loaded", "loaded")),
        (manager.BLOCK_VARIABLE, "lab, sr-other", ("blocked", "blocked")),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            patch.setattr(manager, "_catalogue", None)
            assert tuple(rows().loc[["lab", "other"], "status"]) == expected, value
    with monkeypatch.context() as patch:
        patch.setenv(manager.BLOCK_VARIABLE, "lab")
        patch.setattr(manager, "_catalogue", None)
        with pytest.raises(UnknownNameError, match=r"no operator 'erfcx'.*plugin 'lab' \(sr-lab 2.3\) blocked"):
            manager.vocabulary(["erfcx"])
    monkeypatch.setenv(manager.BLOCK_VARIABLE, "lav")
    monkeypatch.setattr(manager, "_catalogue", None)
    with pytest.warns(SymRegWarning, match="names 'lav', which is not installed; did you mean 'lab'"):
        plugins.table()


# ---------------------------------------------------------------------- bad plugins
def test_four_bad_plugins_are_named_and_the_others_work(lab, install):
    install("broken", IMPORT_FAULT)
    install("caller", CALL_FAULT)
    install("typo", TYPO)
    install("lab2", CLASH, version="0.1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = rows()
    told = {name: table.loc[name, "error"] for name in ("broken", "caller", "typo", "lab", "lab2")}
    assert told["broken"] == ("plugin 'broken' (sr-broken 1.0) fails at import: RuntimeError: no licence server")
    assert told["caller"] == (
        "plugin 'caller' (sr-caller 1.0) fails at hook 'register_operators': ZeroDivisionError: division by zero"
    )
    assert told["typo"].startswith(
        "plugin 'typo' (sr-typo 1.0) implements an unknown hook 'register_operaters'; did you mean 'register_operators'"
    )
    assert (
        told["lab"]
        == told["lab2"]
        == (
            "plugin 'lab' (sr-lab 2.3) and plugin 'lab2' (sr-lab2 0.1) both give the operator 'erfcx': "
            "write 'lab:erfcx' or 'lab2:erfcx'"
        )
    )
    assert list(table.loc[list(told), "status"]) == ["failed"] * 3 + ["conflict"] * 2
    messages = [str(w.message) for w in caught if issubclass(w.category, SymRegWarning)]
    assert len(messages) == 5 and all(any(text in m for m in messages) for text in told.values())
    assert any(f"{manager.BLOCK_VARIABLE}=typo leaves this one out" in m for m in messages)
    # the rest works, the ambiguous name must be said in full
    assert manager.vocabulary().operators == ELEMENTARY
    with pytest.raises(PluginConflictError, match=r"'lab'.*'lab2'.*'erfcx'"):
        manager.vocabulary(["erfcx"])
    assert manager.vocabulary(["lab2:erfcx"]).operator("erfcx").name == "erfcx"
    with pytest.raises(PluginConflictError, match="different operators of one name"):
        manager.vocabulary(["lab:erfcx", "lab2:erfcx"])
    with pytest.raises(
        UnknownNameError, match=r"no operator 'nosuch'.*there may be one in plugin 'broken' \(sr-broken 1.0\) failed"
    ):
        manager.vocabulary(["nosuch"])
    assert manager.noise_model("gaussian") is GAUSSIAN


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (WRONG_ARGUMENT, "plugin 'bad' .* does not fit its hook: .*register"),
        ("", "plugin 'bad' .* implements no hook; put @sr_accessor.hookimpl on"),
        (WRONG_OPERATOR, "plugin 'bad' .*hook 'register_operators': OperatorError: .*'twice' fails .*torch = sympy"),
        (CALL_FAULT.replace("1 / 0", "registry.add('sin')"), "registry.add takes a sr_accessor.Operator, not str"),
        ("import sys\nsys.nosuch", "plugin 'bad' .* fails at import: AttributeError"),
        ("def f(:", "plugin 'bad' .* fails at import: SyntaxError"),
    ],
)
def test_only_makes_a_failing_plugin_an_error(install, source, message):
    install("bad", source)
    with pytest.raises(PluginError, match=message), plugins.only("bad"):
        pass


def test_a_builtin_keeps_its_name(install):
    source = LAB.replace('Operator("erfcx"', 'Operator("sin"').replace("lab:erfcx", "lab:sin")
    install("lab", source)
    with pytest.warns(SymRegWarning, match="'sin' stays the built-in one, write 'builtin:sin' or 'lab:sin'"):
        assert manager.vocabulary().operators == ELEMENTARY
    theirs = manager.vocabulary(["add", "lab:sin"])
    assert theirs.operator("sin") not in ELEMENTARY and theirs.id("sin") == manager.vocabulary().id("sin")


def test_override_takes_the_place_and_the_id(install):
    source = LAB.replace('Operator("erfcx"', 'Operator("sin"').replace("lab:erfcx", "lab:sin")
    install("lab", source.replace("add(ERFCX)", "add(ERFCX, override=True)"))
    ids = {o.name: FIRST_OPERATOR + i for i, o in enumerate(ELEMENTARY)}
    vocabulary = manager.vocabulary()
    assert vocabulary.operator("sin") not in ELEMENTARY and vocabulary.id("sin") == ids["sin"]
    assert rows().loc["lab", "status"] == "loaded"


def test_two_plugins_of_one_name(install):
    install("lab", LAB, distribution="sr-a")
    install("lab", CLASH, distribution="sr-b")
    with pytest.warns(SymRegWarning, match=r"plugin 'lab' \(sr-b 1.0\): another plugin is called 'lab' too"):
        table = plugins.table()
    assert list(table["status"]) == ["loaded", "loaded", "conflict"]


# ---------------------------------------------------------------------- only
def test_only_scopes_plugins_and_notebook_operators(lab, install):
    install("other", CLASH.replace('"erfcx"', '"erfcz"'))
    manager.register_operator("bump", **bump(1))
    with plugins.only("lab"):
        assert [o.name for o in manager.vocabulary().operators[len(ELEMENTARY) :]] == ["erfcx"]
        manager.register_operator("bump2", **bump(1))
    assert {"bump", "erfcx", "erfcz"} < {o.name for o in manager.vocabulary()}
    assert "bump2" not in manager.vocabulary()
    with plugins.only():
        assert manager.vocabulary().operators == ELEMENTARY
    with pytest.raises(UnknownNameError, match="no plugin 'lap'; did you mean 'lab'"), plugins.only("lap"):
        pass


# ---------------------------------------------------------------------- a notebook's own
def bump(width):
    return {"torch": lambda x: torch.exp(-width * x * x), "sympy": lambda x: sympy.exp(-width * x**2)}


def test_a_notebook_operator_is_there_at_once(install):
    made = manager.register_operator("bump", **bump(1))
    assert made.arity == 1 and manager.vocabulary().operators == (*ELEMENTARY, made)
    again = manager.register_operator("bump", **bump(2))
    assert manager.vocabulary().operators == (*ELEMENTARY, again)
    assert rows().loc["notebook", "operators"] == "bump"
    assert manager.vocabulary([made]).operator("bump") is made  # the earlier one, by itself


def test_arity_is_read_off_the_signature(install):
    mean = manager.register_operator("mean", torch=lambda a, b: (a + b) / 2, sympy=lambda a, b: (a + b) / 2)
    assert mean.arity == 2 and manager.vocabulary(["notebook:mean"]).operator("mean") is mean


def test_a_notebook_does_not_replace_builtins_by_accident(lab):
    mine = Operator("sin", 1, torch.sin, sympy.sin, derivative=(lambda v, a: torch.cos(a),))
    with pytest.raises(PluginConflictError, match=r"'sin' belongs to plugin 'builtin'.*override=True"):
        manager.register_operator(mine)
    with pytest.raises(PluginConflictError, match=r"'erfcx' belongs to plugin 'lab' \(sr-lab 2.3\)"):
        manager.register_operator("erfcx", torch=lambda x: x + 1, sympy=lambda x: x + 1)
    position = manager.vocabulary().id("sin")
    manager.register_operator(mine, override=True)
    assert manager.vocabulary().operator("sin") is mine and manager.vocabulary().id("sin") == position
    manager.register_operator(mine)  # one's own from now on


EXP = {"torch": torch.exp, "sympy": sympy.exp, "arity": 1}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"torch": torch.exp}, OperatorError, "'f' needs torch= and sympy="),
        ({"torch": torch.exp, "sympy": sympy.exp}, OperatorError, "'f': torch's signature cannot be read; say arity=1"),
        ({"torch": torch.exp, "sympy": sympy.exp, "arty": 1}, OptionError, "no keyword 'arty'; did you mean 'arity'"),
        ({"torch": torch.exp, "sympy": sympy.sin, "arity": 1}, OperatorError, r"'f' fails.*torch = sympy.*at \("),
        (EXP | {"derivative": torch.exp}, OperatorError, "'f': derivative is a tuple of 1 functions of the value and"),
        (EXP | {"cost": "3"}, OperatorError, "'f': cost must be a number of at least 1"),
        (
            EXP | {"bits": float("nan")},
            OperatorError,
            "'f': cost must be a number of at least 1 and bits a positive one",
        ),
        (EXP | {"printers": ["exp({0})"]}, OperatorError, "'f': printers must be a dictionary such as"),
        (EXP | {"printers": {"c": "exp({1})"}}, OperatorError, r"'f' fails the check .printers\['c'\]"),
        (EXP | {"infix": ("+", 1)}, OperatorError, "'f' fails the check 'infix': only arithmetic has signs in text"),
        (EXP | {"torch": lambda u: u.sum()}, OperatorError, r"'f' fails the check 'shape': .* must be elementwise"),
        (EXP | {"torch": lambda u: u.detach().exp()}, OperatorError, "'f' fails the check 'derivative"),
        (EXP | {"torch": lambda u: u.exp() + torch.rand_like(u)}, OperatorError, "'f' fails the check 'determinism'"),
        (EXP | {"torch": lambda u: u.exp_()}, OperatorError, "'f' fails the check 'unchanged input'"),
    ],
)
def test_a_faulty_notebook_operator_is_refused(install, arguments, error, message):
    with pytest.raises(error, match=message):
        manager.register_operator("f", **arguments)
    assert manager.vocabulary().operators == ELEMENTARY


def test_noise_models_by_name(install):
    mine = Gaussian(name="mine")
    assert manager.noise_model(mine) is mine
    with pytest.raises(UnknownNameError, match="no noise model 'gausian'; did you mean 'gaussian'"):
        manager.noise_model("gausian")
    with pytest.raises(OptionError, match="noise=None; give a name such as 'poisson', or an instance of a NoiseModel"):
        manager.noise_model(None)
    source = """
from sr_accessor.noise.gaussian import Gaussian
from sr_accessor.plugins import hookimpl
@hookimpl
def register_noise_models(registry):
    registry.add(Gaussian(name="coarse", floor=1e-6))
"""
    install("coarse", source)
    assert manager.noise_model("coarse").floor == manager.noise_model("coarse:coarse").floor == 1e-6
