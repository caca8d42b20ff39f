"""The comparison of adaptive optimizers, on a few digits, and the facts that need no training."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import pytest

from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.digits import Digits
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.networks.mlp import Mlp
from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.constant import Constant
from epochlab.studies import _dropout_scaling, _independent_optimizers, _method_results
from epochlab.studies._method_facts import (
    NAMES,
    explained,
    first_steps_table,
    steps_under_constant_gradient,
)
from epochlab.studies._method_results import DROPOUT, PLAIN
from epochlab.studies._rate_tuning import held_out, tune
from epochlab.studies.adaptive_optimizers import AdaptiveOptimizers
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner, stand_in
from epochlab.train.run import Run
from epochlab.train.store import Store

METHODS = ["AdaGrad", "RMSProp", "RMSProp+Nesterov", "AdaDelta", "Adam"]
STUDY = AdaptiveOptimizers(
    data=Digits(train_samples=256, test_samples=100), network=Mlp(hidden=(16, 16)), epochs=2,
    factors=(1.0, 10.0), tune_epochs=1, held=64, batch=32, seeds=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(Store(tmp_path_factory.mktemp("adaptive") / "store"), processes=0)


@pytest.fixture(scope="module")
def pieces(lab: Lab) -> list[Evidence]:
    return list(STUDY.evidence(lab))


def table(pieces: list[Evidence], name: str) -> Table:
    found = [p.table if isinstance(p, Figure) else p for p in pieces]
    return next(t for t in found if isinstance(t, Table) and t.name == name)


def claim(pieces: list[Evidence], words: str) -> Claim:
    return next(p for p in pieces if isinstance(p, Claim) and words in p.statement)


# --- the whole study -----------------------------------------------------------------------------


def test_all_ten_arms_are_reported_and_every_figure_draws(pieces: list[Evidence]) -> None:
    results = table(pieces, "results")
    assert list(zip(results.column("network"), results.column("method"), strict=True)) == [
        (kind, method) for kind in (PLAIN, DROPOUT) for method in METHODS
    ]
    assert all(math.isfinite(v) for v in results.column("loss in evaluation mode"))
    figures = [p for p in pieces if isinstance(p, Figure)]
    assert {f.table.name for f in figures} == {
        "constant-gradient", "tuning", "training-loss", "test-accuracy",
    }  # fmt: skip
    for figure in figures:
        assert figure.caption
        assert figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]


def test_second_time_trains_nothing(lab: Lab, pieces: list[Evidence]) -> None:
    # 10 tuning runs, 10 arms of 3 seeds, default rates where they are not the tuned ones.
    tuned = table(pieces, "default-rates")
    new = sum(a != b for a, b in zip(tuned.column("tuned rate"), tuned.column("default rate"),
                                     strict=True))  # fmt: skip
    assert lab.trained == 10 + 30 + 3 * new
    again = Lab(lab.store, processes=0)
    list(STUDY.evidence(again))
    assert again.trained == 0
    planner = Planner(lab.store)
    list(STUDY.evidence(planner))
    assert planner.planned == []
    assert planner.done == lab.trained


def test_the_planner_walks_through_without_any_run(tmp_path: Path) -> None:
    planner = Planner(Store(tmp_path / "empty"))
    walked = list(STUDY.evidence(planner))
    assert [len(request.trials) for request in planner.planned][:2] == [10, 30]
    assert any(isinstance(p, Note) and p.kind == "skipped" for p in walked)
    assert not (tmp_path / "empty").exists()


def test_methods_share_weights_and_order(lab: Lab, pieces: list[Evidence]) -> None:
    runs = [run for run in lab.asked.values() if run.trial.epochs == STUDY.epochs]
    for kind in (0.0, STUDY.input_dropout):
        first = {r.start["train_loss"] for r in runs
                 if r.trial.seed == 1 and _network(r).input_dropout == kind}  # fmt: skip
        assert len(first) == 1
    other_seed = {r.start["train_loss"] for r in runs if r.trial.seed == 2}
    assert other_seed.isdisjoint(first)
    assert {r.trial.optimizer.weight_decay for r in runs} == {STUDY.weight_decay}
    assert not any(r.trial.optimizer.decoupled for r in runs)


def _network(run: Run) -> Mlp:
    assert isinstance(run.trial.network, Mlp)
    return run.trial.network


def test_losses_with_dropout_are_told_apart(lab: Lab, pieces: list[Evidence]) -> None:
    paired = table(pieces, "dropout").records()
    assert [row["method"] for row in paired] == METHODS
    for row in paired:
        assert row["loss with, as trained"] > row["loss with, evaluation mode"]
        increase = row["loss with, evaluation mode"] - row["loss without"]
        assert row["increase"] == pytest.approx(increase)
        assert row["time ratio"] == pytest.approx(row["epoch with"] / row["epoch without"])
    rows = [r for r in table(pieces, "training-loss").records()
            if (r["network"], r["method"], r["epoch"]) == (DROPOUT, "Adam", 2)]  # fmt: skip
    adam = next(r for r in table(pieces, "results").records()
                if (r["network"], r["method"]) == (DROPOUT, "Adam"))  # fmt: skip
    assert {r["loss"]: r["training loss"] for r in rows} == pytest.approx(
        {"as trained": adam["loss as trained"], "evaluation mode": adam["loss in evaluation mode"]}
    )


def test_ranking_orders_by_loss(pieces: list[Evidence]) -> None:
    for kind in (PLAIN, DROPOUT):
        rows = [r for r in table(pieces, "ranking").records() if r["network"] == kind]
        losses = [r["training loss"] for r in rows]
        assert losses == sorted(losses)
        assert [r["rank"] for r in rows] == [1, 2, 3, 4, 5]
        gaps = [b - a for a, b in itertools.pairwise(losses)]
        assert [r["behind the one before"] for r in rows[1:]] == pytest.approx(gaps)
        assert f"{rows[0]['method']} reaches" in claim(pieces, f"loss {kind}").statement


def test_an_undecided_preset_gives_no_trained_verdict(lab: Lab, pieces: list[Evidence]) -> None:
    small = dataclasses.replace(STUDY, decisive=False)
    verdicts = {p.statement: p.verdict for p in small.evidence(lab) if isinstance(p, Claim)}
    assert verdicts[claim(pieces, "raises test accuracy").statement] == "inconclusive"
    assert verdicts["Our own Adam equals torch.optim.Adam."] == "supported"


# --- tuning --------------------------------------------------------------------------------------


def test_the_chosen_rate_has_the_highest_validation_accuracy(pieces: list[Evidence]) -> None:
    tuning, used = table(pieces, "tuning").records(), table(pieces, "results").records()
    for method in METHODS:
        tried = [r for r in tuning if r["method"] == method]
        assert len(tried) == 2
        best = max(r["validation accuracy"] for r in tried)
        rate = next(r["learning rate"] for r in used if r["method"] == method)
        assert best in [r["validation accuracy"] for r in tried if r["learning rate"] == rate]


def test_a_diverged_rate_is_never_chosen_and_one_rate_needs_no_runs(tmp_path: Path) -> None:
    lab = Lab(Store(tmp_path / "store"), processes=0)
    trial = dataclasses.replace(
        STUDY.trial(Sgd(lr=0.1), dropout=False), epochs=1, evaluate=(),
        data=held_out(STUDY.data, 64),
    )  # fmt: skip
    tuned = tune(lab, {"SGD": trial}, (1.0, 1e30))
    assert tuned.rates == {"SGD": 0.1}
    assert [run.status for _, run in tuned.runs["SGD"]] == ["done", "diverged"]
    planner = Planner(Store(tmp_path / "none"))
    assert tune(planner, {"SGD": trial}, (2.0,)).rates == {"SGD": 0.2}
    assert planner.planned == []


def test_held_out_data_keep_a_split_of_their_own() -> None:
    assert held_out(Digits(), 100) == Digits(validation=100)
    assert held_out(Digits(validation=7), 100) == Digits(validation=7)


def test_methods_that_diverged_come_last_and_are_not_claimed() -> None:
    data = Digits(train_samples=64, test_samples=64)
    trial = STUDY.trial(Adam(), dropout=False)
    good = stand_in(trial, data.load())
    lost = dataclasses.replace(good, status="diverged", rows=(
        {"row": "diverged", "step": 1, "epoch": 1, "quantity": "loss", "value": "nan"},
    ))  # fmt: skip
    methods = {"lost": [lost], "good": [good]}
    assert _method_results.ranked(methods) == ["good", "lost"]
    said = list(_method_results.ranking_claims({PLAIN: methods, DROPOUT: methods}, True))
    assert all(isinstance(p, Note) for p in said[:3])
    assert _method_results.results_table({PLAIN: methods, DROPOUT: methods}).rows


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"optimizers": (Adam(), Adam(lr=0.1))}, {"optimizers": ()}, {"factors": ()},
    {"optimizers": (Adam(lr=Constant(level=0.1)),)},
])  # fmt: skip
def test_mistakes_are_named(options: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        AdaptiveOptimizers(**options)  # type: ignore[arg-type]


def test_presets_are_studies_on_the_sheet_s_network() -> None:
    for name, values in AdaptiveOptimizers.presets.items():
        study = AdaptiveOptimizers(**values)
        assert study.decisive == (name != "smoke")
        assert [NAMES[type(o)] for o in study.optimizers] == METHODS
        if name != "digits":
            assert isinstance(study.data, Cifar10)
            assert study.network == Mlp(hidden=(1000, 1000))
    assert AdaptiveOptimizers(**AdaptiveOptimizers.presets["paper"]).epochs == 200


# --- facts without training ----------------------------------------------------------------------


def test_first_steps() -> None:
    optimizers = (Adagrad(), Rmsprop(), RmspropNesterov(), Adadelta(), Adam())
    found = first_steps_table(optimizers)
    assert found.label == "exact"
    assert found.column("by the component") == pytest.approx(
        [-1, -3.162277660, -3.162277660, -0.003162262, -1], abs=1e-9
    )
    assert all(abs(d) < 1e-12 for d in found.column("difference"))


def test_steps_under_a_constant_gradient() -> None:
    assert steps_under_constant_gradient(Adagrad(), 4) == pytest.approx(
        [1, 1 / math.sqrt(2), 1 / math.sqrt(3), 0.5], abs=1e-8
    )
    assert steps_under_constant_gradient(Adam(), 50) == pytest.approx([1.0] * 50, rel=1e-6)
    assert steps_under_constant_gradient(RmspropNesterov(), 300)[-1] == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("cls", list(NAMES))
def test_docstrings_tell_equation_terms_and_kin(cls: type) -> None:
    told = explained(cls)
    assert told.equation and all(" = " in line or "<-" in line for line, _ in told.equation)
    assert {"w", "g", "lr"} <= {s for symbol, _ in told.terms for s in symbol.split(", ")}
    assert all(meaning for _, meaning in told.terms)
    assert len(told.kin) > 40 and "`" not in told.kin


def test_all_options_are_listed_with_the_values_used(pieces: list[Evidence]) -> None:
    rows = table(pieces, "hyper-parameters").records()
    for method, option, used in (("Adam", "beta2", "0.999"), ("AdaDelta", "rho", "0.9"),
                                 ("RMSProp+Nesterov", "momentum", "0.9"),
                                 ("AdaGrad", "weight_decay", "0.0001")):  # fmt: skip
        row = next(r for r in rows if (r["method"], r["hyper-parameter"]) == (method, option))
        assert row["used here"] == used and row["meaning"]
    rates = {r["method"]: r["used here"] for r in rows if r["hyper-parameter"] == "lr"}
    assert rates == {r["method"]: f"{r['learning rate']:g}"
                     for r in table(pieces, "results").records()}  # fmt: skip


@pytest.mark.parametrize("cls", [Adagrad, Rmsprop, RmspropNesterov, Adadelta, Adam])
def test_each_method_equals_an_independent_implementation(cls: type) -> None:
    name, gap = _independent_optimizers.independent_gap(cls)
    assert name != "none" and gap is not None and gap <= 1e-12


def test_the_comparison_sees_a_difference() -> None:
    other = _independent_optimizers._book(RmspropNesterov(momentum=0.9))
    gap = _independent_optimizers._gap(RmspropNesterov(momentum=0.89), 0.01, other)
    assert gap > 1e-3
    assert _independent_optimizers.independent_gap(Sgd) == ("none", None)


def test_l2_gradient_is_c_times_w() -> None:
    found = _independent_optimizers.l2_claim(0.01)
    assert found.verdict == "supported" and found.numbers["largest difference"] < 1e-12


# --- dropout's scaling ---------------------------------------------------------------------------


def test_both_forms_of_dropout_predict_the_same(lab: Lab, pieces: list[Evidence]) -> None:
    assert claim(pieces, "the same network").verdict == "supported"
    method = table(pieces, "ranking").records()[5]["method"]
    runs = STUDY.runs(lab, STUDY.tuned(lab))[DROPOUT][method]
    found = _dropout_scaling.scalings(runs[0], lab.data(STUDY.data))
    assert found[_dropout_scaling.CLASSICAL].largest_difference < 1e-12
    assert found[_dropout_scaling.WRONG].largest_difference > 1e-3
    assert found[_dropout_scaling.FORGOTTEN].largest_difference > 1e-3
    right = found[_dropout_scaling.INVERTED]
    assert right.loss == pytest.approx(runs[0].final("test_loss"), abs=1e-5)
    assert right.accuracy == pytest.approx(runs[0].final("test_accuracy"))


def test_dropout_drops_what_was_asked(pieces: list[Evidence]) -> None:
    rows = table(pieces, "dropout-rates").records()
    assert [row["asked"] for row in rows] == [0.2, 0.5]
    for row in rows:
        assert row["dropped"] == pytest.approx(row["asked"], abs=0.01)
        assert row["mean factor"] == pytest.approx(1, abs=0.01)
