"""Sizes after windows, against torch itself; messages that say what to do."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from epochlab.errors import BadShape
from epochlab.networks._shapes import Window, image_shape, sides_after, smallest_side

WINDOWS = st.lists(
    st.builds(
        lambda size, stride, half: Window("w", size, stride, int(half * size / 2)),
        st.integers(1, 5), st.integers(1, 3), st.sampled_from((0, 1)),
    ), min_size=1, max_size=4,
)  # fmt: skip


def torch_sides(sides: tuple[int, int], windows: list[Window]) -> tuple[int, int]:
    x = torch.zeros(1, 1, *sides)
    for w in windows:
        x = functional.max_pool2d(x, w.size, w.stride, w.padding)
    return x.shape[2], x.shape[3]


@given(WINDOWS, st.integers(0, 9), st.integers(0, 9))
def test_sizes_agree_with_torch(windows: list[Window], more: int, wider: int) -> None:
    least = smallest_side(windows)
    sides = (least + more, least + wider)
    assert sides_after("n", sides, windows) == torch_sides(sides, windows)


@given(WINDOWS)
def test_smallest_side_is_the_smallest(windows: list[Window]) -> None:
    least = smallest_side(windows)
    if least > 1:
        with pytest.raises(BadShape, match=f"must be at least {least}"):
            sides_after("n", (least - 1, least), windows)


def test_flat_samples_are_no_images() -> None:
    with pytest.raises(BadShape) as caught:
        image_shape("lenet5", (64,))
    assert str(caught.value) == (
        "lenet5 cannot take samples of shape 64; it takes images, channels x height x width, for "
        "example 3 x 32 x 32. For samples of any other shape use the network mlp or linear, or "
        "choose a data set of images."
    )
