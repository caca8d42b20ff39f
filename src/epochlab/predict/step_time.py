"""Seconds of one training step on named hardware: forward, backward, update, exchange of gradients.

Three models: "paleo" is PALEO with percent of peak; "roofline" is a lower bound by published peaks;
"calibrated" rests on operators that were timed on this machine, and has an interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.errors import BadOption
from epochlab.hardware import THIS, Clock, Device, Link, Precision, load_device, load_link
from epochlab.predict.bounds import LayerBound, roofline
from epochlab.predict.optimus_speed import check_count
from epochlab.predict.paleo.formulas import all_departures
from epochlab.predict.paleo.scaling import paleo_time
from epochlab.predict.paleo.timing import PercentOfPeak
from epochlab.predict.setting import (
    SHORT_SCHEMES,
    Setting,
    charged_device,
    charged_peaks,
    exchange_seconds,
)
from epochlab.predict.workload import Workload, counted_text, workload_of

if TYPE_CHECKING:
    from torch import nn

    from epochlab.networks import Network
    from epochlab.predict.paleo.layers import PaleoNetwork


def step_time(
    network: nn.Module | Network | PaleoNetwork | Workload,
    input_shape: tuple[int, ...] | None,
    device: Device | str,
    *,
    batch: int,
    workers: int = 1,
    link: Link | str | None = None,
    scheme: str = "ring",
    scaling: str = "weak",
    servers: int | None = None,
    per_node: int | None = None,
    inside: Link | str | None = None,
    model: str | None = None,
    percent_of_peak: PercentOfPeak | str | None = None,
    precision: Precision = "fp32",
    clock: Clock = "boost",
    revision: str = "master",
    threads: int | None = None,
) -> StepTime:
    """Seconds of one training step with plain gradient descent, and of its four parts.

    `input_shape` is one sample without the batch axis; None for what knows its own (a component, a
    Workload, PALEO's layers). With weak scaling `batch` is that of each worker, with strong scaling
    that of all together; a worker then has ceil(batch / workers). More than one worker needs a
    `link`; of the schemes, "parameter-servers" needs the number of `servers`, the hierarchical ones
    the workers `per_node` and the link `inside` a node. Exchanging gradients begins when the
    backward pass is done.

    `model` is "paleo", "roofline" or "calibrated", by default "calibrated" for the device "this"
    and "paleo" for every other one. `percent_of_peak` is a software of PALEO's authors (caffe,
    mxnet, tensorflow), "ideal", or a PercentOfPeak; by default tensorflow, and ideal for the
    roofline. `precision` chooses the peak, and the bytes of all stored numbers: 2 for fp16 and
    bf16. `clock` chooses where base and boost are known. `threads` is for this machine.

    Raises UnknownName for a name and BadOption for a number that is not allowed, BadData where this
    machine has not been calibrated, CannotTrace where the network does not run on the input.

        >>> from epochlab.networks.vgg import Vgg
        >>> step = step_time(Vgg(depth=16), None, "k80", batch=32, workers=4, link="ethernet10")
        >>> round(step.forward_s, 3), round(step.communication_s, 3), round(step.samples_per_s, 1)
        (0.394, 0.922, 61.0)
    """
    made = Setting(
        device=load_device(device) if isinstance(device, str) else device, batch=batch,
        workers=workers, link=load_link(link) if isinstance(link, str) else link,
        scheme=SHORT_SCHEMES.get(scheme, scheme), scaling=scaling, servers=servers,
        per_node=per_node, inside=load_link(inside) if isinstance(inside, str) else inside,
        model=model, percent=percent_of_peak, precision=precision, clock=clock, revision=revision,
        threads=threads,
    )  # fmt: skip
    return time_of(workload_of(network, input_shape), made)


@dataclass(frozen=True, kw_only=True)
class Passes:
    """What one worker does in a step, in seconds; no communication."""

    forward_s: float
    backward_s: float
    update_s: float
    low_s: float | None = None
    high_s: float | None = None
    parameters: int
    "numbers whose gradients are exchanged, as the model counts them"
    notes: tuple[str, ...] = ()

    @property
    def total_s(self) -> float:
        return self.forward_s + self.backward_s + self.update_s


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One training step as it is predicted. All times are seconds."""

    network: str
    device: str
    model: str
    batch: int
    "of each worker with weak scaling, of all together with strong scaling"
    own_batch: int
    "of one worker"
    workers: int
    link: str | None
    scheme: str
    servers: int | None
    scaling: str
    forward_s: float
    backward_s: float
    update_s: float
    communication_s: float
    one_worker_s: float
    "a step of one worker with `batch` samples"
    low_s: float | None = None
    "ends of the interval of the whole step; None where a model has none"
    high_s: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def step_s(self) -> float:
        """Forward, backward, update and communication, one after the other."""
        return self.forward_s + self.backward_s + self.update_s + self.communication_s

    @property
    def samples(self) -> int:
        """Samples of all workers in one step."""
        return self.batch * self.workers if self.scaling == "weak" else self.batch

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.step_s

    @property
    def speedup(self) -> float:
        """Strong scaling: T(1) / T(n); weak scaling: n T(1) / T(n)."""
        growth = self.workers if self.scaling == "weak" else 1
        return growth * self.one_worker_s / self.step_s

    @property
    def efficiency(self) -> float:
        """Speed-up per worker; with weak scaling that is T(1) / T(n)."""
        return self.speedup / self.workers

    @property
    def slowdown(self) -> float:
        """T(n) / T(1), by how much a step gets longer."""
        return self.step_s / self.one_worker_s

    def epoch_s(self, samples: int) -> float:
        """Seconds of one pass over `samples`; the last step counts whole, however few are left."""
        check_count("epoch_s", "samples", samples)
        return math.ceil(samples / self.samples) * self.step_s


