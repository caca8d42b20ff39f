"""The least time that published peaks allow: operations over peak, and by layer the roofline.

The roofline (S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance
model for multicore architectures, Communications of the ACM 52, 2009) charges a layer with its
operations or with its bytes, whichever takes longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Clock, Device, Figure, Precision
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost import Cost, Layer

CLOCKS: tuple[Clock, ...] = get_args(Clock)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
NUMBER_BYTES: dict[str, int] = {
    "fp32": 4, "tf32_tensor": 4, "fp16": 2, "bf16": 2, "fp16_tensor": 2, "fp8_tensor": 2,
}  # fmt: skip
"Bytes of a stored number; with fp8 only products are computed in 8 bits."

# Their gradient is handed on as it is, or cut into pieces, without being read.
_HANDED_ON = frozenset({"add", "concatenation", "reshape", "identity"})


# --- roofline -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One pass of one layer: seconds by its operations and seconds by its bytes."""

    flops: int
    "2 per multiply-accumulate, nothing else"
    moved_bytes: float
    compute_s: float
    memory_s: float

    @property
    def seconds(self) -> float:
        return max(self.compute_s, self.memory_s)

    @property
    def by(self) -> Literal["compute", "memory", ""]:
        if self.seconds == 0:
            return ""
        return "compute" if self.compute_s >= self.memory_s else "memory"


@dataclass(frozen=True, kw_only=True)
class LayerBound:
    """Both passes of one layer."""

    layer: Layer
    forward: Bound
    backward: Bound


def roofline(
    cost: Cost, *, peak_flops_per_s: float, bandwidth_bytes_per_s: float, number_bytes: int = 4
) -> tuple[LayerBound, ...]:
    """Each layer's bounds, forward and backward, for the batch that `cost` was traced with.

    A layer reads its operands once and writes its results once. Its backward pass reads the
    gradient of its output and writes that of its input; a layer with products also reads input and
    weights again and writes the gradient of the weights. Sums, joins and reshapes hand a gradient
    on. Software that fuses layers moves fewer bytes.
    """

    def bound(flops: int, size_bytes: float) -> Bound:
        moved = size_bytes * number_bytes / 4
        return Bound(flops=flops, moved_bytes=moved, compute_s=flops / peak_flops_per_s,
                     memory_s=moved / bandwidth_bytes_per_s)  # fmt: skip

    return tuple(
        LayerBound(
            layer=layer,
            forward=bound(2 * layer.macs, layer.bytes_read + layer.bytes_written),
            backward=bound(2 * layer.backward_macs, 4 * _backward_numbers(layer)),
        )
        for layer in cost.layers
    )


def _backward_numbers(layer: Layer) -> int:
    """Numbers that a layer's backward pass at least reads and writes."""
    into = math.prod(layer.input_shape) if layer.input_shape else 0
    if layer.backward_macs:
        # Without a gradient of the input, which the first layer's is, there is half of the work.
        whole = layer.backward_macs >= 2 * layer.macs
        both = layer.activations + into + layer.parameters
        return both + (into + layer.parameters if whole else 0)
    if layer.kind in _HANDED_ON or not (layer.saved_bytes or "pooling" in layer.kind):
        return 0
    return layer.activations + into


def roofline_table(rows: Sequence[LayerBound], name: str, device: str) -> Table:
    """One row per layer: operations, bytes, and the bound of both passes."""
    records = [
        {"layer": row.layer.name or name, "kind": row.layer.kind,
         "GFLOP": row.forward.flops / 1e9, "MB": row.forward.moved_bytes / 1e6,
         "forward": 1000 * row.forward.seconds, "bound by": row.forward.by,
         "backward": 1000 * row.backward.seconds, "backward bound by": row.backward.by}
        for row in rows
    ]  # fmt: skip
    sums = ("GFLOP", "MB", "forward", "backward")
    records.append({"layer": "TOTAL", "kind": "", "bound by": "", "backward bound by": "",
                    **{key: math.fsum(r[key] for r in records) for key in sums}})  # type: ignore[misc] # numbers  # fmt: skip
    return Table.of(
        f"{name} on {device}: a step by its roofline", records, label="predicted",
        name=f"{name}-roofline",
        columns=("layer", "kind", Column(name="GFLOP", format=",.3f"),
                 Column(name="MB", format=",.2f"),
                 Column(name="forward", unit="ms", format=".4f"), "bound by",
                 Column(name="backward", unit="ms", format=".4f"), "backward bound by"),
        notes=("GFLOP and MB are those of the forward pass; 2 FLOP per multiply-accumulate.",),
    )  # fmt: skip


