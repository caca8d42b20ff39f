"""cyclical-lr: limits from the range test, arms that end with a cycle, an exact trace, claims."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from epochlab.component import make
from epochlab.datasets.digits import Digits
from epochlab.datasets.eggholder import Eggholder
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.networks.mlp import Mlp
from epochlab.schedules import Progress
from epochlab.schedules.cyclical import Cyclical
from epochlab.studies._cyclical_trace import formula, trace_claim
from epochlab.studies._rate_limits import Band, Limits, SeparateRates
from epochlab.studies._rate_policies import to_end_of_cycle
from epochlab.studies.cyclical_lr import CyclicalLr
from epochlab.studies.lr_range import LrRange
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner
from epochlab.train.run import Run
from epochlab.train.store import Store

DATA = Digits(validation=60, train_samples=200, test_samples=60)
RANGE_DATA = Digits(train_samples=200, test_samples=60)
NETWORK = Mlp(hidden=(16,))
STEPS = 7  # ceil(200 / 32)


def tiny(**changes: Any) -> CyclicalLr:
    settings: dict[str, Any] = {
        "data": DATA, "range_data": RANGE_DATA, "network": NETWORK, "batch": 32, "epochs": 4,
        "half_cycle": 1, "half_cycles": (1, 2), "range_epochs": 3, "seeds": 2, "decisive": False,
    }  # fmt: skip
    return CyclicalLr(**(settings | changes))


def lab_in(folder: Path) -> Lab:
    return Lab(Store(folder), processes=0)


def tables(evidence: list[Evidence]) -> dict[str, Table]:
    found = [e.table if isinstance(e, Figure) else e for e in evidence]
    return {t.name: t for t in found if isinstance(t, Table)}


def claims(evidence: list[Evidence]) -> list[Claim]:
    return [e for e in evidence if isinstance(e, Claim)]


def notes(evidence: list[Evidence]) -> list[str]:
    return [e.text for e in evidence if isinstance(e, Note)]


@pytest.fixture(scope="module")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, list[Evidence]]:
    lab = lab_in(tmp_path_factory.mktemp("store"))
    return lab, list(tiny().evidence(lab))


def test_a_second_run_trains_nothing_and_says_the_same(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    lab, evidence = conducted
    assert lab.trained == 10 + 2 * 5  # the range test; exp_range twice, two others, constant
    again = lab_in(lab.store.folder)
    assert list(tiny().evidence(again)) == evidence
    assert again.trained == 0


def test_every_figure_can_be_drawn(conducted: tuple[Lab, list[Evidence]]) -> None:
    figures = [e for e in conducted[1] if isinstance(e, Figure)]
    assert [f.table.name for f in figures] == ["curves", "trace", "policies", "half-cycles"]
    for figure in figures:
        assert figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]
        assert figure.caption


def test_four_curves_of_exp_range(conducted: tuple[Lab, list[Evidence]]) -> None:
    lab, evidence = conducted
    rows = tables(evidence)["curves"].records()
    drawn = [(r["split"], r["quantity"], r["epoch"]) for r in rows]
    assert drawn == [
        (split, quantity, epoch)
        for quantity in ("loss", "accuracy")
        for split in ("training", "validation")
        for epoch in (1, 2, 3, 4)
    ]
    mains = [r for r in lab.asked.values() if "exp_range" in str(r.trial.optimizer)][:2]
    assert [r.trial.seed for r in mains] == [0, 1]
    last = [r.epochs[-1]["validation_accuracy"] for r in mains]
    row = rows[-1]
    assert row["value"] == pytest.approx(sum(last) / 2, rel=1e-15)
    assert (row["lowest"], row["highest"]) == (min(last), max(last))


def test_trace_equals_the_formula_at_every_step(conducted: tuple[Lab, list[Evidence]]) -> None:
    trace = tables(conducted[1])["trace"]
    settings = tables(conducted[1])["settings"].records()[0]
    low, high, gamma = settings["lowest rate"], settings["highest rate"], settings["gamma"]
    assert trace.column("step") == list(range(4 * STEPS))
    for row in trace.records():
        k = row["step"]
        distance = abs((k % (2 * STEPS)) - STEPS) / STEPS  # 1 at a cycle's ends, 0 at its top
        expected = low + (high - low) * (1 - distance) * gamma**k
        assert row["learning rate"] == pytest.approx(expected, rel=1e-12)
        assert row["learning rate"] <= row["envelope"] * (1 + 1e-12)
    assert gamma ** (4 * STEPS) == pytest.approx(0.1, rel=1e-12)
    exact = claims(conducted[1])[0]
    assert exact.verdict == "supported"
    assert exact.numbers == {
        "largest difference": 0.0, "steps": 2 * 4 * STEPS, "planned steps": 2 * 4 * STEPS,
    }  # fmt: skip


def test_a_wrong_rate_or_a_missing_step_is_noticed(conducted: tuple[Lab, list[Evidence]]) -> None:
    run = next(r for r in conducted[0].asked.values() if "exp_range" in str(r.trial.optimizer))
    assert trace_claim([run], STEPS).verdict == "supported"
    shifted = tuple({**r, "lr": r["lr"] * (1 + 1e-9)} if r["row"] == "step" else r
                    for r in run.rows)  # fmt: skip
    assert trace_claim([Run(run.trial, "done", shifted)], STEPS).verdict == "not supported"
    shorter = tuple(r for r in run.rows if r.get("step") != 5)
    assert trace_claim([Run(run.trial, "done", shorter)], STEPS).verdict == "not supported"


def test_formula_gives_the_published_rates() -> None:
    schedule = Cyclical(low=1e-4, high=0.1, half_cycle_steps=100, mode="exp_range", gamma=0.999)
    main = tiny().cyclical(Band(1e-4, 0.1, None, ""), 100, epochs=4, half_cycle=1)
    trial = dataclasses.replace(main, optimizer=dataclasses.replace(main.optimizer, lr=schedule))
    expected = {0: 1e-4, 50: 0.04761272, 100: 0.09048874, 150: 0.04308914, 200: 1e-4,
                300: 0.07409663}  # fmt: skip
    for step, rate in expected.items():
        assert formula(step, trial) == pytest.approx(rate, abs=5e-9)
        assert formula(step, trial) == schedule.value(Progress(step, step / 100, 4, 400))


def test_every_policy_is_compared_and_scored(conducted: tuple[Lab, list[Evidence]]) -> None:
    found = tables(conducted[1])
    arms = found["scores"].column("policy")
    assert arms[:3] == ["exp_range", "triangular", "triangular2"]
    assert arms[-1] == "exp_range, half cycle 2"
    assert list(dict.fromkeys(found["policies"].column("policy"))) == arms[:-1]
    assert set(found["half-cycles"].column("half cycle")) == {"1 epoch", "2 epochs"}
    for name in ("test accuracy", "deviation", "training loss"):
        assert all(v is not None and v >= 0 for v in found["scores"].column(name))
    assert all(seconds > 0 for seconds in found["scores"].column("training time"))
    for row in found["policies"].records():
        assert row["validation error"] == pytest.approx(1 - row["validation accuracy"])


def test_a_small_preset_gives_no_verdict_on_training(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    compared = [c for c in claims(conducted[1]) if "higher test accuracy" in c.statement]
    assert compared
    assert {c.verdict for c in compared} == {"inconclusive"}
    assert {c.seeds for c in compared} == {2}


def test_names_in_keras_are_given_with_the_values_used(
    conducted: tuple[Lab, list[Evidence]],
) -> None:
    table = tables(conducted[1])["keras-names"]
    assert table.label == "exact"
    values = {row["name in Keras"]: row for row in table.records()}
    assert values["step_size"]["name here"].endswith("half_cycle_steps")
    assert values["step_size"]["value here"] == "7"
    assert values["mode"]["value here"] == "exp_range"
    assert (values["startLR"]["value here"], values["endLR"]["value here"]) == ("1e-09", "10")
    fields = {f.name for f in dataclasses.fields(Cyclical)}
    named = {row["name here"].rpartition(": ")[2] for row in table.records()
             if row["name here"].startswith("schedules/cyclical")}  # fmt: skip
    assert named == fields - {"half_cycle_epochs"}
    options = {f.name for f in dataclasses.fields(LrRange)}
    finder = {row["name here"].rpartition(": ")[2] for row in table.records()
              if row["name here"].startswith("lr-range: ")}  # fmt: skip
    assert finder <= options


# --- limits --------------------------------------------------------------------------------------


def test_limits_are_read_from_the_stored_runs_of_lr_range(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    test = LrRange(data=RANGE_DATA, network=NETWORK, batch=32, epochs=3, sweep_epochs=1)
    limits = test.limits(lab)
    assert limits is not None and lab.trained == 10
    list(test.evidence(lab))
    assert lab.trained == 11  # the sweep
    band = tiny().band(lab)
    assert band is not None
    assert (band.high, band.best) == (limits.high, limits.best)
    assert lab.trained == 11


@pytest.mark.parametrize("preset", ["laptop", "paper", "digits", "smoke"])
def test_presets_share_their_range_test_with_lr_range(preset: str) -> None:
    study = make(CyclicalLr, CyclicalLr.presets[preset])
    test = make(LrRange, LrRange.presets[preset]).separate()
    own = {t.key for t in study.range_test().arms().values()}
    assert own == {t.key for t in test.arms().values()}
    assert study.range_test().seeds <= test.seeds


def test_given_limits_need_no_range_test(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    evidence = list(tiny(low=0.001, high=0.1, seeds=1, half_cycles=()).evidence(lab))
    assert lab.trained == 4
    assert "lr_min = 0.001 and lr_max = 0.1. Both limits were given." in notes(evidence)[0]
    rows = {row["policy"]: row for row in tables(evidence)["settings"].records()}
    assert list(rows) == ["exp_range", "triangular", "triangular2", "constant lr_max"]
    assert rows["constant lr_max"]["highest rate"] == 0.1


def with_limits(monkeypatch: pytest.MonkeyPatch, limits: Limits | None) -> None:
    monkeypatch.setattr(SeparateRates, "limits", lambda self, lab: limits)


def test_one_given_limit_replaces_one_of_the_range_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_limits(monkeypatch, Limits(0.001, 0.1, 0.05, 2.3))
    lab = lab_in(tmp_path)
    assert tiny(low=0.002).band(lab).low == 0.002  # type: ignore[union-attr]
    band = tiny(high=0.2).band(lab)
    assert band is not None
    assert (band.low, band.high, band.best) == (0.001, 0.2, 0.05)
    assert "lr_max was given" in band.origin
    with pytest.raises(BadOption, match="low must lie below high"):
        tiny(low=0.5).band(lab)


def test_limits_the_wrong_way_round_are_refused(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    with pytest.raises(BadOption, match="low must lie below high"):
        list(tiny(low=0.1, high=0.01).evidence(lab))
    assert lab.trained == 0


def test_where_both_limits_fall_on_one_rate_low_is_a_quarter_of_high(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_limits(monkeypatch, Limits(0.06, 0.06, 0.06, 2.3))
    band = tiny().band(lab_in(tmp_path))
    assert band is not None
    assert (band.low, band.high) == (0.015, 0.06)
    assert "25% of lr_max" in band.origin


def test_without_a_band_nothing_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_limits(monkeypatch, None)
    lab = lab_in(tmp_path)
    (only,) = tiny().evidence(lab)
    assert isinstance(only, Note)
    assert only.kind == "warning"
    assert lab.trained == 0


# --- arms ----------------------------------------------------------------------------------------


def test_every_cyclical_arm_ends_with_a_cycle_and_trains_at_least_twenty_epochs() -> None:
    arms = CyclicalLr().arms(Band(0.001, 0.06, 0.005, ""), 860)
    assert list(arms) == [
        "exp_range", "triangular", "triangular2", "constant lr_max", "constant best rate",
        "exp_range, half cycle 2", "exp_range, half cycle 8",
    ]  # fmt: skip
    epochs = [trial.epochs for trial in arms.values()]
    assert epochs == [24, 24, 24, 24, 24, 24, 32]
    for trial in arms.values():
        rate = trial.optimizer.lr
        if isinstance(rate, Cyclical):
            assert rate.half_cycle_steps is not None
            assert trial.epochs * 860 % (2 * rate.half_cycle_steps) == 0
    assert [arms[n].optimizer.lr for n in list(arms)[3:5]] == [0.06, 0.005]


def test_the_best_rate_is_one_arm_with_lr_max_where_it_is_the_same() -> None:
    arms = CyclicalLr().arms(Band(0.001, 0.06, 0.06, ""), 860)
    assert [name for name in arms if "constant" in name] == ["constant lr_max = best rate"]


@pytest.mark.parametrize(
    ("epochs", "half", "expected"), [(24, 4, 24), (24, 8, 32), (20, 2, 20), (1, 8, 16), (25, 4, 32)]
)
def test_epochs_are_lengthened_to_the_end_of_a_cycle(epochs: int, half: int, expected: int) -> None:
    assert to_end_of_cycle(epochs, half) == expected


def test_a_diverged_arm_is_told_and_counted_as_guessing(tmp_path: Path) -> None:
    study = tiny(low=1e-3, high=1e9, half_cycles=(), seeds=3, decisive=True, epochs=2)
    evidence = list(study.evidence(lab_in(tmp_path)))
    assert any("'constant lr_max' diverged (seed 0 at step" in text for text in notes(evidence))
    (compared,) = [c for c in claims(evidence) if "higher test accuracy" in c.statement]
    assert compared.numbers["test accuracy, constant lr_max"] == pytest.approx(0.1)
    rows = {row["policy"]: row for row in tables(evidence)["scores"].records()}
    assert rows["constant lr_max"]["test accuracy"] is None
    for figure in (e for e in evidence if isinstance(e, Figure)):
        assert figure.drawing.draw(figure.table).to_dict()


# --- what cannot be ------------------------------------------------------------------------------


def test_validation_curves_need_validation_samples(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"--data\.validation"):
        list(tiny(data=RANGE_DATA).evidence(lab_in(tmp_path)))


def test_regression_has_no_accuracy(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="targets are numbers"):
        list(tiny(data=Eggholder(validation=10)).evidence(lab_in(tmp_path)))


def test_planning_walks_to_the_end_without_training(tmp_path: Path) -> None:
    planner = Planner(Store(tmp_path))
    evidence = list(tiny().evidence(planner))
    assert claims(evidence)
    arms = len(set(tables(evidence)["scores"].column("policy")))
    assert [len(part.trials) for part in planner.planned] == [10, 2 * arms]
    assert not list(tmp_path.glob("runs/*"))


def test_smoke_gives_no_verdict() -> None:
    assert not make(CyclicalLr, CyclicalLr.presets["smoke"]).decisive
