"""All built-in networks side by side: what they hold, what they compute, what they keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.component import make
from epochlab.evidence import Claim, Evidence, Note
from epochlab.figures.layers import comparison_of, figure_of
from epochlab.networks import Network
from epochlab.networks.alexnet import AlexNet
from epochlab.networks.fashion_cnn import FashionCnn
from epochlab.networks.googlenet import GoogLeNet
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.lenet5_classic import Lenet5Classic
from epochlab.networks.linear import Linear
from epochlab.networks.mlp import Mlp
from epochlab.networks.mobilenet_v1 import MobileNetV1
from epochlab.networks.mobilenet_v2 import MobileNetV2
from epochlab.networks.resnet import ResNet
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.networks.rpn_head import RpnHead
from epochlab.networks.simple_nn import SimpleNN
from epochlab.networks.squeezenet import SqueezeNet
from epochlab.networks.vgg import Vgg
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost import Cost
    from epochlab.cost.layer import Count

FLOAT32_BYTES = 4
PHOTO, SMALL, GREY = (3, 224, 224), (3, 32, 32), (1, 28, 28)


@dataclass(frozen=True)
class Specimen:
    """A network as it is analysed; `counted` is what its module's tensors hold."""

    cost: Cost
    counted: int


def specimen(name: str, network: Network, input_shape: tuple[int, ...], outputs: int) -> Specimen:
    """Trace a network and, independently, add up the sizes of its module's parameters."""
    import torch

    from epochlab.cost import trace

    with torch.device("meta"):
        module = network.build(input_shape, outputs)
    counted = sum(p.numel() for p in module.parameters())
    return Specimen(trace(module, input_shape, name=name), counted)


def builtin() -> dict[str, Specimen]:
    """Every network that comes with the program, its published forms, on the images it is for."""
    found: list[tuple[str, Network, tuple[int, ...], int]] = [
        ("AlexNet, two towers", AlexNet(), (3, 227, 227), 1000),
        ("AlexNet, ungrouped", AlexNet(towers="ungrouped"), (3, 227, 227), 1000),
        ("AlexNet, one column", AlexNet(towers="single"), PHOTO, 1000),
        *((f"VGG{depth}", make(Vgg, {"depth": depth}), PHOTO, 1000)
          for depth in (11, 13, 16, 19)),
        ("GoogLeNet", GoogLeNet(), PHOTO, 1000),
        *((f"ResNet-{depth}", make(ResNet, {"depth": depth, "version": "v1"}), PHOTO, 1000)
          for depth in (18, 34, 50, 101, 152)),
        ("SqueezeNet 1.0", SqueezeNet(version="1.0"), PHOTO, 1000),
        ("SqueezeNet 1.1", SqueezeNet(version="1.1"), PHOTO, 1000),
        ("MobileNet v1", MobileNetV1(), PHOTO, 1000),
        ("MobileNet v2", MobileNetV2(), PHOTO, 1000),
        *((f"CIFAR ResNet-{depth}", ResNetCifar(depth=depth), SMALL, 10)
          for depth in (20, 32, 44, 50, 56, 110)),
        ("CIFAR ResNet-18", ResNet(depth=18, stem="cifar"), SMALL, 10),
        ("SimpleNN", SimpleNN(), SMALL, 10),
        ("MLP 1000-1000", Mlp(hidden=(1000, 1000)), SMALL, 10),
        ("LeNet-5", Lenet5(), GREY, 10),
        ("LeNet-5 of 1998", Lenet5Classic(), (1, 32, 32), 10),
        ("Fashion CNN", FashionCnn(), GREY, 10),
        ("Linear", Linear(), GREY, 10),
        ("RPN head", RpnHead(), (512, 14, 14), 9),
    ]  # fmt: skip
    return {how[0]: specimen(*how) for how in found}


def comparison_evidence(specimens: Sequence[Specimen], count: Count) -> Iterator[Evidence]:
    """Table, figure and the check that rows add up to what the modules hold."""
    costs = [found.cost for found in specimens]
    yield comparison_of(costs, count=count)
    yield _side_by_side(costs, count)
    wrong = [found.cost.name for found in specimens if found.cost.parameters != found.counted]
    yield Claim(
        statement=f"For all {len(specimens)} networks the rows of the layers add up to the numbers "
                  "that the module's tensors hold.",
        rule="sum over the layer table = sum of the sizes of all parameters, for every network",
        verdict="not supported" if wrong else "supported", label="exact",
        numbers={"networks": len(specimens), "networks that differ": len(wrong),
                 "parameters in all": sum(found.counted for found in specimens)},
    )  # fmt: skip
    missed = sorted({u.operator for cost in costs for u in cost.uncounted})
    if missed:
        yield Note(kind="warning", text=(
            f"Operators without a counting rule: {', '.join(missed)}. The operations of the "
            "networks that use them are lower bounds."
        ))  # fmt: skip


def _side_by_side(costs: Sequence[Cost], count: Count) -> Table:
    from epochlab.cost.layer import COUNT_TEXT, shape_text

    rows = []
    for cost in costs:
        rows.append({
            "network": cost.name, "input": shape_text(cost.input_shapes[0][1:]),
            "parameters": cost.parameters, "weights": FLOAT32_BYTES * cost.parameters / 1e6,
            "activations": FLOAT32_BYTES * cost.folded().activations / 1e6,
            "operations": cost.count(count), "conv share": cost.share("convolution",
                                                                      count=count),
        })  # fmt: skip
    return Table.of(
        "The networks side by side", rows, label="exact", name="side-by-side",
        columns=("network", "input", Column(name="parameters", format=","),
                 Column(name="weights", unit="MB", format=".2f"),
                 Column(name="activations", unit="MB", format=".2f"),
                 Column(name="operations", format=","),
                 Column(name="conv share", format=".1%")),
        notes=(
            "Weights: the parameters in 32-bit numbers. "
            "Activations: outputs of all layers for one sample in 32-bit numbers, an activation "
            "function counted with the layer before it, the input not counted. 1 MB = 10^6 bytes. "
            "Conv share: of the operations.",
            f"Operations of one forward pass: {COUNT_TEXT[count]}.",
        ),
    )  # fmt: skip


def own_evidence(networks: Sequence[Network], count: Count) -> Iterator[Evidence]:
    """Layer table and figure of each network that the user added."""
    for network in networks:
        name = type(network).__name__
        found = specimen(name, network, network.natural_input, network.natural_outputs)
        yield found.cost.folded().table(count=count)
        yield figure_of(found.cost, count=count)


def rows_by_weights(cost: Cost) -> list[dict[str, Any]]:
    """One row per convolution, matrix product or pooling, what follows it counted in."""
    rows: list[dict[str, Any]] = []
    for layer in cost.folded().layers:
        if layer.macs or ("pool" in layer.kind and layer.other_flops) or not rows:
            rows.append({
                "layer": layer.name, "kind": layer.kind, "output": layer.output_shape[1:],
                "weights": layer.weights, "biases": layer.biases, "normalisation": 0,
                "MACs": layer.macs, "field": layer.field,
            })  # fmt: skip
        else:
            rows[-1]["normalisation"] += layer.parameters
    return rows
