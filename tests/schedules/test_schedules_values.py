"""Values of the schedules: published ones, torch's, and properties over all of their options."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from epochlab.errors import BadOption
from epochlab.schedules import Progress
from epochlab.schedules.constant import Constant
from epochlab.schedules.cosine import Cosine
from epochlab.schedules.cyclical import Cyclical
from epochlab.schedules.growing import Growing
from epochlab.schedules.multistep import Multistep
from epochlab.schedules.range_test import RangeTest
from epochlab.schedules.step_decay import StepDecay


def at_step(step: int, per_epoch: int = 100, epochs: int = 100) -> Progress:
    """Progress as the training loop counts it."""
    epoch = step // per_epoch + (step % per_epoch) / per_epoch
    return Progress(step, epoch, epochs, per_epoch * epochs)


def at_epoch(epoch: float, epochs: int = 200) -> Progress:
    """Progress as a batch size sees it: no steps."""
    return Progress(0, epoch, epochs)


def optimizer_of_torch(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def rates_of_torch(optimizer, scheduler, steps):
    """The rate of each step, the way a torch loop would use it."""
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


# --- cyclical ------------------------------------------------------------------------------------

STEPS = [0, 500, 1000, 2000, 3000, 4000, 5000, 6000, 10000]
PAPER = {
    "triangular": [.001, .00225, .0035, .006, .0035, .001, .0035, .006, .006],
    "triangular2": [.001, .00225, .0035, .006, .0035, .001, .00225, .0035, .00225],
    "exp_range": [.001, .002213056, .003354407, .005434586, .003088164, .001, .002852029,
                  .004488344, .003744009],
}  # fmt: skip


@pytest.mark.parametrize("mode", PAPER)
@pytest.mark.parametrize("unit", ["steps", "epochs"])
def test_cyclical_gives_the_papers_example(mode, unit):
    half = {"half_cycle_steps": 2000} if unit == "steps" else {"half_cycle_epochs": 20}
    gamma = 0.99994 if mode == "exp_range" else 1.0
    schedule = Cyclical(low=0.001, high=0.006, mode=mode, gamma=gamma, **half)
    values = [schedule.value(at_step(k)) for k in STEPS]
    assert values == pytest.approx(PAPER[mode], rel=0, abs=0.5e-9)


def test_cyclical_exp_range_of_the_course_sheet():
    schedule = Cyclical(low=1e-4, high=0.1, half_cycle_steps=100, mode="exp_range", gamma=0.999)
    expected = {0: 1e-4, 50: 0.04761272, 100: 0.09048874, 150: 0.04308914, 200: 1e-4,
                300: 0.07409663}  # fmt: skip
    values = {k: schedule.value(at_step(k)) for k in expected}
    assert values == pytest.approx(expected, rel=0, abs=0.5e-8)


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize("half", [1, 7, 64])
def test_cyclical_equals_torch(mode, half):
    gamma = 0.99 if mode == "exp_range" else 1.0
    optimizer = optimizer_of_torch(0.1)
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=0.001, max_lr=0.1, step_size_up=half, mode=mode, gamma=gamma
    )
    expected = rates_of_torch(optimizer, scheduler, 600)
    schedule = Cyclical(low=0.001, high=0.1, half_cycle_steps=half, mode=mode, gamma=gamma)
    values = [schedule.value(at_step(k)) for k in range(600)]
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-15)


@given(
    half=st.integers(1, 1000), step=st.integers(0, 100_000), low=st.floats(0, 0.1),
    swing=st.floats(1e-6, 10), gamma=st.floats(0.9, 1),
    mode=st.sampled_from(["triangular", "triangular2", "exp_range"]),
)  # fmt: skip
def test_cyclical_stays_between_its_limits_and_starts_each_cycle_low(
    half, step, low, swing, gamma, mode
):
    schedule = Cyclical(
        low=low, high=low + swing, half_cycle_steps=half, mode=mode,
        gamma=gamma if mode == "exp_range" else 1.0,
    )  # fmt: skip
    assert low <= schedule.value(at_step(step)) <= (low + swing) * (1 + 1e-15)
    start_of_cycle = step // (2 * half) * 2 * half
    assert schedule.value(at_step(start_of_cycle)) == low
    if mode == "triangular":
        period = schedule.value(at_step(step + 2 * half))
        assert period == pytest.approx(schedule.value(at_step(step)), rel=1e-9, abs=1e-9 * swing)


@given(per_epoch=st.integers(1, 500), half=st.integers(1, 10), step=st.integers(0, 5000))
def test_cyclical_in_epochs_equals_cyclical_in_steps(per_epoch, half, step):
    in_epochs = Cyclical(low=0.1, high=1.0, half_cycle_epochs=half)
    in_steps = Cyclical(low=0.1, high=1.0, half_cycle_steps=half * per_epoch)
    at = at_step(step, per_epoch)
    assert in_epochs.value(at) == pytest.approx(in_steps.value(at), rel=1e-9)


def test_cyclical_in_epochs_serves_a_batch_size_and_in_steps_refuses_to():
    schedule = Cyclical(low=32, high=128, half_cycle_epochs=2)
    assert [schedule.value(at_epoch(e)) for e in range(5)] == [32, 80, 128, 80, 32]
    for wrong in (
        Cyclical(low=32, high=128, half_cycle_steps=20),
        Cyclical(low=32, high=128, half_cycle_epochs=2, mode="exp_range", gamma=0.9),
    ):
        with pytest.raises(BadOption, match="which are not known where it is used"):
            wrong.value(at_epoch(1))


def test_triangular2_fades_to_low_after_thousands_of_cycles():
    schedule = Cyclical(low=0.1, high=1.0, half_cycle_steps=1, mode="triangular2")
    assert schedule.value(at_step(9001)) == 0.1


# --- staircases ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "drops"), [(200, (60, 120, 180)), (60, (15, 30, 45)), (12, (3.6, 7.2, 10.8))]
)
def test_multistep_of_the_course_sheets(epochs, drops):
    schedule = Multistep(start=1e-3, drops=drops)
    for number, drop in enumerate(drops):
        before, after = (schedule.value(at_epoch(e, epochs)) for e in (drop - 0.01, drop))
        assert before == pytest.approx(10.0 ** (-3 - number), rel=1e-12)
        assert after == pytest.approx(10.0 ** (-4 - number), rel=1e-12)


def test_multistep_equals_torch():
    optimizer = optimizer_of_torch(0.3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [30, 80, 81, 250], gamma=0.2)
    expected = rates_of_torch(optimizer, scheduler, 300)
    schedule = Multistep(start=0.3, drops=(30, 80, 81, 250), factor=0.2)
    values = [schedule.value(at_epoch(e)) for e in range(300)]
    assert values == pytest.approx(expected, rel=1e-12)


@given(per_epoch=st.integers(1, 1000), epoch=st.integers(0, 300), data=st.data())
def test_a_fractional_drop_acts_at_its_very_step(per_epoch, epoch, data):
    step_in_epoch = data.draw(st.integers(0, per_epoch - 1))
    step = epoch * per_epoch + step_in_epoch
    assume(step > 0)
    schedule = Multistep(start=1.0, drops=(step / per_epoch,), factor=0.5)
    values = [schedule.value(at_step(k, per_epoch, 400)) for k in (step - 1, step)]
    assert values == [1.0, 0.5]


def test_step_decay_equals_torch():
    optimizer = optimizer_of_torch(0.3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 7, gamma=0.5)
    expected = rates_of_torch(optimizer, scheduler, 300)
    schedule = StepDecay(start=0.3, factor=0.5, every_epochs=7)
    assert [schedule.value(at_epoch(e)) for e in range(300)] == pytest.approx(expected, rel=1e-12)


@given(
    every=st.floats(0.25, 50),
    period=st.integers(0, 50),
    start=st.floats(1e-6, 10),
    factor=st.floats(0.1, 1),
)
def test_step_decay_is_constant_within_a_period(every, period, start, factor):
    schedule = StepDecay(start=start, factor=factor, every_epochs=every)
    expected = start * factor**period
    for share in (0.0, 0.5, 0.99):
        assert schedule.value(at_epoch((period + share) * every)) == pytest.approx(expected)


def test_growing_is_the_batch_ladder_of_the_course_sheet():
    schedule = Growing(start=32, every_epochs=3, limit=4096)
    values = [schedule.value(at_epoch(e)) for e in range(0, 30, 3)]
    assert values == [32, 64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096]
    assert schedule.value(at_epoch(2.99)) == 32


@given(
    start=st.floats(1e-6, 100), factor=st.floats(1.01, 10), span=st.floats(1, 1000),
    epochs=st.lists(st.floats(0, 1e5), min_size=2, max_size=5).map(sorted),
)  # fmt: skip
def test_growing_never_falls_and_ends_at_its_limit(start, factor, span, epochs):
    schedule = Growing(start=start, factor=factor, limit=start * span)
    values = [schedule.value(at_epoch(e)) for e in epochs]
    assert values == sorted(values)
    assert start <= values[0]
    assert schedule.value(at_epoch(1e6)) == start * span


# --- range test, cosine, constant ----------------------------------------------------------------


def test_exponential_range_test_multiplies_by_the_keras_finders_factor():
    schedule = RangeTest(low=1e-10, high=1e1)
    steps = 3 * 938
    rate, factor = 1e-10, (1e1 / 1e-10) ** (1 / steps)
    for k in range(steps):
        assert schedule.value(Progress(k, k / 938, 3, steps)) == pytest.approx(rate, rel=1e-9)
        rate *= factor
    assert rate == pytest.approx(10.0, rel=1e-9)


def test_range_test_passes_the_ten_rates_of_the_course_sheet():
    printed = [1e-9, 1.29e-8, 1.67e-7, 2.15e-6, 2.78e-5, 3.59e-4, 4.64e-3, 5.99e-2, 0.774]
    schedule = RangeTest(low=1e-9, high=10)
    values = [schedule.value(Progress(k, k / 3, 3, 9)) for k in range(9)]
    assert values == pytest.approx(printed, rel=0.004)
    assert values[1] / values[0] == pytest.approx(12.9155, abs=5e-5)


def test_linear_range_test_equals_the_rising_half_of_torchs_cycle():
    optimizer = optimizer_of_torch(0.1)
    scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.5, step_size_up=400)
    expected = rates_of_torch(optimizer, scheduler, 400)
    schedule = RangeTest(low=0.01, high=0.5, growth="linear")
    values = [schedule.value(Progress(k, k / 100, 4, 400)) for k in range(400)]
    assert values == pytest.approx(expected, rel=1e-12)


@given(
    low=st.floats(1e-10, 1), ratio=st.floats(1.1, 1e10), steps=st.integers(1, 10_000),
    growth=st.sampled_from(["linear", "exponential"]), data=st.data(),
)  # fmt: skip
def test_range_test_rises_from_low_towards_high(low, ratio, steps, growth, data):
    step = data.draw(st.integers(0, steps - 1))
    schedule = RangeTest(low=low, high=low * ratio, growth=growth)
    first, now, then = (schedule.value(Progress(k, 0.0, 1, steps)) for k in (0, step, step + 1))
    assert first == low
    assert low <= now < then <= low * ratio * (1 + 1e-12)


def test_range_test_needs_the_number_of_steps():
    with pytest.raises(BadOption, match="take the schedule 'growing'"):
        RangeTest().value(at_epoch(1))


def test_cosine_equals_torch():
    optimizer = optimizer_of_torch(0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=400, eta_min=0.01)
    expected = rates_of_torch(optimizer, scheduler, 400)
    schedule = Cosine(high=0.3, low=0.01)
    values = [schedule.value(at_step(k, 20, 20)) for k in range(400)]
    assert values == pytest.approx(expected, rel=1e-9)


@given(
    epochs=st.integers(1, 300), warmup=st.floats(0, 0.9), low=st.floats(0, 0.5),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
)  # fmt: skip
def test_cosine_rises_through_the_warmup_then_falls_to_low(epochs, warmup, low, shares):
    schedule = Cosine(high=1.0, low=low, warmup_epochs=warmup * epochs)
    turn = schedule.warmup_epochs
    early, late = (schedule.value(at_epoch(turn * share, epochs)) for share in shares)
    assert early <= late <= 1.0
    early, late = (
        schedule.value(at_epoch(turn + (epochs - turn) * share, epochs)) for share in shares
    )
    assert 1.0 >= early >= late - 1e-12
    assert schedule.value(at_epoch(turn, epochs)) == 1.0
    assert schedule.value(at_epoch(epochs, epochs)) == pytest.approx(low, abs=1e-12)


def test_cosine_refuses_a_warmup_as_long_as_the_run():
    with pytest.raises(BadOption, match="the run has 5 epochs"):
        Cosine(high=0.1, warmup_epochs=5).value(at_epoch(0, 5))


@given(level=st.floats(1e-300, 1e300), step=st.integers(0, 10**9))
def test_constant_is_constant(level, step):
    value = Constant(level=level).value(Progress(step, math.sqrt(step), 10**6))
    assert value == level


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(level=0), "above 0"),
        (lambda: Multistep(start=0.1, drops=(60, 30)), "Did you mean 30, 60?"),
        (lambda: Multistep(start=0.1, drops=(30, 30)), "must come after"),
        (lambda: Multistep(start=0.1, drops=(0,)), "above 0"),
        (lambda: StepDecay(start=0.1, factor=1.5), "at most 1"),
        (lambda: Growing(start=32, limit=16), "must not lie below the start"),
        (lambda: Growing(start=32, limit=64, factor=1), "above 1"),
        (lambda: Cyclical(low=0.1, high=0.1, half_cycle_steps=5), "low must lie below high"),
        (lambda: Cyclical(low=0.1, high=0.2), "neither is"),
        (lambda: Cyclical(low=0.1, high=0.2, half_cycle_steps=5, half_cycle_epochs=1), "both are"),
        (lambda: Cyclical(low=0.1, high=0.2, half_cycle_steps=0), "at least 1"),
        (lambda: Cyclical(low=0.1, high=0.2, half_cycle_steps=5, gamma=0.9), "does not use it"),
        (lambda: Cyclical(low=0.1, high=0.2, half_cycle_steps=5, mode="exp_range", gamma=1.1),
         "above 0 and at most 1"),
        (lambda: Cyclical(low=0.1, high=0.2, half_cycle_steps=5, mode="square"), "allowed are"),
        (lambda: RangeTest(low=1, high=0.1), "low must lie below high"),
        (lambda: RangeTest(low=0, high=0.1), "growth to 'linear'"),
        (lambda: Cosine(high=0.1, low=0.2), "'low' must lie below 'high'"),
        (lambda: Cosine(high=0.1, warmup_start=0.2, warmup_epochs=1), "'warmup_start' must lie"),
        (lambda: Cosine(high=0.1, warmup_start=0.01), "there is no warm-up"),
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_refused(make, message):
    with pytest.raises(BadOption, match=message.replace("?", r"\?")):
        make()
