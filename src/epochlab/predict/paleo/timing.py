"""Seconds that PALEO gives to an operation on a device, and how far software stays below its peak.

PALEO's own tables of devices and links (paleo/device.py) are found by its names; the figures are
those of `epochlab.hardware`, the clocks are here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Clock, Device, Link, load_device, load_link
from epochlab.predict.paleo.formulas import Work

# PALEO divides bytes by 2**30 and then by a bandwidth in units of 10**9 bytes per second. Transfers
# so take 7 % less time than they should; its published numbers cannot be met without it.
_GIB_FOR_GB = 1e9 / 2**30

# PALEO's name -> ours, and the clock in its table. It is used for the smallest time of an operation
# alone, one cycle. The CPU's is entered there as 6 * 35000 MHz: 6 cores of 3500 MHz, times ten.
_DEVICES: Mapping[str, tuple[str, float]] = MappingProxyType({
    "TITAN_X": ("titan_x", 1000e6), "K20": ("k20", 1000e6), "K20X": ("k20x", 1000e6),
    "K40": ("k40", 745e6), "K80": ("k80_board", 560e6),
    "GEFORCE_780_TI": ("geforce_780_ti", 875e6), "GEFORCE_750_M": ("geforce_750_m", 941e6),
    "CPU_I7": ("i7_5930k", 210000e6),
})  # fmt: skip
_LINKS: Mapping[str, str] = MappingProxyType({
    "aws": "aws", "ethernet": "ethernet10", "ethernet20": "ethernet20",
    "infiniband": "infiniband", "pcie2": "pcie2", "pcie3": "pcie3",
})  # fmt: skip
DEVICES, LINKS = tuple(_DEVICES), tuple(_LINKS)
"Names in PALEO's own tables."


def paleo_device(name: str) -> PaleoDevice:
    """A device of PALEO's table by its name there; upper and lower case are the same.

    Its K80 is the whole board, with both GPUs, at base clock. Raises UnknownName.

        >>> paleo_device("K80").peak_flops_per_s
        5600000000000.0
    """
    if name.upper() not in _DEVICES:
        raise UnknownName("device in PALEO's table", name, DEVICES,
                          "'epochlab list hardware' shows the devices of ours.")  # fmt: skip
    ours, clock_hz = _DEVICES[name.upper()]
    device = load_device(ours)
    return PaleoDevice(
        name=name.upper(), peak_flops_per_s=device.peak(clock="base").value,
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s.value, clock_hz=clock_hz,
    )  # fmt: skip


def paleo_link(name: str) -> Link:
    """A link of PALEO's table by its name there. Raises UnknownName."""
    if name.lower() not in _LINKS:
        raise UnknownName("link in PALEO's table", name, LINKS)
    return load_link(_LINKS[name.lower()])


def device_of(device: Device | PaleoDevice, clock: Clock = "boost") -> PaleoDevice:
    """The figures of a device that PALEO needs; `clock` chooses where base and boost are known.

    Where the frequency of the clock is not known, no operation has a smallest time.
    """
    if isinstance(device, PaleoDevice):
        return device
    hertz = device.clock_base_hz if clock == "base" else device.clock_boost_hz
    return PaleoDevice(
        name=device.name, peak_flops_per_s=device.peak(clock=clock).value,
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s.value,
        clock_hz=None if hertz is None else hertz.value,
    )  # fmt: skip


def software(name: str) -> PercentOfPeak:
    """The authors' percent of peak for a software: caffe, mxnet, tensorflow. Raises UnknownName.

    >>> software("mxnet").compute
    0.49
    """
    if name.lower() not in SOFTWARE:
        raise UnknownName("software of PALEO's authors", name, SOFTWARE)
    return SOFTWARE[name.lower()]


@dataclass(frozen=True, kw_only=True)
class PaleoDevice:
    """What PALEO knows of a device: peak, memory bandwidth, and the clock for the smallest time."""

    name: str
    peak_flops_per_s: float
    "32-bit numbers, a multiply-accumulate counts as two"
    bandwidth_bytes_per_s: float
    "between memory and processor"
    clock_hz: float | None = None
    "no operation takes less than one cycle; None: operations have no smallest time"

    def __post_init__(self) -> None:
        for key in ("peak_flops_per_s", "bandwidth_bytes_per_s", "clock_hz"):
            value = getattr(self, key)
            if key == "clock_hz" and value is None:
                continue
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (good and math.isfinite(value) and value > 0):
                raise BadOption(f"'{self.name}': {key} is {value!r}; PALEO needs a finite number "
                                "above 0.")  # fmt: skip

    @property
    def cycle_s(self) -> float:
        return 0.0 if self.clock_hz is None else 1 / self.clock_hz


@dataclass(frozen=True, kw_only=True)
class PercentOfPeak:
    """Platform percent of peak: share of a device's and a link's peak that a software reaches.

    1 is the peak itself. One factor stands for all operations, transfers between memory and
    processor included; the other one for all transfers between workers.
    """

    compute: float = 1.0
    communication: float = 1.0
    source: str = ""

    def __post_init__(self) -> None:
        for key in ("compute", "communication"):
            value = getattr(self, key)
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (good and 0 < value <= 1):
                raise BadOption(f"percent of peak: {key} is {value!r}; it must be above 0 and at "
                                "most 1, 0.62 for 62 %.")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Time of one pass: computing, and moving bytes between memory and processor."""

    compute: float
    io: float

    def total(self, pipelined: bool = False) -> float:
        """The sum; or the longer one, where moving and computing overlap perfectly."""
        return max(self.compute, self.io) if pipelined else self.compute + self.io


def seconds(work: Iterable[Work], device: PaleoDevice, percent: float) -> Seconds:
    """Time of some operations one after the other, at `percent` of the device's peaks (0 to 1]."""
    compute = io = 0.0
    for operation in work:
        if operation.flops:
            least = operation.flops / device.peak_flops_per_s / percent
            compute += max(device.cycle_s, least)
        io += sum(transfer_seconds(size, device.bandwidth_bytes_per_s, percent, device)
                  for size in operation.moved_bytes)  # fmt: skip
    return Seconds(compute=compute, io=io)


def transfer_seconds(
    size_bytes: float, bytes_per_s: float, percent: float, device: PaleoDevice
) -> float:
    """Time of one transfer at `percent` of the bandwidth, at least one cycle of the device."""
    return max(device.cycle_s, size_bytes / bytes_per_s * _GIB_FOR_GB / percent)


_SOURCE = "PALEO (Qi, Sparks, Talwalkar, ICLR 2017), code, scripts/exp_case_{}.sh, and its web page"
CAFFE = PercentOfPeak(compute=0.21, communication=0.56, source=_SOURCE.format("firecaffe"))
MXNET = PercentOfPeak(compute=0.49, communication=0.72, source=_SOURCE.format("mxnet"))
TENSORFLOW = PercentOfPeak(compute=0.62, communication=0.72, source=_SOURCE.format("inception"))
SOFTWARE: Mapping[str, PercentOfPeak] = MappingProxyType(
    {"caffe": CAFFE, "mxnet": MXNET, "tensorflow": TENSORFLOW}
)
"What the authors used for each software; each was calibrated on measurements of one model."
