"""One offline HTML page: interactive figures, sortable tables, verdicts, light and dark."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epochlab.evidence import Claim, Figure
from epochlab.figures._theme import COLOURS
from epochlab.report.content import Item, Report, number_text, printable
from epochlab.report.pictures import Picture, vega_lite_version
from epochlab.table import Table
from epochlab.units import seconds_text

MOST_BYTES = 3_000_000
"of the page; what does not fit is left to the files beside it"
ROWS_OF_TABLES = ((400, 100), (60, 20), (10, 3))
"shown of a table and of a figure's data, and fewer where the page grows too long"

HINTS = {
    "pick": "click a name in the legend to single it out",
    "zoom": "drag to move · Ctrl + wheel or pinch to zoom · double click to go back",
}

Parts = frozenset[tuple[str, str]]
"(anchor, 'svg' or 'spec' or 'csv'): what is put into the page"


def write(report: Report, folder: Path, pictures: Mapping[str, Picture]) -> Path:
    """Write index.html; returns its path."""
    import jinja2

    here = Path(__file__).parent
    bundle = _bundle() if pictures else ""
    script = (here / "page.js").read_text(encoding="utf-8")
    style = (here / "page.css").read_text(encoding="utf-8")
    loader = jinja2.FileSystemLoader(here)
    template = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("page.html.j2")  # fmt: skip

    def rendered(blocks: list[Block]) -> str:
        return printable(template.render(
            report=report, blocks=blocks, colours=COLOURS, bundle=bundle, script=script,
            style=style, number_text=number_text,
            runtime=seconds_text(report.seconds) if report.seconds else "",
            settings=_table_html(report.settings), machine=_table_html(report.machine),
        ))  # fmt: skip

    text, room_bytes = "", 0
    for rows in ROWS_OF_TABLES:
        text = rendered([_block(item, pictures, rows, frozenset()) for item in report.items])
        room_bytes = MOST_BYTES - len(text.encode()) - len(bundle.encode())
        if room_bytes > MOST_BYTES // 4:
            break
    parts = _fitting(report.items, pictures, room_bytes)
    text = rendered([_block(item, pictures, rows, parts) for item in report.items])
    path = folder / "index.html"
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, which sets `vegaEmbed` for the whole page."""
    import vl_convert

    build: Any = vl_convert.javascript_bundle  # its type stub asks for an argument it can omit
    return str(build(vl_version=vega_lite_version()))


@dataclass(frozen=True)
class Block:
    """One piece of evidence, ready for the template."""

    item: Item
    table: str = ""
    "HTML"
    svg: str = ""
    spec: str = ""
    alt: str = ""
    hint: str = ""
    "what can be done with the chart"
    csv: str = ""
    "address of the data: in the page itself, or of the file beside it"
    csv_inside: bool = False
    interval: str = ""
    size: tuple[int, int] = (0, 0)


def _block(
    item: Item, pictures: Mapping[str, Picture], rows: tuple[int, int], parts: Parts
) -> Block:
    piece = item.evidence
    if isinstance(piece, Claim):
        band = [number_text(end) for end in piece.interval or ()]
        return Block(item, interval=" to ".join(band))
    if not isinstance(piece, (Figure, Table)):
        return Block(item)
    inside = (item.anchor, "csv") in parts
    folder = "figures" if isinstance(piece, Figure) else "tables"
    csv = _csv_address(piece) if inside else f"{folder}/{item.stem}.csv"
    if isinstance(piece, Table):
        return Block(item, table=_table_html(piece, rows[0], item), csv=csv,
                     csv_inside=inside)  # fmt: skip
    picture = pictures[item.anchor]
    return Block(
        item,
        table=_table_html(piece.table, rows[1]),
        svg=picture.themed_svg(item.anchor) if (item.anchor, "svg") in parts else "",
        spec=picture.themed_spec if (item.anchor, "spec") in parts else "",
        alt=f"{piece.title}. {piece.caption}",
        hint=" · ".join(
            HINTS[p["name"]] for p in picture.spec.get("params", ()) if p["name"] in HINTS
        )
        if (item.anchor, "spec") in parts
        else "",
        csv=csv,
        csv_inside=inside,
        size=(round(picture.width_px), round(picture.height_px)),
    )


def _fitting(items: Iterable[Item], pictures: Mapping[str, Picture], room_bytes: int) -> Parts:
    """Which parts fit into the page: pictures first, then charts, then data, small ones first."""
    sized: list[tuple[int, int, str, str]] = []
    for item in items:
        piece = item.evidence
        if isinstance(piece, Figure):
            picture = pictures[item.anchor]
            svg, spec = picture.themed_svg(item.anchor), picture.themed_spec
            sized.append((0, len(svg.encode()), item.anchor, "svg"))
            sized.append((1, len(spec.encode()), item.anchor, "spec"))
        if isinstance(piece, (Figure, Table)):
            sized.append((2, len(_csv_address(piece)), item.anchor, "csv"))
    fitting: set[tuple[str, str]] = set()
    for _, size_bytes, anchor, part in sorted(sized):
        if size_bytes <= room_bytes:
            room_bytes -= size_bytes
            fitting.add((anchor, part))
    return frozenset(fitting)


def _csv_address(piece: Figure | Table) -> str:
    text = (piece.table if isinstance(piece, Figure) else piece).csv() + "\n"
    return "data:text/csv;base64," + base64.b64encode(text.encode("utf-8", "replace")).decode()


def _table_html(table: Table | None, limit: int | None = None, item: Item | None = None) -> Any:
    import markupsafe

    if table is None:
        return ""
    made = table.html(limit)
    if item is not None:
        number = f'<a class="number" href="#{item.anchor}">{html.escape(item.heading)}</a> '
        made = made.replace("<caption>", f"<caption>{number}", 1)
    return markupsafe.Markup(made)
