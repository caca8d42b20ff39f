"""Parameter servers and workers as processes of this machine, and how fast they step together.

Run as a module, it is one such process: the first word is its role, the first line it reads a key,
every further line an order as JSON, which it answers with one line. Each server holds one stretch
of the parameters. In a step each worker computes the gradient of its share of the batch, sends
every server its stretch, and waits for the new parameters; a server waits for all workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Client, Listener
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from epochlab.measure.guard import Clock

Floats = NDArray[np.float32]
Order = dict[str, Any]

WARMUP = 10  # steps that are not timed
LIMIT_S = 60.0  # for one order, and one more for each step; processes that hang are ended
LEARNING_RATE = 0.05
MOST = 64  # workers, and as many servers


class ProcessesFailed(Exception):
    """The processes could not be started, or one of them ended early."""


@dataclass(frozen=True, kw_only=True)
class SmallNetwork:
    """Two fully connected layers without biases, ReLU between, softmax and cross-entropy."""

    inputs: int = 512
    hidden: int = 256
    classes: int = 10

    @property
    def size(self) -> int:
        """Number of parameters."""
        return (self.inputs + self.classes) * self.hidden

    def start(self) -> Floats:
        """The same random parameters everywhere, in one row."""
        random = np.random.default_rng(1)
        return random.normal(0, 0.05, self.size).astype(np.float32)

    def batch(self, samples: int) -> tuple[Floats, NDArray[np.int64]]:
        """The same random samples everywhere, with random labels."""
        random = np.random.default_rng(2)
        inputs = random.normal(0, 1, (samples, self.inputs)).astype(np.float32)
        return inputs, random.integers(0, self.classes, samples)

    def gradient(
        self, parameters: Floats, inputs: Floats, labels: NDArray[np.int64], out: Floats
    ) -> float:
        """Sum of the samples' losses; the gradient of this sum is written to `out`."""
        cut = self.inputs * self.hidden
        first = parameters[:cut].reshape(self.inputs, self.hidden)
        second = parameters[cut:].reshape(self.hidden, self.classes)
        inner = np.maximum(inputs @ first, 0)
        scores = inner @ second
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        shares /= shares.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        loss = -float(np.log(shares[rows, labels]).sum())
        shares[rows, labels] -= 1
        np.matmul(inner.T, shares, out=out[cut:].reshape(self.hidden, self.classes))
        back = (shares @ second.T) * (inner > 0)
        np.matmul(inputs.T, back, out=out[:cut].reshape(self.inputs, self.hidden))
        return loss


