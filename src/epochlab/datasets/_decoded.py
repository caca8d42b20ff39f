"""Decoded copies of data files, kept so that unpacking happens once and memory is shared.

    <cache>/decoded/sources-<digest of the paths>.json   size, time and SHA-256 of each source file
    <cache>/decoded/<set>-<digest of the sources>/       one .npy per array, and facts.json,
                                                         whose first line is the rest's SHA-256

An entry is written under another name and renamed when complete. Its arrays are mapped, not read,
so all processes of a machine share one copy. Any trouble with the cache costs time, never a load.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets._files import file_sha256
from epochlab.folders import cache_folder

# Part of every entry's name: raise it when the arrays made from the same sources change.
_LAYOUT = 1
# A file written within this time may be written again with the same time stamp.
_SETTLED_NS = 2_000_000_000
_SPOTS, _SPOT_BYTES = 64, 4096


@dataclass(frozen=True)
class Decoded:
    """Arrays by name, and what else is known about them as JSON data."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


def decoded(
    name: str, sources: Sequence[Path], build: Callable[[], Decoded]
) -> tuple[Decoded, list[str]]:
    """What `build` makes of the sources, from the cache if it is there; and the sources' SHA-256.

    Raises OSError where a source cannot be read, and whatever `build` raises.
    """
    root = cache_folder()
    folder = None if root is None else root / "decoded"
    digests = _source_digests(folder, sources)
    if folder is None:
        return build(), digests
    text = "\n".join([str(_LAYOUT), *(p.name for p in sources), *digests])
    entry = folder / f"{name}-{_text_digest(text)[:16]}"
    found = _opened(entry)
    if found is None:
        made = build()
        with contextlib.suppress(OSError):
            _write(entry, made)
        found = _opened(entry) or made
    return found, digests


def _source_digests(folder: Path | None, sources: Sequence[Path]) -> list[str]:
    """SHA-256 of each source; files whose size and time are as noted are not read again."""
    paths = [str(path.resolve()) for path in sources]
    stamps = [[s.st_size, s.st_mtime_ns] for s in (path.stat() for path in sources)]
    note = None
    if folder is not None:
        note = folder / f"sources-{_text_digest(chr(10).join(paths))[:16]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads(note.read_text(encoding="utf-8"))
            if noted["paths"] == paths and noted["stamps"] == stamps:
                return [str(d) for d in noted["sha256"]]
    digests = [file_sha256(path) for path in sources]
    if note is not None and all(t < time.time_ns() - _SETTLED_NS for _, t in stamps):
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            _write_text(note, json.dumps({"paths": paths, "stamps": stamps, "sha256": digests}))
    return digests


def _write_text(path: Path, text: str) -> None:
    """Write a file under another name and rename it. Raises OSError and leaves nothing behind."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _write(entry: Path, made: Decoded) -> None:
    """Write an entry in place of what is there. Raises OSError and leaves nothing behind."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".tmp-"))
    damaged = part.with_name(part.name + "-damaged")
    try:
        files = {}
        for name, array in made.arrays.items():
            path = part / f"{name}.npy"
            with path.open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            files[name] = {
                "shape": list(array.shape), "dtype": array.dtype.str,
                "stamp": [path.stat().st_size, path.stat().st_mtime_ns],
                "sha256": file_sha256(path), "spots": _spots(path),
            }  # fmt: skip
        body = json.dumps({"files": files, "facts": dict(made.facts)})
        _write_text(part / "facts.json", f"{_text_digest(body)}\n{body}")
        if entry.exists():
            # It was found damaged; processes that still map it keep their copy.
            entry.rename(damaged)
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(damaged, ignore_errors=True)


def _opened(entry: Path) -> Decoded | None:
    """A complete, undamaged entry with its arrays mapped read-only, else None."""
    try:
        digest, _, body = (entry / "facts.json").read_text(encoding="utf-8").partition("\n")
        if digest != _text_digest(body):
            return None
        noted = json.loads(body)
        arrays = {name: _mapped(entry / f"{name}.npy", f) for name, f in noted["files"].items()}
        return Decoded(arrays, noted["facts"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _mapped(path: Path, noted: Mapping[str, Any]) -> NDArray[Any]:
    """Raises ValueError where the file is not the one that was written.

    With its size and time unchanged a look at some blocks is enough (it finds what a crash of the
    machine leaves: holes of zeros); else the whole file is compared.
    """
    stamp = [path.stat().st_size, path.stat().st_mtime_ns]
    same = stamp == noted["stamp"] and _spots(path) == noted["spots"]
    if not same and (stamp[0] != noted["stamp"][0] or file_sha256(path) != noted["sha256"]):
        raise ValueError(f"{path} has changed")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if list(array.shape) != noted["shape"] or array.dtype.str != noted["dtype"]:
        raise ValueError(f"{path} holds another array")
    # A plain view: slices of np.memmap carry costs of their own.
    return np.asarray(array).view(np.ndarray)


def _spots(path: Path) -> str:
    """A digest of evenly spread blocks of a file, the first and the last among them."""
    digest = hashlib.blake2b(digest_size=16)
    last = max(path.stat().st_size - _SPOT_BYTES, 0)
    with path.open("rb") as file:
        for spot in range(_SPOTS):
            file.seek(last * spot // (_SPOTS - 1))
            digest.update(file.read(_SPOT_BYTES))
    return digest.hexdigest()
