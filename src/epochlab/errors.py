"""Every error that epochlab raises on purpose, drawn as one tree.

    EpochlabError
    |-- UserError                 what the user gave cannot work; the command line exits with code 2
    |   |-- UnknownName           no component, study, command or option of that name
    |   |-- BadOption             an option has a value that is not allowed
    |   |-- BadData               a data file is missing, truncated, corrupt or of the wrong form
    |   |-- BadShape              a network does not fit the data
    |   |-- CannotTrace           a module cannot be analysed on the inputs it was given
    |   |-- BadCheckpoint         a weight file cannot be loaded safely
    |   |-- StoreError            the store cannot be read or written
    |   |   '-- RunLocked         another process is training the same trial
    |   |-- Diverged              a quantity became NaN or infinite while training
    |   |-- MissingExtra          an optional package is not installed
    |   '-- TrackingError         the tracking server cannot be reached
    '-- Interrupted               Ctrl-C or a time limit; the command line exits with code 130

A message says what was given, what is allowed, the nearest match, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EpochlabError(Exception):
    """Root of the tree; catch it to catch every error that epochlab raises on purpose."""

    exit_code = 1


class UserError(EpochlabError):
    """Something that the user gave cannot work."""

    exit_code = 2


class UnknownName(UserError):
    """No component, study, command or option of that name.

    `kind` is what was looked for ("optimizer"), `given` the name that was not found.
    """

    def __init__(self, kind: str, given: str, allowed: Iterable[str], todo: str = "") -> None:
        allowed = sorted(allowed)
        close = nearest(given, allowed)
        parts = [f"There is no {kind} named '{given}'."]
        if close:
            parts.append(f"Did you mean '{close}'?")
        parts.append(f"Allowed: {', '.join(allowed) if allowed else 'none here'}.")
        if todo:
            parts.append(todo)
        super().__init__(" ".join(parts))
        self.given = given
        self.nearest = close


class BadOption(UserError):
    """An option has a value that is not allowed."""


class BadData(UserError):
    """A data file is missing, truncated, corrupt or of the wrong form."""


class BadShape(UserError):
    """A network does not fit the data that it is given."""


class CannotTrace(UserError):
    """A module cannot be analysed on the inputs that it was given."""


class BadCheckpoint(UserError):
    """A weight file cannot be loaded safely."""


class StoreError(UserError):
    """The store cannot be read or written (read-only, full, damaged)."""


class RunLocked(StoreError):
    """Another process is training the same trial."""


class Diverged(UserError):
    """A quantity became NaN or infinite while training."""


class MissingExtra(UserError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'epochlab[{extra}]'"
        )


class TrackingError(UserError):
    """The tracking server cannot be reached or refuses the data."""


class Interrupted(EpochlabError):
    """Work was stopped on purpose; everything that was done is in the store."""

    exit_code = 130


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that looks most like `given`, or None when nothing is near."""
    folded = {name.lower().replace("-", "_"): name for name in allowed}
    close = difflib.get_close_matches(given.lower().replace("-", "_"), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None
