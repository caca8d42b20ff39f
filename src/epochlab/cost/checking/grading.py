"""Grade a table cell by cell: right, right as far as it was rounded, wrong, empty, missing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from epochlab.cost.checking.cells import Given, Number, read_cell
from epochlab.cost.checking.matching import TOTAL, Match, match_rows
from epochlab.cost.checking.reading import GivenTable
from epochlab.cost.layer import COUNTS, Count
from epochlab.cost.sheet import (
    COUNTED,
    Convention,
    Entry,
    Quantity,
    Sheet,
    Value,
    cell_text,
    value_text,
)

Verdict = Literal["right", "rounded", "wrong", "empty", "missing", "unreadable", "added"]
GOOD: tuple[Verdict, ...] = ("right", "rounded")
Cells = list[dict[Quantity, Given]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One graded cell."""

    row: int | None
    "of the given table, from 0; None for a row that is not there"
    entry: int | None
    "row of the network; TOTAL for the last; None for a row that the network does not have"
    layer: str
    column: Quantity | None
    "None for whole rows"
    heading: str
    given: Given
    expected: str
    verdict: Verdict
    remark: str = ""
    trap: str = ""
    "name of the usual mistake that it is"

    @property
    def is_wrong(self) -> bool:
        return self.verdict in ("wrong", "unreadable")


@dataclass(frozen=True, kw_only=True)
class Grades:
    """All cells of a table under one convention."""

    cells: tuple[Cell, ...]
    match: Match
    convention: Convention
    reasons: dict[str, str]
    "'biases' and 'count' -> why: 'asked', 'usual', or how many numbers speak for it"

    def count(self, *verdicts: Verdict) -> int:
        """How many cells have one of these verdicts."""
        return sum(cell.verdict in verdicts for cell in self.cells)


def grade(
    table: GivenTable, sheet: Sheet, *, biases: bool | None = None, count: Count | None = None
) -> Grades:
    """Match the rows, choose the convention that the numbers follow, and grade every cell.

    A convention that is given is kept; else the one that makes more cells right, else the usual.
    """
    cells: Cells = [{q: read_cell(text) for q, text in row.cells.items()} for row in table.rows]
    candidates = [_possible_values(entry, table.headings) for entry in sheet.entries]

    def right_cells(i: int, j: int) -> float:
        """Cells of given row i that would be right in row j under any convention, zeros apart."""
        return float(sum(
            any(_is_near(given, value) and agrees(given, q, value)
                for value in candidates[j][q])
            for q, given in cells[i].items()
        ))  # fmt: skip

    match = match_rows(table.rows, sheet, right_cells)
    usual = sheet.convention
    flops = "flop" in table.headings.get("operations", "").lower()
    how, reasons = usual, {"biases": "asked", "count": "asked"}
    if biases is None:
        both = [dataclasses.replace(usual, biases=b) for b in (usual.biases, not usual.biases)]
        how, reasons["biases"] = _likeliest(both, "parameters", cells, match, sheet)
    else:
        how = dataclasses.replace(how, biases=biases)
    if count is None:
        order: tuple[Count, ...] = ("flops", "macs", "full") if flops else COUNTS
        three = [dataclasses.replace(how, count=c) for c in order]
        how, reasons["count"] = _likeliest(three, "operations", cells, match, sheet)
    else:
        how = dataclasses.replace(how, count=count)
    return Grades(cells=tuple(_graded(table, cells, match, sheet, how)), match=match,
                  convention=how, reasons=reasons)  # fmt: skip


def _possible_values(
    entry: Entry, quantities: Iterable[Quantity]
) -> dict[Quantity, set[int | tuple[int, ...]]]:
    """What may stand in each cell of a row under any convention, nothing and zeros left out."""
    ways = [Convention(biases=b, count=c) for b in (True, False) for c in COUNTS]
    return {q: {v for how in ways if (v := entry.value(q, how))} for q in quantities}


def _is_near(given: Given, value: int | tuple[int, ...]) -> bool:
    """Whether a cell may say `value` at all: a cheap question before the exact one."""
    if given.number is None or isinstance(value, tuple):
        return bool(given.text)
    return value <= 2 * given.number.value <= 4 * value


