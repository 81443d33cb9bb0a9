"""SELECTED: a network that cannot read all features says which it reads."""

import numpy as np
import pandas as pd
import pytest

import sr_accessor as sr
from sr_accessor.device import generator
from sr_accessor.errors import InputError, SymRegWarning
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    checkpoint.save(build(preset("tiny"), generator(0)), path)
    return path


def table(features):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{i}": random.uniform(1, 2, 60) for i in range(features)})
    return frame.assign(y=frame["x2"] ** 2 + 0.1 * frame["x1"])


def fit(features, weights, **options):
    return sr.fit(table(features), "y", network=weights, max_rounds=1, random_state=0, progress=False, **options)


def test_features_beyond_the_limit_are_ranked_and_named(weights):
    with pytest.warns(SymRegWarning, match="reads 4 of the 6 features: by relevance for the target 'x2'") as caught:
        result = fit(6, weights)
    remark = next(w for w in result.warnings if w.code == "SELECTED")
    assert sum(w.message.args[0].startswith("SELECTED") for w in caught) == 1
    assert sorted(remark.message.replace(",", "").replace(";", "").split("'")[1::2]) == [f"x{i}" for i in range(6)]


def test_as_many_features_as_it_reads_are_no_remark(weights):
    assert all(w.code != "SELECTED" for w in fit(4, weights).warnings)


def test_more_required_features_than_it_reads_are_an_error(weights):
    required = sr.Constraints(require=[f"x{i}" for i in range(5)])
    with pytest.raises(InputError, match=r"5 features are required, but the network .* reads at most 4"):
        fit(6, weights, constraints=required)
