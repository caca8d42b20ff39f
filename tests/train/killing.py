"""Kill a study again and again with SIGKILL, restart it each time, and compare what is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epochlab.train.execute import CHECKPOINT_VARIABLE

STUDY = Path(__file__).with_name("killed_study.py")
PATIENCE_S = 180.0
"a moment that has not come after so long never comes"
KEPT = ("trial.json", "rows.jsonl", "model.safetensors", "best.safetensors", "DONE")
"files of a run that must be the same, byte for byte, however often it was killed"

# When to kill. `whole`: the process group dies at once, as in a power cut. Otherwise only the
# parent dies; its workers must notice, save and leave. A study with `saves` takes a checkpoint
# after every step, so that many kills hit one; the others are saved by orphaned workers alone.
MOMENTS = (
    ("after some steps", True), ("orphaned", False), ("in a write", True), ("at any time", False),
    ("after some steps", True), ("in a write", False), ("at any time", True), ("orphaned", False),
)  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """One kill: when it was meant to come, whom it hit, and what they were doing."""

    moment: str
    whole: bool
    seconds: float
    "after the start of the process"
    rows: int
    "rows that this process had saved"
    found: str
    "what the processes were doing"


@dataclass
class Attempt:
    """One start of the study, in a process group of its own."""

    store: Path
    process: subprocess.Popen[bytes]
    rows_before: int
    writes_before: dict[Path, int]
    began: float

    @property
    def group(self) -> int:
        return self.process.pid

    @property
    def rows(self) -> int:
        """Rows saved since the start; less than nothing where redone ones were taken back."""
        return saved_rows(self.store) - self.rows_before

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def writes(self) -> list[str]:
        """Files that this attempt has begun to write and not renamed yet."""
        return sorted(path.name.removesuffix(".part")
                      for path, at in unfinished_writes(self.store).items()
                      if self.writes_before.get(path) != at)  # fmt: skip

    def holders(self) -> dict[int, Path]:
        """Living processes of this attempt that train, and the folder of the run they are at."""
        members = living(self.group)
        found = {}
        for lock in self.store.glob("runs/*/*/lock"):
            word = lock.read_text().rpartition(" ")[2]
            if word.isdigit() and int(word) in members and not done(lock.parent):
                found[int(word)] = lock.parent
        return found


def start(store: Path, *words: str, checkpoint_s: float | None = None) -> Attempt:
    """Run the study in a new process group; what it prints goes to a file beside the store."""
    environment = dict(os.environ)
    environment.pop(CHECKPOINT_VARIABLE, None)
    if checkpoint_s is not None:
        environment[CHECKPOINT_VARIABLE] = str(checkpoint_s)
    rows, writes = saved_rows(store), unfinished_writes(store)
    with store.with_name(store.name + ".log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "epochlab", "study", "run", str(STUDY), "--store", str(store),
             *words],
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment,
        )  # fmt: skip
    return Attempt(store, process, rows, writes, time.monotonic())


def run_to_end(store: Path, *words: str) -> str:
    """Run the study undisturbed; returns what it printed."""
    log = store.with_name(store.name + ".log")
    before = log.stat().st_size if log.exists() else 0
    attempt = start(store, *words)
    status = attempt.process.wait()
    text = log.read_bytes()[before:].decode()
    assert status == 0, text
    return text


def living(group: int) -> set[int]:
    """Processes of a group that still run; a dead one that nobody has buried does not count."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(its_group) == group and state not in "ZX":
                found.add(int(entry.name))
    return found


def done(folder: Path) -> bool:
    return (folder / "DONE").exists()


def saved_rows(store: Path) -> int:
    """Complete rows in the journals of all runs."""
    return sum(path.read_bytes().count(b"\n") for path in store.glob("runs/*/*/rows.jsonl"))


