"""PALEO's time of each layer in its three parts: read the operands, compute, write the result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from epochlab.predict.paleo.formulas import Revision, Work, backward_work, forward_work
from epochlab.predict.paleo.layers import InnerProduct, PaleoLayer, PaleoNetwork, Pooling
from epochlab.predict.paleo.scaling import update_seconds
from epochlab.predict.paleo.timing import PaleoDevice, seconds, transfer_seconds
from epochlab.table import Column, Table


@dataclass(frozen=True, kw_only=True)
class Parts:
    """T = R + C + W of one pass, in seconds."""

    read_s: float
    compute_s: float
    write_s: float

    @property
    def total_s(self) -> float:
        return self.read_s + self.compute_s + self.write_s


def layer_parts(
    layer: PaleoLayer, batch: int, device: PaleoDevice, *, percent: float, revision: Revision
) -> tuple[Parts, Parts]:
    """Forward and backward pass of one layer for a worker's batch.

    The parts of a pass add up to the time that `paleo_time` gives it.

        >>> from epochlab.predict.paleo import paleo_device, paleo_network
        >>> conv1 = paleo_network("alex_v2").layers[0]
        >>> forward, _ = layer_parts(conv1, 128, paleo_device("K80"), percent=1.0,
        ...                          revision="master")
        >>> [round(1000 * s, 4) for s in (forward.read_s, forward.compute_s, forward.write_s)]
        [0.1497, 3.0969, 0.1854]
    """
    passes = (forward_work(layer, batch, revision), backward_work(layer, batch, revision))
    # The last tensor of an operation is what it writes.
    forward, backward = passes[0], [_in_order(layer, n, w) for n, w in enumerate(passes[1])]
    return (_parts(forward, device, percent), _parts(backward, device, percent))


def _in_order(layer: PaleoLayer, number: int, work: Work) -> Work:
    """PALEO's backward operations list the tensors of the forward pass; here the result is last."""
    moved = work.moved_bytes
    if isinstance(layer, InnerProduct):
        read, weights, written = moved
        moved = (written, weights, read) if number == 0 else (read, written, weights)
    elif isinstance(layer, Pooling):
        moved = moved[::-1]
    return Work(flops=work.flops, moved_bytes=moved)


def _parts(work: Iterable[Work], device: PaleoDevice, percent: float) -> Parts:
    operations = list(work)

    def moving(sizes: Iterable[float]) -> float:
        return math.fsum(transfer_seconds(size, device.bandwidth_bytes_per_s, percent, device)
                         for size in sizes)  # fmt: skip

    return Parts(
        read_s=moving(size for o in operations for size in o.moved_bytes[:-1]),
        compute_s=seconds(operations, device, percent).compute,
        write_s=moving(o.moved_bytes[-1] for o in operations),
    )


def layer_table(
    network: PaleoNetwork, batch: int, device: PaleoDevice, *, percent: float, revision: Revision,
    notes: Sequence[str] = (),
) -> Table:  # fmt: skip
    """One row per layer, one for the update, and their sum; milliseconds."""
    rows: list[dict[str, Any]] = []
    for layer in network.layers:
        forward, backward = layer_parts(layer, batch, device, percent=percent, revision=revision)
        rows.append({"layer": layer.name, "kind": layer.kind,
                     "output": "x".join(map(str, layer.output)), "parameters": layer.parameters,
                     **_cells(forward, backward)})  # fmt: skip
    update = update_seconds(network.parameters, device)
    changed: dict[str, Any] = {"layer": "update", "kind": "", "output": "", "parameters": None,
               "total": 1000 * update.total()}  # fmt: skip
    total: dict[str, Any] = {
        "layer": "TOTAL", "kind": "", "output": "", "parameters": network.parameters,
        **{key: math.fsum(row[key] for row in rows) for key in _CELLS},
    }  # fmt: skip
    total["total"] += changed["total"]
    times = (Column(name=name, unit="ms", format=",.4f") for name in _CELLS)
    return Table.of(
        f"{network.name} on {device.name}, {batch} samples: each layer by PALEO",
        [*rows, changed, total],
        columns=("layer", "kind", "output", Column(name="parameters", format=","), *times),
        label="predicted", name=f"{network.name}-layers-by-paleo",
        notes=("Read, compute and write are those of the operands between memory and processor.",
               *notes),
    )  # fmt: skip


_CELLS = (*(f"{which} {part}" for which in ("forward", "backward")
            for part in ("read", "compute", "write")), "total")  # fmt: skip


def _cells(*passes: Parts) -> dict[str, float]:
    values = [1000 * s for p in passes for s in (p.read_s, p.compute_s, p.write_s)]
    return dict(zip(_CELLS, [*values, math.fsum(values)], strict=True))
