"""Forked: a function computed in a copy of this process, beside what this one does meanwhile.

Threads gain nothing for a search: its many small calls wait for the interpreter's lock. A copy needs nothing to be
sent, knows every operator that was registered in a notebook, and sends back bytes.

A copy holds only the thread that made it. Should it wait for a lock that another thread held, it is given up and the
function computed here: the answer is the same, only later.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable

from sr_accessor.stopping import look, until

__all__ = ["Forked", "available"]

#: Bytes read at once; seconds between two looks whether the work was asked to end.
BLOCK, LOOK_EVERY = 2**20, 0.05
PR_SET_PDEATHSIG = 1  # prctl(2): a signal to the copy when the thread that made it ends


def available() -> bool:
    """Whether a copy of this process can run beside it: Linux (macOS forbids it to most libraries), and two cores."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class Forked:
    """`compute()` in a copy of this process; to be closed.

    Parameters
    ----------
    compute : returns the bytes to be sent back; whatever it raises is lost, so that the caller computes it again

    Raises
    ------
    OSError : no memory, or too many processes
    """

    def __init__(self, compute: Callable[[], bytes]):
        self._pipe, write = os.pipe()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: see the file's top
                self._process = os.fork()
            if self._process == 0:
                _send(compute, write)
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(write)

    def result(self, patience: float) -> bytes | None:
        """What was computed; None where it failed, or took longer than `patience` seconds from now.

        Raises
        ------
        Stopped : the work was asked to end meanwhile
        """
        blocks, until_then = [], time.monotonic() + patience
        while True:
            look()
            if select.select([self._pipe], [], [], LOOK_EVERY)[0]:
                block = os.read(self._pipe, BLOCK)
                if not block:
                    break
                blocks.append(block)
            elif time.monotonic() > until_then:
                return None
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        return b"".join(blocks) if status == 0 else None

    def close(self) -> None:
        """End the copy, whether it is ready or not."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = 0
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def _send(compute: Callable[[], bytes], write: int) -> None:
    """Compute, send and end; nothing of this process is tidied up in its copy."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal
        gc.disable()  # a collection would copy the memory it looks at
        with until(lambda: False):
            sent = compute()
        with os.fdopen(write, "wb") as pipe:
            pipe.write(sent)
        status = 0
    finally:
        os._exit(status)