def saved_at(folder: Path) -> int:
    """When a run's checkpoint was written, in nanoseconds; 0 without one."""
    try:
        return (folder / "checkpoint.safetensors").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def unfinished_writes(store: Path) -> dict[Path, int]:
    """Files under temporary names, and when they were last written."""
    found = {}
    for path in store.rglob("*.part"):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def wait_until(true: Callable[[], bool], attempt: Attempt, poll_s: float = 0.005) -> None:
    """Return when `true` or when the attempt has ended. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while attempt.alive and not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {attempt.group} did not get there in {PATIENCE_S:g} s")
        time.sleep(poll_s)


def kill_once(store: Path, moment: str, whole: bool, draw: random.Random, *words: str) -> Kill:
    """Start the study, wait for the moment, kill. Raises AssertionError if nothing was hit."""
    # An orphan's save can only be told from its regular ones where there are none of those.
    attempt = start(store, *words, checkpoint_s=1e6 if moment == "orphaned" else 0.0)
    try:
        _wait_for(moment, attempt, draw)
        return _kill(attempt, moment, whole)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(attempt.group, signal.SIGKILL)
        attempt.process.wait()
        raise


def _wait_for(moment: str, attempt: Attempt, draw: random.Random) -> None:
    if moment == "at any time":
        time.sleep(draw.uniform(0.0, 3.0))
        return
    if moment == "orphaned":
        wait_until(lambda: bool(attempt.holders()), attempt)
        time.sleep(draw.uniform(0.1, 0.4))
        return
    wanted = draw.randint(1, 20)
    wait_until(lambda: attempt.rows >= wanted, attempt)
    time.sleep(draw.uniform(0.0, 0.03))
    if moment == "in a write":
        _stop_in_a_write(attempt)


def _kill(attempt: Attempt, moment: str, whole: bool) -> Kill:
    """Kill the group, or only the parent and see what becomes of its workers."""
    holders, rows, seconds = attempt.holders(), attempt.rows, time.monotonic() - attempt.began
    orphans = {folder: saved_at(folder) for pid, folder in holders.items() if pid != attempt.group}
    assert attempt.alive, f"the study had ended before the kill ({moment}); make it longer"
    (os.killpg if whole else os.kill)(attempt.group, signal.SIGKILL)
    assert attempt.process.wait() == -signal.SIGKILL
    if whole:
        _until_gone(attempt)
    found = _doing(attempt, holders)
    if writes := attempt.writes() if whole or moment == "in a write" else []:
        found = "writing " + ", ".join(writes)
    if moment == "in a write" and not whole:
        os.killpg(attempt.group, signal.SIGCONT)
    if moment == "orphaned" and orphans:
        _until_gone(attempt)
        lost = [f for f, at in orphans.items() if saved_at(f) == at and not done(f)]
        assert not lost, f"orphaned workers left without saving {lost}"
        found += ", saved by orphans"
    return Kill(moment, whole, seconds, rows, found)


def _stop_in_a_write(attempt: Attempt) -> None:
    """Halt the whole group while a checkpoint lies half-written under its temporary name."""
    deadline = time.monotonic() + PATIENCE_S
    while attempt.alive and time.monotonic() < deadline:
        parts = [folder / "checkpoint.safetensors.part" for folder in attempt.holders().values()]
        # An earlier kill may have left one behind.
        parts = [path for path in parts if not path.exists()]
        spin_until = time.monotonic() + 0.2
        while time.monotonic() < spin_until and not any(map(os.path.exists, parts)):
            pass
        os.killpg(attempt.group, signal.SIGSTOP)
        time.sleep(0.005)
        if attempt.writes():
            return
        os.killpg(attempt.group, signal.SIGCONT)


def _until_gone(attempt: Attempt) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while left := living(attempt.group):
        assert time.monotonic() < deadline, f"processes {left} live on without their parent"
        time.sleep(0.005)


def _doing(attempt: Attempt, holders: dict[int, Path]) -> str:
    if holders:
        return "training"
    folders = [path.parent for path in attempt.store.glob("runs/*/*/trial.json")]
    return "reporting" if folders and all(map(done, folders)) else "starting"


def kill_often(store: Path, kills: int, seed: int, *words: str) -> Iterator[Kill]:
    """Kill the study `kills` times at moments drawn from the seed; finished runs stay untouched.

    Raises AssertionError when a kill hits nothing or a finished run is written to again.
    """
    draw = random.Random(seed)
    finished: dict[str, Any] = {}
    for number in range(kills):
        moment, whole = MOMENTS[number % len(MOMENTS)]
        yield kill_once(store, moment, whole, draw, *words)
        check_untouched(store, finished)
        finished = finished_files(store)
    run_to_end(store, *words)
    check_untouched(store, finished)


def finished_files(store: Path) -> dict[str, tuple[int, int, int]]:
    """Every file of the finished runs, with inode, size and time of change; locks left out."""
    found = {}
    for mark in store.glob("runs/*/*/DONE"):
        for path in mark.parent.iterdir():
            if path.name not in ("lock", "checkpoint.safetensors", "checkpoint.safetensors.part"):
                facts = path.stat()
                found[str(path)] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return found


def check_untouched(store: Path, before: dict[str, tuple[int, int, int]]) -> None:
    """No file of a run that was finished before has been written since."""
    now = finished_files(store)
    changed = [path for path, facts in before.items() if now.get(path) != facts]
    assert not changed, f"finished runs were written to again: {changed}"


def differences(killed: Path, whole: Path) -> list[str]:
    """Files that differ between a store with kills and one without; empty if none does."""
    wanted = [path.relative_to(whole) for name in KEPT for path in whole.glob(f"runs/*/*/{name}")]
    wanted += [path.relative_to(whole) for ending in ("svg", "csv")
               for path in whole.glob(f"reports/*/*/*.{ending}")]  # fmt: skip
    assert len(wanted) > len(KEPT), "the undisturbed store is empty"
    found = [str(path) for path in wanted
             if not (killed / path).exists()
             or (killed / path).read_bytes() != (whole / path).read_bytes()]  # fmt: skip
    runs = [{path.name for path in store.glob("runs/*/*")} for store in (killed, whole)]
    found += sorted(runs[0] ^ runs[1])
    # The lock stays, everything temporary goes.
    names = {*KEPT, "record.json", "clock.jsonl", "lock"}
    found += [str(path) for path in killed.glob("runs/*/*/*") if path.name not in names]
    return found


def miscounted(store: Path) -> list[str]:
    """Runs whose clock holds other than one time for each step, whatever was done again."""
    found = []
    for clock in store.glob("runs/*/*/clock.jsonl"):
        last = json.loads(clock.read_text().splitlines()[-1])
        end = json.loads((clock.parent / "rows.jsonl").read_text().splitlines()[-1])
        if last["steps"] + last["warmup_steps"] != end["step"] or last["step"] != end["step"]:
            found.append(clock.parent.name)
    return found
