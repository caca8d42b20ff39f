"""Figures of a command as files: a page with its tables, or a picture."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from epochlab.errors import BadOption, MissingExtra

if TYPE_CHECKING:
    from epochlab.evidence import Evidence, Figure

FIGURE_ENDINGS = (".html", ".svg", ".png", ".pdf")


def check_figure(file: str | None) -> Path | None:
    """The path of `--figure`. Raises BadOption for an ending that is no format of a picture."""
    if file is None:
        return None
    path = Path(file)
    if path.suffix.lower() not in FIGURE_ENDINGS:
        raise BadOption(f"--figure is '{file}'; it must end in one of {', '.join(FIGURE_ENDINGS)}.")
    for package in ("altair", "vl_convert", "jinja2"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise MissingExtra(package, "report", "Drawing a figure") from error
    return path


def save_figure(path: Path, figure: Figure, tables: Sequence[Evidence], command: str) -> None:
    """Write a picture, or a page with the figure and the tables. Raises BadOption if it cannot."""
    import vl_convert

    from epochlab.report import Report, files, page
    from epochlab.report.pictures import drawn

    report = Report(
        title=figure.title, study=command.partition(" --")[0], command=command,
        evidence=(figure, *tables), generated_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip
    pictures = drawn(report)
    svg = files.titled_svg(next(iter(pictures.values())), figure.title)
    makers = {
        ".svg": lambda: svg.encode(),
        ".png": lambda: bytes(vl_convert.svg_to_png(svg, scale=2)),
        ".pdf": lambda: bytes(vl_convert.svg_to_pdf(svg)),
    }
    ending = path.suffix.lower()
    try:
        if ending in makers:
            path.write_bytes(makers[ending]())
            return
        with tempfile.TemporaryDirectory() as folder:
            made = page.write(report, Path(folder), pictures)
            path.write_bytes(made.read_bytes())
    except OSError as error:
        raise BadOption(f"--figure cannot be written to {path}: {error.strerror}.") from error
