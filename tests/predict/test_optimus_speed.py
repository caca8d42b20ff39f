"""Speed with parameter servers: the published tables, optima, time to a loss, mistakes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.errors import BadOption
from epochlab.forecast import LossCurve
from epochlab.predict import (
    Allocation,
    AsynchronousSpeed,
    SynchronousSpeed,
    fastest,
    resnet50_speed,
    seconds_to_loss,
)

from .numbers import STEP_SECONDS


def half_a_unit(printed: str) -> float:
    """What rounding to the printed digits may have changed, and the last bit of a tie."""
    digits = len(printed.partition(".")[2])
    return 0.5 * 10.0**-digits * (1 + 1e-9)


@pytest.mark.parametrize(("batch", "servers"), STEP_SECONDS)
def test_seconds_per_step_of_resnet50(batch: int, servers: int) -> None:
    model = resnet50_speed(batch)
    printed = STEP_SECONDS[batch, servers].split()
    assert len(printed) == 16
    for workers, text in enumerate(printed, start=1):
        found = model.step_seconds(workers, servers)
        assert found == pytest.approx(float(text), abs=half_a_unit(text)), workers


@pytest.mark.parametrize(
    ("servers", "speeds"),
    [(2, ".007362 .013695 .022075 .025760 .024706 .023137 .019865 .017080 .011680"),
     (4, ".007427 .014164 .024740 .034459 .035441 .035088 .032573 .029422 .021598")],
)  # fmt: skip
def test_steps_per_second_of_resnet50(servers: int, speeds: str) -> None:
    model = resnet50_speed(batch=128)
    for workers, text in zip((1, 2, 4, 8, 10, 12, 16, 20, 32), speeds.split(), strict=True):
        assert f"{model.speed(workers, servers):.6f}" == f"0{text}", workers


def test_as_many_servers_as_workers() -> None:
    model = resnet50_speed(batch=40)
    found = [f"{model.speed(n, n):.6f}" for n in (1, 4, 8, 15)]
    assert found == ["0.020610", "0.055617", "0.077160", "0.093284"]


@pytest.mark.parametrize(
    ("servers", "speeds"),
    [(2, "0.1996 0.2869 0.3673 0.4271 0.4650"), (4, "0.2353 0.3824 0.5563 0.7201 0.8443")],
)
def test_asynchronous_speeds(servers: int, speeds: str) -> None:
    model = AsynchronousSpeed(t0=2.83, t1=3.92, t2=0.0, t3=0.11)
    for workers, text in zip((1, 2, 4, 8, 16), speeds.split(), strict=True):
        assert f"{model.speed(workers, servers):.4f}" == text, workers


@pytest.mark.parametrize(
    ("batch", "servers", "workers", "continuous"),
    [(128, 2, 7, 7.285), (128, 4, 10, 10.303), (40, 2, 4, 4.073), (40, 4, 6, 5.759)],
)
def test_fastest_number_of_workers(
    batch: int, servers: int, workers: int, continuous: float
) -> None:
    model = resnet50_speed(batch)
    best = fastest(model, workers=range(1, 33), servers=servers)
    assert (best.workers, best.servers) == (workers, servers)
    assert best.steps_per_second == model.speed(workers, servers)
    exact = math.sqrt(model.t0 * batch * servers / model.t2)
    assert exact == pytest.approx(continuous, abs=0.0005)


def test_the_papers_optimum_of_twenty_containers() -> None:
    model = resnet50_speed()
    assert fastest(model, most_containers=20) == Allocation(
        workers=8, servers=12, steps_per_second=model.speed(8, 12)
    )


@pytest.mark.parametrize(
    ("servers", "hours"),
    [(2, {1: 1475.4, 2: 793.1, 4: 492.0, 7: 420.2, 8: 421.6, 16: 546.7, 32: 929.9}),
     (4, {1: 1462.4, 2: 766.8, 4: 439.0, 8: 315.2, 10: 306.5, 16: 333.4, 32: 502.9})],
)  # fmt: skip
def test_hours_of_a_hundred_epochs(servers: int, hours: dict[int, float]) -> None:
    curve = LossCurve(b0=0.01, b1=0.0, b2=0.0)  # at 1.0 after 100 epochs
    model = resnet50_speed(batch=128)
    for workers, printed in hours.items():
        seconds = seconds_to_loss(
            curve, 1.0, model, workers=workers, servers=servers, steps_per_unit=391
        )
        assert seconds is not None
        assert seconds / 3600 == pytest.approx(printed, abs=half_a_unit(str(printed))), workers


@given(
    coefficients=st.tuples(*[st.floats(0, 10)] * 5).filter(lambda t: sum(t) > 1e-3),
    batch=st.integers(1, 1024),
    workers=st.integers(1, 64), servers=st.integers(1, 64),
)  # fmt: skip
def test_a_step_is_the_sum_of_its_parts(
    coefficients: tuple[float, ...], batch: int, workers: int, servers: int
) -> None:
    t0, t1, t2, t3, t4 = coefficients
    model = SynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3, t4=t4, batch=batch)
    assert model.parts(workers, servers) == (
        t0 * (batch / workers), t1, t2 * (workers / servers), t3 * workers, t4 * servers,
    )  # fmt: skip
    seconds = sum(model.parts(workers, servers))
    assert model.step_seconds(workers, servers) == pytest.approx(seconds)
    assert model.speed(workers, servers) * seconds == pytest.approx(1)


@given(
    coefficients=st.tuples(*[st.floats(0, 10)] * 4).filter(lambda t: sum(t) > 1e-3),
    workers=st.integers(1, 64), servers=st.integers(1, 64),
)  # fmt: skip
def test_the_asynchronous_equation(
    coefficients: tuple[float, ...], workers: int, servers: int
) -> None:
    t0, t1, t2, t3 = coefficients
    expected = workers / (t0 + t1 * workers / servers + t2 * workers + t3 * servers)
    model = AsynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3)
    assert model.speed(workers, servers) == pytest.approx(expected, rel=1e-12)


@given(
    coefficients=st.tuples(*[st.floats(0.001, 10)] * 5), most=st.integers(2, 14)
)  # fmt: skip
def test_nothing_allowed_is_faster(coefficients: tuple[float, ...], most: int) -> None:
    t0, t1, t2, t3, t4 = coefficients
    model = SynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3, t4=t4, batch=32)
    best = fastest(model, most_containers=most)
    assert best.workers + best.servers <= most
    for w in range(1, most):
        for p in range(1, most - w + 1):
            assert model.speed(w, p) <= best.steps_per_second


def test_of_equally_fast_choices_the_smallest_wins() -> None:
    model = SynchronousSpeed(t0=0.0, t1=1.0, t2=0.0, t3=0.0, t4=0.0, batch=8)
    best = fastest(model, workers=[5, 2, 3], servers=[4, 3])
    assert (best.workers, best.servers) == (2, 3)


# --- time to a loss -------------------------------------------------------------------------------

CURVE = LossCurve(b0=0.01, b1=0.5, b2=0.1)  # 0.2 after 950 steps
MODEL = SynchronousSpeed(t0=0.0, t1=2.0, t2=0.0, t3=0.0, t4=0.0, batch=8)  # 2 s per step


def seconds(loss: float, **options: float) -> float | None:
    return seconds_to_loss(CURVE, loss, MODEL, workers=1, servers=1, **options)


def test_time_is_steps_over_speed() -> None:
    assert seconds(0.2) == pytest.approx(1900)
    assert seconds(0.2, steps_per_unit=391) == pytest.approx(1900 * 391)
    assert seconds(0.2, done=900) == pytest.approx(100)
    assert seconds(0.2, done=2000) == 0
    assert seconds(3) == 0
    assert seconds(0.1) is None


def test_wrong_times() -> None:
    with pytest.raises(BadOption, match="steps_per_unit is 0"):
        seconds(0.2, steps_per_unit=0)
    with pytest.raises(BadOption, match="done is -1"):
        seconds(0.2, done=-1)


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [({"t0": -1.0}, "t0 is -1.0"), ({"t4": math.nan}, "t4 is nan"), ({"batch": 0}, "batch is 0"),
     ({"batch": 1.5}, "batch is 1.5"), ({"t1": 0.0}, "every coefficient is 0")],
)  # fmt: skip
def test_wrong_models(change: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {"t0": 0.0, "t1": 2.0, "t2": 0.0, "t3": 0.0, "t4": 0.0, "batch": 8}
    with pytest.raises(BadOption, match=words):
        SynchronousSpeed(**(fields | change))


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_numbers_of_workers_and_servers_are_whole(wrong: Any) -> None:
    with pytest.raises(BadOption, match="workers is"):
        MODEL.speed(wrong, 1)
    with pytest.raises(BadOption, match="servers is"):
        MODEL.speed(1, wrong)
    with pytest.raises(BadOption, match="workers is"):
        fastest(MODEL, workers=[1, wrong], servers=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "workers is not given and nothing limits it"),
        ({"workers": 4}, "servers is not given and nothing limits it"),
        ({"workers": [], "servers": 1}, "workers is empty"),
        ({"most_containers": 0}, "most_containers is 0"),
        ({"most_containers": 1}, "at most 1 containers"),
        ({"workers": range(5, 9), "servers": 2, "most_containers": 6}, r"workers 5\.\.8"),
    ],
)
def test_searches_that_cannot_be_done(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        fastest(MODEL, **options)
