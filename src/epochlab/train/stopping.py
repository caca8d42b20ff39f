"""Ctrl-C, a kill request or a time limit become one question: should training stop now?"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType


class StopFlag:
    """True once someone asked to stop, or once the time limit is over."""

    def __init__(self, max_seconds: float | None = None) -> None:
        self._asked = False
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds

    def ask(self) -> None:
        self._asked = True

    def __call__(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._asked = True
        return self._asked


@contextlib.contextmanager
def stop_on_signals(flag: StopFlag) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks to stop after the running step, a second ends at once."""

    def handler(number: int, frame: FrameType | None) -> None:
        if flag():
            raise KeyboardInterrupt
        flag.ask()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
