"""Check my table: grade a filled-in table of a network cell by cell and name the usual mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from epochlab.cost.checking.cells import read_cell
from epochlab.cost.checking.findings import Finding, explain
from epochlab.cost.checking.grading import GOOD, Cell, Grades, grade
from epochlab.cost.checking.matching import TOTAL
from epochlab.cost.checking.reading import GivenRow, GivenTable, parse_table, read_table
from epochlab.cost.checking.traps import TRAPS, Trap
from epochlab.cost.layer import COUNT_TEXT, Count
from epochlab.cost.sheet import OPERATIONS, Sheet
from epochlab.errors import BadData
from epochlab.table import Column, Table

__all__ = [
    "TRAPS", "Cell", "Check", "Finding", "GivenRow", "GivenTable", "Trap", "check", "parse_table",
    "read_cell", "read_table",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Check:
    """A graded table: every cell, the mistakes found, and the convention it was graded by."""

    table: GivenTable
    sheet: Sheet
    grades: Grades
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]

    @property
    def graded(self) -> int:
        """Cells that count: those of added rows do not."""
        return sum(cell.verdict != "added" for cell in self.cells)

    @property
    def right(self) -> int:
        """Cells that are right, exactly or as far as they were rounded."""
        return sum(cell.verdict in GOOD for cell in self.cells)

    @property
    def verdict(self) -> str:
        """'right'; 'incomplete' where nothing is wrong but cells or rows are missing; 'wrong'."""
        if any(cell.is_wrong or cell.verdict == "added" for cell in self.cells):
            return "wrong"
        return "right" if self.right == self.graded else "incomplete"

    def graded_table(self, *, only_wrong: bool = False) -> Table:
        """One row per cell: line of the file, layer, column, given, expected, verdict, remark."""
        rows = [
            (self._line(cell), cell.layer, self._column(cell),
             cell.given.text, cell.expected, cell.verdict,
             "; ".join(filter(None, (cell.trap, cell.remark))))
            for cell in self.cells if not (only_wrong and cell.verdict in GOOD)
        ]  # fmt: skip
        names = ("line", "layer", "column", "given", "expected", "verdict", "remark")
        return Table(
            title=f"{self.table.source} checked against {self.sheet.name}", rows=tuple(rows),
            columns=tuple(Column(name=n) for n in names), label="exact", name="checked",
            notes=tuple(self.notes()),
        )  # fmt: skip

    def _column(self, cell: Cell) -> str:
        """'parameters', 'MACs': short, whatever the heading says."""
        if cell.column == "operations":
            return OPERATIONS[self.grades.convention.count]
        return cell.column or "whole row"

    def _line(self, cell: Cell) -> int | None:
        return None if cell.row is None else self.table.rows[cell.row].line

    def notes(self) -> Iterator[str]:
        """The score, the convention, each mistake in words, and what to look at first."""
        yield self._score()
        yield from self._conventions()
        for finding in self.findings:
            yield f"{finding.title}: {self._where(finding.cells)}. {finding.text}"
        yield from self._first()
        left = [self.table.rows[i].label for i in self.grades.match.silent]
        if left:
            yield f"Rows that have no numbers of their own here, not graded: {_some(left)}."
        if self.table.ignored:
            yield f"Columns not graded: {_some(list(self.table.ignored))}."
        if TOTAL not in self.grades.match.pairs.values():
            yield "There is no row TOTAL; the sheet asks for one."

    def _score(self) -> str:
        count = self.grades.count
        parts = [f"{self.right} of {self.graded} cells are right"]
        if count("rounded"):
            parts[0] += f" ({count('rounded')} of them rounded)"
        for verdict, text in (("wrong", "wrong"), ("unreadable", "unreadable"),
                              ("empty", "empty"), ("missing", "in missing rows")):  # fmt: skip
            if number := count(verdict):  # type: ignore[arg-type] # a tuple of texts
                parts.append(f"{number} {text}")
        if added := count("added"):
            parts.append(f"{added} rows that the network does not have")
        done = " All right." if self.verdict == "right" else ""
        return ", ".join(parts) + "." + done

    def _conventions(self) -> Iterator[str]:
        how, columns, usual = self.grades.convention, self.table.headings, self.sheet.convention
        if "parameters" in columns:
            said = "Parameters with biases" if how.biases else "Parameters without biases"
            other = "--no-biases" if how.biases else "--biases"
            unusual = "" if how.biases == usual.biases else (
                f" The usual table of {self.sheet.name} counts "
                f"{'without' if how.biases else 'with'} them."
            )  # fmt: skip
            yield (f"{said} ({_reason(self.grades.reasons['biases'])}; {other} counts "
                   f"otherwise).{unusual}")  # fmt: skip
        if "operations" in columns:
            yield (f"Operations: {COUNT_TEXT[how.count]} "
                   f"({_reason(self.grades.reasons['count'])}; --count chooses).")  # fmt: skip
            heading = columns["operations"]
            if ("flop" in heading.lower()) != (how.count != "macs") and re.search(
                "flop|mac", heading, re.IGNORECASE
            ):
                is_flops = how.count != "macs"
                yield (f"The heading '{heading}' does not say that: these are "
                       f"{'FLOPs' if is_flops else 'MACs'}, and a MAC is two FLOPs.")  # fmt: skip

    def _first(self) -> Iterator[str]:
        bad = [c for c in self.cells if c.is_wrong or c.verdict in ("missing", "added")]
        if not bad:
            return
        lone = [cell for cell in bad if not cell.trap and not cell.remark and cell.is_wrong]
        first = self.findings[0].cells[0] if self.findings else (lone or bad)[0]
        where = "a missing row" if first.row is None else f"line {self._line(first)}"
        yield f"Look first at {first.layer} ({where}), {first.heading}."
        if lone and self.findings:
            yield f"No usual mistake explains: {self._where(tuple(lone))}."
        missing = [self.sheet.entries[j].label for j in self.grades.match.missing
                   if any(c.entry == j and c.verdict == "missing" for c in self.cells)]  # fmt: skip
        if missing:
            yield f"Missing rows: {_some(missing)}."

    def _where(self, cells: tuple[Cell, ...]) -> str:
        """'Parameters of conv2, conv4, conv5; the whole column MACs'."""
        by_column: dict[str, list[Cell]] = {}
        for cell in cells:
            by_column.setdefault(cell.heading, []).append(cell)
        parts = []
        for column, found in by_column.items():
            answered = [c for c in self.cells if c.heading == column and c.verdict != "empty"
                        and c.expected != "0" and c.entry != 0]  # fmt: skip
            told = {id(c.given) for c in found}
            if len(found) > 3 and all(id(c.given) in told for c in answered):
                parts.append(f"the whole column {column}")
            else:
                parts.append(f"{column} of {_some([c.layer for c in found], 6)}")
        return "; ".join(parts)

    def json(self, *, only_wrong: bool = False) -> str:
        """The graded table as JSON with the verdict, the score and the mistakes found."""
        data: dict[str, Any] = json.loads(self.graded_table(only_wrong=only_wrong).json())
        how = self.grades.convention
        data |= {
            "network": self.sheet.name, "verdict": self.verdict, "right": self.right,
            "of": self.graded, "biases": how.biases, "count": how.count,
            "traps": [
                {"name": f.name, "detail": f.detail, "text": f.text,
                 "cells": [{"layer": c.layer, "column": self._column(c)} for c in f.cells]}
                for f in self.findings
            ],
        }  # fmt: skip
        return json.dumps(data, indent=1)


def check(
    table: GivenTable, sheet: Sheet, *, biases: bool | None = None, count: Count | None = None
) -> Check:
    """Grade a table. What is None is taken from the table's own numbers.

        >>> from epochlab.cost.exercise import exercise_of
        >>> given = parse_table('''Layer,Parameters
        ... CONV3-64,"1,728"
        ... CONV3-64,"36,928"''')
        >>> found = check(given, exercise_of("vgg19").sheet(), biases=False)
        >>> [cell.verdict for cell in found.cells[:2]], found.findings[0].name
        (['right', 'wrong'], 'biases included')

    Raises BadData where the rows are not those of this network.
    """
    grades = grade(table, sheet, biases=biases, count=count)
    _must_fit(table, sheet, grades)
    cells, findings = explain(table, sheet, grades)
    return Check(table=table, sheet=sheet, grades=grades, cells=cells, findings=tuple(findings))


def _must_fit(table: GivenTable, sheet: Sheet, grades: Grades) -> None:
    """Refuse a table that can hardly be one of this network."""
    match = grades.match
    matched = sum(j > 0 for j in match.pairs.values())
    rows = len(sheet.entries) - 1
    answered = [c for c in grades.cells if c.expected != "0" and not c.given.empty
                and c.entry not in (0, TOTAL)]  # fmt: skip
    right = sum(cell.verdict in GOOD for cell in answered)
    if matched and matched >= len(match.added) and (
        2 * matched >= rows or 2 * right >= len(answered)
    ):  # fmt: skip
        return
    labels = [row.label for row in table.rows if row.label] or ["(no names)"]
    raise BadData(
        f"{table.source} does not look like a table of {sheet.name}: {matched} of its "
        f"{len(table.rows)} rows can be matched with the network's {rows} layers. Its rows are "
        f"{_some(labels)}; the network's are {_some([e.label for e in sheet.entries])}. Choose "
        f"another --network, or see what is expected with --network {sheet.name} --blank."
    )


def _some(words: list[str], most: int = 8) -> str:
    shown = ", ".join(words[:most])
    return shown + (f" and {len(words) - most} more" if len(words) > most else "")


def _reason(reason: str) -> str:
    return {"asked": "as asked", "usual": "as is usual for this table"}.get(reason, reason)
