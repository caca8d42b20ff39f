"""Receptive fields of random networks equal what the gradients of single elements show.

Every weight and input is positive, so contributions cannot cancel and the gradient of an element is
positive exactly on the pixels that it sees. The gradient of a maximum shows one of its pixels only;
for gradients, maximum pooling is therefore replaced by a sum over the same windows, while the
tracker follows the maximum.

The tracker ignores the image's border. Elements are therefore compared in the middle of images so
large that no path from them leads to a border. Near it, the gradient may show less, never more.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.cost.following import follow, gradient_pixels, image, middle, positive

# In one dimension: pixels of the image; how far from its border the compared fields stay, which
# borders of up to 6 layers with jumps up to 12 cannot reach; and how many neighbours are compared,
# which is a multiple of the period after upsampling.
PIXELS, MARGIN, NEIGHBOURS, LARGEST_JUMP = 1500, 400, 36, 12


class Largest(nn.Module):
    """Maximum pooling, or where gradients are asked for, the sum over the same windows."""

    def __init__(self, *window: int) -> None:
        super().__init__()
        self.window = window
        self.by_sum = False

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, padding, dilation = self.window
        if not self.by_sum:
            return F.max_pool1d(x, kernel, stride, padding, dilation)
        ones = x.new_ones(x.shape[1], 1, kernel)
        return F.conv1d(x, ones, None, stride, padding, dilation, groups=x.shape[1])


class Sum(nn.Module):
    """Two branches added, or joined along the channels, cropped to the shorter one."""

    def __init__(self, one: nn.Module, other: nn.Module, joined: bool) -> None:
        super().__init__()
        self.one, self.other, self.joined = one, other, joined
        self.mix = nn.Conv1d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.one(x), self.other(x)
        size = min(a.shape[2], b.shape[2])
        a, b = a[..., :size], b[..., :size]
        joined: Tensor = self.mix(torch.cat([a, b], 1)) if self.joined else a + b
        return joined


class Call(nn.Module):
    """Any function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@st.composite
