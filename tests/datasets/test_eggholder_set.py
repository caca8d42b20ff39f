"""Eggholder: the function's known values, and the samples' statistics."""

import math

import numpy as np
import pytest

from epochlab.datasets.eggholder import Eggholder, eggholder


def value(x1, x2):
    return float(eggholder(np.array([float(x1)]), np.array([float(x2)]))[0])


@pytest.mark.parametrize(
    ("x1", "x2", "expected"),
    [
        (0, 0, -25.460337185286313),
        (1, 1, -30.761412199195277),
        (-512, -512, 737.2782418559192),
        (100, -200, -81.68626748365273),
        (512, 404.2319, -959.6406627106155),
    ],
)
def test_published_points(x1, x2, expected):
    assert value(x1, x2) == pytest.approx(expected, rel=1e-13)


def test_equal_to_the_formula_in_plain_python():
    random = np.random.default_rng(0)
    for x1, x2 in random.uniform(-512, 512, (200, 2)).tolist():
        expected = -(x2 + 47) * math.sin(math.sqrt(abs(x2 + x1 / 2 + 47))) - x1 * math.sin(
            math.sqrt(abs(x1 - (x2 + 47)))
        )
        assert value(x1, x2) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_minimum_and_moments():
    # Midpoints of 600 x 600 cells.
    line = (np.arange(600) + 0.5) * 1024 / 600 - 512
    values = eggholder(*np.meshgrid(line, line, indexing="ij"))
    assert f"{values.mean():.2f}" == "-4.13"
    assert f"{values.std():.2f}" == "298.18"
    # The minimum lies on the border x1 = 512.
    edge = np.arange(4_042_000, 4_042_600) / 1e4
    border = eggholder(np.full(len(edge), 512.0), edge)
    assert f"{border.min():.4f}" == "-959.6407"
    assert f"{edge[border.argmin()]:.3f}" == "404.232"
    assert values.min() > border.min()


def test_sizes_and_form():
    data = Eggholder().load()
    assert (len(data.train), len(data.test)) == (80_000, 20_000)
    for split in (data.train, data.test):
        assert (split.inputs.dtype, split.targets.dtype) == (np.float32, np.float32)
        assert (split.inputs.shape[1], split.targets.shape[1]) == (2, 1)
        assert np.abs(split.inputs).max() <= 1
    assert (data.outputs, data.input_shape, data.classes) == (1, (2,), ())
    assert (data.input_mean, data.input_std) == ((0.0,), (1.0,))
    targets = data.train.targets.astype(np.float64)
    assert (data.target_mean, data.target_std) == (targets.mean(), targets.std())


def residuals(data):
    points = data.train.inputs.astype(np.float64) * 512
    exact = eggholder(points[:, 0], points[:, 1])
    return data.train.targets[:, 0].astype(np.float64) - exact


@pytest.mark.parametrize(("options", "sigma"), [({}, 0.3), ({"noise_is_variance": True}, 0.3**0.5)])
def test_noise_level(options, sigma):
    found = residuals(Eggholder(**options).load())
    # Standard errors of mean, deviation, skewness and kurtosis of 80,000 normal numbers.
    n = len(found)
    assert abs(found.mean()) < 4 * sigma / n**0.5
    assert abs(found.std() - sigma) < 4 * sigma / (2 * n) ** 0.5
    scaled = found / sigma
    assert abs((scaled**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((scaled**4).mean() - 3) < 4 * (96 / n) ** 0.5


def test_no_noise():
    # What is left is the rounding of values up to 1049 to float32.
    assert np.abs(residuals(Eggholder(noise=0.0, samples=5000).load())).max() < 2**-13


def test_points_are_uniform():
    points = Eggholder().load().train.inputs
    cells = np.floor((points.astype(np.float64) + 1) * 8).astype(int).clip(0, 15)
    counts = np.bincount(cells[:, 0] * 16 + cells[:, 1], minlength=256)
    expected = len(points) / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert 255 - 4 * 22.6 < chi_square < 255 + 4 * 22.6


def test_seed_decides_everything_and_points_do_not_depend_on_the_number():
    small, large = Eggholder(samples=100).load(), Eggholder(samples=1000).load()
    np.testing.assert_array_equal(small.train.inputs, large.train.inputs[:80])
    np.testing.assert_array_equal(small.test.targets, large.train.targets[80:100])
    other = Eggholder(samples=100, seed=1).load()
    assert not np.isin(other.train.inputs, small.train.inputs).any()
    louder = Eggholder(samples=100, noise=3.0).load()
    np.testing.assert_array_equal(louder.train.inputs, small.train.inputs)
    np.testing.assert_allclose(residuals(louder), 10 * residuals(small), atol=2e-3)
