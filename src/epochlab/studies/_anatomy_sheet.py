"""VGG19 in the format of the course sheet's table, complete and with filled-in cells checked."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from epochlab.evidence import Claim, Evidence
from epochlab.table import Table

if TYPE_CHECKING:
    from epochlab.cost.sheet import Sheet

ALEXNET_SHAPE, OUTPUTS = (3, 227, 227), 1000
ACTIVATIONS, PARAMETERS = "Number of Activations (Memory)", "Parameters (Compute)"
HANDED_OUT, SLIPS = "the sheet as handed out", "VGG19 with slips"
# What the sheet has filled in: (row, counted from 1; column; text of the cell).
PREFILLED = (
    (1, ACTIVATIONS, "224*224*3=150K"), (2, ACTIVATIONS, "224*224*64=3.2M"),
    (3, ACTIVATIONS, "224*224*64=3.2M"), (4, ACTIVATIONS, "112*112*64=800K"),
    (7, ACTIVATIONS, "56*56*128=400K"), (9, ACTIVATIONS, "56*56*256=800K"),
    (13, ACTIVATIONS, "28*28*512=400K"), (15, ACTIVATIONS, "28*28*512=400K"),
    (23, ACTIVATIONS, "4096"), (24, ACTIVATIONS, "4096"), (25, ACTIVATIONS, "1000"),
    (1, PARAMETERS, "0"), (2, PARAMETERS, "(3*3*3)*64 = 1,728"),
    (3, PARAMETERS, "(3*3*64)*64 = 36,864"), (4, PARAMETERS, "0"), (7, PARAMETERS, "0"),
    (9, PARAMETERS, "(3*3*256)*256 = 589,824"), (12, PARAMETERS, "0"),
    (13, PARAMETERS, "(3*3*256)*512 = 1,179,648"), (17, PARAMETERS, "0"), (22, PARAMETERS, "0"),
    (24, PARAMETERS, "4096*4096 = 16,777,216"),
)  # fmt: skip


def sheet_evidence(sheet: Sheet) -> Iterator[Evidence]:
    """The table as the sheet writes it, the same in full, and the sheet's own cells."""
    rounded = dataclasses.replace(
        sheet.table(rounded=True), name="vgg19-sheet", title="VGG19 memory and weights",
        notes=("Activations rounded to two digits as on the course sheet, K = 10^3, M = 10^6; the "
               "total is exact. Biases are not counted.",),
    )  # fmt: skip
    yield rounded
    yield dataclasses.replace(
        sheet.table(rounded=False), name="vgg19-exact", notes=sheet.summary(sheet.convention),
        title="VGG19 memory and weights without rounding",
    )  # fmt: skip
    yield _prefilled_claim(rounded)
    yield from _check_evidence(sheet)


def _prefilled_claim(table: Table) -> Claim:
    rows = table.records()
    strange = [cell for cell in PREFILLED if rows[cell[0] - 1][cell[1]] != cell[2]]
    return Claim(
        statement="Every cell that the course sheet has filled in already comes out identical.",
        rule="the same text, factors and rounding included, in every prefilled cell",
        verdict="not supported" if strange else "supported", label="exact",
        numbers={"prefilled cells": len(PREFILLED), "cells that differ": len(strange)},
    )  # fmt: skip


# --- checking filled-in tables --------------------------------------------------------------------


def _check_evidence(sheet: Sheet) -> Iterator[Evidence]:
    """Solutions with the mistakes that are made most often, checked cell by cell."""
    from epochlab.cost.checking import check, parse_table

    found = {
        title: check(parse_table(_csv(rows), title), against, biases=biases)
        for title, rows, against, biases in _solutions(sheet)
    }
    slips = found[SLIPS].graded_table(only_wrong=True)
    yield dataclasses.replace(
        slips, title="VGG19 with slips: the cells that are wrong", name="sheet-check",
        notes=tuple(f"{finding.title}: {finding.text}" for finding in found[SLIPS].findings),
    )  # fmt: skip
    yield Table.of("Filled-in tables, checked cell by cell", [
        {"solution": title, "cells": checked.graded, "right": checked.right,
         "empty": checked.grades.count("empty"), "verdict": checked.verdict,
         "mistakes recognised": "; ".join(finding.title for finding in checked.findings) or "none"}
        for title, checked in found.items()
    ], label="exact", name="solutions-checked")  # fmt: skip
    blank = found[HANDED_OUT]
    caught = {title: bool(checked.findings) and checked.verdict == "wrong"
              for title, checked in found.items() if title != HANDED_OUT}  # fmt: skip
    yield Claim(
        statement="The check names the mistake in every wrong solution and finds nothing wrong in "
                  "the sheet as it was handed out.",
        rule="verdict 'wrong' with at least one mistake recognised in each solution; no wrong cell "
             "among those that the sheet has filled in",
        verdict="supported" if all(caught.values()) and blank.verdict == "incomplete"
        else "not supported", label="exact",
        numbers={"wrong solutions": len(caught), "recognised": sum(caught.values()),
                 "cells filled in by the sheet": blank.right},
    )  # fmt: skip


def _solutions(sheet: Sheet) -> Iterator[tuple[str, list[list[str]], Sheet, bool]]:
    """(title, cells, what they are checked against, whether biases count)."""
    from epochlab.cost.exercise import exercise_of

    heads = ["Layer", ACTIVATIONS, PARAMETERS]
    right = sheet.table(rounded=True)
    given: dict[tuple[int, str], str] = {(row, name): text for row, name, text in PREFILLED}
    blank = [[str(row[0]), *(given.get((n, name), "") for name in heads[1:])]
             for n, row in enumerate(right.rows, 1)]  # fmt: skip
    yield HANDED_OUT, [heads, *blank], sheet, False
    slipped = [[str(cell) for cell in row] for row in right.rows]
    convolution, pooling, later = sheet.entries[1], sheet.entries[3], sheet.entries[4]
    weights, filters = convolution.weights, convolution.output_shape[0]
    slipped[1][2] = f"{weights + filters:,}"  # biases counted
    slipped[3][1] = slipped[2][1]  # the size before the pooling
    slipped[4][2] = f"{later.weights // pooling.output_shape[0]:,}"  # input channels forgotten
    yield SLIPS, [heads, *slipped], sheet, False
    other = exercise_of("vgg16", sheet.entries[0].output_shape, OUTPUTS).sheet()
    with_biases = dataclasses.replace(other.convention, biases=True)
    wrong = other.table(rounded=True, convention=with_biases)
    yield "VGG16 with biases, as VGG19", _rows(wrong), sheet, False
    alexnet = exercise_of("alexnet", ALEXNET_SHAPE, OUTPUTS)
    ungrouped = dict(alexnet.rivals())["alexnet with towers=ungrouped"].sheet()
    yield "AlexNet without its two towers", _rows(ungrouped.table(columns=("parameters",))), \
        alexnet.sheet(), True  # fmt: skip


def _rows(table: Table) -> list[list[str]]:
    return [[column.name for column in table.columns],
            *([str(cell) for cell in row] for row in table.rows)]  # fmt: skip


def _csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
