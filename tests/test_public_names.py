"""The public names are exactly `__all__`, each can be had, and a wrong one is told the nearest."""

import re
import types

import pytest

import sr_accessor as sr


@pytest.mark.parametrize("name", sr.__all__)
def test_name_is_there_and_stays_the_same(name):
    first = getattr(sr, name)  # may import a room, which would put the room under this name
    assert getattr(sr, name) is first


def test_all_is_what_is_public():
    # Rooms appear as attributes when something imports them; the machinery of this file is no one's business.
    machinery = {"Any", "importlib", "register_accessors"}
    seen = {
        name
        for name, thing in vars(sr).items()
        if not name.startswith("_") and not (isinstance(thing, types.ModuleType) and name not in sr.__all__)
    }
    assert seen - machinery <= set(sr.__all__)
    assert set(sr.__all__) <= set(dir(sr))
    assert len(set(sr.__all__)) == len(sr.__all__)


def test_unknown_name_is_told_the_nearest():
    with pytest.raises(AttributeError, match=r"'fitt'; did you mean 'fit'"):
        sr.fitt  # noqa: B018


def test_the_docstring_is_the_legend():
    letters = re.findall(r"\b([A-Z]) ([a-z]+)", sr.__doc__)
    assert "".join(letter for letter, _ in letters) == "BLKNDSTVEH"
