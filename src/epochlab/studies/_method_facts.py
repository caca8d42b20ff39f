"""What can be said of an optimizer without training: its equations, options, and first steps."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.component import options
from epochlab.evidence import Claim, Figure, Note
from epochlab.figures.lines import Lines
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.optimizers.sgd import Sgd
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from torch import Tensor

NAMES: Mapping[type[Optimizer], str] = {
    Adagrad: "AdaGrad", Rmsprop: "RMSProp", RmspropNesterov: "RMSProp+Nesterov",
    Adadelta: "AdaDelta", Adam: "Adam", Sgd: "SGD",
}  # fmt: skip
CONSTANT_GRADIENT_STEPS = 200
COMPARED_STEPS = 100
TOLERANCE = 1e-6  # largest weight difference at which two implementations count as equal
_VANISHING = 1e-30  # an epsilon that takes no part in the first step
_SIZE = 40  # weights of the problem on which two implementations are compared


def method_name(optimizer: Optimizer) -> str:
    """The name under which papers know an optimizer, else that of its file."""
    cls = type(optimizer)
    return NAMES.get(cls, cls.__module__.rpartition(".")[2])


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
    split = [re.split(r"\s{3,}", line, maxsplit=1) for line in lines]
    kin = next((p for p in paragraphs if p.startswith("Kin:")), "")
    return Explained(
        tuple((parts[0], parts[1] if len(parts) > 1 else "") for parts in split),
        _terms(paragraphs[after] if after < len(paragraphs) else ""),
        " ".join(kin.removeprefix("Kin:").split()),
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
        equations += [{"method": name, "update": line, "when": when or "always"}
                      for line, when in told.equation]  # fmt: skip
        terms += [{"method": name, "symbol": s, "meaning": m} for s, m in told.terms]
        settings += [{
            "method": name, "hyper-parameter": o.name, "used here": _written(
                getattr(optimizer, o.name)), "default": _written(o.default), "meaning": o.help,
        } for o in options(cls)]  # fmt: skip
    return (
        Table.of("Update equations", equations, label="exact", name="equations",
                 columns=("method", "update", "when"), notes=(
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


# --- the same equations, written by somebody else ------------------------------------------------


def independent_table(optimizers: Sequence[Optimizer]) -> Table:
    """Largest weight difference to another implementation over COMPARED_STEPS steps, float64."""
    rows = [{"method": method_name(o), "compared with": other, "largest difference": gap}
            for o in optimizers for other, gap in [independent_gap(type(o))]]  # fmt: skip
    return Table.of("Own implementation against an independent one", rows, name="independent",
                    columns=("method", "compared with",
                             Column(name="largest difference", format=".1e")), notes=(
        f"{COMPARED_STEPS} steps on a noisy quadratic of {_SIZE} weights with coupled L2, in "
        "double precision, the defaults of our components on both sides.",))  # fmt: skip


def adam_claim() -> Claim:
    """Own Adam equals torch.optim.Adam."""
    _, gap = independent_gap(Adam)
    assert gap is not None
    return Claim(
        statement="Our own Adam equals torch.optim.Adam.",
        rule=f"no weight differs by more than {TOLERANCE:g} in {COMPARED_STEPS} steps",
        verdict="supported" if gap <= TOLERANCE else "not supported",
        numbers={"largest difference": gap, "steps": COMPARED_STEPS},
    )  # fmt: skip


def adam_note() -> Note:
    """The statement about Adam that the comparison settles."""
    return Note(text=(
        "Is it true that with PyTorch one does not need to write standard code such as Adam? Yes: "
        "automatic differentiation computes the gradients and torch.optim holds the update. The "
        "two are different things, though: Adam is an optimizer, it uses the gradients that "
        "back-propagation computes. It is written out here because reading ten lines teaches more "
        "than calling them, and because no framework ships RMSProp with Nesterov momentum."
    ))  # fmt: skip


def independent_gap(cls: type[Optimizer]) -> tuple[str, float | None]:
    """Name of the other implementation and the largest weight difference; None without one."""
    import torch

    decay = 1e-4
    if cls is RmspropNesterov:
        book = RmspropNesterov(weight_decay=decay)
        return "the book's algorithm 8.6, as printed", _gap(book, _book(book))
    made = {
        Adagrad: (Adagrad(weight_decay=decay), torch.optim.Adagrad),
        Rmsprop: (Rmsprop(weight_decay=decay), torch.optim.RMSprop),
        Adadelta: (Adadelta(weight_decay=decay), torch.optim.Adadelta),
        Adam: (Adam(weight_decay=decay), torch.optim.Adam),
    }.get(cls)
    if made is None:
        return "none", None
    own, other = made
    told: dict[str, Any] = {"lr": own.lr, "eps": own.epsilon, "weight_decay": decay}
    if isinstance(own, Rmsprop):
        told["alpha"] = own.rho
    elif isinstance(own, Adadelta):
        told["rho"] = own.rho
    elif isinstance(own, Adam):
        told["betas"] = (own.beta1, own.beta2)
    w = torch.nn.Parameter(_start())
    theirs: torch.optim.Optimizer = other([w], **told)  # type: ignore[operator]

    def step(gradient: Callable[[Tensor], Tensor]) -> Tensor:
        w.grad = gradient(w.detach())
        theirs.step()
        return w.detach()

    return f"torch.optim.{other.__name__}", _gap(own, step)


def _start() -> Tensor:
    import torch

    return torch.linspace(-1, 1, _SIZE, dtype=torch.float64)


def _gap(own: Optimizer, other: Callable[[Callable[[Tensor], Tensor]], Tensor]) -> float:
    """Run both from the same weights on the same noisy gradients; largest difference of a weight."""
    import torch

    assert isinstance(own.lr, float)
    draw = torch.Generator().manual_seed(1)
    curvature = torch.logspace(-2, 1, _SIZE, dtype=torch.float64)
    w, largest = _start(), 0.0
    state = {name: torch.full_like(w, fill) for name, fill in own.slots().items()}
    for t in range(1, COMPARED_STEPS + 1):
        noise = 0.1 * torch.randn(_SIZE, dtype=torch.float64, generator=draw)

        def gradient(at: Tensor, noise: Tensor = noise) -> Tensor:
            return curvature * at + noise

        own.look_ahead(w, state)
        own.step(w, gradient(w), state, own.lr, t)
        largest = max(largest, float((w - other(gradient)).abs().max()))
    return largest


def _book(options: RmspropNesterov) -> Callable[[Callable[[Tensor], Tensor]], Tensor]:
    """Goodfellow et al., algorithm 8.6, line by line, the small constant outside the root."""
    import torch

    theta = _start()
    v, r = torch.zeros_like(theta), torch.zeros_like(theta)

    def step(gradient: Callable[[Tensor], Tensor]) -> Tensor:
        nonlocal theta, v, r
        interim = theta + options.momentum * v
        g = gradient(interim) + options.weight_decay * interim
        r = options.rho * r + (1 - options.rho) * g * g
        v = options.momentum * v - options.lr * g / (r.sqrt() + options.epsilon)
        theta = theta + v
        return theta

    return step


def l2_claim(strength: float) -> Claim:
    """The gradient that weight decay adds, against a difference quotient of the penalty."""
    import torch

    w, width = _start(), 1e-3
    moved = w.clone()
    Sgd(lr=1.0, weight_decay=strength).step(moved, torch.zeros_like(w), {}, 1.0, 1)
    added = w - moved
    quotient = strength / 2 * ((w + width).square() - (w - width).square()) / (2 * width)
    gap = float((added - quotient).abs().max())
    return Claim(
        statement="The L2 term that every method adds to the gradient is c*w, the slope of the "
                  "penalty (c/2)*|w|^2.",
        rule="it differs from the penalty's difference quotient by at most 1e-9 at every weight",
        verdict="supported" if gap <= 1e-9 else "not supported",
        numbers={"c": strength, "largest difference": gap},
    )  # fmt: skip
