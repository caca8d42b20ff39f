"""What `Dataset.load` does for every set: splits, limits, exact mean and deviation."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from epochlab.datasets import Data, Dataset, Split
from epochlab.datasets._scaling import pixel_sums
from epochlab.datasets.cifar10 import Cifar10
from epochlab.errors import BadOption


@dataclass(frozen=True, kw_only=True)
class Counting(Dataset):
    """Forty images; the first pixel of each is its number."""

    def read(self) -> Data:
        inputs = np.zeros((40, 2, 3, 3), np.uint8)
        inputs[:, 0, 0, 0] = np.arange(40)
        targets = np.arange(40) % 4
        return Data(
            name="counting", task="classification", train=Split(inputs, targets),
            test=Split(inputs[:10] + 100, targets[:10]), classes=tuple("abcd"),
            source="test", licence="none", tier="look-alike",
        )  # fmt: skip


def numbers(split):
    return split.inputs[:, 0, 0, 0].tolist()


@settings(deadline=None)
@given(st.integers(0, 39), st.integers(0, 5))
def test_validation_and_training_share_nothing_and_lose_nothing(validation, seed):
    data = Counting(validation=validation, split_seed=seed).load()
    held = numbers(data.validation) if data.validation else []
    kept = numbers(data.train)
    assert len(held) == validation
    assert sorted(held + kept) == list(range(40))
    assert kept == sorted(kept)
    assert data.train.targets.tolist() == [n % 4 for n in kept]
    assert numbers(data.test) == list(range(100, 110))


def test_split_is_the_same_every_time_and_follows_its_seed():
    def held(seed):
        return numbers(Counting(validation=8, split_seed=seed).load().validation)

    assert held(0) == [4, 12, 13, 14, 17, 20, 31, 38]
    assert held(0) == held(0)
    assert held(0) != held(1)


def test_limits_take_the_first_samples_after_the_split():
    data = Counting(validation=8, train_samples=5, test_samples=3).load()
    assert numbers(data.train) == numbers(Counting(validation=8).load().train)[:5]
    assert numbers(data.test) == [100, 101, 102]
    assert len(data.validation) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 40}, "Validation asks for 40 samples; counting has 40"),
        ({"train_samples": 41}, "41 training samples of counting were asked for; there are 40"),
        ({"validation": 8, "train_samples": 33}, "there are 32"),
        ({"test_samples": 11}, "11 test samples of counting were asked for; there are 10"),
    ],
)
def test_asking_for_more_than_there_is(options, message):
    with pytest.raises(BadOption, match=message):
        Counting(**options).load()


def exact(images, channel):
    values = [Fraction(int(v), 255) for v in images[:, channel].reshape(-1)]
    mean = sum(values) / len(values)
    return mean, sum((v - mean) ** 2 for v in values) / len(values)


@settings(deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        st.tuples(*(st.integers(1, high) for high in (5, 3, 4, 4))),
        elements=st.integers(0, 255),
    )
)
def test_mean_and_deviation_are_exact(images):
    sums = pixel_sums(images)
    for channel in range(images.shape[1]):
        mean, variance = exact(images, channel)
        assert sums.mean()[channel] == pytest.approx(float(mean), rel=1e-15)
        assert sums.std()[channel] == pytest.approx(float(variance) ** 0.5, rel=1e-14)


def test_sums_over_several_blocks_and_the_largest_values():
    images = np.full((1100, 1, 64, 64), 255, np.uint8)
    images[:, :, 0, 0] = 254
    sums = pixel_sums(images)
    n = 1100 * 4096
    assert sums.count == n
    assert sums.values == (255 * n - 1100,)
    assert sums.squares == (255**2 * (n - 1100) + 254**2 * 1100,)


def test_scaling_comes_from_the_training_part_alone():
    data = Counting(validation=8, train_samples=5).load()
    mean, variance = exact(data.train.inputs, 0)
    assert data.input_mean == (pytest.approx(float(mean)), 0.0)
    # The second channel never varies: it must not be divided by zero.
    assert data.input_std == (pytest.approx(float(variance) ** 0.5), 1.0)
    assert data.train_sums.count == 5 * 9


def test_stored_sums_of_a_whole_set_are_not_used_for_a_part(cifar_files):
    for _ in range(2):
        whole = Cifar10(verify=False).load()
        part = Cifar10(verify=False, train_samples=20).load()
        kept = Cifar10(verify=False, validation=9).load()
        for data in (whole, part, kept):
            assert data.train_sums == pixel_sums(data.train.inputs)
            assert data.input_mean == data.train_sums.mean()
        assert len({data.input_mean for data in (whole, part, kept)}) == 3
