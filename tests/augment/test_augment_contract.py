"""What every augmentation must keep, collected from the folder."""

import doctest
import importlib
import subprocess
import sys

import numpy as np
import pytest

from epochlab.component import options
from epochlab.plain import from_plain, to_plain
from epochlab.randomness import key, keys
from epochlab.registry import load_class, names, summary

NAMES = names("augment")


def batch(cls, n=16):
    random = np.random.default_rng(0)
    if cls.acts_on == "pixels":
        return random.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8)
    return random.standard_normal((n, 3, 32, 32)).astype(np.float32)


def test_the_folder_holds_what_it_should():
    assert {"crop_flip", "cutout"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_described(name):
    line = summary("augment", name)
    assert line.endswith(".") and 20 < len(line) <= 100
    cls = load_class("augment", name)
    assert ">>>" in cls.__doc__ and "Reference:" in cls.__doc__
    for option in options(cls):
        assert option.help, f"{name}: {option.name} is not explained"
    assert from_plain(to_plain(cls())) == cls()


@pytest.mark.parametrize("name", NAMES)
def test_example_prints_what_it_says(name):
    result = doctest.testmod(importlib.import_module(f"epochlab.augment.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_equal_keys_give_equal_changes_and_other_keys_others(name):
    cls = load_class("augment", name)
    images = batch(cls)
    some, others = (keys(key(seed, "test"), np.arange(len(images))) for seed in (0, 1))
    first, again, other = (cls().apply(images.copy(), k) for k in (some, some, others))
    assert first.shape == (len(images) * cls.copies, *images.shape[1:])
    assert first.dtype == images.dtype
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != np.repeat(images, cls.copies, axis=0)).any()


def test_import_is_light():
    program = (
        "import sys\n"
        f"for name in {NAMES!r}: __import__('epochlab.augment.' + name)\n"
        "print([m for m in ('torch', 'sklearn', 'rich') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
