"""PALEO's rules for one layer, against the same rules written out as convolutions of gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import load_device
from epochlab.predict.paleo import (
    REVISIONS,
    Convolution,
    Dropout,
    InnerProduct,
    PaleoDevice,
    PaleoLayer,
    PaleoNetwork,
    PercentOfPeak,
    Pooling,
    Revision,
    paleo_device,
    paleo_link,
    paleo_network,
    software,
)
from epochlab.predict.paleo.formulas import (
    Work,
    backward_work,
    departures,
    forward_work,
    update_work,
)
from epochlab.predict.paleo.layers import size_after
from epochlab.predict.paleo.timing import device_of, seconds

# --- the rules written out ------------------------------------------------------------------------


class Stops(Exception):
    """The authors' program stops here: a gradient has the wrong size."""


@dataclass
class Plain:
    """A convolution over NHWC numbers with filters [kh, kw, in, out], on square maps."""

    n: int
    size: int
    c_in: int
    kernel: int
    c_out: int
    stride: int = 1
    padding: Literal["VALID", "SAME"] | int = "VALID"
    holes_in_input: float = 0.0
    holes_in_filters: float = 0.0

    def pad(self, revision: Revision) -> int:
        if self.padding == "VALID":
            return 0
        if self.padding == "SAME":
            first = self.size if revision == "2016-12" else self.output
            return ((first - 1) * self.stride + self.kernel - self.size) // 2
        return self.padding

    @property
    def output(self) -> int:
        if self.padding == "VALID":
            return math.ceil((self.size - self.kernel + 1) / self.stride)
        if self.padding == "SAME":
            return math.ceil(self.size / self.stride)
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    def counted(self, revision: Revision) -> tuple[float, tuple[float, ...]]:
        """Operations, and numbers of the three tensors."""
        flops = 2.0 * self.kernel**2 * self.c_in * self.c_out * self.output**2 * self.n
        flops *= 1 - self.holes_in_filters
        if revision == "master" and self.holes_in_input > 0:
            flops += 2 * self.n * self.size**2 * self.c_in * (1 - self.holes_in_input)
        side = self.size + (2 * self.pad(revision) if revision == "master" else 0)
        return flops, (
            self.n * side**2 * self.c_in,
            self.kernel**2 * self.c_in * self.c_out * (1 - self.holes_in_filters),
            self.n * self.output**2 * self.c_out,
        )

    def gradients(self, revision: Revision) -> tuple[Plain, Plain]:
        """With respect to the input, and to the filters."""
        extent = (self.output - 1) * self.stride + 1
        before = self.kernel - 1 - self.pad(revision)
        after = self.size + self.kernel - 1 - extent - before
        if revision == "2016-12":
            extent += before == after - 1
            pad, filter_pad = before, self.pad(revision)
        else:
            extent += abs(before - after) == 1
            pad = min(before, after)
            filter_pad = 0 if self.padding == "VALID" else pad
        holes = (extent**2 - self.output**2) / extent**2
        of_input = Plain(self.n, extent, self.c_out, self.kernel, self.c_in, 1, pad,
                         holes_in_input=holes)  # fmt: skip
        of_filters = Plain(self.c_in, self.size, self.n, extent, self.c_out, 1, filter_pad,
                           holes_in_filters=holes)  # fmt: skip
        if of_input.output != self.size or of_filters.output != self.kernel:
            raise Stops
        return of_input, of_filters


@st.composite
def plain_convolutions(draw: st.DrawFn) -> Plain:
    kernel = draw(st.integers(1, 11))
    padding: Any = draw(st.sampled_from(["VALID", "SAME", 0, 1, 2, 3, 5]))
    found = Plain(
        n=draw(st.integers(1, 64)), size=draw(st.integers(1, 64)), c_in=draw(st.integers(1, 32)),
        kernel=kernel, c_out=draw(st.integers(1, 32)), stride=draw(st.integers(1, 5)),
        padding=padding,
    )  # fmt: skip
    assume(found.output > 0)
    return found


def layer_of(plain: Plain, fed_by_data: bool = False) -> Convolution:
    padding: Any = plain.padding
    return Convolution(
        name="c", input=(plain.size, plain.size, plain.c_in),
        output=(plain.output, plain.output, plain.c_out), kernel=(plain.kernel,) * 2,
        stride=(plain.stride,) * 2, fed_by_data=fed_by_data,
        padding=(padding, padding) if isinstance(padding, int) else padding,
    )  # fmt: skip


