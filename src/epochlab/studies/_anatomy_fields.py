"""How far stacked convolutions see: by formula, by the gradient, and along whole networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.figures.lines import Lines
from epochlab.studies._anatomy_zoo import Specimen
from epochlab.studies._threads import one_thread
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost import Cost

ASKED = (3, 5)  # layers and filter side of the sheet's example
MARGIN = 3  # pixels around what the middle output can see, which must stay untouched
GROWTH = {"AlexNet": "AlexNet, two towers", "VGG16": "VGG16", "VGG19": "VGG19",
          "SimpleNN": "SimpleNN"}  # fmt: skip


def field_of_stack(layers: int, side: int) -> int:
    """N F - N + 1 pixels for N layers of F x F and stride 1."""
    return layers * side - layers + 1


def gradient_support(layers: int, side: int, seed: int = 0) -> tuple[int, int, int]:
    """Height, width and number of input pixels that one output pixel of a random stack depends on.

    A stack without activations, one channel, weights from the normal distribution in double
    precision: sums of products of such numbers are zero with probability 0, so a gradient is zero
    exactly where no path leads.
    """
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    stack = nn.Sequential(*(
        nn.Conv2d(1, 1, side, bias=False, dtype=torch.float64) for _ in range(layers)
    ))  # fmt: skip
    with torch.no_grad():
        for weight in stack.parameters():
            weight.normal_(generator=generator)
    # Twice the margin all around, so that the middle output's field ends inside the image.
    image = torch.zeros(1, 1, *2 * [field_of_stack(layers, side) + 2 * MARGIN],
                        dtype=torch.float64, requires_grad=True)  # fmt: skip
    outputs = stack(image)
    middle = outputs.shape[-1] // 2
    (gradient,) = torch.autograd.grad(outputs[0, 0, middle, middle], image)
    seen = gradient[0, 0] != 0
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    height, width = (int(ends[-1] - ends[0]) + 1 for ends in (rows, columns))
    return height, width, int(seen.sum())


def stack_evidence(largest: int) -> Iterator[Evidence]:
    """Derivation, all stacks up to `largest` layers and pixels, the example, and what they hold."""
    yield Note(text=(
        "Why N layers of F x F filters see NF - N + 1 pixels per side. One output of the last "
        "layer is made of F neighbours of the layer before it. If each of those sees r pixels, and "
        "each next one sees the same stretch one pixel further on (the stride is 1), then together "
        "they see r + (F - 1). The image sees itself: r = 1. So every layer adds F - 1, and after "
        "N layers r = 1 + N (F - 1) = NF - N + 1, as much as one filter of that side. The same "
        "argument with strides s: a layer adds (F - 1) times the product of all strides before it."
    ))  # fmt: skip
    rows = _stacks(largest)
    wrong = [row for row in rows if not row["agrees"]]
    yield Table.of(
        "Receptive fields of stacks: formula and gradient", rows, label="exact", name="stacks",
        columns=("layers N", "filter F", "NF - N + 1", "gradient reaches", "agrees",
                 Column(name="weights of the stack", unit="C^2", format=","),
                 Column(name="of one filter that size", unit="C^2", format=",")),
        notes=("Gradient: of the middle output of a stack with random weights; the pixels where it "
               "is not zero, all of which lie without a hole in the rectangle given. Weights with "
               "C channels everywhere, in units of C * C; biases not counted.",),
    )  # fmt: skip
    yield Claim(
        statement=f"A stack of N layers of F x F sees NF - N + 1 pixels per side, for all N and F "
                  f"up to {largest}.",
        rule="in every combination the input gradient of one output is nonzero on a square of that "
             "side, on all of it, and nowhere else",
        verdict="not supported" if wrong else "supported", label="exact",
        numbers={"combinations": len(rows), "combinations that differ": len(wrong)},
    )  # fmt: skip
    yield from _example()
    yield _weights_figure(largest)


def _stacks(largest: int) -> list[dict[str, Any]]:
    rows = []
    with one_thread():
        for layers in range(1, largest + 1):
            for side in range(1, largest + 1):
                formula = field_of_stack(layers, side)
                height, width, pixels = gradient_support(layers, side)
                rows.append({
                    "layers N": layers, "filter F": side, "NF - N + 1": formula,
                    "gradient reaches": f"{height} x {width}",
                    "agrees": height == width == formula and pixels == formula**2,
                    "weights of the stack": layers * side**2,
                    "of one filter that size": formula**2,
                })  # fmt: skip
    return rows


def _example() -> Iterator[Evidence]:
    """Three filters of 5x5, step by step."""
    layers, side = ASKED
    steps = " -> ".join(str(field_of_stack(n, side)) for n in range(layers + 1))
    field = field_of_stack(layers, side)
    height, width, _ = gradient_support(layers, side)
    stack, single = layers * side**2, field**2
    yield Claim(
        statement=f"Three filters of {side}x{side} one after the other see {field} x {field} "
                  "pixels.",
        rule=f"{layers} * {side} - {layers} + 1 = {field}, pixel by pixel {steps}; and the "
             "gradient reaches as far",
        verdict="supported" if (height, width) == (field, field) else "not supported",
        numbers={"side by the formula": field, "side by the gradient": height,
                 "weights of the stack per C^2": stack,
                 f"weights of one {field}x{field} filter per C^2": single}, label="exact",
    )  # fmt: skip
    yield Note(text=(
        f"With C channels in and out, the stack has {layers} * {side} * {side} * C^2 = {stack} C^2 "
        f"weights, one filter of {field}x{field} has {field} * {field} * C^2 = {single} C^2, "
        f"{single / stack:.2f} times as many; the operations per position are in the same ratio. "
        f"The stack has {layers - 1} nonlinearities more besides, and fewer filters of that "
        f"size can be expressed by it. That is VGG's argument for 3x3: two of them see "
        f"{field_of_stack(2, 3)} x {field_of_stack(2, 3)} with {2 * 9} C^2 in place of "
        f"{field_of_stack(2, 3) ** 2} C^2, three see {field_of_stack(3, 3)} x "
        f"{field_of_stack(3, 3)} with {3 * 9} C^2 in place of {field_of_stack(3, 3) ** 2} C^2."
    ))  # fmt: skip


def _weights_figure(largest: int) -> Figure:
    """Weights over the side that is seen, for stacks and for one filter."""
    rows = [{"side": k, "weights": k**2, "filters": "one filter"}
            for k in range(1, field_of_stack(largest, 5) + 1, 2)]  # fmt: skip
    for side in (3, 5):
        rows += [{"side": field_of_stack(n, side), "weights": n * side**2,
                  "filters": f"stack of {side} x {side}"} for n in range(1, 2 * largest + 1)
                 if field_of_stack(n, side) <= field_of_stack(largest, 5)]  # fmt: skip
    return Figure(
        table=Table.of("Weights needed to see so far", rows, label="exact", name="stack-weights",
                       columns=(Column(name="side", unit="pixels"),
                                Column(name="weights", unit="C^2", format=","), "filters")),
        drawing=Lines(x="side", y="weights", color="filters", points=True),
        caption="One filter's weights grow with the square of the side that it sees, a stack's in "
                "proportion to it.",
    )  # fmt: skip


# --- along whole networks -------------------------------------------------------------------------


def growth_evidence(specimens: Mapping[str, Specimen]) -> Iterator[Evidence]:
    """Receptive fields of AlexNet, VGG and SimpleNN after each layer that slides a window."""
    costs = {short: specimens[name].cost for short, name in GROWTH.items()}
    rows = [row for short, cost in costs.items() for row in _growth(short, cost)]
    yield Figure(
        table=Table.of("Growth of the receptive field", rows, label="exact", name="growth",
                       columns=("network", "layers passed", "layer",
                                Column(name="receptive field", unit="pixels"),
                                Column(name="jump", unit="pixels"))),
        drawing=Lines(x="layers passed", y="receptive field", color="network", points=True),
        caption=_growth_caption(costs),
    )  # fmt: skip
    shown = [row for row in rows if row["network"] in ("AlexNet", "SimpleNN") or row["pooling"]]
    yield Table.of(
        "Receptive fields layer by layer", shown, label="exact", name="fields",
        columns=("network", "layer", "kind", Column(name="receptive field", unit="pixels"),
                 Column(name="jump", unit="pixels")),
        notes=("Jump: how many pixels of the image lie between the fields of two neighbours, the "
               "product of all strides so far. Of the VGG networks the poolings only. Fields "
               "beyond the image's side reach into its border.",),
    )  # fmt: skip


def _growth(network: str, cost: Cost) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for layer in cost.layers:
        axis = layer.field.axes[0] if layer.field else None
        # An adaptive pooling may have nothing to do: then it has no operations either.
        pooling = "pool" in layer.kind and layer.other_flops > 0
        if axis is None or axis.extent != "window" or not (pooling or layer.macs):
            continue
        rows.append({"network": network, "layers passed": len(rows) + 1, "layer": layer.name,
                     "kind": layer.kind, "receptive field": axis.size, "jump": axis.jump,
                     "pooling": pooling})  # fmt: skip
    return rows


def _growth_caption(costs: Mapping[str, Cost]) -> str:
    ends = {short: _growth(short, cost)[-1] for short, cost in costs.items()}
    parts = ", ".join(f"{short} {end['receptive field']} pixels (jump {end['jump']})"
                      for short, end in ends.items())  # fmt: skip
    return (
        "Each layer adds its side less one, times all strides before it, so the curves bend "
        f"upwards after every pooling. At the end of the convolutional part: {parts}. AlexNet gets "
        "there in few layers with large filters and strides, VGG in many with small ones."
    )
