"""What a network costs: exact counts of parameters, operations and memory, layer by layer."""

from __future__ import annotations

from epochlab.cost.analysis import Cost, compare
from epochlab.cost.layer import Layer, Uncounted
from epochlab.cost.memory import StepMemory, largest_batch, step_memory
from epochlab.cost.trace import trace, trace_network

__all__ = [
    "Cost",
    "Layer",
    "StepMemory",
    "Uncounted",
    "compare",
    "largest_batch",
    "step_memory",
    "trace",
    "trace_network",
]
