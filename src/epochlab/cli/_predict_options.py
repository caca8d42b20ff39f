"""What `epochlab predict` was asked for, checked, and what it hands to the library."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from epochlab.errors import BadOption, UnknownName

if TYPE_CHECKING:
    from epochlab.hardware import Device, Link
    from epochlab.predict.paleo import PercentOfPeak
    from epochlab.predict.what_if import WhatIf
    from epochlab.predict.workload import Workload

BATCH = (32,)
WITHOUT_THIS = "t4,v100,a100"
MODELS = ("paleo", "roofline", "calibrated", "ideal")
AUTHORS = "paleo:"
"Before the name of a list of layers of PALEO's authors."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """The options that stand for several values, as values."""

    at_peak: bool
    "operations over peak, and nothing else"
    devices: tuple[str, ...]
    batches: tuple[int, ...]
    workers: tuple[int, ...]
    links: tuple[str, ...]
    schemes: tuple[str, ...]
    servers: tuple[int, ...]
    scalings: tuple[str, ...]


def asked(given: argparse.Namespace) -> Asked:
    """The options as values. Raises BadOption or UnknownName, before anything is predicted."""
    if given.model is not None and given.model not in MODELS:
        raise UnknownName("model", given.model, MODELS)
    _check_numbers(given)
    typed = given.flops is not None or given.macs is not None
    at_peak = given.model == "ideal" or (typed and given.model is None)
    said = Asked(
        at_peak=at_peak, devices=_words("on", given.on or _usual_devices()),
        batches=_counts("batch", given.batch) if given.batch is not None
        else (1,) if at_peak else BATCH,
        workers=_counts("workers", given.workers), links=_words("link", given.link),
        schemes=_words("scheme", given.scheme or ("servers" if given.servers else "ring")),
        servers=_counts("servers", given.servers), scalings=_words("scaling", given.scaling),
    )  # fmt: skip
    if at_peak:
        _check_peak(given, said)
    else:
        _check_steps(given, said)
    if given.peak is not None and len(said.devices) != 1:
        raise BadOption("--peak is the peak of one device; name one with --on.")
    return said


def _usual_devices() -> str:
    from epochlab.hardware import THIS, names

    return THIS if THIS in names() else WITHOUT_THIS


def _check_numbers(given: argparse.Namespace) -> None:
    for name in ("peak", "flops", "macs", "epochs"):
        value = getattr(given, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise BadOption(f"--{name} is {value:g}; it must be a finite number above 0.")
    for name in ("samples", "outputs", "per_node", "threads"):
        value = getattr(given, name)
        if value is not None and value < 1:
            raise BadOption(f"--{name.replace('_', '-')} is {value}; it must be at least 1.")


def _check_peak(given: argparse.Namespace, said: Asked) -> None:
    if given.flops is not None and given.macs is not None:
        raise BadOption("--flops and --macs are the same operations counted in two ways; give one.")
    if given.network is None and given.flops is None and given.macs is None:
        raise BadOption("Name a network, or give the operations of one sample: --flops 30.94e9.")
    for name in ("layers", "figure", "samples", "epochs", "link", "scheme", "servers", "ppp"):
        if getattr(given, name):
            raise BadOption(f"--{name} has no meaning with operations over peak; leave out "
                            "--model ideal, --flops and --macs for a whole step.")  # fmt: skip
    if said.workers != (1,):
        raise BadOption("--workers has no meaning with operations over peak.")


def _check_steps(given: argparse.Namespace, said: Asked) -> None:
    if given.flops is not None or given.macs is not None:
        raise BadOption(f"--flops and --macs are for --model ideal, not for {given.model}, which "
                        "needs the layers of a network.")  # fmt: skip
    if given.network is None:
        raise BadOption("Name a network, such as epochlab predict vgg16 --on k80; 'epochlab list "
                        "networks' shows them.")  # fmt: skip
    if given.threads is not None and "this" not in said.devices:
        raise BadOption("--threads is for this machine: --on this, once 'epochlab measure' has "
                        "measured it.")  # fmt: skip
    if given.epochs is not None and given.samples is None:
        raise BadOption("--epochs needs --samples, the number of samples in an epoch.")
    with_servers = {"servers", "parameter-servers"} & set(said.schemes)
    needs_link = max(said.workers) > 1 or with_servers
    if needs_link and not said.links:
        from epochlab.predict.setting import link_names

        what = "--scheme servers" if with_servers else f"--workers {given.workers}"
        raise BadOption(f"{what} needs --link, over which gradients are exchanged: "
                        f"{', '.join(link_names())}.")  # fmt: skip
    if with_servers and not said.servers:
        raise BadOption("--scheme servers needs --servers, their number, such as --servers 2.")
    if said.servers and not with_servers:
        raise BadOption(f"--servers is for --scheme servers, not for {', '.join(said.schemes)}.")
    nested = [s for s in said.schemes if s.startswith("hierarchical")]
    if nested and max(said.workers) > 1 and (given.per_node is None or given.inside is None):
        raise BadOption(f"--scheme {nested[0]} needs --per-node, the workers of one node, and "
                        "--inside, the link that connects them, such as --per-node 8 --inside "
                        "nvlink2.")  # fmt: skip
    if given.layers:
        several = {"on": said.devices, "batch": said.batches, "workers": said.workers,
                   "scaling": said.scalings}  # fmt: skip
        for name, values in several.items():
            if len(values) > 1:
                raise BadOption(f"--layers shows one combination; give one value to --{name}.")


def _words(name: str, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    found = tuple(word.strip() for word in text.split(","))
    if not all(found):
        raise BadOption(f"--{name} is '{text}'; write names with commas between them.")
    return tuple(dict.fromkeys(found))


def _counts(name: str, text: str | None) -> tuple[int, ...]:
    words = _words(name, text)
    if not all(re.fullmatch(r"[1-9]\d{0,11}", word) for word in words):
        raise BadOption(f"--{name} is '{text}'; it must be a whole number above 0, or several with "
                        "commas between them, such as 8,32,128.")  # fmt: skip
    return tuple(map(int, words))


# --- hardware and network -------------------------------------------------------------------------


def devices_of(given: argparse.Namespace, said: Asked) -> list[Device]:
    """The devices that were named, with the peak that was given, if one was."""
    from epochlab.hardware import Figure, load_device

    devices = [load_device(name) for name in said.devices]
    if given.peak is None:
        return devices
    figure = Figure(value=given.peak, source="--peak on the command line",
                    date=datetime.date.today().isoformat())  # fmt: skip
    clocked = ("base", "boost") if given.precision == "fp32" else ()
    changed: dict[str, Any] = {f"peak_fp32_{clock}_flops_per_s": None for clock in clocked}
    changed[f"peak_{given.precision}_flops_per_s"] = figure
    return [dataclasses.replace(device, **changed) for device in devices]


def workload_named(given: argparse.Namespace) -> Workload:
    """The network that was named, and its input. Raises UserError for what cannot be."""
    from epochlab.predict.workload import workload_of

    if given.network.startswith(AUTHORS):
        from epochlab.predict.paleo import paleo_network

        if given.input or given.outputs:
            raise BadOption(f"{given.network} is a list of layers for one input; leave out "
                            "--input and --outputs.")  # fmt: skip
        return workload_of(paleo_network(given.network.removeprefix(AUTHORS)))
    from epochlab.cost.loading import find_network

    found = find_network(given.network)
    shape = _shape(given)
    if found.component is None:
        if given.outputs is not None:
            raise BadOption(f"--outputs is for components; {given.network} is not one and decides "
                            "itself.")  # fmt: skip
        if shape is None:
            raise BadOption(f"{given.network} is a network of your own, so say what one sample "
                            "looks like, without the batch axis: --input 3x224x224.")  # fmt: skip
    module = found.build(shape, given.outputs)
    return workload_of(module, shape or found.natural_input, name=found.name)


def _shape(given: argparse.Namespace) -> tuple[int, ...] | None:
    from epochlab.cli._networks import parsed_input

    inputs = [parsed_input(text) for text in given.input]
    if not inputs:
        return None
    if len(inputs) > 1 or inputs[0].name or inputs[0].dtype != "float32":
        raise BadOption("A prediction is of a network that takes one input of plain numbers: write "
                        "the shape of one sample, such as --input 3x224x224.")  # fmt: skip
    return inputs[0].shape


def predicted(workload: Workload, given: argparse.Namespace, said: Asked) -> WhatIf:
    """Every combination that was asked for."""
    from epochlab.hardware import load_link
    from epochlab.predict.what_if import what_if

    settings: dict[str, Any] = {} if given.clock is None else {"clock": given.clock}
    devices = devices_of(given, said)
    links: list[Link | None] = [load_link(name) for name in said.links]
    inside = None if given.inside is None else load_link(given.inside)
    with _progress() as tell:
        return what_if(
            workload, devices, batches=said.batches, workers=said.workers, links=links or [None],
            schemes=said.schemes, servers=said.servers or (None,), scalings=said.scalings,
            samples=given.samples, epochs=given.epochs or 1, price=given.price, tell=tell,
            model=given.model, percent=_percent(given.ppp), precision=given.precision,
            revision=given.revision, threads=given.threads, per_node=given.per_node, inside=inside,
            **settings,
        )  # fmt: skip


def _percent(text: str | None) -> PercentOfPeak | None:
    """'tensorflow', or '0.62,0.72'; one number stands for both."""
    from epochlab.predict.paleo import PercentOfPeak
    from epochlab.predict.setting import percent_named

    if text is None:
        return None
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        return percent_named(text)
    if len(numbers) > 2:
        raise BadOption(f"--ppp is '{text}'; write one number, or two for computing and "
                        "communication: 0.62,0.72.")  # fmt: skip
    return PercentOfPeak(compute=numbers[0], communication=numbers[-1], source="--ppp")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal: what is predicted, and how long all of it will still take."""
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("predicting"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.description}"),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, completed=share, description=what)
