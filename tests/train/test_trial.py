"""A trial's key is its content, and nothing else."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.errors import BadOption, UnknownName
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.cyclical import Cyclical
from epochlab.schedules.growing import Growing
from epochlab.train.trial import Trial, flat_settings, to_plain, trial_from_plain

from .trials import busy_trial, quick_trial


def test_key_is_stable_and_contains_defaults() -> None:
    trial = quick_trial()
    assert trial.key == quick_trial().key
    assert len(trial.key) == 64
    assert to_plain(trial)["optimizer"]["weight_decay"] == 0.0


def test_whole_numbers_and_floats_give_one_key() -> None:
    assert quick_trial(optimizer=Sgd(lr=1)).key == quick_trial(optimizer=Sgd(lr=1.0)).key


@pytest.mark.parametrize("change", [
    {"seed": 1}, {"epochs": 3}, {"batch": 17}, {"optimizer": Sgd(lr=0.06, momentum=0.9)},
    {"optimizer": Adam(lr=0.05)}, {"augment": busy_trial().augment}, {"evaluate": ()},
])  # fmt: skip
def test_every_change_changes_the_key(change: dict[str, object]) -> None:
    assert quick_trial(**change).key != quick_trial().key


@given(
    seed=st.integers(0, 2**40), epochs=st.integers(1, 500), lr=st.floats(1e-9, 10),
    momentum=st.floats(0, 0.999), scheduled=st.booleans(), batch=st.integers(1, 4096),
)  # fmt: skip
def test_plain_form_round_trips(
    seed: int, epochs: int, lr: float, momentum: float, scheduled: bool, batch: int
) -> None:
    rate = Cyclical(low=lr, high=2 * lr, half_cycle_steps=7) if scheduled else lr
    trial = busy_trial(seed=seed, epochs=epochs, optimizer=Sgd(lr=rate, momentum=momentum),
                       batch=batch)  # fmt: skip
    again = trial_from_plain(json.loads(json.dumps(to_plain(trial))))
    assert again == trial
    assert again.key == trial.key


def test_flat_settings_name_every_option() -> None:
    flat = flat_settings(busy_trial())
    assert flat["network"] == "simple_nn"
    assert flat["optimizer.lr"] == 0.02
    assert flat["augment.1.size"] == 8


def test_batch_schedule_is_read_per_epoch() -> None:
    trial = quick_trial(batch=Growing(start=32, factor=2, every_epochs=3, limit=4096), epochs=24)
    per_epoch = trial.steps_per_epoch(60_000)
    assert per_epoch[::3] == [1875, 938, 469, 235, 118, 59, 30, 15]


def test_mistakes_are_named() -> None:
    with pytest.raises(BadOption, match=r"epochs.*at least 1"):
        quick_trial(epochs=0)
    with pytest.raises(BadOption, match="momentum"):
        Sgd(momentum=1.5)
    with pytest.raises(UnknownName, match="Did you mean 'momentum'"):
        plain = to_plain(quick_trial())
        plain["optimizer"]["momentun"] = 0.5
        trial_from_plain(plain)
    with pytest.raises(dataclasses.FrozenInstanceError):
        quick_trial().seed = 4  # type: ignore[misc]


def test_trial_fields_are_explained() -> None:
    from epochlab.component import options

    assert all(option.help for option in options(Trial))