def _likeliest(
    ways: Sequence[Convention], quantity: Quantity, cells: Cells, match: Match, sheet: Sheet
) -> tuple[Convention, str]:
    """The convention under which most cells of a column are right, and why; else the first."""
    scores = []
    for how in ways:
        right = 0
        for i, j in match.pairs.items():
            value = (sheet.total(quantity, how) if j == TOTAL
                     else sheet.entries[j].value(quantity, how))  # fmt: skip
            given = cells[i].get(quantity)
            right += given is not None and bool(value) and agrees(given, quantity, value)
        scores.append(right)
    best = scores.index(max(scores))
    others = max(score for at, score in enumerate(scores) if at != best)
    if scores[best] == others:
        return ways[0], "usual"
    return ways[best], f"{scores[best]} of your numbers say so, {others} say otherwise"


def agrees(given: Given, quantity: Quantity, value: Value | Fraction) -> bool:
    """Whether a cell says `value`, exactly or as far as it was rounded."""
    if quantity == "output" and isinstance(value, tuple):
        return any(shape in _ways_to_write(value) for shape in given.shapes)
    if quantity == "receptive field" and isinstance(value, tuple):
        found = re.search(r"\d+", given.text)
        return found is not None and int(found[0]) == value[0]
    if given.number is None or value is None or isinstance(value, tuple):
        return False
    return given.number.rounds(value)


