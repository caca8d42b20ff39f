"""Work in child processes, so that a crash, a hang or a greedy network harms nobody else.

A child is a copy of this process (fork), so what is imported or built here is at hand there at no
cost. For that to be safe this process must not have used PyTorch's threads before.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Work = Callable[[], Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a piece of work: a value, or the reason why there is none."""

    value: Any
    reason: str
    wall_s: float

    @property
    def ok(self) -> bool:
        return not self.reason


@dataclass
class _Child:
    name: str
    pid: int
    pipe: int
    began: float
    data: bytes = b""


def forked(work: Work, limit_s: float) -> Outcome:
    """Do `work` in a child and wait for it."""
    return next(outcome for _, outcome in forked_all({"": work}, limit_s, 1))


def forked_all(
    works: Mapping[str, Work], limit_s: float, at_once: int
) -> Iterator[tuple[str, Outcome]]:
    """Do all of `works`, up to `at_once` side by side; yields each name and outcome when ready."""
    waiting = list(works.items())
    running: dict[int, _Child] = {}
    with selectors.DefaultSelector() as ready:
        while waiting or running:
            while waiting and len(running) < at_once:
                name, work = waiting.pop(0)
                child = _start(name, work, list(running))
                running[child.pipe] = child
                ready.register(child.pipe, selectors.EVENT_READ)
            for key, _ in ready.select(timeout=0.5):
                child = running[key.fd]
                piece = os.read(child.pipe, 1 << 20)
                child.data += piece
                if not piece:
                    ready.unregister(child.pipe)
                    yield child.name, _finish(running.pop(key.fd), "")
            for child in list(running.values()):
                if time.perf_counter() - child.began > limit_s:
                    ready.unregister(child.pipe)
                    running.pop(child.pipe)
                    yield child.name, _finish(child, f"took longer than {limit_s:g} s")


def _start(name: str, work: Work, others: list[int]) -> _Child:
    source, target = os.pipe()
    pid = os.fork()
    if pid:
        os.close(target)
        return _Child(name, pid, source, time.perf_counter())
    try:
        # A group of its own, so that its own children end with it.
        os.setpgid(0, 0)
        os.close(source)
        for pipe in others:
            os.close(pipe)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        result: tuple[Any, str]
        try:
            result = work(), ""
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            result = None, f"{type(error).__name__}: {first[:200]}"
        rest = memoryview(pickle.dumps(result))
        while rest:
            rest = rest[os.write(target, rest) :]
    finally:
        os._exit(0)


def _finish(child: _Child, reason: str) -> Outcome:
    if reason:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child.pid, signal.SIGKILL)
    os.close(child.pipe)
    _, status = os.waitpid(child.pid, 0)
    wall_s = time.perf_counter() - child.began
    if reason:
        return Outcome(None, reason, wall_s)
    if not child.data:
        return Outcome(None, f"the process died ({_how(status)})", wall_s)
    value, reason = pickle.loads(child.data)
    return Outcome(value, reason, wall_s)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit {os.WEXITSTATUS(status)}"
