"""Devices, and a thread that works alone."""

import threading

import pytest
import torch

from sr_accessor import device
from sr_accessor.errors import DeviceError


def test_devices():
    assert device.resolve("cpu").type == "cpu"
    assert device.resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(DeviceError, match="use 'auto', 'cpu' or 'cuda'"):
        device.resolve("abacus")


def test_generators_repeat():
    a, b = (torch.rand(3, generator=device.generator(5)) for _ in range(2))
    assert torch.equal(a, b)


def test_a_thread_works_alone_whatever_was_set_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []

    def work():
        found = device.alone()
        torch.rand(300, 300).matmul(torch.rand(300, 300))
        seen.append((found, torch.get_num_threads()))

    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [(True, 1)] or not seen[0][0]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
