"""Time with parameter servers: the known tables, optima, cost, fits, and processes that step."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epochlab.component import make
from epochlab.errors import BadData, BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.measure.guard import SystemClock
from epochlab.predict.optimus_fit import fit_synchronous
from epochlab.predict.optimus_speed import SynchronousSpeed
from epochlab.studies import _server_emulation, _server_grid, _server_refits
from epochlab.studies._server_emulation import Emulation, emulation_evidence
from epochlab.studies._server_grid import BATCH, published_speeds
from epochlab.studies._server_measured import grid_evidence, imported_evidence, read_speeds
from epochlab.studies._server_processes import (
    LEARNING_RATE,
    WARMUP,
    Crew,
    ProcessesFailed,
    SmallNetwork,
    Stepped,
    stretches,
)
from epochlab.studies._server_refits import drawn_points, recovery_evidence
from epochlab.studies._server_times import Job
from epochlab.studies.time_to_accuracy import TimeToAccuracy
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner
from epochlab.train.store import Store
from tests.predict.numbers import STEP_SECONDS

STUDY = TimeToAccuracy(points=0, grid=False, emulated_workers=0)
JOB = STUDY.job()

FASTEST = {(128, 2): 7, (128, 4): 10, (40, 2): 4, (40, 4): 6}
CONTINUOUS = {(128, 2): "7.285", (128, 4): "10.303", (40, 2): "4.073", (40, 4): "5.759"}
# Steps per second, batch 128, and hours of 100 epochs.
SPEEDS = {
    2: {1: ".007362", 2: ".013695", 4: ".022075", 8: ".025760", 10: ".024706", 12: ".023137",
        16: ".019865", 20: ".017080", 32: ".011680"},
    4: {1: ".007427", 2: ".014164", 4: ".024740", 8: ".034459", 10: ".035441", 12: ".035088",
        16: ".032573", 20: ".029422", 32: ".021598"},
}  # fmt: skip
HOURS = {2: {1: "1475.4", 7: "420.2", 16: "546.7"}, 4: {1: "1462.4", 10: "306.5", 16: "333.4"}}


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Evidence]:
    return evidence_of(STUDY, tmp_path_factory.mktemp("tta"))


def evidence_of(study: TimeToAccuracy, folder: Path) -> list[Evidence]:
    return list(study.evidence(Lab(Store(folder / "store"), processes=0)))


def table(pieces: list[Evidence], name: str) -> Table:
    found = [p.table if isinstance(p, Figure) else p for p in pieces]
    return next(t for t in found if isinstance(t, Table) and t.name == name)


def figure(pieces: list[Evidence], name: str) -> Figure:
    return next(p for p in pieces if isinstance(p, Figure) and p.table.name == name)


def claim(pieces: list[Evidence], words: str) -> Claim:
    return next(p for p in pieces if isinstance(p, Claim) and words in p.statement)


def notes(pieces: list[Evidence]) -> str:
    return " ".join(p.text for p in pieces if isinstance(p, Note))


# --- by the formula -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [128, 40])
def test_the_speed_tables_are_the_known_ones(pieces: list[Evidence], batch: int) -> None:
    rows = table(pieces, f"speed-batch-{batch}").records()
    assert [row["workers"] for row in rows] == list(range(1, 33))
    for servers in (2, 4):
        seconds = [f"{row[f'step, p = {servers}']:.2f}" for row in rows]
        assert seconds[:16] == STEP_SECONDS[batch, servers].split()
        for row in rows:
            assert row[f"speed, p = {servers}"] == 1 / row[f"step, p = {servers}"]


def test_steps_per_second_and_hours_are_the_known_ones(pieces: list[Evidence]) -> None:
    rows = {row["workers"]: row for row in table(pieces, "speed-batch-128").records()}
    for servers, known in SPEEDS.items():
        found = {w: f"{rows[w][f'speed, p = {servers}']:.6f}".lstrip("0") for w in known}
        assert found == known
    for servers, known in HOURS.items():
        assert {w: f"{rows[w][f'time, p = {servers}']:.1f}" for w in known} == known


def test_the_optima_are_the_known_ones(pieces: list[Evidence]) -> None:
    rows = {(r["batch"], r["servers"]): r for r in table(pieces, "optima").records()}
    assert {place: row["fastest"] for place, row in rows.items()} == FASTEST
    assert {place: f"{row['continuous']:.3f}" for place, row in rows.items()} == CONTINUOUS


@pytest.mark.parametrize("batch", [128, 40])
def test_time_has_exactly_two_curves_with_their_optima_marked(
    pieces: list[Evidence], batch: int
) -> None:
    found = figure(pieces, f"time-batch-{batch}")
    drawn = found.drawing.draw(found.table).to_dict()
    points = [p for p in drawn["datasets"]["points"] if p["k"] == "line"]
    assert {p["c"] for p in points} == {"2 servers", "4 servers"}
    assert len(points) == 2 * 32
    marks = [at for at, _ in vars(found.drawing)["vertical"]]
    assert marks == [FASTEST[batch, 2], FASTEST[batch, 4]]
    assert found.table.columns[2].heading == "time to 92 % accuracy [h]"


def test_an_epoch_has_a_whole_number_of_steps() -> None:
    assert (JOB.steps_per_epoch(128), JOB.steps_per_epoch(40)) == (391, 1250)
    assert JOB.hours(128, 7, 2) == 100 * 391 * JOB.model(128).step_seconds(7, 2) / 3600


def test_the_formula_counts_overhead_of_workers() -> None:
    job = replace(JOB, coefficients=(1.0, 0.0, 2.0, 0.5, 0.0))
    assert job.continuous_best(100, 4) == 10.0  # sqrt(100 / (2 / 4 + 0.5))
    assert job.best(100, 4) == 10
    assert replace(JOB, coefficients=(1.0, 1.0, 0.0, 0.0, 0.0)).continuous_best(9, 1) == math.inf


def test_all_figures_draw_and_every_number_is_predicted(pieces: list[Evidence]) -> None:
    figures = [p for p in pieces if isinstance(p, Figure)]
    assert {f.table.name for f in figures} == {
        "time-batch-128", "time-batch-40", "parts", "cost", "heat"}  # fmt: skip
    for found in figures:
        assert found.caption and found.table.label == "predicted"
        assert found.drawing.draw(found.table).to_dict()["datasets"]["points"]
    assert {p.label for p in pieces if isinstance(p, (Table, Claim))} == {"predicted"}
    said = notes(pieces)
    assert "assumption" in said and "quoted for ResNet-50" in said


def test_the_parts_of_a_step_are_the_step(pieces: list[Evidence]) -> None:
    rows = table(pieces, "parts").records()
    for workers in range(1, 17):
        parts = [r["seconds"] for r in rows if r["workers"] == str(workers)]
        assert math.fsum(parts) == pytest.approx(JOB.model(128).step_seconds(workers, 2), rel=1e-12)
    assert not any("t3" in r["part"] for r in rows)  # it is 0


def test_the_map_has_every_combination(pieces: list[Evidence]) -> None:
    rows = table(pieces, "heat").records()
    assert len(rows) == 16 * 32
    assert {(r["workers"], r["servers"]): r["time"] for r in rows}[7, 2] == JOB.hours(128, 7, 2)


# --- verdicts -------------------------------------------------------------------------------------


def test_with_the_quoted_coefficients_all_hold(pieces: list[Evidence]) -> None:
    verdicts = [p.verdict for p in pieces if isinstance(p, Claim)]
    assert verdicts == ["supported"] * 4
    twenty = claim(pieces, "Of 20 containers")
    assert twenty.numbers == {"workers": 8, "servers": 12}


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"workers": 9}, "inconclusive"),  # the least of 4 servers lies at 10
        ({"workers": 1}, "inconclusive"),
        ({"coefficients": (0.001, 0.4, 0.5, 0.0, 0.0)}, "not supported"),  # it only rises
        ({"coefficients": (1.0, 0.4, 0.0, 0.0, 0.0)}, "inconclusive"),  # it only falls
    ],
)
def test_a_curve_that_is_no_u_is_told(
    tmp_path: Path, changed: Mapping[str, Any], verdict: str
) -> None:
    found = evidence_of(replace(STUDY, **changed), tmp_path)
    assert claim(found, "U-shaped").verdict == verdict


def test_a_wrong_optimum_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "best", lambda self, batch, servers: 12)
    found = evidence_of(STUDY, tmp_path)
    assert claim(found, "the formula gives").verdict == "not supported"


def test_published_division_is_claimed_of_the_published_coefficients_alone(tmp_path: Path) -> None:
    found = evidence_of(replace(STUDY, coefficients=(1.02, 2.78, 4.92, 0.1, 0.02)), tmp_path)
    assert not [p for p in found if isinstance(p, Claim) and "20 containers" in p.statement]
    assert "given as an option" in notes(found) and "quoted for ResNet-50" not in notes(found)


# --- cost -----------------------------------------------------------------------------------------


def test_cost_is_containers_times_hours_times_price(tmp_path: Path) -> None:
    found = evidence_of(replace(STUDY, device="k80"), tmp_path)
    rows = table(found, "cost").records()
    assert [r["cost"] for r in rows] == [
        (w + p) * JOB.hours(128, w, p) * 0.45 for p in (2, 4) for w in range(1, 33)
    ]
    caption = figure(found, "cost").caption
    assert "0.45 USD" in caption and "Google Cloud" in caption and "read 2026-11" in caption
    other = evidence_of(replace(STUDY, device="k80", tariff="with-machine"), tmp_path)
    assert table(other, "cost").records()[0]["cost"] == pytest.approx(2 * rows[0]["cost"])


def test_without_a_device_the_cost_is_container_hours(pieces: list[Evidence]) -> None:
    row = table(pieces, "cheapest").records()[0]
    assert row["use"] == 9 * JOB.hours(128, 7, 2)
    uses = [(w + 2) * JOB.hours(128, w, 2) for w in range(1, 33)]
    assert row["cheapest"] == 1 + uses.index(min(uses)) and row["its use"] == min(uses)


# --- coefficients fitted again --------------------------------------------------------------------


def test_coefficients_are_recovered_and_the_noise_is_said() -> None:
    found = list(recovery_evidence(JOB, 10, (0.02,), seeds=5))
    rows = {row["noise"]: row for row in table(found, "recovered").records()}
    for name, true in rows["true"].items():
        if name.startswith("t") and name != "time error":
            assert rows["0, highest"][name] == pytest.approx(true, abs=1e-9)
    assert rows["0.02, mean"]["t0"] != rows["true"]["t0"]
    assert claim(found, "without noise").verdict == "supported"
    noisy = claim(found, "noise of 2%")
    assert (noisy.verdict, noisy.label, noisy.seeds) == ("supported", "simulated", 5)
    assert table(found, "recovered").label == "simulated"


def test_a_fit_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(points: Any, *, batch: int) -> Any:
        fit = fit_synchronous(points, batch=batch)
        return replace(fit, model=replace(fit.model, t0=2 * fit.model.t0))

    monkeypatch.setattr(_server_refits, "fit_synchronous", wrong)
    found = list(recovery_evidence(JOB, 10, (0.02,), seeds=3))
    assert claim(found, "without noise").verdict == "not supported"
    assert claim(found, "noise of 2%").verdict == "not supported"


def test_few_draws_decide_nothing() -> None:
    found = list(recovery_evidence(JOB, 10, (0.02,), seeds=2))
    assert claim(found, "noise of 2%").verdict == "inconclusive"


def test_draws_are_at_different_places_and_depend_on_the_seed() -> None:
    model = JOB.model(128)
    points = drawn_points(model, 10, 0.0, seed=1)
    assert len({(w, p) for w, p, _ in points}) == 10
    assert all(speed == model.speed(w, p) for w, p, speed in points)
    assert points == drawn_points(model, 10, 0.0, seed=1) != drawn_points(model, 10, 0.0, seed=2)
    noisy = drawn_points(model, 100, 0.05, seed=1)
    logs = [math.log(speed / model.speed(w, p)) for w, p, speed in noisy]
    assert 0.035 < np.std(logs) < 0.065


# --- the published grid, and imported runs --------------------------------------------------------


def test_the_grid_is_fitted_and_not_oversold() -> None:
    grid = published_speeds()
    assert len(grid) == 144 and len({(w, p) for w, p, _ in grid}) == 144
    # From the published file, in samples per second: 1 worker and 1 server, 2 and 12.
    assert (1, 1, 15.8 / BATCH) in grid and (2, 12, 58.5 / BATCH) in grid
    found = list(grid_evidence(JOB, draws=5))
    row = table(found, "grid-fit").records()[0]
    assert [f"{row[n]:.5f}" for n in ("t0", "t1", "t2")] == ["0.00451", "0.44151", "0.48548"]
    assert (row["t3"], row["t4"], row["best, p = 2"]) == (0.0, 0.0, 1)
    unseen = claim(found, "10 runs are enough")
    assert unseen.verdict == "not supported"
    assert unseen.numbers["mean error, unseen"] > unseen.numbers["mean error, fitted to all"]
    assert table(found, "grid").label == "quoted"
    assert "config_speed.txt" in " ".join(table(found, "grid-fit").notes)


def test_a_grid_by_the_equation_supports_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SynchronousSpeed(t0=0.02, t1=0.4, t2=0.5, t3=0.01, t4=0.01, batch=BATCH)
    exact = tuple((w, p, model.speed(w, p)) for w, p, _ in published_speeds())
    monkeypatch.setattr(_server_grid, "published_speeds", lambda: exact)
    assert claim(list(grid_evidence(JOB, draws=3)), "10 runs").verdict == "supported"


def test_own_runs_are_read_and_fitted(tmp_path: Path) -> None:
    model = SynchronousSpeed(t0=0.5, t1=1.0, t2=2.0, t3=0.1, t4=0.05, batch=64)
    places = [(1, 1), (2, 1), (4, 2), (8, 3), (3, 8), (6, 6), (2, 5), (10, 4)]
    rows = [f"{p},{w},{model.speed(w, p)!r}" for w, p in places]
    path = tmp_path / "runs.csv"
    path.write_text("servers, workers,steps_per_second\n" + "\n".join(rows) + "\n\n")
    found = list(imported_evidence(JOB, path, 64))
    row = table(found, "imported-fit").records()[0]
    assert [row[f"t{i}"] for i in range(5)] == pytest.approx(model.coefficients, rel=1e-6)
    times = {(r["workers"], r["servers"]): r["time to 92 % accuracy"]
             for r in table(found, "imported-time-batch-64").records()}  # fmt: skip
    assert times[3, "2 servers"] == pytest.approx(100 * 782 * model.step_seconds(3, 2) / 3600)
    assert table(found, "imported").label == "measured"
    whole = evidence_of(replace(STUDY, speeds=str(path), speeds_batch=64), tmp_path)
    assert table(whole, "imported-fit") and not [
        p for p in whole if isinstance(p, Note) and p.kind == "skipped"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("", r"\(none\)"),
        ("workers,speed\n1,2\n", "lacks servers, steps_per_second"),
        ("workers,servers,steps_per_second\n1,1,0.5\n2.5,1,0.4\n", "row 3"),
        ("workers,servers,steps_per_second\n1,1\n", "row 2"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "runs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadData, match=words):
        read_speeds(path)


def test_a_bad_file_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    study = replace(STUDY, speeds=str(tmp_path / "nothing.csv"))
    with pytest.raises(BadData, match="cannot be read"):
        next(study.evidence(Lab(Store(tmp_path / "store"), processes=0)))


# --- processes ------------------------------------------------------------------------------------


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    network = SmallNetwork(inputs=5, hidden=4, classes=3)
    inputs, labels = network.batch(6)
    at, out = network.start() * 10, np.empty(network.size, np.float32)
    network.gradient(at, inputs, labels, out)
    scratch, step = np.empty_like(out), np.float32(1e-2)
    for i in range(network.size):
        up, down = at.copy(), at.copy()
        up[i] += step
        down[i] -= step
        rise = network.gradient(up, inputs, labels, scratch) - network.gradient(
            down, inputs, labels, scratch
        )
        assert out[i] == pytest.approx(rise / (2 * step), abs=5e-3)


@pytest.mark.parametrize("servers", [1, 2, 3, 7])
def test_every_parameter_has_one_server(servers: int) -> None:
    parts = stretches(20, servers)
    assert [i for part in parts for i in range(20)[part]] == list(range(20))
    assert max(len(range(20)[p]) for p in parts) - min(len(range(20)[p]) for p in parts) <= 1


class Busy(SystemClock):
    """Of every 4 seconds, everything on the machine is busy for 3."""

    def __init__(self) -> None:
        self.looks = 0

    def now_s(self) -> float:
        self.looks += 1
        return 4.0 * self.looks

    def machine_busy_s(self) -> float | None:
        return 3.0 * self.looks


def test_processes_train_as_one_does() -> None:
    network, batch, steps = SmallNetwork(), 24, 3
    inputs, labels = network.batch(batch)
    parameters, gradient = network.start(), np.empty(network.size, np.float32)
    losses = []
    for _ in range(steps + WARMUP):
        losses.append(network.gradient(parameters, inputs, labels, gradient))
        parameters -= LEARNING_RATE / batch * gradient
    with Crew(servers=2, workers=3, clock=Busy()) as crew:
        for workers, servers in ((1, 1), (3, 1), (2, 2), (3, 2)):
            found = crew.step(workers=workers, servers=servers, batch=batch, steps=steps)
            assert found.loss == pytest.approx(losses[-1], rel=1e-5)
            assert found.steps_per_s > 0
            # The others had 3 of 4 seconds, less what our processes had.
            assert found.other_cores is not None and 0.5 < found.other_cores < 0.75
    assert losses[-1] < losses[0] and losses[-1] != pytest.approx(losses[-2], rel=1e-4)


def test_a_process_that_ends_is_told_and_the_others_are_ended() -> None:
    with pytest.raises(ProcessesFailed, match="ended early"), Crew(servers=1, workers=2) as crew:
        crew._processes["worker"][1].kill()
        crew.step(workers=2, servers=1, batch=8, steps=1)
    assert all(p.poll() is not None for p in crew._all())


def test_processes_that_cannot_start_leave_the_rest_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    found = evidence_of(replace(STUDY, emulated_workers=4), tmp_path)
    skipped = [p.text for p in found if isinstance(p, Note) and p.kind == "skipped"]
    assert any("emulation with processes did not work" in text for text in skipped)
    assert table(found, "optima")


def emulated(
    monkeypatch: pytest.MonkeyPatch, cores: int, odd: float = 1.0, others: float = 0.0
) -> list[Evidence]:
    """The emulation's evidence with speeds of the equation, one of them times `odd`."""
    model = SynchronousSpeed(t0=0.001, t1=0.01, t2=0.02, t3=0.003, t4=0.001, batch=120)

    def run(self: Emulation) -> Any:
        return {(w, p): [Stepped(model.speed(w, p) * (odd if (w, p) == (2, 1) else 1) * drift, 9.0,
                                 others) for drift in (0.9, 1.0, 1.2)]
                for w, p in self.places}  # fmt: skip

    monkeypatch.setattr(Emulation, "run", run)
    emulation = Emulation(workers=4, servers=2, batch=120, steps=5)
    return list(emulation_evidence(JOB, emulation, cores))


