"""Equation 4 fitted to measured speeds: a published grid, and the user's own runs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from epochlab.errors import BadData
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.figures.lines import Lines
from epochlab.figures.scatter import Scatter
from epochlab.predict.optimus_fit import Measurement, SpeedFit, fit_synchronous
from epochlab.predict.optimus_speed import SynchronousSpeed, fastest
from epochlab.randomness import key
from epochlab.studies import _server_grid
from epochlab.studies._server_refits import FEWEST_DRAWS, NAMES, mean, verdict
from epochlab.studies._server_times import Job, servers_text, time_figure
from epochlab.table import Column, Label, Table

SEEN, UNSEEN_ERROR = 10, 0.10  # runs that the fit sees, and the error allowed on the others
COLUMNS = ("workers", "servers", "steps_per_second")

Fit = SpeedFit[SynchronousSpeed]


def fit_table(fit: Fit, what: str, name: str, job: Job, notes: tuple[str, ...]) -> Table:
    """Coefficients, quality, and what the fit says about the best number of workers."""
    model = fit.model
    best = {f"best, p = {p}": fastest(model, workers=range(1, job.workers + 1),
                                              servers=p).workers for p in job.servers}  # fmt: skip
    row = dict(zip(NAMES, model.coefficients, strict=True)) | {
        "runs": len(fit.measurements), "R2": fit.r_squared, "mean error": fit.mean_relative_error,
    } | best  # fmt: skip
    return Table.of(f"Equation 4 fitted to {what}", [row], label="predicted", name=name, columns=(
        *(Column(name=n, format=".4g") for n in NAMES), "runs",
        Column(name="R2", format=".4f"), Column(name="mean error", format=".2%"), *best,
    ), notes=(f"Batch {model.batch}. Mean error: of the speeds that were fitted. Best: number of "
           "workers that the fit calls fastest.", *notes),
    )  # fmt: skip


def fit_figure(fit: Fit, what: str, name: str, label: Label) -> Figure:
    """Every measured speed beside the fitted one."""
    rows = [{"workers": w, "servers": p, "measured": f, "fitted": fit.model.speed(w, p),
             "run": f"{w} workers, {servers_text(p)}"}
            for w, p, f in sorted(fit.measurements)]  # fmt: skip
    return Figure(
        table=Table.of(f"Fitted and measured speed, {what}", rows, label=label, name=name, columns=(
            "run", "workers", "servers",
            Column(name="measured", unit="steps/s", format=".4f"),
            Column(name="fitted", unit="steps/s", format=".4f", label="predicted"))),
        drawing=Scatter(x="measured", y="fitted", name="run", diagonal=True),
        caption="One point per run; on the dashed line the fit gives what was measured.",
    )  # fmt: skip


def grid_evidence(job: Job, draws: int) -> Iterator[Evidence]:
    """The published grid: all of it fitted, and predicted from ten of its runs."""
    grid = _server_grid.published_speeds()
    fit = fit_synchronous(grid, batch=_server_grid.BATCH)
    what = "a published grid of 144 runs"
    yield fit_table(fit, what, "grid-fit", job, (f"Speeds: {_server_grid.SOURCE}.",))
    yield _grid_figure(fit)
    yield fit_figure(fit, what, "grid-fitted", "quoted")
    errors = []
    for seed in range(draws):
        random = np.random.default_rng(key(seed, "server-grid"))
        seen = {int(i) for i in random.choice(len(grid), size=SEEN, replace=False)}
        few = fit_synchronous([grid[i] for i in seen], batch=_server_grid.BATCH).model
        errors.append(mean(abs(few.speed(w, p) / f - 1)
                            for i, (w, p, f) in enumerate(grid) if i not in seen))  # fmt: skip
    yield Claim(
        statement=f"{SEEN} runs are enough to predict the other {len(grid) - SEEN} of a real grid "
                  f"to {UNSEEN_ERROR:.0%}.",
        rule=f"the mean error on the runs that the fit has not seen is at most {UNSEEN_ERROR:.0%} "
             f"on average over the draws; inconclusive with fewer than {FEWEST_DRAWS} draws",
        verdict=verdict(mean(errors) <= UNSEEN_ERROR, draws), seeds=draws,
        label="predicted", numbers={
            "mean error, unseen": mean(errors), "best draw": min(errors),
            "worst draw": max(errors), "mean error, fitted to all": fit.mean_relative_error},
    )  # fmt: skip
    t0, _, t2, _, _ = fit.model.coefficients
    limit = math.sqrt(t0 * _server_grid.BATCH * 12 / t2)
    yield Note(text=(
        "On this grid, whose workers were GPUs, there is hardly a U: computing is so quick beside "
        f"the traffic (t0 M = {t0 * _server_grid.BATCH:.2f} s against t2 = {t2:.2f} s) that "
        f"sqrt(t0 M p / t2) is {limit:.2f} workers even with 12 servers, so one or two workers are "
        "the fastest. The coefficients of the study have a second for every sample, as a CPU would "
        "take; the optimum belongs to a cluster, not to the network."
    ))  # fmt: skip


def _grid_figure(fit: Fit) -> Figure:
    """Published speeds over workers, beside the fitted curve, for a few numbers of servers."""
    shown = (1, 2, 4, 8, 12)
    rows = [{"workers": w, "servers": servers_text(p), "published": f,
             "fitted": fit.model.speed(w, p)}
            for w, p, f in fit.measurements if p in shown]  # fmt: skip
    return Figure(
        table=Table.of("Published speeds over workers", rows, label="quoted", name="grid", columns=(
            "workers", "servers", Column(name="published", unit="steps/s", format=".3f"),
            Column(name="fitted", unit="steps/s", format=".3f", label="predicted"))),
        drawing=Lines(x="workers", y=("published", "fitted"), color="servers",
                      y_title="speed [steps/s]"),
        caption="Lines: published; dashed: equation 4 fitted to all 144 runs. Beyond one "
                "or two workers each one more slows a step down, because they share the servers.",
    )  # fmt: skip


# --- speeds from a file ---------------------------------------------------------------------------


def read_speeds(path: Path) -> list[Measurement]:
    """Rows of a CSV file with the columns workers, servers, steps_per_second. Raises BadData."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"The file of speeds, {path}, cannot be read: {error}.") from error
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    if missing := [name for name in COLUMNS if name not in head]:
        raise BadData(
            f"The file of speeds, {path}, has the columns {', '.join(head) or '(none)'} and lacks "
            f"{', '.join(missing)}. It needs {', '.join(COLUMNS)} in its first line, and one row "
            "for each run."
        )
    found = []
    for line, row in enumerate(rows[1:], start=2):
        cells = dict(zip(head, row, strict=False))
        try:
            found.append((int(cells["workers"]), int(cells["servers"]),
                          float(cells["steps_per_second"])))  # fmt: skip
        except (KeyError, ValueError):
            raise BadData(
                f"{path}, row {line}: '{','.join(row)}'. Workers and servers must be whole "
                "numbers, steps_per_second a number."
            ) from None
    return found


def imported_evidence(job: Job, path: Path, batch: int) -> Iterator[Evidence]:
    """The user's own runs, fitted, and the time to the target that follows."""
    fit = fit_synchronous(read_speeds(path), batch=batch)
    yield fit_table(fit, "imported runs", "imported-fit", job, (f"Speeds: {path.name}.",))
    yield fit_figure(fit, "imported runs", "imported", "measured")
    fitted = replace(job, coefficients=fit.model.coefficients, batches=(batch,))
    yield time_figure(fitted, batch, ", by the imported runs", "imported-time")