def same(work: Work, plain: Plain, revision: Revision) -> None:
    flops, tensors = plain.counted(revision)
    assert work.flops == pytest.approx(flops, rel=1e-9)
    assert work.moved_bytes == pytest.approx([4 * count for count in tensors], rel=1e-9)


@given(plain=plain_convolutions(), revision=st.sampled_from(REVISIONS))
def test_convolutions(plain: Plain, revision: Revision) -> None:
    layer = layer_of(plain)
    (forward,) = forward_work(layer, plain.n, revision)
    same(forward, plain, revision)
    try:
        of_input, of_filters = plain.gradients(revision)
    except Stops:
        assert departures(layer, revision)
        return
    if plain.padding == "SAME" and plain.stride > 1 and revision == "2016-12":
        # Its padding fits for two rows at most; we count it as never fitting.
        assert plain.size <= 2 or plain.output == plain.size
    else:
        assert departures(layer, revision) == ()
    found = backward_work(layer, plain.n, revision)
    for work, gradient in zip(found, (of_input, of_filters), strict=True):
        same(work, gradient, revision)
    (filters_only,) = backward_work(layer_of(plain, fed_by_data=True), plain.n, revision)
    assert filters_only == found[1]


@given(plain=plain_convolutions(), revision=st.sampled_from(REVISIONS))
def test_the_gradient_of_the_filters_takes_as_many_operations_as_the_forward_pass(
    plain: Plain, revision: Revision
) -> None:
    layer = layer_of(plain)
    assert backward_work(layer, 3, revision)[1].flops == forward_work(layer, 3, revision)[0].flops


@given(plain=plain_convolutions(), batch=st.integers(1, 512), revision=st.sampled_from(REVISIONS))
def test_work_grows_with_the_batch(plain: Plain, batch: int, revision: Revision) -> None:
    for work in (forward_work, backward_work):
        for one, many in zip(work(layer_of(plain), 1, revision),
                             work(layer_of(plain), batch, revision), strict=True):  # fmt: skip
            assert many.flops == batch * one.flops
            assert sum(many.moved_bytes) >= sum(one.moved_bytes)


@given(plain=plain_convolutions())
def test_master_never_counts_less(plain: Plain) -> None:
    layer = layer_of(plain)
    assume(plain.padding == "VALID" or plain.pad("master") >= 0)
    for work in (forward_work, backward_work):
        for old, new in zip(work(layer, 2, "2016-12"), work(layer, 2, "master"), strict=True):
            assert new.flops >= old.flops
    assert (sum(forward_work(layer, 2, "master")[0].moved_bytes)
            >= sum(forward_work(layer, 2, "2016-12")[0].moved_bytes))  # fmt: skip


# --- single layers by hand ------------------------------------------------------------------------


def test_first_layer_of_alexnet_by_hand() -> None:
    layer = paleo_network("alex_v2").layers[0]
    filters = 11 * 11 * 3 * 64
    assert forward_work(layer, 128, "master") == (
        Work(flops=2 * filters * 54 * 54 * 128,
             moved_bytes=(4 * 128 * 224 * 224 * 3, 4 * filters, 4 * 128 * 54 * 54 * 64)),
    )  # fmt: skip
    (filters_only,) = backward_work(layer, 128, "master")
    assert filters_only.flops == 2 * filters * 54 * 54 * 128
    assert layer.parameters == filters + 64


def test_a_fully_connected_layer_written_as_a_convolution_is_dear_in_the_backward_pass() -> None:
    fc6 = next(layer for layer in paleo_network("alex_v2").layers if layer.name == "fc6")
    of_input, of_filters = backward_work(fc6, 1, "master")
    assert of_filters.flops == 2 * 25 * 256 * 4096
    assert of_input.flops == 25 * of_filters.flops
    as_product = InnerProduct(name="fc6", input=(5, 5, 256), output=(1, 1, 4096))
    assert [work.flops for work in backward_work(as_product, 1, "master")] == [of_filters.flops] * 2
    assert as_product.parameters == fc6.parameters


