"""The bytes inside plain, gzip, xz and tar.gz files, with a bound on how far they may grow."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Protocol

LARGEST_BYTES = 1 << 30
"No file of the sets read here comes near it; what grows past it is not one of them."


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class FormatError(Exception):
    """A file is not what its name promises; the text says how and fits after 'FILE '."""


def unpacked(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The wanted files in `path`, by name; the packing follows from the name's ending.

    An archive is read member by member in memory: nothing is written, and the folder part of a
    member's name is ignored, so that no name in it can lead anywhere. Raises FormatError, OSError.
    """
    try:
        if path.name.endswith(".tar.gz"):
            return _archived(path, wanted)
        if path.suffix == ".gz":
            with gzip.open(path) as gz_file:
                return {path.stem: _bounded(gz_file)}
        if path.suffix == ".xz":
            with lzma.open(path) as xz_file:
                return {path.stem: _bounded(xz_file)}
        with path.open("rb") as file:
            return {path.name: _bounded(file)}
    except EOFError as error:
        raise FormatError("ends too early: it is truncated") from error
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, tarfile.TarError) as error:
        raise FormatError(f"is corrupt or not of its ending's kind ({error})") from error


def _bounded(file: _Readable) -> bytes:
    content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise FormatError(f"unpacks to more than {LARGEST_BYTES:,} bytes")
    return content


def _archived(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if not member.isfile() or name not in wanted:
                continue
            if name in found:
                raise FormatError(f"holds the file {name} twice")
            content = archive.extractfile(member)
            assert content is not None, "a regular file has content"
            found[name] = _bounded(content)
            if len(found[name]) != member.size:
                raise FormatError(f"ends too early: {name} in it is truncated")
    missing = [name for name in wanted if name not in found]
    if missing:
        raise FormatError(f"lacks {', '.join(missing)}")
    return found
