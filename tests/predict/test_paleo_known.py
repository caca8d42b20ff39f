"""PALEO's published and re-computed numbers, to the last printed digit."""

from __future__ import annotations

import tomllib
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from epochlab.hardware import load_device, load_link
from epochlab.predict.paleo import (
    DEVICES,
    LINKS,
    NETWORKS,
    SOFTWARE,
    PaleoTime,
    hybrid_time,
    paleo_device,
    paleo_link,
    paleo_network,
    paleo_time,
    software,
    training_seconds,
)

KNOWN = tomllib.loads(
    (Path(__file__).parents[1] / "known" / "paleo.toml").read_text(encoding="utf-8")
)
WORKERS = [1, 2, 4, 8, 16, 32, 64, 128]
SCHEMES = ("one-to-all", "tree", "butterfly")


def rounded(value: float, printed: str) -> str:
    """`value` with as many decimals as were printed."""
    return f"{value:.{len(printed.partition('.')[2])}f}"


def agrees(values: list[float], printed: str) -> None:
    """Each value, rounded, is the number that was printed in its place."""
    texts = printed.split()
    assert [rounded(v, t) for v, t in zip(values, texts, strict=True)] == texts


def numbers(values: list[float], decimals: int) -> list[float]:
    return [round(value, decimals) for value in values]


def floats(printed: str) -> list[float]:
    return [float(text) for text in printed.split()]


# --- facts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", KNOWN["tables"]["devices"], ids=lambda row: row["paleo"])
def test_devices_have_the_figures_of_paleos_table(row: dict[str, str]) -> None:
    peak, bandwidth = float(row["peak"]) * 1e9, float(row["bandwidth"]) * 1e9
    found = paleo_device(row["paleo"])
    assert found.peak_flops_per_s == pytest.approx(peak, rel=1e-15)
    assert found.bandwidth_bytes_per_s == pytest.approx(bandwidth, rel=1e-15)
    assert found.clock_hz == float(row["clock"]) * 1e6
    ours = load_device(row["epochlab"])
    assert ours.peak(clock="base").value == found.peak_flops_per_s
    assert ours.bandwidth_bytes_per_s.value == found.bandwidth_bytes_per_s


@pytest.mark.parametrize("row", KNOWN["tables"]["links"], ids=lambda row: row["paleo"])
def test_links_have_the_figures_of_paleos_table(row: dict[str, str]) -> None:
    assert paleo_link(row["paleo"]) == load_link(row["epochlab"])
    assert paleo_link(row["paleo"]).one_way_bytes_per_s == float(row["gbit"]) / 8 * 1e9


def test_the_tables_are_complete() -> None:
    assert {row["paleo"] for row in KNOWN["tables"]["devices"]} == set(DEVICES)
    assert {row["paleo"] for row in KNOWN["tables"]["links"]} == set(LINKS)
    named = {row["network"] for row in KNOWN["pass"]} | {KNOWN["hybrid"]["network"]}
    assert named == set(NETWORKS)


def test_percent_of_peak_of_the_authors() -> None:
    known = {name: text for name, text in KNOWN["percent_of_peak"].items() if name != "source"}
    assert set(known) == set(SOFTWARE)
    for name, text in known.items():
        found = software(name)
        assert [found.compute, found.communication] == floats(text)
        assert "exp_case_" in found.source


def test_every_entry_has_a_source() -> None:
    for section, value in KNOWN.items():
        for entry in value if isinstance(value, list) else [value]:
            assert entry["source"], section


# --- layers and passes ----------------------------------------------------------------------------


def passes(known: dict[str, Any]) -> PaleoTime:
    return paleo_time(
        paleo_network(known["network"]), device=paleo_device(known["device"]),
        batch=known["batch"], revision="master",
    )  # fmt: skip


def test_table_of_layers() -> None:
    records = {row["layer"]: row for row in passes(KNOWN["layers"]).table().records()}
    assert set(records) - {row[0] for row in KNOWN["layers"]["rows"]} == {"dropout6", "dropout7"}
    for name, output, parameters, printed in KNOWN["layers"]["rows"]:
        row = list(records[name].values())
        assert row[1:3] == [output, parameters], name
        agrees(row[3:], printed)


@pytest.mark.parametrize("known", KNOWN["pass"], ids=lambda known: known["network"])
def test_forward_and_backward_pass(known: dict[str, Any]) -> None:
    step = passes(known)
    assert step.network.parameters == known["parameters"]
    sums = [
        1000 * sum(getattr(getattr(row, way), part) for row in step.rows)
        for way in ("forward", "backward") for part in ("compute", "io")
    ]  # fmt: skip
    assert numbers(sums, 4) == floats(known["parts"])
    assert step.forward_s + step.backward_s == pytest.approx(sum(sums) / 1000, rel=1e-12)
    assert step.departures == ()


