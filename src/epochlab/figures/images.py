"""Pictures side by side with captions: samples, augmented samples, mistakes, filters."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from epochlab.errors import BadShape
from epochlab.figures import _axes, _points, _theme
from epochlab.figures._points import Point
from epochlab.table import Table

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True, kw_only=True)
class Images:
    """The pictures in column `image` (made by `picture`), in rows from left to right.

    >>> import numpy as np
    >>> from epochlab.table import Table
    >>> rows = [{"image": picture(np.zeros((4, 4), np.uint8)), "class": "none"}]
    >>> chart = Images(image="image", caption="class").draw(Table.of("Samples", rows))
    >>> chart.to_dict()["datasets"]["points"][0]["t"]
    'none'
    """

    image: str
    "column of pictures, each a cell made by `picture`"
    caption: str | None = None
    "column of words below each picture"
    row: str | None = None
    "column whose values get a row of pictures each, with the value before it"
    per_row: int = 8
    "pictures in a row where `row` is not given"
    size_px: int = 84
    "width and height in the report; small pictures are enlarged without smoothing"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        shown = tuple(n for n in (self.image, self.caption, self.row) if n)
        for name in shown:
            _points.column_of(table, name)
        return _theme.finished(_chart(self, _placed(self, table)), table, (self.image,))


def picture(pixels: NDArray[np.uint8]) -> str:
    """A table cell that holds a picture: a PNG file, written as a data address.

    `pixels` is uint8 [height, width] or [channels, height, width] with 1 (grey) or 3 (red, green,
    blue) channels. The same pixels always give the same text. Raises BadShape.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.dtype != np.uint8:
        raise BadShape(
            f"A picture of shape {list(pixels.shape)} and type {pixels.dtype} cannot be shown; it "
            "must be uint8 [height, width], [1, height, width] or [3, height, width]."
        )
    channels, height, width = pixels.shape
    # Every line of a PNG file begins with the number of its filter; 0 is none.
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = pixels.transpose(1, 2, 0).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
        )
    )  # fmt: skip
    return "data:image/png;base64," + base64.b64encode(file).decode()


def _placed(drawing: Images, table: Table) -> list[Point]:
    """Pictures with the column i and the row j in which they stand."""
    caption = _points.column_of(table, drawing.caption) if drawing.caption else None
    row = _points.column_of(table, drawing.row) if drawing.row else None
    rows: dict[str, int] = {}
    points: list[Point] = []
    for number, record in enumerate(table.records()):
        if row:
            name = row.text(record[row.name])
            i = rows[name] = rows.get(name, -1) + 1
            place = {"i": i, "j": list(rows).index(name), "r": name}
        else:
            place = {"i": number % drawing.per_row, "j": number // drawing.per_row}
        text = caption.text(record[caption.name]) if caption else ""
        points.append({"u": record[drawing.image], "t": text, **place})
    return points


def _chart(drawing: Images, points: list[Point]) -> Any:
    import altair as alt

    columns = 1 + max((p["i"] for p in points), default=0)
    rows = 1 + max((p["j"] for p in points), default=0)
    heads = max((len(p.get("r", "")) for p in points), default=0)
    left_px = 7 * heads + 10 if drawing.row else 0
    gap_px = 10
    size_px = min(drawing.size_px, (_theme.WIDTH_PX - 20 - left_px) / columns - gap_px)
    line_px = size_px + gap_px + (16 if drawing.caption else 0)
    base = alt.Chart(alt.NamedData(name="points")).transform_calculate(
        x=f"{left_px} + datum.i * {size_px + gap_px}", y=f"datum.j * {line_px}"
    )
    # Positions are pixels: both scales are the identity.
    plain = [alt.Scale(domain=[0, end], range=[0, end], zero=False, nice=False)
             for end in (left_px + columns * (size_px + gap_px), rows * line_px)]  # fmt: skip
    x = alt.X("x:Q", scale=plain[0], axis=None)
    y = alt.Y("y:Q", scale=plain[1], axis=None)
    tips = [_axes.tip("t:N", drawing.caption)] if drawing.caption else []
    layers = [
        base.mark_image(
            width=size_px, height=size_px, align="left", baseline="top", smooth=False
        ).encode(x=x, y=y, url="u:N", tooltip=tips)
    ]
    if drawing.caption:
        words = base.mark_text(
            style="name", dx=size_px / 2, dy=size_px + 4, baseline="top", limit=size_px + gap_px
        )
        layers.append(words.encode(x=x, y=y, text="t:N"))
    if drawing.row:
        heads_of_rows = base.transform_filter("datum.i == 0").mark_text(
            style="name", align="left", dy=size_px / 2
        )
        layers.append(heads_of_rows.encode(x=alt.value(0), y=y, text="r:N"))
    chart: Any = alt.layer(*layers).properties(
        width=round(left_px + columns * (size_px + gap_px)), height=round(rows * line_px)
    )
    chart.datasets = {"points": points}
    return chart
