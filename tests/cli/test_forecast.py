"""The command forecast: runs and logs, targets, replays, refusals, mistakes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from epochlab.cli import main
from epochlab.optimizers.sgd import Sgd
from epochlab.table import FORMATS
from epochlab.train.lab import Lab
from epochlab.train.store import Store

from ..train.trials import quick_trial
from .own_networks import records, said


@pytest.fixture(autouse=True)
def logs() -> None:
    """A log that falls like 2 t^-0.5, one that was read to epoch 20, one that rises, one broken."""
    falling = [(t, 2 * t**-0.5) for t in range(1, 61)]

    def write(name: str, rows: list[tuple[int, object]]) -> None:
        body = "".join(f"{t},{v},{3 * t}\n" for t, v in rows)
        Path(name).write_text("epoch,loss,seconds\n" + body)

    write("whole.csv", falling)
    write("log.csv", falling[:20])
    write("rising.csv", [(t, 1 + t / 10) for t, _ in falling])
    write("nan.csv", [*falling[:9], (10, "nan"), *falling[10:20]])


def mistake(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return " ".join(said.err.split())


# --- answers --------------------------------------------------------------------------------------


def test_a_log_is_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("forecast log.csv --target loss=0.3", capsys)
    plain = ["Optimus", "power law", "exponential", "log-log line", "last value"]
    assert [r["family"] for r in rows] == ["schedule-aware", *plain]
    ours = rows[0]
    assert ours["epoch"] == pytest.approx(44.4, rel=0.1)
    assert 20 < ours["low"] < 44.4 < ours["high"] <= 100  # the plan of a log: 5 times as long
    assert ours["time"] == pytest.approx(3 * (ours["epoch"] - 20))
    assert 0.5 < ours["probability"] <= 1
    assert rows[2]["epoch"] == rows[4]["epoch"] == 45
    assert rows[5]["epoch"] is None
    assert "error" not in ours
    text = said("forecast log.csv --target loss=0.3", capsys)
    assert "loss 0.3 is expected at epoch 4" in text
    assert "80 % band" in text
    assert "Next: epochlab forecast log.csv --target loss=0.3 --figure forecast.html" in text


def test_a_replay_says_how_wrong_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("forecast whole.csv --target loss=0.3 --at 20 --until 60", capsys)
    assert rows[0]["error"] == pytest.approx((rows[0]["epoch"] - 45) / 45)
    assert rows[2]["error"] == 0
    assert "It was reached at epoch 45" in said(
        "forecast whole.csv --target loss=0.3 --at 20", capsys
    )
    assert "By epoch 60 it was not reached" in said(
        "forecast whole.csv --target loss=0.2 --at 20 --until 200", capsys
    )


def test_without_a_number_the_value_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("forecast log.csv --until 60", capsys)
    true = 2 * 60**-0.5
    assert rows[0]["low"] < true < rows[0]["high"]
    assert rows[2]["value"] == pytest.approx(true, rel=0.01)
    again = records("forecast whole.csv --target loss --at 20 --until 60", capsys)
    assert again[0]["error"] == pytest.approx(again[0]["value"] / true - 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one run of 12 epochs, and one that diverged."""
    store = Store(tmp_path_factory.mktemp("trained") / "store")
    lab = Lab(store, processes=0)
    lab.run(quick_trial(epochs=12, optimizer=Sgd(lr=0.02), evaluate=("test",)))
    lab.run(quick_trial(epochs=2, optimizer=Sgd(lr=1e30)))
    return str(store.folder)


def keys(store: str) -> dict[str, str]:
    """Status -> key."""
    found = Store.at(store)
    return {found.run_folder(k).done()["status"]: k for k in found.run_keys()}


