"""One table, any format: text, Markdown, CSV, JSON, LaTeX, HTML, and a notebook's display."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from epochlab.units import rounded_text

Label = Literal["measured", "emulated", "simulated", "predicted", "quoted", "exact"]
LABELS: tuple[str, ...] = get_args(Label)
Tier = Literal["real", "look-alike", "mixed"]
FORMATS = ("text", "markdown", "csv", "json", "latex", "html")


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one column is named and written."""

    name: str
    unit: str = ""
    format: str = ""
    "a format specification such as '.4f' or ','; 'rounded' writes 3211264 as 3.2M; numbers only"
    label: Label | None = None
    "where the numbers come from, if not from where the table's do"

    @property
    def heading(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def text(self, value: Any) -> str:
        if value is None:
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, (int, float)):
            if self.format == "rounded":
                return rounded_text(value)
            return format(value, self.format or ("" if isinstance(value, int) else ".4g"))
        return "(picture)" if is_picture(value) else str(value)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under named columns; a cell is text, a number, true/false, or None for 'not known'."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    label: Label = "measured"
    "honesty label of every number in the table"
    notes: tuple[str, ...] = ()
    name: str = ""
    "file name stem under which a report saves it; made from the title when empty"
    tier: Tier | None = None
    "kind of data set behind the numbers, where there is one"

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table '{self.title}': a row has {len(row)} cells, not {len(self.columns)}"
                )

    @classmethod
    def of(
        cls,
        title: str,
        records: Iterable[Mapping[str, Any]],
        *,
        columns: Sequence[Column | str] = (),
        **rest: Any,
    ) -> Table:
        """A table from dictionaries; columns default to the keys of the first record."""
        records = list(records)
        chosen = columns or tuple(records[0]) if records else columns
        made = tuple(c if isinstance(c, Column) else Column(name=c) for c in chosen)
        rows = tuple(tuple(record.get(c.name) for c in made) for record in records)
        return cls(title=title, columns=made, rows=rows, **rest)

    def records(self) -> list[dict[str, Any]]:
        """Rows as dictionaries under the plain column names."""
        return [dict(zip((c.name for c in self.columns), row, strict=True)) for row in self.rows]

    def column(self, name: str) -> list[Any]:
        """All values of one column."""
        position = [c.name for c in self.columns].index(name)
        return [row[position] for row in self.rows]

    def written(self, form: str) -> str:
        """The table in one of FORMATS."""
        writers: dict[str, Callable[[], str]] = {
            "text": self.text, "markdown": self.markdown, "csv": self.csv,
            "json": self.json, "latex": self.latex, "html": self.html,
        }  # fmt: skip
        return writers[form]()

    def _cells(self) -> list[list[str]]:
        return [[c.text(v) for c, v in zip(self.columns, row, strict=True)] for row in self.rows]

    @property
    def numeric(self) -> list[bool]:
        """Which columns are right-aligned."""
        return [
            bool(self.rows)
            and all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool))
                    for v in (row[i] for row in self.rows))
            for i in range(len(self.columns))
        ]  # fmt: skip

    def text(self) -> str:
        heads, cells, right = [c.heading for c in self.columns], self._cells(), self.numeric
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]

        def line(row: Sequence[str]) -> str:
            padded = [t.rjust(w) if r else t.ljust(w)
                      for t, w, r in zip(row, widths, right, strict=True)]  # fmt: skip
            return "  ".join(padded).rstrip()

        rule = "  ".join("-" * w for w in widths)
        top = [f"{self.title} [{self.label}]"] if self.title else []
        return "\n".join([*top, line(heads), rule, *map(line, cells), *self.notes])

    def markdown(self) -> str:
        def line(row: Sequence[str]) -> str:
            return "| " + " | ".join(_markdown_text(t) for t in row) + " |"

        rule = "|" + "|".join("---:" if r else "---" for r in self.numeric) + "|"
        lines = [line([c.heading for c in self.columns]), rule, *map(line, self._cells())]
        return "\n".join([*([f"**{self.title}** [{self.label}]", ""] if self.title else []), *lines,
                          *(["", *self.notes] if self.notes else [])])  # fmt: skip

    def csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([_csv_cell(c.heading) for c in self.columns])
        writer.writerows([_csv_cell(v) for v in row] for row in self.rows)
        return out.getvalue().rstrip("\n")

    def json(self) -> str:
        """Not-a-number and infinities, which JSON lacks, become 'NaN', 'Infinity', '-Infinity'."""
        rows = [{k: plain_cell(v) for k, v in record.items()} for record in self.records()]
        return json.dumps(
            {"title": self.title, "label": self.label, "notes": list(self.notes),
             "units": {c.name: c.unit for c in self.columns if c.unit}, "rows": rows},
            indent=1, allow_nan=False,
        )  # fmt: skip

    def latex(self) -> str:
        """A `tabular` between plain rules, for `\\input` into a paper; needs no LaTeX package."""

        def line(row: Sequence[str]) -> str:
            return " & ".join(_latex_text(t) for t in row) + r" \\"

        spec = "".join("r" if r else "l" for r in self.numeric)
        said = (f"{self.title} [{self.label}]", *self.notes)
        comments = [f"% {' '.join(text.split())}" for text in said if text.strip()]
        return "\n".join([
            *comments, rf"\begin{{tabular}}{{{spec}}}", r"\hline",
            line([c.heading for c in self.columns]),
            r"\hline", *map(line, self._cells()), r"\hline", r"\end{tabular}",
        ])  # fmt: skip

    def html(self, limit: int | None = None) -> str:
        """One `<table>`, its notes below; `limit` shows the first rows only, and says so."""
        kinds = ["num" if r else "txt" for r in self.numeric]
        shown = self.rows if limit is None else self.rows[:limit]
        heads = "".join(
            f'<th scope="col" class="{kind}{_wrap(c.heading)}">{self._heading_html(c)}</th>'
            for c, kind in zip(self.columns, kinds, strict=True)
        )
        body = "".join(
            "<tr>" + "".join(
                f'<td class="{kind}{_wrap(c.text(v))}">{_cell_html(c.text(v), v)}</td>'
                for c, v, kind in zip(self.columns, row, kinds, strict=True)
            ) + "</tr>\n"
            for row in shown
        )  # fmt: skip
        left_out = len(self.rows) - len(shown)
        cut = [f"The first {len(shown):,} of {len(self.rows):,} rows."] if left_out else []
        notes = "".join(f'<p class="note">{html.escape(n)}</p>' for n in (*cut, *self.notes))
        return (
            f"<table><caption>{html.escape(self.title)} {self._badges()}</caption>"
            f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table>{notes}"
        )

    def _badges(self) -> str:
        """Honesty label and, unless the data are real, the data tier."""
        badges = f'<small class="badge {self.label}">{self.label}</small>'
        if self.tier in ("look-alike", "mixed"):
            text = "look-alike data" if self.tier == "look-alike" else "real and look-alike data"
            badges += f' <small class="badge tier">{text}</small>'
        return badges

    def _heading_html(self, column: Column) -> str:
        unit = f' <span class="unit">[{html.escape(column.unit)}]</span>' if column.unit else ""
        other = column.label is not None and column.label != self.label
        badge = f' <small class="badge {column.label}">{column.label}</small>' if other else ""
        return html.escape(column.name) + unit + badge

    def _repr_html_(self) -> str:
        return self.html()


