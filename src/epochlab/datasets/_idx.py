"""IDX, the file format of MNIST and Fashion-MNIST, for arrays of bytes.

Layout (LeCun, Cortes, Burges: "The MNIST database"): two zero bytes, one byte for the element type
(8: unsigned byte), one byte for the number of axes, each axis length as a big-endian 32-bit
number, then the elements in row-major order.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets._unpack import FormatError

_BYTES = 8


def parse_idx(content: bytes, axes: int) -> NDArray[np.uint8]:
    """The array in an IDX file that must have so many axes. Raises FormatError."""
    head = 4 + 4 * axes
    if len(content) < head:
        raise FormatError(f"has {len(content)} bytes; its IDX header alone takes {head}")
    magic, expected = struct.unpack(">I", content[:4])[0], _BYTES << 8 | axes
    if magic != expected:
        raise FormatError(
            f"begins with {magic:#010x}; an IDX file of bytes with {axes} axes begins with "
            f"{expected:#010x}"
        )
    shape = struct.unpack(f">{axes}I", content[4:head])
    if len(content) - head != math.prod(shape):
        raise FormatError(
            f"holds {len(content) - head:,} bytes of data; its header says "
            f"{' x '.join(map(str, shape))} = {math.prod(shape):,}"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def pack_idx(array: NDArray[np.uint8]) -> bytes:
    """The IDX file of an array of bytes; the inverse of `parse_idx`."""
    return struct.pack(f">{1 + array.ndim}I", _BYTES << 8 | array.ndim, *array.shape) + (
        np.ascontiguousarray(array).tobytes()
    )
