"""The PDF opens and holds the same words as the page."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest

from epochlab.report import pdf, write_report
from epochlab.report.content import Report
from epochlab.report.pictures import drawn
from epochlab.table import Table

pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF back")


def words(path: Path) -> str:
    reader = pypdf.PdfReader(BytesIO(path.read_bytes()))
    text = " ".join(page.extract_text() for page in reader.pages)
    # Breaks that the layout puts into words are none of the text.
    return re.sub(r"\s+", " ", text.replace("\u200b", "").replace("\u00ad", ""))


@pytest.fixture(scope="module")
def path(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pdf.write(report, tmp_path_factory.mktemp("pdf"), drawn(report))


def test_holds_every_part(path: Path, report: Report) -> None:
    found = words(path)
    for text in (
        "Which of five optimizers", "What came out", "Figure 1", "Figure 4", "Table 2", "Claim 3",
        "Adam falls fastest", "not supported", "272,474", "0.01942 to 0.1939", "look-alike data",
        "What was left out", "no such device", "HW3A-P1.4", "Kingma", "torch 2.13.0",
        "epochlab study run adaptive-optimizers", "none declared", "1 of ",
        "2 of 15 runs were made by an older source", "AdaDelta diverged with one",
    ):  # fmt: skip
        assert text in found, text


def test_draws_figures_as_vectors_with_alternative_text(path: Path) -> None:
    reader = pypdf.PdfReader(path)
    pixels = [image for page in reader.pages for image in page.images]
    # Only the mosaic of the four before and four after consists of pixels.
    assert len(pixels) <= 8
    assert reader.metadata is not None
    assert "five optimizers" in str(reader.metadata.title)


def test_equal_content_gives_equal_bytes(report: Report, path: Path, tmp_path: Path) -> None:
    assert pdf.write(report, tmp_path, drawn(report)).read_bytes() == path.read_bytes()


def test_long_tables_break_over_pages_and_wide_ones_fit(tmp_path: Path) -> None:
    long = Table.of("Long", [{"row": i, "text": f"value {i}"} for i in range(400)])
    wide = Table.of("Wide", [{f"column {i}": f"cell number {i}" for i in range(16)}])
    report = Report(title="T", study="s", evidence=(long, wide))
    write_report(report, tmp_path)
    found = words(tmp_path / "report.pdf")
    assert len(pypdf.PdfReader(tmp_path / "report.pdf").pages) >= 3
    assert "value 149" in found and "value 150" not in found
    assert "The first 150 of 400 rows; all are in tables/long.csv." in found
    assert "cell number 15" in found
