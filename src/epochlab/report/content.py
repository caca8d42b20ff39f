"""What a report says, as plain data: the noun that page, PDF and files are written from."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from epochlab.evidence import Claim, Evidence, Figure, Note, plain_claim
from epochlab.table import Table, plain_cell


@dataclass(frozen=True, kw_only=True)
class Report:
    """One study's answer, with all that is needed to judge it and to get it again."""

    title: str
    study: str
    "name of the study, or its file"
    question: str = ""
    preset: str = ""
    command: str = ""
    "the command line that makes this report again"
    settings: Table | None = None
    "every factor of the study and its value"
    evidence: tuple[Evidence, ...] = ()
    "figures, tables, claims and notes in reading order"
    expectation: str = ""
    "what one should see, and what it means if not"
    covers: tuple[str, ...] = ()
    "ids of the course-sheet items that are answered"
    references: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    seconds: float = 0.0
    "that the runs took together, whenever they were made"
    machine: Table | None = None
    "facts about the machine"
    versions: tuple[tuple[str, str], ...] = ()
    "(package, version)"
    flags: tuple[str, ...] = ()
    "what makes the reader careful, such as runs made by older source"
    collaboration: str = ""
    "who worked together, and whose code was reused; empty says that none was declared"
    generated_at: str = ""
    "time of writing, which is no part of the content"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The evidence numbered and named, without what was skipped."""
        return _items(self.evidence)

    @property
    def headline(self) -> str:
        """The title, or the question where the title is only the study's name."""
        return self.question if self.question and self.title == self.study else self.title

    @property
    def claims(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == "claim")

    @property
    def skipped(self) -> tuple[str, ...]:
        """What was left out, from the notes of that kind."""
        notes = (e for e in self.evidence if isinstance(e, Note))
        return tuple(note.text for note in notes if note.kind == "skipped")


@dataclass(frozen=True)
class Item:
    """One piece of evidence with its place in the report."""

    evidence: Evidence
    kind: Literal["figure", "table", "claim", "note"]
    number: int
    "counted per kind, from 1"
    stem: str
    "name of its files, unique in the report; empty for claims and notes"

    @property
    def anchor(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def heading(self) -> str:
        """'Figure 3'."""
        return f"{self.kind.capitalize()} {self.number}"


def _items(evidence: tuple[Evidence, ...]) -> tuple[Item, ...]:
    items: list[Item] = []
    counts: dict[str, int] = {}
    stems: dict[str, set[str]] = {"figure": set(), "table": set()}
    for piece in evidence:
        stem = ""
        if isinstance(piece, Note):
            if piece.kind == "skipped":
                continue
            kind: Literal["figure", "table", "claim", "note"] = "note"
        elif isinstance(piece, Claim):
            kind = "claim"
        else:
            kind = "figure" if isinstance(piece, Figure) else "table"
            table = piece.table if isinstance(piece, Figure) else piece
            stem = _unused(file_stem(table.name or table.title) or kind, stems[kind])
        counts[kind] = counts.get(kind, 0) + 1
        items.append(Item(piece, kind, counts[kind], stem))
    return tuple(items)


def _unused(stem: str, taken: set[str]) -> str:
    """`stem`, or with a number behind it, and from now on taken."""
    free, count = stem, 1
    while free in taken:
        count += 1
        free = f"{stem}-{count}"
    taken.add(free)
    return free


def file_stem(title: str) -> str:
    """A title as a file name that any system takes: 'Loss, lr = 0.1' -> 'loss-lr-0-1'."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")


def number_text(value: float) -> str:
    """A claim's number: 272474 -> '272,474', 0.31333 -> '0.3133'."""
    if not math.isfinite(value) or (abs(value) < 1e4 and value != int(value)):
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.4g}"


def printable(text: str) -> str:
    """`text` without the characters that neither XML nor HTML may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


_UNPRINTABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]"
)


# --- plain data ----------------------------------------------------------------------------------


def plain(report: Report) -> dict[str, Any]:
    """The whole report as strict JSON data."""
    made: dict[str, Any] = {}
    for field in dataclasses.fields(report):
        value = getattr(report, field.name)
        if field.name == "evidence":
            made["evidence"] = [_plain_evidence(piece) for piece in value]
        elif isinstance(value, Table):
            made[field.name] = plain_table(value)
        elif field.name == "versions":
            made["versions"] = dict(value)
        else:
            made[field.name] = _plain_value(value)
    return made


def plain_table(table: Table) -> dict[str, Any]:
    """A table as strict JSON data, rows in the order of the columns."""
    columns = [{k: v for k, v in dataclasses.asdict(c).items() if v} for c in table.columns]
    return {
        "title": table.title, "label": table.label, "tier": table.tier, "name": table.name,
        "notes": list(table.notes), "columns": columns,
        "rows": [[_plain_value(cell) for cell in row] for row in table.rows],
    }  # fmt: skip


def _plain_evidence(piece: Evidence) -> dict[str, Any]:
    if isinstance(piece, Figure):
        drawing: Any = piece.drawing
        options = vars(drawing) if not dataclasses.is_dataclass(drawing) else {
            f.name: getattr(drawing, f.name) for f in dataclasses.fields(drawing)
        }  # fmt: skip
        return {
            "kind": "figure", "caption": piece.caption, "table": plain_table(piece.table),
            "drawing": {"kind": type(drawing).__name__, **_plain_value(options)},
        }  # fmt: skip
    if isinstance(piece, Table):
        return {"kind": "table", "table": plain_table(piece)}
    if isinstance(piece, Claim):
        return {"kind": "claim", **_plain_value(plain_claim(piece))}
    return {"kind": "note", "note": piece.kind, "text": piece.text}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain_value(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return plain_cell(value)
    return str(value)


def digest(report: Report) -> str:
    """SHA-256 of the content and of the versions that draw it; the time of writing is left out."""
    content = {key: value for key, value in plain(report).items() if key != "generated_at"}
    content["drawn by"] = [_version(name) for name in DRAWN_BY]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


DRAWN_BY = ("epochlab", "altair", "vl-convert-python", "jinja2", "typst")


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} missing"
