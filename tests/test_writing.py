"""Files are written whole or not at all, and left alone where they hold the same."""

import os
import stat

import pytest

from sr_accessor.writing import write_whole


def test_a_file_is_new_or_old_never_half(tmp_path, monkeypatch):
    path = tmp_path / "law.json"
    write_whole(path, b"old")
    assert path.read_bytes() == b"old" and stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444

    def full(file):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]  # nothing lies beside it


def test_equal_content_is_left_alone(tmp_path):
    path = tmp_path / "law.json"
    write_whole(path, b"same")
    os.utime(path, (1, 1))
    write_whole(path, b"same", if_changed=True)
    assert path.stat().st_mtime == 1
    write_whole(path, b"else", if_changed=True)
    assert path.read_bytes() == b"else" and path.stat().st_mtime > 1


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "law.json", b"")
