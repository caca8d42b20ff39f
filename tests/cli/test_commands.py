"""The commands as a user strings them together."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from epochlab.cli import commands, main
from epochlab.train.run import load_run
from epochlab.train.store import Store

TRAIN = ["train", "--network", "mlp", "--network.hidden", "8", "--data", "lookalike",
         "--data.size", "60", "--data.validation", "10", "--batch", "20"]  # fmt: skip


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def rows(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(said([*words, "--json"], capsys))["rows"]
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main([name, "--help"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 0
    assert "epochlab" in capsys.readouterr().out


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(["--help"], capsys)
    for name, line in commands().items():
        assert name in text
        assert line.endswith(".")
        assert line in text


def test_train_show_diff(capsys: pytest.CaptureFixture[str]) -> None:
    first = said([*TRAIN, "--epochs", "2"], capsys)
    assert "trained now" in first
    assert "nothing trained" in said([*TRAIN, "--epochs", "2"], capsys)
    said([*TRAIN, "--epochs", "2", "--optimizer", "adam", "--optimizer.lr", "0.01"], capsys)
    runs = rows(["runs"], capsys)
    assert {run["optimizer"] for run in runs} == {"sgd", "adam"}
    a, b = (str(run["run"]) for run in runs)
    assert [row["epoch"] for row in rows(["show", a], capsys)] == [1, 2]
    for part in ("settings", "time", "machine"):
        assert said(["show", a, "--part", part], capsys)
    text = said(["diff", a, b], capsys)
    assert "First differing setting: optimizer" in text
    assert "The losses part at step 2" in text
    assert "The settings are equal" in said(["diff", a, a], capsys)


def test_schedules_and_lists_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    said([*TRAIN, "--epochs", "1", "--optimizer.lr", "cyclical", "--optimizer.lr.low", "0.001",
          "--optimizer.lr.high", "0.1", "--optimizer.lr.half_cycle_steps", "2",
          "--penalties", "l2,l1", "--penalties.l2.strength", "1e-3",
          "--penalties.l1.strength", "1e-4", "--augment", "crop_flip",
          "--augment.crop_flip.padding", "2", "--start", "kaiming"], capsys)  # fmt: skip
    (key,) = Store.at().run_keys()
    run = load_run(Store.at(), key)
    assert [row["lr"] for row in run.steps] == pytest.approx([0.001, 0.0505, 0.1])
    assert [type(p).__name__ for p in run.trial.penalties] == ["L2", "L1"]
    assert run.epochs[0]["penalty"] > 0


@pytest.mark.parametrize("ending", ["safetensors", "pt", "onnx"])
def test_export_reads_back(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    if ending == "onnx":
        pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
    said([*TRAIN, "--epochs", "1"], capsys)
    (key,) = Store.at().run_keys()
    (row,) = rows(["export", key[:8], "--out", f"net.{ending}", "--weights", "best"], capsys)
    difference = row["largest output difference after reading it back"]
    assert isinstance(difference, float)
    assert difference <= (1e-5 if ending == "onnx" else 0)
    assert Path(f"net.{ending}").stat().st_size == row["size"]


def test_predictions_take_the_sample_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said([*TRAIN, "--epochs", "3"], capsys)
    (key,) = Store.at().run_keys()
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    np.save("holdout.npy", images)
    Path("sample.csv").write_text("Id,Category\n" + "".join(f"img{i},0\n" for i in range(7)))
    counted = rows(["predict-labels", key[:8], "--sample", "sample.csv", "--images",
                    "holdout.npy"], capsys)  # fmt: skip
    with Path("predictions.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["Id", "Category"]
    assert [line[0] for line in lines[1:]] == [f"img{i}" for i in range(7)]
    run = load_run(Store.at(), key)
    data = run.trial.data.load()
    mean, std = np.float32(data.input_mean[0]), np.float32(data.input_std[0])
    inputs = torch.from_numpy((images[:, None] / np.float32(255) - mean) / std)
    expected = run.network()(inputs).argmax(1).tolist()
    assert [int(line[1]) for line in lines[1:]] == expected
    assert sum(int(str(row["images"])) for row in counted) == 7


def test_one_table_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    texts = {form: said(["list", "optimizers", "--format", form], capsys)
             for form in ("text", "markdown", "csv", "json", "latex", "html")}  # fmt: skip
    assert all("adam" in text for text in texts.values())
    assert len(set(texts.values())) == 6
    names = [row["name"] for row in json.loads(texts["json"])["rows"]]
    assert [line.split(",")[0] for line in texts["csv"].splitlines()[1:]] == names


def test_component_from_outside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "my_net.py"
    source.write_text('''"""One hidden layer."""
from dataclasses import dataclass
from epochlab.component import Count
from epochlab.networks import Network

@dataclass(frozen=True, kw_only=True)
class MyNet(Network):
    """One hidden layer."""
    width: Count = 4
    "units"
    def build(self, input_shape, outputs):
        from torch import nn
        size = input_shape[0] * input_shape[1] * input_shape[2]
        return nn.Sequential(nn.Flatten(), nn.Linear(size, self.width), nn.ReLU(),
                             nn.Linear(self.width, outputs))
''')
    words = ["train", "--network", f"{source}:MyNet", "--network.width", "6", *TRAIN[5:]]
    said([*words, "--epochs", "1"], capsys)
    (key,) = Store.at().run_keys()
    assert load_run(Store.at(), key).network()[1].out_features == 6  # type: ignore[index]


def test_explorer_agrees_with_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    said([*TRAIN, "--epochs", "2"], capsys)
    (key,) = Store.at().run_keys()
    said(["explore", key[:8], "--out", "out"], capsys)
    records = json.loads(Path("out/records.json").read_text())
    run = load_run(Store.at(), key)
    share = sum(record["correct"] for record in records) / len(records)
    assert share == run.final("test_accuracy")
    loss = sum(record["loss"] for record in records) / len(records)
    assert loss == pytest.approx(run.final("test_loss"), abs=1e-5)
    page = Path("out/index.html").read_text()
    assert "__FACTS__" not in page
    assert "http" not in page
    assert len(Path("out/records.csv").read_text().splitlines()) == len(records) + 1
