"""What can be said of an optimizer without training: its equations, options, and first steps."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from epochlab.component import options, short_name
from epochlab.evidence import Figure, Note
from epochlab.figures.lines import Lines
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.optimizers.sgd import Sgd
from epochlab.table import Column, Table

NAMES: Mapping[type[Optimizer], str] = {
    Adagrad: "AdaGrad", Rmsprop: "RMSProp", RmspropNesterov: "RMSProp+Nesterov",
    Adadelta: "AdaDelta", Adam: "Adam", Sgd: "SGD",
}  # fmt: skip
CONSTANT_GRADIENT_STEPS = 200
_VANISHING = 1e-30  # an epsilon that takes no part in the first step


def method_name(optimizer: Optimizer) -> str:
    """The name under which papers know an optimizer, else that of its file."""
    cls = type(optimizer)
    return NAMES.get(cls, short_name(cls))


# --- what the components say about themselves ----------------------------------------------------


@dataclass(frozen=True)
class Explained:
    """Parts of an optimizer's docstring."""

    equation: tuple[tuple[str, str], ...]
    "lines, and for each what it applies to where the docstring says so"
    terms: tuple[tuple[str, str], ...]
    "symbols and their meanings"
    kin: str
    "how it differs from its relatives"


def explained(cls: type[Optimizer]) -> Explained:
    """Take the equation, its symbols and the kin paragraph out of a class docstring."""
    paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    first = next((i for i, p in enumerate(paragraphs) if p.startswith("Equation")), None)
    if first is None:
        return Explained((), (), "")
    after = first + 1
    while after < len(paragraphs) and paragraphs[after].startswith("    "):
        after += 1
    lines = [line.strip() for p in paragraphs[first + 1 : after] for line in p.splitlines()]
    # Behind a wide gap stands when the line applies; a gap before the equals sign only aligns it.
    split = [re.split(r"(?<=\S)\s{3,}(?!=)", line, maxsplit=1) for line in lines]
    kin = next((p for p in paragraphs if p.startswith("Kin:")), "")
    return Explained(
        tuple((parts[0], parts[1] if len(parts) > 1 else "") for parts in split),
        _terms(paragraphs[after] if after < len(paragraphs) else ""),
        " ".join(kin.removeprefix("Kin:").replace("`", "").split()),
    )


def _terms(paragraph: str) -> tuple[tuple[str, str], ...]:
    """'w: weight; g: gradient' -> pairs; a part without a colon continues the one before."""
    pairs: list[tuple[str, str]] = []
    for part in " ".join(paragraph.split()).rstrip(".").split("; "):
        symbol, colon, meaning = part.partition(": ")
        if colon:
            pairs.append((symbol, meaning))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]}; {part}")
    return tuple(pairs)


def equation_tables(optimizers: Sequence[Optimizer]) -> tuple[Table, Table, Table]:
    """Update equations, what each symbol means, and every hyper-parameter with its value."""
    equations, terms, settings = [], [], []
    for optimizer in optimizers:
        cls, name = type(optimizer), method_name(optimizer)
        told = explained(cls)
        equations += [{"method": name, "update": line, "remark": remark}
                      for line, remark in told.equation]  # fmt: skip
        terms += [{"method": name, "symbol": s, "meaning": m} for s, m in told.terms]
        settings += [{
            "method": name, "hyper-parameter": o.name, "used here": _written(
                getattr(optimizer, o.name)), "default": _written(o.default), "meaning": o.help,
        } for o in options(cls)]  # fmt: skip
    return (
        Table.of("Update equations", equations, label="exact", name="equations",
                 columns=("method", "update", "remark"), notes=(
                     "All operations are element by element; <- replaces a state that is kept from "
                     "step to step.",)),
        Table.of("What the terms mean", terms, label="exact", name="terms",
                 columns=("method", "symbol", "meaning")),
        Table.of("Hyper-parameters", settings, label="exact", name="hyper-parameters", columns=(
            "method", "hyper-parameter", "used here", "default", "meaning"), notes=(
                "The rates used here are those that the tuning chose.",)),
    )  # fmt: skip


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def difference_notes() -> list[Note]:
    """How AdaDelta and Adam differ from RMSProp, in the words of the components."""
    return [Note(text=f"{NAMES[cls]} and its relatives: {explained(cls).kin}")
            for cls in (Rmsprop, Adadelta, Adam)]  # fmt: skip


