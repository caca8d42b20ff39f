"""PALEO's time of a training step with data-parallel workers, for weak and for strong scaling.

A step is the forward pass, the backward pass, the update, and the exchange of gradients, one after
the other. Equations: paleo/simulation.py and paleo/comm.py of TalwalkarLab/paleo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, get_args

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Clock, Device, Link
from epochlab.predict.collectives import Channel, butterfly, star, tree
from epochlab.predict.optimus_speed import check_count
from epochlab.predict.paleo.formulas import (
    REVISIONS,
    Revision,
    all_departures,
    backward_work,
    forward_work,
    update_work,
)
from epochlab.predict.paleo.layers import PaleoLayer, PaleoNetwork
from epochlab.predict.paleo.timing import (
    PaleoDevice,
    PercentOfPeak,
    Seconds,
    device_of,
    seconds,
)
from epochlab.table import Column, Table

Scaling = Literal["weak", "strong"]
SCALINGS: tuple[Scaling, ...] = get_args(Scaling)


def paleo_time(
    layers: PaleoNetwork | Sequence[PaleoLayer],
    *,
    device: Device | PaleoDevice,
    link: Link | None = None,
    batch: int,
    workers: int = 1,
    scheme: str = "tree",
    scaling: str = "weak",
    ppp_compute: float = 1.0,
    ppp_communication: float = 1.0,
    revision: str = "master",
    pipelined: bool = False,
    clock: Clock = "boost",
) -> PaleoTime:
    """Seconds of one training step by PALEO's formulas, layer by layer.

    With weak scaling `batch` is that of each worker, with strong scaling that of all together; a
    worker then has ceil(batch / workers). `scheme` is one of SCHEMES; more than one worker needs a
    `link`. `ppp_compute` and `ppp_communication` are shares of the peak, above 0 and at most 1.
    `revision` is "2016-12" or "master" of the authors' program; `pipelined` lets moving bytes and
    computing overlap perfectly in each layer.

    Raises BadOption for numbers that are not allowed, UnknownName for a scheme, scaling or
    revision.

        >>> from epochlab.predict.paleo import paleo_device, paleo_link, paleo_network
        >>> step = paleo_time(paleo_network("alex_v2"), device=paleo_device("K80"),
        ...                   link=paleo_link("ethernet20"), batch=256, workers=8,
        ...                   ppp_compute=0.62, ppp_communication=0.72, revision="2016-12")
        >>> round(step.iteration_s * 1000, 3), round(step.speedup, 2)
        (1092.304, 3.09)
    """
    check_count("paleo_time", "batch", batch)
    check_count("paleo_time", "workers", workers)
    batch, workers = int(batch), int(workers)
    percent = PercentOfPeak(compute=ppp_compute, communication=ppp_communication)
    for kind, given, allowed in (("scaling", scaling, SCALINGS), ("scheme", scheme, SCHEMES),
                                 ("revision of PALEO", revision, REVISIONS)):  # fmt: skip
        if given not in allowed:
            raise UnknownName(kind, given, allowed)
    network = layers if isinstance(layers, PaleoNetwork) else _unnamed(layers)
    known = device_of(device, clock)
    exact: Revision = "2016-12" if revision == "2016-12" else "master"
    own = batch if scaling == "weak" else math.ceil(batch / workers)
    rows = step_rows(network.layers, own, known, ppp_compute, exact)
    alone = rows if own == batch else step_rows(network.layers, batch, known, ppp_compute, exact)
    update = update_seconds(network.parameters, known)
    return PaleoTime(
        network=network, device=known, link=None if link is None else link.name, batch=batch,
        workers=workers, scheme=scheme, scaling=scaling, percent=percent, revision=exact,
        pipelined=pipelined, rows=rows, update=update,
        communication_s=communication_seconds(scheme, network.parameter_bytes, workers, link,
                                              ppp_communication),
        one_worker_s=_forward(alone, pipelined) + _backward(alone, pipelined)
        + update.total(pipelined),
    )  # fmt: skip


def communication_seconds(
    scheme: str, size_bytes: float, workers: int, link: Link | None, percent: float
) -> float:
    """Seconds in which `workers` exchange `size_bytes` of gradients; none for one worker.

    With D bytes over B bytes per second at `percent` of the peak: one-to-all 2 (n - 1) D / B, tree
    2 ceil(log2 n) D / B, butterfly ceil(log2 n) D / B. Butterfly mixing takes one round, D / B, and
    leaves each worker with a partial sum; the authors' program charges that to one worker as well.
    """
    if workers == 1:
        return 0.0
    if link is None:
        raise BadOption(f"{workers} workers need a link over which they exchange gradients.")
    channel = Channel(bandwidth_bytes_per_s=link.one_way_bytes_per_s * percent)
    return SCHEMES[scheme](size_bytes, workers, channel)


def training_seconds(step_s: float, *, samples: int, epochs: float, batch: int) -> float:
    """Seconds of `epochs` passes over `samples`, `batch` of them (of all workers) in each step.

    Parts of a step count as such, as in the authors' tables: 47 epochs of 1.2 million images.

        >>> training_seconds(0.5, samples=1000, epochs=2, batch=10)
        100.0
    """
    check_count("training_seconds", "samples", samples)
    check_count("training_seconds", "batch", batch)
    return samples * epochs / batch * step_s


def step_rows(
    layers: Sequence[PaleoLayer], batch: int, device: PaleoDevice, percent: float,
    revision: Revision,
) -> tuple[LayerTime, ...]:  # fmt: skip
    """Seconds of each layer for a worker's batch."""
    return tuple(
        LayerTime(
            layer=layer,
            forward=seconds(forward_work(layer, batch, revision), device, percent),
            backward=seconds(backward_work(layer, batch, revision), device, percent),
        )
        for layer in layers
    )


