"""Cutout: place, size and share of the square."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.augment.crop_flip import CropFlip
from epochlab.augment.cutout import Cutout
from epochlab.errors import BadOption
from epochlab.randomness import integers, key, keys

KEYS = keys(key(0, "test"), np.arange(20_000))


def twin(image, image_key, size, inside):
    """The definition, one image at a time."""
    one = np.array([image_key], np.uint64)
    _, height, width = image.shape
    out = image.copy()
    if inside:
        top = int(integers(one, 16, height - size + 1)[0])
        left = int(integers(one, 17, width - size + 1)[0])
    else:
        top = int(integers(one, 16, height)[0]) - size // 2
        left = int(integers(one, 17, width)[0]) - size // 2
    out[:, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
    return out


@settings(deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9),
    st.integers(1, 12), st.booleans(), st.integers(0, 2**63),
)  # fmt: skip
def test_equal_to_the_twin(n, channels, height, width, size, inside, base):
    images = np.random.default_rng(base).standard_normal((n, channels, height, width))
    images = images.astype(np.float32)
    image_keys = keys(base, np.arange(n))
    cutout = Cutout(size=size, inside=inside)
    if inside and size > min(height, width):
        with pytest.raises(BadOption, match="cannot lie inside"):
            cutout.apply(images, image_keys)
        return
    expected = np.stack(
        [twin(image, k, size, inside) for image, k in zip(images, image_keys, strict=True)]
    )
    out = cutout.apply(images.copy(), image_keys)
    # Bit for bit: a hole holds +0, never -0.
    np.testing.assert_array_equal(out.view(np.uint32), expected.view(np.uint32))
    assert out.flags.c_contiguous


def holes(cutout, n=20_000, side=32):
    return cutout.apply(np.ones((n, 1, side, side), np.float32), KEYS[:n])[:, 0] == 0


def test_expected_share_is_exactly_14_by_14():
    """Over all 32 centres a clipped side is 14 pixels long on average: (14/32)^2 = 19.14 %."""
    sides = [min(c + 8, 32) - max(c - 8, 0) for c in range(32)]
    assert sum(sides) / 32 == 14
    assert (14 / 32) ** 2 == 0.19140625


def test_share_over_the_border():
    share = holes(Cutout()).mean(axis=(1, 2))
    sides = np.array([min(c + 8, 32) - max(c - 8, 0) for c in range(32)])
    areas = np.outer(sides, sides) / 1024
    assert areas.mean() == 0.19140625
    # Four standard errors of the mean of so many holes.
    assert abs(share.mean() - 0.19140625) < 4 * areas.std() / len(share) ** 0.5
    assert (share.min(), share.max()) == (64 / 1024, 256 / 1024)


def test_each_pixel_is_covered_as_often_as_it_should_be():
    covered = holes(Cutout()).mean(axis=0)
    # A pixel is covered by the centres c with c - 8 <= pixel < c + 8, as many as there are of them.
    line = np.array([sum(c - 8 <= x < c + 8 for c in range(32)) for x in range(32)]) / 32
    expected = np.outer(line, line)
    error = (expected * (1 - expected) / len(KEYS)) ** 0.5
    assert (np.abs(covered - expected) < 5 * error).all()


def test_share_inside_is_always_a_quarter():
    found = holes(Cutout(inside=True))
    assert (found.sum(axis=(1, 2)) == 256).all()
    tops, lefts = found.any(axis=2).argmax(axis=1), found.any(axis=1).argmax(axis=1)
    counts = np.bincount(tops * 17 + lefts, minlength=17 * 17)
    expected = len(KEYS) / 289
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # 288 degrees of freedom: mean 288, standard deviation 24.
    assert 288 - 4 * 24 < chi_square < 288 + 4 * 24


def test_centres_are_uniform():
    found = holes(Cutout(size=1))
    assert (found.sum(axis=(1, 2)) == 1).all()
    counts = found.sum(axis=0).reshape(-1)
    expected = len(KEYS) / 1024
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # 1023 degrees of freedom: mean 1023, standard deviation 45.2.
    assert 1023 - 4 * 45.2 < chi_square < 1023 + 4 * 45.2


@pytest.mark.parametrize("inside", [False, True])
def test_every_image_has_its_own_hole(inside):
    found = holes(Cutout(inside=inside), n=128)
    assert len({h.tobytes() for h in found}) > 100


def test_all_channels_share_the_hole_and_the_rest_is_untouched():
    images = np.random.default_rng(0).standard_normal((64, 3, 32, 32)).astype(np.float32)
    out = Cutout().apply(images.copy(), KEYS[:64])
    gone = out == 0
    assert (gone == gone[:, :1]).all()
    np.testing.assert_array_equal(out[~gone], images[~gone])


def test_choice_is_independent_of_crop_and_flip():
    """One key serves both; the hole's row must not tell the shift."""
    images = np.zeros((len(KEYS), 1, 19, 19), np.uint8)
    images[:, 0, 9, 9] = 1
    down = np.argwhere(CropFlip().apply(images, KEYS)[:, 0] == 1)[:, 1]
    top = holes(Cutout(size=1), side=19).any(axis=2).argmax(axis=1)
    correlation = np.corrcoef(down, top)[0, 1]
    assert abs(correlation) < 4 / len(KEYS) ** 0.5
