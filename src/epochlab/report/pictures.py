"""Draw a report's figures: a chart for the page and an SVG picture of it, one per figure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from epochlab.evidence import Figure
from epochlab.figures._theme import with_variables
from epochlab.report.content import Item, Report, printable


@dataclass(frozen=True)
class Picture:
    """A drawn figure: the Vega-Lite specification and what it looks like."""

    spec: dict[str, Any]
    svg: str
    width_px: float
    height_px: float

    def themed_svg(self, prefix: str) -> str:
        """For a page: colours are CSS variables, ids begin with `prefix`, the size can shrink."""
        svg = with_variables(self.svg)
        svg = re.sub(r'(?<=id=")[^"]+(?=")', lambda m: f"{prefix}-{m[0]}", svg)
        svg = re.sub(r"(?<=url\(#)[^)]+(?=\))", lambda m: f"{prefix}-{m[0]}", svg)
        return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)

    @cached_property
    def themed_spec(self) -> str:
        """For a page's script element: JSON in which no '<' can end the element."""
        text = json.dumps(self.spec, separators=(",", ":"), allow_nan=False)
        return with_variables(text).replace("<", "\\u003c")


def drawn(report: Report) -> dict[str, Picture]:
    """Picture of each figure, by its anchor."""
    return {item.anchor: _picture(item) for item in report.items if item.kind == "figure"}


def _picture(item: Item) -> Picture:
    import altair

    assert isinstance(item.evidence, Figure)
    figure = item.evidence
    chart: Any = figure.drawing.draw(figure.table)
    # altair walks through every number of a data set; ours are plain already.
    points = getattr(chart, "datasets", altair.Undefined)
    if points is not altair.Undefined:
        chart.datasets = altair.Undefined
    spec: dict[str, Any] = chart.to_dict(validate=False)
    if points is not altair.Undefined:
        spec["datasets"] = spec.get("datasets", {}) | points
    spec.pop("$schema", None)
    spec["description"] = f"{figure.title}. {figure.caption}".strip()
    spec = _drawable(spec)
    svg = _svg(_still(spec))
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert size is not None
    return Picture(spec, svg, float(size[1]), float(size[2]))


def svg_of(spec: dict[str, Any]) -> str:
    """The SVG picture of a Vega-Lite chart; equal charts give equal pictures."""
    return _svg(_drawable(spec))


def _svg(spec: dict[str, Any]) -> str:
    import vl_convert

    svg = str(vl_convert.vegalite_to_svg(spec, vl_version=vega_lite_version()))
    # Vega numbers its ids on through all pictures of a process.
    ids = {old: f"i{new}" for new, old in enumerate(re.findall(r'(?<= id=")[^"]+', svg))}
    svg = re.sub(r'(?<= id=")[^"]+', lambda found: ids[found[0]], svg)
    return re.sub(r"(?<=url\(#)[^)]+", lambda found: ids.get(found[0], found[0]), svg)


def _drawable(value: Any) -> Any:
    """A chart whose words Vega can draw: printable, and none taken for the function 'if'.

    A control character in a word would end the process, not only the picture.
    """
    if isinstance(value, dict):
        return {key: _drawable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_drawable(item) for item in value]
    if value == "if":
        return "if "
    return printable(value) if isinstance(value, str) else value


def vega_lite_version() -> str:
    """The Vega-Lite version that altair writes, as vl-convert names it: '6.4'."""
    import altair

    return ".".join(str(altair.SCHEMA_VERSION).lstrip("v").split(".")[:2])


def _still(spec: dict[str, Any]) -> dict[str, Any]:
    """The chart without the marks that only follow the pointer."""
    still = dict(spec)
    if "spec" in still:
        still["spec"] = _still(still["spec"])
    if "layer" in still:
        still["layer"] = [layer for layer in still["layer"] if layer.get("name") != "hover"]
    if "params" in still:
        still["params"] = [p for p in still["params"] if p.get("name") != "hover"]
    return still
