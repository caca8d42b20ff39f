"""Time and cost of training with parameter servers, by the formula: rows, figures, claims."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from epochlab.evidence import Claim, Evidence, Figure, Verdict
from epochlab.figures.bars import Bars
from epochlab.figures.lines import Lines
from epochlab.hardware import Figure as Published
from epochlab.predict.optimus_speed import SynchronousSpeed, fastest
from epochlab.table import Column, Table

PARTS = ("forward: t0 M / w", "backward and constant: t1", "traffic and update: t2 w / p",
         "overhead: t3 w", "overhead: t4 p")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, on how many workers and servers it may be, and what an hour costs."""

    coefficients: tuple[float, ...]
    "t0 to t4 of equation 4"
    samples: int
    epochs: float
    target: float
    "accuracy that is reached after `epochs`"
    workers: int
    "1 to so many"
    servers: tuple[int, ...]
    batches: tuple[int, ...]
    price: Published | None = None
    "dollars of one container for one hour"
    priced: str = ""
    "whose price it is, in words"

    @property
    def goal(self) -> str:
        return f"{100 * self.target:g} % accuracy"

    @property
    def time_name(self) -> str:
        """Name of the columns with hours."""
        return f"time to {self.goal}"

    @property
    def cost_name(self) -> str:
        return "use" if self.price is None else "cost"

    @property
    def cost_unit(self) -> str:
        return "container-hours" if self.price is None else "USD"

    def model(self, batch: int) -> SynchronousSpeed:
        """Equation 4 with a batch of all workers together."""
        t0, t1, t2, t3, t4 = self.coefficients
        return SynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3, t4=t4, batch=batch)

    def steps_per_epoch(self, batch: int) -> int:
        return math.ceil(self.samples / batch)

    def hours(self, batch: int, workers: int, servers: int) -> float:
        """Epochs times steps of an epoch times seconds of a step."""
        steps = self.epochs * self.steps_per_epoch(batch)
        return steps * self.model(batch).step_seconds(workers, servers) / 3600

    def cost(self, batch: int, workers: int, servers: int) -> float:
        """Workers and servers times hours, and times the price where there is one."""
        used = (workers + servers) * self.hours(batch, workers, servers)
        return used if self.price is None else used * self.price.value

    def cost_text(self) -> str:
        """How the cost is made, with source and date of the price."""
        if self.price is None:
            return "workers plus servers times hours."
        return (
            "workers plus servers times hours times the price of "
            f"{self.priced}, {self.price.value:g} USD an hour ({self.price.source}; "
            f"{self.price.date}). The coefficients were not measured on it."
        )

    def continuous_best(self, batch: int, servers: int) -> float:
        """Where the time is least if workers could be divided; infinite if it never rises.

        The root of the derivative of t0 M / w + (t2 / p + t3) w: sqrt(t0 M / (t2 / p + t3)).
        """
        t0, _, t2, t3, _ = self.coefficients
        slope = t2 / servers + t3
        return math.sqrt(t0 * batch / slope) if slope else math.inf

    def best(self, batch: int, servers: int) -> int:
        """Number of workers with the least time, by trying all."""
        return fastest(self.model(batch), workers=range(1, self.workers + 1),
                       servers=servers).workers  # fmt: skip

    def cheapest(self, batch: int, servers: int) -> int:
        """Number of workers with the least cost, by trying all."""
        return min(range(1, self.workers + 1), key=lambda w: self.cost(batch, w, servers))


def servers_text(servers: int) -> str:
    """1 -> '1 server', 2 -> '2 servers'."""
    return f"{servers} server{'s' * (servers > 1)}"


# --- time over workers ----------------------------------------------------------------------------


def time_figure(job: Job, batch: int, what: str = "", name: str = "time") -> Figure:
    """One curve per number of servers, the optima marked; `what` ends the title."""
    rows = [{"workers": w, "servers": servers_text(p), job.time_name: job.hours(batch, w, p)}
            for p in job.servers for w in range(1, job.workers + 1)]  # fmt: skip
    best = {p: job.best(batch, p) for p in job.servers}
    ends = "; ".join(
        f"{servers_text(p)}: {w} worker{'s' * (w > 1)}, {job.hours(batch, w, p):,.1f} h"
        for p, w in best.items()
    )
    return Figure(
        table=Table.of(f"Time to {job.goal}, batch {batch}{what}", rows, label="predicted",
                       name=f"{name}-batch-{batch}", columns=(
                           "workers", "servers", Column(name=job.time_name, unit="h",
                                                        format=",.1f"))),
        drawing=Lines(x="workers", y=job.time_name, color="servers", points=True,
                      vertical=tuple((float(w), f"{servers_text(p)}: {w}")
                                     for p, w in best.items())),
        caption=f"{job.epochs:g} epochs of {job.steps_per_epoch(batch):,} steps. Least time, "
                f"dashed: {ends}. Left of it the workers compute for too long, right of it the "
                "servers are the bottleneck.",
    )  # fmt: skip


