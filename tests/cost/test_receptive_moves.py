"""Receptive fields of single elements through views, joins, resizing and products, all exact."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from epochlab.cost.receptive.laws import Law, merged, tidy
from tests.cost.following import follow, gradient_pixels, image


def patches(x: Tensor) -> Tensor:
    """[b, c, 12, 12] -> [b, 9 patches, 16 c]."""
    batch, channels = x.shape[:2]
    cut = x.reshape(batch, channels, 3, 4, 3, 4).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, 9, channels * 16)


def windows_and_back(x: Tensor) -> Tensor:
    """Cut into windows of 4 x 4, mix each window's rows, and put together again."""
    batch, channels = x.shape[:2]
    cut = x.view(batch, channels, 3, 4, 3, 4).permute(0, 2, 4, 3, 5, 1)
    mixed = cut.reshape(-1, 4, 4, channels).softmax(1)
    back = mixed.view(batch, 3, 3, 4, 4, channels).permute(0, 5, 1, 3, 2, 4)
    return back.reshape(x.shape)


def tokens(x: Tensor) -> Tensor:
    """One convolution over patches, tokens in a row, a token more in front."""
    flat = F.avg_pool2d(x, 4).flatten(2).transpose(1, 2)
    first = flat.new_ones(flat.shape[0], 1, flat.shape[2])
    return torch.cat([first, flat], 1)


def recurrent(x: Tensor) -> Tensor:
    """Rows one after the other, each adding to what was seen before."""
    state = x.new_zeros(x.shape[0], x.shape[1], x.shape[3])
    states = []
    for row in x.unbind(2):
        state = 0.5 * (state + row)
        states.append(state)
    return torch.stack(states, 2)


def drifting(x: Tensor) -> Tensor:
    """Branches of different strides: no common jump."""
    return x[:, :, ::2] + x[:, :, :6]


MOVES: list[Callable[[Tensor], Tensor]] = [
    patches, windows_and_back, tokens, recurrent, drifting,
    lambda x: patches(x).sum(2),
    lambda x: patches(x) @ x.new_ones(32, 5),
    lambda x: x.flatten(1),
    lambda x: x.flatten(2).mean(1),
    lambda x: x.flatten()[5:40:3],
    lambda x: x.permute(3, 2, 0, 1),
    lambda x: x.transpose(1, 3).reshape(-1, 24),
    lambda x: x.unfold(2, 5, 2).sum(1),
    lambda x: x.unfold(2, 5, 2).unfold(3, 3, 3).sum((1, 4)),
    lambda x: F.unfold(x, (3, 2), stride=(2, 1), dilation=(2, 3)),
    lambda x: F.unfold(F.avg_pool2d(x, (3, 1)), 2).sum(2),
    lambda x: F.pixel_unshuffle(x, 3),
    lambda x: F.pixel_shuffle(F.pixel_unshuffle(x, 4), 2),
    lambda x: F.avg_pool2d(F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2), (3, 2)),
    lambda x: F.conv2d(F.pixel_unshuffle(x, 2), x.new_ones(1, 8, 2, 2)),
    lambda x: F.channel_shuffle(F.pixel_unshuffle(x, 2), 4),
    lambda x: x.flip(2, 3)[..., ::2],
    lambda x: x.roll((2, -3), (2, 3)),
    lambda x: F.avg_pool2d(x.roll(5, 3), 3, 1),
    lambda x: x.repeat(1, 1, 2, 1)[..., 3:20, :],
    lambda x: F.avg_pool2d(x.repeat(1, 1, 2, 1), 3, 2),
    lambda x: x.repeat_interleave(3, 2),
    lambda x: torch.cat([x[:, :, 6:], x[:, :, :2]], 2),
    lambda x: torch.cat([x[:, :, 6:], x[:, :, 6:].sum(2, keepdim=True)], 2),
    lambda x: torch.cat([x[:, :, 6:7], x[:, :, 2:11].sum(2, keepdim=True), x[:, :, 7:8]], 2).sum(2),
    lambda x: F.avg_pool2d(torch.cat([x[..., :5], x[..., 7:]], 3), 3, 1),
    lambda x: torch.stack([x[:, :, 1:], x[:, :, :-1]], 1).sum(1),
    lambda x: torch.stack([x[:, :, 0], x[:, :, 4]], 3),
    lambda x: x + x[:, :, :1],
    lambda x: x[:, :, 4:5] * x[:, :, :, 2:4].sum(3, keepdim=True),
    lambda x: x.sum(3)[:, :, None] + x.sum(2)[..., None],
    lambda x: x.select(2, -2).squeeze(),
    lambda x: x[:, :, 2:7].mean((0, 2)),
    lambda x: x[:, :, 2:7].cumsum(2).flip(2),
    lambda x: x[..., 3:9].logsumexp(3),
    lambda x: torch.einsum("bchw,bciw->bhi", x[..., :5], x[..., 2:7]),
    lambda x: torch.matmul(x[..., :5], x[:, :, 7:]),
    lambda x: F.conv_transpose2d(x, x.new_ones(2, 1, 3, 2), stride=(3, 2), output_padding=1)
              [..., :-1, :-1],
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.interpolate(x, size=(16, 5)),
    lambda x: F.interpolate(x, scale_factor=(1.7, 0.4)),
    lambda x: F.interpolate(x, scale_factor=1.3, recompute_scale_factor=True),
    lambda x: F.interpolate(x.flatten(2), scale_factor=0.75),
    lambda x: F.interpolate(x[:, :, None], scale_factor=(2.0, 1.5, 0.5), mode="nearest-exact"),
    lambda x: F.interpolate(x, size=(9, 30), mode="nearest-exact"),
    lambda x: F.avg_pool2d(F.interpolate(x, size=(16, 18)), 3, 2),
    lambda x: F.interpolate(x, size=(23, 34), mode="bilinear", align_corners=True),
    lambda x: F.adaptive_avg_pool2d(x, (5, 7)),
    lambda x: F.conv2d(F.adaptive_avg_pool2d(x, (5, 7)), x.new_ones(1, 2, 2, 3)),
    lambda x: F.scaled_dot_product_attention(x[..., :4], x[..., 4:8], x[..., 6:9]),
    lambda x: torch.softmax(x[..., 2:5], 3) * x[..., 4:7],
]  # fmt: skip


