"""Whatever the words are, page, PDF and pictures are well formed and say them."""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ElementTree
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from epochlab.evidence import Claim, Figure, Note
from epochlab.figures.bars import Bars
from epochlab.report import write_report
from epochlab.report.content import Report, printable
from epochlab.table import Column, Table
from tests.report.reading import Page

pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF back")

NASTY = (
    "<script>alert(1)</script>", "</script><b>", "$x$ #let a = 1 #panic() *b* _c_ `d` @ref // e",
    "\\ \\u{41} \"quoted\" 'single' &amp; {{ jinja }} {% raw %} ${js}", "x" * 400,
    "a/very/long/path/" * 20, "Übergröße Ω ≤ 漢字 \U0001f600", "ends in \\", "-- <!-- --> ]]>",
    "tab\tnew\nline\r\nbell\x07 null\x00 \ud800 \ufffe", "=1+1", "var(--c1) #0072b2", "", "if",
)  # fmt: skip
# Signs that turn the direction of writing around would reorder the letters read back.
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=("Cs", "Cf")), max_size=40),
)


def report_of(text: str, other: str) -> Report:
    columns = (Column(name=f"n{text}", unit=other), Column(name="value", unit=text))
    table = Table(title=text, columns=columns, rows=((other, 1.5), (text, 2.5)), notes=(other,))
    figure = Figure(table=table, drawing=Bars(x=f"n{text}", y="value", limits=((2.0, text),)),
                    caption=other)  # fmt: skip
    claim = Claim(statement=text, rule=other, verdict="indicated", numbers={text: 1.0},
                  interval=(0.0, 1.0))  # fmt: skip
    return Report(
        title=text, study=other, question=other, preset=text, command=text, settings=table,
        evidence=(Note(text=text), figure, table, claim, Note(text=other, kind="skipped")),
        expectation=text, covers=(text,), references=(other,), machine=table, flags=(text,),
        versions=((text, other),), collaboration=other, generated_at=text,
    )  # fmt: skip


def bare(text: str) -> str:
    """Letters and digits alone: layout may break lines and words anywhere."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


@given(text=texts, other=texts)
@example(NASTY[0], NASTY[2])
@example(NASTY[3], NASTY[1])
@example(NASTY[4], NASTY[6])
@example(NASTY[8], NASTY[5])
@settings(max_examples=8, deadline=None)
def test_any_text_makes_a_well_formed_report(text: str, other: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_report(report_of(text, other), folder)
        html = (folder / "index.html").read_text(encoding="utf-8")
        page = Page(html)
        assert page.broken == []
        assert page.loads() == []
        # Two of our own scripts, and a chart.
        assert len(page.all("script")) == 3
        words = " ".join(page.words().split())
        assert " ".join(printable(text).replace("\r", "\n").split()) in words
        for picture in folder.rglob("*.svg"):
            ElementTree.fromstring(picture.read_text(encoding="utf-8"))
        document = pypdf.PdfReader(BytesIO((folder / "report.pdf").read_bytes()))
        found = bare("".join(sheet.extract_text() for sheet in document.pages))
        assert bare(text) in found
        assert bare(other) in found
