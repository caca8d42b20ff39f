"""Read a set from its official files: find or fetch, unpack, check, decode once."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import _files
from epochlab.datasets._decoded import Decoded, decoded
from epochlab.datasets._download import Download, by_hand, fetch
from epochlab.datasets._scaling import PixelSums, pixel_sums
from epochlab.datasets._unpack import FormatError, unpacked
from epochlab.errors import BadData
from epochlab.folders import cache_folder

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class OfficialSet:
    """What identifies a published set, and how its files are read."""

    name: str
    folder: str
    "its folder below the data folder"
    parts: Mapping[str, str]
    "unpacked file name -> SHA-256 of the unpacked file"
    packings: tuple[str, ...]
    "endings under which a part may lie there; '' is the plain file"
    downloads: tuple[Download, ...]
    parse: Callable[[str, bytes], Any]
    "(part name, content) -> decoded part; raises FormatError"
    assemble: Callable[[Mapping[str, Any]], Arrays]
    "decoded parts -> train_inputs, train_targets, test_inputs, test_targets"
    archive: str = ""
    "archive that may lie there instead of the parts"
    inner_folder: str = ""
    "folder that the archive makes when it is unpacked"


@dataclass(frozen=True)
class Found:
    """The arrays of a set and where they came from."""

    arrays: Arrays
    checksums: tuple[tuple[str, str], ...]
    train_sums: PixelSums
    is_official: bool
    "the content equals what the authors published, byte for byte"


def read_official(official: OfficialSet, verify: bool) -> Found:
    """The set from the data folder, or from the user's cache folder. Raises BadData."""
    sources = _located(official)
    try:
        found, digests = decoded(official.folder, sources, lambda: _decode(official, sources))
    except OSError as error:
        raise BadData(
            f"{official.name}: {error.filename or sources[0].parent} cannot be read "
            f"({error.strerror or error}). Check that the file is there and may be read."
        ) from error
    parts = dict(found.facts["parts"])
    if verify:
        _verify(official, sources, parts)
    sums = found.facts["train_sums"]
    return Found(
        found.arrays,
        tuple((path.name, digest) for path, digest in zip(sources, digests, strict=True)),
        PixelSums(sums["count"], tuple(sums["values"]), tuple(sums["squares"])),
        is_official=parts == dict(official.parts),
    )


def _located(official: OfficialSet) -> list[Path]:
    """One file per part, or the one archive; downloaded only where no data folder was chosen."""
    chosen = _files.chosen_data_folder()
    if chosen is not None:
        sources, missing = _search(official, chosen / official.folder)
        if missing:
            raise BadData(_missing_text(official, chosen, missing))
        return sources
    cache = cache_folder()
    if cache is None:
        raise BadData(
            f"{official.name} needs a data folder, and this user has no home folder to keep one "
            f"in. Name one with --data-dir or {_files.DATA_VARIABLE}."
        )
    folder = cache / "data" / official.folder
    sources, missing = _search(official, folder)
    if missing:
        fetch(official.name, official.downloads, folder)
        sources, missing = _search(official, folder)
    if missing:
        raise BadData(_missing_text(official, folder.parent, missing))
    return sources


def _search(official: OfficialSet, folder: Path) -> tuple[list[Path], list[str]]:
    """(files found, names of the parts that are missing)."""
    folders = [folder, *([folder / official.inner_folder] if official.inner_folder else [])]
    sources, missing = [], []
    for part in official.parts:
        paths = [f / (part + ending) for f in folders for ending in official.packings]
        here = next((path for path in paths if path.is_file()), None)
        if here is None:
            missing.append(part)
        else:
            sources.append(here)
    if missing and official.archive and (folder / official.archive).is_file():
        return [folder / official.archive], []
    return sources, missing


def _missing_text(official: OfficialSet, data_folder: Path, missing: list[str]) -> str:
    folder = data_folder / official.folder
    endings = " or ".join(repr(e) if e else "none" for e in official.packings)
    text = (
        f"{official.name} is not complete: {folder} lacks {', '.join(missing)} "
        f"(allowed endings: {endings})."
    )
    if not data_folder.is_dir():
        text += f" The data folder {data_folder} itself does not exist."
    elif not _search(official, data_folder)[1]:
        text += f" The files lie in {data_folder}: name the folder above it as the data folder."
    return (
        f"{text} {by_hand(official.downloads, folder)} Without --data-dir and "
        f"{_files.DATA_VARIABLE} they are downloaded for you."
    )


def _decode(official: OfficialSet, sources: list[Path]) -> Decoded:
    """Unpack and parse all parts; unpacking releases the interpreter, so threads help."""
    with _busy(f"Unpacking {official.name} (once; the result is kept)"):
        with ThreadPoolExecutor(min(len(sources), os.cpu_count() or 1)) as pool:
            results = list(pool.map(lambda path: _parsed(official, path), sources))
        parsed = {name: part for result in results for name, (part, _) in result.items()}
        try:
            arrays = official.assemble(parsed)
        except FormatError as error:
            raise BadData(f"{official.name} in {sources[0].parent} {error}.") from error
    sums = pixel_sums(arrays["train_inputs"])
    return Decoded(
        arrays,
        {
            "parts": {name: sha for result in results for name, (_, sha) in result.items()},
            "train_sums": {
                "count": sums.count, "values": list(sums.values), "squares": list(sums.squares)
            },
        },
    )  # fmt: skip


def _parsed(official: OfficialSet, path: Path) -> dict[str, tuple[Any, str]]:
    """Part name -> (decoded part, SHA-256 of its unpacked content)."""
    done: dict[str, tuple[Any, str]] = {}
    name = ""
    try:
        for name, content in unpacked(path, official.parts).items():
            sha = hashlib.sha256(content).hexdigest()
            done[name] = (official.parse(name, content), sha)
    except FormatError as error:
        expected = "; ".join(
            f"{part} {sha}"
            for part, sha in official.parts.items()
            if path.name == official.archive or path.name.startswith(part)
        )
        inside = f" ({name} in it)" if name and path.name == official.archive else ""
        raise BadData(
            f"{path}{inside} {error}. Its SHA-256 is {_files.file_sha256(path)}; the official "
            f"SHA-256, unpacked: {expected}. Get the file again: "
            f"{by_hand(official.downloads, path.parent)}"
        ) from error
    return done


def _verify(official: OfficialSet, sources: list[Path], parts: Mapping[str, str]) -> None:
    """Every part's unpacked content is the official one, else BadData."""
    for name, expected in official.parts.items():
        if parts[name] != expected:
            path = next((p for p in sources if p.name.startswith(name)), sources[0])
            raise BadData(
                f"{path} is well formed but is not the official {name} of {official.name}: the "
                f"SHA-256 of its unpacked content is {parts[name]}, expected {expected}. Get the "
                "file again, or set the data set's option 'verify' to false if another set in the "
                f"same format is meant. {by_hand(official.downloads, path.parent)}"
            )


def _busy(text: str) -> contextlib.AbstractContextManager[object]:
    """A moving sign on the terminal while something takes seconds; nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else contextlib.nullcontext()


def concatenated(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """One contiguous array of all parts."""
    return np.ascontiguousarray(np.concatenate(parts))