def test_inner_product() -> None:
    layer = InnerProduct(name="fc", input=(1, 1, 10), output=(1, 1, 3))
    product = Work(flops=2 * 8 * 10 * 3, moved_bytes=(4 * 80, 4 * 30, 4 * 24))
    assert forward_work(layer, 8, "master") == (product,)
    assert backward_work(layer, 8, "master") == (product, product)
    assert layer.parameters == 33
    assert departures(layer, "master") == ()
    assert "does not have" in departures(layer, "2016-12")[0]


def test_dropout_and_pooling_cost_the_same_in_both_passes() -> None:
    dropout = Dropout(name="d", input=(2, 2, 5), output=(2, 2, 5))
    assert forward_work(dropout, 3, "master") == (Work(flops=60, moved_bytes=(240, 240)),)
    pool = Pooling(name="p", input=(4, 4, 5), output=(2, 2, 5), kernel=(2, 2), stride=(2, 2))
    assert forward_work(pool, 3, "master") == (Work(flops=2 * 4 * 60, moved_bytes=(960, 240)),)
    for layer in (dropout, pool):
        assert backward_work(layer, 3, "2016-12") == forward_work(layer, 3, "master")
        assert departures(layer, "2016-12") == ()
        assert layer.parameters == 0


def test_update() -> None:
    assert update_work(10) == Work(flops=20, moved_bytes=(40, 40, 40))


def test_groups_divide_the_work_and_are_named() -> None:
    whole: dict[str, Any] = {"name": "c", "input": (9, 9, 8), "output": (9, 9, 4),
                             "kernel": (3, 3), "padding": (1, 1)}  # fmt: skip
    one, four = Convolution(**whole), Convolution(**whole, groups=4)
    assert forward_work(one, 2, "master")[0].flops == 4 * forward_work(four, 2, "master")[0].flops
    assert four.parameters == 9 * 2 * 4 + 4
    assert departures(one, "master") == ()
    assert departures(four, "master") == ("4 groups",)


def test_dilation_reaches_further_with_the_same_work() -> None:
    plain = Convolution(name="c", input=(9, 9, 2), output=(7, 7, 4), kernel=(3, 3))
    wide = Convolution(name="c", input=(9, 9, 2), output=(5, 5, 4), kernel=(3, 3), dilation=(2, 2))
    per_output = [forward_work(layer, 1, "master")[0].flops / math.prod(layer.output[:2])
                  for layer in (plain, wide)]  # fmt: skip
    assert per_output[0] == per_output[1]
    assert departures(wide, "master") == ("dilation",)


def test_where_paleo_stops_the_input_is_read_with_the_layers_own_padding() -> None:
    layer = Convolution(name="c", input=(224, 224, 3), output=(55, 55, 64), kernel=(11, 11),
                        stride=(4, 4), padding=(2, 2), fed_by_data=True)  # fmt: skip
    assert "gradient" in departures(layer, "master")[0]
    assert departures(layer, "2016-12") == ()
    padded: dict[Revision, int] = {"master": 228, "2016-12": 224}
    for revision, rows in padded.items():
        (filters,) = backward_work(layer, 1, revision)
        assert filters.moved_bytes == (4 * rows**2 * 3, 4 * 55**2 * 64, 4 * 11**2 * 3 * 64)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (InnerProduct(name="f", input=(1, 1, 4), output=(1, 1, 2), copies=7), "passed 7 times"),
        (InnerProduct(name="f", input=(1, 1, 4), output=(1, 1, 2), shared=True), "earlier layer"),
        (Pooling(name="p", input=(8, 8, 1), output=(6, 6, 1), kernel=(2, 2), stride=(2, 2)),
         "neither VALID nor SAME"),
        (Convolution(name="c", input=(8, 8, 1), output=(9, 9, 1), kernel=(3, 3)), "another size"),
        (Convolution(name="c", input=(227, 227, 3), output=(56, 56, 8), kernel=(11, 11),
                     stride=(4, 4), padding=(2, 2)), "gradient"),
    ],
)  # fmt: skip
def test_departures_are_named(layer: PaleoLayer, words: str) -> None:
    assert words in departures(layer, "master")[0]


def test_the_authors_networks_need_no_departure() -> None:
    for name in ("nin", "alex_v2", "vgg16", "inception_v3", "alex_v2_hybrid"):
        for layer in paleo_network(name).layers:
            for revision in REVISIONS:
                assert departures(layer, revision) == (), (name, layer.name)


