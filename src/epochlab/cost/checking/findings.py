"""Which of the usual mistakes explain the wrong cells of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from epochlab.cost.checking.alternatives import Alternative
from epochlab.cost.checking.grading import FOLLOWS, GOOD, SLIPPED, Cell, Grades, agrees, grade
from epochlab.cost.checking.matching import TOTAL
from epochlab.cost.checking.reading import GivenTable
from epochlab.cost.checking.traps import TRAPS, Trap
from epochlab.cost.sheet import Sheet, Value
from epochlab.errors import EpochlabError

ANOTHER = "another network"
SLIP = Trap(
    name="total is not the sum of the rows",
    text="Add the column up again; mend the rows first, if any is wrong.",
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One usual mistake, and the cells that it explains."""

    name: str
    detail: str
    text: str
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        """'output size off by one', 'another input size (224x224 ...)', 'vgg16 in place ...'."""
        if self.name == ANOTHER:
            return self.detail
        return f"{self.name} ({self.detail})" if self.detail else self.name


Key = Hashable
"""What identifies a cell: its row, the network's row and the column."""


@dataclass(frozen=True)
class _Candidate:
    name: str
    detail: str
    text: str
    explains: frozenset[Key]


def explain(
    table: GivenTable, sheet: Sheet, grades: Grades
) -> tuple[tuple[Cell, ...], list[Finding]]:
    """All cells, the explained ones with their trap's name; and the traps, heaviest first.

    The trap that explains most is named first, then the one that explains most of the rest.
    """
    open_cells = {_key(cell): cell for cell in grades.cells
                  if cell.is_wrong or cell.verdict in ("missing", "added")}  # fmt: skip
    candidates = list(_candidates(sheet, grades)) if open_cells else []
    if open_cells.keys() - {key for c in candidates for key in c.explains}:
        candidates += _rivals(table, sheet, grades)
    findings: list[Finding] = []
    named: dict[Key, str] = {}
    while open_cells and candidates:
        best = max(candidates, key=lambda c: len(c.explains & open_cells.keys()))
        explained = [key for key in open_cells if key in best.explains]
        if not explained:
            break
        finding = Finding(name=best.name, detail=best.detail, text=best.text,
                          cells=tuple(open_cells[key] for key in explained))  # fmt: skip
        findings.append(finding)
        for key in explained:
            named[key] = finding.title
            del open_cells[key]
    slips = {key: cell for key, cell in open_cells.items() if cell.remark.startswith(SLIPPED)}
    if slips:
        findings.append(Finding(name=SLIP.name, detail="", text=SLIP.text,
                                cells=tuple(slips.values())))  # fmt: skip
        named |= dict.fromkeys(slips, SLIP.name)
    return tuple(_named(cell, named.get(_key(cell), "")) for cell in grades.cells), findings


def _named(cell: Cell, trap: str) -> Cell:
    """The cell with its trap, which says more about a total than its sum does."""
    told = trap not in ("", SLIP.name) and cell.remark.startswith((SLIPPED, FOLLOWS))
    return dataclasses.replace(cell, trap=trap, remark="" if told else cell.remark)


def _key(cell: Cell) -> Key:
    return cell.row, cell.entry, cell.column


def _candidates(sheet: Sheet, grades: Grades) -> Iterator[_Candidate]:
    """Every trap that explains at least one cell, with the cells."""
    wrong = [cell for cell in grades.cells if cell.is_wrong]
    for trap in TRAPS:
        by_detail: dict[str, set[Key]] = {}
        if trap.alternatives is not None:
            for alternative in trap.alternatives(sheet, grades.convention):
                found = {_key(cell) for cell in wrong if _fits(cell, alternative, sheet, grades)}
                by_detail.setdefault(alternative.detail, set()).update(found)
        if trap.misread is not None:
            found = {_key(cell) for cell in wrong if _is_misread(cell, trap, sheet, grades)}
            by_detail.setdefault("", set()).update(found)
        for detail, keys in by_detail.items():
            if keys:
                yield _Candidate(trap.name, detail, trap.text, frozenset(keys))


def _fits(cell: Cell, alternative: Alternative, sheet: Sheet, grades: Grades) -> bool:
    """Whether the cell says what the alternative has, not what is right; one digit is too vague."""
    if cell.entry is None or cell.column is None:
        return False
    value = alternative.value(cell.entry, cell.column)
    right = _right_value(cell, sheet, grades)
    number = cell.given.number
    if number is not None and number.is_vague and number.value != value:
        return False
    return value is not None and agrees(cell.given, cell.column, value) and not (
        agrees(cell.given, cell.column, right)
    )  # fmt: skip


def _right_value(cell: Cell, sheet: Sheet, grades: Grades) -> Value:
    if cell.entry is None or cell.column is None:
        return None
    if cell.entry == TOTAL:
        return sheet.total(cell.column, grades.convention)
    return sheet.entries[cell.entry].value(cell.column, grades.convention)


def _is_misread(cell: Cell, trap: Trap, sheet: Sheet, grades: Grades) -> bool:
    value = _right_value(cell, sheet, grades)
    return trap.misread is not None and isinstance(value, int) and value > 0 and (
        trap.misread(cell.given, value)
    )  # fmt: skip


def _rivals(table: GivenTable, sheet: Sheet, grades: Grades) -> Iterator[_Candidate]:
    """Networks that differ in one option and fit the table better."""
    if sheet.exercise is None:
        return
    for name, exercise in sheet.exercise.rivals():
        try:
            rival = exercise.sheet()
        except EpochlabError:
            continue
        explained: set[Key] = set()
        for biases in (grades.convention.biases, not grades.convention.biases):
            graded = grade(table, rival, biases=biases, count=grades.convention.count)
            good = {(c.row, c.column) for c in graded.cells if c.verdict in GOOD}
            lost = sum(c.verdict in GOOD and (c.row, c.column) not in good for c in grades.cells)
            fitting = {_key(c) for c in grades.cells
                       if c.is_wrong and (c.row, c.column) in good}  # fmt: skip
            if not graded.count("missing", "added"):
                fitting |= {_key(c) for c in grades.cells if c.verdict in ("missing", "added")}
            explained |= {_key(c) for c in grades.cells
                          if c.entry == TOTAL and _key(c) in fitting}  # fmt: skip
            if len(fitting) > lost and biases == grades.convention.biases:
                explained |= fitting  # with other biases the rows are another trap's
        if explained:
            totals = [s.total("parameters", grades.convention) for s in (rival, sheet)]
            text = (f"{name} has {totals[0]:,} parameters, {sheet.name} has {totals[1]:,}. Look "
                    "up which network is asked for, and compare row by row.")  # fmt: skip
            yield _Candidate(ANOTHER, f"{name} in place of {sheet.name}", text,
                             frozenset(explained))  # fmt: skip
