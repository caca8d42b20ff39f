"""The report as a PDF for printing and handing in, laid out by typst."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epochlab.evidence import Claim, Figure, Note
from epochlab.figures._theme import WIDTH_PX
from epochlab.report.content import Item, Report, number_text, printable
from epochlab.report.pictures import Picture
from epochlab.table import Table
from epochlab.units import seconds_text

ROWS_OF_A_TABLE = 150
"that are printed; the data file has all"
_LINE_CHARS = 105
"of a table in letters of 9 points"
_MARKS = {"supported": "✓", "not supported": "✗", "inconclusive": "?", "indicated": "≈"}


def write(report: Report, folder: Path, pictures: Mapping[str, Picture]) -> Path:
    """Write report.pdf; returns its path. Equal content gives equal bytes."""
    import typst

    layout = (Path(__file__).parent / "pdf.typ").read_bytes()
    # Words travel as data, never as typst source: nothing in them has to be escaped.
    content = json.dumps(_words(_content(report, pictures)), allow_nan=False)
    # A fixed time: typst would write the clock's into the file.
    made = typst.compile(layout, format="pdf", sys_inputs={"report": content}, timestamp=0)
    assert isinstance(made, bytes)
    path = folder / "report.pdf"
    path.write_bytes(made)
    return path


def _content(report: Report, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    facts = [("study", report.study), ("preset", report.preset),
             ("seeds", ", ".join(map(str, report.seeds))),
             ("time of all runs", seconds_text(report.seconds) if report.seconds else ""),
             ("written", report.generated_at)]  # fmt: skip
    title = report.headline
    return {
        "title": title,
        "short-title": title if len(title) <= 70 else title[:69] + "…",
        "study": report.study,
        "question": report.question if report.question != title else "",
        "facts": [fact for fact in facts if fact[1]],
        "flags": report.flags,
        "expectation": report.expectation,
        "items": [_item(item, pictures) for item in report.items],
        "skipped": report.skipped,
        "command": report.command,
        "settings": _table(report.settings) if report.settings else None,
        "machine": _table(report.machine) if report.machine else None,
        "versions": ", ".join(f"{name} {version}" for name, version in report.versions),
        "collaboration": report.collaboration or "none declared",
        "covers": "  ·  ".join(report.covers),
        "references": report.references,
    }


def _item(item: Item, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    piece = item.evidence
    made: dict[str, Any] = {"kind": item.kind, "heading": item.heading}
    if isinstance(piece, Figure):
        picture = pictures[item.anchor]
        return made | {
            "title": piece.title, "caption": piece.caption, "svg": picture.svg,
            "width": min(1.0, picture.width_px / WIDTH_PX),
            "alt": f"{piece.title}. {piece.caption}",
        }  # fmt: skip
    if isinstance(piece, Table):
        return made | {"table": _table(piece, item)}
    if isinstance(piece, Claim):
        numbers = [(name, number_text(value)) for name, value in piece.numbers.items()]
        if piece.interval is not None:
            low, high = piece.interval
            numbers.append(("paired 95 % interval", f"{number_text(low)} to {number_text(high)}"))
        numbers.append(("seeds", str(piece.seeds)))
        return made | {
            "statement": piece.statement, "rule": piece.rule, "verdict": piece.verdict,
            "mark": _MARKS[piece.verdict], "label": piece.label, "numbers": numbers,
        }  # fmt: skip
    assert isinstance(piece, Note)
    return made | {"text": piece.text, "warning": piece.kind == "warning"}


def _table(table: Table, item: Item | None = None) -> dict[str, Any]:
    """Cells as text, with a letter size at which the columns fit the page."""
    rows = [
        [column.text(cell) for column, cell in zip(table.columns, row, strict=True)]
        for row in table.rows[:ROWS_OF_A_TABLE]
    ]
    heads = [column.heading for column in table.columns]
    wide = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    needed = sum(min(w, 40) + 2 for w in wide)
    notes = list(table.notes)
    if len(table.rows) > len(rows):
        where = f"; all are in tables/{item.stem}.csv" if item else ""
        notes.insert(0, f"The first {len(rows):,} of {len(table.rows):,} rows{where}.")
    tiers = {"look-alike": "look-alike data", "mixed": "real and look-alike data"}
    return {
        "title": table.title,
        "label": table.label,
        "tier": tiers.get(table.tier or "", ""),
        "notes": notes,
        "heads": [
            {
                "name": c.name,
                "unit": c.unit,
                "label": c.label if c.label and c.label != table.label else "",
            }
            for c in table.columns
        ],
        "rows": rows,
        "right": table.numeric,
        # 0 is as wide as the text; long text shares what is left.
        "widths": [0 if w <= 40 else w for w in (min(w, 80) for w in wide)],
        "size": max(5.5, min(9.0, 9.0 * _LINE_CHARS / max(1, needed))),
    }


def _words(value: Any, key: str = "") -> Any:
    """`value` with printable characters only, and places to break in words that fill a line."""
    if isinstance(value, dict):
        return {k: _words(v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_words(v) for v in value]
    if not isinstance(value, str) or key == "svg":
        return value
    text = printable(value)
    # A command is to be copied, so nothing is put into it.
    if key == "command" or _LONG.search(text) is None:
        return text
    # A zero-width space: first where a reader would break the word, then anywhere.
    text = re.sub(r"(?<=[/_.,=:-])(?=\w)", _BREAK, text)
    return re.sub(r"[^\s\u200b]{24}(?=[^\s\u200b]{8})", lambda found: found[0] + _BREAK, text)


_BREAK = "\u200b"
_LONG = re.compile(r"\S{25}")
