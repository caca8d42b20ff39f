"""The picture of `epochlab predict`: what it shows depends on what was varied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epochlab.evidence import Figure
from epochlab.figures.bars import Bars
from epochlab.figures.lines import Lines
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.predict.what_if import Choice, WhatIf

PARTS = ("forward", "backward", "update", "communication")


def figure_of(result: WhatIf) -> Figure:
    """Speed-up over workers, samples per second over batches, or the parts of a step."""
    steps = [choice.step for choice in result.choices]
    if len({step.workers for step in steps}) > 1:
        return _speedups(result)
    if len({step.batch for step in steps}) > 1:
        return _rates(result)
    return _parts(result)


def _speedups(result: WhatIf) -> Figure:
    shown = _telling(result, without=("workers", "scaling"))
    scalings = list(dict.fromkeys(c.step.scaling for c in result.choices))
    rows: list[dict[str, Any]] = [
        {"workers": c.step.workers, "speed-up": c.step.speedup, "on": _name(c, shown),
         "scaling": c.step.scaling}
        for c in result.choices
    ]  # fmt: skip
    counts = sorted({c.step.workers for c in result.choices})
    rows += [{"workers": n, "speed-up": float(n), "on": "ideal",
              "scaling": scalings[0]} for n in counts]  # fmt: skip
    columns = ("on", "scaling", "workers", Column(name="speed-up", format=".2f"))
    table = Table.of(f"{result.network}: speed-up over workers", rows, label="predicted",
                     columns=columns, name=f"{result.network}-speed-up")  # fmt: skip
    drawing = Lines(x="workers", y="speed-up", color="on", points=True, log_x=True, log_y=True,
                    log_base=2, dash="scaling" if len(scalings) > 1 else None)  # fmt: skip
    return Figure(table=table, drawing=drawing, caption="How much more is done per second than by "
                  "one worker.")  # fmt: skip


def _rates(result: WhatIf) -> Figure:
    shown = _telling(result, without=("batch",))
    rows = [{"on": _name(c, shown), "batch": c.step.batch, "samples/s": c.step.samples_per_s}
            for c in result.choices]  # fmt: skip
    table = Table.of(f"{result.network}: samples per second over the batch", rows,
                     label="predicted", name=f"{result.network}-rates",
                     columns=("on", "batch", Column(name="samples/s", format=",.1f")))  # fmt: skip
    return Figure(table=table, caption="Samples in a step, and how many are done per second.",
                  drawing=Lines(x="batch", y="samples/s", color="on", points=True, log_x=True,
                                log_y=True, log_base=2))  # fmt: skip


def _parts(result: WhatIf) -> Figure:
    shown = _telling(result, without=())
    rows = [
        {"on": _name(c, shown), "part": part, "time": 1000 * getattr(c.step, f"{part}_s")}
        for c in result.choices for part in PARTS
        if part != "communication" or any(o.step.communication_s for o in result.choices)
    ]  # fmt: skip
    columns = ("on", "part", Column(name="time", unit="ms", format=",.2f"))
    table = Table.of(f"{result.network}: the parts of a step", rows, label="predicted",
                     columns=columns, name=f"{result.network}-parts")  # fmt: skip
    drawing = Bars(x="on", y="time", color="part", stacked=True, across=True)
    return Figure(table=table, drawing=drawing, caption="Forward, backward and update of one "
                  "worker, and the exchange of gradients.")  # fmt: skip


def _telling(result: WhatIf, without: tuple[str, ...]) -> list[str]:
    """What differs among the choices, beside what the axes show; the device always."""
    names = ("model", "batch", "workers", "scaling", "link", "scheme", "servers")
    return [n for n in names if n not in without
            and len({getattr(c.step, n) for c in result.choices}) > 1]  # fmt: skip


def _name(choice: Choice, shown: list[str]) -> str:
    words = {"batch": "batch {}", "workers": "{} workers", "servers": "{} servers"}
    told = [words.get(n, "{}").format(getattr(choice.step, n)) for n in shown
            if getattr(choice.step, n) is not None]  # fmt: skip
    return ", ".join([choice.step.device, *told])
