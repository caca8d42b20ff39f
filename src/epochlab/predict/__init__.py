"""How long a step takes and how much work is done per second, from models with few numbers."""

from __future__ import annotations

from epochlab.predict.collectives import (
    Channel,
    all_reduce_seconds,
    bus_bandwidth_factor,
    lower_bound_seconds,
)
from epochlab.predict.optimus_fit import SpeedFit, fit_asynchronous, fit_synchronous
from epochlab.predict.optimus_speed import (
    Allocation,
    AsynchronousSpeed,
    SpeedModel,
    SynchronousSpeed,
    fastest,
    resnet50_speed,
    seconds_to_loss,
)
from epochlab.predict.paleo import (
    HybridTime,
    PaleoNetwork,
    PaleoTime,
    PercentOfPeak,
    hybrid_time,
    paleo_device,
    paleo_layers,
    paleo_link,
    paleo_network,
    paleo_time,
)
from epochlab.predict.step_time import StepTime, step_time

__all__ = [
    "Allocation",
    "AsynchronousSpeed",
    "Channel",
    "HybridTime",
    "PaleoNetwork",
    "PaleoTime",
    "PercentOfPeak",
    "SpeedFit",
    "SpeedModel",
    "StepTime",
    "SynchronousSpeed",
    "all_reduce_seconds",
    "bus_bandwidth_factor",
    "fastest",
    "fit_asynchronous",
    "fit_synchronous",
    "hybrid_time",
    "lower_bound_seconds",
    "paleo_device",
    "paleo_layers",
    "paleo_link",
    "paleo_network",
    "paleo_time",
    "resnet50_speed",
    "seconds_to_loss",
    "step_time",
]
