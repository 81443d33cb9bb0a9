"""Laws that units suggest are consistent whatever their constants, and hold what physics is mostly made of."""

import numpy as np
import pandas as pd
import pytest

from sr_accessor.expressions.dimensions import Dimensions, consistent
from sr_accessor.expressions.text import to_text
from sr_accessor.plugins.manager import vocabulary
from sr_accessor.search.unit_forms import unit_forms

TABLES = {
    "spring": (("kg", "m", "m", "1/s"), "kg m^2/s^2", "m x y w"),
    "charges": (("C", "C", "F/m", "m"), "N", "p q e r"),
    "pure": (("", "m", "m"), "", "n a b"),
}


@pytest.mark.parametrize("table", TABLES)
def test_every_form_is_consistent(table):
    units, target, names = TABLES[table]
    dimensions = Dimensions.of(units, target, names.split(), "y")
    forms = unit_forms(dimensions, vocabulary("default"))
    assert 50 < len(forms) < 6000 and bool(forms.well_formed.all())
    assert bool(consistent(forms, dimensions).all())


def test_what_is_among_them():
    units, target, names = TABLES["charges"]
    forms = to_text(unit_forms(Dimensions.of(units, target, names.split(), "F"), vocabulary("default")), names.split())
    assert any("p*q/(e*r**2)" in text or "p*q/(r**2*e)" in text for text in forms)


def test_a_vocabulary_without_products_gives_what_it_can():
    units, target, names = TABLES["spring"]
    dimensions = Dimensions.of(units, target, names.split(), "E")
    assert len(unit_forms(dimensions, vocabulary(["add", "sub"]))) == 0


def test_a_fit_with_strict_units_finds_the_law_at_once():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.uniform(1, 5, (100, 4)), columns=["m", "w", "u", "x"])
    frame["E"] = 0.5 * frame["m"] * (frame["w"] ** 2 + frame["u"] ** 2) * frame["x"] ** 2
    frame.attrs["units"] = {"m": "kg", "w": "1/s", "u": "1/s", "x": "m", "E": "J"}
    options = {"random_state": 0, "timeout": 100, "max_rounds": 1, "network": None}
    result = frame.symreg.fit("E", units="strict", **options)
    assert result.front["r2"].max() > 1 - 1e-9 and result.provenance["proposed"]["units"] > 50
