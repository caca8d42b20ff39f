"""Check my table: grade a filled-in table of a network cell by cell, naming the usual mistakes."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from typing import TYPE_CHECKING

from epochlab.cli._fitting import fitted_text, terminal_columns
from epochlab.cli._networks import COUNTS, parsed_input
from epochlab.cli._options import Parser, add_format, show
from epochlab.errors import BadOption, UnknownName
from epochlab.table import Table

if TYPE_CHECKING:
    from epochlab.cost.sheet import Quantity

EXAMPLE = """
example:
  epochlab check-table --network vgg19 --blank > my_table.csv
  epochlab check-table my_table.csv --network vgg19
  epochlab check-table --network alexnet --solution --format markdown
FILE is CSV (comma, semicolon or tab) or Markdown; '-' reads standard input. NAME is a network
('epochlab list networks'; vgg19, alexnet, resnet50:..., file.py:Class), inception-naive or
inception-reduced. Cells may be 3.2M, 150K, 150,528, 224*224*3=150K or 3*3*64*64; a cell that is
right as far as it was rounded is right. The exit code is 0 whatever the grade; with --json the
field 'verdict' is right, incomplete or wrong.
"""
WIDTH = 100


def main(words: list[str]) -> None:
    """`epochlab check-table FILE --network NAME [options]`."""
    given = _parser().parse_strictly(words)
    if given.network is None:
        raise BadOption("Say which network the table is of: --network vgg19, for example. "
                        "'epochlab list networks' lists them; inception-naive and "
                        "inception-reduced are the modules of the course sheet.")  # fmt: skip
    if given.file is None and not (given.blank or given.solution):
        raise BadOption("Name the file with the table, or print one to fill in with --blank.")

    from epochlab.cost.checking.reading import read_table
    from epochlab.cost.exercise import exercise_of

    if given.outputs is not None and given.outputs < 1:
        raise BadOption(f"--outputs is {given.outputs}; it must be at least 1.")
    table = read_table(given.file) if given.file is not None else None
    exercise = exercise_of(given.network, _shape(given.input), given.outputs)
    sheet = exercise.sheet()
    if given.blank or given.solution:
        convention = sheet.convention
        if given.biases is not None:
            convention = dataclasses.replace(convention, biases=given.biases)
        if given.count is not None:
            convention = dataclasses.replace(convention, count=given.count)
        columns = _columns(given.columns)
        if given.blank:
            form = "csv" if given.format == "text" else given.format
            show(sheet.blank(columns, convention), form)
        else:
            complete = sheet.table(columns=columns, convention=convention, rounded=not given.exact)
            others = exercise.variants(convention)
            if others:
                complete = dataclasses.replace(complete, notes=(*complete.notes, others))
            show(_wrapped(complete, given.format), given.format)
        return

    from epochlab.cost.checking import check

    assert table is not None
    checked = check(table, sheet, biases=given.biases, count=given.count)
    if given.format == "json":
        print(checked.json(only_wrong=given.wrong))
        return
    graded = checked.graded_table(only_wrong=given.wrong)
    if given.format == "text":
        print(fitted_text(graded, terminal_columns(), ()))
    else:
        show(graded, given.format)


def _parser() -> Parser:
    parser = Parser("check-table", (__doc__ or "") + EXAMPLE)
    parser.add_argument("file", nargs="?", metavar="FILE", help="the table; '-' for standard input")
    parser.add_argument("--network", metavar="NAME", help="what the table is of")
    parser.add_argument("--input", metavar="SHAPE", help="one sample, channels first: 3x224x224 "
                        "(else what the network is known for)")  # fmt: skip
    parser.add_argument("--outputs", type=int, metavar="N", help="number of classes (else what "
                        "the network is known for)")  # fmt: skip
    parser.add_argument(
        "--biases",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether parameters include biases (else as the numbers show)",
    )
    parser.add_argument("--count", choices=COUNTS, default=None, help="how "
                        "operations are counted (else as the numbers show)")  # fmt: skip
    parser.add_argument("--wrong", action="store_true", help="print only cells that are not right")
    parser.add_argument("--blank", action="store_true", help="print the empty table to fill in, "
                        "as CSV")  # fmt: skip
    parser.add_argument("--solution", action="store_true", help="print the complete table with "
                        "every calculation")  # fmt: skip
    parser.add_argument("--columns", metavar="A,B", help="columns of --blank and --solution: "
                        "filters, output, activations, parameters, weights, biases, operations, "
                        "receptive field")  # fmt: skip
    parser.add_argument("--exact", action="store_true", help="--solution with activations in full "
                        "(3,211,264), not as on the sheet (3.2M)")  # fmt: skip
    add_format(parser)
    return parser


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    wanted = parsed_input(text)
    if wanted.name or wanted.dtype != "float32":
        raise BadOption(f"--input is '{text}'; write one sample, channels first: 3x224x224.")
    return wanted.shape


def _columns(text: str | None) -> tuple[Quantity, ...]:
    from epochlab.cost.sheet import QUANTITIES

    if text is None:
        return ()
    chosen = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in chosen:
        if name not in QUANTITIES:
            raise UnknownName("column", name, QUANTITIES)
    return tuple(q for name in chosen for q in QUANTITIES if q == name)


def _wrapped(table: Table, form: str) -> Table:
    """Long notes in several lines, where a terminal shows them; calculations are never cut."""
    if form != "text":
        return table
    lines = [textwrap.fill(note, WIDTH, break_long_words=False, break_on_hyphens=False)
             for note in table.notes]  # fmt: skip
    return dataclasses.replace(table, notes=tuple(lines))
