"""Tables of what was measured: passes, layers, kinds of layers, why the sum is not the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from epochlab.cost import Cost
from epochlab.hardware import Device
from epochlab.measure.calibration import Calibration
from epochlab.measure.layers import LayersTiming, LayerTiming, by_kind
from epochlab.measure.operators import OperatorTiming
from epochlab.measure.timing import Timing
from epochlab.table import Column, Table
from epochlab.units import percent_text, seconds_text, si_text

MS = 1e3
_PERCENT = ".1%"


def passes_table(
    timings: Mapping[str, Timing], cost: Cost, device: Device | None,
    differences: Mapping[str, float],
) -> Table:  # fmt: skip
    """One row per kind of pass; `differences` are parts known as a difference of two medians.

    Percent of peak counts two FLOP per multiply-accumulate: the network's over the time, over the
    peak of the threads that were used.
    """
    flops = {"forward": 2 * cost.macs, "forward, training": 2 * cost.macs,
             "forward + backward": 2 * (cost.macs + cost.backward_macs)}  # fmt: skip
    flops["training step"] = flops["forward + backward"]
    rows: list[dict[str, Any]] = []
    for name, timing in timings.items():
        share = _share_of_peak(flops[name], timing.median_s, device)
        rows.append({
            "what": name, "median": timing.median_s * MS, "lower quartile": timing.lower_s * MS,
            "upper quartile": timing.upper_s * MS, "samples": len(timing.samples),
            "disturbed": timing.disturbed, "per second": cost.batch / timing.median_s,
            "of peak": share, "state": timing.state,
        })  # fmt: skip
    spoiled = any(t.spoiled for t in timings.values())
    for name, seconds in differences.items():
        rows.append({"what": name, "median": seconds * MS, "state": "spoiled" if spoiled else "ok"})
    first = next(iter(timings.values()))
    return Table.of(
        f"{cost.name}: time of a pass", rows, name=f"{cost.name}-time",
        columns=("what", *_ms("median", "lower quartile", "upper quartile"), "samples", "disturbed",
                 Column(name="per second", unit="samples/s"),
                 Column(name="of peak", format=_PERCENT), "state"),
        notes=(_setting(cost, first), *_guard_notes(timings.values()), *_peak_notes(device, first)),
    )  # fmt: skip


def layers_table(timing: LayersTiming, device: Device | None) -> Table:
    """One row per layer and call, in the order of execution."""
    whole_s = timing.whole.median_s
    rows = []
    for layer in timing.layers:
        work = layer.cost.count("full")
        backward_alone = layer.backward_alone
        rows.append({
            "layer": layer.name, "kind": layer.cost.kind, "in place": layer.in_place_s * MS,
            "share": layer.in_place_s / whole_s, "not synchronised": layer.not_synchronised_s * MS,
            "alone": layer.alone.median_s * MS, "backward": _ms_of(layer.backward_s),
            "backward alone": _ms_of(backward_alone.median_s if backward_alone else None),
            "FLOP per byte": layer.cost.intensity, "GFLOP/s": _rate(work, layer.in_place_s, 1e9),
            "of peak": _share_of_peak(work, layer.in_place_s, device),
            "state": "spoiled" if timing.passes_spoiled else layer.alone.state,
        })  # fmt: skip
    training = timing.backward_whole_s is not None
    return Table.of(
        f"{timing.cost.name}: time by layer", rows, name=f"{timing.cost.name}-layer-times",
        columns=("layer", "kind", *_ms("in place"), Column(name="share", format=_PERCENT),
                 *_ms("not synchronised", "alone", *(("backward", "backward alone") if training
                                                     else ())),
                 Column(name="FLOP per byte", format=".2f"), Column(name="GFLOP/s", format=".4g"),
                 Column(name="of peak", format=_PERCENT), "state"),
        notes=(_setting(timing.cost, timing.whole),
               "In place: inside the whole forward pass, synchronised before and after; share of "
               "the whole. Alone: repeated by itself. All medians.",
               *_spoiled_note(timing.spoiled), *_peak_notes(device, timing.whole)),
    )  # fmt: skip


def kinds_table(timing: LayersTiming, device: Device | None) -> Table:
    """Percent of peak per kind of layer, the costliest kind first."""
    rows = []
    for kind, layers in by_kind(timing):
        seconds = sum(layer.in_place_s for layer in layers)
        work = sum(layer.cost.count("full") for layer in layers)
        moved = sum(layer.moved_bytes for layer in layers)
        rows.append({
            "kind": kind, "layers": len(layers), "in place": seconds * MS,
            "share": seconds / timing.whole.median_s, "GFLOP": work / 1e9,
            "FLOP per byte": work / moved if moved else None, "GFLOP/s": _rate(work, seconds, 1e9),
            "of peak": _share_of_peak(work, seconds, device), "GB/s": _rate(moved, seconds, 1e9),
            "of bandwidth": None if device is None
            else _rate(moved, seconds, device.bandwidth_bytes_per_s.value),
        })  # fmt: skip
    return Table.of(
        f"{timing.cost.name}: percent of peak by kind of layer", rows,
        name=f"{timing.cost.name}-kind-times",
        columns=("kind", "layers", *_ms("in place"), Column(name="share", format=_PERCENT),
                 Column(name="GFLOP", format=".4g"), Column(name="FLOP per byte", format=".2f"),
                 Column(name="GFLOP/s", format=".4g"), Column(name="of peak", format=_PERCENT),
                 Column(name="GB/s", format=".4g"), Column(name="of bandwidth", format=_PERCENT)),
        notes=("All arithmetic counts (2 per multiply-accumulate, biases, activations, sums). "
               "Bytes are those of operands and results; a share above 100 % of the memory's "
               "bandwidth means that they came from a cache. A convolution may exceed 100 % of "
               "the peak, which is that of matrix products: products with the zeros of its "
               "padding count, and need not be computed.",
               *_spoiled_note(timing.spoiled), *_peak_notes(device, timing.whole)),
    )  # fmt: skip


def difference_table(timing: LayersTiming) -> Table:
    """Why the sum of the layers is not the time of the whole, as a sum that comes out."""
    whole_s, calls = timing.whole.median_s, len(timing.layers)
    each = timing.stamp_inside_s
    parts = [
        ("layers, each timed in place", timing.sum_s),
        (f"less the timer inside them ({calls} x {seconds_text(each)})",
         -timing.stamps_in_layers_s),
        ("work between layers (functional operations, containers)", timing.work_between_s),
        ("not explained", timing.unexplained_s),
        ("whole forward pass, nothing timed inside", whole_s),
        ("for comparison: layers, not synchronised", timing.not_synchronised_s),
        ("for comparison: layers, each alone and repeated", timing.alone_s),
        ("alone less in place without timer: warm caches", timing.warmth_s),
    ]  # fmt: skip
    notes = [_setting(timing.cost, timing.whole),
             "The first four rows add up to the fifth. A layer that is repeated finds its inputs "
             "and weights in the caches, and the processor has learnt its branches."]  # fmt: skip
    if timing.backward_whole_s is not None:
        booked = sum(layer.backward_s or 0.0 for layer in timing.layers)
        parts += [
            ("backward: layers in place", booked),
            ("backward: loss, gradients' sums, autograd, timer", timing.backward_whole_s - booked),
            ("backward: whole, timed inside", timing.backward_whole_s),
        ]
    rows = [{"part": name, "time": seconds * MS, "of the whole": seconds / whole_s}
            for name, seconds in parts]  # fmt: skip
    return Table.of(
        f"{timing.cost.name}: the sum of layers and the whole", rows,
        name=f"{timing.cost.name}-difference",
        columns=("part", *_ms("time"), Column(name="of the whole", format=_PERCENT)),
        notes=(*notes, *_spoiled_note(timing.spoiled)),
    )  # fmt: skip


def calibration_table(found: Calibration, device: Device | None) -> Table:
    """Operators by name: how many, how long, and how near to the peak."""
    groups: dict[str, list[OperatorTiming]] = {}
    for one in found.operators:
        groups.setdefault(one.operator.name, []).append(one)
    rows = []
    peak = None if device is None else device.peak().value
    for name, members in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        rates = sorted(one.operator.flops / one.near_s for one in members)
        multiplies = any(one.operator.macs for one in members)
        shares = [rate / peak for rate in rates] if peak is not None and multiplies else None
        rows.append({
            "operator": name, "forms": len(members),
            "shortest": min(one.near_s for one in members) * MS,
            "longest": max(one.far_s for one in members) * MS,
            "lowest of peak": shares and shares[0], "median of peak": shares and _middle(shares),
            "highest of peak": shares and shares[-1],
            "far over near": _middle(sorted(one.far_s / one.near_s for one in members)),
            "median spread": _middle(sorted(one.spread for one in members)),
            "spoiled": sum(one.spoiled for one in members),
        })  # fmt: skip
    share = [Column(name=f"{which} of peak", format=_PERCENT)
             for which in ("lowest", "median", "highest")]  # fmt: skip
    spoiled = sum(one.spoiled for one in found.networks)
    return Table.of(
        f"Operators of this machine, threads: {found.threads}", rows, name="operators",
        columns=("operator", "forms", *_ms("shortest", "longest"), *share,
                 Column(name="far over near", format=".2f"),
                 Column(name="median spread", format=_PERCENT), "spoiled"),
        notes=("Near: the operands stay where they are, percent of peak is of that; far: in turns "
               "with copies of itself, as in a large network.",
               f"Besides, {len(found.networks)} sample networks were timed as a whole"
               + (f"; other work disturbed {spoiled} of them." if spoiled else "."),
               *(() if device is not None else (NO_PEAK,))),
    )  # fmt: skip


# --- pieces ---------------------------------------------------------------------------------------

NO_PEAK = (
    "This machine's peaks are not known for so many threads, so no percent of peak is shown: "
    "'epochlab measure' measures them."
)


def _ms(*names: str) -> list[Column]:
    return [Column(name=name, unit="ms", format=".4g") for name in names]


def _ms_of(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * MS


def _share_of_peak(flops: int, seconds: float, device: Device | None) -> float | None:
    return None if device is None or not flops else _rate(flops, seconds, device.peak().value)


def _rate(amount: int, seconds: float, unit: float) -> float | None:
    """Amount per second; None where the clock was too coarse to see any time pass."""
    return amount / seconds / unit if seconds > 0 else None


def _middle(ordered: Sequence[float]) -> float:
    return ordered[len(ordered) // 2]


def _setting(cost: Cost, timing: Timing) -> str:
    threads = f"{timing.threads} thread{'s' * (timing.threads > 1)}"
    shapes = ", ".join("x".join(map(str, shape)) for shape in cost.input_shapes)
    return f"Batch {cost.batch}, input {shapes}, {threads}."


def _guard_notes(timings: Iterable[Timing]) -> list[str]:
    timings = list(timings)
    notes = [f"Reading the clock adds {seconds_text(timings[0].overhead_s)} to a pass; it is not "
             "subtracted."]  # fmt: skip
    disturbed = sum(one.disturbed for one in timings)
    if disturbed:
        taken = sum(len(one.samples) for one in timings)
        notes.append(f"{disturbed} of {taken} samples were disturbed by other work, and repeated.")
    busy = max((one.others_cores for one in timings if one.others_cores is not None), default=0.0)
    if busy > 0.1:
        notes.append(f"Other processes kept up to {busy:.1f} cores busy meanwhile.")
    wide = [one for one in timings if not one.settled and not one.spoiled]
    if wide:
        notes.append("Wide: the time limit came before the 95 % interval of the median was narrow; "
                     "--time-limit raises it.")  # fmt: skip
    return notes + _spoiled_note(any(one.spoiled for one in timings))


def _spoiled_note(spoiled: bool) -> list[str]:
    return ["SPOILED: most samples were disturbed by other processes. Do not rely on the numbers; "
            "measure again on a quiet machine."] if spoiled else []  # fmt: skip


def _peak_notes(device: Device | None, timing: Timing) -> list[str]:
    if device is None:
        return [NO_PEAK]
    peak = device.peak()
    return [f"Peak of {timing.threads} thread{'s' * (timing.threads > 1)}: "
            f"{si_text(peak.value, 'FLOP/s')} (measured {peak.date}, spread "
            f"{percent_text(peak.spread or 0.0, 1)}), memory "
            f"{si_text(device.bandwidth_bytes_per_s.value, 'B/s')}."]  # fmt: skip


def roofline_rows(layers: Sequence[LayerTiming]) -> list[dict[str, Any]]:
    """One row per layer that does arithmetic: its intensity and its speed."""
    return [
        {"layer": layer.name, "kind": layer.cost.kind, "FLOP per byte": layer.cost.intensity,
         "speed": _rate(layer.cost.count("full"), layer.in_place_s, 1e9),
         "time": layer.in_place_s * MS}
        for layer in layers if layer.cost.count("full") and layer.cost.intensity
    ]  # fmt: skip


def roofline_table(timing: LayersTiming) -> Table:
    """What the roofline figure shows: layers as points."""
    return Table.of(
        f"{timing.cost.name}: layers under the roof of this machine", roofline_rows(timing.layers),
        name=f"{timing.cost.name}-roofline",
        columns=("layer", "kind", Column(name="FLOP per byte", unit="FLOP/B", format=".3g"),
                 Column(name="speed", unit="GFLOP/s", format=".4g"), *_ms("time")),
        notes=(_setting(timing.cost, timing.whole), *_spoiled_note(timing.spoiled)),
    )  # fmt: skip
