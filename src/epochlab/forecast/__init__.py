"""How many steps until the loss is low enough: curves fitted to a run, and what will come of it."""

from __future__ import annotations

from epochlab.forecast.curve import Curve
from epochlab.forecast.optimus import LossCurve, LossFit, fit_loss_curve
from epochlab.forecast.outlook import Outlook, forecast, look_ahead

__all__ = [
    "Curve",
    "LossCurve",
    "LossFit",
    "Outlook",
    "fit_loss_curve",
    "forecast",
    "look_ahead",
]
