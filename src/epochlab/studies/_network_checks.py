"""Is a network built as its table says? Shapes, parameter counts, and models padded wrongly."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Claim, Evidence
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Layer:
    """One line of the sheet's table of the network; `units` are channels or neurons."""

    name: str
    kind: str
    kernel: int
    units: int


SIMPLE_NN = (
    Layer("conv1", "convolution", 5, 8), Layer("pool1", "max-pool", 2, 0),
    Layer("conv2", "convolution", 3, 16), Layer("pool2", "max-pool", 2, 0),
    Layer("fc1", "fully connected", 0, 120), Layer("fc2", "fully connected", 0, 84),
    Layer("fc3", "fully connected", 0, 0),
)  # fmt: skip


def expected_layers(input_shape: tuple[int, ...], outputs: int) -> list[dict[str, Any]]:
    """By arithmetic from the sheet's table: output shape and parameters of every layer."""
    channels, height, width = input_shape
    rows = []
    for layer in SIMPLE_NN:
        formula, parameters = "", 0
        if layer.kind == "convolution":
            k, units = layer.kernel, layer.units
            formula = f"({k}*{k}*{channels} + 1) * {units}"
            parameters = (k * k * channels + 1) * units
            channels, height, width = units, height - k + 1, width - k + 1
            shape: tuple[int, ...] = (channels, height, width)
        elif layer.kind == "max-pool":
            height, width = height // layer.kernel, width // layer.kernel
            shape = (channels, height, width)
        else:
            inputs, units = channels * height * width, layer.units or outputs
            formula, parameters = f"({inputs} + 1) * {units}", (inputs + 1) * units
            channels, height, width, shape = units, 1, 1, (units,)
        rows.append({"layer": layer.name, "kind": layer.kind, "output by the table": shape,
                     "formula": formula, "expected": parameters})  # fmt: skip
    return rows


def layer_table(network: nn.Module, input_shape: tuple[int, ...], outputs: int) -> Table:
    """Shapes and parameter counts of the built network beside those that the sheet asks for."""
    import torch

    shapes: dict[str, tuple[int, ...]] = {}
    modules = dict(network.named_children())
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
        for name, module in modules.items()
    ]
    with torch.no_grad():
        network(torch.zeros(2, *input_shape))
    for hook in hooks:
        hook.remove()
    rows = expected_layers(input_shape, outputs)
    for row in rows:
        shape, name = row.pop("output by the table"), row["layer"]
        row["output"] = " x ".join(map(str, shapes[name]))
        row["counted"] = sum(p.numel() for p in modules[name].parameters())
        row["agrees"] = shapes[name] == shape and row["counted"] == row["expected"]
    total = sum(p.numel() for p in network.parameters())
    expected = sum(row["expected"] for row in rows)
    rows.append({"layer": "all", "kind": "", "output": "", "formula": "sum", "expected": expected,
                 "counted": total, "agrees": total == expected})  # fmt: skip
    return Table.of("The network, layer by layer", rows, label="exact", name="layers", columns=(
        "layer", "kind", "output", "formula", Column(name="expected", format=","),
        Column(name="counted", format=","), "agrees",
    ))  # fmt: skip


def sanity_evidence(
    network: nn.Module, input_shape: tuple[int, ...], outputs: int
) -> Iterator[Evidence]:
    """Two checks on the right model and on two wrongly padded ones."""
    expected = sum(row["expected"] for row in expected_layers(input_shape, outputs))
    models = {
        "as in the table": network,
        "padded, first fully connected layer as in the table": padded(
            network, input_shape, fitted=False
        ),
        "padded, first fully connected layer made to fit": padded(
            network, input_shape, fitted=True
        ),
    }
    rows = []
    for name, model in models.items():
        shape, problem = _dummy_output(model, input_shape)
        count = sum(p.numel() for p in model.parameters())
        right_shape, right_count = shape == (2, outputs), count == expected
        rows.append({
            "model": name, "dummy input": str((2, *input_shape)),
            "output": problem or str(shape), "shape is right": right_shape, "parameters": count,
            "count is right": right_count, "passes": right_shape and right_count,
        })  # fmt: skip
    yield Table.of("Sanity checks with a dummy input", rows, label="exact", name="sanity", columns=(
        "model", "dummy input", "output", "shape is right", Column(name="parameters", format=","),
        "count is right", "passes",
    ), notes=("The last model shows why the shape alone is not enough: its output looks right, and "
              "only the parameter count gives the padding away.",))  # fmt: skip
    caught = [row["passes"] for row in rows] == [True, False, False]
    yield Claim(
        statement="The two checks pass the right model and catch both wrongly padded ones.",
        rule="output shape and parameter count agree for the first model and not for the others",
        verdict="supported" if caught else "not supported", label="exact",
        numbers={"parameters expected": expected, "parameters counted": rows[0]["parameters"]},
    )  # fmt: skip


def padded(network: nn.Module, input_shape: tuple[int, ...], fitted: bool) -> nn.Module:
    """A copy whose convolutions keep the image size, the classic slip; `fitted` adapts fc1."""
    from torch import nn

    changed = copy.deepcopy(network)
    channels, (_, height, width) = 0, input_shape
    for module in changed.children():
        if isinstance(module, nn.Conv2d):
            module.padding = (module.kernel_size[0] // 2, module.kernel_size[1] // 2)
            channels = module.out_channels
    first = changed.get_submodule("fc1")
    if fitted and isinstance(first, nn.Linear):
        # Two poolings leave a quarter of each side.
        changed.fc1 = nn.Linear(channels * (height // 4) * (width // 4), first.out_features)
    return changed


def _dummy_output(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Any, str]:
    import torch

    try:
        with torch.no_grad():
            return tuple(model(torch.randn(2, *input_shape)).shape), ""
    except RuntimeError as error:
        return None, f"error: {str(error).splitlines()[0]}"
