"""Where data files and their decoded copies lie, and how files are told apart by checksum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

DATA_VARIABLE = "EPOCHLAB_DATA"


def chosen_data_folder() -> Path | None:
    """The folder that EPOCHLAB_DATA names (the command line's --data-dir sets it), else None."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen).expanduser() if chosen else None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
