"""Curves read from runs of the store and from the logs of other trainers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.forecast.curve import Curve
from epochlab.forecast.sources import (
    curve_of_log,
    curve_of_run,
    epoch_rates,
    epoch_seconds,
    kind_of,
    level_of,
    quantities,
    read_log,
)
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.growing import Growing
from epochlab.schedules.multistep import Multistep
from epochlab.schedules.step_decay import StepDecay
from epochlab.train.lab import Lab
from epochlab.train.store import Store

from ..train.trials import quick_trial


def log(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "log.csv"
    file.write_text(text)
    return file


# --- curves ---------------------------------------------------------------------------------------


def test_a_curve_is_checked() -> None:
    def made(**changes: object) -> Curve:
        given = {"kind": "train loss", "at": (1.0, 2.0), "rates": (1.0, 1.0), "values": (2.0,)}
        return Curve(**(given | changes))  # type: ignore[arg-type]

    assert made().end == 2
    for changes, said in (
        ({"rates": (1.0,)}, "every position a rate"), ({"at": (2.0, 2.0)}, "must rise"),
        ({"at": (0.0, 1.0)}, "above 0"), ({"rates": (1.0, -1.0)}, "Learning rates"),
        ({"rates": (0.0, 0.0)}, "not all 0"), ({"values": (-1.0,)}, "below 0"),
        ({"values": (1.0, 1.0, 1.0)}, "3 values at 2 positions"),
    ):  # fmt: skip
        with pytest.raises(BadData, match=said):
            made(**changes)


def test_a_plan_can_be_shorter_or_longer() -> None:
    curve = Curve(kind="train loss", at=(1, 2, 3, 4), rates=(1, 1, 0.5, 0), values=(2, 1))
    assert curve.planned_until(3).at == (1, 2, 3)
    assert curve.planned_until(1).at == (1, 2)  # what was seen stays
    longer = curve.planned_until(6)
    assert (longer.at, longer.rates) == ((1, 2, 3, 4, 5, 6), (1, 1, 0.5, 0, 0.5, 0.5))
    assert len(curve.planned_until(1e9).at) <= 2004


@pytest.mark.parametrize("kind", ["train loss", "held-out error"])
def test_logarithms_and_back(kind: str) -> None:
    curve = Curve(kind=kind, at=(1, 2), rates=(1, 1), values=(0.5, 0.0))  # type: ignore[arg-type]
    assert curve.from_logs(curve.logs([0.0, 0.1, 0.5])).tolist() == pytest.approx([0.0, 0.1, 0.5])
    assert curve.from_logs(curve.logs([0.0]) - 5).tolist() == [0.0]


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_becomes_a_curve(store: Store) -> None:
    lr = Multistep(start=0.05, drops=(3.0,), factor=0.1)
    trial = quick_trial(optimizer=Sgd(lr=lr), epochs=6, evaluate=("test",), evaluate_every=2)
    run = Lab(store, processes=0).run(trial)
    assert quantities(run) == ["test_accuracy", "running_loss", "running_accuracy", "test_loss"]
    training = curve_of_run(run, "running_loss")
    assert training.at == (1, 2, 3, 4, 5, 6)
    assert training.rates == pytest.approx([0.05] * 3 + [0.005] * 3)
    assert training.values == tuple(row["running_loss"] for row in run.epochs)
    assert training.seconds_per_unit is not None and training.seconds_per_unit > 0
    tested = curve_of_run(run, "test_accuracy")
    assert (tested.kind, tested.at) == ("held-out error", (2, 4, 6))
    assert tested.rates == pytest.approx([0.05, (0.05 + 0.005) / 2, 0.005])
    assert tested.values == tuple(1 - run.epochs[i]["test_accuracy"] for i in (1, 3, 5))
    with pytest.raises(UnknownName, match="running_loss"):
        curve_of_run(run, "runing_loss")


def test_a_run_that_is_going_on_knows_its_plan(store: Store) -> None:
    run = Lab(store, processes=0).run(quick_trial(epochs=3))
    two = [i for i, row in enumerate(run.rows) if row["row"] == "epoch"][1]
    half = dataclasses.replace(run, status="stopped", rows=run.rows[: two + 1])
    curve = curve_of_run(half, "running_loss")
    assert (len(curve.values), curve.now, curve.end) == (2, 2, 3)
    with pytest.raises(BadData, match="no complete epoch"):
        curve_of_run(dataclasses.replace(run, rows=run.rows[:1]), "running_loss")


def test_a_growing_batch_counts_as_a_falling_rate() -> None:
    batch = Growing(start=10, factor=2, every_epochs=2, limit=1000)
    trial = quick_trial(batch=batch, optimizer=Sgd(lr=0.1), epochs=6)
    assert epoch_rates(trial, 12) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    falling = quick_trial(optimizer=Sgd(lr=StepDecay(start=0.1, factor=0.5, every_epochs=2)),
                          epochs=6)  # fmt: skip
    assert epoch_rates(falling, 8) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_seconds_of_an_epoch_are_those_of_clean_ones() -> None:
    rows = [(1, 5.0, False), (2, 2.0, False), (3, 1.0, False), (3, 1.0, False), (4, 90.0, True)]
    clock = [{"epoch": e, "wall_s": s, "spoiled": bad} for e, s, bad in rows]
    assert epoch_seconds(clock) == 2.0
    assert epoch_seconds(clock[-1:]) == 90.0
    assert epoch_seconds([]) is None


def test_kinds() -> None:
    names = ("running_loss", "train_accuracy", "val_loss", "test_accuracy", "validation_rmse")
    kinds = ["train loss", "train error", "held-out loss", "held-out error", "held-out loss"]
    assert list(map(kind_of, names)) == kinds


def test_targets() -> None:
    assert level_of("test_accuracy", 0.9) == pytest.approx(0.1)
    assert level_of("loss", 0.3) == 0.3
    for name, value in (("test_accuracy", 90), ("loss", -1), ("loss", float("nan"))):
        with pytest.raises(BadOption):
            level_of(name, value)


# --- logs -----------------------------------------------------------------------------------------


def test_a_log_of_epochs(tmp_path: Path) -> None:
    file = log(tmp_path, "epoch,Loss,val_accuracy,seconds\n0,2.3,0.1,0\n1,1.5,0.4,3\n2,1.1,0.5,6\n")
    found = read_log(file)
    assert found.quantities == ["loss", "val_accuracy"]
    curve = curve_of_log(found, "loss")
    assert (curve.kind, curve.at[:2], curve.values) == ("train loss", (1, 2), (1.5, 1.1))
    assert (curve.end, curve.seconds_per_unit, set(curve.rates)) == (2, 3, {1})
    scored = curve_of_log(found, "val_accuracy")
    assert (scored.kind, scored.values) == ("held-out error", (0.6, 0.5))


def test_rows_to_come_are_the_schedule(tmp_path: Path) -> None:
    rows = "".join(f"{100 * k},{2 / k},{0.1 if k < 5 else 0.01},7\n" for k in range(1, 5))
    rows += "".join(f"{100 * k},,{0.01},\n" for k in range(5, 9))
    curve = curve_of_log(read_log(log(tmp_path, "step,loss,lr,seconds\n" + rows)), "loss")
    assert (curve.unit, curve.now, curve.end) == ("step", 400, 800)
    assert curve.rates == (0.1,) * 4 + (0.01,) * 4
    assert curve.seconds_per_unit == 0.07  # 7 s since the row before, 100 steps ago


@pytest.mark.parametrize(("text", "said"), [
    ("", "has the columns (none)"),
    ("epoch,foo\n1,2\n", "needs 'epoch' or 'step'"),
    ("loss\n1\n", "needs 'epoch' or 'step'"),
    ("epoch,loss\n1,abc\n", "row 2: 'loss' is 'abc'"),
])  # fmt: skip
def test_logs_that_cannot_be_read(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadData) as error:
        read_log(log(tmp_path, text))
    assert said in str(error.value)


@pytest.mark.parametrize(("text", "said"), [
    ("epoch,loss,accuracy\n1,-2,0.5\n", "loss or accuracy is below 0"),
    ("epoch,loss\n0,2\n", "no number after position 0"),
    ("epoch,loss\n2,1\n1,2\n", "must rise"),
    ("epoch,loss\n1,1\n1,2\n", "must rise"),
])  # fmt: skip
def test_columns_that_are_no_curve(text: str, said: str, tmp_path: Path) -> None:
    found = read_log(log(tmp_path, text))
    with pytest.raises(BadData) as error:
        curve_of_log(found, "loss")
    assert said in str(error.value)


def test_percentages_and_missing_files_and_columns(tmp_path: Path) -> None:
    found = read_log(log(tmp_path, "epoch,accuracy\n1,45\n"))
    with pytest.raises(BadData, match="divide percentages"):
        curve_of_log(found, "accuracy")
    with pytest.raises(UnknownName, match="Did you mean 'accuracy'"):
        curve_of_log(found, "acuracy")
    with pytest.raises(BadData, match="cannot be read"):
        read_log(tmp_path / "none.csv")
