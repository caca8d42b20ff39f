"""What every data set must keep, collected from the folder."""

import doctest
import importlib
import subprocess
import sys

import numpy as np
import pytest

from epochlab.component import options
from epochlab.plain import from_plain, to_plain
from epochlab.registry import load_class, names, summary

NAMES = names("datasets")
REAL_FILES = {"cifar10", "fashion_mnist"}


def test_the_folder_holds_what_it_should():
    assert {"cifar10", "digits", "eggholder", "fashion_mnist", "lookalike"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_described(name):
    line = summary("datasets", name)
    assert line.endswith(".") and 20 < len(line) <= 100
    cls = load_class("datasets", name)
    assert ">>>" in cls.__doc__ and "Reference:" in cls.__doc__
    for option in options(cls):
        assert option.help, f"{name}: {option.name} is not explained"


@pytest.mark.parametrize("name", NAMES)
def test_plain_round_trip_and_folder_name(name):
    made = load_class("datasets", name)()
    assert from_plain(to_plain(made)) == made
    assert bool(made.folder_name) == (name in REAL_FILES)


@pytest.mark.parametrize("name", NAMES)
def test_example_prints_what_it_says(name, request):
    if name in REAL_FILES:
        request.getfixturevalue("real_data")
    if name == "digits":
        pytest.importorskip("sklearn")
    module = importlib.import_module(f"epochlab.datasets.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_import_is_light():
    program = (
        "import sys\n"
        f"for name in {NAMES!r}: __import__('epochlab.datasets.' + name)\n"
        "print([m for m in ('torch', 'sklearn', 'rich', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_loaded_data_keeps_the_promises(name, request):
    if name in REAL_FILES:
        request.getfixturevalue("real_data")
    if name == "digits":
        pytest.importorskip("sklearn")
    data = load_class("datasets", name)(train_samples=200, test_samples=100).load()
    assert (len(data.train), len(data.test)) == (200, 100)
    assert data.source and data.licence and data.name
    for split in (data.train, data.test):
        assert len(split.inputs) == len(split.targets)
        assert split.inputs.flags.c_contiguous
        if data.task == "classification":
            assert split.inputs.dtype == np.uint8 and split.inputs.ndim == 4
            assert split.targets.dtype == np.int64 and split.targets.ndim == 1
            assert split.targets.min() >= 0 and split.targets.max() < len(data.classes)
        else:
            assert split.inputs.dtype == split.targets.dtype == np.float32
    channels = data.input_shape[0] if data.train.inputs.dtype == np.uint8 else 1
    assert len(data.input_mean) == len(data.input_std) == channels
