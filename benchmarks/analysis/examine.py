"""Has every counter count every architecture and every probe; a crash costs one number only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
import truth
from differences import explain
from forked import Outcome, Work, forked, forked_all
from peers import Counter, Said
from probes import Probe
from torch import nn
from zoo import Architecture

RIGHT = 0.01
"a count this close, as a share of the truth, is right"
NEAR = 0.05
LIMIT_S = 90.0
"most that one counter may take for one network"
WHOLE_LIMIT_S = 900.0


@dataclass
class Counted:
    """What one counter said, or why it said nothing."""

    macs: float | None
    reason: str
    wall_s: float
    parameters: float | None = None
    difference: str = ""


@dataclass
class Examined:
    """One architecture: the truth, and what every counter made of it."""

    name: str
    task: str
    truth: truth.Truth | None
    meta_reason: str
    "why a plain forward pass on the meta device fails; empty if it does not"
    cpu_macs: int | None
    "what the same definitions count in a real run"
    reason: str = ""
    "why the truth is not known"
    counts: dict[str, Counted] = field(default_factory=dict)

    def error(self, counter: str) -> float | None:
        """Relative error of a counter's number."""
        said = self.counts.get(counter)
        if said is None or said.macs is None or self.truth is None:
            return None
        return said.macs / self.truth.macs - 1

    def parameters_right(self, counter: str) -> bool | None:
        """Whether a counter that counts parameters has them exactly."""
        said = self.counts.get(counter)
        if said is None or said.parameters is None or self.truth is None:
            return None
        return said.parameters == self.truth.parameters

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def examine(
    architecture: Architecture, counters: Sequence[Counter], report: Callable[..., Any] = explain
) -> Examined:
    """To be called in a child process of its own; starts further ones."""
    # One thread: children could not use a pool of threads that they inherit only in part.
    torch.set_num_threads(1)

    def on_meta() -> truth.Truth:
        args, kwargs = architecture.inputs("meta")
        return truth.count(architecture.module("meta"), args, kwargs, attribute=True)

    meta = forked(on_meta, LIMIT_S)
    module = architecture.module("cpu")
    args, kwargs = architecture.inputs("cpu")
    real = forked(lambda: truth.count(module, args, kwargs, attribute=not meta.ok), LIMIT_S)
    known: truth.Truth | None = meta.value or real.value
    found = Examined(
        architecture.name, architecture.task, known, meta.reason,
        real.value.macs if real.ok else None, "" if known else real.reason,
    )  # fmt: skip
    if known is not None:
        known.device = "meta" if meta.ok else "cpu"
    for counter in counters:
        work = _work(counter, architecture, module)
        said = forked(work, LIMIT_S)
        found.counts[counter.name] = _counted(said, known, report)
    return found


def _work(counter: Counter, source: Architecture | Probe, module: nn.Module) -> Work:
    def count() -> Said:
        subject = source.module("meta") if counter.device == "meta" else module
        args, kwargs = source.inputs(counter.inputs or counter.device)
        return counter.count(subject, args, kwargs)

    return count


def _counted(outcome: Outcome, known: truth.Truth | None, report: Callable[..., Any]) -> Counted:
    result = _plain(outcome)
    macs = result.macs
    if macs is not None and known is not None and abs(macs - known.macs) > RIGHT * known.macs:
        result.difference = report(macs, known)
    return result


def _plain(outcome: Outcome) -> Counted:
    said = outcome.value or Said(0.0)
    # Some of them count in numbers of numpy, which JSON does not know.
    parameters = None if said.parameters is None else float(said.parameters)
    macs = float(said.macs) if outcome.ok else None
    return Counted(macs, outcome.reason, outcome.wall_s, parameters)


def examine_all(
    architectures: Sequence[Architecture], counters: Sequence[Counter], at_once: int
) -> Iterator[Examined]:
    """Each as soon as it is done; one whose process dies counts as not examined, with a reason."""
    works = {one.name: partial(examine, one, counters) for one in architectures}
    tasks = {one.name: one.task for one in architectures}
    for name, outcome in forked_all(works, WHOLE_LIMIT_S, at_once):
        if outcome.ok:
            yield outcome.value
        else:
            yield Examined(name, tasks[name], None, "", None, outcome.reason)


# --- probes ---------------------------------------------------------------------------------------


@dataclass
class Probed:
    """One probe: what it should cost, and what every counter said."""

    name: str
    macs: int
    working: str
    parameters: int
    oracle: str
    "empty when the definitions agree with the working, on both devices"
    counts: dict[str, Counted] = field(default_factory=dict)
    right: dict[str, bool] = field(default_factory=dict)


def probe_all(
    probes: Sequence[Probe], counters: Sequence[Counter], at_once: int
) -> Iterator[Probed]:
    """Each probe by each counter."""
    works = {one.name: partial(_probe, one, counters) for one in probes}
    by_name = {one.name: one for one in probes}
    for name, outcome in forked_all(works, WHOLE_LIMIT_S, at_once):
        probe = by_name[name]
        if outcome.ok:
            yield outcome.value
        else:
            yield Probed(name, probe.macs, probe.working, probe.parameters, outcome.reason)


def _probe(probe: Probe, counters: Sequence[Counter]) -> Probed:
    torch.set_num_threads(1)
    found = Probed(probe.name, probe.macs, probe.working, probe.parameters, _oracle(probe))
    module = probe.module("cpu")
    for counter in counters:
        said = forked(_work(counter, probe, module), LIMIT_S)
        found.counts[counter.name] = _plain(said)
        found.right[counter.name] = said.ok and probe.right(said.value.macs)
    return found


def _oracle(probe: Probe) -> str:
    """What the definitions say against the working, if anything."""

    def both() -> str:
        for device in ("meta", "cpu"):
            args, kwargs = probe.inputs(device)
            found = truth.count(probe.module(device), args, kwargs)
            if not probe.right(found.macs):
                return f"{found.macs} on {device}"
            if found.parameters != probe.parameters:
                return f"{found.parameters} parameters"
        return ""

    outcome = forked(both, LIMIT_S)
    return outcome.value if outcome.ok else outcome.reason
