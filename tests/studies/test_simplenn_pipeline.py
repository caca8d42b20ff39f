"""The SimpleNN pipeline on generated images: checks that pass, and the same checks failing."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import pytest

from epochlab.datasets import Data, Dataset
from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.lookalike import Lookalike
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.networks.simple_nn import SimpleNN
from epochlab.starts.xavier import Xavier
from epochlab.studies import _network_checks, _pipeline_checks, _split_curves
from epochlab.studies._long_jobs import cut_and_continued
from epochlab.studies.simplenn_pipeline import CONSTANT, STEPS, SimplennPipeline, _gap_notes
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner, stand_in
from epochlab.train.store import Store

SHAPE = (3, 32, 32)
STUDY = SimplennPipeline(
    data=Lookalike(kind="cifar", size=320, validation=64, test_samples=64), batch=64, epochs=3,
    decay_epochs=2, lr=0.05, start_seeds=4, seeds=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(Store(tmp_path_factory.mktemp("simplenn") / "store"), processes=0)


@pytest.fixture(scope="module")
def pieces(lab: Lab) -> list[Evidence]:
    return list(STUDY.evidence(lab))


@pytest.fixture(scope="module")
def data(lab: Lab) -> Data:
    return lab.data(STUDY.data)


def table(pieces: list[Evidence], name: str) -> Table:
    found = [p.table if isinstance(p, Figure) else p for p in pieces]
    return next(t for t in found if isinstance(t, Table) and t.name == name)


def claim(pieces: list[Evidence], words: str) -> Claim:
    return next(p for p in pieces if isinstance(p, Claim) and words in p.statement)


# --- the whole study -----------------------------------------------------------------------------


def test_figures_draw_and_the_second_time_trains_nothing(lab: Lab, pieces: list[Evidence]) -> None:
    figures = [p for p in pieces if isinstance(p, Figure)]
    assert {f.table.name for f in figures} == {
        "initial-loss", "split-accuracy", "split-loss", "gap", "arms",
    }  # fmt: skip
    for figure in figures:
        assert figure.caption and figure.table.tier == "look-alike"
        assert figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]
    assert lab.trained == 6
    again = Lab(lab.store, processes=0)
    list(STUDY.evidence(again))
    assert again.trained == 0


def test_the_planner_walks_through_without_any_run(tmp_path: Path) -> None:
    planner = Planner(Store(tmp_path / "empty"))
    list(STUDY.evidence(planner))
    assert [len(request.trials) for request in planner.planned] == [6]
    assert not (tmp_path / "empty").exists()


def test_what_is_exact_is_supported_and_what_photographs_decide_is_open(
    pieces: list[Evidence],
) -> None:
    for words in ("two checks pass", "mean 0 and deviation 1", "saved as best", "bit for bit"):
        assert claim(pieces, words).verdict == "supported", words
    targets = [p for p in pieces if isinstance(p, Claim) and "exceeds 65%" in p.statement]
    assert [p.verdict for p in targets] == ["inconclusive"] * 2
    assert any(isinstance(p, Note) and "stays undecided" in p.text for p in pieces)
    decay = claim(pieces, "accuracy of the last epoch")
    assert decay.seeds == 3 and decay.interval is not None


def test_the_arms_differ_in_the_rate_alone(lab: Lab, pieces: list[Evidence]) -> None:
    rates = table(pieces, "rates").records()
    assert [(r["arm"], r["from epoch"], r["from step"]) for r in rates] == [
        (CONSTANT, 1, 1), (STEPS, 1, 1), (STEPS, 3, 9),
    ]  # fmt: skip
    assert [r["learning rate"] for r in rates] == pytest.approx([0.05, 0.05, 0.005])
    plain, falling = (dataclasses.replace(t, seed=1) for t in STUDY.trials().values())
    first = [lab.run(t).epochs[0] for t in (plain, falling)]
    assert first[0]["running_loss"] == first[1]["running_loss"]
    optimizer = dataclasses.replace(falling.optimizer, lr=plain.optimizer.lr)
    assert dataclasses.replace(falling, optimizer=optimizer) == plain


def test_results_say_where_the_best_was(lab: Lab, pieces: list[Evidence]) -> None:
    rows = table(pieces, "results").records()
    assert [(r["arm"], r["seed"]) for r in rows] == [
        (arm, seed) for arm in (CONSTANT, STEPS) for seed in range(3)
    ]
    for row in rows:
        trial = dataclasses.replace(STUDY.trials()[row["arm"]], seed=row["seed"])
        logged = [e["validation_accuracy"] for e in lab.run(trial).epochs]
        assert row["best validation accuracy"] == max(logged) == logged[row["in epoch"] - 1]


def test_presets_keep_the_sheet_s_settings() -> None:
    for name in ("laptop", "paper"):
        study = SimplennPipeline(**SimplennPipeline.presets[name])
        assert (study.lr, study.momentum, study.weight_decay) == (0.01, 0.9, 1e-4)
        assert (study.batch, study.epochs, study.decay, study.decay_epochs) == (128, 30, 0.1, 10)
        assert study.data == Cifar10(validation=5000)
        assert study.trials()[CONSTANT].network == SimpleNN()
    assert not SimplennPipeline(**SimplennPipeline.presets["smoke"]).decisive


def test_data_without_validation_are_refused() -> None:
    with pytest.raises(BadOption, match="validation"):
        SimplennPipeline(data=Lookalike(kind="cifar", size=100))


# --- checks of the network -----------------------------------------------------------------------


def test_layers_by_arithmetic_and_by_counting() -> None:
    layers = _network_checks.layer_table(SimpleNN().build(SHAPE, 10), SHAPE, 10)
    assert layers.column("expected") == [608, 0, 1168, 0, 69240, 10164, 850, 82030]
    assert layers.column("counted") == layers.column("expected")
    assert all(layers.column("agrees"))
    assert layers.column("output")[:4] == ["8 x 28 x 28", "8 x 14 x 14", "16 x 12 x 12",
                                           "16 x 6 x 6"]  # fmt: skip


def test_a_padded_network_fails_one_check_each_way() -> None:
    sanity, said = _network_checks.sanity_evidence(SimpleNN().build(SHAPE, 10), SHAPE, 10)
    assert isinstance(sanity, Table) and isinstance(said, Claim)
    right, unfit, fitted = sanity.records()
    assert right["passes"] and right["output"] == "(2, 10)" and right["parameters"] == 82030
    assert not unfit["shape is right"] and unfit["output"].startswith("error: mat1 and mat2")
    assert fitted["shape is right"] and not fitted["count is right"]
    assert fitted["parameters"] == 82030 + (16 * 8 * 8 - 576) * 120
    assert said.verdict == "supported"


def test_the_checks_refuse_another_network() -> None:
    changed = SimpleNN(batch_norm=True).build(SHAPE, 10)
    sanity, said = _network_checks.sanity_evidence(changed, SHAPE, 10)
    assert isinstance(sanity, Table) and isinstance(said, Claim)
    assert sanity.records()[0]["parameters"] == 82078
    assert said.verdict == "not supported"


# --- checks of data, device and loss -------------------------------------------------------------


def test_normalisation_is_measured_after_it_was_done(data: Data) -> None:
    normal, said = list(_pipeline_checks.preprocessing_evidence(data))[1:]
    assert isinstance(normal, Table) and isinstance(said, Claim)
    assert not any("copied" in column.name for column in normal.columns)
    images = data.train.inputs.astype(np.float64) / 255
    within = images.reshape(len(images), 3, -1).std(2).mean(0)
    assert normal.column("deviation within an image") == pytest.approx(within.tolist(), rel=1e-5)
    assert said.verdict == "supported"
    wrong = dataclasses.replace(data, input_mean=tuple(m + 0.02 for m in data.input_mean))
    *_, said = _pipeline_checks.preprocessing_evidence(wrong)
    assert isinstance(said, Claim) and said.verdict == "not supported"


def test_doubles_between_splits_are_counted(data: Data) -> None:
    assert _pipeline_checks.splits_table(data).column("also in training") == [0, 0, 0]
    assert data.validation is not None
    leaked = dataclasses.replace(data.validation, inputs=np.concatenate(
        [data.train.inputs[:5], data.validation.inputs[5:]]
    ))  # fmt: skip
    found = _pipeline_checks.splits_table(dataclasses.replace(data, validation=leaked))
    assert found.column("also in training") == [0, 5, 0]
    assert found.column("images") == [256, 64, 64]


def test_devices_of_all_tensors(data: Data) -> None:
    found = _pipeline_checks.device_table(STUDY.trials()[CONSTANT], data)
    assert found.column("kind").count("parameter") == 10
    assert set(found.column("device")) == {"cpu"}
    assert "on the CPU" in found.notes[0]


def test_a_demanded_gpu_is_never_replaced(data: Data) -> None:
    import torch

    trial = dataclasses.replace(STUDY.trials()[CONSTANT], device="cuda")
    if torch.cuda.is_available():
        devices = _pipeline_checks.device_table(trial, data).column("device")
        assert all(device.startswith("cuda") for device in devices)
    else:
        with pytest.raises(BadOption, match="no CUDA device"):
            _pipeline_checks.device_table(trial, data)


def test_loader_shares_come_from_the_clocks(lab: Lab, pieces: list[Evidence]) -> None:
    alone, *trained = table(pieces, "loader").records()
    assert alone["images per second"] > 0 and alone["waiting for data"] is None
    clocks = [run.clock[-1] for run in lab.asked.values()]
    shares = [c["data_s"] / (c["data_s"] + c["compute_s"] + c["update_s"]) for c in clocks]
    assert sorted(r["waiting for data"] for r in trained) == pytest.approx(sorted(shares))


def test_initial_loss_is_that_of_guessing(data: Data) -> None:
    trial = STUDY.trials()[CONSTANT]
    found = list(_pipeline_checks.initial_loss_evidence(trial, data, 20))
    said, summary = claim(found, "guessing"), table(found, "initial-loss-summary").records()
    assert said.verdict == "supported" and said.seeds == 20
    assert said.numbers["ln(classes)"] == pytest.approx(math.log(10))
    default, xavier = summary
    assert abs(default["mean"] - math.log(10)) < 0.03 < xavier["mean"] - math.log(10)
    for row in summary:
        assert row["lowest"] <= row["mean"] <= row["highest"]
    one = _pipeline_checks.untrained(trial, data, Xavier(), 3)
    assert one == _pipeline_checks.untrained(trial, data, Xavier(), 3)
    assert one != _pipeline_checks.untrained(trial, data, Xavier(), 4)


# --- after training ------------------------------------------------------------------------------


def test_wrong_best_weights_are_found_out(lab: Lab, data: Data, pieces: list[Evidence]) -> None:
    run = lab.run(STUDY.trials()[CONSTANT])
    assert run.folder is not None
    other = lab.run(dataclasses.replace(STUDY.trials()[CONSTANT], seed=2))
    assert other.folder is not None
    path = run.folder.file("best.safetensors")
    kept = path.read_bytes()
    try:
        path.write_bytes(other.folder.file("best.safetensors").read_bytes())
        found = list(_split_curves.best_checkpoint_evidence({"arm": [run]}, data))
    finally:
        path.write_bytes(kept)
    read = table(found, "best-weights").records()[0]
    assert read["highest in the log"] == run.best_epoch["validation_accuracy"]
    same = read["read back"] == read["highest in the log"]
    assert claim(found, "saved as best").verdict == ("supported" if same else "not supported")
    assert not same


@pytest.mark.parametrize(("held", "kind"), [(0.94, "warning"), (0.96, "explanation")])
def test_a_wide_gap_is_remarked(held: float, kind: str, data: Data) -> None:
    run = stand_in(STUDY.trials()[CONSTANT], data)
    end = run.rows[-1] | {"train_accuracy": 1.0, "validation_accuracy": held}
    run = dataclasses.replace(run, rows=(*run.rows[:-1], end))
    (note,) = _gap_notes({CONSTANT: [run]})
    assert note.kind == kind
    assert f"{held:.2%}" in note.text and f"{100 * (1 - held):.1f} points" in note.text


def test_a_cut_run_ends_with_the_same_bits(data: Data) -> None:
    cut = cut_and_continued(STUDY.trials()[STEPS], data)
    assert 0 < cut.stopped_at < cut.steps == 8
    assert cut.stopped_at % 4 != 0  # in the middle of an epoch
    assert cut.same_rows and cut.same_weights


def test_plan_and_guide_name_this_study(pieces: list[Evidence]) -> None:
    plan = table(pieces, "plan").records()
    assert [row["arm"] for row in plan] == [CONSTANT, STEPS]
    assert all(row["planned"] > 0 and row["took"] > 0 and row["steps"] == 12 for row in plan)
    guide = table(pieces, "long-jobs").records()
    assert any("--max-time" in row["what to do"] for row in guide)
    assert any("plan simplenn-pipeline" in row["what to do"] for row in guide)


# --- the real photographs ------------------------------------------------------------------------

REAL_DATA = os.environ.get("EPOCHLAB_DATA")


def test_channel_constants_of_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_DATA is None:
        pytest.skip("EPOCHLAB_DATA does not name a folder with the real data sets")
    monkeypatch.setenv("EPOCHLAB_DATA", REAL_DATA)
    monkeypatch.setenv("EPOCHLAB_CACHE", str(tmp_path / "cache"))
    dataset: Dataset = Cifar10(validation=5000)
    _, normal, said = _pipeline_checks.preprocessing_evidence(dataset.load())
    assert isinstance(normal, Table) and isinstance(said, Claim)
    assert normal.column("mean") == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.001)
    copied = normal.column("deviation, often copied")
    assert copied == [0.2023, 0.1994, 0.2010]
    assert normal.column("deviation within an image") == pytest.approx(copied, abs=0.001)
    assert all(d > c + 0.04 for d, c in zip(normal.column("deviation"), copied, strict=True))
    assert said.verdict == "supported"
