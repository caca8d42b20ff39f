"""Check that a network fits the samples it is to be built for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from epochlab.errors import BadShape


@dataclass(frozen=True)
class Window:
    """A square window that slides over an image: a convolution or a pooling."""

    name: str
    size: int
    stride: int = 1
    padding: int = 0


def shape_text(shape: Sequence[int]) -> str:
    """(3, 32, 32) -> '3 x 32 x 32'."""
    return " x ".join(map(str, shape)) if shape else "()"


def flat_size(network: str, input_shape: tuple[int, ...]) -> int:
    """Numbers per sample. Raises BadShape unless there is at least one."""
    if not input_shape or min(input_shape) < 1:
        raise BadShape(
            f"{network} cannot take samples of shape {shape_text(input_shape)}; every axis must "
            "have at least one entry, for example 64 or 3 x 32 x 32."
        )
    return math.prod(input_shape)


def image_shape(network: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channels, height, width). Raises BadShape for samples that are not images."""
    flat_size(network, input_shape)
    if len(input_shape) != 3:
        raise BadShape(
            f"{network} cannot take samples of shape {shape_text(input_shape)}; it takes images, "
            "channels x height x width, for example 3 x 32 x 32. For samples of any other shape "
            "use the network mlp or linear, or choose a data set of images."
        )
    channels, height, width = input_shape
    return channels, height, width


def sides_after(
    network: str, sides: tuple[int, int], windows: Sequence[Window], todo: str = ""
) -> tuple[int, int]:
    """Height and width after all windows. Raises BadShape where an image is too small for them.

    `todo` is added to the message: what else the user can change.
    """
    height, width = sides
    for window in windows:
        if min(height, width) + 2 * window.padding < window.size:
            need = smallest_side(windows)
            raise BadShape(
                f"{network} cannot take images of {shape_text(sides)} pixels: {window.name} looks "
                f"at {window.size} x {window.size} pixels and gets only {height} x {width}. Height "
                f"and width must be at least {need}. Choose a data set with larger images."
                + (f" {todo}" if todo else "")
            )
        height, width = (
            (side + 2 * window.padding - window.size) // window.stride + 1
            for side in (height, width)
        )
    return height, width


def smallest_side(windows: Sequence[Window]) -> int:
    """The smallest height and width of which one pixel is left after all windows."""
    side = 1
    for window in reversed(windows):
        side = max(1, (side - 1) * window.stride + window.size - 2 * window.padding)
    return side
