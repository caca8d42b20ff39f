"""Which rows of a network's cost share a bar, and what is worth saying about them in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from epochlab.table import Column, Table
from epochlab.units import si_text

if TYPE_CHECKING:
    from epochlab.cost import Cost, Layer
    from epochlab.cost.layer import Count

HEADS: dict[Count, str] = {"macs": "MACs", "flops": "FLOPs", "full": "full FLOPs"}
MOST_BARS = 160
"beyond which layers of one block share a bar"


def table_of(cost: Cost, count: Count) -> Table:
    """One row per bar and kind: parameters, operations and the receptive field at the bar's end."""
    bars = list(_bars(cost.folded().layers))
    depth = max((name.count(".") for name, _ in bars), default=0)
    while len({name for name, _ in bars}) > MOST_BARS and depth:
        bars = [(".".join(name.split(".")[:depth]), layer) for name, layer in bars]
        depth -= 1
    head = HEADS[count]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, layer in bars:
        row = rows.setdefault((name, layer.kind), {
            "layer": name, "kind": layer.kind, "parameters": 0, head: 0, "receptive field": None,
        })  # fmt: skip
        row["parameters"] += layer.parameters
        row[head] += layer.count(count)
        row["receptive field"] = field_px(layer) or row["receptive field"]
    first = dict(reversed(rows))  # kind of the layer that opens the bar
    shown = [row for (name, kind), row in rows.items()
             if row["parameters"] or row[head] or first[name] == kind]  # fmt: skip
    return Table.of(
        f"{cost.name}: parameters and operations by layer", shown, label="exact",
        name=f"{cost.name}-by-layer", notes=cost.notes(count), columns=(
            "layer", "kind", Column(name="parameters", format=","), Column(name=head, format=","),
            Column(name="receptive field", unit="pixels", format=","),
        ),
    )  # fmt: skip


def _bars(layers: Sequence[Layer]) -> Iterator[tuple[str, Layer]]:
    """(bar, row): what does no multiplications of its own stands on the layer before it."""
    bar = ""
    for layer in layers:
        # An adaptive pooling may have nothing to do: then it has no operations either.
        own = layer.macs or ("pool" in layer.kind and layer.other_flops) or (
            layer.parameters and "normalisation" not in layer.kind
        )  # fmt: skip
        if own or not bar:
            bar = layer.name + (f" ({layer.call + 1})" if layer.call else "")
        yield bar, layer


def field_px(layer: Layer) -> int | None:
    """The longer side of what an output value sees; None where that is not a window.

    Values that see the whole image have left the growth behind, however large the image is.
    """
    if layer.field is None:
        return None
    windows = [axis.size for axis in layer.field.axes if axis.extent in ("window", "uneven")]
    sides = [size for size in windows if size is not None]
    return max(sides) if len(sides) == len(layer.field.axes) else None


def caption_of(cost: Cost, count: Count) -> str:
    """Which kind of layer holds most of the parameters, and which does most of the work."""
    parts: list[str] = []
    before = ""
    for verb, what in (("hold", "parameters"), ("do", HEADS[count])):
        found: dict[str, int] = {}
        for layer in cost.layers:
            size = layer.parameters if verb == "hold" else layer.count(count)
            found[layer.kind] = found.get(layer.kind, 0) + size
        total = sum(found.values())
        if total:
            kind = max(found, key=lambda k: found[k])
            who = "and" if kind == before else _PLURAL.get(kind, f"layers of the kind {kind}")
            before = kind
            parts.append(f"{who} {verb} {found[kind] / total:.1%} of the "
                         f"{si_text(total).replace(' ', '')} {what}")  # fmt: skip
    if not parts:
        return "This network has neither parameters nor counted operations."
    text = ", ".join(parts).replace(", and", " and") + "."
    return text[0].upper() + text[1:]


_PLURAL = {"convolution": "convolutions", "linear": "fully connected layers"}


def comparison_table(costs: Sequence[Cost], count: Count) -> Table:
    """One row per network."""
    from epochlab.cost.layer import COUNT_TEXT, shape_text

    head = HEADS[count]
    rows = [
        {"network": cost.name, "parameters": cost.parameters, head: cost.count(count),
         "input": ", ".join(shape_text(shape[1:]) for shape in cost.input_shapes)}
        for cost in costs
    ]  # fmt: skip
    return Table.of(
        f"Parameters and {head} of {len(costs)} networks", rows, label="exact",
        name="networks-compared", notes=(f"{head}: {COUNT_TEXT[count]}.",),
        columns=("network", "input", Column(name="parameters", format=","),
                 Column(name=head, format=",")),
    )  # fmt: skip


def comparison_caption(costs: Sequence[Cost], count: Count) -> str:
    """Between which networks a parameter is used least and most often."""
    used = {c.name: c.count(count) / c.parameters for c in costs if c.parameters}
    if len(used) < 2:
        return "Parameters cost memory, operations cost time."
    least, most = min(used, key=lambda n: used[n]), max(used, key=lambda n: used[n])
    return (
        f"Parameters cost memory, operations cost time, and neither tells the other: per parameter "
        f"there are {used[least]:.3g} {HEADS[count]} in {least} and {used[most]:.3g} in {most}."
    )
