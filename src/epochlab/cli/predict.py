"""Predict step time, throughput, scaling, memory and cost of a network on named hardware."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from epochlab.cli._drawing import FIGURE_ENDINGS, check_figure, save_figure
from epochlab.cli._fitting import fitted_text, terminal_columns
from epochlab.cli._networks import INPUT_HELP, NAMING
from epochlab.cli._options import Parser, add_format, show
from epochlab.cli._predict_options import Asked, asked, devices_of, predicted, workload_named
from epochlab.errors import BadOption
from epochlab.table import Table
from epochlab.units import seconds_text

if TYPE_CHECKING:
    from epochlab.predict.what_if import Choice, WhatIf
    from epochlab.predict.workload import Workload

MORE = """  paleo:alex_v2                      as PALEO's authors list it: nin, alex_v2, vgg16 ...

Devices and links are those of 'epochlab list hardware', or files of your own (my.toml). Options
that say LIST take several values with commas; every combination is predicted.

examples:
  epochlab predict vgg16 --on k80,v100 --batch 32
  epochlab predict resnet50 --on v100 --workers 1,2,4,8 --link ethernet10 --figure scaling.svg
  epochlab predict resnet50 --on k80,v100 --batch 32,64,128 --workers 1,2,4,8 --link ethernet10
                   --samples 50000 --epochs 10
  epochlab predict vgg16 --on k80 --layers
  epochlab predict vgg16 --on k80_board,k80 --model ideal
  epochlab predict --flops 30.94e9 --on k80_board --peak 8.73e12
