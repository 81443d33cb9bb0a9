"""Stopping: long work looks here whether it was asked to end, and leaves by an exception that only its caller catches.

    with until(event.is_set):
        state = step(state)  # anything below may call look(); raises Stopped soon after the event is set

What is being made when `look` raises is lost; so work is cut into values, and the last one made stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Stopped", "look", "until"]

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("asked", default=None)


class Stopped(BaseException):
    """The work was asked to end. No Exception, like `asyncio.CancelledError`: none on the way may take it for one."""


@contextmanager
def until(asked: Callable[[], bool]) -> Iterator[None]:
    """Within this context, in this thread, `look` raises once `asked()` is true."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


def look() -> None:
    """Raise Stopped if the work was asked to end: to be called every 0.1 s or so, 0.1 µs where nobody may ask."""
    asked = _asked.get()
    if asked is not None and asked():
        raise Stopped