# --- the first steps, computed with the components -----------------------------------------------


def steps_under_constant_gradient(optimizer: Optimizer, count: int) -> list[float]:
    """Lengths of the steps of one weight whose gradient is always 1, in units of the rate."""
    import torch

    plain = dataclasses.replace(optimizer, lr=1.0, weight_decay=0.0)
    w = torch.zeros(1, dtype=torch.float64)
    state = {name: torch.full_like(w, fill) for name, fill in plain.slots().items()}
    lengths, before = [], 0.0
    for t in range(1, count + 1):
        plain.look_ahead(w, state)
        plain.step(w, torch.ones_like(w), state, 1.0, t)
        lengths.append(before - w.item())
        before = w.item()
    return lengths


def first_steps_table(optimizers: Sequence[Optimizer]) -> Table:
    """The first step under gradient 1 from empty state, beside its formula."""
    rows = []
    for given in optimizers:
        formula, expected, optimizer = _first_step_formula(given)
        step = -steps_under_constant_gradient(optimizer, 1)[0]
        rows.append({"method": method_name(given), "formula": formula, "by formula": expected,
                     "by the component": step,
                     "difference": None if expected is None else step - expected})  # fmt: skip
    return Table.of("First step of a weight with gradient 1, in units of the rate", rows,
                    label="exact", name="first-steps", columns=(
        "method", "formula", Column(name="by formula", format=".9f"),
        Column(name="by the component", format=".9f"), Column(name="difference", format=".1e"),
    ), notes=("State empty, epsilon so small that it takes no part; AdaDelta, whose first step is "
              "made by its epsilon alone, with the one it is used with.",))  # fmt: skip


def _first_step_formula(optimizer: Optimizer) -> tuple[str, float | None, Optimizer]:
    """Formula in words, its value, and the optimizer with the epsilon that it is meant for."""
    match optimizer:
        case Adadelta(rho=rho, epsilon=epsilon):
            value = -math.sqrt(epsilon / (1 - rho + epsilon))
            return "-sqrt(epsilon / (1 - rho + epsilon))", value, optimizer
        case Rmsprop(rho=rho) | RmspropNesterov(rho=rho):
            small = dataclasses.replace(optimizer, epsilon=_VANISHING)
            return "-1 / sqrt(1 - rho)", -1 / math.sqrt(1 - rho), small
        case Adagrad() | Adam():
            return "-1", -1.0, dataclasses.replace(optimizer, epsilon=_VANISHING)
    return "none given", None, optimizer


def constant_gradient_figure(optimizers: Sequence[Optimizer]) -> Figure:
    """How long the steps become when the gradient never changes."""
    rows = [{"method": method_name(o), "step": t, "step length / rate": length}
            for o in optimizers
            for t, length in enumerate(
                steps_under_constant_gradient(o, CONSTANT_GRADIENT_STEPS), 1)]  # fmt: skip
    return Figure(
        table=Table.of("Step length under a constant gradient", rows, label="exact",
                       name="constant-gradient"),
        drawing=Lines(x="step", y="step length / rate", color="method", log_y=True),
        caption="One weight, gradient 1 at every step. AdaGrad's steps shrink for good, because "
                "its sum only grows. RMSProp begins too long, because its mean starts at 0, and "
                "settles at the rate; Adam corrects for that start and has the rate from the first "
                "step. Nesterov momentum multiplies the rate in the long run. AdaDelta starts "
                "from almost nothing and finds its own length. Rates of two methods can therefore "
                "not be compared as numbers.",
    )  # fmt: skip