"""
# Left out of a text table that is too wide, in this order.
EXPENDABLE = ("largest batch", "slowdown", "update", "per worker", "memory", "epoch", "backward",
              "efficiency", "forward", "communication")  # fmt: skip
EXPENDABLE_LAYERS = ("kind", "output", "parameters")


def main(words: list[str]) -> None:
    """`epochlab predict NETWORK --on DEVICE ...`."""
    given = _parser().parse_strictly(words)
    path = check_figure(given.figure)
    said = asked(given)
    workload = None if given.network is None else workload_named(given)
    if said.at_peak:
        tables, figure, result = [_peak_table(workload, given, said)], None, None
    else:
        assert workload is not None
        result = predicted(workload, given, said)
        tables, figure = [result.table()], None
        if given.layers:
            tables.append(_layer_table(workload, result.choices[0]))
        if path is not None:
            from epochlab.cli._predict_figures import figure_of

            figure = figure_of(result)
    if path is not None and figure is not None:
        save_figure(path, figure, tables, shlex.join(["epochlab", "predict", *words]))
    if given.format in ("json", "csv"):  # one document, one table
        show(tables[-1], given.format)
        return
    for number, table in enumerate(tables):
        if number:
            print()
        if given.format == "text":
            left_out_first = EXPENDABLE_LAYERS if number else EXPENDABLE
            print(fitted_text(table, terminal_columns(), left_out_first))
        else:
            show(table, given.format)
    if given.format == "text":
        if result is not None:
            print("\n".join(_answers(result)))
        if figure is not None:
            print(f"Figure: {path}")
        print("Next: " + "\n      ".join(_next_commands(given, said, words)))


def _parser() -> Parser:
    parser = Parser("predict", (__doc__ or "") + NAMING + MORE)
    parser.add_argument("network", metavar="NETWORK", nargs="?", help="see above; not needed with "
                        "--flops or --macs")  # fmt: skip
    parser.add_argument("--on", metavar="LIST", help="devices (this machine where it has been "
                        "measured, else t4,v100,a100)")  # fmt: skip
    parser.add_argument("--batch", metavar="LIST", help="samples in a step, of each worker; with "
                        "strong scaling of all (32; with --model ideal 1)")  # fmt: skip
    parser.add_argument("--input", action="append", default=[], metavar="SHAPE",
                        help=INPUT_HELP.partition(";")[0])  # fmt: skip
    parser.add_argument("--outputs", type=int, metavar="N",
                        help="classes of a component, else those it is known for")  # fmt: skip
    _add_workers(parser)
    _add_model(parser)
    group = parser.add_argument_group("how much, and at what price")
    group.add_argument("--samples", type=int, metavar="N", help="of the training data")
    group.add_argument("--epochs", type=float, metavar="N", help="passes over them (1)")
    group.add_argument("--price", default="on-demand", metavar="WHICH",
                       help="on-demand, preemptible, or with-machine")  # fmt: skip
    group = parser.add_argument_group("what is shown")
    group.add_argument("--layers", action="store_true", help="also each layer: read, compute, "
                       "write (json and csv: this table alone)")  # fmt: skip
    group.add_argument("--figure", metavar="FILE", help="speed-up over workers, samples/s over "
                       "batches, or the parts of a step per device; the ending decides the format: "
                       f"{', '.join(e[1:] for e in FIGURE_ENDINGS)}")  # fmt: skip
    add_format(parser)
    return parser


def _add_workers(parser: Parser) -> None:
    group = parser.add_argument_group("several workers")
    group.add_argument("--workers", default="1", metavar="LIST", help="devices that train together")
    group.add_argument("--link", metavar="LIST", help="what connects them, such as ethernet10")
    group.add_argument("--scheme", metavar="LIST", help="how they exchange gradients: ring, tree, "
                       "butterfly, star, servers, hierarchical, hierarchical-leader, "
                       "recursive-doubling, rabenseifner, double-binary-tree, butterfly-mixing "
                       "(ring)")  # fmt: skip
    group.add_argument("--servers", metavar="LIST", help="parameter servers")
    group.add_argument("--per-node", type=int, metavar="N", help="hierarchical schemes: workers of "
                       "one node")  # fmt: skip
    group.add_argument("--inside", metavar="LINK", help="hierarchical schemes: what connects the "
                       "workers of one node")  # fmt: skip
    group.add_argument("--scaling", default="weak", metavar="LIST", help="weak: each worker has "
                       "the batch; strong: they share it")  # fmt: skip


def _add_model(parser: Parser) -> None:
    group = parser.add_argument_group("how it is predicted")
    group.add_argument("--model", metavar="NAME", help="paleo (for named devices); calibrated (for "
                       "this machine); roofline, a lower bound; ideal: operations over peak, "
                       "forward only")  # fmt: skip
    group.add_argument("--ppp", metavar="NAME", help="percent of peak: tensorflow, mxnet, caffe, "
                       "ideal, or numbers for computing and communication such as 0.62,0.72 "
                       "(tensorflow)")  # fmt: skip
    group.add_argument("--revision", default="master", metavar="NAME",
                       help="of PALEO's program: master or 2016-12")  # fmt: skip
    group.add_argument("--precision", default="fp32", metavar="NAME", help="whose peak counts: "
                       "fp32, tf32_tensor, fp16, bf16, fp16_tensor, fp8_tensor")  # fmt: skip
    group.add_argument("--clock", metavar="NAME", help="base or boost, where both are known "
                       "(boost; with --model ideal both)")  # fmt: skip
    group.add_argument("--threads", type=int, metavar="N", help="of this machine")
    group.add_argument("--peak", type=float, metavar="FLOP/S", help="in place of the device's")
    group.add_argument("--flops", type=float, metavar="F", help="with --model ideal: operations "
                       "of one sample, 2 per multiply-accumulate, instead of a count")  # fmt: skip
    group.add_argument("--macs", type=float, metavar="F", help="the same as multiply-accumulates")


# --- tables ---------------------------------------------------------------------------------------


def _peak_table(workload: Workload | None, given: argparse.Namespace, said: Asked) -> Table:
    """F / P and P / F, with F counted or typed in."""
    import dataclasses

    from epochlab.predict.bounds import peak_table

    typed = given.macs if given.flops is None else given.flops / 2
    own = None if workload is None else workload.cost(1, training=False).macs
    macs = own if typed is None else typed
    assert macs is not None
    table = peak_table(
        "operations as given" if workload is None else workload.name, macs,
        devices_of(given, said), precision=given.precision, batches=said.batches,
        **({} if given.clock is None else {"clocks": (given.clock,)}),
    )  # fmt: skip
    if typed is None or own is None:
        return table
    note = (f"The operations are as given; epochlab counts {own:,} multiply-accumulates, "
            f"{own / typed - 1:+.2%} of the given number.")  # fmt: skip
    return dataclasses.replace(table, notes=(*table.notes, note))


def _layer_table(workload: Workload, choice: Choice) -> Table:
    """Each layer of a worker's step by PALEO or under the roof."""
    from epochlab.predict.bounds import roofline_table
    from epochlab.predict.layer_parts import layer_table
    from epochlab.predict.setting import charged_device
    from epochlab.predict.step_time import roofline_rows

    setting = choice.setting
    if choice.step.model == "calibrated":
        raise BadOption("--layers shows layers by PALEO or under the roof: add --model paleo or "
                        "--model roofline.")  # fmt: skip
    if choice.step.model == "roofline":
        rows = roofline_rows(workload, setting, setting.own_batch)
        return roofline_table(rows, workload.name, setting.device.name)
    return layer_table(
        workload.paleo, setting.own_batch, charged_device(setting),
        percent=setting.chosen_percent.compute,
        revision="2016-12" if setting.revision == "2016-12" else "master",
    )  # fmt: skip


