"""The inception study against the known numbers, other filters, and its timing when disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from epochlab.component import make
from epochlab.cost.exercise import exercise_of
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.networks.googlenet import MODULES
from epochlab.studies import _module_times
from epochlab.studies._inception_counts import NAIVE, REDUCED, Filters, size_evidence, traced
from epochlab.studies._module_times import Timing, Timings, measure
from epochlab.studies.inception_cost import POOLING, InceptionCost
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner
from epochlab.train.store import Store
from tests.known import network, numbers

STUDY = InceptionCost(repetitions=2, decisive=False)
KNOWN = {fact["form"]: fact for fact in numbers()["inception"]}
SAVING = numbers()["inception_saving"]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Evidence]:
    lab = Lab(Store(tmp_path_factory.mktemp("inception") / "store"), processes=0)
    return list(STUDY.evidence(lab))


def table(pieces: list[Evidence], name: str) -> Table:
    found = [p.table if isinstance(p, Figure) else p for p in pieces]
    return next(t for t in found if isinstance(t, Table) and t.name == name)


def claim(pieces: list[Evidence], words: str) -> Claim:
    return next(p for p in pieces if isinstance(p, Claim) and words in p.statement)


def note(pieces: list[Evidence], words: str) -> str:
    return next(p.text for p in pieces if isinstance(p, Note) and words in p.text)


# --- the whole study ------------------------------------------------------------------------------


def test_figures_draw_and_labels_tell_counted_from_measured(pieces: list[Evidence]) -> None:
    figures = {p.table.name: p for p in pieces if isinstance(p, Figure)}
    assert set(figures) == {"branches", "stacked", "time-vs-macs"}
    for name, figure in figures.items():
        assert figure.caption
        assert figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]
        assert figure.table.label == ("measured" if name == "time-vs-macs" else "exact")
    labels = {p.statement.split()[0]: (p.label, p.verdict) for p in pieces if isinstance(p, Claim)}
    assert labels["On"] == ("measured", "inconclusive")  # runs too small, as told
    assert {labels[k] for k in ("After", "Reducing", "GoogLeNet's")} == {("exact", "supported")}


def test_the_planner_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epochlab.studies.inception_cost.measure", lambda *_: pytest.fail("timed"))
    planner = Planner(Store(tmp_path / "empty"))
    seen = list(STUDY.evidence(planner))
    assert seen and planner.planned == []


def test_presets_can_be_made_and_a_size_is_needed() -> None:
    for preset in InceptionCost.presets.values():
        make(InceptionCost, preset)
    with pytest.raises(BadOption, match="--sides"):
        InceptionCost(sides=())


def test_the_settings_are_those_of_the_exercise() -> None:
    for form in (NAIVE, REDUCED):
        known = KNOWN[form]
        assert known["filters"].items() <= vars(STUDY.filters).items()
        assert known["input_shape"] == [STUDY.channels, STUDY.sides[0], STUDY.sides[0]]
        sheet = exercise_of(f"inception-{form}").sheet()
        assert sheet.total("operations", sheet.convention) == known["macs"]


# --- sizes and operations -------------------------------------------------------------------------


def test_output_sizes_are_the_known_ones_and_those_of_a_forward_pass(
    pieces: list[Evidence],
) -> None:
    rows = {row["module"]: row for row in table(pieces, "sizes").records()
            if row["input"].startswith("32x32")}  # fmt: skip
    for form, known in KNOWN.items():
        channels, height, width = known["output_shape"]
        assert rows[form]["output"] == f"{height}x{width}x{channels}"
        assert rows[form]["of a forward pass"] == rows[form]["output"]
        assert rows[form]["numbers"] == known["outputs"]
    assert rows[NAIVE]["channels"] == "128 + 192 + 96 + 256 = 672"
    assert rows[REDUCED]["channels"] == "128 + 192 + 96 + 64 = 480"


def test_a_module_that_joins_other_channels_refutes_the_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filters = Filters(one=2, three=3, five=4, reduce3=2, reduce5=2, pool=5)
    assert size_evidence(filters, 6, (8,))[1].verdict == "supported"
    monkeypatch.setattr(Filters, "kept", lambda *_: (2, 3, 4, 0))
    assert size_evidence(filters, 6, (8,))[1].verdict == "not supported"


def test_operations_per_convolution_and_in_sum(pieces: list[Evidence]) -> None:
    rows = table(pieces, "operations-32").records()
    parts = table(pieces, "branches").records()
    for form, known in KNOWN.items():
        own = [row for row in rows if row["module"] == form]
        total = own.pop()
        assert [row["MACs"] for row in own] == list(known["branches"].values())
        assert total["MACs"] == known["macs"] and total["FLOPs"] == known["flops"]
        assert total["weights"] == known["weights"]
        assert sum(row["MACs"] for row in parts if row["module"] == form) == known["macs"]
        counted = traced(STUDY.filters, form, 256, 32)
        found = {layer.name: layer.macs for layer in counted.layers if layer.macs}
        assert found == known["branches"]


def test_the_saving_is_the_known_one_for_both_sizes(pieces: list[Evidence]) -> None:
    rows = {row["input"]: row for row in table(pieces, "saving").records()}
    first, second = rows["32x32x256"], rows["28x28x256"]
    assert first["saved"] == SAVING["saved_macs"]
    assert f"{100 * first['saving']:.2f}" == f"{SAVING['saved_percent']:.2f}"
    assert f"{first['ratio']:.4f}" == f"{SAVING['ratio']:.4f}"
    for form, known in KNOWN.items():
        assert second[form] == known["macs_at_28_pixels"]
    assert first["agrees"] and second["agrees"]
    assert "68.23%" in claim(pieces, "saves").statement


def test_the_wrong_answer_in_circulation_is_named(pieces: list[Evidence]) -> None:
    text = note(pieces, "A mistake that goes round")
    assert f"{SAVING['wrong_macs']:,}" in text and f"{KNOWN[REDUCED]['macs']:,}" in text


def test_the_explanation_takes_its_numbers_from_the_counts(pieces: list[Evidence]) -> None:
    trouble = note(pieces, "The trouble with the naive module")
    help_text = note(pieces, "How reducing the channels helps")
    branches = KNOWN[NAIVE]["branches"]
    assert f"{branches['branch5.conv']:,}" in trouble
    assert f"{branches['branch5.conv'] / KNOWN[NAIVE]['macs']:.0%} of the module" in trouble
    assert f"{SAVING['saved_macs']:,} saved" in help_text
    other = list(InceptionCost(channels=64, sides=(8,), one=8, three=8, five=8, reduce3=4,
                               reduce5=4, pool=4, stacked=2).evidence(PLANNING))  # fmt: skip
    assert f"{25 * 64 * 8 * 64:,}" in note(other, "The trouble with the naive module")


class Planning:
    planning = True


PLANNING: Any = Planning()


def test_naive_modules_grow_and_reduced_ones_do_not(pieces: list[Evidence]) -> None:
    rows = table(pieces, "stacked").records()
    naive, reduced = ([r for r in rows if r["form"] == form] for form in (NAIVE, REDUCED))
    added = 128 + 192 + 96
    assert [r["channels after"] for r in naive] == [256 + added * n for n in range(1, 6)]
    assert {r["channels after"] for r in reduced} == {480}
    assert naive[0]["MACs"] == KNOWN[NAIVE]["macs"]
    per_channel = KNOWN[NAIVE]["macs"] // 256
    assert [r["MACs"] for r in naive] == [per_channel * r["channels before"] for r in naive]


# --- GoogLeNet ------------------------------------------------------------------------------------


def test_the_nine_modules_are_the_known_ones(pieces: list[Evidence]) -> None:
    rows = table(pieces, "googlenet").records()
    layers = network("GoogLeNet, main branch").layers
    assert len(layers) == len(MODULES) == len(rows) - 1 == 9
    for layer, row in zip(layers, rows, strict=False):
        assert layer["module"] == f"inception{row['module']}"
        assert row["parameters"] == layer["parameters"]
        assert row["output"] == layer["output"][0]
    assert rows[-1]["parameters"] == sum(layer["parameters"] for layer in layers)


# --- times ----------------------------------------------------------------------------------------


def test_every_module_is_timed_on_every_size(pieces: list[Evidence]) -> None:
    rows = table(pieces, "times").records()
    arms = [NAIVE, "reduced to 16", "reduced to 32", "reduced to 64", "reduced to 128", POOLING]
    assert [(row["input"], row["module"]) for row in rows] == [
        (f"{side}x{side}x256", arm) for side in STUDY.sides for arm in arms
    ]  # fmt: skip
    for row in rows:
        assert 0 < row["lower"] <= row["median"] <= row["upper"]
    macs = {row["module"]: row["MACs"] for row in rows if row["input"] == "32x32x256"}
    assert macs["reduced to 64"] == KNOWN[REDUCED]["macs"] and macs[POOLING] == 0
    assert macs["reduced to 16"] < macs["reduced to 32"] < macs["reduced to 64"]
    notes = " ".join(table(pieces, "times").notes)
    assert "1 thread," in notes and "waited for a core" in notes


class Counting(nn.Module):
    """Says when it runs, and with how many threads."""

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        super().__init__()
        self.name, self.log = name, log

    def forward(self, x: Tensor) -> Tensor:
        self.log.append((self.name, torch.get_num_threads()))
        return x


def test_modules_take_turns_on_fixed_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_module_times, "Contention", lambda: Quiet(0.0))
    log: list[tuple[str, int]] = []
    before = torch.get_num_threads()
    modules = {name: (Counting(name, log), torch.zeros(1)) for name in ("a", "b")}
    found = measure(modules, repetitions=3, threads=2)
    assert [name for name, _ in log] == ["a", "b"] * (_module_times.WARMUP + 3)
    assert {threads for _, threads in log} == {2}
    assert torch.get_num_threads() == before
    assert (found.repetitions, found.threads, set(found.by_name)) == (3, 2, {"a", "b"})


class Quiet:
    """A watch that says that a given share of the time was spent waiting."""

    def __init__(self, share: float) -> None:
        self.share = share

    def since(self) -> Mapping[str, float | bool]:
        return {"wall_s": 1.0, "wait_s": self.share, "spoiled": self.share > 0.1}


@pytest.mark.parametrize(
    ("shares", "kept", "spoiled"),
    [([0.0], 0.0, False), ([0.5, 0.02], 0.02, False), ([0.5, 0.7], 0.5, True)],
)
def test_a_disturbed_measurement_is_made_once_more(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], kept: float, spoiled: bool
) -> None:
    left = list(shares)
    monkeypatch.setattr(_module_times, "Contention", lambda: Quiet(left.pop(0)))
    found = measure({"a": (nn.Identity(), torch.zeros(1))}, repetitions=2, threads=1)
    assert (found.wait_share, found.spoiled, left) == (kept, spoiled, [])


@pytest.mark.parametrize(
    ("naive", "reduced", "disturbed", "verdict"),
    [
        ((3.0, 4.0, 5.0), (1.0, 2.0, 2.9), False, "supported"),
        ((3.0, 4.0, 5.0), (1.0, 2.0, 3.1), False, "inconclusive"),
        ((1.0, 2.0, 2.9), (3.0, 4.0, 5.0), False, "not supported"),
        ((3.0, 4.0, 5.0), (1.0, 2.0, 2.9), True, "inconclusive"),
    ],
)
def test_the_verdict_on_time_needs_times_that_do_not_overlap(
    monkeypatch: pytest.MonkeyPatch, naive: tuple[float, float, float],
    reduced: tuple[float, float, float], disturbed: bool, verdict: str,
) -> None:  # fmt: skip
    def made(modules: Mapping[str, Any], repetitions: int, threads: int) -> Timings:
        times = {name: Timing(*(naive if name.endswith(NAIVE) else reduced)) for name in modules}
        return Timings(times, threads, repetitions, 0.5 if disturbed else 0.0, disturbed)

    monkeypatch.setattr("epochlab.studies.inception_cost.measure", made)
    study = InceptionCost(channels=8, sides=(8,), one=2, three=2, five=2, reduce3=2, reduce5=1,
                          pool=2, widths=(4,))  # fmt: skip
    found = [p for p in study._times() if isinstance(p, Claim)]
    assert [c.verdict for c in found] == [verdict]
    assert found[0].numbers["times faster"] == naive[1] / reduced[1]
