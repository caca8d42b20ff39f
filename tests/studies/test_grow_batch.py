"""grow-batch: the published numbers of steps, the noise scale, the equivalence rule, evidence."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.component import make
from epochlab.datasets.digits import Digits
from epochlab.datasets.eggholder import Eggholder
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.networks.mlp import Mlp
from epochlab.schedules import Progress
from epochlab.studies._batch_levels import (
    Levels,
    few_steps_note,
    level_table,
    noise_scale,
    steps_claim,
)
from epochlab.studies._equivalence import similar
from epochlab.studies._rate_limits import Band
from epochlab.studies.cyclical_lr import CyclicalLr
from epochlab.studies.grow_batch import GrowBatch
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner
from epochlab.train.run import Run
from epochlab.train.store import Store

BATCHES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
STEPS_OF_60_000 = [1875, 938, 469, 235, 118, 59, 30, 15]
LIMITS = Band(0.005, 0.06, 0.06, "")
SHARED: dict[str, Any] = {
    "data": Digits(validation=60, train_samples=200, test_samples=60),
    "range_data": Digits(train_samples=200, test_samples=60), "network": Mlp(hidden=(16,)),
    "batch": 32, "half_cycle": 1, "range_epochs": 3, "seeds": 2, "decisive": False,
}  # fmt: skip


def tiny(**changes: Any) -> GrowBatch:
    own = {"start_batch": 25, "largest_batch": 100, "every_epochs": 2}
    return GrowBatch(**(SHARED | own | changes))


def lab_in(folder: Path) -> Lab:
    return Lab(Store(folder), processes=0)


def tables(evidence: list[Evidence]) -> dict[str, Table]:
    found = [e.table if isinstance(e, Figure) else e for e in evidence]
    return {t.name: t for t in found if isinstance(t, Table)}


def claims(evidence: list[Evidence]) -> list[Claim]:
    return [e for e in evidence if isinstance(e, Claim)]


@pytest.fixture(scope="module")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, list[Evidence]]:
    lab = lab_in(tmp_path_factory.mktemp("store"))
    return lab, list(tiny().evidence(lab))


# --- levels --------------------------------------------------------------------------------------


def test_steps_of_the_complete_fashion_mnist() -> None:
    study = GrowBatch()
    assert study.levels() == list(BATCHES)
    assert study.epochs == 24
    trial = study.arms(LIMITS, 938)["growing batch"]
    assert trial.steps_per_epoch(60_000)[::3] == STEPS_OF_60_000
    assert [trial.batch_size(epoch) for epoch in range(24)] == [b for b in BATCHES for _ in "123"]
    assert Levels(BATCHES, 3, 60_000, 60_000).steps_per_epoch() == STEPS_OF_60_000


def test_level_table_of_the_paper_preset() -> None:
    table = level_table(Levels(BATCHES, 3, 55_000, 60_000), 0.06, 0.9)
    assert table.label == "exact"
    assert table.column("steps per epoch of 60,000") == STEPS_OF_60_000
    assert table.column("steps per epoch") == [1719, 860, 430, 215, 108, 54, 27, 14]
    assert table.column("steps") == [3 * s for s in table.column("steps per epoch")]
    assert table.column("log2(batch size)") == [5, 6, 7, 8, 9, 10, 11, 12]
    assert table.column("epochs")[:2] == ["1 to 3", "4 to 6"]
    noise, rates = table.column("noise scale"), table.column("equal rate")
    assert [a / b for a, b in pairwise(noise)] == [2.0] * 7
    assert rates == [0.06 / 2**k for k in range(8)]
    whole = level_table(Levels(BATCHES, 3, 60_000, 60_000), 0.06, 0.9)
    assert whole.column("steps per epoch") == STEPS_OF_60_000
    assert "steps per epoch of 60,000" not in [c.name for c in whole.columns]


def test_noise_scale() -> None:
    assert noise_scale(0.1, 60_000, 64, 0.0) == pytest.approx(93.75, rel=1e-15)
    assert noise_scale(0.1, 60_000, 64, 0.9) == pytest.approx(937.5, rel=1e-12)


def test_few_steps_are_warned_about() -> None:
    note = few_steps_note(Levels(BATCHES, 3, 60_000, 60_000))
    assert note is not None
    assert note.kind == "warning"
    assert "few steps: 15 at 4,096." in note.text
    assert few_steps_note(Levels(BATCHES[:4], 3, 60_000, 60_000)) is None


def test_halving_the_rate_keeps_the_noise_of_the_growing_batch() -> None:
    arms = GrowBatch().arms(LIMITS, 938)
    growing, halving = arms["growing batch"], arms["halving rate"]
    for epoch in range(24):
        at = Progress(0, epoch, 24, 1)
        assert halving.learning_rate(at) / halving.batch_size(epoch) == (
            growing.learning_rate(at) / growing.batch_size(epoch)
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start_batch": 32, "largest_batch": 100}, "by doubling"),
        ({"start_batch": 64, "largest_batch": 32}, "by doubling"),
        ({"largest_batch": 64, "every_epochs": 3}, "end inside a cycle of 8"),
    ],
)
def test_levels_that_do_not_fit_are_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        GrowBatch(**options)


# --- equivalence ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        ((0.90, 0.91, 0.92), (0.902, 0.909, 0.921), "similar"),
        ((0.90, 0.91, 0.92), (0.896, 0.906, 0.916), "similar"),  # different from 0, but small
        ((0.90, 0.91, 0.92), (0.88, 0.889, 0.901), "different"),
        ((0.88, 0.889, 0.901), (0.90, 0.91, 0.92), "different"),
        ((0.90, 0.91, 0.92), (0.85, 0.93, 0.89), "not decided"),
        ((0.90, 0.91), (0.90, 0.91), "not decided"),  # two seeds
        ((0.90,), (0.50,), "not decided"),
    ],
)
def test_similar_different_or_not_decided(
    a: tuple[float, ...], b: tuple[float, ...], word: str
) -> None:
    claim, found = similar("alike", a, b, names=("a", "b"))
    verdicts = {"similar": "supported", "different": "not supported"}
    assert found == word
    assert claim.verdict == verdicts.get(word, "inconclusive")
    assert claim.seeds == len(a)
    assert (claim.interval is None) == (len(a) == 1)


def test_a_run_too_small_to_judge_by_is_never_decided() -> None:
    claim, word = similar("alike", (0.9,) * 3, (0.9,) * 3, names=("a", "b"), decisive=False)
    assert (claim.verdict, word) == ("inconclusive", "not decided")


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6))
def test_equivalence_is_symmetric(pairs: list[tuple[float, float]]) -> None:
    a, b = zip(*pairs, strict=True)
    forth, back = (similar("", *args, names=("", "")) for args in ((a, b), (b, a)))
    assert forth[1] == back[1]
    assert forth[0].numbers["mean difference"] == -back[0].numbers["mean difference"]


# --- evidence ------------------------------------------------------------------------------------


def test_a_second_run_trains_nothing_and_says_the_same(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    lab, evidence = conducted
    assert lab.trained == 10 + 2 * 3
    again = lab_in(lab.store.folder)
    assert list(tiny().evidence(again)) == evidence
    assert again.trained == 0


def test_the_cyclical_arm_is_that_of_cyclical_lr(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    lab = lab_in(conducted[0].store.folder)
    list(CyclicalLr(**SHARED, epochs=6, half_cycles=()).evidence(lab))
    assert lab.trained == 2 * 3  # triangular, triangular2 and the constant rate


def test_presets_with_equal_data_share_the_cyclical_arm() -> None:
    ours, theirs = (make(cls, cls.presets["paper"]) for cls in (GrowBatch, CyclicalLr))
    assert ours.arms(LIMITS, 860)["exp_range"].key == theirs.arms(LIMITS, 860)["exp_range"].key


def test_all_arms_train_for_equally_many_epochs(conducted: tuple[Lab, list[Evidence]]) -> None:
    trials = [run.trial for run in conducted[0].asked.values()][10:]
    assert len(trials) == 6
    assert {trial.epochs for trial in trials} == {6}
    scores = {row["arm"]: row for row in tables(conducted[1])["scores"].records()}
    assert scores["growing batch"]["updates"] == 2 * (8 + 4 + 2)
    assert scores["halving rate"]["updates"] == 6 * 8
    assert scores["exp_range"]["updates"] == 6 * 7
    for row in scores.values():
        assert row["gap"] == pytest.approx(row["training accuracy"] - row["test accuracy"])


def test_loss_is_drawn_over_the_logarithm_of_the_batch_size(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    lab, evidence = conducted
    rows = tables(evidence)["loss-vs-batch"].records()
    assert [(r["arm"], r["batch size"]) for r in rows] == [
        (arm, batch) for arm in ("growing batch", "halving rate") for batch in (25, 50, 100)
    ]
    assert [2 ** r["log2(batch size)"] for r in rows[:3]] == pytest.approx([25, 50, 100])
    runs = [run for run in lab.asked.values() if "Growing" in str(run.trial.batch)]
    last = [run.epochs[3]["running_loss"] for run in runs]
    assert rows[1]["training loss"] == pytest.approx(sum(last) / 2, rel=1e-15)
    assert (rows[1]["lowest"], rows[1]["highest"]) == (min(last), max(last))


def test_accuracy_is_drawn_over_epochs_and_over_updates(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    found = tables(conducted[1])
    over_epochs, over_updates = found["accuracy-over-epochs"], found["accuracy-over-updates"]
    assert over_epochs.rows == over_updates.rows
    assert len(over_epochs.rows) == 3 * 6
    assert over_updates.column("updates")[:6] == [8, 16, 20, 24, 26, 28]
    figures = [e for e in conducted[1] if isinstance(e, Figure)]
    assert [getattr(f.drawing, "x", "") for f in figures] == [
        "log2(batch size)", "epoch", "updates",
    ]  # fmt: skip
    for figure in figures:
        assert figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]


def test_claims_and_their_words(conducted: tuple[Lab, list[Evidence]]) -> None:
    exact, cyclical, halving = claims(conducted[1])
    assert exact.verdict == "supported"
    assert exact.numbers == {"steps": 2 * 28, "planned steps": 2 * 28, "levels that differ": 0}
    assert {cyclical.verdict, halving.verdict} == {"inconclusive"}
    texts = [e.text for e in conducted[1] if isinstance(e, Note)]
    assert sum("not decided" in text for text in texts) == 2
    assert any("few steps: 8 at 25, 4 at 50, 2 at 100" in text for text in texts)


def test_a_missing_step_or_a_wrong_batch_is_noticed(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    levels = Levels((25, 50, 100), 2, 200, 1500)
    run = next(r for r in conducted[0].asked.values() if "Growing" in str(r.trial.batch))
    assert steps_claim([run], levels).verdict == "supported"
    shorter = Run(run.trial, "done", tuple(r for r in run.rows if r.get("step") != 11))
    assert steps_claim([shorter], levels).numbers["levels that differ"] == 1
    others = tuple(r | {"batch": 99} if r["row"] == "step" else r for r in run.rows)
    wrong = steps_claim([Run(run.trial, "done", others)], levels)
    assert (wrong.verdict, wrong.numbers["levels that differ"]) == ("not supported", 3)


def test_a_diverged_arm_is_told_and_drawn(tmp_path: Path) -> None:
    evidence = list(tiny(low=1e-3, high=1e9, seeds=3).evidence(lab_in(tmp_path)))
    texts = [e.text for e in evidence if isinstance(e, Note)]
    assert any("'growing batch' diverged (seed 0 at step" in text for text in texts)
    assert claims(evidence)[0].verdict == "not supported"
    for figure in (e for e in evidence if isinstance(e, Figure)):
        assert figure.drawing.draw(figure.table).to_dict()


def test_planning_walks_to_the_end_without_training(tmp_path: Path) -> None:
    planner = Planner(Store(tmp_path))
    assert len(claims(list(tiny().evidence(planner)))) == 3
    assert [len(part.trials) for part in planner.planned] == [10, 6]
    assert not list(tmp_path.glob("runs/*"))


def test_regression_has_no_accuracy(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="targets are numbers"):
        list(tiny(data=Eggholder()).evidence(lab_in(tmp_path)))


def test_presets_grow_over_all_levels_of_the_sheet() -> None:
    for name in ("smoke", "laptop", "paper"):
        assert make(GrowBatch, GrowBatch.presets[name]).levels() == list(BATCHES)
    assert not make(GrowBatch, GrowBatch.presets["smoke"]).decisive
    assert {f.name for f in dataclasses.fields(GrowBatch)} >= {"low", "high", "every_epochs"}
