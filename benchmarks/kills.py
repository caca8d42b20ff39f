"""Kill a study with SIGKILL a hundred times; compare what is left with an undisturbed one.

python benchmarks/kills.py [--kills N] [--seed N] [--keep DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from epochlab.table import Column, Table
from measuring import quartiles, save

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.train import killing

EPOCHS_PER_KILL = 1.5
"so that the study outlives its kills"


def kill_table(kills: Sequence[killing.Kill]) -> Table:
    """How often what was found at work, by when and whom the kill was meant to hit."""
    counts = Counter((kill.moment, kill.whole, kill.found) for kill in kills)
    rows = [{"moment": moment, "killed": "whole group" if whole else "parent only",
             "found": found, "kills": counts[moment, whole, found]}
            for moment, whole, found in sorted(counts)]  # fmt: skip
    seconds = quartiles([kill.seconds for kill in kills])
    return Table.of(
        f"{len(kills)} kills, each of a living process", rows,
        columns=("moment", "killed", "found", Column(name="kills")),
        notes=(f"Seconds from start to kill: median {seconds[1]:.1f}, quartiles {seconds[0]:.1f} "
               f"and {seconds[2]:.1f}.",),
    )  # fmt: skip


def comparison(store: Path, whole: Path, again: str) -> Table:
    """What the kills left behind; every line must be none."""
    different, miscounted = killing.differences(store, whole), killing.miscounted(store)
    trained_again = [] if "no step was trained" in again else [again]
    log = store.with_name(store.name + ".log").read_text()
    rows = [
        {"found": "files that differ from the undisturbed store's, missing or left over",
         "count": len(different)},
        {"found": "runs whose clock does not count each step once", "count": len(miscounted)},
        {"found": "finished runs written to again", "count": 0},  # kill_often asserts it
        {"found": "further runs of the command that trained", "count": len(trained_again)},
        {"found": "tracebacks printed by parents or workers", "count": log.count("Traceback")},
    ]  # fmt: skip
    return Table.of("Left behind", rows, columns=("found", Column(name="count")),
                    notes=tuple(different[:20]))  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder for both stores")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(words)
    options = ("--epochs", str(max(25, round(EPOCHS_PER_KILL * given.kills))))
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=given.keep is None)
        whole, store = folder / "whole", folder / "killed"
        began = time.monotonic()
        killing.run_to_end(whole, *options)
        print(f"undisturbed: {time.monotonic() - began:.0f} s", file=sys.stderr)
        kills = []
        for kill in killing.kill_often(store, given.kills, given.seed, *options):
            kills.append(kill)
            whom = "group" if kill.whole else "parent"
            print(f"{len(kills):4}  {kill.moment:16}  {whom:6} {kill.seconds:5.1f} s  {kill.found}",
                  file=sys.stderr, flush=True)  # fmt: skip
        left = comparison(store, whole, killing.run_to_end(store, *options))
    tables = (kill_table(kills), left)
    print("\n\n".join(table.text() for table in tables))
    if given.json:
        save(given.json, tables, [asdict(kill) for kill in kills])
    return int(any(left.column("count")))


if __name__ == "__main__":
    sys.exit(main())
