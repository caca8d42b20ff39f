"""Replays of recorded curves: which targets there are, what errors are, what bands ask for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from epochlab.forecast.families import FAMILIES
from epochlab.forecast.learn import learn
from epochlab.forecast.reach import widened
from epochlab.forecast.replay import (
    OURS,
    Case,
    Recorded,
    calibrated,
    replayed,
    replays,
    stretch,
    targets,
)

from .curves import curve_of


def recorded(family: str, exponent: float, seed: int = 0) -> Recorded:
    curve = curve_of(lambda t: 2 * t**-exponent, noise=0.01, seed=seed)
    return Recorded(family=family, schedule="constant", curve=curve)


LIBRARY = [recorded(f, e, s) for s, (f, e) in enumerate(
    [("a", 0.3), ("a", 0.4), ("b", 0.5), ("b", 0.6), ("c", 0.7), ("c", 0.8)])]  # fmt: skip


def case(true: float, middle: float, band: tuple[float, float], family: str = "a") -> Case:
    return Case(recorded=recorded(family, 0.5), share=0.5, level_of="epochs", true=true,
                said={OURS: middle, "Optimus": None}, band=band)  # fmt: skip


def test_targets_are_what_the_curve_reached_later() -> None:
    curve = curve_of(lambda t: 61 - t)
    found = targets(curve, 30)
    by_epochs = [(level, true) for sort, level, true in found if sort == "epochs"]
    assert by_epochs == [(25.0, 36.0), (13.0, 48.0), (4.0, 57.0)]
    by_fall = [true for sort, _, true in found if sort == "fall"]
    # 60 - s x 59 is first passed at epoch 1 + s x 59, rounded up.
    assert by_fall == [math.ceil(1 + s * 59) for s in (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)]
    assert targets(curve, 60) == []


def test_a_level_is_reached_where_it_was_first_seen() -> None:
    curve = curve_of(lambda t: 1.0 if t >= 20 else 2.0)
    assert {true for _, _, true in targets(curve, 10)} == {20.0}
    assert targets(curve, 20) == []


def test_errors() -> None:
    assert case(40, 30, (25, 50)).error(OURS) == 0.25
    assert case(40, 30, (25, 50)).error("Optimus") == math.inf
    assert case(40, 30, (25, 50)).covered is True
    assert case(60, 30, (25, 50)).covered is False
    refused = replace(case(40, 30, (25, 50)), said={OURS: None, "Optimus": 50.0}, band=None)
    assert (refused.error(OURS), refused.covered, refused.strain) == (None, None, None)
    assert refused.error("Optimus") == 0.25


def test_strain_is_the_distance_in_sides_of_the_band() -> None:
    assert case(30, 30, (20, 60)).strain == 0
    assert case(60, 30, (20, 60)).strain == pytest.approx(1)
    assert case(120, 30, (20, 60)).strain == pytest.approx(2)
    assert case(20, 30, (20, 60)).strain == pytest.approx(-1)


def test_factors_leave_a_tenth_on_each_side() -> None:
    wide = [case(30 * 2**k, 30, (15, 60)) for k in (-3, -2, -1, -0.5, 0, 0, 0.5, 1, 2, 3, 4)]
    ((ratio, low, high),) = stretch(wide)
    assert ratio == 2.0
    assert (low, high) == pytest.approx((2.0, 3.0))
    made = calibrated([*wide, case(30, 30, (15, 60), family="b")])
    (other,) = (c for c in made if c.recorded.family == "b")
    assert other.band == (30.0, 60.0)  # within what was still to come of 60 epochs, from 30


def test_factors_in_between() -> None:
    factors = ((4.0, 0.5, 3.0), (16.0, 1.0, 5.0))
    assert widened(-1.0, 0.0, 1.0, factors, 4.0) == pytest.approx((-0.5, 3.0))
    assert widened(-1.0, 0.0, 1.0, factors, 8.0) == pytest.approx((-0.75, 4.0))
    assert widened(-1.0, 0.0, 1.0, factors, 99.0) == pytest.approx((-1.0, 5.0))
    assert widened(-1.0, 0.0, 1.0, factors, 2.0) == pytest.approx((-0.75, 2.0))
    assert widened(-1.0, 0.0, 1.0, factors, 1.0) == (-1.0, 1.0)


def test_a_family_does_not_help_itself() -> None:
    cases, ends = replays(LIBRARY)
    a = [c for c in cases if c.recorded.family == "a"]
    prior = learn([r.curve for r in LIBRARY if r.family != "a"])
    own = [
        c for r in LIBRARY if r.family == "a" for s in (0.2, 0.5) for c in replayed(r, s, prior)[0]
    ]
    assert a == own
    assert len(ends) == 2 * len(LIBRARY)
    # Another curve of family a, however strange, changes nothing for the others of it.
    strange = Recorded(family="a", schedule="constant",
                       curve=curve_of(lambda t: 2 * math.exp(-t / 10)))  # fmt: skip
    again = [c for c in replays([*LIBRARY, strange])[0] if c.recorded in LIBRARY[:2]]
    assert again == a


def test_every_method_is_asked_and_power_laws_are_forecast_well() -> None:
    cases, ends = replays(LIBRARY)
    assert all(set(c.said) == {OURS, *FAMILIES} for c in cases)
    errors = sorted(e for c in cases if c.share == 0.5 and (e := c.error(OURS)) is not None)
    assert errors[len(errors) // 2] < 0.1
    said = [e.error(OURS) for e in ends if e.share == 0.5]
    assert all(e is not None and e < 0.2 for e in said)


def test_what_came_later_changes_no_forecast() -> None:
    one = LIBRARY[2]
    values = one.curve.values[:30] + tuple(v * 0.5 for v in one.curve.values[30:])
    other = replace(one, curve=replace(one.curve, values=values))
    prior = learn([r.curve for r in LIBRARY if r.family != "b"])
    (first,), (second,) = (replayed(r, 0.5, prior)[1] for r in (one, other))
    assert (first.said, first.band) == (second.said, second.band)
    assert second.true == first.true / 2
