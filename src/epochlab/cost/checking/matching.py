"""Match the rows of somebody's table with those of the network, missing and added rows allowed.

The rows stay in order: of all ways to lay the two lists side by side the one with the best sum of
scores is taken (S. B. Needleman, C. D. Wunsch, Journal of Molecular Biology 48, 1970). Names of
layers count most, then kernel and number of filters, then numbers that are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from epochlab.cost.checking.reading import GivenRow
from epochlab.cost.sheet import Entry, Sheet

# Words in a label, and the kind of row that they mean. Asked in this order.
_KINDS = (
    ("total", r"total|^sum\b|sum of|^all\b|overall|altogether"),
    ("silent", r"relu|dropout|softmax|flatten|reshape|activation|sigmoid|tanh|lrn|response|"
               r"identity|view|^act\d*$|^drop\d*$|^norm\d*$|^prob$"),
    ("batch normalisation", r"batch.?norm|^bn\b|bn\d|\bbn$"),
    ("concatenation", r"concat"),
    ("input", r"^(?:input|image|data|in)\b"),
    ("after pooling", r"pool(?:ing)?.?(?:proj|projection)|after.*pool|proj"),
    ("linear", r"\bfc|^f\d|linear|dense|fully|classifier|inner.?product"),
    ("pooling", r"pool|sub.?sampl|^s\d$"),
    ("convolution", r"conv|^c\d|\d\s*x\s*\d|reduc|branch"),
    ("add", r"\badd|shortcut|residual"),
    ("output", r"^output"),
)  # fmt: skip
# Rows that a network may do without, if they are not matched: the mean over an image, the output.
_IN_PLACE = r"avg|average|adaptive|global|^output"
GAP = -1.0
"""Score of a row that stands in one of the two lists only."""
NEVER = -100.0


@dataclass(frozen=True)
class Label:
    """What the name of a row says."""

    plain: str
    kind: str = ""
    kernel: int | None = None
    filters: int | None = None


@dataclass(frozen=True)
class Match:
    """Which row of the network (its number; -1 for the total) each given row is."""

    pairs: dict[int, int]
    "given row -> row of the network"
    silent: tuple[int, ...] = ()
    "given rows of activation functions, subtotals and the like, which are not graded"
    added: tuple[int, ...] = ()
    "given rows that the network does not have"
    missing: tuple[int, ...] = ()
    "rows of the network that are not given; the input and the total never are"


TOTAL = -1


@lru_cache(maxsize=2048)
def read_label(text: str) -> Label:
    """Understand 'CONV3-64', 'conv1_1', '3x3 conv, 64', 'POOL2', 'FC 4096', 'Total'."""
    words = text.lower().replace("×", "x").strip().strip(":*").strip()
    kind = next((kind for kind, pattern in _KINDS if re.search(pattern, words)), "")
    kernel = filters = None
    if found := re.search(r"(\d+)\s*x\s*\1(?!\d)", words):
        kernel = int(found[1])
        words_left = words.replace(found[0], " ")
    elif found := re.search(r"conv\w*?\s*(\d+)\s*[-_, ]\s*(\d{2,})", words):
        kernel, words_left = int(found[1]), found[2]
    else:
        words_left = ""
    if kernel is not None and kind == "convolution":
        numbers = [int(n) for n in re.findall(r"(?<![\dx])\d+(?!\s*x)", words_left)]
        filters = numbers[-1] if numbers else None
    return Label(plain_name(words), kind, kernel, filters)


@lru_cache(maxsize=4096)
def plain_name(text: str) -> str:
    """'Conv 1' and 'conv1' alike; 'conv1_1' and 'conv11' not."""
    joined = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return re.sub(r"(?<=[a-z])-(?=\d)", "", joined)


def match_rows(
    rows: Sequence[GivenRow], sheet: Sheet, right_cells: Callable[[int, int], float]
) -> Match:
    """Lay the given rows beside the network's.

    `right_cells(i, j)` says how many cells of given row i are right if it is row j.
    """
    labels = [read_label(row.label) for row in rows]
    totals = [i for i, label in enumerate(labels) if label.kind == "total"]
    silent = [i for i, label in enumerate(labels) if _is_silent(label, rows[i], sheet)]
    silent += totals[:-1]
    left_out = {*totals[-1:], *silent}
    given = [i for i in range(len(rows)) if i not in left_out]
    scores = [
        [_score(labels[i], entry, partial(right_cells, i, j))
         for j, entry in enumerate(sheet.entries)]
        for i in given
    ]  # fmt: skip
    pairs = {given[i]: j for i, j in _in_order(scores)}
    _out_of_order(pairs, given, scores)
    if totals:
        pairs[totals[-1]] = TOTAL
    taken = set(pairs.values())
    silent += [i for i in given if i not in pairs and re.search(_IN_PLACE, rows[i].label.lower())]
    return Match(
        pairs=dict(sorted(pairs.items())), silent=tuple(sorted(silent)),
        added=tuple(i for i in given if i not in pairs and i not in silent),
        missing=tuple(j for j, entry in enumerate(sheet.entries)
                      if j not in taken and entry.kind != "input"),
    )  # fmt: skip


def _is_silent(label: Label, row: GivenRow, sheet: Sheet) -> bool:
    """ReLU, dropout and the like unless the network has such a row; and titles of blocks."""
    if any(_is_named(label, entry) for entry in sheet.entries):
        return False
    return label.kind == "silent" or (not label.kind and not any(row.cells.values()))


def _is_named(label: Label, entry: Entry) -> bool:
    return bool(label.plain) and any(label.plain == plain_name(n)
                                     for n in (entry.label, *entry.names))  # fmt: skip


def _score(label: Label, entry: Entry, right_cells: Callable[[], float]) -> float:
    """How well a given row fits a row of the network."""
    if _is_named(label, entry):
        score = 5.0
    elif not label.kind:
        score = 0.5
    else:
        kinds = {"after pooling": ("convolution",), "output": ("concatenation", "linear")}
        kind = "pooling" if entry.pools else entry.kind
        if kind not in kinds.get(label.kind, (label.kind,)):
            return NEVER
        score = 2.0
        if label.kernel is not None and entry.kernel:
            score += 1.0 if label.kernel == entry.kernel[0] else -4.0
        if label.filters is not None and entry.kind == "convolution":
            score += 1.0 if label.filters == entry.output_shape[0] else -2.0
    return score + min(right_cells(), 2.0)


def _in_order(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs of the best alignment of both lists."""
    if not scores:
        return []
    rows, columns = len(scores), len(scores[0])
    best = [[GAP * (i + j) for j in range(columns + 1)] for i in range(rows + 1)]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            best[i][j] = max(
                best[i - 1][j - 1] + scores[i - 1][j - 1], best[i - 1][j] + GAP,
                best[i][j - 1] + GAP,
            )  # fmt: skip
    pairs, i, j = [], rows, columns
    while i and j:
        if best[i][j] == best[i - 1][j - 1] + scores[i - 1][j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i][j] == best[i][j - 1] + GAP:
            j -= 1
        else:
            i -= 1
    return pairs[::-1]


def _out_of_order(
    pairs: dict[int, int], given: Sequence[int], scores: Sequence[Sequence[float]]
) -> None:
    """Rows that are left over on both sides and bear each other's name, wherever they stand."""
    for place, i in enumerate(given):
        if i in pairs:
            continue
        free = [j for j in range(len(scores[place])) if j not in pairs.values()]
        fitting = [j for j in free if scores[place][j] >= 3.0]
        if fitting:
            pairs[i] = max(fitting, key=lambda j: scores[place][j])
