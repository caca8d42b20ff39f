"""Hardware that predictions can name: published figures of devices and links, source and date.

Each TOML file of this folder is one device or one link. A file of the user's own adds one, or
changes some figures of one that is there:

    based_on = "k80"
    source = "our contract"
    date = "2026-11"
    price_usd_per_hour = 0.40

`load("path/to/my.toml")` reads such a file; all files in the folder that EPOCHLAB_HARDWARE names
(without it, the folder `hardware` in the user's cache) are known by their names, before those of
the package. There `epochlab measure` saves this machine as `this`. Units are in the keys: bytes,
seconds, FLOP, dollars, hertz, watts.
"""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeVar

from epochlab.errors import BadOption, UnknownName, nearest
from epochlab.folders import cache_folder

FOLDER = Path(__file__).parent
VARIABLE = "EPOCHLAB_HARDWARE"
THIS = "this"
"name of the machine that `epochlab measure` has measured"

Precision = Literal["fp32", "tf32_tensor", "fp16", "bf16", "fp16_tensor", "fp8_tensor"]
Clock = Literal["base", "boost"]

_DATE = re.compile(r"(?:read )?(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")
_MAY_BE_ZERO = ("price", "latency")


def names() -> list[str]:
    """Names of all devices and links, the user's own included."""
    return sorted(_files())


def load(name: str) -> Device | Link:
    """The device or link called `name`, or the one that the file `path/to/my.toml` describes.

    Raises UnknownName with the nearest match, BadData for a file that cannot be understood.

    >>> k80 = load("k80")
    >>> k80.bandwidth_bytes_per_s.value
    240000000000.0
    """
    from epochlab.hardware._reading import read

    return read(file_of(name))


def load_device(name: str) -> Device:
    """Like `load`, for what has to be a device."""
    return _of_kind(Device, "device", load(name))


def load_link(name: str) -> Link:
    """Like `load`, for what has to be a link."""
    return _of_kind(Link, "link", load(name))


def is_known(text: str) -> bool:
    """Whether `text` is exactly the name of a device or link, or names a TOML file."""
    return text.endswith(".toml") or text in _files()


def nearest_name(text: str) -> str | None:
    """The device or link whose name looks most like `text`, or None when nothing is near."""
    return nearest(text, _files())


def file_of(name: str, *, packaged_only: bool = False) -> Path:
    """The file behind a name; the user's own before the package's. Raises UnknownName."""
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UnknownName("file", name, [str(p) for p in path.parent.glob("*.toml")])
        return path
    files = _packaged() if packaged_only else _files()
    folded = {known.lower().replace("-", "_"): path for known, path in files.items()}
    path_or_none = folded.get(name.lower().replace("-", "_"))
    if path_or_none is None:
        todo = "'epochlab measure' measures this machine. " if name == THIS else ""
        raise UnknownName("hardware", name, files, todo + "'epochlab list hardware' shows each; "
                          "a file of your own is named by its path, my.toml.")  # fmt: skip
    return path_or_none


def own_folder() -> Path | None:
    """The folder of the user's own files: EPOCHLAB_HARDWARE, else `hardware` in the user's cache.

    None for a user without a home. Raises BadOption where EPOCHLAB_HARDWARE names no folder.
    """
    if chosen := os.environ.get(VARIABLE):
        if not Path(chosen).is_dir():
            raise BadOption(
                f"{VARIABLE} is '{chosen}', which is not a folder. Name the folder that holds "
                "your TOML files, or unset the variable."
            )
        return Path(chosen)
    cache = cache_folder()
    return None if cache is None else cache / "hardware"


def _files() -> dict[str, Path]:
    """Name -> file of everything that is known."""
    own = own_folder()
    mine = [] if own is None else sorted(own.glob("*.toml"))
    return _packaged() | {path.stem: path for path in mine}


def _packaged() -> dict[str, Path]:
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


T = TypeVar("T")


def _of_kind(cls: type[T], word: str, found: Device | Link) -> T:
    if not isinstance(found, cls):
        allowed = ", ".join(n for n in names() if isinstance(load(n), cls))
        raise BadOption(f"'{found.name}' is a {found.kind}, not a {word}. Allowed: {allowed}.")
    return found


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One published or measured number, in the unit of its key, and who said it when."""

    value: float
    source: str
    date: str
    "2014, 2014-11 or 2014-11-17; 'read 2026-11' is when a source without a date was read"
    spread: float | None = None
    "of what was measured: distance of the quartiles over the median; None for what was published"

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise BadOption(f"the value is {self.value!r}; it must be a number.")
        if not math.isfinite(self.value) or self.value < 0:
            raise BadOption(f"the value is {self.value!r}; it must be finite and not negative.")
        if not isinstance(self.source, str) or not self.source.strip():
            raise BadOption(f"the source is {self.source!r}; it must say who published the figure.")
        if not isinstance(self.date, str) or not _is_date(self.date):
            raise BadOption(
                f"the date is {self.date!r}; it must be written 2026, 2026-11 or 2026-11-21, or "
                "'read 2026-11' for when a source without a date was read."
            )
        object.__setattr__(self, "value", float(self.value))
        if self.spread is not None:
            if isinstance(self.spread, bool) or not isinstance(self.spread, (int, float)):
                raise BadOption(f"the spread is {self.spread!r}; it must be a number.")
            if not math.isfinite(self.spread) or self.spread < 0:
                raise BadOption(f"the spread is {self.spread!r}; it must be finite and at least 0.")
            object.__setattr__(self, "spread", float(self.spread))


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What devices and links have in common."""

    name: str
    title: str
    "what it is, in a few words"
    note: str = ""
    "what one should know before using the figures"

    def __post_init__(self) -> None:
        for key, figure in self.figures().items():
            if figure.value == 0 and not key.startswith(_MAY_BE_ZERO):
                raise BadOption(f"'{self.name}': {key} is 0; it must be above 0.")

    def figures(self) -> Mapping[str, Figure]:
        """Key -> figure of everything that is known, in the order of declaration."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {key: value for key, value in found.items() if isinstance(value, Figure)}

    def _need(self, *keys: str) -> None:
        if not set(keys) & set(self.figures()):
            raise BadOption(f"'{self.name}' has no {' and no '.join(keys)}; one is needed.")


@dataclass(frozen=True, kw_only=True)
class OnThreads:
    """What was measured of a device with so many of its cores at work."""

    threads: int
    peak_fp32_flops_per_s: Figure
    peak_bf16_flops_per_s: Figure | None = None
    bandwidth_bytes_per_s: Figure
    launch_s: Figure | None = None

    def __post_init__(self) -> None:
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise BadOption(f"threads is {self.threads!r}; it must be a whole number, at least 1.")
        for key, figure in self.figures().items():
            if figure.value == 0:
                raise BadOption(f"{key} on {self.threads} threads is 0; it must be above 0.")

    def figures(self) -> dict[str, Figure]:
        """Key -> figure of what is known, under the keys of the device."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {key: value for key, value in found.items() if isinstance(value, Figure)}


