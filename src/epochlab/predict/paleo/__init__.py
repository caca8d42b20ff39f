"""PALEO: the time of a training step from layer sizes and published peaks, by its own formulas.

H. Qi, E. R. Sparks, A. Talwalkar, PALEO: a Performance Model for Deep Neural Networks, ICLR 2017;
public program: TalwalkarLab/paleo. Its choice among cuDNN's algorithms, which asks that library,
is not here: every convolution is a matrix product.
"""

from __future__ import annotations

from epochlab.predict.paleo.formulas import REVISIONS, Revision
from epochlab.predict.paleo.hybrid import HybridTime, hybrid_time
from epochlab.predict.paleo.layers import (
    Convolution,
    Dropout,
    InnerProduct,
    PaleoLayer,
    PaleoNetwork,
    Pooling,
)
from epochlab.predict.paleo.networks import NETWORKS, paleo_layers, paleo_network
from epochlab.predict.paleo.scaling import (
    SCALINGS,
    SCHEMES,
    LayerTime,
    PaleoTime,
    paleo_time,
    training_seconds,
)
from epochlab.predict.paleo.timing import (
    CAFFE,
    DEVICES,
    LINKS,
    MXNET,
    SOFTWARE,
    TENSORFLOW,
    PaleoDevice,
    PercentOfPeak,
    Seconds,
    paleo_device,
    paleo_link,
    software,
)

__all__ = [
    "CAFFE",
    "DEVICES",
    "LINKS",
    "MXNET",
    "NETWORKS",
    "REVISIONS",
    "SCALINGS",
    "SCHEMES",
    "SOFTWARE",
    "TENSORFLOW",
    "Convolution",
    "Dropout",
    "HybridTime",
    "InnerProduct",
    "LayerTime",
    "PaleoDevice",
    "PaleoLayer",
    "PaleoNetwork",
    "PaleoTime",
    "PercentOfPeak",
    "Pooling",
    "Revision",
    "Seconds",
    "hybrid_time",
    "paleo_device",
    "paleo_layers",
    "paleo_link",
    "paleo_network",
    "paleo_time",
    "software",
    "training_seconds",
]
