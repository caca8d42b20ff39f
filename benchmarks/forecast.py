"""Is the forecast of a run's end right? Recorded curves are replayed, blind to their rest.

    python benchmarks/forecast.py --store DIR

Trains what DIR does not hold yet: real data, small networks, one thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from epochlab.datasets import Dataset
from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.digits import Digits
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.forecast.curve import KINDS
from epochlab.forecast.families import FAMILIES
from epochlab.forecast.learn import learn
from epochlab.forecast.priors import FILE, shipped, written
from epochlab.forecast.replay import (
    OURS,
    SHARES,
    Case,
    End,
    Recorded,
    calibrated,
    replayed,
    replays,
    stretch,
)
from epochlab.forecast.sources import curve_of_run, quantities
from epochlab.networks import Network
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.linear import Linear
from epochlab.networks.mlp import Mlp
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.networks.simple_nn import SimpleNN
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules import Schedule
from epochlab.schedules.cosine import Cosine
from epochlab.schedules.cyclical import Cyclical
from epochlab.schedules.multistep import Multistep
from epochlab.schedules.step_decay import StepDecay
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.run import Run, load_run
from epochlab.train.store import Store
from epochlab.train.trial import Trial

QUANTITIES = ("running_loss", "test_loss", "running_accuracy", "test_accuracy")
DIGITS = Digits()
FASHION = FashionMnist(train_samples=2000, test_samples=2000)
CIFAR = Cifar10(train_samples=2000, test_samples=2000)

# Network, data, optimizer (its rate is the recipe's high one), epochs, how many seeds.
TRAINED: tuple[tuple[Network, Dataset, Optimizer, int, int], ...] = (
    (Linear(), DIGITS, Sgd(lr=0.02), 60, 2),
    (Mlp(hidden=(64,)), DIGITS, Sgd(lr=0.01, momentum=0.9), 60, 2),
    (Mlp(hidden=(64,)), DIGITS, Adam(lr=0.001), 60, 2),
    (Linear(), FASHION, Sgd(lr=0.01), 60, 2),
    (Mlp(hidden=(128,)), FASHION, Sgd(lr=0.005, momentum=0.9), 60, 2),
    (Mlp(hidden=(128,)), FASHION, Rmsprop(lr=0.0003), 60, 2),
    (Lenet5(), FASHION, Sgd(lr=0.01, momentum=0.9), 40, 2),
    (Lenet5(), FASHION, Adam(lr=0.001), 40, 1),
    (Linear(), CIFAR, Sgd(lr=0.005), 60, 2),
    (Mlp(hidden=(256, 128)), CIFAR, Sgd(lr=0.005, momentum=0.9), 50, 1),
    (Mlp(hidden=(256, 128)), CIFAR, Adam(lr=0.0002), 50, 1),
    (SimpleNN(), CIFAR, Sgd(lr=0.01, momentum=0.9), 40, 1),
    (Lenet5(), CIFAR, Sgd(lr=0.005, momentum=0.9), 40, 1),
    (ResNetCifar(depth=8, width=8), CIFAR, Sgd(lr=0.05, momentum=0.9), 30, 1),
)  # fmt: skip


def recipes(high: float, epochs: int) -> Iterator[float | Schedule]:
    """Learning rates of the runs of a family, the highest being `high`."""
    yield high
    yield Multistep(start=high, drops=(epochs * 0.5, epochs * 0.75))
    yield Cosine(high=high)
    yield Cyclical(low=high / 10, high=high, half_cycle_epochs=epochs / 10)
    yield StepDecay(start=high, factor=0.3, every_epochs=epochs * 0.3)
    yield high / 4


def trials() -> Iterator[Trial]:
    """Every run of the benchmark."""
    for seed in range(max(row[4] for row in TRAINED)):
        for network, data, optimizer, epochs, seeds in TRAINED:
            if seed >= seeds:
                continue
            costly = isinstance(network, ResNetCifar)
            assert isinstance(optimizer.lr, float)
            rates = list(recipes(optimizer.lr, epochs))[: 4 if costly else None]
            for rate in rates:
                yield Trial(
                    network=network, data=data, optimizer=dataclasses.replace(optimizer, lr=rate),
                    batch=50, epochs=epochs, seed=seed, evaluate=("test",),
                )  # fmt: skip


def library(stores: Sequence[str], run_keys: set[str] | None = None) -> list[Recorded]:
    """Every curve of the finished runs of some stores; a family is network, data, optimizer."""
    found = []
    for folder in stores:
        store = Store.at(folder)
        for key in sorted(store.run_keys()):
            if run_keys is not None and key not in run_keys:
                continue
            run = load_run(store, key)
            if run.status == "done":
                found += recorded(run)
    return found


def recorded(run: Run) -> list[Recorded]:
    """Training loss and error, test loss and error of one run, where they were recorded."""
    trial = run.trial
    named = [type(part).__name__ for part in (trial.network, trial.data, trial.optimizer)]
    rate = trial.optimizer.lr
    schedule = type(rate).__name__ if isinstance(rate, Schedule) else "constant"
    return [
        Recorded(family=" ".join(named), schedule=schedule, curve=curve_of_run(run, name))
        for name in QUANTITIES if name in quantities(run)
    ]  # fmt: skip


def collect(store: str) -> set[str]:
    """Train every run that the store does not hold yet; the keys of all of them."""
    lab = Lab(Store.at(store), processes=0, asked_by="forecast benchmark")
    wanted, began = list(trials()), time.perf_counter()
    for number, trial in enumerate(wanted, 1):
        lab.run_all([trial])
        if lab.trained and sys.stderr.isatty():
            print(f"\r{number} of {len(wanted)} runs", end="", file=sys.stderr)
    if lab.trained:
        print(f"{lab.trained} runs trained in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return {trial.key for trial in wanted}


def quantile(numbers: Iterable[float | None], share: float = 0.5) -> float | None:
    """Of the numbers that are there, infinite ones included; without interpolation to infinity."""
    kept = sorted(n for n in numbers if n is not None)
    return kept[min(len(kept) - 1, int(share * len(kept)))] if kept else None


def mean(truths: Iterable[bool | None]) -> float | None:
    kept = [t for t in truths if t is not None]
    return sum(kept) / len(kept) if kept else None


def no_skill(case: Case) -> float:
    """The error of one who always answers three quarters of the plan."""
    return abs(0.75 * case.recorded.curve.end - case.true) / case.true


def clipped(case: Case, method: str) -> float | None:
    """The error where 'never within the plan' is read as its last position."""
    if case.said[method] is None and method != OURS:
        return abs(case.recorded.curve.end - case.true) / case.true
    return case.error(method)


def targets_table(cases: Sequence[Case], share: float, level_of: str) -> Table:
    """One row per method: errors of the position of the targets of one sort from one share."""
    chosen = [c for c in cases if c.share == share and c.level_of == level_of]
    rows = []
    for method in (OURS, *FAMILIES):
        errors = [c.error(method) for c in chosen]
        rows.append({
            "method": method, "median error": quantile(errors),
            "upper quartile": quantile(errors, 0.75),
            "median, never = end": quantile(clipped(c, method) for c in chosen),
            "says never": mean(e == math.inf for e in errors if e is not None) or 0.0,
            "refuses": mean(e is None for e in errors),
            "band covers": mean(c.covered for c in chosen) if method == OURS else None,
        })  # fmt: skip
    guess = quantile(map(no_skill, chosen))
    rows.append({"method": "always 3/4 of the plan", "median error": guess,
                 "upper quartile": quantile(map(no_skill, chosen), 0.75),
                 "median, never = end": guess, "says never": 0.0, "refuses": 0.0})  # fmt: skip
    sort = {"epochs": "the best value after 60, 80 and 95 % of the epochs",
            "fall": "60, 70, 80, 90, 95 and 98 % of the whole fall"}[level_of]  # fmt: skip
    percent = [Column(name=n, format=".1%") for n in rows[0] if n != "method"]
    return Table.of(
        f"Time to target from {share:.0%} of the epochs; targets: {sort}", rows,
        columns=("method", *percent), label="measured",
        notes=(f"{len(chosen)} targets of {len({id(c.recorded) for c in chosen})} curves of "
               f"{len({c.recorded.family for c in chosen})} families.",),
    )  # fmt: skip


def groups_table(cases: Sequence[Case], share: float) -> Table:
    """Our own method by kind of curve and by schedule, both sorts of targets."""
    rows = []
    for what, of in (("kind", lambda c: c.recorded.curve.kind),
                     ("schedule", lambda c: c.recorded.schedule),
                     ("family", lambda c: c.recorded.family)):  # fmt: skip
        for name in sorted({of(c) for c in cases}):
            same = [c for c in cases if c.share == share and of(c) == name]
            if same:
                rows.append({
                    "by": what, "group": name, "targets": len(same),
                    "median error": quantile(c.error(OURS) for c in same),
                    "Optimus": quantile(c.error("Optimus") for c in same),
                    "refuses": mean(c.band is None for c in same),
                    "band covers": mean(c.covered for c in same),
                })  # fmt: skip
    percent = [Column(name=n, format=".1%")
               for n in ("median error", "Optimus", "refuses", "band covers")]  # fmt: skip
    return Table.of(f"Our own forecast from {share:.0%} of the epochs, all targets", rows,
                    columns=("by", "group", "targets", *percent))  # fmt: skip


def ends_table(ends: Sequence[End], share: float) -> Table:
    """One row per method: relative error of the last value."""
    chosen = [e for e in ends if e.share == share]
    rows = []
    for method in (OURS, *FAMILIES):
        rows.append({
            "method": method,
            **{kind: quantile(e.error(method) for e in chosen if e.recorded.curve.kind == kind)
               for kind in KINDS},
            "band covers": mean(e.covered for e in chosen) if method == OURS else None,
        })  # fmt: skip
    percent = [Column(name=n, format=".1%") for n in (*KINDS, "band covers")]
    return Table.of(f"Median error of the last value from {share:.0%} of the epochs", rows,
                    columns=("method", *percent), notes=(f"{len(chosen)} curves.",))  # fmt: skip


def learnt(curves: Sequence[Recorded], cases: Sequence[Case], ends: Sequence[End]) -> str:
    """The text of `prior.toml`: priors from all curves, factors from replays without the family."""
    priors = {}
    for kind in KINDS:
        own = [r for r in curves if r.curve.kind == kind]
        priors[kind] = dataclasses.replace(
            learn([r.curve for r in own]),
            stretch=stretch([c for c in cases if c.recorded.curve.kind == kind]),
            value_stretch=stretch([e for e in ends if e.recorded.curve.kind == kind]),
        )  # fmt: skip
    runs = len(curves) // len(KINDS)
    return written(priors, "\n".join([
        "Priors of the schedule-aware curve and factors of its bands; see scheduled.py.",
        f"Made by: python benchmarks/forecast.py --learn, from {len(curves)} curves of {runs} runs",
        f"of {len({r.family for r in curves})} families (network, data, optimizer) on real data.",
        "bend, drop: mean and spread over the runs; walk: chosen; noise: median over the runs.",
        "stretch, value_stretch: replays of each family with a prior of the others.",
    ]))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--store", required=True, help="folder of the runs; filled where needed")
    parser.add_argument(
        "--also",
        nargs="*",
        default=[],
        help="more stores: their finished runs "
        "are forecast with the priors that are shipped, not learnt from",
    )
    parser.add_argument("--learn", action="store_true", help="write the priors that are shipped")
    parser.add_argument("--json", metavar="FILE", help="write all tables")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    curves = library([given.store], collect(given.store))
    cases, ends = replays(curves)
    if given.learn:
        FILE.write_text(learnt(curves, cases, ends), encoding="utf-8")
        print(f"written: {FILE}")
    tables = report(calibrated(cases), calibrated(ends))
    if given.also:
        cases, ends = shipped_replays(library(given.also))
        print("\nOther runs, from which nothing was learnt:")
        tables += report(cases, ends)
    if given.json:
        content = [json.loads(table.json()) for table in tables]
        Path(given.json).write_text(json.dumps(content, indent=1), encoding="utf-8")


def shipped_replays(curves: Sequence[Recorded]) -> tuple[list[Case], list[End]]:
    """Replays with the priors and factors that are shipped."""
    made = [replayed(r, share, shipped(r.curve.kind)) for r in curves for share in SHARES]
    return [c for cases, _ in made for c in cases], [e for _, ends in made for e in ends]


def report(cases: Sequence[Case], ends: Sequence[End]) -> list[Table]:
    """Print all tables."""
    tables = [targets_table(cases, s, of) for s in SHARES for of in ("epochs", "fall")]
    tables += [f(x, s) for s in SHARES for f, x in ((groups_table, cases), (ends_table, ends))]
    for table in tables:
        print()
        print(table.text())
    return tables


if __name__ == "__main__":
    main()