def test_a_run_is_forecast(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    key = keys(trained)["done"]
    words = f"forecast {key[:8]} --store {trained}"
    rows = records(f"{words} --target loss --at 6", capsys)
    assert rows[0]["low"] < rows[0]["value"] < rows[0]["high"]
    assert rows[0]["error"] is not None
    text = said(f"{words} --target running_loss=0.001 --at 6", capsys)
    assert "No forecast: the target is out of reach" in text
    assert "s per epoch" in text
    assert "constant rate" in text
    assert "the plan ends here" in said(words + " --target loss=0.001", capsys)
    assert "running_loss 5 was reached at epoch 1 already" in said(
        words + " --target loss=5", capsys
    )


# --- refusals, which are answers ------------------------------------------------------------------


@pytest.mark.parametrize(("words", "reason"), [
    ("rising.csv --target loss=0.1", "the curve rises"),
    ("nan.csv --target loss=0.3", "the value at epoch 10 is nan"),
    ("log.csv --target loss=0.3 --at 4", "only 4 points"),
    ("log.csv --target loss=0.0001", "out of reach"),
    ("whole.csv --target loss=0.1 --until 60", "the plan ends here"),
    ("rising.csv", "the curve rises"),
])  # fmt: skip
def test_a_refusal_says_why_and_gives_no_number(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(f"forecast {words}", capsys)
    assert "No forecast: " in text
    assert reason in text
    assert main(["forecast", *words.split(), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == []
    assert any(reason in note for note in content["notes"])


# --- how it is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"forecast log.csv --target loss=0.3 --format {form}", capsys)
    assert "schedule-aware" in text
    assert ("Next: " in text) is (form == "text")
    if form == "csv":
        assert next(csv.DictReader(io.StringIO(text)))["family"] == "schedule-aware"


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = said("forecast whole.csv --target loss=0.3 --at 20", capsys)
    table = text.split("\nloss 0.3 is expected")[0]
    assert [line for line in table.splitlines() if len(line) > columns] == []


@pytest.mark.parametrize(("ending", "begin"), [("svg", b"<svg"), ("html", b"<!doctype html>")])
def test_figures(ending: str, begin: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("altair", reason="needs the extra 'report'")
    words = f"forecast whole.csv --target loss=0.3 --at 20 --figure out.{ending}"
    assert f"Figure: out.{ending}" in said(words, capsys)
    content = Path(f"out.{ending}").read_bytes()
    assert content.startswith(begin)
    assert b"what came" in content
    assert "No figure" in said("forecast rising.csv --figure none.svg", capsys)
    assert not Path("none.svg").exists()


def test_the_next_commands_work(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("altair", reason="needs the extra 'report'")
    words = "forecast log.csv"
    for _ in range(3):
        text = said(words, capsys)
        assert "No forecast" not in text
        words = text.rpartition("Next: epochlab ")[2].strip()
        assert words


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "told"), [
    ("forecast", "the following arguments are required: RUN"),
    ("forecast log.csv --target loss=abc", "write NAME=NUMBER"),
    ("forecast log.csv --target lss=0.3", "Did you mean 'loss'"),
    ("forecast log.csv --target loss=-1", "not a finite number, 0 or more"),
    ("forecast log.csv --at 30", "recorded from epoch 1 to 20"),
    ("forecast log.csv --until 0", "--until is 0"),
    ("forecast log.csv --until nan", "--until is nan"),
    ("forecast log.csv --figure x.gif", "--figure is 'x.gif'"),
    ("forecast none.csv", "cannot be read"),
    ("forecast nosuchrun", "There is no run named 'nosuchrun'"),
    ("forecast log.csv --tarket loss=1", "Did you mean '--target'"),
])  # fmt: skip
def test_mistakes(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in mistake(words, capsys)


def test_runs_without_a_curve(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    diverged = keys(trained)["diverged"]
    assert "diverged" in mistake(f"forecast {diverged} --store {trained}", capsys)
    done = keys(trained)["done"]
    told = mistake(f"forecast {done} --store {trained} --target val_accuracy=0.5", capsys)
    assert "Allowed: running_accuracy, running_loss, test_accuracy, test_loss" in told
    assert "is a share: 90 % is 0.9" in mistake(
        f"forecast {done} --store {trained} --target test_accuracy=90", capsys
    )
