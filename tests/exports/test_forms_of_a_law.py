"""A fitted law in every form: the exporters by name, with its own constants and their errors."""

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr
from sr_accessor.errors import UnknownNameError


@pytest.fixture(scope="module")
def law():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"t [s]": random.uniform(0.1, 5, 80)})
    frame["v"] = 3 * np.exp(-0.7 * frame["t [s]"]) + random.normal(0, 0.01, 80)
    return sr.refine(frame, "v", "A*exp(-k*`t [s]`)").best


def test_every_exporter_writes_it(law):
    for name in sr.plugins.exporters().query("plugin == 'builtin'")["name"]:
        assert law.to(name) is not None, name
    assert law.to("python").startswith("import math") and "t_s" in law.to("python")
    assert law.to("excel", cells={"t [s]": "B7"}).count("B7") == 1
    assert law.to("sympy") == law.to_sympy()
    with pytest.raises(UnknownNameError, match=r"no exporter 'pyton'; did you mean 'python'"):
        law.to("pyton")


def test_text_for_pandas_gives_the_predictions(law):
    frame = pd.DataFrame({"t [s]": [0.5, 1.0, 2.0]})
    assert frame.eval(law.to("pandas"), engine="python").tolist() == pytest.approx(
        law.predict(frame).tolist(), rel=1e-12
    )


def test_lmfit_gets_the_constants_with_their_errors(law):
    _, parameters = law.to("lmfit")
    assert [p.value for p in parameters.values()] == law.params["value"].tolist()
    assert [p.stderr for p in parameters.values()] == law.params["stderr"].tolist()
