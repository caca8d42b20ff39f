"""Side-by-side timing on a shared machine: interleaved, with spread, spoiled rounds marked."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from epochlab.table import Column, Table
from epochlab.train import record
from epochlab.train.clocks import Contention

# With fewer clean rounds than this the spoiled ones are used as well, and the table says so.
ENOUGH_CLEAN = 5


@dataclass(frozen=True)
class Timed:
    """What one contestant took in one round."""

    wall_s: float
    cpu_s: float
    "of all threads of this process"
    spoiled: bool
    "our threads stood ready but waited for a core for too much of the time"


class Stopwatch:
    """Times what lies between `start` and `stop`."""

    def __init__(self) -> None:
        self._watch: Contention | None = None
        self.timed: Timed | None = None

    def start(self) -> None:
        self._watch = Contention()

    def stop(self) -> None:
        assert self._watch is not None
        seen = self._watch.since()
        self.timed = Timed(seen["wall_s"], seen["cpu_s"], bool(seen["spoiled"]))


Contestant = Callable[[int], Timed]
"""Does the work once, given the number of the round, and says what it took."""


def interleaved(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[Timed]]:
    """Time everyone once per round, each round beginning with another one, after one warm-up round.

    So a slow drift of the machine meets all alike, and values of one round can be paired.
    """
    names = list(contestants)
    for name in names:
        contestants[name](0)
    times: dict[str, list[Timed]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(contestants[name](number))
    return times


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile; of a single value, that value three times."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the true median lies with at least 95 %: order statistics, as in the sign test."""
    ordered, n = sorted(values), len(values)
    below = 0
    while 2 * sum(math.comb(n, k) for k in range(below + 1)) <= 0.05 * 2**n:
        below += 1
    return ordered[max(0, below - 1)], ordered[min(n - 1, n - below)]


def compared(
    title: str, times: Mapping[str, Sequence[Timed]], reference: str, per: float, unit: str
) -> Table:
    """Time per `unit` of everyone (`per` of them a round), and ratios to `reference` by round."""
    rows = []
    remarks = []
    for name, own in times.items():
        pairs = list(zip(own, times[reference], strict=True))
        clean = [(a, b) for a, b in pairs if not (a.spoiled or b.spoiled)]
        used = clean if len(clean) >= min(ENOUGH_CLEAN, len(pairs)) else pairs
        if len(used) > len(clean):
            remarks.append(f"{name}: too few clean rounds, spoiled ones are used as well.")
        low, middle, high = quartiles([a.wall_s / per * 1e3 for a, _ in used])
        ratio_low, ratio, ratio_high = quartiles([a.wall_s / b.wall_s for a, b in used])
        rows.append({
            "contestant": name, f"wall per {unit}": middle, "quartile 1": low, "quartile 3": high,
            f"CPU per {unit}": quartiles([a.cpu_s / per * 1e3 for a, _ in used])[1],
            "wall ratio": ratio, "ratio q1": ratio_low, "ratio q3": ratio_high,
            "CPU ratio": quartiles([a.cpu_s / b.cpu_s for a, b in used])[1],
            "rounds": len(used), "spoiled": len(pairs) - len(clean),
        })  # fmt: skip
    milliseconds = (f"wall per {unit}", "quartile 1", "quartile 3", f"CPU per {unit}")
    ratios = ("wall ratio", "ratio q1", "ratio q3", "CPU ratio")
    columns = [Column(name="contestant"),
               *(Column(name=n, unit="ms", format=".3f") for n in milliseconds),
               *(Column(name=n, format=".4f") for n in ratios),
               Column(name="rounds"), Column(name="spoiled")]  # fmt: skip
    notes = (f"Medians over interleaved rounds; ratios to '{reference}' are paired by round.",
             *remarks)  # fmt: skip
    return Table.of(title, rows, columns=columns, notes=notes)


def plain_times(times: Mapping[str, Sequence[Timed]]) -> dict[str, list[dict[str, Any]]]:
    """Every single measurement as JSON data."""
    return {name: [asdict(timed) for timed in own] for name, own in times.items()}


def save(path: Path, tables: Sequence[Table], raw: Any) -> None:
    """Tables, every measurement, and the machine they come from, as one JSON file."""
    content = {
        "machine": record.machine(), "versions": record.versions(), "git": record.git_state(),
        "tables": [json.loads(table.json()) for table in tables], "measurements": raw,
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
