"""Dropout in its two forms, which differ in where the scaling is done."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from epochlab.errors import BadOption

Form = Literal["inverted", "weight_scaling"]


class Dropout(nn.Module):
    """Sets each value to zero with probability p while training; keeps it with q = 1 - p.

    form             training       evaluation
    inverted         m * x / q      x
    weight_scaling   m * x          q * x

    m is 0 or 1, drawn anew for each value in each forward pass from torch's global generator, which
    the training loop seeds from its counters before every step. q * x before a layer is the same as
    that layer with its weights (not its bias) multiplied by q, hence the name. A network trained in
    one form predicts exactly what its twin in the other form predicts when the weights that follow
    the dropout are q times as large in the inverted twin.

        >>> x = torch.ones(1000)
        >>> Dropout(0.5)(x).unique()
        tensor([0., 2.])
        >>> Dropout(0.2, "weight_scaling").eval()(x).unique()
        tensor([0.8000])

    Reference: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, Dropout: A
    Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014.
    """

    def __init__(self, rate: float, form: Form = "inverted") -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise BadOption(
                f"The dropout rate is {rate!r}; it must be at least 0 and below 1, because it is "
                "the share of values that are dropped."
            )
        if form not in ("inverted", "weight_scaling"):
            raise BadOption(f"The dropout form is {form!r}; allowed are inverted, weight_scaling.")
        self.rate = rate
        self.form = form
        self.training_factor = 1 / (1 - rate) if form == "inverted" else 1.0
        # An attribute, so that a study can show what a wrong factor does.
        self.evaluation_factor = 1.0 if form == "inverted" else 1 - rate

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mask = torch.empty_like(x).bernoulli_(1 - self.rate)
            return x * mask.mul_(self.training_factor)
        return x if self.evaluation_factor == 1 else x * self.evaluation_factor

    def extra_repr(self) -> str:
        return f"rate={self.rate}, form={self.form}"
