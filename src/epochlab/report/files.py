"""Every figure as SVG and CSV, every table as CSV, and all the evidence as one JSON file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from epochlab.evidence import Figure
from epochlab.figures._theme import FONT, colour
from epochlab.report.content import Report, plain, printable
from epochlab.report.pictures import Picture
from epochlab.table import Table


def write(report: Report, folder: Path, pictures: Mapping[str, Picture]) -> list[Path]:
    """Write figures/, tables/ and evidence.json; returns the paths."""
    written: list[Path] = []

    def save(name: str, text: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        written.append(path)

    for item in report.items:
        piece = item.evidence
        if isinstance(piece, Figure):
            save(f"figures/{item.stem}.svg", titled_svg(pictures[item.anchor], piece.title))
            save(f"figures/{item.stem}.csv", piece.table.csv() + "\n")
        elif isinstance(piece, Table):
            save(f"tables/{item.stem}.csv", piece.csv() + "\n")
    save("evidence.json", _lines(plain(report)))
    return written


def _lines(content: dict[str, Any]) -> str:
    """JSON with a line per entry and per piece of evidence; ASCII, so any character survives."""

    def line(value: Any) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n  " + ",\n  ".join(map(line, value)) + "\n ]"
        return json.dumps(value, allow_nan=False)

    entries = (f"{json.dumps(key)}: {line(value)}" for key, value in content.items())
    return "{\n " + ",\n ".join(entries) + "\n}\n"


def titled_svg(picture: Picture, title: str) -> str:
    """The picture with its title above, to stand alone on a slide or in a paper."""
    lines = textwrap.wrap(" ".join(printable(title).split()), 78)
    top_px = 22 * len(lines) + 10 if lines else 0
    width, height = picture.width_px, picture.height_px
    text = "".join(
        f'<text x="14" y="{22 * (i + 1)}">{escape(line)}</text>' for i, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width:g}" height="{height + top_px:g}" '
        f'viewBox="0 0 {width:g} {height + top_px:g}">'
        f'<rect width="100%" height="100%" fill="{colour("paper")}"/>'
        f'<g font-family="{escape(FONT)}" font-size="16" font-weight="bold" '
        f'fill="{colour("ink")}">{text}</g>'
        + picture.svg.replace("<svg ", f'<svg y="{top_px}" ', 1)
        + "</svg>\n"
    )
