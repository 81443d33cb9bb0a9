"""FitHandle: a fit in a thread of its own, in the words of `concurrent.futures`; it can be stopped and awaited."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sr_accessor.equation import Equation
    from sr_accessor.result import FitResult

__all__ = ["FitHandle", "Found"]

#: Seconds between two looks of a waiting thread: on Windows a wait without end cannot be interrupted.
TICK = 0.2
_running: weakref.WeakSet[FitHandle] = weakref.WeakSet()


class Found(NamedTuple):
    """A result, and the remarks that whoever asks for it first is warned of."""

    result: FitResult
    remarks: Sequence[Warning]


class FitHandle:
    """A fit in progress: ``handle = df.symreg.fit("y", background=True)``.

    Parameters
    ----------
    work : the fit; called with this handle in a new thread. It looks at `stopping` and then ends with the best so far,
        and may `publish` what it has
    close : called in that thread with the result, or with what was raised instead, before the handle is done
    collected : called with the same in the thread that first asks for the result

    ``handle.stop()`` ends the search, and `result` gives the best so far; ``await handle`` waits without blocking.
    """

    def __init__(
        self,
        work: Callable[[FitHandle], Found],
        close: Callable[[Any], None] = lambda outcome: None,
        collected: Callable[[Any], None] = lambda outcome: None,
    ):
        self._future: Future[Found] = Future()
        self._stop, self._ended = threading.Event(), threading.Event()
        self._future.add_done_callback(lambda future: self._stop.set())  # a cancelled one has to end, too
        self._latest: Callable[[], FitResult] | None = None
        self._began = time.perf_counter()
        self._collected, self._asked_for = collected, False
        run = contextvars.copy_context().run  # the output of a thread goes to the cell that started it
        self._thread = threading.Thread(target=run, args=(self._run, work, close), name="symreg", daemon=True)
        _running.add(self)

    def start(self) -> FitHandle:
        """Begin; returns the handle."""
        self._thread.start()
        return self

    def _run(self, work: Callable[[FitHandle], Found], close: Callable[[Any], None]) -> None:
        found, error = None, None
        try:
            found = work(self)
        except BaseException as raised:  # it is raised again where the result is asked for
            error = raised
        try:
            close(error if found is None else found.result)
        finally:
            if self._future.set_running_or_notify_cancel():
                if error is None:
                    self._future.set_result(found)
                else:
                    self._future.set_exception(error)
            _running.discard(self)
            self._ended.set()

    # ------------------------------------------------------------------ for those who work and wait
    @property
    def stopping(self) -> bool:
        """Whether the fit was asked to end."""
        return self._stop.is_set()

    def publish(self, latest: Callable[[], FitResult]) -> None:
        """Tell how to make a result of what has been found so far."""
        self._latest = latest

    def found(self, timeout: float | None = None) -> Found:
        """The result and its remarks, of which nobody is warned here; waits like `result`."""
        self._wait(timeout)
        return self._future.result(0)

    # ------------------------------------------------------------------ for the user
    def stop(self) -> None:
        """End the search; `result` then gives the best so far, with status "interrupted", within a second."""
        self._stop.set()

    def cancel(self) -> bool:
        """End the fit and throw away what it found: `result` raises CancelledError. False if it is already done."""
        self._stop.set()
        return self._future.cancel()

    def cancelled(self) -> bool:
        """Whether it was cancelled before it was done."""
        return self._future.cancelled()

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._future.done()

    def done(self) -> bool:
        """Whether it has ended: with a result, an exception, or cancelled."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> FitResult:
        """The result, as soon as it is there. An interrupt while waiting stops the fit, and gives the best so far.

        Parameters
        ----------
        timeout : seconds to wait; None: as long as it takes

        Raises
        ------
        TimeoutError : no result after `timeout`; the fit goes on.
        CancelledError : it was cancelled.
        Whatever `fit` raises.
        """
        found = self.found(timeout)
        for remark in self._first_time(found):
            warnings.warn(remark, stacklevel=2)
        return found.result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the fit raised, None if nothing; waits like `result`."""
        self._wait(timeout)
        return self._future.exception(0)

    def add_done_callback(self, function: Callable[[FitHandle], Any]) -> None:
        """Call `function(handle)` once it is done, in the fit's thread; at once if it is done already."""
        self._future.add_done_callback(lambda future: function(self))

    @property
    def best_so_far(self) -> Equation | None:
        """The law that would be chosen now; None before the first round has ended."""
        if self.done() and not self.cancelled() and self._future.exception(0) is None:
            return self._future.result(0).result.best
        return None if self._latest is None else self._latest().best

    def __await__(self) -> Generator[Any, None, FitResult]:
        found = yield from asyncio.wrap_future(self._future).__await__()
        for remark in self._first_time(found):
            warnings.warn(remark, stacklevel=2)
        return found.result

    def __repr__(self) -> str:
        if self.cancelled():
            return "FitHandle(cancelled)"
        if not self.done():
            law, seconds = self.best_so_far, time.perf_counter() - self._began
            return f"FitHandle(running for {seconds:.1f} s{'' if law is None else f': {law}'})"
        error = self._future.exception(0)
        return f"FitHandle(done: {self._future.result(0).result.best if error is None else repr(error)})"

    def _first_time(self, found: Found) -> Sequence[Warning]:
        """The remarks, for who asks first."""
        if self._asked_for:
            return ()
        self._asked_for = True
        self._collected(found.result)
        return found.remarks

    def _wait(self, timeout: float | None) -> None:
        """Until the thread has ended; a first interrupt asks the fit to end, a second one is raised."""
        end, asked = None if timeout is None else time.perf_counter() + timeout, False
        while not self._ended.is_set():  # not join: an interrupted one takes the thread for dead (Python 3.11)
            try:
                self._ended.wait(TICK if end is None else max(0.0, min(TICK, end - time.perf_counter())))
                if end is not None and time.perf_counter() >= end and not self._ended.is_set():
                    raise TimeoutError(f"no result after {timeout} s; the fit goes on, stop() ends it")
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                self._stop.set()
        self._thread.join()


@atexit.register
def _stop_all() -> None:
    """No thread outlives the interpreter."""
    handles = list(_running)
    for handle in handles:
        handle.stop()
    for handle in handles:
        handle._ended.wait()
