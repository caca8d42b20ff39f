"""On what a step is predicted, by which model, and how its workers exchange gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import THIS, Clock, Device, Link, Precision, load, names
from epochlab.predict.bounds import CLOCKS, NUMBER_BYTES, PRECISIONS
from epochlab.predict.collectives import SCHEMES as COLLECTIVES
from epochlab.predict.collectives import Channel, all_reduce_seconds
from epochlab.predict.optimus_speed import check_count
from epochlab.predict.paleo.formulas import REVISIONS
from epochlab.predict.paleo.scaling import SCALINGS
from epochlab.predict.paleo.timing import (
    SOFTWARE,
    TENSORFLOW,
    PaleoDevice,
    PercentOfPeak,
    device_of,
)

Model = Literal["paleo", "roofline", "calibrated"]
MODELS: tuple[Model, ...] = get_args(Model)
IDEAL = PercentOfPeak(source="the peak itself")
SERVERS = "parameter-servers"
SCHEMES = (*COLLECTIVES, "butterfly-mixing")
SHORT_SCHEMES = {"servers": SERVERS}
"Short names of schemes."


def percent_named(name: str) -> PercentOfPeak:
    """The percent of peak of a software, or of 'ideal'. Raises UnknownName."""
    known = {**SOFTWARE, "ideal": IDEAL}
    if name.lower() not in known:
        raise UnknownName("percent of peak", name, known, "Or give two numbers, for computing and "
                          "for communication: 0.62 and 0.72.")  # fmt: skip
    return known[name.lower()]


def link_names() -> list[str]:
    """Names of all links that are known."""
    return [name for name in names() if isinstance(load(name), Link)]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """On what, with how many samples and workers, and by which model a step is predicted."""

    device: Device
    batch: int
    "of each worker with weak scaling, of all together with strong scaling"
    workers: int = 1
    link: Link | None = None
    scheme: str = "ring"
    scaling: str = "weak"
    servers: int | None = None
    per_node: int | None = None
    inside: Link | None = None
    model: str | None = None
    percent: PercentOfPeak | str | None = None
    precision: Precision = "fp32"
    clock: Clock = "boost"
    revision: str = "master"
    threads: int | None = None

    def __post_init__(self) -> None:
        check_count("A prediction", "batch", self.batch)
        check_count("A prediction", "workers", self.workers)
        for kind, given, allowed in (
            ("scheme of communication", self.scheme, (*SCHEMES, *SHORT_SCHEMES)),
            ("scaling", self.scaling, SCALINGS), ("model", self.chosen_model, MODELS),
            ("precision", self.precision, PRECISIONS), ("clock", self.clock, CLOCKS),
            ("revision of PALEO", self.revision, REVISIONS),
        ):  # fmt: skip
            if given not in allowed:
                raise UnknownName(kind, given, allowed)
        if self.chosen_model == "calibrated" and self.device.name != THIS:
            raise BadOption(
                f"'{self.device.name}' cannot be predicted by the model 'calibrated', which rests "
                "on operators timed on this machine. Choose 'paleo' or 'roofline', or the device "
                f"'{THIS}'."
            )
        if self.link is None and (self.workers > 1 or self.scheme == SERVERS):
            raise BadOption(
                f"{self.workers} worker{'s' * (self.workers > 1)} with the scheme '{self.scheme}' "
                f"need a link over which they exchange gradients: {', '.join(link_names())}."
            )

    @property
    def chosen_model(self) -> str:
        return self.model or ("calibrated" if self.device.name == THIS else "paleo")

    @property
    def chosen_percent(self) -> PercentOfPeak:
        if isinstance(self.percent, str):
            return percent_named(self.percent)
        if self.percent is not None:
            return self.percent
        return IDEAL if self.chosen_model == "roofline" else TENSORFLOW

    @property
    def own_batch(self) -> int:
        """Samples of one worker in a step."""
        return self.batch if self.scaling == "weak" else math.ceil(self.batch / self.workers)

    @property
    def figures(self) -> Device:
        """The device with the figures of so many threads."""
        return self.device if self.threads is None else self.device.with_threads(self.threads)

    @property
    def number_bytes(self) -> int:
        """Of every stored number."""
        return NUMBER_BYTES[self.precision]


# --- figures that count ---------------------------------------------------------------------------


def charged_device(setting: Setting) -> PaleoDevice:
    """What PALEO is told of a device: the peak of the precision, and numbers of its bytes.

    PALEO's numbers have 4 bytes; where they have 2, the bandwidth is twice as large instead.
    """
    figures = setting.figures
    base = device_of(figures, setting.clock)
    if setting.precision == "fp32":
        return base
    return replace(
        base, peak_flops_per_s=figures.peak(setting.precision, setting.clock).value,
        bandwidth_bytes_per_s=base.bandwidth_bytes_per_s * 4 / setting.number_bytes,
    )  # fmt: skip


def charged_peaks(setting: Setting) -> tuple[float, float]:
    """FLOP per second and bytes per second that count."""
    figures, percent = setting.figures, setting.chosen_percent.compute
    peak = figures.peak(setting.precision, setting.clock).value
    return peak * percent, figures.bandwidth_bytes_per_s.value * percent


# --- exchange of gradients ------------------------------------------------------------------------


def exchange_seconds(setting: Setting, size_bytes: float, workers: int) -> float:
    """Seconds in which `workers` exchange `size_bytes` of gradients by the setting's scheme.

    The link's bandwidth counts at the percent of peak, its latency as it is. A node has no more
    workers than there are.
    """
    percent = setting.chosen_percent.communication
    if workers == 1 and setting.scheme != SERVERS:
        return 0.0
    assert setting.link is not None
    over = _channel(setting.link, percent)
    if setting.scheme == "butterfly-mixing":
        return over.send(size_bytes)
    return all_reduce_seconds(
        setting.scheme, size_bytes, workers, over, servers=setting.servers,
        per_node=None if setting.per_node is None else min(setting.per_node, workers),
        inside=None if setting.inside is None else _channel(setting.inside, percent),
    )  # fmt: skip


def _channel(link: Link, percent: float) -> Channel:
    return Channel(bandwidth_bytes_per_s=link.one_way_bytes_per_s * percent,
                   latency_s=0.0 if link.latency_s is None else link.latency_s.value)  # fmt: skip
