"""Jobs on a machine that is not one's own: what they will need, and that a cut loses nothing."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epochlab.datasets import Data
from epochlab.errors import Interrupted
from epochlab.evidence import Claim, Evidence
from epochlab.studies._arms import mean
from epochlab.studies._threads import one_thread
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner, forecast
from epochlab.train.run import Run
from epochlab.train.store import Store
from epochlab.train.trial import Trial
from epochlab.units import bytes_text

CUT_IMAGES = 512  # training images of the run that is cut
CUT_EPOCHS = 2


def guide_table(name: str) -> Table:
    """What to do in each situation; `name` is the study as the command line calls it."""
    rows = [
        ("before starting", f"epochlab study plan {name}",
         "times a few steps of every arm and prints runs, steps, seconds and, with --price, cost"),
        ("a fixed slot of machine time", f"epochlab study run {name} --max-time 1500",
         "saves the running trials and ends cleanly after so many seconds"),
        ("idle limit, lost connection, crash, Ctrl-C", f"epochlab study run {name}",
         "the same command finds finished runs and continues the others from their checkpoints"),
        ("someone else needs the machine", "Ctrl-C once, or kill -TERM",
         "stops after the running step; workers end with it and give back memory and cores"),
        ("what is there", "epochlab runs", "lists finished and unfinished runs of the store"),
        ("data as a .zip", "unzip FILE.zip -d DATA; then --data-dir DATA",
         "in the terminal of the notebook server; the checksums of the set are verified"),
        ("after the last cell", "shut the notebook's kernel down",
         "a kernel keeps its memory, and a GPU, until it ends; closing the browser tab does not "
         "end it"),
    ]  # fmt: skip
    return Table.of("Working on a machine that is not yours", [
        {"situation": s, "what to do": d, "what happens": h} for s, d, h in rows
    ], label="exact", name="long-jobs")  # fmt: skip


def plan_table(lab: Lab, arms: Mapping[str, Sequence[Run]]) -> Table:
    """What a plan made now says of one run of each arm, beside what the runs took."""
    rows = []
    for arm, runs in arms.items():
        trial = runs[0].trial
        # A store without runs, so that the trial counts as still to be done.
        planner = Planner(Store(lab.store.folder / "none"))
        planner.run_all([trial])
        planned, took = forecast(planner)[0], [run.total_s for run in runs]
        data = planner.data(trial.data)
        weights = _file_bytes(runs[0], "model.safetensors")
        rows.append({
            "arm": arm, "steps": planned.steps, "planned": planned.seconds, "took": mean(took),
            "took / planned": mean(took) / planned.seconds if planned.seconds else None,
            "spoiled timings": sum(run.spoiled for run in runs),
            "data in memory": bytes_text(sum(
                s.inputs.nbytes for n in ("train", "validation", "test")
                if (s := data.split(n)) is not None)),
            "weights on disk": "-" if weights is None else bytes_text(weights),
        })  # fmt: skip
    return Table.of("Planned and taken, one run", rows, name="plan", columns=(
        "arm", Column(name="steps", format=","),
        Column(name="planned", unit="s", format=".1f", label="predicted"),
        Column(name="took", unit="s", format=".1f"), Column(name="took / planned", format=".2f"),
        "spoiled timings", "data in memory", "weights on disk",
    ), notes=(
        "The plan times a few steps while this report is made; runs that trained next to other "
        "work take longer, and a plan made next to other work promises more.",
    ))  # fmt: skip


def _file_bytes(run: Run, name: str) -> int | None:
    if run.folder is None or not run.folder.file(name).exists():
        return None
    return run.folder.file(name).stat().st_size


@dataclass(frozen=True)
class Cut:
    """A run that was stopped in the middle of an epoch and continued, beside one that was not."""

    stopped_at: int
    steps: int
    same_rows: bool
    same_weights: bool


def cut_and_continued(trial: Trial, data: Data) -> Cut:
    """Train a small part of the data twice, once with a stop half-way, and compare the files."""
    from epochlab.train.execute import execute

    part = slice(CUT_IMAGES)
    small = dataclasses.replace(
        data, train=data.train.take(part), test=data.test.take(part),
        validation=None if data.validation is None else data.validation.take(part),
    )  # fmt: skip
    trial = dataclasses.replace(trial, epochs=CUT_EPOCHS)
    steps = sum(trial.steps_per_epoch(len(small.train)))
    middle = trial.steps_per_epoch(len(small.train))[0] // 2 + 1
    seen: list[int] = []

    def watch(row: dict[str, Any]) -> None:
        if row["row"] == "step":
            seen.append(row["step"])

    with tempfile.TemporaryDirectory() as folder, one_thread():
        straight = execute(Store(Path(folder) / "straight"), trial, small)
        store = Store(Path(folder) / "cut")
        try:
            execute(store, trial, small, watch=watch, should_stop=lambda: len(seen) >= middle,
                    look_every_s=0)  # fmt: skip
        except Interrupted:
            stopped_at = seen[-1]
        else:
            stopped_at = 0
        cut = execute(store, trial, small)
        assert straight.folder is not None and cut.folder is not None
        one, other = straight.folder.done(), cut.folder.done()
    return Cut(stopped_at, steps, one["rows_sha256"] == other["rows_sha256"],
               one["model_sha256"] == other["model_sha256"])  # fmt: skip


def cut_claim(trial: Trial, data: Data) -> Iterator[Evidence]:
    """A run that is cut and continued ends with the same bits."""
    cut = cut_and_continued(trial, data)
    same = cut.same_rows and cut.same_weights and 0 < cut.stopped_at < cut.steps
    yield Claim(
        statement="A run that is cut in the middle of an epoch and continued later ends with the "
                  "same weights, bit for bit, as one that was never cut.",
        rule="checksums of the rows and of the weights are equal",
        verdict="supported" if same else "not supported",
        numbers={"stopped at step": cut.stopped_at, "steps": cut.steps,
                 "equal rows": float(cut.same_rows), "equal weights": float(cut.same_weights)},
    )  # fmt: skip
