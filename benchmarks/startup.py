"""How long until a command answers: whole processes, from their start to their end.

python benchmarks/startup.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from epochlab.table import Column, Table
from epochlab.train.clocks import SPOILED_WAIT_SHARE
from measuring import Contestant, Timed, interleaved, plain_times, quartiles, save

LIMIT_S = 0.15
"most that a command may take that only looks things up"
RERUN_LIMIT_S = 1.0
"most that a finished study may take beyond that"
QUICK = {"epochlab --help": ("--help",), "epochlab list optimizers": ("list", "optimizers")}
RERUN = "epochlab study run, nothing to train"

# Started by a small process, because Linux counts the memory of the one that starts it as well.
LAUNCHER = """
import json, os, sys, time
out = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
began = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
wall = time.perf_counter() - began
try:
    waited = int(open(f"/proc/{pid}/schedstat").read().split()[1]) / 1e9
except OSError:
    waited = 0.0
_, status, used = os.wait4(pid, 0)
os.write(out, json.dumps([status, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024,
                          waited]).encode())
"""


class Process:
    """A command as a contestant; keeps the memory of each of its runs."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self.peak_bytes: list[int] = []

    def __call__(self, number: int) -> Timed:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", LAUNCHER, *self.command],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        status, wall, cpu, peak_bytes, waited = json.loads(done.stdout)
        if status:
            raise RuntimeError(f"{self.command} failed: {done.stderr}")
        self.peak_bytes.append(peak_bytes)
        return Timed(wall, cpu, waited > SPOILED_WAIT_SHARE * wall)


def processes(store: Path) -> dict[str, Process]:
    """What is started, by name; the study's runs and report are in `store` already."""
    script = Path(sys.executable).with_name("epochlab")
    own = [str(script)] if script.exists() else [sys.executable, "-m", "epochlab"]
    study = ("study", "run", "lr-range", "--preset", "digits", "--store", str(store))
    subprocess.run([*own, *study], check=True, stdout=subprocess.DEVNULL)
    return {
        "python -c pass": Process([sys.executable, "-c", "pass"]),
        **{name: Process([*own, *words]) for name, words in QUICK.items()},
        RERUN: Process([*own, *study]),
        "python -c 'import torch'": Process([sys.executable, "-c", "import torch"]),
    }


def startup_table(times: Mapping[str, Sequence[Timed]], started: Mapping[str, Process]) -> Table:
    """Seconds and memory of each command, and whether the limits are kept."""
    rows = []
    for name, own in times.items():
        clean = [t for t in own if not t.spoiled] or list(own)
        low, middle, high = quartiles([t.wall_s for t in clean])
        rows.append({
            "command": name, "wall": middle, "quartile 1": low, "quartile 3": high,
            "CPU": quartiles([t.cpu_s for t in clean])[1],
            "peak memory": max(started[name].peak_bytes) / 1e6,
            "runs": len(clean), "spoiled": sum(t.spoiled for t in own),
        })  # fmt: skip
    wall = {row["command"]: row["wall"] for row in rows}
    notes = []
    for name in QUICK:
        met = "met" if wall[name] <= LIMIT_S else "NOT met"
        notes.append(f"{name}: at most {LIMIT_S:g} s are wanted, {wall[name]:.3f} s, {met}.")
    beyond = wall[RERUN] - wall["epochlab --help"]
    met = "met" if beyond <= RERUN_LIMIT_S else "NOT met"
    notes.append(f"{RERUN}: at most {RERUN_LIMIT_S:g} s beyond '--help' are wanted, "
                 f"{beyond:.3f} s, {met}.")  # fmt: skip
    seconds = [Column(name=n, unit="s", format=".3f")
               for n in ("wall", "quartile 1", "quartile 3", "CPU")]  # fmt: skip
    return Table.of(
        "From start to end of a process", rows, notes=tuple(notes),
        columns=("command", *seconds, Column(name="peak memory", unit="MB", format=".1f"),
                 "runs", "spoiled"),
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        started = processes(Path(folder) / "store")
        contestants: dict[str, Contestant] = dict(started)
        times = interleaved(contestants, given.rounds)
    table = startup_table(times, started)
    print(table.text())
    if given.json:
        save(given.json, [table], plain_times(times))


if __name__ == "__main__":
    main()