def a_window(draw: st.DrawFn, strides: st.SearchStrategy[int]) -> nn.Module:
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding, stride = draw(st.integers(0, 3)), draw(strides)
    kind = draw(st.sampled_from(["conv", "depthwise", "average", "largest"]))
    if kind == "average":
        return nn.AvgPool1d(kernel, stride, min(padding, kernel // 2))
    if kind == "largest":
        return Largest(kernel, stride, min(padding, kernel // 2), dilation)
    groups = 2 if kind == "depthwise" else 1
    return nn.Conv1d(2, 2, kernel, stride, padding, dilation, groups)


@st.composite
def a_step(draw: st.DrawFn) -> nn.Module:
    """One layer that may change the resolution."""
    kind = draw(
        st.sampled_from(["window", "window", "transposed", "nearest", "crop", "flip", "norm"])
    )
    if kind == "window":
        return draw(a_window(st.integers(1, 3)))
    if kind == "transposed":
        stride = draw(st.integers(1, 3))
        return nn.ConvTranspose1d(
            2, 2, draw(st.integers(1, 4)), stride, draw(st.integers(0, 2)),
            draw(st.integers(0, stride - 1)), 1, True, draw(st.integers(1, 2)),
        )  # fmt: skip
    if kind == "nearest":
        return nn.Upsample(scale_factor=draw(st.integers(2, 3)))
    if kind == "crop":
        start, step = draw(st.integers(0, 3)), draw(st.integers(1, 2))
        return Call(lambda x: x[..., start::step])
    if kind == "flip":
        return Call(lambda x: x.flip(2))
    return nn.Sequential(nn.BatchNorm1d(2).eval(), nn.ReLU(inplace=True))


@st.composite
def a_branching(draw: st.DrawFn) -> nn.Module:
    """A residual or inception-like block: the same total stride in both branches."""
    stride = draw(st.integers(1, 3))
    one = nn.Sequential(draw(a_window(st.just(stride))), draw(a_window(st.just(1))))
    short = [nn.Identity(), nn.Conv1d(2, 2, 1)]
    other = draw(st.sampled_from(short) if stride == 1 else a_window(st.just(stride)))
    return Sum(one, other, draw(st.booleans()))


def by_sums(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, Largest):
            module.by_sum = True
    return network


def upsampling(network: nn.Module) -> int:
    """How many elements one element becomes, if nothing is merged again."""
    factors = [int(m.scale_factor) for m in network.modules() if isinstance(m, nn.Upsample)]
    factors += [m.stride[0] for m in network.modules() if isinstance(m, nn.ConvTranspose1d)]
    return math.prod(factors)


NETWORKS = st.lists(st.one_of(a_step(), a_branching()), min_size=1, max_size=6)


@settings(max_examples=80, deadline=None)
@given(NETWORKS)
def test_random_networks_see_what_the_gradients_show(layers: list[nn.Module]) -> None:
    torch.manual_seed(0)
    network = positive(nn.Sequential(*copy.deepcopy(layers)))
    x = image(1, 2, PIXELS)
    tracker, tracked = follow(network, x)
    field = tracker.field(tracked)
    assert field is not None
    (axis,) = field.axes
    assert axis.extent == "window"
    assert axis.jump is not None
    assert axis.size is not None
    assume(0 < abs(axis.jump) <= LARGEST_JUMP)
    assume(NEIGHBOURS % upsampling(network) == 0)
    made = by_sums(network)(x)
    assert made.shape == tracked.shape

    found = []
    for index in middle(made.shape[2], NEIGHBOURS + 1):
        (predicted,) = tracker.pixels(tracked, (0, 0, index)) or (None,)
        if predicted is not None:
            assume(predicted[0] >= MARGIN and predicted[1] < PIXELS - MARGIN)
        (seen,) = gradient_pixels(made, x, (0, slice(None), index))
        assert seen == predicted
        found.append(seen)
    assume(len(found) == NEIGHBOURS + 1)
    assert max((last - first + 1 for first, last in filter(None, found)), default=0) == axis.size
    if found[0] is not None:
        assert found[-1] is not None
        assert found[-1][0] - found[0][0] == NEIGHBOURS * axis.jump


@settings(max_examples=60, deadline=None)
@given(NETWORKS, st.integers(24, 40))
def test_nothing_is_seen_outside_the_field_near_a_border(
    layers: list[nn.Module], pixels: int
) -> None:
    torch.manual_seed(0)
    network = positive(nn.Sequential(*copy.deepcopy(layers)))
    x = image(1, 2, pixels)
    try:
        tracker, tracked = follow(network, x)
    except RuntimeError:  # the image is too small for this network
        assume(False)
    assume(tracked.numel())
    field = tracker.field(tracked)
    assert field is not None
    assert field.size[0] is not None
    made = by_sums(network)(x)
    for index in {0, 1, made.shape[2] // 2, made.shape[2] - 1} - {made.shape[2]}:
        (seen,) = gradient_pixels(made, x, (0, slice(None), index))
        (predicted,) = tracker.pixels(tracked, (0, 0, index)) or (None,)
        if seen is not None:
            assert predicted is not None
            assert predicted[0] <= seen[0] <= seen[1] <= predicted[1]
            assert seen[1] - seen[0] < field.size[0]


SIDES = 60


@st.composite
def a_plane_step(draw: st.DrawFn) -> nn.Module:
    """A layer with different settings along height and width."""
    two = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kind = draw(st.sampled_from(["conv", "conv", "average", "transposed", "shuffle", "turn"]))
    if kind == "conv":
        return nn.Conv2d(
            4, 4, two(1, 3), two(1, 2), two(0, 1), two(1, 2), draw(st.sampled_from([1, 4]))
        )
    if kind == "average":
        return nn.AvgPool2d(two(1, 3), two(1, 2))
    if kind == "transposed":
        return nn.ConvTranspose2d(4, 4, two(1, 3), two(1, 2))
    if kind == "turn":
        return Call(lambda x: x.transpose(2, 3))
    return nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(1, 4, 3, padding=1))


@settings(max_examples=60, deadline=None)
@given(st.lists(a_plane_step(), min_size=1, max_size=3))
def test_random_planes_see_what_the_gradients_show(layers: list[nn.Module]) -> None:
    torch.manual_seed(0)
    x = image(1, 4, SIDES, SIDES)
    tracker, made = follow(positive(nn.Sequential(*copy.deepcopy(layers))), x)
    for row, column in zip(middle(made.shape[2], 4), middle(made.shape[3], 4), strict=True):
        predicted = tracker.pixels(made, (0, 0, row, column))
        assert predicted is not None
        for pixels in predicted:
            assume(pixels is None or (pixels[0] >= 15 and pixels[1] < SIDES - 15))
        seen = gradient_pixels(made, x, (0, slice(None), row, column))
        if None in predicted or None in seen:  # between the taps of a transposed convolution
            assert set(seen) == {None}
        else:
            assert seen == predicted
