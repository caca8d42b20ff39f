"""What a loop adds to a step: ours, the leanest plain one and the peers', side by side in one run.

python benchmarks/overhead.py [--rounds N] [--turns N] [--only lenet,...] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from contestants import Work, everyone, ours, plain
from epochlab.datasets import Data
from epochlab.datasets.digits import Digits
from epochlab.datasets.lookalike import Lookalike
from epochlab.networks import Network
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.mlp import Mlp
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.optimizers.sgd import Sgd
from epochlab.table import Column, Table
from epochlab.train.execute import execute
from epochlab.train.store import Store
from epochlab.train.trial import Trial
from measuring import (
    Stopwatch,
    Timed,
    compared,
    interleaved,
    median_interval,
    plain_times,
    quartiles,
    save,
)
from turns import Shared, taking_turns

LIMIT = 1.02
"most that our loop may take, as a multiple of the plain loop, where a step does real work"
TRIVIAL_LIMIT_MS = 5.0
"most that a trial of one step may take, from the call to the finished run"
TRIVIAL_TRIALS = 100
TURN_S = 0.05
"about how long one of two loops runs before it is the other's turn"


def _work(name: str, network: Network, data: Data, dataset: Digits | Lookalike, batch: int,
          epochs: int) -> Work:  # fmt: skip
    trial = Trial(network=network, data=dataset, optimizer=Sgd(lr=0.01, momentum=0.9),
                  batch=batch, epochs=epochs, evaluate=())  # fmt: skip
    return Work(name, trial, data)


def workloads() -> dict[str, Work]:
    """Three kinds of steps: of the usual size, tiny, and large."""
    fashion = Lookalike(kind="fashion", size=64 * 100)
    cifar = Lookalike(kind="cifar", size=128 * 8)
    digits = Digits()
    return {
        "lenet": _work("LeNet-5, batch 64, images 28x28", Lenet5(), fashion.load(), fashion, 64, 3),
        "mlp": _work("MLP 64-64-10, batch 32, digits", Mlp(hidden=(64,)), digits.load(), digits,
                     32, 20),
        "resnet": _work("ResNet-20, batch 128, images 32x32", ResNetCifar(depth=20), cifar.load(),
                        cifar, 128, 1),
    }  # fmt: skip


def trivial_trials(count: int) -> tuple[Table, list[Timed]]:
    """One epoch of one step on 8 samples in a warm process: what a run costs beside its steps."""
    dataset = Lookalike(kind="fashion", size=8)
    data = dataset.load()
    times = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for number in range(count + 5):
            trial = Trial(network=Mlp(hidden=(16,)), data=dataset, batch=8, epochs=1, seed=number)
            watch = Stopwatch()
            watch.start()
            run = execute(store, trial, data)
            watch.stop()
            assert run.status == "done" and len(run.steps) == 1
            assert watch.timed is not None
            times.append(watch.timed)
    times = times[5:]  # the first ones load what is loaded once per process
    rows = []
    for name, values in (("wall", [t.wall_s for t in times]), ("CPU", [t.cpu_s for t in times])):
        low, middle, high = quartiles([v * 1e3 for v in values])
        rows.append({"clock": name, "median": middle, "quartile 1": low, "quartile 3": high,
                     "least": min(values) * 1e3, "trials": len(values)})  # fmt: skip
    met = "met" if rows[0]["median"] <= TRIVIAL_LIMIT_MS else "NOT met"
    numbers = [Column(name=n, unit="ms", format=".3f")
               for n in ("median", "quartile 1", "quartile 3", "least")]  # fmt: skip
    return Table.of(
        "A whole trial of one step on 8 samples", rows, columns=("clock", *numbers, "trials"),
        notes=(f"At most {TRIVIAL_LIMIT_MS:g} ms of wall time are wanted: {met}.",),
    ), times  # fmt: skip


def turns(work: Work, rounds: int) -> tuple[Table, dict[str, list[Shared]]]:
    """Each loop against the plain one in turns of a few steps: what decides about the limit.

    The plain loop against itself shows what the method can tell apart: memory that happens to lie
    well or badly makes two equal loops differ, too.
    """
    turn_steps = max(1, round(TURN_S / seconds_per_step(work)))
    makers = {"plain loop": plain, "epochlab": ours}
    # Where the memory lies differs by round, so many short rounds tell more than a few long ones.
    work = dataclasses.replace(work, trial=dataclasses.replace(work.trial, epochs=1))
    shared: dict[str, list[Shared]] = {name: [] for name in makers}
    for number in range(1, rounds + 1):
        for name, maker in makers.items():
            loops = [lambda tick, maker=m, number=number:
                     maker(dataclasses.replace(work, tick=tick))(number)
                     for m in (plain, maker)]  # fmt: skip
            # Who comes first has a small handicap, so they change places.
            if number % 2:
                shared[name].append(taking_turns(loops[0], loops[1], turn_steps))
            else:
                shared[name].append(taking_turns(loops[1], loops[0], turn_steps).swapped())
    rows = []
    for name, own in shared.items():
        ratios = [s.ratio for s in own]
        low, middle, high = quartiles(ratios)
        least, most = median_interval(ratios)
        rows.append({
            "contestant": name, "ratio": middle, "95 % from": least, "95 % to": most,
            "quartile 1": low, "quartile 3": high,
            "rounds": rounds, "turns per round": len(own[0].first_s), "steps per turn": turn_steps,
        })  # fmt: skip
    met = "met" if rows[1]["ratio"] <= LIMIT else "NOT met"
    numbers = [Column(name=n, format=".4f")
               for n in ("ratio", "95 % from", "95 % to", "quartile 1", "quartile 3")]  # fmt: skip
    return Table.of(
        f"{work.name}: time over that of the plain loop, taking turns", rows,
        columns=("contestant", *numbers, "rounds", "turns per round", "steps per turn"),
        notes=(f"At most {LIMIT:g} is wanted of epochlab: {met}.",),
    ), shared  # fmt: skip


def seconds_per_step(work: Work) -> float:
    """A first look, for choosing the length of a turn."""
    return plain(work)(0).wall_s / work.steps


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turns", type=int, default=60, help="rounds in which two loops alternate")
    parser.add_argument("--threads", type=int, default=1, help="per loop; studies train with one")
    parser.add_argument("--only", default="lenet,mlp,resnet,trivial", help="workloads, with commas")
    parser.add_argument("--contestants", help="with commas; the plain loop is always there")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    wanted = given.only.split(",")
    makers = everyone()
    if given.contestants:
        chosen = ["plain loop", *given.contestants.split(",")]
        makers = {name: maker for name, maker in makers.items() if name in chosen}
    tables: list[Table] = []
    raw: dict[str, Any] = {}
    for short, work in workloads().items():
        if short not in wanted:
            continue
        runners = {name: maker(work) for name, maker in makers.items()}
        times = interleaved(runners, given.rounds)
        title = f"{work.name}: {work.steps} steps per round, threads: {given.threads}"
        table = compared(title, times, "plain loop", work.steps, "step")
        tables.append(table)
        raw[short] = plain_times(times)
        print(table.text(), flush=True)
        if short != "mlp":
            table, shared = turns(work, given.turns)
            tables.append(table)
            raw[f"{short}, turns"] = {n: [asdict(s) for s in own] for n, own in shared.items()}
            print(table.text())
        print(flush=True)
    if "trivial" in wanted:
        table, trials = trivial_trials(TRIVIAL_TRIALS)
        tables.append(table)
        raw["trivial"] = plain_times({"epochlab": trials})
        print(table.text())
    if given.json:
        save(given.json, tables, raw)


if __name__ == "__main__":
    main()
