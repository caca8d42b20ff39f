"""How long a step takes and how much work is done per second, from models with few numbers."""

from __future__ import annotations

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

__all__ = [
    "Allocation",
    "AsynchronousSpeed",
    "SpeedFit",
    "SpeedModel",
    "SynchronousSpeed",
    "fastest",
    "fit_asynchronous",
    "fit_synchronous",
    "resnet50_speed",
    "seconds_to_loss",
]
