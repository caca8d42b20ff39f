"""Draws a network layer by layer: each layer takes up where the one before left off."""

from __future__ import annotations

from typing import Literal

from epochlab.predict.paleo.layers import (
    Convolution,
    Dropout,
    PaleoLayer,
    PaleoNetwork,
    Pooling,
    Size,
    size_after,
)


class Drawing:
    """The layers so far, and the size of what comes out of the last one.

    >>> net = Drawing((224, 224, 3))
    >>> net.convolution("conv1", 11, 64, stride=4, padding="VALID")
    >>> net.size
    (54, 54, 64)
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        self.layers: list[PaleoLayer] = []
        self.without_cost: list[str] = []

    def convolution(
        self, name: str, kernel: int | tuple[int, int], channels: int, *, stride: int = 1,
        padding: Literal["VALID", "SAME"] = "SAME",
    ) -> None:  # fmt: skip
        """Add a convolution; the first layer of all is fed by the data."""
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        rows, columns = (size_after(length, k, stride, padding)
                         for length, k in zip(self.size[:2], kernel, strict=True))  # fmt: skip
        self._add(Convolution(
            name=name, input=self.size, output=(rows, columns, channels), kernel=kernel,
            stride=(stride, stride), padding=padding, fed_by_data=not self.layers,
        ))  # fmt: skip

    def pool(
        self, name: str, kernel: int, *, stride: int, padding: Literal["VALID", "SAME"] = "VALID"
    ) -> None:
        """Add a maximum or average over windows."""
        rows, columns = (size_after(length, kernel, stride, padding) for length in self.size[:2])
        self._add(Pooling(name=name, input=self.size, output=(rows, columns, self.size[2]),
                          kernel=(kernel, kernel), stride=(stride, stride)))  # fmt: skip

    def dropout(self, name: str) -> None:
        """Add a dropout."""
        self._add(Dropout(name=name, input=self.size, output=self.size))

    def join(self, name: str, sizes: list[Size]) -> None:
        """Go on from several branches, their channels one after the other; costs nothing."""
        (rows, columns) = {size[:2] for size in sizes}.pop()
        self.size = (rows, columns, sum(size[2] for size in sizes))
        self.without_cost.append(name)

    def network(self, name: str, *free: str) -> PaleoNetwork:
        """The finished network; `free` are layers that cost nothing."""
        return PaleoNetwork(name=name, layers=tuple(self.layers),
                            without_cost=(*self.without_cost, *free))  # fmt: skip

    def _add(self, layer: PaleoLayer) -> None:
        self.layers.append(layer)
        self.size = layer.output
