import os
import sys
import time

import pytest

from sr_accessor.forked import Forked, available
from sr_accessor.stopping import Stopped, until

pytestmark = pytest.mark.filterwarnings("error")


def running(process):
    """Whether there is such a process; a child that ended and was not waited for counts."""
    return os.path.exists(f"/proc/{process}")


def test_there_is_a_second_process_where_there_are_two_cores():
    assert available() == (sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1)


def test_a_copy_knows_what_this_process_knows_and_sends_bytes_back():
    known = {"answer": lambda: b"x" * 3_000_000}  # more than a pipe holds
    copy = Forked(lambda: known["answer"]() + str(os.getpid()).encode())
    sent = copy.result(patience=20)
    assert sent[:3_000_000] == b"x" * 3_000_000 and int(sent[3_000_000:]) != os.getpid()
    copy.close()


def test_what_fails_there_is_to_be_computed_here(capfd):
    def fail():
        raise KeyError("y")

    copy = Forked(fail)
    assert copy.result(patience=20) is None
    copy.close()
    assert capfd.readouterr() == ("", "")


def test_a_copy_that_hangs_is_given_up():
    copy = Forked(lambda: time.sleep(600) or b"")
    process = copy._process
    began = time.monotonic()
    assert copy.result(patience=0.2) is None and time.monotonic() - began < 5
    assert running(process)
    copy.close()
    copy.close()
    assert not running(process)


def test_an_end_that_is_asked_for_is_heard_while_waiting():
    copy = Forked(lambda: time.sleep(600) or b"")
    began = time.monotonic()
    with until(lambda: time.monotonic() - began > 0.2), pytest.raises(Stopped):
        copy.result(patience=600)
    assert time.monotonic() - began < 2
    copy.close()


def test_the_copy_is_not_asked_to_end_with_this_process():
    with until(lambda: True):
        copy = Forked(looks)
    assert copy.result(patience=20) == b"went on"
    copy.close()


def looks():
    from sr_accessor.stopping import look

    look()
    return b"went on"
