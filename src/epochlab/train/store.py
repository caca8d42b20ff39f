"""The store: one folder per trial, named by its key; the folder is the truth about a run.

runs/<first two digits>/<key>/
    trial.json                the intent, every default written out
    record.json               machine, versions, source hash, threads: facts of the start
    rows.jsonl                what happened, append-only; equal trials give equal bytes
    clock.jsonl               how long it took; kept apart, because no two timings are equal
    checkpoint.safetensors    the latest state to go on from; gone once the run is finished
    model.safetensors         final weights;   best.safetensors: at the best validation score
    DONE                      written last: how it ended, and checksums
    lock                      held by the process that trains
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from epochlab.errors import RunLocked, StoreError, UnknownName
from epochlab.train.trial import Trial, trial_from_plain

STORE_VARIABLE = "EPOCHLAB_STORE"
DEFAULT_STORE = "epochlab-store"
LOCK_PATIENCE_S = 5.0


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one clear paragraph."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: ("the disk is full", "Free some space"),
            errno.EDQUOT: ("the disk quota is used up", "Free some space"),
            errno.EFBIG: (
                "a file reached this process's size limit",
                "Raise the limit (ulimit -f)",
            ),
            errno.EROFS: ("the file system is read-only", "Choose another folder with --store"),
            errno.EACCES: ("permission is denied", "Choose another folder with --store"),
            errno.EPERM: ("permission is denied", "Choose another folder with --store"),
            errno.ENOTDIR: ("a part of the path is a file", "Choose another folder with --store"),
            errno.EEXIST: ("a file of that name is in the way", "Choose another with --store"),
        }
        known = error.errno if error.errno is not None else 0
        text = str(error)
        if known not in reasons and ("No space left" in text or "os error 28" in text):
            known = errno.ENOSPC
        reason, cure = reasons.get(known, (text, "Look at the folder"))
        raise StoreError(
            f"The store cannot write {path}: {reason}. {cure} and run the same command again; "
            "what was finished is kept and a started run goes on from its last checkpoint."
        ) from error


@dataclass(frozen=True)
class Store:
    """A folder of runs. Everything is found by content; there is no index to get out of step."""

    folder: Path

    @classmethod
    def at(cls, folder: str | Path | None = None) -> Store:
        """`folder`, else EPOCHLAB_STORE, else ./epochlab-store."""
        return cls(Path(folder or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE))

    def run_folder(self, key: str) -> RunFolder:
        return RunFolder(self.folder / "runs" / key[:2] / key)

    def run_keys(self) -> list[str]:
        """Keys of all runs, finished or not, the latest started first."""
        found = [p.parent for p in self.folder.glob("runs/*/*/trial.json")]
        return [p.name for p in sorted(found, key=lambda p: (-_started(p), p.name))]

    def find(self, start: str) -> str:
        """The one key that begins with `start`. Raises UnknownName."""
        matches = [k for k in self.run_keys() if k.startswith(start)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UnknownName("single run", start, [k[:12] for k in matches],
                              "More than one begins so: give more digits.")  # fmt: skip
        raise UnknownName("run", start, [k[:8] for k in self.run_keys()[:20]],
                          f"'epochlab runs' lists those in {self.folder}.")  # fmt: skip


def _started(folder: Path) -> float:
    return (folder / "trial.json").stat().st_mtime


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    @property
    def key(self) -> str:
        return self.path.name

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def is_done(self) -> bool:
        return self.file("DONE").exists()

    def done(self) -> dict[str, Any]:
        """How the run ended: status, rows' checksum, weights' checksum."""
        return self.read_json("DONE")

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.file(name)
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path} cannot be read ({error}). Delete the folder {self.path} to train this "
                "run anew; other runs are not touched."
            ) from error
        return content

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """The file appears complete or not at all."""
        self.write_text(name, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def write_text(self, name: str, text: str) -> None:
        path = self.file(name)
        temporary = path.with_name(name + ".part")
        with storing(path):
            try:
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def read_rows(self, name: str = "rows.jsonl") -> list[dict[str, Any]]:
        """All complete lines; a last line cut off by a kill is left out."""
        try:
            text = self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        lines = text.split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def trial(self) -> Trial:
        return trial_from_plain(self.read_json("trial.json"))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock; the kernel gives it back however the process ends.

        Raises RunLocked when another process keeps it for longer than a killed study's worker
        needs to save its state and leave.
        """
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = self.file("lock").open("a+")
        with handle:
            deadline = time.monotonic() + LOCK_PATIENCE_S
            while not _try_lock(handle):
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    holder = handle.read().strip() or "another process"
                    raise RunLocked(
                        f"The run {self.key[:12]} is being trained by {holder}. Wait until it is "
                        "done (the same command then finds its result), or stop that process "
                        "first; nothing was lost."
                    )
                time.sleep(0.05)
            handle.truncate(0)
            handle.write(f"process {os.getpid()}")
            handle.flush()
            yield


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Journal:
    """Appends rows to a file, in large pieces; `flush` makes them the file's own.

    Rows are encoded when they are written: the code for it would be cold after every step.
    """

    def __init__(self, path: Path, offset: int) -> None:
        """Open at `offset`: what was written past the last checkpoint is dropped and redone."""
        self.path = path
        self.pending: list[dict[str, Any]] = []
        with storing(path):
            self.file: IO[bytes] = path.open("ab")
            self.file.truncate(offset)
            self.file.seek(0, os.SEEK_END)
            self.digest = hashlib.sha256(path.read_bytes() if offset else b"")

    def add(self, row: dict[str, Any]) -> None:
        self.pending.append(row)
        if len(self.pending) >= 256:
            self.flush()

    def flush(self) -> int:
        """Write what is pending; returns the file's length."""
        if self.pending:
            lines = "".join(f"{_encode(row)}\n" for row in self.pending).encode()
            with storing(self.path):
                self.file.write(lines)
                self.file.flush()
            self.digest.update(lines)
            self.pending.clear()
        return self.file.tell()

    def sha256(self) -> str:
        """SHA-256 of what is in the file after a flush, 64 hex digits."""
        return self.digest.hexdigest()

    def close(self) -> None:
        with storing(self.path):
            self.file.close()


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
