"""Read a table from a file: CSV with commas, semicolons or tabs, or Markdown; find its columns."""

from __future__ import annotations

import csv
import difflib
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from epochlab.cost.sheet import Quantity
from epochlab.errors import BadData, nearest

# What stands in a heading, in the order of asking: "Parameters (Compute)" is about parameters.
_MEANINGS: tuple[tuple[Quantity | None, str], ...] = (
    ("receptive field", r"receptive|\brf\b|field of view"),
    ("biases", r"^(?:#\s*|number of |n\.? ?of )?bias(?:es)?\b"),
    ("parameters", r"\bparam|learnable"),
    ("weights", r"\bweights?\b"),
    ("activations", r"activation|neurons?\b|\bunits?\b"),
    ("operations", r"\bm?macs?\b|\b[gm]?flops?\b|operation|\bops\b|multipl|mult-?add|multiadds?"),
    (None, r"kernel|filter|stride|padding|\binput|\bgroups?\b|formula|calculation|remark|note|kind|"
           r"type|share|verdict|expected|comment|backward|\bdtype\b|saved|read|written"),
    ("output", r"output|shape|\bsize\b|dimension|feature ?map|volume"),
    ("activations", r"memory"),
    ("parameters", r"compute"),
)  # fmt: skip
_LAYER = re.compile(r"layer|\bname\b|module|stage|block|branch|operator|\brow\b", re.IGNORECASE)
_WORDS = ("layer", "activations", "parameters", "weights", "biases", "macs", "flops", "operations",
          "output", "shape", "memory", "receptive")  # fmt: skip
KNOWN_HEADINGS = (
    "Layer; Number of Activations or Memory; Parameters or Weights, Biases; MACs, FLOPs or "
    "Operations; Output size or Shape; Receptive field"
)
# A table may stand below a title and a line or two.
_LINES_BEFORE_HEADING = 8
MOST_JOINS = 6
"""Commas within the numbers of one row that may have lost their quotes."""


@dataclass(frozen=True, kw_only=True)
class GivenRow:
    """One row of somebody's table."""

    line: int
    "in the file, from 1"
    label: str
    cells: dict[Quantity, str]


@dataclass(frozen=True, kw_only=True)
class GivenTable:
    """Somebody's table: its rows, and what its columns were taken for."""

    source: str
    "file name, for messages"
    rows: tuple[GivenRow, ...]
    headings: dict[Quantity, str]
    "as they are written there"
    ignored: tuple[str, ...] = ()
    "headings of columns that are not graded"


Line = tuple[int, list[str]]


def read_table(path: str) -> GivenTable:
    """The table in a file; '-' is standard input.

    Raises BadData for a file that is missing, is no text, or has no table with known columns.
    """
    text = sys.stdin.read() if path == "-" else _file_text(Path(path).expanduser())
    return parse_table(text, "standard input" if path == "-" else path)


def parse_table(text: str, source: str = "the table") -> GivenTable:
    """The table in a text. Raises BadData where there is none with known columns."""
    text = text.removeprefix("\ufeff")
    lines = list(_markdown_lines(text)) or list(_separated_lines(text, source))
    if not lines:
        raise BadData(f"{source} is empty. {_what_is_read()}")
    return _table(lines, source)


def _what_is_read() -> str:
    return (
        "A table is read from CSV (comma, semicolon or tab) or Markdown, its first row being "
        f"headings such as these: {KNOWN_HEADINGS}. --blank prints one to fill in."
    )


