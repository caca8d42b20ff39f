"""Measure: this machine's peaks as a device, and honest timing of any module or operator."""

from __future__ import annotations

from epochlab.measure.files import (
    calibration_path,
    device_here,
    load_calibration,
    save_calibration,
    save_device,
)
from epochlab.measure.layers import LayersTiming, LayerTiming, time_layers
from epochlab.measure.operators import (
    OperatorShape,
    OperatorTiming,
    designed_shapes,
    time_operator,
    time_operators,
)
from epochlab.measure.passes import TrainingTiming, time_forward, time_step, time_training
from epochlab.measure.peaks import measure_peaks
from epochlab.measure.timing import Effort, Sample, Timing, time_call, time_in_turns

__all__ = [
    "Effort",
    "LayerTiming",
    "LayersTiming",
    "OperatorShape",
    "OperatorTiming",
    "Sample",
    "Timing",
    "TrainingTiming",
    "calibration_path",
    "designed_shapes",
    "device_here",
    "load_calibration",
    "measure_peaks",
    "save_calibration",
    "save_device",
    "time_call",
    "time_forward",
    "time_in_turns",
    "time_layers",
    "time_operator",
    "time_operators",
    "time_step",
    "time_training",
]
