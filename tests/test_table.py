"""One table, any format: every writer keeps every cell and survives any text."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.table import FORMATS, Column, Table, is_picture, plain_cell

SAMPLE = Table(
    title="Accuracy",
    columns=(Column(name="arm"), Column(name="test accuracy", unit="%", format=".2f"),
             Column(name="step time", unit="s", label="predicted"), Column(name="done")),
    rows=(("plain", 91.234, 0.1, True), ("cutout, 2 & 3", None, 0.25, False)),
    notes=("Mean over 3 seeds.",),
)  # fmt: skip

cells = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=20)
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        Table,
        title=st.text(max_size=20),
        columns=st.tuples(*(st.builds(Column, name=st.text(max_size=9), unit=st.text(max_size=5))
                            for _ in range(width))),
        rows=st.lists(st.tuples(*[cells] * width), max_size=5).map(tuple),
        notes=st.tuples(st.text(max_size=20)),
    )
)  # fmt: skip


def one_break(text: str) -> str:
    """Every line break written in the same way."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Cells(HTMLParser):
    """Texts of the cells of a table, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def test_text_aligns_numbers_right_and_names_the_label() -> None:
    assert SAMPLE.text().splitlines() == [
        "Accuracy [measured]",
        "arm            test accuracy [%]  step time [s]  done",
        "-------------  -----------------  -------------  ----",
        "plain                      91.23            0.1  yes",
        "cutout, 2 & 3                  -           0.25  no",
        "Mean over 3 seeds.",
    ]


def test_markdown() -> None:
    assert SAMPLE.markdown().splitlines() == [
        "**Accuracy** [measured]",
        "",
        "| arm | test accuracy [%] | step time [s] | done |",
        "|---|---:|---:|---|",
        "| plain | 91.23 | 0.1 | yes |",
        "| cutout, 2 & 3 | - | 0.25 | no |",
        "",
        "Mean over 3 seeds.",
    ]


def test_csv_keeps_every_digit() -> None:
    assert SAMPLE.csv().splitlines() == [
        "arm,test accuracy [%],step time [s],done",
        "plain,91.234,0.1,True",
        '"cutout, 2 & 3",,0.25,False',
    ]


def test_latex_escapes_and_keeps_title_and_notes_as_comments() -> None:
    assert SAMPLE.latex().splitlines() == [
        "% Accuracy [measured]",
        "% Mean over 3 seeds.",
        r"\begin{tabular}{lrrl}",
        r"\hline",
        r"arm & test accuracy [\%] & step time [s] & done \\",
        r"\hline",
        r"plain & 91.23 & 0.1 & yes \\",
        r"cutout, 2 \& 3 & - & 0.25 & no \\",
        r"\hline",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    ("text", "latex"),
    [("a_b {c} #1", r"a\_b \{c\} \#1"), ("\\", r"\textbackslash{}"), ("[a]", "{[}a]"),
     ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
     ("two\nlines", "two lines")],
)  # fmt: skip
def test_latex_of_special_signs(text: str, latex: str) -> None:
    table = Table.of("", [{"t": text}])
    assert table.latex().splitlines()[-3] == latex + r" \\"


def test_html_has_badges_where_numbers_are_of_another_kind() -> None:
    html = SAMPLE.html()
    assert '<small class="badge measured">measured</small>' in html
    assert html.count('<small class="badge predicted">predicted</small>') == 1
    assert "look-alike" not in html
    tier = Table.of("T", [{"a": 1}], tier="look-alike").html()
    assert '<small class="badge tier">look-alike data</small>' in tier
    assert SAMPLE._repr_html_() == html


def test_html_of_the_first_rows_says_so() -> None:
    table = Table.of("T", [{"a": i} for i in range(1200)])
    assert len(Cells(table.html(limit=10)).rows) == 11
    assert "The first 10 of 1,200 rows." in table.html(limit=10)
    assert "The first" not in table.html(limit=1200)


def test_html_marks_words_that_have_to_be_broken() -> None:
    html = Table.of("T", [{"a": "x" * 31, "b": "y" * 30}]).html()
    assert 'class="txt wrap">x' in html
    assert 'class="txt">y' in html


def test_pictures_are_shown_in_html_and_named_elsewhere() -> None:
    cell = "data:image/png;base64,iVBORw0KGgo="
    table = Table.of("T", [{"p": cell}])
    assert f'<img src="{cell}" alt="picture">' in table.html()
    assert table.text().splitlines()[-1] == "(picture)"
    assert table.csv() == f'p\n"{cell}"'
    assert not is_picture('data:image/png;base64,"><script>')


@given(tables)
def test_html_shows_every_cell_and_nothing_else(table: Table) -> None:
    found = Cells(table.html())
    assert found.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "small",
                          "span"}  # fmt: skip
    shown = [[c.text(v) for c, v in zip(table.columns, row, strict=True)] for row in table.rows]
    assert [[one_break(t) for t in row] for row in found.rows[1:]] == [
        [one_break(t) for t in row] for row in shown
    ]


@given(tables)
def test_csv_reads_back(table: Table) -> None:
    rows = list(csv.reader(io.StringIO(table.csv() + "\n", newline="")))
    expected = [["" if v is None else one_break(str(v)) for v in row] for row in table.rows]
    # A line of one empty cell is an empty line in CSV, which readers skip or show as no cell.
    assert [row or [""] for row in rows[1:]] == expected


@given(tables)
def test_json_is_strict_and_keeps_what_is_no_number(table: Table) -> None:
    def refuse(word: str) -> float:
        raise AssertionError(word)

    content = json.loads(table.json(), parse_constant=refuse)
    records = [{k: plain_cell(v) for k, v in record.items()} for record in table.records()]
    assert content["rows"] == records


@given(tables, st.sampled_from(FORMATS))
def test_every_format_writes_every_table(table: Table, form: str) -> None:
    assert isinstance(table.written(form), str)


@given(tables)
def test_markdown_has_a_line_per_row_and_a_pipe_per_cell(table: Table) -> None:
    lines = [line for line in table.markdown().split("\n") if line.startswith("|")]
    assert len(lines) >= len(table.rows) + 2
    bare = re.sub(r"\\\|", "", lines[1])
    assert bare.count("|") == len(table.columns) + 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (1.5, 1.5), ("a", "a"),
     (None, None), (True, True)],
)  # fmt: skip
def test_plain_cells(value: Any, text: Any) -> None:
    assert plain_cell(value) == text
    if isinstance(value, float) and isinstance(text, str):
        assert repr(float(text)) == repr(value)


def test_rows_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells, not 2"):
        Table(title="T", columns=(Column(name="a"), Column(name="b")), rows=((1,),))
