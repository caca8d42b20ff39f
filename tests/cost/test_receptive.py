"""Receptive fields: published values, the textbook's recurrence, and each kind of operator."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from epochlab.cost.receptive import Tracker, Window, chain_of_windows
from epochlab.networks.simple_nn import SimpleNN
from tests.cost.following import Following, field_of, follow, gradient_pixels, image, positive

ALEXNET = (
    nn.Conv2d(3, 96, 11, 4), nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2, groups=2),
    nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1),
    nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.Conv2d(384, 256, 3, padding=1, groups=2),
    nn.MaxPool2d(3, 2),
)  # fmt: skip
ALEXNET_FIELDS = [(11, 4), (19, 8), (51, 8), (67, 16), (99, 16), (131, 16), (163, 16), (195, 32)]


def fields_after(layers: tuple[nn.Module, ...], *shape: int) -> list[tuple[object, object]]:
    """(size, jump) after each layer of a chain; both axes must agree."""
    with torch.device("meta"):
        x = torch.empty(shape)
    tracker, found = Tracker(x), []
    for layer in layers:
        with Following(tracker):
            x = layer.to("meta")(x)
        field = tracker.field(x)
        assert field is not None and len(set(field.axes)) == 1
        found.append((field.size[0], field.jump[0]))
    return found


# --- published values -----------------------------------------------------------------------------


def test_alexnet() -> None:
    assert fields_after(ALEXNET, 1, 3, 227, 227) == ALEXNET_FIELDS


def test_alexnet_with_normalisation_across_channels_and_activations_in_place() -> None:
    layers = [extra for layer in ALEXNET
              for extra in (layer, nn.ReLU(inplace=True), nn.LocalResponseNorm(5))]  # fmt: skip
    assert fields_after(tuple(layers), 2, 3, 227, 227)[2::3] == ALEXNET_FIELDS


@pytest.mark.parametrize(
    ("stages", "size"), [((2, 2, 3, 3, 3), 212), ((2, 2, 4, 4, 4), 268)], ids=["VGG16", "VGG19"]
)
def test_last_pooling_of_vgg(stages: tuple[int, ...], size: int) -> None:
    layers: list[nn.Module] = []
    channels = 3
    for convolutions, width in zip(stages, (64, 128, 256, 512, 512), strict=True):
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    assert fields_after(tuple(layers), 1, 3, 224, 224)[-1] == (size, 32)


def test_simple_nn() -> None:
    with torch.device("meta"):
        network, x = SimpleNN().build((3, 32, 32), 10), torch.empty(1, 3, 32, 32)
    tracker = Tracker(x)
    sizes = {}
    for name, layer in network.named_children():
        with Following(tracker):
            x = layer(x)
        field = tracker.field(x)
        assert field is not None
        sizes[name] = field.text()
    assert [sizes[n] for n in ("conv1", "pool1", "conv2", "pool2", "flatten", "fc1", "fc3")] == [
        "5 x 5, jump 1", "6 x 6, jump 2", "10 x 10, jump 2", "12 x 12, jump 4", "12 x 12",
        "whole input", "whole input",
    ]  # fmt: skip


@pytest.mark.parametrize("layers", range(1, 6))
@pytest.mark.parametrize("kernel", range(1, 6))
def test_stack_of_equal_filters_sees_what_the_formula_and_the_gradient_say(
    layers: int, kernel: int
) -> None:
    stack = positive(nn.Sequential(*(nn.Conv2d(1, 1, kernel) for _ in range(layers))))
    x = image(1, 1, 27, 27)
    tracker, made = follow(stack, x)
    field = tracker.field(made)
    size = layers * kernel - layers + 1
    assert field is not None
    assert field.size == (size, size)
    assert field.jump == (1, 1)
    here = (0, 0, 1, 2) if made.shape[2] > 2 else (0, 0, 0, 0)
    assert gradient_pixels(made, x, here) == tracker.pixels(made, here)
    assert gradient_pixels(made, x, here)[0] == (here[2], here[2] + size - 1)


# --- the readable twin ----------------------------------------------------------------------------

WINDOWS = st.builds(
    Window, kernel=st.integers(1, 5), stride=st.integers(1, 3), padding=st.integers(0, 3),
    dilation=st.integers(1, 3),
)  # fmt: skip


@given(st.lists(WINDOWS, min_size=1, max_size=6))
def test_tracker_equals_the_recurrence(windows: list[Window]) -> None:
    x = torch.empty(1, 1, 5000, device="meta")
    tracker = Tracker(x)
    weights = [torch.empty(1, 1, w.kernel, device="meta") for w in windows]
    for window, weight, expected in zip(windows, weights, chain_of_windows(windows), strict=True):
        with Following(tracker):
            x = F.conv1d(x, weight, None, window.stride, window.padding, window.dilation)
        field = tracker.field(x)
        assert field is not None
        assert field.axes == (expected,)
        assert field.start == (expected.start,)


# --- one operator at a time -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda x: x, "1 x 1, jump 1"),
        (nn.Conv2d(4, 4, (3, 5), (2, 1)), "3 x 5, jump 2 x 1"),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4), "3 x 3, jump 1"),
        (nn.Conv2d(4, 4, 5, padding="same"), "5 x 5, jump 1"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "3 x 3, jump 1"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"), "3 x 3, jump 1"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), "unknown"),
        (nn.ConvTranspose2d(4, 4, 4, 2, 1), "2 x 2, jump 1/2"),
        (nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(4, 4, 2, 2)), "2 x 2, jump 1"),
        (nn.MaxPool2d(3, 2, 1, dilation=2), "5 x 5, jump 2"),
        (nn.AvgPool2d(2, ceil_mode=True), "2 x 2, jump 2"),
        (nn.LPPool2d(2, 3), "3 x 3, jump 3"),
        (nn.AdaptiveAvgPool2d(4), "3 x 3, jump 3"),
        (nn.AdaptiveMaxPool2d((12, 6)), "1 x 2, jump 1 x 2"),
        (nn.AdaptiveAvgPool2d(5), "4 x 4, jump 12/5"),
        (nn.AdaptiveAvgPool2d(1), "whole input"),
        (nn.AdaptiveMaxPool2d(1), "whole input"),
        (nn.Upsample(scale_factor=2), "1 x 1, jump 1/2"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "2 x 2, jump 1/2"),
        (nn.Upsample(scale_factor=2, mode="bicubic"), "4 x 4, jump 1/2"),
        (nn.Sequential(*[nn.Upsample(scale_factor=2), nn.AvgPool2d(2)] * 15), "1 x 1, jump 1"),
        (nn.BatchNorm2d(4).train(), "1 x 1, jump 1"),
        (nn.BatchNorm2d(4).eval(), "1 x 1, jump 1"),
        (nn.BatchNorm2d(4, track_running_stats=False).eval(), "whole input"),
        (nn.InstanceNorm2d(4), "whole input"),
        (nn.InstanceNorm2d(4, affine=True, track_running_stats=True).eval(), "1 x 1, jump 1"),
        (nn.GroupNorm(2, 4), "whole input"),
        (nn.LayerNorm(12), "1 x whole, jump 1 x -"),
        (nn.LayerNorm((4, 12, 12)), "whole input"),
        (nn.RMSNorm(12), "1 x whole, jump 1 x -"),
        (nn.Softmax(1), "1 x 1, jump 1"),
        (nn.Softmax(2), "whole x 1, jump - x 1"),
        (nn.LogSoftmax(3), "1 x whole, jump 1 x -"),
        (nn.GLU(1), "1 x 1, jump 1"),
        (nn.GLU(2), "unknown x 1, jump - x 1"),
        (nn.PReLU(4), "1 x 1, jump 1"),
        (nn.Dropout(0.5).train(), "1 x 1, jump 1"),
        (nn.Dropout2d(0.5).train(), "1 x 1, jump 1"),
        (nn.Hardtanh(inplace=True), "1 x 1, jump 1"),
        (nn.ZeroPad2d((1, 2, 3, 4)), "1 x 1, jump 1"),
        (nn.ReflectionPad2d(2), "1 x 1, jump 1"),
        (nn.PixelShuffle(2), "1 x 1, jump 1/2"),
        (nn.PixelUnshuffle(2), "1 x 1"),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 4, 3)), "6 x 6, jump 2"),
        (nn.Sequential(nn.PixelUnshuffle(3), nn.PixelShuffle(3)), "1 x 1, jump 1"),
        (nn.ChannelShuffle(2), "1 x 1, jump 1"),
        (nn.Unfold(3), "1 x 1"),
        (lambda x: F.unfold(x, 3).sum(1), "3 x 3"),
        (nn.Flatten(), "1 x 1"),
        (nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 12, 12))), "1 x 1, jump 1"),
        (lambda x: x.view(2, 4, 9, 16), "unknown"),
        (lambda x: x.view(2, 4, 16, 9), "unknown"),
        (lambda x: x.view(2, 4, 18, 8), "unknown"),
        (lambda x: x.view(2, 4, 24, 6), "1 x 1"),
        (nn.Linear(12, 7), "1 x whole, jump 1 x -"),
        (nn.Sequential(nn.Flatten(), nn.Linear(576, 5)), "whole input"),
        (lambda x: x.transpose(2, 3).contiguous(), "1 x 1, jump 1"),
        (lambda x: x.mean((2, 3)), "whole input"),
        (lambda x: x.amax(3), "1 x whole, jump 1 x -"),
        (lambda x: x.std(2), "whole x 1, jump - x 1"),
        (lambda x: x.max(2)[0], "whole x 1, jump - x 1"),
        (lambda x: x.sum(), "whole input"),
        (lambda x: x[:, :, :6].sum(2), "6 x 1, jump - x 1"),
        (lambda x: x[:, :, ::3], "1 x 1, jump 3 x 1"),
        (lambda x: x[..., 5], "1 x 1, jump 1 x -"),
        (lambda x: x.flip(3), "1 x 1, jump 1 x -1"),
        (lambda x: x.roll(2, 2), "1 x 1, jump - x 1"),
        (lambda x: x.roll(2, 2).roll(-2, 2), "1 x 1, jump 1"),
        (lambda x: torch.cat(x.chunk(3, 2), 2), "1 x 1, jump 1"),
        (lambda x: torch.cat([x[:, :, :-1], x[:, :, 1:]], 1), "2 x 1, jump 1"),
        (lambda x: torch.stack(x.unbind(2), 2), "1 x 1, jump 1"),
        (lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)), "whole input"),
        (lambda x: x + x[:, :, :1, :1], "12 x 12"),
        (lambda x: x + x.transpose(2, 3), "12 x 12"),
        (lambda x: torch.where(x > 0, x, F.avg_pool2d(x, 3, 1, 1)), "3 x 3, jump 1"),
        (lambda x: torch.cat([x[:, :, 5:5], x], 2), "1 x 1, jump 1"),
        (lambda x: x.cumsum(2), "12 x 1, jump - x 1"),
        (lambda x: x.sort(2)[0], "whole x 1, jump - x 1"),
        (lambda x: x[:, [2, 0, 1, 3]], "1 x 1, jump 1"),
        (lambda x: x[:, :, [2, 0, 1]], "unknown x 1, jump - x 1"),
        (lambda x: x.index_select(3, torch.zeros(2, dtype=torch.long, device="meta")),
         "1 x unknown, jump 1 x -"),
        (lambda x: torch.fft.fft2(x).real, "unknown"),
        (lambda x: F.scaled_dot_product_attention(x, x, x), "whole input"),
        (lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=x), "whole input"),
        (lambda x: x @ x.transpose(2, 3), "12 x whole"),
        (lambda x: x.repeat(1, 2, 1, 1), "1 x 1, jump 1"),
        (lambda x: x.repeat_interleave(2, 2), "1 x 1, jump 1/2 x 1"),
    ],
)  # fmt: skip
def test_operator(run: Callable[[Tensor], Tensor], text: str) -> None:
    field = field_of(run, 2, 4, 12, 12)
    assert field is not None
    assert field.text() == text


def test_fused_attention() -> None:
    """On the CPU PyTorch runs attention as one operator."""
    x = torch.rand(1, 4, 12, 12)
    for mask, text in ((None, "whole input"), (torch.ones(12, 12), "whole input"), (x, "unknown")):
        tracker, made = follow(lambda x, m=mask: F.scaled_dot_product_attention(x, x, x, m), x)
        field = tracker.field(made)
        assert field is not None
        assert field.text() == text


# --- what a field says ----------------------------------------------------------------------------


def test_start_is_the_centre_of_the_first_field() -> None:
    field = field_of(nn.Conv2d(1, 1, (11, 5), (4, 1), (0, 2)), 1, 1, 227, 227)
    assert field is not None
    assert field.start == (5.5, 0.5)
    assert [(axis.first, axis.last) for axis in field.axes] == [(0, 10), (-2, 2)]


def test_jump_after_upsampling_is_an_exact_fraction() -> None:
    field = field_of(nn.Upsample(scale_factor=3), 1, 1, 8)
    assert field is not None
    assert field.jump == (Fraction(1, 3),)


@pytest.mark.parametrize(
    ("run", "extents"),
    [
        (nn.Conv2d(4, 4, 3), ("window", "window")),
        (lambda x: x[:, :, :6].sum(2), ("fixed", "window")),
        (lambda x: x.roll(1, 3), ("window", "uneven")),
        (nn.LayerNorm(12), ("window", "whole")),
        (nn.GLU(2), ("unknown", "window")),
    ],
)
def test_extents(run: Callable[[Tensor], Tensor], extents: tuple[str, ...]) -> None:
    field = field_of(run, 2, 4, 12, 12)
    assert field is not None
    assert tuple(axis.extent for axis in field.axes) == extents
    for axis, extent in zip(field.axes, extents, strict=True):
        assert (axis.jump is not None) == (extent == "window")
        assert (axis.size is None) == (extent == "unknown")


def test_nothing_is_spatial_about_a_table_of_features() -> None:
    assert field_of(nn.Linear(7, 3), 5, 7) is None


def test_what_does_not_depend_on_the_input_has_no_field() -> None:
    assert field_of(lambda x: torch.zeros_like(x) + 1, 2, 4, 12, 12) is None
    assert field_of(lambda x: x.new_ones(3), 2, 4, 12, 12) is None
    assert field_of(lambda x: x[:, :, 5:5], 2, 4, 12, 12) is None
    assert field_of(lambda x: x[:, :, 5:5].sum(2), 2, 4, 12, 12) is None


def test_inputs_of_one_size_share_their_pixels_and_others_are_constants() -> None:
    first, same, other = (torch.empty(1, 2, n, device="meta") for n in (16, 16, 9))

    def both(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return F.avg_pool1d(a, 3, 1, 1) + F.avg_pool1d(b, 5, 1, 2) + c.mean()

    tracker, made = follow(both, first, same, other)
    field = tracker.field(made)
    assert field is not None
    assert field.text() == "5, jump 1"


def test_trackers_do_not_see_each_others_marks() -> None:
    x = torch.empty(1, 2, 16, device="meta")
    follow(lambda x: x + 1, x)
    assert Tracker().field(x) is None


# --- memory that is overwritten -------------------------------------------------------------------


def padded_by_hand(x: Tensor) -> Tensor:
    wide = x.new_zeros(2, 4, 14, 14)
    wide[:, :, 1:-1, 1:-1] = x
    return wide


def widened_in_place(x: Tensor) -> Tensor:
    made = x * 1
    view = made[:, :2]
    view.add_(F.avg_pool2d(view, 3, 1, 1))
    return made


def late_view(x: Tensor) -> Tensor:
    made = x * 1
    view = made.view(2, -1)
    made.add_(F.avg_pool2d(made, 3, 1, 1))
    return view


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (padded_by_hand, "unknown"),
        (widened_in_place, "unknown"),
        (late_view, "unknown"),
        (lambda x: (x * 1).add_(F.avg_pool2d(x, 3, 1, 1)), "3 x 3, jump 1"),
        (lambda x: (x * 1).index_fill_(2, torch.zeros(1, dtype=torch.long, device="meta"), 0.0),
         "unknown"),
        (lambda x: (x * 1).copy_(F.avg_pool2d(x, 3, 1, 1)), "3 x 3, jump 1"),
        (lambda x: F.relu_(x * 1).view(2, -1), "1 x 1"),
        (lambda x: (x * 1).transpose_(1, 2), "unknown"),
        (lambda x: (x[:, :1] * 1).squeeze_(1), "unknown"),
        (lambda x: torch.add(x, F.avg_pool2d(x, 3, 1, 1), out=torch.empty_like(x)),
         "3 x 3, jump 1"),
    ],
)  # fmt: skip
def test_writing_in_place(run: Callable[[Tensor], Tensor], text: str) -> None:
    field = field_of(run, 2, 4, 12, 12)
    assert field is not None
    assert field.text() == text


def test_erasing_in_place_leaves_nothing_to_see() -> None:
    assert field_of(lambda x: (x * 1).zero_(), 2, 4, 12, 12) is None
