"""The store: names of bundled and of the user's networks, their hashes, and what is said of one that is not there."""

import pytest
import torch

import sr_accessor as sr
from sr_accessor.errors import InputError, LoadError, ModelIntegrityError, ModelNotFoundError
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoint.ENVIRONMENT, str(tmp_path / "mine"))
    return tmp_path / "mine"


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "network.safetensors"
    provenance = {"plan": {"prior": "science"}, "examples": 1200}
    checkpoint.save(build(preset("tiny"), torch.Generator().manual_seed(0)), path, provenance=provenance)
    return path


def test_the_bundled_networks_are_listed_and_sound(folder):
    table = sr.models.list()
    assert table.loc["default", ["origin", "writes", "prior", "status"]].tolist() == [
        "bundled",
        "laws",
        "science",
        "ok",
    ]
    assert (table["origin"] == "bundled").all() and (table["status"] == "ok").all()
    assert checkpoint.read_sums(checkpoint.folders()[0]).keys() == {f"{name}.safetensors" for name in table.index}
    for name in table.index:
        assert sr.models.load(name).provenance["examples"] == table.loc[name, "examples"]


def test_a_network_of_ones_own_gets_a_name(folder, trained):
    place = sr.models.add(trained, "mine")
    assert place == folder / "mine.safetensors" == checkpoint.find("mine")
    assert sr.models.load("mine").sha256 == sr.models.load(trained).sha256
    row = sr.models.list().loc["mine"]
    assert (row["origin"], row["writes"], row["examples"], row["operators"]) == ("user", "laws", 1200, 25)
    assert sr.models.add(trained).name == "network.safetensors"
    assert set(checkpoint.read_sums(folder)) == {"mine.safetensors", "network.safetensors"}


def test_a_fit_takes_the_name(folder, trained):
    import pandas as pd

    sr.models.add(trained, "mine")
    table = pd.DataFrame({"a": [0.5, 1.0, 1.5, 2.0, 2.5, 3.5], "y": [1.0, 3.0, 2.0, 4.0, 5.5, 7.0]})
    found = sr.fit(table, "y", network="mine", max_rounds=1, timeout=60, random_state=0, progress=False)
    assert found.provenance["network"] == "mine"
    with pytest.raises(ModelNotFoundError, match="did you mean 'mine'"):
        sr.fit(table, "y", network="mime", progress=False)


def test_another_file_under_the_name_is_refused(folder, trained, tmp_path):
    place = sr.models.add(trained, "mine")
    expected = checkpoint.file_sha256(place)
    checkpoint.save(build(preset("tiny"), torch.Generator().manual_seed(1)), place)  # sound, but not what was added
    with pytest.raises(ModelIntegrityError) as caught:
        sr.models.load("mine")
    assert expected in str(caught.value) and checkpoint.file_sha256(place) in str(caught.value)


def test_a_damaged_file_is_listed_with_what_is_wrong(folder, trained):
    place = sr.models.add(trained, "mine")
    whole = place.read_bytes()
    place.write_bytes(whole[:-10])
    assert "ModelIntegrityError" in sr.models.list().loc["mine", "status"]
    place.write_bytes(whole)
    (folder / checkpoint.SUMS).write_text("what\n")
    with pytest.raises(LoadError, match="line 1"):
        sr.models.load("mine")


def test_nowhere(folder):
    with pytest.raises(ModelNotFoundError) as caught:
        sr.models.load("defautl")
    said = str(caught.value)
    assert str(folder / "defautl.safetensors") in said and checkpoint.ENVIRONMENT in said and "'default'" in said


@pytest.mark.parametrize("name", ["default", "a/b", "", "..", "x" * 65])
def test_names_that_cannot_be(folder, trained, name):
    with pytest.raises(InputError):
        sr.models.add(trained, name)
    assert not folder.exists()


def test_where_the_users_networks_are(monkeypatch, tmp_path):
    monkeypatch.delenv(checkpoint.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    bundled, own = checkpoint.folders()
    assert bundled.name == "weights" and own.parts[-2:] == ("sr_accessor", "models")
