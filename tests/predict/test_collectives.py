"""Models of collective communication: their tables, bounds, orders, and mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Figure, Link, load_link
from epochlab.predict.collectives import (
    OPERATIONS,
    SCHEMES,
    Channel,
    all_reduce_seconds,
    bus_bandwidth_factor,
    channel_of,
    hierarchical,
    hierarchical_leader,
    lower_bound_seconds,
    parameter_servers,
    ring,
    star,
    tree,
)

FLAT = ("recursive-doubling", "rabenseifner", "ring", "tree", "double-binary-tree", "star",
        "one-to-all", "butterfly")  # fmt: skip
# 10 GB/s and 20 us, with the gradients of ResNet-50 for 10 classes of grey images.
WIRE = Channel(bandwidth_bytes_per_s=10e9, latency_s=20e-6)
GRADIENT = 94_089_000

SIZES = st.integers(0, 10**10)
WORKERS = st.integers(1, 2000)
CHANNELS = st.builds(
    Channel, bandwidth_bytes_per_s=st.floats(1e6, 1e12), latency_s=st.floats(0, 1e-2),
    reduction_s_per_byte=st.floats(0, 1e-8),
)  # fmt: skip


def counted(scheme: str, workers: int) -> tuple[float, float, float]:
    """How often alpha, n beta and n gamma stand in the time of `scheme`."""
    unit = {"bandwidth_bytes_per_s": 1.0}
    nothing = Channel(bandwidth_bytes_per_s=1e300)
    return (
        all_reduce_seconds(scheme, 0, workers, Channel(**unit, latency_s=1.0)),
        all_reduce_seconds(scheme, 1, workers, Channel(**unit)),
        all_reduce_seconds(scheme, 1, workers,
                           Channel(bandwidth_bytes_per_s=nothing.bandwidth_bytes_per_s,
                                   reduction_s_per_byte=1.0)),
    )  # fmt: skip


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "workers", "alpha", "beta", "gamma"),
    [
        ("recursive-doubling", 8, 3, 3, 3),
        ("rabenseifner", 8, 6, 2 * 7 / 8, 7 / 8),
        ("rabenseifner", 2, 2, 1, 1 / 2),
        ("rabenseifner", 6, 2 * 2 + 2, 2 * 5 / 6 + 2, 1 + 5 / 6),
        ("rabenseifner", 100, 2 * 6 + 2, 2 * 99 / 100 + 2, 1 + 99 / 100),
        ("ring", 8, 14, 2 * 7 / 8, 7 / 8),
        ("ring", 5, 8, 2 * 4 / 5, 4 / 5),
        ("tree", 8, 6, 6, 3),
        ("tree", 9, 8, 8, 4),
        ("double-binary-tree", 8, 6, 2, 1),
        ("star", 8, 14, 14, 7),
        ("one-to-all", 3, 4, 4, 2),
        ("butterfly", 8, 3, 3, 3),
        ("butterfly", 9, 4, 4, 4),
        # An extra worker hands its bytes over before, and gets the sum afterwards.
        ("recursive-doubling", 9, 3 + 2, 3 + 2, 3 + 1),
    ],
)
def test_terms(scheme: str, workers: int, alpha: float, beta: float, gamma: float) -> None:
    assert counted(scheme, workers) == pytest.approx((alpha, beta, gamma))


@pytest.mark.parametrize(
    ("scheme", "milliseconds"), [("ring", "16.746"), ("star", "132.005"), ("tree", "56.573")]
)
def test_eight_workers_with_the_gradients_of_resnet50(scheme: str, milliseconds: str) -> None:
    assert f"{1000 * all_reduce_seconds(scheme, GRADIENT, 8, WIRE):.3f}" == milliseconds


@pytest.mark.parametrize(
    ("workers", "megabytes", "hub"),
    [(2, "94.09", "94.09"), (4, "141.13", "282.27"), (8, "164.66", "658.62"),
     (16, "176.42", "1411.34")],
)  # fmt: skip
def test_volumes_of_ring_and_star(workers: int, megabytes: str, hub: str) -> None:
    bare = Channel(bandwidth_bytes_per_s=1e6)  # seconds are megabytes
    assert f"{ring(GRADIENT, workers, bare):.2f}" == megabytes
    assert f"{star(GRADIENT, workers, bare) / 2:.2f}" == hub


def test_parameter_servers() -> None:
    bare = Channel(bandwidth_bytes_per_s=1e9)
    assert parameter_servers(1e9, 8, bare, servers=4) == 4  # 8 workers' bytes in and out, by 4
    assert parameter_servers(1e9, 8, bare, servers=100) == 2  # the worker's own connection
    assert parameter_servers(1e9, 8, bare, servers=4, server=4e9) == 2
    assert parameter_servers(1e9, 8, WIRE, servers=4) == pytest.approx(0.4 + 40e-6)
    adding = Channel(bandwidth_bytes_per_s=1e9, reduction_s_per_byte=1e-9)
    assert parameter_servers(1e9, 8, adding, servers=4) == pytest.approx(6)
    # Other machines: one worker uses them, too.
    assert all_reduce_seconds("parameter-servers", 1e9, 1, bare, servers=1) == 2


def test_hierarchical() -> None:
    fast, slow = Channel(bandwidth_bytes_per_s=8e9), Channel(bandwidth_bytes_per_s=1e9)
    within = 2 * 1e9 * (7 / 8) / 8e9
    across = 2 * 1e9 * (3 / 4) / 1e9
    assert hierarchical(1e9, 8, 4, fast, slow) == pytest.approx(within + across)
    assert hierarchical_leader(1e9, 8, 4, fast, slow) == pytest.approx(2 * 3 * 1e9 / 8e9 + across)
    for scheme in ("hierarchical", "hierarchical-leader"):
        by_name = all_reduce_seconds(scheme, 1e9, 32, slow, per_node=8, inside=fast)
        function = hierarchical if scheme == "hierarchical" else hierarchical_leader
        assert by_name == function(1e9, 8, 4, fast, slow)


def test_hierarchical_latency_and_reduction() -> None:
    late = Channel(bandwidth_bytes_per_s=1.0, latency_s=1.0)
    assert hierarchical(0, 8, 4, late, late) == 2 * 7 + 2 * 3
    assert hierarchical_leader(0, 8, 4, late, late) == 2 * 3 + 2 * 3
    adding = Channel(bandwidth_bytes_per_s=1e300, reduction_s_per_byte=1.0)
    # Of the sum of 32 numbers, one of 32 equal shares takes 31/32 additions in all.
    assert hierarchical(1, 8, 4, adding, adding) == pytest.approx(31 / 32)
    assert hierarchical_leader(1, 8, 4, adding, adding) == pytest.approx(3 + 3 / 4)


@pytest.mark.parametrize(
    ("operation", "factor"),
    [("all-reduce", 2 * 7 / 8), ("reduce-scatter", 7 / 8), ("all-gather", 7 / 8),
     ("all-to-all", 7 / 8), ("broadcast", 1), ("reduce", 1)],
)  # fmt: skip
def test_bus_bandwidth(operation: str, factor: float) -> None:
    assert bus_bandwidth_factor(operation, 8) == factor
    assert operation in OPERATIONS


@given(size=st.integers(1, 10**10), workers=st.integers(2, 2000))
def test_a_ring_reaches_the_bus_bandwidth(size: int, workers: int) -> None:
    bare = Channel(bandwidth_bytes_per_s=5e9)
    algorithm = size / ring(size, workers, bare)
    assert algorithm * bus_bandwidth_factor("all-reduce", workers) == pytest.approx(5e9)


# --- bounds and orders ----------------------------------------------------------------------------


@given(scheme=st.sampled_from(FLAT), size=SIZES, channel=CHANNELS)
def test_one_worker_takes_no_time(scheme: str, size: int, channel: Channel) -> None:
    assert all_reduce_seconds(scheme, size, 1, channel) == 0
    assert lower_bound_seconds(size, 1, channel) == 0


@given(scheme=st.sampled_from(FLAT), size=SIZES, workers=WORKERS, channel=CHANNELS)
def test_nothing_beats_the_lower_bound(
    scheme: str, size: int, workers: int, channel: Channel
) -> None:
    bound = lower_bound_seconds(size, workers, channel)
    assert all_reduce_seconds(scheme, size, workers, channel) >= bound * (1 - 1e-12)


@given(size=SIZES, workers=WORKERS, bandwidth=st.floats(1e6, 1e12))
def test_rings_and_halving_reach_it_without_latency(
    size: int, workers: int, bandwidth: float
) -> None:
    bound = lower_bound_seconds(size, workers, bandwidth)
    assert all_reduce_seconds("ring", size, workers, bandwidth) == pytest.approx(bound)
    power = 1 << (workers - 1).bit_length()
    assert all_reduce_seconds("rabenseifner", size, power, bandwidth) == pytest.approx(
        lower_bound_seconds(size, power, bandwidth)
    )


@given(
    size=SIZES, per_node=st.integers(1, 16), nodes=st.integers(1, 64), inside=CHANNELS,
    between=CHANNELS, scheme=st.sampled_from(["hierarchical", "hierarchical-leader"]),
)  # fmt: skip
def test_nodes_do_not_beat_the_lower_bound_of_the_faster_channel(
    size: int, per_node: int, nodes: int, inside: Channel, between: Channel, scheme: str
) -> None:
    workers = per_node * nodes
    found = all_reduce_seconds(scheme, size, workers, between, per_node=per_node, inside=inside)
    fastest = max(inside.bandwidth_bytes_per_s, between.bandwidth_bytes_per_s)
    assert found >= lower_bound_seconds(size, workers, fastest) * (1 - 1e-12)
    assert (found == 0) or workers > 1
    if nodes == 1 and scheme == "hierarchical":
        assert found == pytest.approx(ring(size, per_node, inside))
    if nodes == 1 and scheme == "hierarchical-leader":
        assert found == tree(size, per_node, inside)
    if per_node == 1:
        assert found == pytest.approx(ring(size, nodes, between))


@given(scheme=st.sampled_from(FLAT), size=SIZES, more=SIZES, workers=WORKERS, channel=CHANNELS)
def test_more_bytes_take_longer(
    scheme: str, size: int, more: int, workers: int, channel: Channel
) -> None:
    less = all_reduce_seconds(scheme, size, workers, channel)
    assert less <= all_reduce_seconds(scheme, size + more, workers, channel) * (1 + 1e-12)
    servers = [all_reduce_seconds("parameter-servers", n, workers, channel, servers=3)
               for n in (size, size + more)]  # fmt: skip
    assert servers[0] <= servers[1]


@given(size=SIZES, workers=st.integers(2, 2000), channel=CHANNELS)
def test_a_butterfly_is_recursive_doubling_for_powers_of_two(
    size: int, workers: int, channel: Channel
) -> None:
    names = ("butterfly", "recursive-doubling")
    power = 1 << (workers.bit_length() - 1)
    whole, other = (
        [all_reduce_seconds(name, size, count, channel) for name in names]
        for count in (power, workers)
    )
    assert whole[0] == whole[1]
    assert other[0] <= other[1]


def test_short_messages_want_few_of_them_and_long_ones_few_bytes() -> None:
    def cheapest(size: int) -> str:
        names = ("recursive-doubling", "rabenseifner", "ring", "star")
        return min(names, key=lambda name: all_reduce_seconds(name, size, 64, WIRE))

    assert cheapest(1_000) == "recursive-doubling"
    assert cheapest(100_000_000) == "rabenseifner"


# --- channels -------------------------------------------------------------------------------------


def test_links_serve_as_channels() -> None:
    assert channel_of(load_link("ethernet10")) == Channel(bandwidth_bytes_per_s=1.25e9)
    figure: dict[str, Any] = {"source": "a test", "date": "2026"}
    late = Link(name="l", title="t", bandwidth_bytes_per_s=Figure(value=1e9, **figure),
                latency_s=Figure(value=5e-6, **figure))  # fmt: skip
    assert channel_of(late) == Channel(bandwidth_bytes_per_s=1e9, latency_s=5e-6)
    assert channel_of(2e9).beta == 1 / 2e9
    assert all_reduce_seconds("ring", 1e9, 2, late) == pytest.approx(1 + 2 * 5e-6)


# --- mistakes -------------------------------------------------------------------------------------


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'ring'"):
        all_reduce_seconds("rign", 1, 2, 1e9)
    with pytest.raises(UnknownName, match="Did you mean 'all-reduce'"):
        bus_bandwidth_factor("all_reduce", 2)
    assert set(SCHEMES) == {*FLAT, "parameter-servers", "hierarchical", "hierarchical-leader"}


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "4"])
def test_counts_are_whole_and_above_zero(wrong: Any) -> None:
    asks: list[Callable[[], float]] = [
        lambda: all_reduce_seconds("ring", 1, wrong, 1e9),
        lambda: lower_bound_seconds(1, wrong, 1e9),
        lambda: bus_bandwidth_factor("reduce", wrong),
        lambda: all_reduce_seconds("parameter-servers", 1, 2, 1e9, servers=wrong),
        lambda: all_reduce_seconds("hierarchical", 1, 2, 1e9, per_node=wrong, inside=1e9),
    ]
    for ask in asks:
        with pytest.raises(BadOption, match="whole number above 0"):
            ask()


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "1", True])
def test_sizes_are_numbers(wrong: Any) -> None:
    with pytest.raises(BadOption, match="size_bytes is"):
        all_reduce_seconds("ring", wrong, 2, 1e9)
    with pytest.raises(BadOption, match="size_bytes is"):
        lower_bound_seconds(wrong, 2, 1e9)


@pytest.mark.parametrize("key", ["bandwidth_bytes_per_s", "latency_s", "reduction_s_per_byte"])
@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "1", True])
def test_wrong_channels(key: str, wrong: Any) -> None:
    with pytest.raises(BadOption, match=f"Channel: {key} is"):
        Channel(**({"bandwidth_bytes_per_s": 1e9} | {key: wrong}))


def test_what_a_scheme_needs() -> None:
    with pytest.raises(BadOption, match="bandwidth_bytes_per_s is 0"):
        all_reduce_seconds("ring", 1, 2, 0)
    with pytest.raises(BadOption, match="needs the number of servers"):
        all_reduce_seconds("parameter-servers", 1, 2, 1e9)
    with pytest.raises(BadOption, match="needs per_node"):
        all_reduce_seconds("hierarchical-leader", 1, 2, 1e9, per_node=2)
    with pytest.raises(BadOption, match="10 workers do not fill nodes of 4"):
        all_reduce_seconds("hierarchical", 1, 10, 1e9, per_node=4, inside=1e9)
