"""PALEO's time of a step with hybrid parallelism: data-parallel layers, and some that are split.

After A. Krizhevsky, One Weird Trick for Parallelizing Convolutional Networks, arXiv 1404.5997, as
`simulate_hybrid_parallel` in TalwalkarLab/paleo, paleo/simulation.py has it. Each worker has its
own samples for most layers. The layers in between are split: a worker holds its share of their
output channels, for everybody's samples, and fetches what it needs from the others. Worker after
worker sends its samples through them, which takes as many rounds as there are workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Clock, Device, Link
from epochlab.predict.optimus_speed import check_count
from epochlab.predict.paleo.formulas import REVISIONS, Revision, all_departures
from epochlab.predict.paleo.layers import (
    FLOAT_BYTES,
    Convolution,
    InnerProduct,
    PaleoLayer,
    PaleoNetwork,
)
from epochlab.predict.paleo.scaling import (
    LayerTime,
    communication_seconds,
    step_rows,
    update_seconds,
)
from epochlab.predict.paleo.timing import (
    PaleoDevice,
    PercentOfPeak,
    device_of,
    transfer_seconds,
)

# Workers in one group reach each other at the full bandwidth of the link.
GROUP = 4
MOST_WORKERS = 8
"The authors' own limit: beyond, their halving of the bandwidth gives times without meaning."


def hybrid_time(
    network: PaleoNetwork,
    *,
    split: tuple[str, str],
    device: Device | PaleoDevice,
    link: Link | None = None,
    batch: int,
    workers: int = 1,
    ppp_compute: float = 1.0,
    ppp_communication: float = 1.0,
    revision: str = "master",
    clock: Clock = "boost",
) -> HybridTime:
    """Seconds of one step in which the layers from split[0] to split[1] are split among workers.

    `batch` is that of each worker. The layers must follow one another, each taking what the one
    before gives; the others are data-parallel and exchange their gradients along a tree. One worker
    splits nothing, and there are at most 8.

    Raises BadOption for numbers that are not allowed or layers that cannot be split, UnknownName
    for a layer or a revision.

        >>> from epochlab.predict.paleo import paleo_device, paleo_link, paleo_network
        >>> step = hybrid_time(paleo_network("alex_v2_hybrid"), split=("fc6", "dropout7"),
        ...                    device=paleo_device("K20"), link=paleo_link("pcie2"), batch=128,
        ...                    workers=4, ppp_compute=0.46, ppp_communication=0.75,
        ...                    revision="2016-12")
        >>> round(step.iteration_s * 1000, 2)
        433.87
    """
    check_count("hybrid_time", "batch", batch)
    check_count("hybrid_time", "workers", workers)
    batch, workers = int(batch), int(workers)
    if workers > MOST_WORKERS:
        raise BadOption(
            f"hybrid_time: {workers} workers; PALEO's hybrid model holds for up to {MOST_WORKERS}, "
            "two groups of four. Beyond, its program halves the bandwidth once more for every "
            "further worker, and its times mean nothing."
        )
    percent = PercentOfPeak(compute=ppp_compute, communication=ppp_communication)
    if revision not in REVISIONS:
        raise UnknownName("revision of PALEO", revision, REVISIONS)
    exact: Revision = "2016-12" if revision == "2016-12" else "master"
    _check_chain(network)
    known = device_of(device, clock)
    first, last = _places(network, split) if workers > 1 else (len(network.layers),) * 2
    whole = (*network.layers[:first], *network.layers[last:])
    rows = step_rows(whole, batch, known, ppp_compute, exact)
    fetching = _Fetching(link, batch, workers, percent.communication, known)
    parts = _shared_out(network.layers[first:last], workers)
    model = _Split(step_rows(parts, batch, known, ppp_compute, exact), fetching)
    parameters = sum(layer.parameters for layer in whole)
    joining = fetching.to_first(parts[-1]) if parts else 0.0
    return HybridTime(
        workers=workers, batch=batch, layers=tuple(layer.name for layer in parts),
        without_cost=network.without_cost, departures=all_departures(network.layers, exact),
        data_forward_s=sum(row.forward.total() for row in rows) + joining,
        data_backward_s=sum(row.backward.total() for row in rows) + joining,
        data_update_s=update_seconds(parameters, known).total(),
        sync_s=communication_seconds("tree", FLOAT_BYTES * parameters, workers, link,
                                     ppp_communication),
        model_forward_s=model.rounds(model.forward_s),
        model_backward_s=model.rounds(model.backward_s),
        model_update_s=0.0 if not parts else update_seconds(
            workers * sum(layer.parameters for layer in parts), known).total(),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HybridTime:
    """One step of all workers with hybrid parallelism, in seconds, one part after the other."""

    workers: int
    batch: int
    "of each worker"
    layers: tuple[str, ...]
    "names of those that are split; none for one worker"
    without_cost: tuple[str, ...]
    "layers and operations that PALEO charges nothing"
    departures: tuple[str, ...]
    "layers for which the authors' program has no number, and what was done instead"
    data_forward_s: float
    data_backward_s: float
    data_update_s: float
    sync_s: float
    "exchange of the data-parallel layers' gradients"
    model_forward_s: float
    model_backward_s: float
    model_update_s: float

    @property
    def iteration_s(self) -> float:
        return math.fsum((
            self.data_forward_s, self.data_backward_s, self.data_update_s, self.sync_s,
            self.model_forward_s, self.model_backward_s, self.model_update_s,
        ))  # fmt: skip

    @property
    def samples_per_s(self) -> float:
        return self.batch * self.workers / self.iteration_s


@dataclass(frozen=True)
class _Fetching:
    """Time in which a worker gets the numbers that other workers computed."""

    link: Link | None
    batch: int
    workers: int
    percent: float
    device: PaleoDevice

    @property
    def bytes_per_s(self) -> float:
        if self.link is None:
            raise BadOption(
                f"{self.workers} workers need a link over which they exchange gradients."
            )
        return self.link.one_way_bytes_per_s

    def whole(self, layer: PaleoLayer) -> float:
        """The input of the first layer that is split; PALEO has the first worker fetch it, too."""
        return self._transfer(math.prod(layer.input), self.bytes_per_s)

    def pieces(self, layer: PaleoLayer, worker: int) -> float:
        """The shares of `layer` that other workers have.

        PALEO halves the bandwidth for a worker of another group, and forgets to double it again:
        each such worker halves it for all that are fetched after.
        """
        others = (other for other in range(self.workers) if other != worker)
        return self._each(math.prod(layer.output), worker, others)

    def to_first(self, layer: PaleoLayer) -> float:
        """All shares of the last layer that is split, to the first worker; its own counts, too."""
        return self._each(math.prod(layer.output), 0, range(self.workers))

    def hidden(self, layer: PaleoLayer) -> float:
        """What later rounds of the first fetch cost nothing, since they overlap.

        PALEO counts numbers here where it should count bytes, and at the link's full bandwidth.
        """
        return (self.workers - 1) * self._transfer(math.prod(layer.input), self.bytes_per_s,
                                                   as_numbers=True)  # fmt: skip

    def _each(self, numbers: int, worker: int, others: Iterable[int]) -> float:
        bandwidth, total = self.bytes_per_s, 0.0
        for other in others:
            if other // GROUP != worker // GROUP:
                bandwidth /= 2
            total += self._transfer(numbers, bandwidth)
        return total

    def _transfer(self, numbers: int, bytes_per_s: float, *, as_numbers: bool = False) -> float:
        count = self.batch * numbers
        if as_numbers:
            return transfer_seconds(count, bytes_per_s, 1.0, self.device)
        return transfer_seconds(FLOAT_BYTES * count, bytes_per_s, self.percent, self.device)


@dataclass(frozen=True)
class _Split:
    """The split layers of one worker; every weighted layer after the first needs all shares."""

    rows: tuple[LayerTime, ...]
    fetching: _Fetching

    @property
    def forward_s(self) -> float:
        return self._fetched() + sum(row.forward.total() for row in self.rows)

    @property
    def backward_s(self) -> float:
        """PALEO charges the fetches of the forward pass once more."""
        return self._fetched() + sum(row.backward.total() for row in self.rows)

    def rounds(self, seconds: float) -> float:
        """All rounds, one for each worker's samples; the first fetch is waited for once."""
        if not self.rows:
            return 0.0
        hidden = self.fetching.hidden(self.rows[0].layer)
        return (seconds - hidden) * self.fetching.workers + hidden

    def _fetched(self) -> float:
        if not self.rows:
            return 0.0
        total = self.fetching.whole(self.rows[0].layer)
        for before, row in zip(self.rows, self.rows[1:], strict=False):
            if isinstance(row.layer, (Convolution, InnerProduct)):
                total += max(self.fetching.pieces(before.layer, worker)
                             for worker in range(self.fetching.workers))  # fmt: skip
        return total


