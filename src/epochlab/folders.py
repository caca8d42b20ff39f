"""Where epochlab keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "EPOCHLAB_CACHE"


def cache_folder() -> Path | None:
    """EPOCHLAB_CACHE, else 'epochlab' in the user's cache folder; None if the user has no home."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "epochlab"
    try:
        return Path.home() / ".cache" / "epochlab"
    except RuntimeError:
        return None
