"""Measure: this machine's peaks as a device, and honest timing of any module or operator."""

from __future__ import annotations

from epochlab.measure.calibration import Calibration, NetworkTiming, calibrate
from epochlab.measure.files import (
    calibration_path,
    device_here,
    load_calibration,
    save_calibration,
    save_device,
)
from epochlab.measure.layers import LayersTiming, LayerTiming, time_layers
from epochlab.measure.operator_shapes import OperatorShape, designed_shapes
from epochlab.measure.operators import OperatorTiming, chosen_operators, time_operators
from epochlab.measure.passes import TrainingTiming, time_forward, time_step, time_training
from epochlab.measure.peaks import measure_peaks
from epochlab.measure.samples import SampleNetwork, sample_networks
from epochlab.measure.timing import Effort, Sample, Timing, time_call, time_in_turns

__all__ = [
    "Calibration",
    "Effort",
    "LayerTiming",
    "LayersTiming",
    "NetworkTiming",
    "OperatorShape",
    "OperatorTiming",
    "Sample",
    "SampleNetwork",
    "Timing",
    "TrainingTiming",
    "calibrate",
    "calibration_path",
    "chosen_operators",
    "designed_shapes",
    "device_here",
    "load_calibration",
    "measure_peaks",
    "sample_networks",
    "save_calibration",
    "save_device",
    "time_call",
    "time_forward",
    "time_in_turns",
    "time_layers",
    "time_operators",
    "time_step",
    "time_training",
]