# --- the models -----------------------------------------------------------------------------------


def time_of(workload: Workload, setting: Setting) -> StepTime:
    """A step by a complete setting; see `step_time`."""
    own = _passes(workload, setting, setting.own_batch)
    alone = _passes(workload, setting, setting.batch)
    size_bytes = setting.number_bytes * own.parameters
    exchange_s = exchange_seconds(setting, size_bytes, setting.workers)
    return StepTime(
        network=workload.name, device=setting.device.name, model=setting.chosen_model,
        batch=setting.batch, own_batch=setting.own_batch, workers=setting.workers,
        link=None if setting.link is None else setting.link.name, scheme=setting.scheme,
        servers=setting.servers, scaling=setting.scaling, forward_s=own.forward_s,
        backward_s=own.backward_s, update_s=own.update_s, communication_s=exchange_s,
        one_worker_s=alone.total_s + exchange_seconds(setting, size_bytes, 1),
        low_s=None if own.low_s is None else own.low_s + exchange_s,
        high_s=None if own.high_s is None else own.high_s + exchange_s, notes=own.notes,
    )  # fmt: skip


def _passes(workload: Workload, setting: Setting, batch: int) -> Passes:
    model = setting.chosen_model
    makers = {"paleo": _paleo, "roofline": _roofline, "calibrated": _calibrated}
    key = ("passes", model, setting.device, batch, setting.chosen_percent, setting.precision,
           setting.clock, setting.revision, setting.threads)  # fmt: skip
    return workload.kept(key, lambda: makers[model](workload, setting, batch))


def _paleo(workload: Workload, setting: Setting, batch: int) -> Passes:
    percent = setting.chosen_percent
    step = paleo_time(workload.paleo, device=charged_device(setting), batch=batch,
                      ppp_compute=percent.compute, revision=setting.revision)  # fmt: skip
    notes = [f"PALEO, revision {step.revision}, percent of peak {percent.compute:g} (computing), "
             f"{percent.communication:g} (communication)."]  # fmt: skip
    if step.without_cost:
        notes.append(f"PALEO charges nothing for: {counted_text(step.without_cost)}.")
    found = all_departures(workload.paleo.layers, step.revision)
    reasons = tuple(f"({text.partition(': ')[2]})" for text in found)
    if reasons:
        notes.append("Layers beyond PALEO's own program, and in how many each: "
                     f"{counted_text(reasons)}.")  # fmt: skip
    return Passes(forward_s=step.forward_s, backward_s=step.backward_s, update_s=step.update_s,
                  parameters=workload.paleo.parameters, notes=tuple(notes))  # fmt: skip


def roofline_rows(workload: Workload, setting: Setting, batch: int) -> tuple[LayerBound, ...]:
    """Bounds of each layer for a worker's batch, at the setting's percent of peak."""
    peak, bandwidth = charged_peaks(setting)
    return roofline(workload.cost(batch), peak_flops_per_s=peak, bandwidth_bytes_per_s=bandwidth,
                    number_bytes=setting.number_bytes)  # fmt: skip


def _roofline(workload: Workload, setting: Setting, batch: int) -> Passes:
    cost, percent, count = workload.cost(batch), setting.chosen_percent, workload.parameters
    peak, bandwidth = charged_peaks(setting)
    rows = roofline_rows(workload, setting, batch)
    notes = ["Roofline: by layer FLOP over peak or bytes over bandwidth, whichever is longer; a "
             "lower bound for software that runs layer by layer."]  # fmt: skip
    if percent.compute < 1:
        notes = [f"Roofline at percent of peak {percent.compute:g}, so no lower bound."]
    if cost.uncounted:
        named = sorted({u.operator for u in cost.uncounted})
        notes.append(f"Not counted: {', '.join(named)}.")
    return Passes(
        forward_s=math.fsum(row.forward.seconds for row in rows),
        backward_s=math.fsum(row.backward.seconds for row in rows),
        # Two operations and three transfers for each number, as in PALEO.
        update_s=max(2 * count / peak, 3 * setting.number_bytes * count / bandwidth),
        parameters=count, notes=tuple(notes),
    )  # fmt: skip


def _calibrated(workload: Workload, setting: Setting, batch: int) -> Passes:
    if setting.precision != "fp32":
        raise BadOption(f"The model 'calibrated' knows fp32 only, not '{setting.precision}'.")
    if workload.module is None:
        raise BadOption(f"{workload.name} is a list of layers in PALEO's terms; on '{THIS}' it "
                        "needs the model 'paleo'.")  # fmt: skip
    # Imported here: it needs what measures, which no other model does.
    from epochlab.predict import calibrated

    step: Any = calibrated.calibrated_step(
        workload.module, workload.input_shape, batch=batch, threads=setting.threads
    )
    return Passes(
        forward_s=step.forward_s, backward_s=step.backward_s, update_s=step.update_s,
        low_s=step.low_s, high_s=step.high_s, parameters=workload.parameters,
        notes=("Calibrated on operators timed on this machine; between low and high lie "
               f"{calibrated.COVERAGE:.0%} of the steps.",),
    )  # fmt: skip
