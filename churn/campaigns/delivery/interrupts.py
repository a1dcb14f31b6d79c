"""Ctrl-C and SIGTERM during a batch are deferred until its outcome is known."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
HELD = (signal.SIGINT, signal.SIGTERM)
NAP_SECONDS = 0.1


@dataclass
class _Hold:
    """The deferred signals; one object per process, as signals are."""

    is_on: bool = False
    received: list[int] = field(default_factory=list)


_hold = _Hold()


def pending() -> bool:
    """Whether a signal is pending: retries should then be abandoned."""
    return _hold.is_on and bool(_hold.received)


def sleep(seconds: float) -> None:
    """Sleeps for that time, or until a signal is pending."""
    if not _hold.is_on:
        time.sleep(seconds)
        return
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and not pending():
        time.sleep(min(left, NAP_SECONDS))


@contextmanager
def held() -> Iterator[None]:
    """Defers the first signal to the end of the block; a second one takes effect at once.

    Nothing is deferred outside the main thread, or for signals that are ignored or not handled by
    Python. Nested blocks are part of the outer one.
    """
    before = {} if _hold.is_on else _handlers()
    if not before:
        yield
        return

    def hold(number: int, frame: FrameType | None) -> None:
        _hold.received.append(number)
        if len(_hold.received) > 1:
            before[number](number, frame)

    _hold.is_on, _hold.received = True, []
    for number in before:
        signal.signal(number, hold)
    try:
        yield
    finally:
        _hold.is_on = False
        for number, handler in before.items():
            signal.signal(number, handler)
    if _hold.received:
        signal.raise_signal(_hold.received[0])


def _handlers() -> dict[int, Handler]:
    """The current handler of each signal that Python handles."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in HELD}
    return {number: handler for number, handler in handlers.items() if callable(handler)}
