"""How many steps until the loss is low enough: curves fitted to the losses of a run."""

from __future__ import annotations

from epochlab.forecast.optimus import LossCurve, LossFit, fit_loss_curve

__all__ = ["LossCurve", "LossFit", "fit_loss_curve"]
