"""Receptive fields: which pixels of a network's input one element of any of its tensors can see.

"Can see" is meant by connectivity: some weights exist for which the element changes when the pixel
changes. The field is the shortest stretch along each axis that holds all these pixels; dilated
windows leave holes in it. The image's border is ignored, as in published tables: the numbers are
those of an element far from it, and they may exceed the image.

Source of the definitions: A. Araujo, W. Norris, J. Sim, Computing Receptive Fields of Convolutional
Neural Networks, Distill 2019 (doi 10.23915/distill.00021); V. Dumoulin, F. Visin, A guide to
convolution arithmetic for deep learning, 2016, arXiv 1603.07285.
"""

from __future__ import annotations

from epochlab.cost.receptive.field import (
    AxisField,
    ReceptiveField,
    Window,
    chain_of_windows,
)
from epochlab.cost.receptive.tracker import Tracker

__all__ = ["AxisField", "ReceptiveField", "Tracker", "Window", "chain_of_windows"]
