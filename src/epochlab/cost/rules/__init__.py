"""Counting rules by ATen operator, gathered from the files of this folder."""

from __future__ import annotations

from epochlab.cost.counting import Rule
from epochlab.cost.rules import attention, convolutions, matrices, reductions, values
from epochlab.cost.rules.moves import MOVES_DATA

BY_NAME: dict[str, Rule] = {
    **convolutions.RULES, **matrices.RULES, **attention.RULES, **reductions.RULES, **values.RULES,
}  # fmt: skip

__all__ = ["BY_NAME", "MOVES_DATA"]