# --- steps ----------------------------------------------------------------------------------------


def steps(key: str, scheme: str) -> list[PaleoTime]:
    network, device, link, program, batch, scaling = key.split(",")
    percent = software(program)
    return [
        paleo_time(
            paleo_network(network), device=paleo_device(device), link=paleo_link(link),
            batch=int(batch), workers=workers, scheme=scheme, scaling=scaling,
            ppp_compute=percent.compute, ppp_communication=percent.communication,
            revision="2016-12",
        )
        for workers in WORKERS
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "scheme"),
    [pytest.param(known, scheme, id=f"{known['key']},{scheme}")
     for known in KNOWN["step"] for scheme in SCHEMES if scheme in known],
)  # fmt: skip
def test_steps_of_the_web_page(known: dict[str, Any], scheme: str) -> None:
    found = steps(known["key"], scheme)
    assert numbers([1000 * step.iteration_s for step in found], 3) == floats(known[scheme])
    if "speedup" in known:
        assert numbers([step.speedup for step in found], 3) == floats(known["speedup"][scheme])
    assert all(step.departures == () for step in found)


# --- tables of the paper --------------------------------------------------------------------------


def test_firecaffe() -> None:
    known = KNOWN["firecaffe"]
    compute, communication = floats(known["ppp"])
    hours = []
    for row in known["rows"]:
        step = paleo_time(
            paleo_network(known["network"]), device=paleo_device(known["device"]),
            link=paleo_link(known["link"]), batch=row["batch"], workers=row["workers"],
            scheme=known["scheme"], scaling=known["scaling"], ppp_compute=compute,
            ppp_communication=communication, revision="2016-12",
        )  # fmt: skip
        seconds = training_seconds(
            step.iteration_s, samples=known["samples"], epochs=known["epochs"], batch=row["batch"]
        )
        hours.append(seconds / 3600)
        for key, value in (
            ("days", hours[-1] / 24), ("hours", hours[-1]), ("speedup", hours[0] / hours[-1])
        ):  # fmt: skip
            if key in row:
                assert rounded(value, row[key]) == row[key], (row, value)


def test_hybrid() -> None:
    known = KNOWN["hybrid"]
    compute, communication = floats(known["ppp"])
    hours = []
    for row in known["rows"]:
        step = hybrid_time(
            paleo_network(known["network"]), split=tuple(known["split"]),
            device=paleo_device(known["device"]), link=paleo_link(known["link"]),
            batch=known["batch"], workers=row["workers"], ppp_compute=compute,
            ppp_communication=communication, revision="2016-12",
        )  # fmt: skip
        parts = [
            step.data_forward_s, step.data_backward_s, step.data_update_s, step.sync_s,
            step.model_forward_s, step.model_backward_s, step.model_update_s,
        ]  # fmt: skip
        assert numbers([1000 * part for part in parts], 3) == floats(row["parts"])
        agrees([1000 * step.iteration_s], row["sum"])
        effective = known["batch"] * row["workers"]
        seconds = training_seconds(
            step.iteration_s, samples=known["samples"], epochs=known["epochs"], batch=effective
        )
        hours.append(seconds / 3600)
        assert rounded(hours[-1], row["hours"]) == row["hours"]
        assert rounded(hours[0] / hours[-1], row["speedup"]) == row["speedup"]
        assert step.departures == ()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weak_scaling_of_inception(scheme: str) -> None:
    known = KNOWN["inception"]
    compute, communication = floats(known["ppp"])
    found = [
        paleo_time(
            paleo_network(known["network"]), device=paleo_device(known["device"]),
            link=paleo_link(known["link"]), batch=known["batch"], workers=workers, scheme=scheme,
            ppp_compute=compute, ppp_communication=communication, revision="master",
        ).speedup
        for workers in known["workers"]
    ]  # fmt: skip
    twice = [Decimal(f"{value:.3f}").quantize(Decimal("0.01"), ROUND_HALF_UP) for value in found]
    assert [float(value) for value in twice] == floats(known[scheme])


def test_which_speedups_were_rounded_twice() -> None:
    known = KNOWN["inception"]
    for workers, exact, printed in ((4, "3.6148", "3.62"), (100, "72.8348", "72.84")):
        step = paleo_time(
            paleo_network("inception_v3"), device=paleo_device("K40"), link=paleo_link("ethernet"),
            batch=256, workers=workers, ppp_compute=0.62, ppp_communication=0.72,
        )  # fmt: skip
        assert f"{step.speedup:.4f}" == exact
        assert printed in known["tree"].split()
