"""Tables of what a training would take and cost: batch, device, workers, servers, link, and price.

Where time and price are both known, the Pareto front is marked: the choices that no other one beats
in time and in dollars at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import THIS, Device, Figure, Link
from epochlab.predict.optimus_speed import check_count
from epochlab.predict.setting import SERVERS, SHORT_SCHEMES, Setting
from epochlab.predict.step_time import StepTime, time_of
from epochlab.predict.workload import Workload
from epochlab.table import Column, Table
from epochlab.units import bytes_text, si_text

Price = Literal["on-demand", "preemptible", "with-machine"]
PRICES: tuple[Price, ...] = get_args(Price)
_PRICE_KEYS: dict[str, str] = {
    "on-demand": "price_usd_per_hour", "preemptible": "price_preemptible_usd_per_hour",
    "with-machine": "price_with_machine_usd_per_hour",
}  # fmt: skip
MILLION = 1_000_000
"Samples for which time and price are told where the data's number is not given."


def what_if(
    workload: Workload,
    devices: Sequence[Device],
    *,
    batches: Sequence[int],
    workers: Sequence[int] = (1,),
    links: Sequence[Link | None] = (None,),
    schemes: Sequence[str] = ("ring",),
    servers: Sequence[int | None] = (None,),
    scalings: Sequence[str] = ("weak",),
    samples: int | None = None,
    epochs: float = 1,
    price: str = "on-demand",
    threads: int | None = None,
    tell: Callable[[str, float], None] | None = None,
    **settings: Any,
) -> WhatIf:
    """Every combination of the choices, predicted; `settings` are those of `step_time`.

    `samples` and `epochs` say how much is trained; without them times and prices are for a million
    samples. `price` is one of PRICES. Numbers of servers count for the scheme "parameter-servers"
    alone, and `threads` for this machine. `tell` is told what is under way, and the share of the
    combinations that is done.

    Raises what `step_time` raises; a network that does not fit into a device's memory is no error,
    its row says so.
    """
    if price not in PRICES:
        raise UnknownName("price", price, PRICES)
    if samples is not None:
        check_count("what_if", "samples", samples)
    if not (isinstance(epochs, (int, float)) and math.isfinite(epochs) and epochs > 0):
        raise BadOption(f"what_if: epochs is {epochs!r}; it must be a finite number above 0.")
    chosen: dict[Setting, None] = {}
    for device, batch, scaling, link, scheme, servers_used, number in itertools.product(
        devices, batches, scalings, links, schemes, servers, workers
    ):
        used = SHORT_SCHEMES.get(scheme, scheme)
        chosen[Setting(device=device, batch=batch, scaling=scaling, link=link, scheme=used,
                       servers=servers_used if used == SERVERS else None, workers=number,
                       threads=threads if device.name == THIS else None, **settings,
                       )] = None  # fmt: skip
    choices: list[Choice] = []
    for setting in chosen:
        if tell is not None:
            tell(f"{setting.device.name}, batch {setting.batch}", len(choices) / len(chosen))
        choices.append(_choice(workload, setting, price))
    return WhatIf(network=workload.name, choices=tuple(choices), samples=samples, epochs=epochs,
                  price=price)  # fmt: skip


def _choice(workload: Workload, setting: Setting, price: str) -> Choice:
    step = time_of(workload, setting)
    known: dict[str, Any] = {"number_bytes": setting.number_bytes,
                             "workspace": setting.device.kind == "cpu"}  # fmt: skip
    room = setting.device.memory_bytes
    return Choice(
        setting=setting, step=step, price=getattr(setting.device, _PRICE_KEYS[price]),
        needed_bytes=workload.step_memory_bytes(setting.own_batch, **known),
        largest_batch=None if room is None else workload.largest_batch(int(room.value), **known),
    )  # fmt: skip


def on_front(points: Sequence[tuple[float, float] | None]) -> list[bool]:
    """Which points no other one beats: none is at most as large in both and smaller in one.

    None is a point that takes no part.

        >>> on_front([(1, 5), (2, 3), (3, 3), None, (4, 1)])
        [True, True, False, False, True]
    """
    there = {point for point in points if point is not None}
    front = {
        p for p in there if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in there)
    }  # fmt: skip
    return [point in front for point in points]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One combination: its step, the memory that it needs, and the price of a device."""

    setting: Setting
    step: StepTime
    price: Figure | None
    needed_bytes: int | None
    "by a training step of one worker; None where it is not known"
    largest_batch: int | None
    "that fits into one device; 0 for none, None where it is not known"

    @property
    def fits(self) -> bool | None:
        """None where the need or the memory is not known."""
        room = self.setting.device.memory_bytes
        if room is None or self.needed_bytes is None:
            return None
        return self.needed_bytes <= room.value

    def fit_text(self) -> str | None:
        """'fits', or 'needs 14.2 GB of 12 GB'."""
        room = self.setting.device.memory_bytes
        if self.fits is None or room is None or self.needed_bytes is None:
            return None
        short = f"needs {bytes_text(self.needed_bytes)} of {bytes_text(room.value)}"
        return "fits" if self.fits else short

    def seconds(self, samples: int | None, epochs: float) -> float:
        """Of all epochs; of a million samples where their number is None."""
        if samples is None:
            return MILLION / self.step.samples_per_s
        return epochs * self.step.epoch_s(samples)

    def dollars(self, seconds: float) -> float | None:
        """Workers times price times hours; None where there is no price. Servers cost nothing."""
        if self.price is None:
            return None
        return self.step.workers * self.price.value * seconds / 3600


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """Predicted choices, and how much is to be trained."""

    network: str
    choices: tuple[Choice, ...]
    samples: int | None
    epochs: float
    price: str

    @property
    def best(self) -> list[bool]:
        """The Pareto front of time and dollars, among what is known to have room or may have it."""
        points = []
        for choice in self.choices:
            seconds = choice.seconds(self.samples, self.epochs)
            dollars = choice.dollars(seconds)
            part = dollars is not None and choice.fits is not False
            points.append((seconds, dollars) if part and dollars is not None else None)
        return on_front(points)

    def table(self) -> Table:
        """One row per choice; columns that say the same in all rows go into the notes or away."""
        best, rows = self.best, []
        for choice, marked in zip(self.choices, best, strict=True):
            rows.append({**self._row(choice), "best": "*" if marked else ""})
        columns = [c for c in self._columns() if self._is_shown(c.name, rows)]
        return Table.of(
            f"{self.network}: a training step", rows, columns=columns, label="predicted",
            name=f"{self.network}-step-time", notes=self.notes(),
        )  # fmt: skip

    def _is_shown(self, name: str, rows: list[dict[str, Any]]) -> bool:
        different = {row[name] for row in rows}
        if name == "best":
            priced = [c for c in self.choices if c.price is not None]
            return len(rows) > 1 and bool(priced)
        if name in ("link", "scheme", "servers", "scaling", "model"):
            return len(different) > 1
        if name in ("communication", "speed-up", "efficiency", "slowdown", "workers"):
            return any(c.step.workers > 1 or c.step.communication_s for c in self.choices) and (
                different != {None})  # fmt: skip
        if name == "per worker":
            return any(c.step.own_batch != c.step.batch for c in self.choices)
        optional = ("low", "high", "epoch", "memory", "fit", "largest batch")
        return name not in optional or different != {None}

    def _columns(self) -> list[Column]:
        several = self.samples is not None
        return [
            *map(_plain, ("device", "model", "batch", "scaling", "workers", "per worker", "link",
                          "scheme", "servers")),
            *(Column(name=n, unit="ms", format=",.2f") for n in
              ("forward", "backward", "update", "communication", "step", "low", "high")),
            Column(name="samples/s", format=",.1f"), Column(name="speed-up", format=".2f"),
            Column(name="efficiency", format=".1%"), Column(name="slowdown", format=".3f"),
            Column(name="epoch", unit="s", format=",.1f"),
            Column(name="training" if several else "a million samples", unit="s", format=",.0f"),
            Column(name="memory", unit="GB", format=",.2f"), _plain("fit"),
            Column(name="largest batch", format=","),
            Column(name="cost", unit="USD", format=",.2f"), _plain("best"),
        ]  # fmt: skip

    def _row(self, choice: Choice) -> dict[str, Any]:
        step = choice.step
        seconds = choice.seconds(self.samples, self.epochs)
        needed = choice.needed_bytes
        return {
            "device": step.device, "model": step.model, "batch": step.batch,
            "scaling": step.scaling, "workers": step.workers, "per worker": step.own_batch,
            "link": step.link, "scheme": step.scheme, "servers": step.servers,
            "forward": 1000 * step.forward_s, "backward": 1000 * step.backward_s,
            "update": 1000 * step.update_s, "communication": 1000 * step.communication_s,
            "step": 1000 * step.step_s, "low": _milliseconds(step.low_s),
            "high": _milliseconds(step.high_s), "samples/s": step.samples_per_s,
            "speed-up": step.speedup, "efficiency": step.efficiency,
            "slowdown": step.slowdown if step.scaling == "weak" else None,
            "epoch": None if self.samples is None else step.epoch_s(self.samples),
            "training": seconds, "a million samples": seconds,
            "memory": None if needed is None else needed / 1e9, "fit": choice.fit_text(),
            "largest batch": choice.largest_batch, "cost": choice.dollars(seconds),
        }  # fmt: skip

    # --- what a reader must know ------------------------------------------------------------------

    def notes(self) -> tuple[str, ...]:
        """The models, the devices with source and date, and what is counted how."""
        settings = [choice.setting for choice in self.choices]
        notes = [note for choice in self.choices for note in choice.step.notes]
        notes += [self._device_note(choice) for choice in self.choices]
        notes += [_link_note(s.link) for s in settings if s.link is not None]
        notes.append("FLOP: 2 per multiply-accumulate. A step is forward, backward, update with "
                     "plain SGD and communication, one after the other.")  # fmt: skip
        notes.append(self._amount_note())
        if any(s.workers > 1 for s in settings):
            notes.append(self._scaling_note())
        if any(c.needed_bytes is not None for c in self.choices):
            where = {s.device.kind for s in settings}
            gpus = " On GPUs it is of tensors alone, which is less than they need."
            notes.append("Memory is the most that a training step holds, by epochlab's count for "
                         "PyTorch, with cross-entropy or else the mean of the outputs as "
                         "the loss." + (gpus if "gpu" in where else ""))  # fmt: skip
        if len(self.choices) > 1 and any(self.best):
            notes.append("best: no other row with a price that fits takes less time without being "
                         "dearer, nor costs less without taking longer.")  # fmt: skip
        return tuple(dict.fromkeys(notes))

    def _device_note(self, choice: Choice) -> str:
        setting = choice.setting
        threads = setting.threads
        if choice.step.model == "calibrated":
            cores = "" if threads is None else f", {threads} thread{'s' * (threads > 1)}"
            priced = "no price known" if choice.price is None else (
                f"{choice.price.value:g} USD per hour")  # fmt: skip
            return f"{setting.device.name}: this machine{cores}; {priced} ({self.price})."
        device = setting.figures
        peak = device.peak(setting.precision, setting.clock)
        bandwidth = si_text(device.bandwidth_bytes_per_s.value, "B/s", 4)
        figures = (f"{device.name}: {si_text(peak.value, 'FLOP/s', 4)} ({setting.precision}) and "
                   f"{bandwidth}, {peak.date}")  # fmt: skip
        if choice.price is None:
            return f"{figures}; no price known ({self.price})."
        return (f"{figures}; {choice.price.value:g} USD per hour ({self.price}), "
                f"{choice.price.date}.")  # fmt: skip

    def _amount_note(self) -> str:
        if self.samples is None:
            return "Cost is for a million samples: workers times price times hours."
        several = len({c.step.samples for c in self.choices}) > 1
        return (
            f"{self.epochs:g} epoch{'s' * (self.epochs != 1)} of {self.samples:,} samples; the "
            "last step of an epoch counts whole. Cost is workers times price times hours."
            + (" Larger batches may need more epochs for the same accuracy." if several else "")
        )

    def _scaling_note(self) -> str:
        used = {c.step.scaling for c in self.choices}
        parts = []
        if "weak" in used:
            parts.append("Weak scaling: each worker has the batch; speed-up n t1/tn, efficiency "
                         "t1/tn, slowdown tn/t1.")  # fmt: skip
        if "strong" in used:
            parts.append("Strong scaling: the workers share the batch; speed-up S = T(1)/T(n), "
                         "efficiency S/n.")  # fmt: skip
        if any(c.step.scheme == SERVERS for c in self.choices):
            parts.append(
                "Parameter servers are other machines and not in the cost; one worker "
                "alone has them as well."
            )
        scheme = {c.step.scheme for c in self.choices}
        if len(scheme) == 1:
            parts.append(f"Gradients are exchanged by '{scheme.pop()}'.")
        return " ".join(parts)


def _link_note(link: Link) -> str:
    figures = next(iter(link.figures().values()))
    latency = "" if link.latency_s is None else f", latency {1e6 * link.latency_s.value:g} us"
    bandwidth = si_text(link.one_way_bytes_per_s, "B/s", 4)
    return f"{link.name}: {bandwidth} in one direction{latency}, {figures.date}."


def _plain(name: str) -> Column:
    return Column(name=name)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