# --- operations over peak -------------------------------------------------------------------------


def peak_table(
    name: str, macs: float, devices: Iterable[Device], *, precision: Precision = "fp32",
    clocks: Sequence[Clock] = CLOCKS, batches: Sequence[int] = (1,),
) -> Table:  # fmt: skip
    """Forward time F / P and throughput P / F, with one and with two FLOP per multiply-accumulate.

    `macs` are those of one sample. A device has a row for each of the `clocks` of which a peak is
    known, or one row where its source names none. Nothing reaches these numbers.

    Raises BadOption for a number that is not finite and above 0, UnknownName for a clock.
    """
    if not (math.isfinite(macs) and macs > 0):
        raise BadOption(f"The operations of a forward pass are {macs!r}; they must be a finite "
                        "number above 0.")  # fmt: skip
    for clock in clocks:
        if clock not in CLOCKS:
            raise UnknownName("clock", clock, CLOCKS)
    rows, notes = [], []
    for device in devices:
        for named, peak in _peaks(device, precision, clocks):
            notes.append(f"{device.name}: peak by {peak.source}, {peak.date}.")
            rows += [
                {"device": device.name, "clock": named, "peak": peak.value / 1e12, "batch": batch,
                 "time, 1/MAC": 1000 * batch * macs / peak.value,
                 "rate, 1/MAC": peak.value / macs,
                 "time, 2/MAC": 1000 * 2 * batch * macs / peak.value,
                 "rate, 2/MAC": peak.value / (2 * macs)}
                for batch in batches
            ]  # fmt: skip
    times = ("time, 1/MAC", "time, 2/MAC")
    rates = ("rate, 1/MAC", "rate, 2/MAC")
    heads = [
        (Column(name=time, unit="ms", format=",.4f"),
         Column(name=rate, unit="1/s", format=",.1f"))
        for time, rate in zip(times, rates, strict=True)
    ]  # fmt: skip
    return Table.of(
        f"{name}: forward pass at the peak", rows, label="predicted", name=f"{name}-at-peak",
        columns=("device", "clock", Column(name="peak", unit="TFLOP/s", format=".4g"), "batch",
                 *(column for pair in heads for column in pair)),
        notes=(
            f"Time is F / P, throughput P / F, with F = {macs:,.0f} multiply-accumulates per "
            f"sample ({2 * macs:,.0f} FLOP at 2 each) and P the peak in {precision}.",
            "A peak counts 2 FLOP for each multiply-accumulate, so 2/MAC compares like with like; "
            "1/MAC is what papers do that call the number of multiply-accumulates FLOPs.",
            *dict.fromkeys(notes),
        ),
    )  # fmt: skip


def _peaks(
    device: Device, precision: Precision, clocks: Sequence[Clock]
) -> list[tuple[str, Figure]]:
    """Clock and peak of each clock that is known; '-' where the source names none."""
    figures = device.figures()
    known = [c for c in clocks if f"peak_{precision}_{c}_flops_per_s" in figures]
    if not known:
        peak = device.peak(precision)
        named = [c for c in CLOCKS if figures.get(f"peak_{precision}_{c}_flops_per_s") is peak]
        return [(named[0] if named else "-", peak)]
    return [(c, figures[f"peak_{precision}_{c}_flops_per_s"]) for c in known]
