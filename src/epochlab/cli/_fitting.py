"""Tables that fit into a terminal: names shortened, the least columns left out and named."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from epochlab.table import Table

FEWEST_COLUMNS = 60  # of a terminal for which tables are cut


def terminal_columns() -> int:
    """Characters that fit into a line of the terminal; 120 where there is none."""
    return max(FEWEST_COLUMNS, shutil.get_terminal_size((120, 24)).columns)


def fitted_text(table: Table, width: int, expendable: Sequence[str]) -> str:
    """The table as text of at most `width` characters per line, as far as that goes.

    First long names are shortened in the middle, then the columns with the words of `expendable`
    are left out one after the other, then all long texts are shortened. What is missing is said
    below the table.
    """
    cut = _shortened(table, "layer", width, 32)
    dropped: list[str] = []
    for name in [c.name for word in expendable for c in table.columns if word in c.name]:
        if _width(cut) <= width:
            break
        if name not in dropped:
            cut = _without(cut, name)
            dropped.append(name)
    for name in [c.name for c in cut.columns]:
        cut = _shortened(cut, name, width, 18)
    notes = [textwrap.fill(note, width, break_long_words=False, break_on_hyphens=False)
             for note in table.notes]  # fmt: skip
    if dropped:
        notes.append(textwrap.fill(
            f"Left out to fit {width} columns: {', '.join(dropped)}. A wider terminal shows them, "
            "and so does every other --format.", width, break_on_hyphens=False,
        ))  # fmt: skip
    return dataclasses.replace(cut, notes=tuple(notes)).text()


def _width(table: Table) -> int:
    return len(dataclasses.replace(table, title="", notes=()).text().split("\n")[1])


def _without(table: Table, name: str) -> Table:
    at = [c.name for c in table.columns].index(name)
    return dataclasses.replace(
        table, columns=table.columns[:at] + table.columns[at + 1 :],
        rows=tuple(row[:at] + row[at + 1 :] for row in table.rows),
    )  # fmt: skip


def _shortened(table: Table, name: str, width: int, least: int) -> Table:
    """Texts of one column shortened in the middle by as much as the table is too wide."""
    found = [i for i, c in enumerate(table.columns) if c.name == name]
    excess = _width(table) - width
    if not found or excess <= 0 or table.numeric[found[0]]:
        return table
    at = found[0]
    longest = max((len(str(row[at])) for row in table.rows), default=0)
    room = max(least, longest - excess)
    return dataclasses.replace(table, rows=tuple(
        (*row[:at], _middle_out(row[at], room), *row[at + 1 :]) for row in table.rows
    ))  # fmt: skip


def _middle_out(value: Any, room: int) -> Any:
    """'encoder.layers.11.attention.out' -> 'encoder.la...ention.out'."""
    if not isinstance(value, str) or len(value) <= room:
        return value
    tail = (room - 3 + 1) // 2
    return f"{value[: room - 3 - tail]}...{value[-tail:]}"