def _file_text(path: Path) -> str:
    if path.is_dir():
        raise BadData(f"{path} is a folder, not a file with a table. {_what_is_read()}")
    if not path.is_file():
        folder = path.parent
        here = [p.name for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
        close = next(iter(difflib.get_close_matches(path.name, here, n=1, cutoff=0.75)), None)
        meant = f" Did you mean '{folder / close}'?" if close else ""
        raise BadData(f"There is no file '{path}'.{meant} {_what_is_read()}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF")):
        raise BadData(
            f"{path} is a spreadsheet, PDF or other packed file. Save or export the table as CSV "
            "and check that file."
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw:
        raise BadData(f"{path} is not a text file. {_what_is_read()}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


# --- lines of cells -------------------------------------------------------------------------------


def _markdown_lines(text: str) -> Iterator[Line]:
    """Rows between pipes; nothing where there is no line of dashes below a heading."""
    numbered = list(enumerate(text.splitlines(), 1))
    rule = re.compile(r"\s*\|?\s*:?-{1,}:?\s*(?:\|\s*:?-{1,}:?\s*)+\|?\s*")
    if not any("|" in a and rule.fullmatch(b) for (_, a), (_, b) in pairwise(numbered)):
        return
    for number, line in numbered:
        if "|" not in line or rule.fullmatch(line):
            continue
        inside = line.strip().removeprefix("|")
        inside = inside[:-1] if inside.endswith("|") and not inside.endswith("\\|") else inside
        cells = [c.replace("\\|", "|").strip() for c in re.split(r"(?<!\\)\|", inside)]
        yield number, [re.sub(r"^(\*\*|__|\*|`)(.*)\1$", r"\2", c) for c in cells]


def _separated_lines(text: str, source: str) -> Iterator[Line]:
    """Rows of CSV, the separator found by what divides the most lines alike."""
    separator = _separator(text)
    if separator is None:
        yield from _spaced_lines(text)
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BadData(f"{source}, line {reader.line_num}: {error}. {_what_is_read()}") from error


def _spaced_lines(text: str) -> Iterator[Line]:
    """Rows whose columns stand apart: under a line of dashes by place, else by two spaces.

    Under dashes the table ends with the first line that has something between the columns.
    """
    numbered = list(enumerate(text.splitlines(), 1))
    rule = next((line for _, line in numbered if re.fullmatch(r"\s*-+(?: {2,}-+)+\s*", line)), "")
    columns = [match.span() for match in re.finditer("-+", rule)]
    for number, line in numbered:
        if line == rule or not re.search(r"\w", line.replace("_", "")):
            continue
        if not columns:
            yield number, re.split(r"\s{2,}", line.strip())
            continue
        ends = [*(start for start, _ in columns[1:]), None]
        cells = [line[start:end] for (start, _), end in zip(columns, ends, strict=True)]
        if all(cell.endswith("  ") or len(line) < end
               for cell, (_, end) in zip(cells[:-1], columns[1:], strict=True)):  # fmt: skip
            yield number, [cell.strip() for cell in cells]
        elif number > 3:
            return


def _separator(text: str) -> str | None:
    """Tab, semicolon or comma; None for columns that are spaced apart, as a terminal shows them."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text.splitlines() if line.strip()]

    def share_with(pattern: str) -> float:
        return sum(bool(re.search(pattern, line)) for line in lines) / max(1, len(lines))

    # Commas stand inside numbers as well, so they come last.
    for sign in "\t;":
        if share_with(sign) > 0.5:
            return sign
    spaced = [re.split(r"\s{2,}", line.strip()) for line in lines[:_LINES_BEFORE_HEADING]
              if "," not in line]  # fmt: skip
    return None if any(len(cells) > 1 and _columns(cells) for cells in spaced) else ","


# --- columns --------------------------------------------------------------------------------------


def _table(lines: Sequence[Line], source: str) -> GivenTable:
    found = next(
        ((at, columns) for at, (_, cells) in enumerate(lines[:_LINES_BEFORE_HEADING])
         if (columns := _columns(cells))), None,
    )  # fmt: skip
    if found is None:
        seen = ", ".join(f"'{c}'" for c in lines[0][1][:6])
        raise BadData(
            f"{source} has no heading that says what its columns are; its first row is {seen}. "
            f"{_what_is_read()}"
        )
    at, columns = found
    head = lines[at][1]
    if len(head) < 2:
        raise BadData(
            f"{source} has only one column, '{head[0]}'. Put a comma, a semicolon or a tab between "
            f"the columns. {_what_is_read()}"
        )
    layer = _layer_column(head, columns, lines[at + 1 :])
    rows = []
    for line, raw in lines[at + 1 :]:
        cells = _fitting(_total_of_summary(raw, columns), len(head), line, source)
        if not any(cells):
            continue
        rows.append(GivenRow(
            line=line, label=cells[layer] if layer is not None else "",
            cells={quantity: cells[column] for quantity, column in columns.items()},
        ))  # fmt: skip
    if not rows:
        raise BadData(f"{source} has headings but no row below them. {_what_is_read()}")
    used = {layer, *columns.values()}
    return GivenTable(
        source=source, rows=tuple(rows), headings={q: head[c] for q, c in columns.items()},
        ignored=tuple(h for c, h in enumerate(head) if c not in used and h),
    )  # fmt: skip


def _columns(head: Sequence[str]) -> dict[Quantity, int]:
    """Which column holds what; empty for a row that is no heading."""
    found: dict[Quantity, int] = {}
    for column, heading in enumerate(head):
        quantity = meaning(heading)
        if quantity is not None and quantity not in found:
            found[quantity] = column
    if not found:
        return {}
    labelled = any(_LAYER.search(heading) for heading in head)
    numbers = sum(any(c.isdigit() for c in heading) for heading in head)
    if not labelled and numbers * 2 >= len(head):
        return {}  # a row of data that happens to name something
    # "Weights" alone are the parameters; beside biases or parameters they are what they say.
    if "weights" in found and not {"parameters", "biases"} & set(found):
        found["parameters"] = found.pop("weights")
    return found


def meaning(heading: str) -> Quantity | None:
    """What a column of this heading holds, spelling mistakes allowed; None for nothing graded."""
    text = heading.lower().strip()
    for quantity, pattern in _MEANINGS:
        if re.search(pattern, text):
            return quantity
    for word in re.findall(r"[a-z]{5,}", text):
        close = nearest(word, _WORDS)
        if close is not None and _alike(word, close):
            return meaning(close) if close != "layer" else None
    return None


def _alike(a: str, b: str) -> bool:
    """At most every fourth letter differs."""
    return difflib.SequenceMatcher(None, a, b).ratio() >= 0.8


def _layer_column(
    head: Sequence[str], columns: dict[Quantity, int], lines: Sequence[Line]
) -> int | None:
    """The column with the names of the layers: by its heading, else the first one of words."""
    free = [c for c in range(len(head)) if c not in columns.values()]
    for column in free:
        if _LAYER.search(head[column]):
            return column
    for column in free:
        texts = [cells[column] for _, cells in lines if column < len(cells) and cells[column]]
        if texts and sum(bool(re.search("[A-Za-z]{2}", t)) for t in texts) * 2 > len(texts):
            return column
    return None


def _total_of_summary(cells: list[str], columns: dict[Quantity, int]) -> list[str]:
    """'Total params: 138,357,544', as frameworks end their summaries, as a row of the table."""
    text = ",".join(cells).strip(", ")
    if re.match(r"(?:non-)?trainable params", text, re.IGNORECASE):
        return []
    found = re.fullmatch(r"total params:\s*(\d[\d,]*).*", text, re.IGNORECASE)
    if found is None or "parameters" not in columns:
        return cells
    row = ["Total"] + [""] * columns["parameters"]
    row[columns["parameters"]] = found[1]
    return row


def _fitting(cells: list[str], width: int, line: int, source: str) -> list[str]:
    """The cells of one row; numbers such as 1,728 that lost their quotes are put together again."""
    while len(cells) > width and not cells[-1]:
        cells = cells[:-1]
    if len(cells) <= width:
        return cells + [""] * (width - len(cells))
    ways = set(_joined(tuple(cells), width)) if len(cells) - width <= MOST_JOINS else set()
    if len(ways) != 1:
        raise BadData(
            f"{source}, line {line} has {len(cells)} cells under {width} headings: "
            f'{" | ".join(cells)}. If a number has a comma in it, write it in quotes ("1,728") '
            "or without the comma."
        )
    return list(ways.pop())


def _joined(cells: tuple[str, ...], width: int) -> Iterator[tuple[str, ...]]:
    """All ways to read neighbouring cells as one number with separators of thousands."""
    if len(cells) == width:
        yield cells
        return
    for at, (left, right) in enumerate(pairwise(cells)):
        if re.search(r"(?:^|[=*≈~(]\s*)\d{1,3}(?:,\d{3})*$", left) and re.match(
            r"\d{3}(?!\d)", right
        ):
            yield from _joined((*cells[:at], f"{left},{right}", *cells[at + 2 :]), width)
