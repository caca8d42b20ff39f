"""Measure this machine's peaks, or how long a network takes: whole, layer by layer, in training."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from epochlab.cli._drawing import FIGURE_ENDINGS, check_figure, save_figure
from epochlab.cli._fitting import fitted_text, terminal_columns
from epochlab.cli._networks import INPUT_HELP, NAMING, Subject, subject_of
from epochlab.cli._options import Parser, add_format, show
from epochlab.errors import BadOption
from epochlab.table import Table

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.cost import Cost
    from epochlab.evidence import Figure
    from epochlab.hardware import Device
    from epochlab.measure import LayersTiming
    from epochlab.measure.timing import Tell

EXAMPLE = """
Without NETWORK, the machine itself is measured and saved as the device 'this', which predictions
and percents of peak refer to.

example:
  epochlab measure
  epochlab measure --calibrate --threads 1
  epochlab measure resnet20 --batch 32 --training
  epochlab measure vgg16 --layers --threads 1 --figure roofline.svg
"""
PARTS = ("layers", "kinds", "difference")
# Left out of a text table that is too wide, in this order.
EXPENDABLE = {
    "layers": ("not synchronised", "backward alone", "FLOP per byte", "state", "GFLOP/s", "kind"),
    "kinds": ("GFLOP", "layers", "FLOP per byte"),
    "difference": (),
    "passes": ("disturbed", "samples", "lower", "upper"),
    "operators": ("lowest of peak", "highest of peak", "median spread", "shortest", "longest"),
    "device": ("value", "source", "date"),
}  # fmt: skip
LIMIT_S = 10.0
REDRAW_S = 0.5


def main(words: list[str]) -> None:
    """`epochlab measure [NETWORK]`."""
    parser = Parser("measure", (__doc__ or "") + NAMING + EXAMPLE)
    parser.add_argument("network", metavar="NETWORK", nargs="?", help="see above; without it, the "
                        "machine is measured")  # fmt: skip
    parser.add_argument("--input", action="append", default=[], metavar="SHAPE", help=INPUT_HELP)
    parser.add_argument("--batch", type=int, metavar="N", help="samples in the batch (1)")
    parser.add_argument("--outputs", type=int, metavar="N",
                        help="classes of a component, else those it is known for")  # fmt: skip
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use (all; without "
                        "NETWORK 1, 2, 4 ... and all)")  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it runs")
    parser.add_argument("--training", action="store_true", help="also forward and backward, and "
                        "the whole training step")  # fmt: skip
    parser.add_argument("--layers", action="store_true", help="layer by layer: in place, alone, "
                        "percent of peak, and why the sum is not the whole")  # fmt: skip
    parser.add_argument("--part", choices=PARTS, help="with --layers: only this table")
    parser.add_argument("--calibrate", action="store_true", help="time over a thousand operators "
                        "and some networks, for calibrated predictions; takes minutes")  # fmt: skip
    parser.add_argument("--time-limit", type=float, default=None, metavar="S", help="seconds for "
                        f"each quantity ({LIMIT_S:g} for a network)")  # fmt: skip
    parser.add_argument("--figure", metavar="FILE", help="with --layers: draw the layers under "
                        "this machine's roof; the ending decides the format: "
                        f"{', '.join(e[1:] for e in FIGURE_ENDINGS)}")  # fmt: skip
    add_format(parser)
    given = parser.parse_strictly(words)
    _check(given)
    if given.network is None:
        (_calibrate if given.calibrate else _machine)(given)
    elif given.layers:
        _by_layer(given, shlex.join(["epochlab", "measure", *words]))
    else:
        _passes(given)


def _check(given: argparse.Namespace) -> None:
    """Options that need or exclude one another. Raises BadOption."""
    if given.time_limit is not None and not given.time_limit > 0:
        raise BadOption(f"--time-limit is {given.time_limit:g}; it must be above 0.")
    for needs in ("part", "figure"):
        if getattr(given, needs) and not given.layers:
            raise BadOption(f"--{needs} shows layers; give --layers as well.")
    if given.network is None:
        of_networks = ("input", "batch", "outputs", "training", "layers")
        for name in of_networks:
            if getattr(given, name):
                raise BadOption(f"--{name} is for a network, and none is named: for example "
                                f"epochlab measure resnet20 --{name} ...")  # fmt: skip
    elif given.calibrate:
        raise BadOption("--calibrate times operators of its own choice; leave NETWORK out.")
    if given.calibrate and given.device != "cpu":
        raise BadOption("--calibrate is for the CPU.")
    check_figure(given.figure)
    from epochlab.measure.stopwatch import check_threads, stopwatch_for

    if given.threads is not None:
        check_threads(given.threads)
    stopwatch_for(given.device)


# --- the machine ----------------------------------------------------------------------------------


def _machine(given: argparse.Namespace) -> None:
    from epochlab.hardware._tables import every_figure
    from epochlab.measure import Effort, measure_peaks, save_device

    effort = None
    if given.time_limit is not None:
        effort = Effort(limit_s=given.time_limit, least=6, sample_s=5e-3)
    counts = None if given.threads is None else [given.threads]
    with _progress() as tell:
        device = measure_peaks(threads=counts, device=given.device, effort=effort, tell=tell)
    path = save_device(device)
    _print(every_figure(device), "device", given)
    if given.format == "text":
        print(f"Saved: {path}")
        print(f"Next: epochlab show {device.name}\n"
              "      epochlab measure resnet20 --layers\n"
              "      epochlab measure --calibrate --threads 1")  # fmt: skip


def _calibrate(given: argparse.Namespace) -> None:
    import dataclasses

    from epochlab.measure import calibrate, device_here, save_calibration
    from epochlab.measure.operators import EFFORT
    from epochlab.measure.tables import calibration_table

    effort = EFFORT
    if given.time_limit is not None:
        effort = dataclasses.replace(EFFORT, limit_s=given.time_limit)
    with _progress() as tell:
        found = calibrate(threads=given.threads, effort=effort, tell=tell)
    path = save_calibration(found)
    _print(calibration_table(found, device_here(found.threads)), "operators", given)
    if given.format == "text":
        print(f"Saved: {path}")
        print("Next: epochlab predict resnet20 --on this --batch 32")


# --- a network ------------------------------------------------------------------------------------


def _passes(given: argparse.Namespace) -> None:
    from epochlab.cost import trace
    from epochlab.measure import time_forward, time_training
    from epochlab.measure.tables import passes_table

    subject, inputs = _subject(given)
    effort = _effort(given)
    cost = _cost(trace, subject, inputs, given)
    differences: dict[str, float] = {}
    with _progress() as tell:
        timings = {"forward": time_forward(
            subject.module, inputs, threads=given.threads, effort=effort,
            tell=_scaled(tell, 0.0, 0.25 if given.training else 1.0),
        )}  # fmt: skip
        if given.training:
            found = time_training(subject.module, inputs, threads=given.threads, effort=effort,
                                  tell=_scaled(tell, 0.25, 0.75))  # fmt: skip
            timings |= {
                "forward, training": found.forward,
                "forward + backward": found.forward_backward,
                "training step": found.step,
            }
            differences = {
                "backward (difference)": found.backward_s,
                "update (difference)": found.update_s,
            }
    device = _here(given, timings["forward"].threads)
    _print(passes_table(timings, cost, device, differences), "passes", given)
    if given.format == "text":
        again = ["epochlab", "measure", given.network, *_same(given)]
        more = [*([] if given.training else [[*again, "--training"]]), [*again, "--layers"]]
        _next(given, device, more)


def _by_layer(given: argparse.Namespace, command: str) -> None:
    from epochlab.measure import time_layers
    from epochlab.measure.tables import difference_table, kinds_table, layers_table

    subject, inputs = _subject(given)
    if given.figure and _here(given, given.threads) is None:
        raise BadOption(
            "A roofline needs this machine's peaks for so many threads, which are not known yet: "
            "'epochlab measure' measures them for 1 thread, all cores, and powers of two between."
        )
    with _progress() as tell:
        timing = time_layers(subject.module, inputs, training=given.training, name=subject.name,
                             threads=given.threads, effort=_effort(given), tell=tell)  # fmt: skip
    device = _here(given, timing.whole.threads)
    tables = {"layers": layers_table(timing, device), "kinds": kinds_table(timing, device),
              "difference": difference_table(timing)}  # fmt: skip
    path = check_figure(given.figure)
    if path is not None and device is not None:
        save_figure(path, _roofline(timing, device), [*tables.values()], command)
    chosen = [given.part] if given.part else list(PARTS)
    if given.format in ("json", "csv"):  # one document, one table
        chosen = chosen[:1]
    for number, part in enumerate(chosen):
        if number:
            print()
        _print(tables[part], part, given)
    if given.format == "text":
        if path is not None:
            print(f"Figure: {path}")
        again = ["epochlab", "measure", given.network, *_same(given), "--layers"]
        more = [[*again, "--figure", "roofline.html"]] if path is None and device else []
        _next(given, device, [*more, [*again, "--part", "layers", "--csv"]])


def _subject(given: argparse.Namespace) -> tuple[Subject, Any]:
    """The network with weights, and real inputs for it, on the device."""
    import torch

    from epochlab.randomness import generator

    given.real = True
    subject = subject_of(given.network, given)
    inputs: Any = subject.arguments.get("inputs")
    if inputs is None:
        shape = (subject.batch, *subject.arguments["input_shape"])
        inputs = torch.randn(shape, generator=generator(0, "measure"))
    if given.device != "cpu":
        subject.module.to(given.device)
        inputs = _moved(inputs, given.device)
    return subject, inputs


def _moved(inputs: Any, device: str) -> Any:
    if isinstance(inputs, dict):
        return {name: one.to(device) for name, one in inputs.items()}
    return [one.to(device) for one in inputs] if isinstance(inputs, list) else inputs.to(device)


def _cost(trace: Callable[..., Cost], subject: Subject, inputs: Tensor | Any,
          given: argparse.Namespace) -> Cost:  # fmt: skip
    from epochlab.errors import CannotTrace

    settings = {"inputs": inputs, "batch": subject.batch, "name": subject.name, "fields": False,
                "training": given.training, "backward": given.training}  # fmt: skip
    try:
        return trace(subject.module, **settings)
    except CannotTrace:
        if given.device != "cpu":
            raise
        return trace(subject.module, real=True, **settings)


def _effort(given: argparse.Namespace) -> Any:
    from epochlab.measure import Effort

    return Effort(limit_s=given.time_limit or LIMIT_S)


def _here(given: argparse.Namespace, threads: int | None) -> Device | None:
    """This machine as it was measured with so many threads; None where it was not."""
    from epochlab import hardware
    from epochlab.measure import device_here
    from epochlab.measure.guard import cores

    if given.device == "cpu":
        return device_here(threads or cores())
    return hardware.load_device("this_gpu") if hardware.is_known("this_gpu") else None


def _roofline(timing: LayersTiming, device: Device) -> Figure:
    from epochlab.evidence import Figure
    from epochlab.figures.roofline import Roofline
    from epochlab.measure.tables import roofline_table
    from epochlab.units import si_text

    peak, bandwidth = device.peak().value, device.bandwidth_bytes_per_s.value
    spoiled = "; SPOILED by other processes" if timing.spoiled else ""
    drawing = Roofline(
        peak=peak / 1e9, bandwidth=bandwidth / 1e9, y="speed", color="kind", name="layer",
        peak_name=f"flat roof: fp32 peak, {si_text(peak, 'FLOP/s')}",
        bandwidth_name=f"sloped roof: memory, {si_text(bandwidth, 'B/s')}{spoiled}",
    )  # fmt: skip
    caption = (
        "Each point is a layer at one call. Below the sloped roof the memory bounds it, below the "
        "flat one the arithmetic; above the slope its data came from a cache."
    )
    return Figure(table=roofline_table(timing), drawing=drawing, caption=caption)


# --- what is printed ------------------------------------------------------------------------------


def _print(table: Table, part: str, given: argparse.Namespace) -> None:
    if given.format == "text":
        print(fitted_text(table, terminal_columns(), EXPENDABLE[part]))
    else:
        show(table, given.format)


def _same(given: argparse.Namespace) -> list[str]:
    """The options that say what is measured."""
    same = [word for text in given.input for word in ("--input", text)]
    for name in ("outputs", "batch", "threads"):
        if getattr(given, name) is not None:
            same += [f"--{name}", str(getattr(given, name))]
    return same + (["--device", given.device] if given.device != "cpu" else [])


def _next(given: argparse.Namespace, device: Device | None, more: list[list[str]]) -> None:
    commands = [shlex.join(command) for command in more]
    if device is None:
        commands.insert(0, "epochlab measure")
    print("Next: " + "\n      ".join(commands[:3]))


def _scaled(tell: Tell, start: float, width: float) -> Tell:
    return lambda what, share: tell(what, start + width * share)


@contextlib.contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal: what is measured, and how long all of it will still take.

    It is drawn between samples, by the thread that measures: another one would disturb it.
    """
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("measuring"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("{task.description}"), console=Console(stderr=True), auto_refresh=False,
        transient=True, speed_estimate_period=60,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=1.0)
        drawn_s = 0.0

        def tell(what: str, share: float) -> None:
            nonlocal drawn_s
            now_s = time.monotonic()
            if now_s - drawn_s >= REDRAW_S:
                drawn_s = now_s
                bar.update(task, completed=share, description=what, refresh=True)

        yield tell