def _ways_to_write(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Channels first or last, without channels, one side of a square; 1x1x4096 for 4096."""
    channels, *sides = shape
    ways = {shape, (*sides, channels)}
    if sides:
        ways.add(tuple(sides))
        ways |= {(sides[0],)} if len(set(sides)) == 1 else set()
    else:
        ways |= {(1, 1, channels), (channels, 1, 1), (1, channels)}
    return ways


# --- cells ----------------------------------------------------------------------------------------


def _graded(
    table: GivenTable, cells: Cells, match: Match, sheet: Sheet, how: Convention
) -> Iterator[Cell]:
    """Given rows in their order, each missing row before the one that should follow it."""
    missing = list(match.missing)
    for i, row in enumerate(table.rows):
        j = match.pairs.get(i)
        if j is None:
            if i in match.added:
                yield Cell(row=i, entry=None, layer=row.label, column=None, heading="whole row",
                           given=Given(row.label), expected="", verdict="added",
                           remark="the network has no such row")  # fmt: skip
            continue
        while missing and (j == TOTAL or missing[0] < j):
            yield from _missing_row(table, sheet, missing.pop(0), how)
        if j == TOTAL:
            yield from _total_row(table, cells, match, sheet, how, i)
        else:
            yield from _row(table, cells[i], sheet, how, i, j)
    for j in missing:
        yield from _missing_row(table, sheet, j, how)


def _row(
    table: GivenTable, cells: dict[Quantity, Given], sheet: Sheet, how: Convention, i: int, j: int
) -> Iterator[Cell]:
    entry = sheet.entries[j]
    for quantity, given in cells.items():
        value = entry.value(quantity, how)
        if value is None or (value == 0 and given.empty):
            continue  # nothing belongs there
        verdict, remark = _verdict(given, quantity, value)
        yield Cell(
            row=i, entry=j, layer=table.rows[i].label or entry.label, column=quantity,
            heading=table.headings[quantity], given=given, verdict=verdict, remark=remark,
            expected=_expected(entry, quantity, how),
        )  # fmt: skip


def _missing_row(table: GivenTable, sheet: Sheet, j: int, how: Convention) -> Iterator[Cell]:
    """What a missing row takes from the totals; one without such numbers may be left out."""
    entry = sheet.entries[j]
    for quantity, heading in table.headings.items():
        if quantity in COUNTED and entry.value(quantity, how):
            yield Cell(row=None, entry=j, layer=entry.label, column=quantity, heading=heading,
                       given=Given("", empty=True), verdict="missing",
                       expected=_expected(entry, quantity, how))  # fmt: skip


def _expected(entry: Entry, quantity: Quantity, how: Convention) -> str:
    """The right number with its calculation; of a size the size alone."""
    if quantity not in COUNTED:
        return value_text(entry.value(quantity, how))
    return cell_text(entry, quantity, how, rounded=False)


def _verdict(given: Given, quantity: Quantity, value: Value) -> tuple[Verdict, str]:
    """The verdict on one cell, and what is to be said about it."""
    if given.empty:
        return "empty", ""
    right = agrees(given, quantity, value)
    if quantity not in COUNTED:
        if quantity == "output" and not given.shapes:
            return "unreadable", "write sizes as 224x224x64"
        return ("right" if right else "wrong"), ""
    number = given.number
    if number is None:
        return "unreadable", "write a number as 3.2M, 150,528 or 3*3*64"
    if right and given.slip:
        return "wrong", f"the result is right, but {given.slip}"
    if right:
        return ("right" if number.value == value else "rounded"), ""
    if given.worked is not None and Number(given.worked).rounds(_whole(value)):
        return "wrong", "the calculation is right, its result is not"
    return "wrong", given.slip


def _whole(value: Value) -> int:
    return value if isinstance(value, int) else 0


# --- the total ------------------------------------------------------------------------------------


def _total_row(
    table: GivenTable, cells: Cells, match: Match, sheet: Sheet, how: Convention, i: int
) -> Iterator[Cell]:
    """The total is right if it is the network's, or the sum of rows that were rightly rounded."""
    has_input = any(j == 0 for j in match.pairs.values())
    for quantity, given in cells[i].items():
        value = sheet.total(quantity, how)
        if not isinstance(value, int):
            continue
        start = sheet.entries[0].value(quantity, how)
        if not has_input and quantity == "activations" and isinstance(start, int) and (
            agrees(given, quantity, value - start)
        ):  # fmt: skip
            value -= start
        verdict, remark = _verdict(given, quantity, value)
        if verdict == "wrong" and not remark:
            verdict, remark = _by_own_sum(given, quantity, cells, match, sheet, how, i)
        yield Cell(row=i, entry=TOTAL, layer=table.rows[i].label or "TOTAL", column=quantity,
                   heading=table.headings[quantity], given=given, verdict=verdict, remark=remark,
                   expected=value_text(value))  # fmt: skip


FOLLOWS = "the sum of your rows: mend those"
SLIPPED = "your rows come to"


def _by_own_sum(
    given: Given, quantity: Quantity, cells: Cells, match: Match, sheet: Sheet, how: Convention,
    total: int,
) -> tuple[Verdict, str]:  # fmt: skip
    """What is to be said about a wrong total, seen from the rows above it."""
    own = _own_sum(cells, match, sheet, how, quantity, total)
    if own is None or given.number is None:
        return "wrong", ""
    value, play = own
    sound = _rows_are_sound(cells, match, sheet, how, quantity)
    if given.number.rounds(value) and sound:
        return "rounded", "the sum of your rounded rows"
    if given.number.rounds(value) or (not sound and abs(given.number.value - value) <= play):
        return "wrong", FOLLOWS
    return "wrong", f"{SLIPPED} {value_text(_plain_number(value))}"


def _own_sum(
    cells: Cells, match: Match, sheet: Sheet, how: Convention, quantity: Quantity, total: int
) -> tuple[Fraction, Fraction] | None:
    """Sum of a column as it was given and what rounding may add or take; None if a row is open."""
    value = play = Fraction(0)
    for i, row in enumerate(cells):
        j, given = match.pairs.get(i), row[quantity]
        entry = sheet.entries[j] if j is not None and j != TOTAL else None
        if i == total or (entry is not None and quantity == "activations" and not entry.in_total):
            continue
        if given.number is not None:
            value += given.number.value
            play += given.number.play
        elif not given.empty or (entry is not None and entry.value(quantity, how)):
            return None
    return value, play


def _rows_are_sound(
    cells: Cells, match: Match, sheet: Sheet, how: Convention, quantity: Quantity
) -> bool:
    """Whether every row of the network is given, each right as far as it was rounded."""
    return not match.missing and not match.added and all(
        agrees(cells[i][quantity], quantity, value) or (not value and cells[i][quantity].empty)
        for i, j in match.pairs.items()
        if j != TOTAL and (value := sheet.entries[j].value(quantity, how)) is not None
    )  # fmt: skip


def _plain_number(value: Fraction) -> float:
    return int(value) if value.denominator == 1 else float(value)