def speed_table(job: Job, batch: int) -> Table:
    """Seconds per step, steps per second and hours for every number of workers and servers."""
    rows = []
    for w in range(1, job.workers + 1):
        row: dict[str, Any] = {"workers": w}
        for p in job.servers:
            model = job.model(batch)
            row[f"step, p = {p}"] = model.step_seconds(w, p)
            row[f"speed, p = {p}"] = model.speed(w, p)
            row[f"time, p = {p}"] = job.hours(batch, w, p)
        rows.append(row)
    kinds = (("step", "s", ".2f"), ("speed", "steps/s", ".6f"), ("time", "h", ",.1f"))
    return Table.of(
        f"Speed and time to {job.goal}, batch {batch}", rows, label="predicted",
        name=f"speed-batch-{batch}", columns=("workers", *(
            Column(name=f"{name}, p = {p}", unit=unit, format=form)
            for name, unit, form in kinds for p in job.servers)),
        notes=(f"p: parameter servers. Time: {job.epochs:g} epochs of "
               f"{job.steps_per_epoch(batch):,} steps.",),
    )  # fmt: skip


def parts_figure(job: Job) -> Figure:
    """Where the seconds of a step go, which explains the shape."""
    batch, servers = job.batches[0], job.servers[0]
    shown = min(job.workers, 16)
    rows = [
        {"workers": str(w), "part": part, "seconds": seconds}
        for w in range(1, shown + 1)
        for part, seconds in zip(PARTS, job.model(batch).parts(w, servers), strict=True)
        if seconds
    ]
    return Figure(
        table=Table.of(f"Parts of a step, batch {batch}, {servers_text(servers)}", rows,
                       label="predicted", name="parts", columns=(
                           "workers", "part", Column(name="seconds", unit="s", format=".2f"))),
        drawing=Bars(x="workers", y="seconds", color="part", stacked=True, values=False),
        caption="The forward part is shared by the workers and shrinks as 1 / w; the traffic at "
                "the servers grows with w. The sum is least where what falls with w equals what "
                "rises.",
    )  # fmt: skip


# --- optima ---------------------------------------------------------------------------------------


def optima_evidence(job: Job) -> Iterator[Evidence]:
    """The fastest numbers of workers; that time is U-shaped, and the formula gives its bottom."""
    rows: list[dict[str, Any]] = []
    for batch in job.batches:
        for p in job.servers:
            best, continuous = job.best(batch, p), job.continuous_best(batch, p)
            rows.append({
                "batch": batch, "servers": p, "fastest": best,
                "continuous": continuous if math.isfinite(continuous) else None,
                "step": job.model(batch).step_seconds(best, p), "time": job.hours(batch, best, p),
            })  # fmt: skip
    yield Table.of(
        "Fastest numbers of workers", rows, label="predicted", name="optima", columns=(
            "batch", "servers", Column(name="fastest", unit="workers"),
            Column(name="continuous", unit="workers", format=".3f"),
            Column(name="step", unit="s", format=".2f"),
            Column(name="time", unit="h", format=",.1f"),
        ), notes=("Continuous: sqrt(t0 M / (t2 / p + t3)), which is sqrt(t0 M p / t2) where t3 is "
                  f"0. Fastest: of 1 to {job.workers} workers, by trying all.",),
    )  # fmt: skip
    yield _shape_claim(job)
    if all(row["continuous"] is not None for row in rows):
        yield _formula_claim(job, rows)


