"""Fetch official files over the network, checked and never left half written."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from epochlab.errors import BadData

if TYPE_CHECKING:
    from rich.progress import Progress

_BLOCK_BYTES = 1 << 18
_PATIENCE_S = 30


@dataclass(frozen=True)
class Download:
    """A file as its authors publish it."""

    file: str
    url: str
    md5: str
    "the checksum that the authors publish"


def fetch(what: str, downloads: Sequence[Download], folder: Path) -> None:
    """Put the files that are missing into `folder`; a bar shows progress and time left.

    Raises BadData, with what to do by hand, when the network or the disk fails.
    """
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with rich_progress.Progress(*columns, console=Console(stderr=True)) as progress:
            for download in downloads:
                if not (folder / download.file).is_file():
                    _fetch_one(download, folder, progress)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise BadData(
            f"{what} is not in {folder} and could not be downloaded ({reason}). If you have it "
            "elsewhere, name the folder of data sets with --data-dir or EPOCHLAB_DATA; the set "
            f"'digits' needs no download. {by_hand(downloads, folder)}"
        ) from error


def by_hand(downloads: Sequence[Download], folder: Path) -> str:
    """How to get the files without us."""
    files = "; ".join(f"{d.url} (MD5 {d.md5})" for d in downloads)
    return f"Download {files} and put the file{'s' * (len(downloads) > 1)} into {folder}."


def _fetch_one(download: Download, folder: Path, progress: Progress) -> None:
    part = folder / f".{download.file}.{os.getpid()}.part"
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with (
            urllib.request.urlopen(download.url, timeout=_PATIENCE_S) as answer,
            part.open("wb") as out,
        ):
            size = answer.headers.get("Content-Length")
            task = progress.add_task(download.file, total=int(size) if size else None)
            while block := answer.read(_BLOCK_BYTES):
                out.write(block)
                digest.update(block)
                progress.advance(task, len(block))
        if digest.hexdigest() != download.md5:
            raise BadData(
                f"What came from {download.url} is not the official {download.file}: its MD5 is "
                f"{digest.hexdigest()}, expected {download.md5}. It was thrown away. Try again "
                f"later, or get the file elsewhere and put it into {folder}."
            )
        part.replace(folder / download.file)
    finally:
        part.unlink(missing_ok=True)
