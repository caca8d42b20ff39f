"""What every schedule in the folder must do, collected from the folder."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest

from epochlab.component import options
from epochlab.plain import from_plain, to_plain
from epochlab.registry import load_class, names, summary
from epochlab.schedules import Progress

NAMES = names("schedules")
NEEDED = {
    "constant": {"level": 0.1},
    "cyclical": {"low": 0.01, "high": 0.1, "half_cycle_epochs": 2},
    "cosine": {"high": 0.1},
    "growing": {"start": 0.01, "limit": 0.1},
    "multistep": {"start": 0.1, "drops": (2, 4)},
    "step_decay": {"start": 0.1},
}
every_name = pytest.mark.parametrize("name", NAMES)


def made(name):
    return load_class("schedules", name)(**NEEDED.get(name, {}))


@every_name
def test_is_a_pure_function_of_progress_with_positive_values(name):
    schedule = made(name)
    places = [Progress(k, k / 10, 8, 80) for k in range(80)]
    values = [schedule.value(at) for at in places]
    assert all(type(value) is float for value in values)
    assert min(values) > 0
    assert [schedule.value(at) for at in reversed(places)] == values[::-1]


@every_name
def test_plain_form_round_trips(name):
    schedule = made(name)
    assert from_plain(to_plain(schedule)) == schedule


@every_name
def test_is_documented(name):
    cls = load_class("schedules", name)
    for word in ("Example", "Reference"):
        assert f"{word}:" in cls.__doc__ or f"{word}," in cls.__doc__
    assert [o.name for o in options(cls) if not o.help] == []
    assert summary("schedules", name).endswith(".")


@every_name
def test_printed_example_is_true(name):
    result = doctest.testmod(importlib.import_module(f"epochlab.schedules.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_importing_the_folder_does_not_import_torch():
    imports = "; ".join(f"import epochlab.schedules.{name}" for name in NAMES)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
