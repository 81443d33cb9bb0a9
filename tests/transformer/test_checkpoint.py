"""Networks on disk: round trip, and one clear error for every way a file can be wrong."""

import json
import os

import pytest
import torch

from sr_accessor.errors import LoadError, ModelIntegrityError, ModelNotFoundError
from sr_accessor.transformer import checkpoint
from sr_accessor.transformer.config import preset
from sr_accessor.transformer.model import build


@pytest.fixture(scope="module")
def model():
    return build(preset("tiny"), torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def path(model, tmp_path):
    checkpoint.save(model, tmp_path / "net.safetensors", provenance={"prior": "science", "examples": 12})
    return tmp_path / "net.safetensors"


def test_round_trip(model, path):
    read = checkpoint.load(path)
    assert read.model.config == model.config
    assert read.provenance == {"prior": "science", "examples": 12}
    assert not read.model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(read.model.state_dict()[name], tensor)
        assert read.model.state_dict()[name].requires_grad is False
    assert all(p.requires_grad for p in read.model.parameters())


def test_half_precision_on_disk_single_in_memory(model, tmp_path):
    small = tmp_path / "half.safetensors"
    checkpoint.save(model, small, dtype=torch.float16)
    read = checkpoint.load(small).model
    assert read.decoder.tokens.weight.dtype == torch.float32
    assert torch.allclose(read.decoder.tokens.weight, model.decoder.tokens.weight, atol=1e-3)
    assert small.stat().st_size < 2.3 * sum(p.numel() for p in model.parameters()) + 20_000


def test_the_same_network_gives_the_same_file(model, path, tmp_path):
    again = tmp_path / "again.safetensors"
    sha = checkpoint.save(model, again, provenance={"prior": "science", "examples": 12})
    assert sha == checkpoint.file_sha256(again) == checkpoint.file_sha256(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "net.safetensors"]  # no leftovers


def test_a_failed_write_leaves_the_old_file(path, model, monkeypatch):
    before = path.read_bytes()

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(model, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o000, 0o644)])
def test_others_may_read_what_the_umask_lets_them(model, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        checkpoint.save(model, tmp_path / "open.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "open.safetensors").stat().st_mode & 0o777 == mode


def test_names_and_places(path, monkeypatch):
    monkeypatch.setenv(checkpoint.ENVIRONMENT, str(path.parent))
    assert checkpoint.find("net") == path
    with pytest.raises(ModelNotFoundError, match=checkpoint.ENVIRONMENT) as caught:
        checkpoint.load("absent")
    assert str(path.parent) in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_truncated_at_any_place(path):
    whole = path.read_bytes()
    for size in (0, 5, 8, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises((ModelIntegrityError, LoadError)) as caught:
            checkpoint.load(path)
        assert str(path) in str(caught.value)
        assert size < 8 or isinstance(caught.value, ModelIntegrityError)


def test_one_flipped_bit(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelIntegrityError, match="SHA-256"):
        checkpoint.load(path)


def test_wrong_hash_of_the_file(path):
    assert checkpoint.load(path, sha256=checkpoint.file_sha256(path)).sha256
    with pytest.raises(ModelIntegrityError, match="expected 0000"):
        checkpoint.load(path, sha256="0" * 64)


def rewritten(path, change):
    """The file with its header's JSON changed."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    header = json.loads(table["__metadata__"]["sr_accessor"])
    change(table, header)
    if "__metadata__" in table:
        table["__metadata__"]["sr_accessor"] = json.dumps(header)
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def grow(table, header):
    header["config"]["width"] = 65_536


def wider(table, header):
    header["config"]["feed_forward"] = 128


def absurd(table, header):
    header["config"]["decoder_layers"] = 10**15


def other_version(table, header):
    header["format"] = 2


def no_metadata(table, header):
    del table["__metadata__"]


def unknown_field(table, header):
    header["config"]["exec"] = "rm -rf /"


def offsets(table, header):
    table["decoder.output_bias"]["data_offsets"] = [0, 10**18]


def not_offsets(table, header):
    table["decoder.output_bias"]["data_offsets"] = "all"


def other_shape(table, header):
    table["decoder.output_bias"]["shape"] = [10**9, 10**9]


@pytest.mark.parametrize(
    "change",
    [grow, wider, absurd, other_version, no_metadata, unknown_field, offsets, not_offsets, other_shape],
    ids=lambda f: f.__name__,
)
def test_hostile_or_foreign_headers(path, change):
    rewritten(path, change)
    with pytest.raises((LoadError, ModelIntegrityError)) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value) or "network" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        (2**62).to_bytes(8, "little") + b"{}",
        (10**6).to_bytes(8, "little") + b"[" * 10**6,
        (4).to_bytes(8, "little") + b"\xff\xfe{}",
        (2).to_bytes(8, "little") + b"[]",
        b"PK\x03\x04 a pickle or a zip would start like this",
    ],
    ids=["huge", "deep", "not utf-8", "a list", "zip"],
)
def test_files_that_are_not_ours(tmp_path, content):
    strange = tmp_path / "strange.safetensors"
    strange.write_bytes(content)
    with pytest.raises(LoadError):
        checkpoint.load(strange)


def test_weights_that_are_not_finite(model, tmp_path):
    broken = build(model.config, torch.Generator().manual_seed(1))
    with torch.no_grad():
        broken.decoder.output_bias[3] = float("nan")
    checkpoint.save(broken, tmp_path / "nan.safetensors")
    with pytest.raises(ModelIntegrityError, match="finite"):
        checkpoint.load(tmp_path / "nan.safetensors")


def test_pieces_for_transport(path, tmp_path):
    pieces = checkpoint.shard(path, 100_000)
    assert len(pieces) > 2 and all(p.stat().st_size <= 100_000 for p in pieces)
    whole = checkpoint.merge(reversed(pieces), tmp_path / "merged.safetensors")
    assert whole.read_bytes() == path.read_bytes()
    with pytest.raises(ModelIntegrityError, match=r"\[1\]"):
        checkpoint.merge([pieces[0], *pieces[2:]], tmp_path / "no.safetensors")
    pieces[1].write_bytes(pieces[1].read_bytes()[:-1] + b"?")
    with pytest.raises(ModelIntegrityError):
        checkpoint.merge(pieces, tmp_path / "no.safetensors")
    with pytest.raises(ModelIntegrityError, match="not a piece"):
        checkpoint.merge([path], tmp_path / "no.safetensors")
    assert not (tmp_path / "no.safetensors").exists()
    with pytest.raises(LoadError, match="shard size"):
        checkpoint.shard(path, 1)
