"""From one TOML file to a device or link, every mistake named with its file and key."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.hardware import FOLDER, Device, Figure, Link, OnThreads, file_of

KINDS = ("gpu", "cpu", "link")
WORDS = ("based_on", "kind", "title", "note", "source", "date")
FIGURE_KEYS = ("value", "source", "date", "spread")
ON_THREADS = "on_threads"
# A figure in a file based on another one takes the place of these figures of the other.
_RIVALS = (
    {"peak_fp32_flops_per_s"}, {"peak_fp32_base_flops_per_s", "peak_fp32_boost_flops_per_s"},
), (
    {"bandwidth_bytes_per_s"}, {"bandwidth_both_directions_bytes_per_s"},
)  # fmt: skip


def read(path: Path, seen: tuple[Path, ...] = ()) -> Device | Link:
    """The device or link that a file describes. Raises BadData, UnknownName."""
    content = _parsed(path)
    for word in WORDS[:-1]:
        if word in content and not isinstance(content[word], str):
            raise BadData(f"{path}: '{word}' is {content[word]!r}; it must be text.")
    base = _base(path, content, (*seen, path.resolve()))
    kind = content.get("kind", base.kind if base else None)
    if kind not in KINDS:
        raise BadData(f"{path}: 'kind' is {kind!r}; it must be one of {', '.join(KINDS)}.")
    if base and kind != base.kind:
        raise BadData(f"{path}: 'kind' is '{kind}', but '{base.name}', on which the file is "
                      f"based, is a {base.kind}.")  # fmt: skip
    cls = Link if kind == "link" else Device
    figures = _figures(path, content, cls)
    inherited = dict(base.figures()) if base else {}
    for key in _replaced(figures):
        inherited.pop(key, None)
    title = content.get("title", base.title if base else "")
    if not title.strip():
        raise BadData(f"{path} has no 'title'; it must say in a few words what this is.")
    words = {"name": path.stem, "kind": kind, "title": title,
             "note": content.get("note", base.note if base else "")}  # fmt: skip
    merged: dict[str, Any] = {**words, **inherited, **figures}
    if isinstance(base, Device):
        merged[ON_THREADS] = base.on_threads
    if ON_THREADS in content:
        merged[ON_THREADS] = _on_threads(path, content)
    if cls is Device and "bandwidth_bytes_per_s" not in merged:
        raise BadData(f"{path} has no 'bandwidth_bytes_per_s', which every device needs.")
    try:
        return cls(**merged)
    except BadOption as error:
        raise BadData(f"{path}: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(
            f"{path} is not valid TOML: {error}. Each line is written key = value, text in "
            'quotation marks: title = "my card".'
        ) from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}.") from error


def _base(path: Path, content: dict[str, Any], seen: tuple[Path, ...]) -> Device | Link | None:
    """What the file is based on; a file of the same name stands on the package's."""
    if "based_on" not in content:
        return None
    name = content["based_on"]
    itself = name == path.stem and path.resolve().parent != FOLDER
    base = file_of(name, packaged_only=itself)
    if base.resolve() in seen:
        raise BadData(f"{path}: 'based_on' is '{name}', which is based on this file in turn. "
                      "Name one that stands on its own.")  # fmt: skip
    return read(base, seen)


def _on_threads(path: Path, content: dict[str, Any]) -> tuple[OnThreads, ...]:
    """The tables [on_threads.1], [on_threads.2] of a measured device, in rising order."""
    given = content[ON_THREADS]
    shared: dict[str, Any] = {k: content[k] for k in ("source", "date") if k in content}
    if not isinstance(given, dict):
        raise BadData(f"{path}: write one table [{ON_THREADS}.1] for each number of threads.")
    found = []
    for word, table in given.items():
        if not word.isdecimal() or not isinstance(table, dict):
            raise BadData(f"{path}: '{ON_THREADS}.{word}' is not a table named by a whole number "
                          f"of threads, such as [{ON_THREADS}.1].")  # fmt: skip
        figures: dict[str, Any] = _figures(path, {**shared, **table}, OnThreads)
        try:
            found.append(OnThreads(threads=int(word), **figures))
        except BadOption as error:
            raise BadData(f"{path}: {error}") from error
        except TypeError as error:
            raise BadData(f"{path}: [{ON_THREADS}.{word}] needs peak_fp32_flops_per_s and "
                          "bandwidth_bytes_per_s.") from error  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.threads))


def _figures(path: Path, content: dict[str, Any], cls: type) -> dict[str, Figure]:
    """The file's own figures; its `source` and `date` hold for those that have none."""
    allowed = [f.name for f in fields(cls) if "Figure" in str(f.type)]
    shared: dict[str, Any] = {k: content[k] for k in ("source", "date") if k in content}
    found = {}
    for key, given in content.items():
        if key in WORDS or (key == ON_THREADS and cls is Device):
            continue
        if key not in allowed:
            what = "link" if cls is Link else "device"
            raise UnknownName(f"key of a {what}", key, [*WORDS, *allowed], f"It is in {path}.")
        own = given if isinstance(given, dict) else {"value": given}
        for part in own:
            if part not in FIGURE_KEYS:
                raise UnknownName(f"key of {key}", part, FIGURE_KEYS, f"It is in {path}.")
        found[key] = _figure(f"{path}: {key}", {**shared, **own})
    return found


def _figure(where: str, parts: dict[str, Any]) -> Figure:
    missing = [key for key in FIGURE_KEYS if key not in parts and key != "spread"]
    if missing:
        raise BadData(
            f"{where} has no {' and no '.join(missing)}. Write {{ value = 1.5e12, "
            "source = \"who says so\", date = \"2026-11\" }, or 'source' and 'date' once at the "
            "top of the file for all its figures."
        )
    date = parts["date"]
    if isinstance(date, datetime.date):
        parts["date"] = date.isoformat()[:10]
    elif isinstance(date, int) and not isinstance(date, bool):
        parts["date"] = str(date)
    try:
        return Figure(**parts)
    except BadOption as error:
        raise BadData(f"{where}: {error}") from error


def _replaced(own: dict[str, Figure]) -> set[str]:
    """Inherited figures that no longer hold beside the file's own."""
    gone: set[str] = set()
    for pair in _RIVALS:
        for mine, theirs in (pair, pair[::-1]):
            if mine & set(own):
                gone |= theirs
    return gone