@dataclass(frozen=True, kw_only=True)
class Device(_Facts):
    """A processor that computes: peaks per precision, memory, price of an hour.

    Peaks count a multiply-accumulate as two FLOP and are dense (no structured sparsity). A size
    that a source prints in GB is taken as 10**9 bytes.
    """

    kind: Literal["gpu", "cpu"]
    peak_fp32_flops_per_s: Figure | None = None
    "without tensor cores, where the source does not say at which clock"
    peak_fp32_base_flops_per_s: Figure | None = None
    "at base clock"
    peak_fp32_boost_flops_per_s: Figure | None = None
    "at boost clock"
    peak_tf32_tensor_flops_per_s: Figure | None = None
    peak_fp16_flops_per_s: Figure | None = None
    peak_bf16_flops_per_s: Figure | None = None
    peak_fp16_tensor_flops_per_s: Figure | None = None
    "fp16, and bf16 where the device has it and no peak_bf16 says otherwise"
    peak_fp8_tensor_flops_per_s: Figure | None = None
    bandwidth_bytes_per_s: Figure
    "of the device's own memory"
    memory_bytes: Figure | None = None
    launch_s: Figure | None = None
    "time of the smallest operator, what it does left out: call, dispatch, launch"
    clock_base_hz: Figure | None = None
    clock_boost_hz: Figure | None = None
    power_w: Figure | None = None
    price_usd_per_hour: Figure | None = None
    "on demand, the device without the machine around it"
    price_preemptible_usd_per_hour: Figure | None = None
    price_with_machine_usd_per_hour: Figure | None = None
    "on demand, with the machine in which it is rented"
    on_threads: tuple[OnThreads, ...] = ()
    "measured with fewer threads, in rising order; the figures above hold for all cores"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need("peak_fp32_flops_per_s", "peak_fp32_base_flops_per_s",
                   "peak_fp32_boost_flops_per_s")  # fmt: skip

    def with_threads(self, threads: int) -> Device:
        """The device with the figures measured on so many threads.

        Raises BadOption for a number of threads that was not measured.
        """
        for measured in self.on_threads:
            if measured.threads == threads:
                return replace(self, **measured.figures())  # type: ignore[arg-type] # by its name
        known = ", ".join(str(one.threads) for one in self.on_threads) or "none"
        raise BadOption(
            f"'{self.name}' has no figures for {threads} threads. Known: {known}. "
            "'epochlab measure' measures this machine for one thread, all cores, and between."
        )

    def peak(self, precision: Precision = "fp32", clock: Clock = "boost") -> Figure:
        """Peak FLOP per second; `clock` chooses where base and boost are both known.

        Where only one clock is known, it is that one. Raises BadOption for a precision of which
        no figure is known.

        >>> load_device("k80_board").peak(clock="base").value
        5600000000000.0
        """
        figures = self.figures()
        for key in (f"peak_{precision}_{clock}_flops_per_s", f"peak_{precision}_flops_per_s"):
            if key in figures:
                return figures[key]
        start = f"peak_{precision}_"
        other = [f for k, f in figures.items() if k in (f"{start}base_flops_per_s",
                                                        f"{start}boost_flops_per_s")]  # fmt: skip
        if other:
            return other[0]
        raise BadOption(
            f"No peak of '{self.name}' is known for {precision}. Known: "
            f"{', '.join(k for k in figures if k.startswith('peak_'))}."
        )


@dataclass(frozen=True, kw_only=True)
class Link(_Facts):
    """A connection between devices or machines: bandwidth and, where known, latency."""

    kind: Literal["link"] = "link"
    bandwidth_bytes_per_s: Figure | None = None
    "in one direction"
    bandwidth_both_directions_bytes_per_s: Figure | None = None
    "sum of the two directions, as the makers of NVLink print it"
    latency_s: Figure | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need("bandwidth_bytes_per_s", "bandwidth_both_directions_bytes_per_s")

    @property
    def one_way_bytes_per_s(self) -> float:
        """Bandwidth in one direction; half of what is published for both.

        >>> load_link("nvlink2").one_way_bytes_per_s
        150000000000.0
        """
        if self.bandwidth_bytes_per_s is not None:
            return self.bandwidth_bytes_per_s.value
        assert self.bandwidth_both_directions_bytes_per_s is not None
        return self.bandwidth_both_directions_bytes_per_s.value / 2
