"""Our analysis of a network's cost against its peers, over networks and probes nobody here chose.

python benchmarks/analysis/run.py [--only timm/resnet18,transformers] [--peers epochlab,fvcore]
                                  [--skip probes,networks,published,times] [--rounds N] [--jobs N]
                                  [--json FILE] [--readme FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examine import Examined, Probed, examine_all, probe_all
from forked import forked_all
from peers import NOT_TO_BE_HAD, PEERS, Counter
from probes import probes
from published import Published, comparisons
from tables import (
    counters_table,
    differences_table,
    failures_table,
    meta_table,
    probes_table,
    published_table,
    times_table,
)
from timing import TIMED, Times, timed_all
from vision_import import import_torchvision
from zoo import Architecture, zoo

from epochlab.table import Table
from epochlab.train import record

PARTS = ("probes", "networks", "published", "times")


def chosen(words: str, architectures: Sequence[Architecture]) -> list[Architecture]:
    """Those named, or all of the packages or tasks named; everything for no words."""
    wanted = {word for word in words.split(",") if word}
    known = {w for one in architectures for w in (one.name, one.package, one.task)}
    if unknown := wanted - known:
        raise SystemExit(f"No such architecture, package or task: {', '.join(sorted(unknown))}.")
    return [one for one in architectures
            if not wanted or wanted & {one.name, one.package, one.task}]  # fmt: skip


def counters(words: str) -> tuple[list[Counter], dict[str, str]]:
    """Peers that can be used, and why the others cannot."""
    wanted = {word.strip() for word in words.split(";") if word.strip()}
    present: list[Counter] = []
    absent = dict(NOT_TO_BE_HAD)
    for counter in PEERS:
        if wanted and not wanted & {counter.name, counter.distribution}:
            continue
        if reason := counter.absence():
            absent[counter.name] = reason
        else:
            present.append(counter)
    return present, absent


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="names, packages or tasks, by commas")
    parser.add_argument("--peers", default="", help="names of counters, by semicolons")
    parser.add_argument("--skip", default="", help=f"of {', '.join(PARTS)}, by commas")
    parser.add_argument("--rounds", type=int, default=9, help="of the timing")
    parser.add_argument("--jobs", type=int, default=2, help="networks counted side by side")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--readme", type=Path, metavar="FILE",
                        help="put the main tables below its heading 'Result'")  # fmt: skip
    given = parser.parse_args(words)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import_torchvision()
    present, absent = counters(given.peers)
    architectures = chosen(given.only, zoo())
    # Children share this process's memory as long as nobody touches it.
    gc.collect()
    gc.freeze()
    skipped = set(given.skip.split(","))
    began = time.perf_counter()
    print(f"{len(architectures)} architectures, {len(present)} counters", flush=True)
    for name, reason in absent.items():
        print(f"absent: {name}: {reason}", flush=True)
    probed = [] if "probes" in skipped else _probes(present, given.jobs)
    examined = [] if "networks" in skipped else _networks(architectures, present, given.jobs)
    compared = [] if "published" in skipped else _published(given.only, given.jobs)
    times = [] if "times" in skipped else _times(architectures, present, given, examined)
    tables = [
        *([counters_table(present, examined, probed, times)] if examined or probed else []),
        *([times_table(times)] if times else []),
        *([probes_table(probed, present)] if probed else []),
        *([differences_table(examined, present), failures_table(examined, present),
           meta_table(examined)] if examined else []),
        *([published_table(compared)] if compared else []),
    ]  # fmt: skip
    for table in tables:
        print()
        print(table.text())
    print(f"\n{(time.perf_counter() - began) / 60:.1f} minutes")
    if given.readme:
        short = [tables[0], *([times_table(times)] if times else []),
                 differences_table(examined, present, least=5), failures_table(examined, present),
                 *([published_table(compared)] if compared else [])]  # fmt: skip
        _result(given.readme, short, len(architectures), time.perf_counter() - began)
    if given.json:
        _save(given.json, tables, probed, examined, compared, times, present, absent)


def _told(done: int, of: int, name: str, began: float) -> None:
    if sys.stderr.isatty() or done % 25 == 0 or done == of:
        print(f"{time.perf_counter() - began:6.0f} s  {done}/{of}  {name}", file=sys.stderr)


def _probes(present: Sequence[Counter], jobs: int) -> list[Probed]:
    began, found = time.perf_counter(), []
    for one in probe_all(probes(), present, jobs):
        found.append(one)
        _told(len(found), len(probes()), one.name, began)
    order = [one.name for one in probes()]
    return sorted(found, key=lambda one: order.index(one.name))


def _networks(
    architectures: Sequence[Architecture], present: Sequence[Counter], jobs: int
) -> list[Examined]:
    began, found = time.perf_counter(), []
    for one in examine_all(architectures, present, jobs):
        found.append(one)
        _told(len(found), len(architectures), one.name, began)
    return sorted(found, key=lambda one: one.name)


def _published(only: str, jobs: int) -> list[Published]:
    began = time.perf_counter()
    works = {name: work for name, work in comparisons().items()
             if not only or {name, name.partition("/")[0]} & set(only.split(","))}  # fmt: skip
    found = []
    for name, outcome in forked_all(works, 120, jobs):
        if outcome.ok:
            found.append(outcome.value)
        else:
            print(f"not compared: {name}: {outcome.reason}")
        _told(len(found), len(works), name, began)
    return sorted(found, key=lambda one: one.name)


def _times(architectures: Sequence[Architecture], present: Sequence[Counter],
           given: argparse.Namespace, examined: Sequence[Examined]) -> list[Times]:  # fmt: skip
    chosen_ones = [one for one in architectures if one.name in TIMED]
    known = {one.name: one for one in examined} or {
        one.name: one for one in examine_all(chosen_ones, present, given.jobs)
    }
    failed = {name: {counter for counter, said in one.counts.items() if said.reason}
              for name, one in known.items()}  # fmt: skip
    began = time.perf_counter()
    found = []
    for one in timed_all(chosen_ones, present, given.rounds, failed):
        found.append(one)
        _told(len(found), len(chosen_ones), one.name, began)
    return found


def _result(path: Path, tables: Sequence[Table], networks: int, wall_s: float) -> None:
    kept = path.read_text(encoding="utf-8").partition("## Result")[0].rstrip()
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    said = (f"{networks} networks in {wall_s / 60:.0f} minutes on {os.cpu_count()} cores; load "
            f"average at the end {load} (1, 5, 15 minutes).")  # fmt: skip
    body = "\n\n".join(table.markdown() for table in tables)
    path.write_text(f"{kept}\n\n## Result\n\n{said}\n\n{body}\n", encoding="utf-8")


def _save(path: Path, tables: Sequence[Table], probed: Sequence[Probed],
          examined: Sequence[Examined], compared: Sequence[Published], times: Sequence[Times],
          present: Sequence[Counter], absent: dict[str, str]) -> None:  # fmt: skip
    content: dict[str, Any] = {
        "machine": record.machine(), "versions": record.versions(), "git": record.git_state(),
        "counters": {one.name: one.version() for one in present}, "absent": absent,
        "tables": [json.loads(table.json()) for table in tables],
        "probes": [asdict(one) for one in probed],
        "networks": [one.plain() for one in examined],
        "published": [asdict(one) for one in compared], "times": [asdict(one) for one in times],
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