def _csv_cell(value: Any) -> Any:
    # Python's writer leaves a lone carriage return unquoted, where readers see a new row.
    if isinstance(value, str) and "\r" in value:
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return "" if value is None else value


def _markdown_text(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split("\n"))


def is_picture(value: Any) -> bool:
    """Whether a cell holds a picture: a PNG file written as a data address."""
    return isinstance(value, str) and _PICTURE.fullmatch(value) is not None


def plain_cell(value: Any) -> Any:
    """A cell as strict JSON data; Python's `float` reads the words for what is not a number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+=*")


def _wrap(text: str) -> str:
    """A further class for cells with a word so long that it has to be broken."""
    return " wrap" if any(len(word) > 30 for word in text.split()) else ""


def _cell_html(text: str, value: Any) -> str:
    if is_picture(value):
        return f'<img src="{value}" alt="picture">'
    return html.escape(text)


_LATEX_SIGNS = {
    **{char: "\\" + char for char in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def _latex_text(text: str) -> str:
    # Sign by sign, so that the backslashes written for one sign are not escaped for the next.
    # A leading bracket would be read as an option of the line break before it.
    made = "".join(_LATEX_SIGNS.get(char, char) for char in " ".join(text.split()))
    return "{[}" + made[1:] if made.startswith("[") else made
