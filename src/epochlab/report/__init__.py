"""Reports: a study's evidence as one offline page, a PDF, and every figure's picture and data."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from epochlab.errors import MissingExtra
from epochlab.report.content import Report, digest

__all__ = ["Report", "write_report"]

STAMP = "report.json"
"names what a report folder was made from, and its files; written last"


def write_report(report: Report, folder: Path) -> Path:
    """Write page, PDF, figures, tables and data into `folder`; returns the page's path.

    Nothing is drawn again while the content is the same and every file is still there. Files that
    an earlier report left in the folder and this one lacks are removed. Raises MissingExtra.
    """
    stamp, page = folder / STAMP, folder / "index.html"
    content = digest(report)
    before = _stamped(stamp)
    whole = all((folder / name).is_file() for name in before.files)
    if before.digest == content and whole and page.is_file():
        return page
    for package in ("altair", "vl_convert", "jinja2", "typst"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise MissingExtra(package, "report", "Writing a report") from error
    from epochlab.report import files, pdf
    from epochlab.report import page as page_file
    from epochlab.report.pictures import drawn

    folder.mkdir(parents=True, exist_ok=True)
    # Without its stamp a half-written folder counts as no report.
    stamp.unlink(missing_ok=True)
    pictures = drawn(report)
    written = files.write(report, folder, pictures)
    written.append(pdf.write(report, folder, pictures))
    written.append(page_file.write(report, folder, pictures))
    names = sorted(path.relative_to(folder).as_posix() for path in written)
    for name in set(before.files) - set(names):
        if re.fullmatch(r"(figures|tables)/[a-z0-9-]+\.(svg|csv)", name):
            (folder / name).unlink(missing_ok=True)
    stamp.write_text(json.dumps({"digest": content, "files": names}, indent=1) + "\n", "utf-8")
    return page


class _Stamp(NamedTuple):
    digest: str = ""
    files: tuple[str, ...] = ()


def _stamped(stamp: Path) -> _Stamp:
    """What the folder holds; nothing when there is no stamp or it cannot be read."""
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
        return _Stamp(str(found["digest"]), tuple(str(name) for name in found["files"]))
    except (OSError, ValueError, TypeError, KeyError):
        return _Stamp()
