"""The small constant that keeps an optimizer's division defined."""

from __future__ import annotations

from typing import Annotated

from epochlab.component import Limits

# Weights whose gradient is always zero (dead units, padding of a flat vector) divide 0 by this
# constant, so it may not be zero; its smallest value survives a square root in float32.
Epsilon = Annotated[float, Limits(low=1e-30)]