def _shared_out(layers: tuple[PaleoLayer, ...], workers: int) -> tuple[PaleoLayer, ...]:
    """One worker's share of the split layers: of the weighted ones' channels, and what follows."""
    shares: list[PaleoLayer] = []
    for layer in layers:
        rows, columns, channels = layer.output
        if channels % workers:
            raise BadOption(f"'{layer.name}' has {channels} output channels, which {workers} "
                            "workers cannot share evenly.")  # fmt: skip
        share = (rows, columns, channels // workers)
        if isinstance(layer, (Convolution, InnerProduct)):
            shares.append(replace(layer, output=share))
        else:
            taken = (*layer.input[:2], layer.input[2] // workers)
            shares.append(replace(layer, output=share, input=taken))
    return tuple(shares)


def _places(network: PaleoNetwork, split: tuple[str, str]) -> tuple[int, int]:
    names = [layer.name for layer in network.layers]
    for name in split:
        if name not in names:
            raise UnknownName(f"layer of {network.name}", name, names)
    first, last = names.index(split[0]), names.index(split[1]) + 1
    if first >= last:
        raise BadOption(f"hybrid_time: '{split[0]}' comes after '{split[1]}'; name the first layer "
                        "to split, then the last one.")  # fmt: skip
    if first == 0 or not isinstance(network.layers[first], (Convolution, InnerProduct)):
        raise BadOption(
            f"hybrid_time: '{split[0]}' cannot be the first layer to split. It must be a "
            "convolution or inner product, and not the first layer of the network."
        )
    return first, last


def _check_chain(network: PaleoNetwork) -> None:
    for before, after in zip(network.layers, network.layers[1:], strict=False):
        if math.prod(before.output) != math.prod(after.input):
            raise BadOption(
                f"hybrid_time: '{after.name}' does not take what '{before.name}' gives. Layers of "
                f"{network.name} have to follow one another, without branches."
            )
