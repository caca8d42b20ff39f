"""Swish, an activation that is smooth and dips slightly below zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Swish(nn.Module):
    """x * sigmoid(x), element by element.

    Close to 0 for strongly negative x and close to x for strongly positive x. It is Swish with
    beta = 1, the same function as SiLU.

        >>> Swish()(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.2689,  0.0000,  0.7311])

    Reference: P. Ramachandran, B. Zoph, Q. V. Le, Searching for Activation Functions, 2017,
    arXiv:1710.05941.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)
