"""Tables over batch, device, workers, servers and link, with time, dollars and memory."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from epochlab.cost import step_memory
from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Device, Figure, load_device, load_link
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.vgg import Vgg
from epochlab.predict.paleo import paleo_network
from epochlab.predict.setting import Setting
from epochlab.predict.step_time import StepTime
from epochlab.predict.what_if import PRICES, Choice, WhatIf, on_front, what_if
from epochlab.predict.workload import workload_of
from epochlab.table import FORMATS

LENET = workload_of(Lenet5())
K80, V100, H200, CPU = map(load_device, ("k80", "v100", "h200", "i7_5930k"))
ETHERNET = load_link("ethernet10")

points = st.lists(st.none() | st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(points)
def test_the_front_is_what_nothing_beats(found: list[tuple[float, float] | None]) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    for point, marked in zip(found, on_front(found), strict=True):
        beaten = point is None or any(beats(q, point) for q in found if q is not None)
        assert marked is not beaten


# --- combinations ---------------------------------------------------------------------------------


def test_every_combination_has_a_row() -> None:
    found = what_if(LENET, [K80, V100], batches=(8, 32), workers=(1, 2, 4), links=(ETHERNET,),
                    scalings=("weak", "strong"))  # fmt: skip
    rows = found.table().records()
    told = [(r["device"], r["batch"], r["scaling"], r["workers"]) for r in rows]
    assert told == list(itertools.product(("k80", "v100"), (8, 32), ("weak", "strong"), (1, 2, 4)))
    strong = [r for r in rows if r["scaling"] == "strong" and r["batch"] == 8]
    assert [r["per worker"] for r in strong] == [8, 4, 2] * 2
    assert all((r["slowdown"] is None) == (r["scaling"] == "strong") for r in rows)


def test_servers_vary_for_their_scheme_alone() -> None:
    found = what_if(LENET, [K80], batches=(8,), workers=(2, 4), links=(ETHERNET,),
                    schemes=("ring", "servers"), servers=(1, 2))  # fmt: skip
    rows = [(r["scheme"], r["servers"], r["workers"]) for r in found.table().records()]
    assert rows == [("ring", None, 2), ("ring", None, 4), *(
        ("parameter-servers", servers, workers) for servers in (1, 2) for workers in (2, 4)
    )]  # fmt: skip
    assert any("not in the cost" in note for note in found.notes())


def test_columns_that_say_nothing_are_left_out() -> None:
    names = {c.name for c in what_if(LENET, [K80], batches=(8,)).table().columns}
    assert {"device", "batch", "forward", "backward", "update", "step", "samples/s", "fit", "cost",
            "a million samples"} <= names  # fmt: skip
    assert not names & {"workers", "communication", "speed-up", "link", "scheme", "low", "high",
                        "epoch", "best", "model", "per worker", "servers"}  # fmt: skip


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    what_if(LENET, [K80], batches=(8, 16), tell=lambda what, share: told.append((what, share)))
    assert told == [("k80, batch 8", 0.0), ("k80, batch 16", 0.5)]


# --- time and money -------------------------------------------------------------------------------


def choice(step_s: float, *, workers: int, batch: int = 256, scaling: str = "strong") -> Choice:
    step = StepTime(
        network="n", device="k80", model="paleo", batch=batch, own_batch=batch // workers,
        workers=workers, link=None, scheme="ring", servers=None, scaling=scaling,
        forward_s=step_s, backward_s=0.0, update_s=0.0, communication_s=0.0, one_worker_s=8.0,
    )  # fmt: skip
    return Choice(setting=Setting(device=K80, batch=batch), step=step, needed_bytes=None,
                  price=K80.price_usd_per_hour, largest_batch=None)  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 16])
def test_with_perfect_strong_scaling_the_cost_is_constant(workers: int) -> None:
    one = choice(8.0 / workers, workers=workers)
    seconds = one.seconds(60_000, 10)
    # 235 steps an epoch (the last one with 96 samples), at 0.45 USD an hour.
    assert seconds == 10 * 235 * 8.0 / workers
    assert one.dollars(seconds) == workers * 0.45 * seconds / 3600
    assert round(one.dollars(seconds) or 0, 2) == 2.35
    assert one.step.speedup == workers
    assert one.step.efficiency == 1


def test_weak_scaling_has_fewer_steps() -> None:
    steps = [choice(1.0, workers=n, scaling="weak").seconds(60_000, 1) for n in (1, 2, 4, 8, 16)]
    assert steps == [235, 118, 59, 30, 15]
    small = [choice(1.0, workers=n, scaling="weak", batch=64).seconds(60_000, 1)
             for n in (1, 2, 4, 8, 16)]  # fmt: skip
    assert small == [938, 469, 235, 118, 59]


def test_without_samples_time_and_cost_are_for_a_million() -> None:
    found = what_if(LENET, [K80], batches=(32,))
    row = found.table().records()[0]
    assert row["a million samples"] == 1e6 / row["samples/s"]
    assert row["cost"] == 0.45 * row["a million samples"] / 3600


@pytest.mark.parametrize(("price", "dollars"), [*zip(PRICES, (0.45, 0.0375, 0.90), strict=True)])
def test_prices(price: str, dollars: float) -> None:
    found = what_if(LENET, [K80, H200], batches=(32,), samples=50_000, epochs=3, price=price)
    row, without = found.table().records()
    assert row["training"] == 3 * row["epoch"] == 3 * 1563 * row["step"] / 1000
    assert math.isclose(row["cost"], dollars * row["training"] / 3600)
    assert without["cost"] is None
    notes = " ".join(found.notes())
    assert f"{dollars:g} USD per hour ({price}), read 2026-11" in notes
    assert "h200" in notes
    assert "no price known" in notes


def test_a_price_of_ones_own() -> None:
    figure = Figure(value=1.0, source="our contract", date="2026-11-21")
    ours = replace(K80, price_usd_per_hour=figure)
    row = what_if(LENET, [ours], batches=(32,), workers=(8,), links=(ETHERNET,)).table().records()
    assert math.isclose(row[0]["cost"], 8 * row[0]["a million samples"] / 3600)


# --- the front ------------------------------------------------------------------------------------


def test_the_best_rows_are_not_beaten_in_time_and_dollars() -> None:
    found = what_if(workload_of(Vgg(depth=16)), [K80, V100, H200], batches=(32, 128),
                    workers=(1, 4), links=(ETHERNET,), samples=50_000, epochs=10)  # fmt: skip
    rows = found.table().records()
    priced = [r for r in rows if r["cost"] is not None]
    best = [r for r in rows if r["best"] == "*"]
    assert 0 < len(best) < len(priced)
    assert all(r["device"] != "h200" for r in best)
    for row in priced:
        beaten = any(o["training"] <= row["training"] and o["cost"] <= row["cost"] and o is not row
                     for o in priced)  # fmt: skip
        assert beaten is (row["best"] == "")


def test_what_does_not_fit_is_never_best() -> None:
    small = replace(K80, name="small", memory_bytes=Figure(value=2e9, source="t", date="2026"))
    found = what_if(workload_of(Vgg(depth=16)), [small], batches=(4, 64))
    rows = found.table().records()
    assert rows[1]["samples/s"] > rows[0]["samples/s"]
    assert [row["fit"] == "fits" for row in rows] == [True, False]
    assert [row["best"] for row in rows] == ["*", ""]


# --- memory ---------------------------------------------------------------------------------------


def test_memory_is_that_of_the_step() -> None:
    network = workload_of(Vgg(depth=16))
    row = what_if(network, [K80], batches=(256,)).table().records()[0]
    module = Vgg(depth=16).build((3, 224, 224), 1000)
    shape = (3, 224, 224)
    needed = step_memory(module, shape, batch=256, workspace=False).peak_bytes
    assert row["memory"] == needed / 1e9
    assert row["fit"] == f"needs {needed / 1e9:.3g} GB of 12 GB"
    largest = row["largest batch"]
    peaks = [step_memory(module, shape, batch=b, workspace=False).peak_bytes
             for b in (largest, largest + 1)]  # fmt: skip
    assert peaks[0] <= 12e9 < peaks[1]


def test_a_network_larger_than_the_device_has_no_batch() -> None:
    small = replace(K80, memory_bytes=Figure(value=1e8, source="t", date="2026"))
    row = what_if(workload_of(Vgg(depth=16)), [small], batches=(1,)).table().records()[0]
    assert row["largest batch"] == 0
    assert row["fit"].startswith("needs")
    assert row["fit"].endswith("of 100 MB")


def test_on_a_cpu_the_memory_has_the_kernels_workspace() -> None:
    room = replace(CPU, memory_bytes=Figure(value=16e9, source="t", date="2026"))
    row = what_if(LENET, [room], batches=(32,)).table().records()[0]
    module = Lenet5().build((1, 28, 28), 10)
    assert row["memory"] == step_memory(module, (1, 28, 28), batch=32).peak_bytes / 1e9


def test_strong_scaling_shares_the_memory() -> None:
    rows = what_if(LENET, [K80], batches=(64,), workers=(1, 4), links=(ETHERNET,),
                   scalings=("strong",)).table().records()  # fmt: skip
    module = Lenet5().build((1, 28, 28), 10)
    peaks = [step_memory(module, (1, 28, 28), batch=b, workspace=False).peak_bytes / 1e9
             for b in (64, 16)]  # fmt: skip
    assert [row["memory"] for row in rows] == peaks


def test_memory_that_is_not_known_is_left_out() -> None:
    found = what_if(workload_of(paleo_network("nin")), [K80], batches=(8,))
    names = {c.name for c in found.table().columns}
    assert not names & {"memory", "fit", "largest batch"}

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: nn.Module) -> dict[str, object]:
            return {"scores": self.fc(x), "size": 3}

    row = what_if(workload_of(Pair(), (4,)), [K80], batches=(8,)).table().records()[0]
    assert row["fit"] == "fits"  # the mean of the outputs stands for the loss


# --- the table ------------------------------------------------------------------------------------


def test_the_table_says_what_it_rests_on() -> None:
    found = what_if(LENET, [K80], batches=(8,), workers=(1, 2), links=(ETHERNET,),
                    scalings=("weak", "strong"))  # fmt: skip
    table = found.table()
    notes = " ".join(table.notes)
    assert table.label == "predicted"
    for part in ("PALEO, revision master", "2 per multiply-accumulate", "4.37 TFLOP/s", "2014-11",
                 "1.25 GB/s in one direction, 2017", "efficiency t1/tn, slowdown tn/t1",
                 "S = T(1)/T(n)", "'ring'", "tensors alone"):  # fmt: skip
        assert part in notes, part
    for form in FORMATS:
        assert "k80" in table.written(form)


def test_numbers_that_are_refused() -> None:
    for epochs in (0, -1, math.nan, math.inf):
        with pytest.raises(BadOption, match="epochs is"):
            what_if(LENET, [K80], batches=(8,), samples=100, epochs=epochs)
    with pytest.raises(BadOption, match="samples is 0"):
        what_if(LENET, [K80], batches=(8,), samples=0)
    with pytest.raises(UnknownName, match="Did you mean 'preemptible'"):
        what_if(LENET, [K80], batches=(8,), price="pre-emptible")


def test_a_device_without_memory_may_be_best() -> None:
    unknown: Device = replace(K80, memory_bytes=None)
    found = what_if(LENET, [unknown], batches=(8, 16))
    assert isinstance(found, WhatIf)
    assert any(found.best)
    assert "largest batch" not in {c.name for c in found.table().columns}