def test_emulated_speeds_are_fitted_by_their_median(monkeypatch: pytest.MonkeyPatch) -> None:
    found = emulated(monkeypatch, cores=8)
    row = table(found, "emulated-fit").records()[0]
    assert [row[f"t{i}"] for i in range(5)] == pytest.approx((0.001, 0.01, 0.02, 0.003, 0.001))
    assert row["runs"] == 8
    first = table(found, "emulated-speeds").records()[0]
    assert first["lowest"] < first["speed"] < first["highest"]
    assert table(found, "emulated-speeds").label == "emulated"
    assert claim(found, "describes the speeds").verdict == "supported"
    assert claim(found, "training is the same").verdict == "supported"


def test_an_emulation_beyond_the_cores_or_beside_other_work_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert claim(emulated(monkeypatch, cores=2), "describes").verdict == "inconclusive"
    busy = claim(emulated(monkeypatch, cores=8, others=0.5), "describes")
    assert (busy.verdict, busy.numbers["other work, cores"]) == ("inconclusive", 0.5)
    assert claim(emulated(monkeypatch, cores=8, odd=4.0), "describes").verdict == "not supported"


def test_training_that_differs_is_told() -> None:
    found = {(1, 1): [Stepped(1.0, 9.0)], (2, 1): [Stepped(1.0, 9.01)]}
    assert _server_emulation._same_claim(found).verdict == "not supported"