# --- what is said below ---------------------------------------------------------------------------


def _answers(result: WhatIf) -> list[str]:
    """In a sentence each: the fastest and the cheapest choice, of those that may fit."""
    open_ones = [c for c in result.choices if c.fits is not False]
    if not open_ones:
        return ["Nothing fits: take a smaller batch, more workers with strong scaling, or a device "
                "with more memory."]  # fmt: skip
    fastest = min(open_ones, key=lambda c: c.seconds(result.samples, result.epochs))
    first = "" if len(result.choices) == 1 else "Least time: "
    lines = [first + _choice_text(result, fastest)]
    priced = [c for c in open_ones if c.price is not None]
    cheapest = min(priced, default=fastest, key=lambda c: _dollars(result, c))
    if cheapest is not fastest:
        lines.append("Least cost: " + _choice_text(result, cheapest))
    return lines


def _dollars(result: WhatIf, choice: Choice) -> float:
    return choice.dollars(choice.seconds(result.samples, result.epochs)) or 0.0


def _choice_text(result: WhatIf, choice: Choice) -> str:
    step = choice.step
    where = f"{step.device}, batch {step.batch}"
    if step.workers > 1:
        where = f"{step.workers} x {where} ({step.scaling} scaling)"
    seconds = choice.seconds(result.samples, result.epochs)
    amount = "a million samples"
    if result.samples is not None:
        amount = f"{result.epochs:g} epoch{'s' * (result.epochs != 1)}"
    price = "" if choice.price is None else f" and {_dollars(result, choice):,.2f} USD"
    between = ""
    if step.low_s is not None and step.high_s is not None:
        between = f" ({seconds_text(step.low_s)} to {seconds_text(step.high_s)})"
    return (f"{where}: {seconds_text(step.step_s)} a step{between}, "
            f"{step.samples_per_s:,.1f} samples/s, {amount} in {seconds_text(seconds)}"
            f"{price}.")  # fmt: skip


def _next_commands(given: argparse.Namespace, said: Asked, typed: list[str]) -> list[str]:
    """Two or three commands that tell more of the same."""
    words = [] if given.network is None else [given.network]
    words += [word for text in given.input for word in ("--input", text)]
    if given.on:
        words += ["--on", given.on]
    again = ["epochlab", "predict", *words]
    more = []
    if said.at_peak:
        if given.network is None:
            return [shlex.join(["epochlab", "predict", "vgg16", *again[2:], "--batch", "32"])]
        return [shlex.join([*again, "--batch", "32"]), shlex.join([*again, "--model", "roofline"])]
    if given.workers == "1":
        more.append([*again, "--workers", "1,2,4,8", "--link", given.link or "ethernet10"])
    if given.samples is None:
        more.append([*again, "--batch", "32,64,128", "--samples", "50000", "--epochs", "10"])
    if not given.layers:
        device = (given.on or "v100").split(",")[0]
        more.append(["epochlab", "predict", *words[:1], *(w for t in given.input for w in
                    ("--input", t)), "--on", device, "--model", "paleo", "--layers"])  # fmt: skip
    if given.figure is None:
        more.append(["epochlab", "predict", *typed, "--figure", "step.html"])
    return [shlex.join(command) for command in more[:3]]