def update_seconds(parameters: int, device: PaleoDevice) -> Seconds:
    """Seconds of the update, for which PALEO assumes the device's peak."""
    return seconds((update_work(parameters),), device, 1.0)


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """Seconds of one layer in a step of one worker."""

    layer: PaleoLayer
    forward: Seconds
    backward: Seconds

    @property
    def name(self) -> str:
        return self.layer.name


@dataclass(frozen=True, kw_only=True)
class PaleoTime:
    """One training step as PALEO predicts it. All times are seconds, all sizes bytes."""

    network: PaleoNetwork
    device: PaleoDevice
    link: str | None
    batch: int
    "of each worker with weak scaling, of all together with strong scaling"
    workers: int
    scheme: str
    scaling: str
    percent: PercentOfPeak
    revision: Revision
    pipelined: bool
    rows: tuple[LayerTime, ...]
    update: Seconds
    communication_s: float
    one_worker_s: float
    "a step of one worker with `batch` samples"

    @property
    def forward_s(self) -> float:
        return _forward(self.rows, self.pipelined)

    @property
    def backward_s(self) -> float:
        return _backward(self.rows, self.pipelined)

    @property
    def update_s(self) -> float:
        return self.update.total(self.pipelined)

    @cached_property
    def iteration_s(self) -> float:
        """Forward, backward, update and communication, one after the other."""
        return self.forward_s + self.backward_s + self.update_s + self.communication_s

    @property
    def samples(self) -> int:
        """Samples of all workers in one step."""
        return self.batch * self.workers if self.scaling == "weak" else self.batch

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.iteration_s

    @property
    def speedup(self) -> float:
        """How much more work is done per second than by one worker with `batch` samples."""
        growth = self.workers if self.scaling == "weak" else 1
        return growth * self.one_worker_s / self.iteration_s

    @property
    def without_cost(self) -> tuple[str, ...]:
        """Layers and operations that PALEO charges nothing."""
        return self.network.without_cost

    @property
    def departures(self) -> tuple[str, ...]:
        """Layers for which the authors' program has no number, and what was done instead."""
        return all_departures(self.network.layers, self.revision)

    def table(self) -> Table:
        """One row per layer: output, parameters, and milliseconds of the four parts."""
        rows = [
            {"layer": row.name, "output": "x".join(map(str, row.layer.output)),
             "parameters": row.layer.parameters, **_milliseconds(row.forward, row.backward)}
            for row in self.rows
        ]  # fmt: skip
        total = {"layer": "TOTAL", "output": "", "parameters": self.network.parameters,
                 **_milliseconds(_sum([row.forward for row in self.rows]),
                                 _sum([row.backward for row in self.rows]))}  # fmt: skip
        times = (Column(name=name, unit="ms", format=".4f") for name in _PARTS)
        return Table.of(
            f"{self.network.name} on {self.device.name}: a step by PALEO", [*rows, total],
            columns=("layer", "output", Column(name="parameters", format=","), *times),
            label="predicted", name=f"{self.network.name}-paleo", notes=self.notes(),
        )  # fmt: skip

    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        own = self.batch if self.scaling == "weak" else math.ceil(self.batch / self.workers)
        notes = [
            f"PALEO, revision {self.revision}, {own} samples per worker, percent of peak "
            f"{self.percent.compute:g} (compute), {self.percent.communication:g} (communication).",
        ]
        if self.without_cost:
            notes.append(f"PALEO charges nothing for: {', '.join(self.without_cost)}.")
        if self.departures:
            notes.append(f"Beyond PALEO's own program: {'; '.join(self.departures)}.")
        return tuple(notes)


_PARTS = ("forward compute", "forward io", "backward compute", "backward io")


def _milliseconds(*passes: Seconds) -> dict[str, float]:
    values = (1000 * part for each in passes for part in (each.compute, each.io))
    return dict(zip(_PARTS, values, strict=True))


def _sum(parts: Sequence[Seconds]) -> Seconds:
    return Seconds(compute=sum(p.compute for p in parts), io=sum(p.io for p in parts))


def _forward(rows: Sequence[LayerTime], pipelined: bool) -> float:
    return sum(row.forward.total(pipelined) for row in rows)


def _backward(rows: Sequence[LayerTime], pipelined: bool) -> float:
    return sum(row.backward.total(pipelined) for row in rows)


def _unnamed(layers: Sequence[PaleoLayer]) -> PaleoNetwork:
    return PaleoNetwork(name="layers", layers=tuple(layers))


def _one_round(n: float, workers: int, channel: Channel) -> float:
    return channel.send(n)


SCHEMES: Mapping[str, Callable[[float, int, Channel], float]] = MappingProxyType(
    {"one-to-all": star, "tree": tree, "butterfly": butterfly, "butterfly-mixing": _one_round}
)
"""PALEO's schemes of communication; `epochlab.predict.collectives` has more."""