# --- the study ------------------------------------------------------------------------------------


def test_the_planner_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emulation, "run", lambda self: pytest.fail("started"))
    planner = Planner(Store(tmp_path / "empty"))
    study = TimeToAccuracy(seeds=3)
    assert list(study.evidence(planner)) and planner.planned == []


def test_runs_that_are_not_decisive_decide_no_fit(tmp_path: Path) -> None:
    study = replace(STUDY, points=8, seeds=3, grid=True, decisive=False)
    verdicts = {p.label: p.verdict for p in evidence_of(study, tmp_path) if isinstance(p, Claim)
                and ("noise" in p.statement or "10 runs" in p.statement)}  # fmt: skip
    assert verdicts == {"simulated": "inconclusive", "predicted": "inconclusive"}


def test_presets_can_be_made() -> None:
    smoke = make(TimeToAccuracy, TimeToAccuracy.presets["smoke"])
    assert (smoke.points, smoke.grid, smoke.emulated_workers) == (0, False, 0)
    for preset in TimeToAccuracy.presets.values():
        make(TimeToAccuracy, preset)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"servers": ()}, "servers is empty"),
        ({"batches": ()}, "batches is empty"),
        ({"coefficients": (1.0, 2.0)}, "has 2 values; equation 4 has five"),
        ({"containers": (1, 8)}, "one worker and one server"),
        ({"points": 5}, "8 to 100"),
        ({"points": 101}, "8 to 100"),
        ({"emulated_workers": 3}, "at least 4 and 2"),
        ({"emulated_servers": 1}, "at least 4 and 2"),
        ({"device": "t4", "tariff": "with-machine"}, "no with-machine price of .t4.*on-demand"),
        ({"device": "pcie3"}, "is a link, not a device"),
    ],
)
def test_mistakes_are_named(options: Mapping[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        TimeToAccuracy(**options)