def _shape_claim(job: Job) -> Claim:
    """First strictly falling, then strictly rising, both within the workers that were tried."""
    verdicts: list[Verdict] = []
    for batch in job.batches:
        for p in job.servers:
            best = job.best(batch, p)
            times = [job.hours(batch, w, p) for w in range(1, job.workers + 1)]
            falls = all(a > b for a, b in pairwise(times[:best]))
            rises = all(a < b for a, b in pairwise(times[best - 1 :]))
            verdicts.append("inconclusive" if best == job.workers else
                            "supported" if best > 1 and falls and rises else
                            "not supported")  # fmt: skip
    worst: Verdict = (
        "not supported" if "not supported" in verdicts
        else "inconclusive" if "inconclusive" in verdicts else "supported"
    )  # fmt: skip
    return Claim(
        statement=f"The time to {job.goal} is U-shaped in the number of workers.",
        rule="for every batch and number of servers it falls strictly up to the optimum and rises "
             "strictly behind it; inconclusive where the optimum is the most workers tried",
        verdict=worst, label="predicted",
        numbers={f"best workers (M {b}, p {p})": job.best(b, p)
                 for b in job.batches for p in job.servers},
    )  # fmt: skip


def _formula_claim(job: Job, rows: Sequence[dict[str, Any]]) -> Claim:
    """The whole number beside the continuous optimum; the time is convex, so it must be one."""
    held = all(
        row["fastest"] in {max(1, min(job.workers, f(row["continuous"])))
                           for f in (math.floor, math.ceil)}
        for row in rows
    )  # fmt: skip
    return Claim(
        statement="The optimum that is listed is the one that the formula gives.",
        rule="the fastest of all numbers of workers tried is the whole number just below or just "
             "above sqrt(t0 M / (t2 / p + t3)), within the range tried",
        verdict="supported" if held else "not supported", label="predicted",
        numbers={f"continuous (M {r['batch']}, p {r['servers']})": r["continuous"]
                 for r in rows},
    )  # fmt: skip


# --- cost -----------------------------------------------------------------------------------------


def cost_evidence(job: Job) -> Iterator[Evidence]:
    """What the fastest and the cheapest numbers of workers cost, and the curve between them."""
    yield cost_figure(job)
    rows: list[dict[str, Any]] = []
    for batch in job.batches:
        for p in job.servers:
            best, cheapest = job.best(batch, p), job.cheapest(batch, p)
            rows.append({
                "batch": batch, "servers": p, "fastest": best, "time": job.hours(batch, best, p),
                job.cost_name: job.cost(batch, best, p), "cheapest": cheapest,
                "its time": job.hours(batch, cheapest, p),
                f"its {job.cost_name}": job.cost(batch, cheapest, p),
            })  # fmt: skip
    yield Table.of(
        "Fastest and cheapest", rows, label="predicted", name="cheapest", columns=(
            "batch", "servers", "fastest", Column(name="time", unit="h", format=",.1f"),
            Column(name=job.cost_name, unit=job.cost_unit, format=",.0f"), "cheapest",
            Column(name="its time", unit="h", format=",.1f"),
            Column(name=f"its {job.cost_name}", unit=job.cost_unit, format=",.0f"),
        ), notes=(f"Numbers of workers, of 1 to {job.workers}. {job.cost_name.capitalize()}: "
                  + job.cost_text(),),
    )  # fmt: skip
    row = rows[0]
    held = all(r["cheapest"] < r["fastest"] for r in rows)
    yield Claim(
        statement="The fastest number of workers is not the cheapest: fewer cost less.",
        rule="for every batch and number of servers, workers plus servers times hours are least "
             "at fewer workers than the hours themselves",
        verdict="supported" if held else "not supported", label="predicted",
        numbers={"fastest": row["fastest"], f"{job.cost_name} of the fastest": row[job.cost_name],
                 "cheapest": row["cheapest"],
                 f"{job.cost_name} of the cheapest": row[f"its {job.cost_name}"]},
    )  # fmt: skip


def cost_figure(job: Job) -> Figure:
    """Containers times hours, or dollars, over workers."""
    batch = job.batches[0]
    rows = [{"workers": w, "servers": servers_text(p), job.cost_name: job.cost(batch, w, p)}
            for p in job.servers for w in range(1, job.workers + 1)]  # fmt: skip
    marks = {p: job.cheapest(batch, p) for p in job.servers}
    what = "Use of containers" if job.price is None else "Cost"
    return Figure(
        table=Table.of(f"{what} to {job.goal}, batch {batch}", rows, label="predicted",
                       name="cost", columns=("workers", "servers", Column(
                           name=job.cost_name, unit=job.cost_unit, format=",.0f"))),
        drawing=Lines(x="workers", y=job.cost_name, color="servers", points=True,
                      vertical=tuple((float(w), f"{servers_text(p)}: {w}")
                                     for p, w in marks.items())),
        caption=f"Dashed: the least. {job.cost_name.capitalize()}: {job.cost_text()}",
    )  # fmt: skip