def assert_every_element_is_exact(run: Callable[[Tensor], Tensor], *shape: int) -> None:
    """For one channel and sample, as well as over all of them, whichever the tracker means."""
    torch.manual_seed(0)
    x = image(*shape)
    tracker, made = follow(run, x)
    field = tracker.field(made)
    assert field is not None
    sizes: list[set[int]] = [set() for _ in field.axes]
    for index in itertools.islice(itertools.product(*map(range, made.shape)), 0, None, 7):
        predicted = tracker.pixels(made, index)
        assert predicted is not None
        assert gradient_pixels(made, x, index) == predicted, index
        for place, pixels in enumerate(predicted):
            if pixels:
                sizes[place].add(pixels[1] - pixels[0] + 1)
    for axis, found in zip(field.axes, sizes, strict=True):
        assert axis.size is not None
        assert max(found) <= axis.size


@pytest.mark.parametrize("run", MOVES, ids=range(len(MOVES)))
def test_every_element_sees_what_its_gradient_shows(run: Callable[[Tensor], Tensor]) -> None:
    assert_every_element_is_exact(run, 1, 2, 12, 12)


def test_laws_are_written_with_the_shortest_period() -> None:
    """Or chains of resizing and joining would lead to ever longer ones."""
    upsampled = Law(((0, 1), (0, 1)), 2)
    smooth = Law(((-1, 2),), 1)
    assert merged(upsampled, smooth, 10) == smooth
    assert merged(upsampled, Law(((0, 0),), 1), 10) == upsampled
    assert tidy(Law(((3, 4), (5, 6), (7, 8)), None)) == Law(((3, 4),), 2)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("size", [(24, 36), (9, 16), (5, 23), (30, 7)])
def test_smooth_resizing_sees_no_more_than_its_field(
    mode: str, corners: bool, size: tuple[int, int]
) -> None:
    x = image(1, 1, 12, 12)
    tracker, made = follow(
        lambda x: F.interpolate(x, size=size, mode=mode, align_corners=corners), x
    )
    for row, column in itertools.product(range(size[0]), range(size[1])):
        predicted = tracker.pixels(made, (0, 0, row, column))
        assert predicted is not None
        seen = gradient_pixels(made, x, (0, 0, row, column))
        for one, all_ in zip(seen, predicted, strict=True):
            assert one is not None
            assert all_ is not None
            assert all_[0] <= one[0] <= one[1] <= all_[1]


@st.composite
def a_move(draw: st.DrawFn) -> Callable[[Tensor], Tensor]:
    """One rearrangement of a tensor of any shape, decided by what it then finds."""
    kind = draw(st.sampled_from(
        ["merge", "cut", "permute", "slice", "select", "flip", "roll", "sum", "join", "pool"]
    ))  # fmt: skip
    a, b, c = (draw(st.integers(0, 11)) for _ in range(3))

    def move(x: Tensor) -> Tensor:
        axis = a % x.ndim
        size = x.shape[axis]
        if kind == "merge" and x.ndim > 1:
            return x.flatten(a % (x.ndim - 1), a % (x.ndim - 1) + 1)
        if kind == "cut":
            parts = [n for n in (2, 3, 4) if size % n == 0]
            return x.unflatten(axis, (parts[b % len(parts)], -1)) if parts else x
        if kind == "permute":
            order = list(range(x.ndim))
            order[axis], order[b % x.ndim] = order[b % x.ndim], order[axis]
            return x.permute(order)
        if kind == "slice":
            return x.narrow(axis, b % size, size - b % size)
        if kind == "select" and x.ndim > 1:
            return x.select(axis, b % size)
        if kind == "flip":
            return x.flip(axis)
        if kind == "roll":
            return x.roll(b, axis)
        if kind == "sum" and x.ndim > 1:
            return x.sum(axis, keepdim=c % 2 == 0)
        if kind == "join":
            return torch.cat([x, x.narrow(axis, b % size, 1)], axis)
        if kind == "pool" and x.ndim == 4 and min(x.shape[2:]) > 2:
            return F.avg_pool2d(x, 2, 1 + b % 2)
        return x

    return move


@settings(max_examples=150, deadline=None)
@given(st.lists(a_move(), min_size=1, max_size=6), st.integers(0, 10**6))
def test_random_moves_are_followed_exactly_or_given_up(
    moves: list[Callable[[Tensor], Tensor]], chosen: int
) -> None:
    def run(x: Tensor) -> Tensor:
        for move in moves:
            x = move(x)
        return x * 1

    x = image(1, 2, 6, 12)
    tracker, made = follow(run, x)
    field = tracker.field(made)
    assert field is not None
    places = [chosen // 7**axis % size for axis, size in enumerate(made.shape)]
    predicted = tracker.pixels(made, places)
    assert predicted is not None
    for axis, one, seen in zip(
        field.axes, predicted, gradient_pixels(made, x, places), strict=True
    ):
        assert seen is not None
        if axis.extent != "unknown":
            assert one == seen
            assert axis.size is not None
            assert seen[1] - seen[0] < axis.size
