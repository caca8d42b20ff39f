"""Crop and flip against a twin that treats one image at a time."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.augment.crop_flip import CropFlip
from epochlab.randomness import integers, key, keys

KEYS = keys(key(0, "test"), np.arange(40_000))


def twin(image, image_key, padding, flip):
    """The definition, pixel by pixel."""
    one = np.array([image_key], np.uint64)
    down = int(integers(one, 0, 2 * padding + 1)[0]) - padding
    right = int(integers(one, 1, 2 * padding + 1)[0]) - padding
    mirrored = flip and bool(integers(one, 2, 2)[0])
    _, height, width = image.shape
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            from_y, from_x = y + down, (width - 1 - x if mirrored else x) + right
            if 0 <= from_y < height and 0 <= from_x < width:
                out[:, y, x] = image[:, from_y, from_x]
    return out


def random_images(n, channels=3, height=6, width=7):
    made = np.random.default_rng(n).integers(1, 256, (n, channels, height, width))
    return made.astype(np.uint8)


@settings(deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 3), st.integers(1, 8), st.integers(1, 8),
    st.integers(0, 5), st.booleans(), st.integers(0, 2**63),
)  # fmt: skip
def test_equal_to_the_twin(n, channels, height, width, padding, flip, base):
    images = random_images(n, channels, height, width)
    image_keys = keys(base, np.arange(n))
    expected = np.stack(
        [twin(image, k, padding, flip) for image, k in zip(images, image_keys, strict=True)]
    )
    out = CropFlip(padding=padding, flip=flip).apply(images, image_keys)
    np.testing.assert_array_equal(out, expected)
    assert out.flags.c_contiguous and out.dtype == np.uint8


def test_result_depends_on_an_images_key_alone():
    images = random_images(50)
    whole = CropFlip().apply(images.copy(), KEYS[:50])
    for part in (slice(0, 17), slice(17, 18), slice(18, 50)):
        np.testing.assert_array_equal(
            CropFlip().apply(images[part].copy(), KEYS[:50][part]), whole[part]
        )


def test_nothing_to_do():
    images = random_images(5)
    np.testing.assert_array_equal(CropFlip(padding=0, flip=False).apply(images, KEYS[:5]), images)


def shifts(n):
    """(down, right, mirrored) of each of n images, read off a picture with one marked pixel."""
    images = np.zeros((n, 1, 19, 19), np.uint8)
    images[:, 0, 9, 9] = 1
    images[:, 0, 9, 10] = 2
    out = CropFlip(padding=4).apply(images, KEYS[:n])[:, 0]
    places = np.argwhere(out == 1)
    seconds = np.argwhere(out == 2)
    assert (places[:, 0] == np.arange(n)).all()
    return places[:, 1] - 9, places[:, 2] - 9, seconds[:, 2] < places[:, 2]


def test_offsets_and_flips_are_uniform_and_independent():
    down, right, mirrored = shifts(len(KEYS))
    counts = Counter(zip(down.tolist(), right.tolist(), mirrored.tolist(), strict=True))
    assert len(counts) == 9 * 9 * 2
    expected = len(KEYS) / 162
    chi_square = sum((c - expected) ** 2 / expected for c in counts.values())
    # 161 degrees of freedom: mean 161, standard deviation 17.9.
    assert 161 - 4 * 17.9 < chi_square < 161 + 4 * 17.9


def test_padding_is_black():
    out = CropFlip(padding=4).apply(np.full((400, 3, 8, 8), 200, np.uint8), KEYS[:400])
    assert set(np.unique(out).tolist()) == {0, 200}
    black = (out == 0).all(axis=1).sum(axis=(1, 2))
    assert black.min() == 0
    assert black.max() == 64 - 16, "a shift by 4 both ways leaves 4 x 4 pixels"


@pytest.mark.parametrize("options", [{"padding": -1}, {"padding": 1.5}, {"flip": 1}])
def test_options_are_checked(options):
    from epochlab.errors import BadOption

    with pytest.raises(BadOption):
        CropFlip(**options)