def stretches(size: int, servers: int) -> list[slice]:
    """The parameters that each server holds; their lengths differ by one at most."""
    ends = [size * i // servers for i in range(servers + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


# --- one process ----------------------------------------------------------------------------------


def serve(listener: Listener, order: Order) -> dict[str, Any]:
    """Be a server: average gradients, update, hand out parameters, for so many steps."""
    network = SmallNetwork()
    mine = stretches(network.size, order["servers"])[order["number"]]
    parameters = network.start()[mine].copy()
    total, one = np.empty_like(parameters), np.empty_like(parameters)
    links = [listener.accept() for _ in range(order["workers"])]
    links.sort(key=lambda link: int(link.recv()))
    for _ in range(order["steps"] + WARMUP):
        total[:] = 0
        for link in links:
            link.recv_bytes_into(one.data)
            total += one
        parameters -= LEARNING_RATE / order["batch"] * total
        for link in links:
            link.send_bytes(parameters.data)
    for link in links:
        link.close()
    return {}


def work(key: bytes, order: Order) -> dict[str, Any]:
    """Be a worker: compute, push, pull; tells seconds per step and the loss of the last one."""
    network = SmallNetwork()
    inputs, labels = network.batch(order["batch"])
    ends = [order["batch"] * i // order["workers"] for i in range(order["workers"] + 1)]
    share = slice(ends[order["number"]], ends[order["number"] + 1])
    own, own_labels = inputs[share].copy(), labels[share].copy()
    parameters, gradient = network.start(), np.empty(network.size, np.float32)
    links = [Client(address, authkey=key) for address in order["addresses"]]
    for link in links:
        link.send(order["number"])
    parts = list(zip(links, stretches(network.size, len(links)), strict=True))
    began, loss = 0.0, 0.0
    for step in range(order["steps"] + WARMUP):
        if step == WARMUP:
            began = time.perf_counter()
        loss = network.gradient(parameters, own, own_labels, gradient)
        for link, part in parts:
            link.send_bytes(gradient[part].data)
        for link, part in parts:
            link.recv_bytes_into(parameters[part].data)
    seconds = time.perf_counter() - began
    for link in links:
        link.close()
    return {"seconds_per_step": seconds / order["steps"], "loss": loss}


def main(role: str) -> None:
    """Follow orders from standard input until it ends."""
    key = bytes.fromhex(sys.stdin.readline())
    listener = Listener(authkey=key, backlog=MOST) if role == "server" else None
    print(json.dumps({"address": listener.address if listener else ""}), flush=True)
    for line in sys.stdin:
        order, before = json.loads(line), time.process_time()
        answer = work(key, order) if listener is None else serve(listener, order)
        answer["cpu_s"] = time.process_time() - before
        print(json.dumps(answer), flush=True)
    if listener is not None:
        listener.close()


# --- all of them ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stepped:
    """What one arrangement did."""

    steps_per_s: float
    loss: float
    "sum over the samples of the batch, in the last step"
    other_cores: float | None = None
    "cores that other work had meanwhile, on average; None where the system does not say"


class Crew:
    """So many server and worker processes, one thread each, that step together on orders.

    A context manager. Raises ProcessesFailed where they cannot be started or one ends early.
    """

    def __init__(self, *, servers: int, workers: int, clock: Clock | None = None) -> None:
        # Imported here, for it brings torch with it, which the processes do not need.
        from epochlab.measure.guard import SystemClock

        self._clock = clock or SystemClock()
        self._key = secrets.token_hex(16)
        self._counts = {"server": servers, "worker": workers}
        self._processes: dict[str, list[subprocess.Popen[str]]] = {"server": [], "worker": []}
        self._addresses: list[str] = []
        # What the processes complain about; a file, so that nobody has to read while they work.
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Crew:
        single = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
             "VECLIB_MAXIMUM_THREADS"), "1",
        )  # fmt: skip
        try:
            for role, count in self._counts.items():
                for _ in range(count):
                    self._processes[role].append(subprocess.Popen(
                        [sys.executable, "-m", __name__, role], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=self._complaints, text=True,
                        env={**os.environ, **single},
                    ))  # fmt: skip
            for process in self._all():
                _tell(process, self._key)
            answers = self._answers(self._all())
        except (OSError, ProcessesFailed) as error:
            self.close()
            raise ProcessesFailed(str(error)) from error
        self._addresses = [a["address"] for a in answers[: self._counts["server"]]]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def step(self, *, workers: int, servers: int, batch: int, steps: int) -> Stepped:
        """Let the first so many of them take `steps` steps of `batch` samples in all."""
        order: Order = {"workers": workers, "servers": servers, "batch": batch, "steps": steps,
                        "addresses": self._addresses[:servers]}  # fmt: skip
        serving, working = self._processes["server"][:servers], self._processes["worker"][:workers]
        began, busy = self._clock.now_s(), self._clock.machine_busy_s()
        for group in (serving, working):
            for number, process in enumerate(group):
                _tell(process, json.dumps({**order, "number": number}))
        answers = self._answers([*working, *serving], steps)
        wall, busy_then = self._clock.now_s() - began, self._clock.machine_busy_s()
        others = None
        if busy is not None and busy_then is not None:
            others = max(0.0, busy_then - busy - sum(a["cpu_s"] for a in answers)) / wall
        # All wait for each other in every step; the slowest saw the whole of it.
        slowest = max(a["seconds_per_step"] for a in answers[:workers])
        return Stepped(1 / slowest, sum(a["loss"] for a in answers[:workers]), others)

    def close(self) -> None:
        """End the processes: first politely, then not."""
        for process in self._all():
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        for process in self._all():
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._complaints.close()

    def _all(self) -> list[subprocess.Popen[str]]:
        return [p for group in self._processes.values() for p in group]

    def _answers(
        self, asked: Sequence[subprocess.Popen[str]], steps: int = 0
    ) -> list[Mapping[str, Any]]:
        """One line of each. A process that says nothing for too long is ended with the others."""
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done, LIMIT_S + steps), daemon=True)
        watch.start()
        try:
            return [self._heard(process) for process in asked]
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event, limit_s: float) -> None:
        """End all processes where one has ended, for which the others would wait, or time is up."""
        began = time.monotonic()
        while not done.wait(0.1):
            ended = any(process.poll() is not None for process in self._all())
            if ended or time.monotonic() - began > limit_s:
                self._kill()
                return

    def _kill(self) -> None:
        for process in self._all():
            process.kill()

    def _heard(self, process: subprocess.Popen[str]) -> Mapping[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            self._complaints.seek(0)
            said = self._complaints.read().strip().rpartition("\n")[2]
            raise ProcessesFailed(f"a process ended early{f', {said}' if said else ''}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except OSError as error:
        raise ProcessesFailed(f"a process does not listen: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1])