# --- seconds --------------------------------------------------------------------------------------


def test_seconds_with_the_gibibyte_of_paleo() -> None:
    device = PaleoDevice(name="d", peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e9)
    found = seconds([Work(flops=10**12, moved_bytes=(2**30, 2**29))], device, 0.5)
    assert found.compute == 2
    assert found.io == pytest.approx(3, rel=1e-15)
    assert found.total() == found.compute + found.io
    assert found.total(pipelined=True) == found.io


def test_no_operation_is_shorter_than_a_cycle() -> None:
    work = [Work(flops=1, moved_bytes=(1, 1)), Work(flops=0, moved_bytes=(1,))]
    slow = PaleoDevice(name="d", peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e12, clock_hz=1e3)
    found = seconds(work, slow, 1.0)
    assert [found.compute, found.io] == pytest.approx([1e-3, 3e-3])
    without = PaleoDevice(name="d", peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e12)
    assert seconds(work, without, 1.0).compute == 1e-12


def test_our_devices_serve_as_well() -> None:
    titan = load_device("titan_x")
    assert titan.clock_base_hz is None
    assert device_of(titan).clock_hz is None
    board = load_device("k80_board")
    base, boost = device_of(board, "base"), device_of(board)
    assert (base.clock_hz, boost.clock_hz) == (562e6, 875e6)
    assert (base.peak_flops_per_s, boost.peak_flops_per_s) == (5.6e12, 8.74e12)
    assert device_of(base) is base


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, -0.1, 1.01, math.nan, True, "0.5"])
def test_percent_of_peak_is_a_share(wrong: Any) -> None:
    for key in ("compute", "communication"):
        with pytest.raises(BadOption, match=f"{key} is .*above 0 and at most 1"):
            PercentOfPeak(**{key: wrong})


@pytest.mark.parametrize("key", ["peak_flops_per_s", "bandwidth_bytes_per_s", "clock_hz"])
@pytest.mark.parametrize("wrong", [0, -1.0, math.inf, math.nan, "1"])
def test_wrong_devices(key: str, wrong: Any) -> None:
    figures: dict[str, Any] = {"peak_flops_per_s": 1e12, "bandwidth_bytes_per_s": 1e9,
                               "clock_hz": 1e9}  # fmt: skip
    with pytest.raises(BadOption, match=f"'d': {key} is"):
        PaleoDevice(name="d", **(figures | {key: wrong}))


def test_unknown_names_come_with_the_nearest() -> None:
    for look_up, asked, near in (
        (paleo_device, "K81", "K80"), (paleo_link, "ethernet_20", "ethernet20"),
        (paleo_network, "vgg17", "vgg16"), (software, "tensor-flow", "tensorflow"),
    ):  # fmt: skip
        with pytest.raises(UnknownName, match=f"Did you mean '{near}'"):
            look_up(asked)
    assert paleo_device("titan_x") == paleo_device("TITAN_X")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"kernel": (0, 3)}, "kernel is"), ({"stride": (1,)}, "stride is"),
     ({"input": (4, 4)}, "input is"), ({"output": (4, 4, 2.5)}, "output is"),
     ({"padding": "FULL"}, "padding is 'FULL'"), ({"groups": 3}, "3 groups do not divide"),
     ({"copies": 0}, "copies is"), ({"dilation": (0, 1)}, "dilation is")],
)  # fmt: skip
def test_wrong_layers(change: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"name": "c", "input": (4, 4, 2), "output": (4, 4, 2), "kernel": (1, 1)}
    Convolution(**good)
    with pytest.raises(BadOption, match=f"c: .*{words}|{words}"):
        Convolution(**(good | change))


def test_networks_need_layers_with_names_of_their_own() -> None:
    layer = Dropout(name="d", input=(1, 1, 2), output=(1, 1, 2))
    with pytest.raises(BadOption, match="no layer"):
        PaleoNetwork(name="n", layers=())
    with pytest.raises(BadOption, match="two layers named 'd'"):
        PaleoNetwork(name="n", layers=(layer, layer))


def test_sizes_by_paleos_rule() -> None:
    assert [size_after(224, 11, 4, "VALID"), size_after(224, 3, 2, "SAME")] == [54, 112]
    assert size_after(224, 7, 2, 3) == 112
