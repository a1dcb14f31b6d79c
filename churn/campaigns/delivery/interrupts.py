"""Ctrl-C and SIGTERM while a parcel is in hand: they wait until it is known what became of it."""

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
    """What is held now; one for the process, as its signals are."""

    is_on: bool = False
    came: list[int] = field(default_factory=list)


_hold = _Hold()


def pending() -> bool:
    """Whether a held signal waits: whoever would try again later should give up instead."""
    return _hold.is_on and bool(_hold.came)


def sleep(seconds: float) -> None:
    """Waits so long, or until a held signal waits."""
    if not _hold.is_on:
        time.sleep(seconds)
        return
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and not pending():
        time.sleep(min(left, NAP_SECONDS))


@contextmanager
def held() -> Iterator[None]:
    """A block that the first signal does not interrupt: it takes effect at the end of the block.

    A second one takes effect at once. Nothing is held outside the main thread, or of a signal that
    is ignored or ends the process without asking Python. A block inside another is part of it.
    """
    before = {} if _hold.is_on else _handlers()
    if not before:
        yield
        return

    def hold(number: int, frame: FrameType | None) -> None:
        _hold.came.append(number)
        if len(_hold.came) > 1:
            before[number](number, frame)

    _hold.is_on, _hold.came = True, []
    for number in before:
        signal.signal(number, hold)
    try:
        yield
    finally:
        _hold.is_on = False
        for number, handler in before.items():
            signal.signal(number, handler)
    if _hold.came:
        signal.raise_signal(_hold.came[0])


def _handlers() -> dict[int, Handler]:
    """What would be done on each signal, of those that Python is asked about."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in HELD}
    return {number: handler for number, handler in found.items() if callable(handler)}
