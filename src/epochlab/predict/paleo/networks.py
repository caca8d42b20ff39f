"""Networks in PALEO's terms: four of the authors' own, and any network of PyTorch or of ours.

Layer lists after TalwalkarLab/paleo, nets/*.json. Their fully connected layers are convolutions
whose kernel covers the whole input; normalisation, activation and softmax cost nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from epochlab.errors import UnknownName
from epochlab.predict.paleo.drawing import Drawing
from epochlab.predict.paleo.inception import inception_v3
from epochlab.predict.paleo.layers import PaleoNetwork

if TYPE_CHECKING:
    from torch import nn

    from epochlab.networks import Network


def paleo_network(name: str) -> PaleoNetwork:
    """One of the authors' networks: nin, alex_v2, alex_v2_hybrid, vgg16, inception_v3.

    Raises UnknownName.

        >>> paleo_network("alex_v2").parameters
        50303912
    """
    if name.lower() not in NETWORKS:
        raise UnknownName("network of PALEO's authors", name, NETWORKS)
    return NETWORKS[name.lower()]()


def paleo_layers(
    network: nn.Module | Network,
    input_shape: tuple[int, ...] | None = None,
    *,
    outputs: int | None = None,
    training: bool = False,
    name: str = "",
) -> PaleoNetwork:
    """PALEO's view of a module, or of a network component: what it charges for, what it does not.

    The module runs once on tensors without numbers, so no weight is read or allocated. Convolutions
    (two-dimensional), linear layers, pooling and dropout become layers, whether they are modules or
    functions; everything else is named in `without_cost`. A convolution is fed by the data where
    nothing that is trained comes before it. `input_shape` is one sample without the batch axis and
    `outputs` the number of classes; a component knows its natural ones. `training` describes the
    module as it runs in training, with auxiliary heads.

    Raises CannotTrace for a module that does not run on `input_shape`, BadShape for a component
    that cannot be built for it.
    """
    from epochlab.predict.paleo.tracing import described

    return described(network, input_shape, outputs=outputs, training=training, name=name)


def _nin() -> PaleoNetwork:
    """Network in Network for 224 x 224 images."""
    net = Drawing((224, 224, 3))
    net.convolution("conv1", 11, 96, stride=4, padding="VALID")
    _mixing(net, (1, 2), 96, 96)
    net.pool("pool0", 3, stride=2)
    net.convolution("conv2", 5, 256)
    _mixing(net, (3, 4), 256, 256)
    net.pool("pool2", 3, stride=2)
    net.convolution("conv3", 3, 384)
    _mixing(net, (5, 6), 384, 384)
    net.pool("pool3", 3, stride=2)
    net.dropout("drop")
    net.convolution("conv4", 3, 1024)
    _mixing(net, (7, 8), 1024, 1000)
    net.pool("pool4", 5, stride=1)
    return net.network("nin", "softmax")


def _mixing(net: Drawing, numbers: tuple[int, int], first: int, second: int) -> None:
    """Two 1 x 1 convolutions."""
    for number, channels in zip(numbers, (first, second), strict=True):
        net.convolution(f"cccp{number}", 1, channels, padding="VALID")


def _alex_v2(name: str = "alex_v2", conv4: int = 384) -> PaleoNetwork:
    """AlexNet in one tower, after "One weird trick for parallelizing convolutional networks"."""
    net = Drawing((224, 224, 3))
    net.convolution("conv1", 11, 64, stride=4, padding="VALID")
    net.pool("pool1", 3, stride=2)
    net.convolution("conv2", 5, 192)
    net.pool("pool2", 3, stride=2)
    net.convolution("conv3", 3, 384)
    net.convolution("conv4", 3, conv4)
    net.convolution("conv5", 3, 256)
    net.pool("pool5", 3, stride=2)
    _head(net, 5)
    return net.network(name, "softmax")


def _head(net: Drawing, size: int) -> None:
    """Three fully connected layers as convolutions."""
    net.convolution("fc6", size, 4096, padding="VALID")
    net.dropout("dropout6")
    net.convolution("fc7", 1, 4096)
    net.dropout("dropout7")
    net.convolution("fc8", 1, 1000)


def _vgg16() -> PaleoNetwork:
    net = Drawing((224, 224, 3))
    for stage, (depth, channels) in enumerate(
        ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1
    ):
        for place in range(1, depth + 1):
            net.convolution(f"conv{stage}-{place}", 3, channels)
        net.pool(f"pool{stage}", 2, stride=2)
    _head(net, 7)
    return net.network("vgg16", "softmax")


NETWORKS: Mapping[str, Callable[[], PaleoNetwork]] = MappingProxyType({
    "nin": _nin, "alex_v2": _alex_v2, "vgg16": _vgg16, "inception_v3": inception_v3,
    # The same with conv4 as wide as conv5; the authors split its fc6 and fc7 among workers.
    "alex_v2_hybrid": lambda: _alex_v2("alex_v2_hybrid", conv4=256),
})  # fmt: skip
