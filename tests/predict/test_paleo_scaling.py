"""Steps of one and of many workers by PALEO: parts and sums, both scalings, schemes, mistakes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import load_device, load_link
from epochlab.predict.paleo import (
    REVISIONS,
    SCALINGS,
    SCHEMES,
    TENSORFLOW,
    Convolution,
    Dropout,
    InnerProduct,
    PaleoNetwork,
    PaleoTime,
    Pooling,
    hybrid_time,
    paleo_device,
    paleo_link,
    paleo_network,
    paleo_time,
    training_seconds,
)
from epochlab.predict.paleo.scaling import communication_seconds

SMALL = PaleoNetwork(name="small", without_cost=("softmax",), layers=(
    Convolution(name="conv", input=(12, 12, 3), output=(10, 10, 8), kernel=(3, 3),
                fed_by_data=True),
    Pooling(name="pool", input=(10, 10, 8), output=(5, 5, 8), kernel=(2, 2), stride=(2, 2)),
    Dropout(name="drop", input=(5, 5, 8), output=(5, 5, 8)),
    InnerProduct(name="fc", input=(5, 5, 8), output=(1, 1, 10)),
))  # fmt: skip
K80, LINK = paleo_device("K80"), paleo_link("ethernet20")


def step(**changes: Any) -> PaleoTime:
    options: dict[str, Any] = {"device": K80, "link": LINK, "batch": 64}
    return paleo_time(SMALL, **(options | changes))


# --- parts and sums -------------------------------------------------------------------------------


@given(
    batch=st.integers(1, 4096), workers=st.integers(1, 300), scheme=st.sampled_from([*SCHEMES]),
    scaling=st.sampled_from(SCALINGS), revision=st.sampled_from(REVISIONS),
    ppp=st.floats(0.01, 1), pipelined=st.booleans(),
)  # fmt: skip
def test_a_step_is_the_sum_of_its_parts(
    batch: int, workers: int, scheme: str, scaling: str, revision: str, ppp: float, pipelined: bool
) -> None:
    found = step(batch=batch, workers=workers, scheme=scheme, scaling=scaling, revision=revision,
                 ppp_compute=ppp, ppp_communication=ppp, pipelined=pipelined)  # fmt: skip
    parts = (found.forward_s, found.backward_s, found.update_s, found.communication_s)
    assert min(parts) >= 0
    assert found.iteration_s == pytest.approx(sum(parts), rel=1e-12)
    join = max if pipelined else sum
    assert found.forward_s == pytest.approx(
        sum(join((row.forward.compute, row.forward.io)) for row in found.rows)
    )
    assert found.samples == (batch * workers if scaling == "weak" else batch)
    assert found.samples_per_s == found.samples / found.iteration_s
    alone = step(batch=batch, revision=revision, ppp_compute=ppp, pipelined=pipelined)
    assert found.one_worker_s == pytest.approx(alone.iteration_s, rel=1e-12)
    growth = workers if scaling == "weak" else 1
    assert found.speedup == pytest.approx(growth * alone.iteration_s / found.iteration_s)
    assert 0 < found.speedup <= workers * (1 + 1e-9) or scaling == "strong"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_one_worker_exchanges_nothing(scheme: str, scaling: str) -> None:
    found = step(scheme=scheme, scaling=scaling, link=None)
    assert found.communication_s == 0
    assert found.speedup == 1
    assert found.link is None


@pytest.mark.parametrize(("workers", "own"), [(1, 10), (3, 4), (4, 3), (10, 1), (64, 1)])
def test_strong_scaling_shares_the_batch_and_rounds_up(workers: int, own: int) -> None:
    found = step(batch=10, workers=workers, scaling="strong")
    alone = step(batch=own)
    assert found.rows == alone.rows
    assert found.samples == 10
    assert f"{own} samples per worker" in found.notes()[0]


def test_weak_scaling_leaves_the_work_of_a_worker_alone() -> None:
    assert step(workers=16).rows == step().rows
    assert step(workers=16).iteration_s > step().iteration_s


@given(
    size=st.integers(1, 10**9), more=st.integers(0, 10**9), workers=st.integers(1, 500),
    percent=st.floats(0.01, 1), scheme=st.sampled_from([*SCHEMES]),
)  # fmt: skip
def test_communication_grows_with_bytes_and_with_workers(
    size: int, more: int, workers: int, percent: float, scheme: str
) -> None:
    def cost(size: int, workers: int) -> float:
        return communication_seconds(scheme, size, workers, LINK, percent)

    assert cost(size, workers) <= cost(size + more, workers)
    assert cost(size, workers) <= cost(size, workers + 1)
    assert cost(size, workers) >= communication_seconds(scheme, size, workers, LINK, 1.0)


@given(size=st.integers(1, 10**9), workers=st.integers(2, 500))
def test_schemes_by_their_equations(size: int, workers: int) -> None:
    link = size / 2.5e9 / 0.72
    height = next(h for h in range(10) if 2**h >= workers)
    expected = {"one-to-all": 2 * (workers - 1), "tree": 2 * height, "butterfly": height,
                "butterfly-mixing": 1}  # fmt: skip
    assert set(expected) == set(SCHEMES)
    found = {name: communication_seconds(name, size, workers, LINK, 0.72) for name in expected}
    assert found == pytest.approx({name: times * link for name, times in expected.items()})
    assert found["butterfly-mixing"] <= found["butterfly"] <= found["tree"] <= found["one-to-all"]


@given(percent=st.floats(0.01, 1))
def test_half_the_percent_of_peak_takes_twice_as_long(percent: float) -> None:
    network, device = paleo_network("alex_v2"), load_device("titan_x")
    full = paleo_time(network, device=device, batch=32)
    part = paleo_time(network, device=device, batch=32, ppp_compute=percent)
    assert part.forward_s * percent == pytest.approx(full.forward_s, rel=1e-9)
    assert part.backward_s * percent == pytest.approx(full.backward_s, rel=1e-9)
    assert part.update_s == full.update_s


def test_pipelining_takes_the_longer_part() -> None:
    both, longer = step(), step(pipelined=True)
    assert longer.iteration_s < both.iteration_s
    assert longer.update_s == max(both.update.compute, both.update.io)


def test_plain_layers_will_do() -> None:
    assert paleo_time(SMALL.layers, device=K80, batch=64).iteration_s == step().iteration_s


def test_devices_and_links_of_ours() -> None:
    board, ours = load_device("k80_board"), load_link("ethernet20")
    base = step(device=board, clock="base", workers=4, link=ours)
    # The two clocks, 560 and 562 MHz, set the smallest time only.
    assert base.iteration_s == pytest.approx(step(workers=4).iteration_s, rel=1e-3)
    assert step(device=board).forward_s < base.forward_s
    assert base.link == "ethernet20"


def test_table() -> None:
    table = step(ppp_compute=TENSORFLOW.compute).table()
    records = table.records()
    assert [row["layer"] for row in records] == ["conv", "pool", "drop", "fc", "TOTAL"]
    for part in ("forward compute", "forward io", "backward compute", "backward io"):
        column = table.column(part)
        assert column[-1] == pytest.approx(sum(column[:-1]))
    assert records[-1]["parameters"] == SMALL.parameters == 224 + 2010
    assert table.label == "predicted"
    assert "PALEO charges nothing for: softmax." in table.text()
    old = step(revision="2016-12")
    assert old.departures == ("fc: an inner product, which this revision does not have",)
    assert f"Beyond PALEO's own program: {old.departures[0]}." in old.table().text()


def test_seconds_of_a_training() -> None:
    assert training_seconds(0.25, samples=1000, epochs=2.5, batch=100) == 6.25
    for name in ("samples", "batch"):
        with pytest.raises(BadOption, match=f"{name} is 0"):
            training_seconds(0.25, **({"samples": 10, "epochs": 1, "batch": 5} | {name: 0}))


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["batch", "workers"])
@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "8", math.nan])
def test_counts_are_whole_and_above_zero(name: str, wrong: Any) -> None:
    with pytest.raises(BadOption, match=f"{name} is .*whole number above 0"):
        step(**{name: wrong})
    with pytest.raises(BadOption, match=f"{name} is .*whole number above 0"):
        hybrid(**{name: wrong})


@pytest.mark.parametrize("name", ["ppp_compute", "ppp_communication"])
@pytest.mark.parametrize("wrong", [0, -0.5, 1.5, math.nan, "half"])
def test_percent_of_peak_is_above_zero_and_at_most_one(name: str, wrong: Any) -> None:
    for ask in (step, hybrid):
        with pytest.raises(BadOption, match=r"percent of peak: \w+ is"):
            ask(**{name: wrong})


@pytest.mark.parametrize(
    ("change", "near"),
    [({"scheme": "buterfly"}, "butterfly"), ({"scheme": "one_to_all"}, "one-to-all"),
     ({"scaling": "strogn"}, "strong"), ({"revision": "2016-11"}, "2016-12")],
)  # fmt: skip
def test_unknown_words_come_with_the_nearest(change: dict[str, str], near: str) -> None:
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'"):
        step(**change)


def test_many_workers_need_a_link() -> None:
    with pytest.raises(BadOption, match="2 workers need a link"):
        step(workers=2, link=None)
    with pytest.raises(BadOption, match="2 workers need a link"):
        hybrid(workers=2, link=None)


def test_a_network_needs_layers() -> None:
    with pytest.raises(BadOption, match="no layer"):
        paleo_time([], device=K80, batch=1)


# --- hybrid parallelism ---------------------------------------------------------------------------


def hybrid(**changes: Any) -> Any:
    options: dict[str, Any] = {
        "network": paleo_network("alex_v2_hybrid"), "split": ("fc6", "dropout7"),
        "device": paleo_device("K20"), "link": paleo_link("pcie2"), "batch": 128, "workers": 4,
    }  # fmt: skip
    options |= changes
    return hybrid_time(options.pop("network"), **options)


@pytest.mark.parametrize("revision", REVISIONS)
def test_one_worker_splits_nothing(revision: str) -> None:
    whole = paleo_time(paleo_network("alex_v2_hybrid"), device=paleo_device("K20"), batch=128,
                       revision=revision)  # fmt: skip
    alone = hybrid(workers=1, link=None, revision=revision)
    assert alone.iteration_s == pytest.approx(whole.iteration_s, rel=1e-12)
    assert (alone.layers, alone.sync_s, alone.model_forward_s) == ((), 0, 0)
    assert alone.without_cost == ("softmax",)


def test_a_split_is_named_by_its_layers() -> None:
    found = hybrid()
    assert found.layers == ("fc6", "dropout6", "fc7", "dropout7")
    assert found.samples_per_s == 512 / found.iteration_s
    alone = hybrid(workers=1)
    assert found.data_update_s + found.model_update_s == pytest.approx(alone.data_update_s)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workers": 9}, "9 workers; PALEO's hybrid model holds for up to 8"),
        ({"workers": 3}, "4096 output channels, which 3 workers"),
        ({"split": ("dropout7", "fc6")}, "'dropout7' comes after 'fc6'"),
        ({"split": ("pool5", "fc7")}, "'pool5' cannot be the first"),
        ({"split": ("conv1", "fc7")}, "'conv1' cannot be the first"),
        ({"network": paleo_network("inception_v3"), "split": ("Mixed_5b/0/0", "Conv2d_1c_1x1")},
         "have to follow one another"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be_made(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        hybrid(**change)


def test_unknown_words_of_a_split() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'fc6'"):
        hybrid(split=("fc66", "fc7"))
    with pytest.raises(UnknownName, match="Did you mean '2016-12'"):
        hybrid(revision="2016")
