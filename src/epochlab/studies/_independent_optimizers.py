"""Our optimizers against the same equations written by somebody else, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from epochlab.evidence import Claim, Note
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.optimizers.sgd import Sgd
from epochlab.studies._method_facts import method_name
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from torch import Tensor

    Gradient = Callable[[Tensor], Tensor]
    Stepper = Callable[[Gradient], Tensor]
    "takes one step, asking for the gradient where it wants it, and returns the weights"

COMPARED_STEPS = 100
TOLERANCE = 1e-6  # largest weight difference at which two implementations count as equal
RATE, DECAY = 0.01, 1e-4
_SIZE = 40  # weights of the problem


def independent_table(optimizers: Sequence[Optimizer]) -> Table:
    """Largest weight difference to another implementation over COMPARED_STEPS steps, float64."""
    rows = [{"method": method_name(o), "compared with": other, "largest difference": gap}
            for o in optimizers for other, gap in [independent_gap(type(o))]]  # fmt: skip
    return Table.of("Own implementation against an independent one", rows, name="independent",
                    columns=("method", "compared with",
                             Column(name="largest difference", format=".1e")), notes=(
        f"{COMPARED_STEPS} steps on a noisy quadratic of {_SIZE} weights with coupled L2, in "
        f"double precision, rate {RATE:g} (AdaDelta 1), else our components' defaults on both "
        "sides.",))  # fmt: skip


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

    if cls is RmspropNesterov:
        book = RmspropNesterov(lr=RATE, weight_decay=DECAY)
        return "the book's algorithm 8.6, as printed", _gap(book, RATE, _book(book))
    own: Optimizer
    theirs: torch.optim.Optimizer
    w, rate = torch.nn.Parameter(_start()), RATE
    if cls is Adagrad:
        own = Adagrad(lr=rate, weight_decay=DECAY)
        theirs = torch.optim.Adagrad([w], lr=rate, eps=own.epsilon, weight_decay=DECAY)
    elif cls is Rmsprop:
        own = Rmsprop(lr=rate, weight_decay=DECAY)
        theirs = torch.optim.RMSprop(
            [w], lr=rate, alpha=own.rho, eps=own.epsilon, weight_decay=DECAY
        )
    elif cls is Adadelta:
        rate = 1.0
        own = Adadelta(lr=rate, weight_decay=DECAY)
        theirs = torch.optim.Adadelta(
            [w], lr=rate, rho=own.rho, eps=own.epsilon, weight_decay=DECAY
        )
    elif cls is Adam:
        own = Adam(lr=rate, weight_decay=DECAY)
        betas = (own.beta1, own.beta2)
        theirs = torch.optim.Adam([w], lr=rate, betas=betas, eps=own.epsilon, weight_decay=DECAY)
    else:
        return "none", None

    def step(gradient: Gradient) -> Tensor:
        w.grad = gradient(w.detach())
        theirs.step()
        return w.detach()

    return f"torch.optim.{type(theirs).__name__}", _gap(own, rate, step)


def _start() -> Tensor:
    import torch

    return torch.linspace(-1, 1, _SIZE, dtype=torch.float64)


def _gap(own: Optimizer, rate: float, other: Stepper) -> float:
    """Largest weight difference of two from the same weights, on the same noisy gradients."""
    import torch

    draw = torch.Generator().manual_seed(1)
    curvature = torch.logspace(-2, 1, _SIZE, dtype=torch.float64)
    w, largest = _start(), 0.0
    state = {name: torch.full_like(w, fill) for name, fill in own.slots().items()}
    for t in range(1, COMPARED_STEPS + 1):
        noise = 0.1 * torch.randn(_SIZE, dtype=torch.float64, generator=draw)

        def gradient(at: Tensor, noise: Tensor = noise) -> Tensor:
            return curvature * at + noise

        own.look_ahead(w, state)
        own.step(w, gradient(w), state, rate, t)
        largest = max(largest, float((w - other(gradient)).abs().max()))
    return largest


def _book(options: RmspropNesterov) -> Stepper:
    """Goodfellow et al., algorithm 8.6, line by line, the small constant outside the root."""
    import torch

    theta = _start()
    v, r = torch.zeros_like(theta), torch.zeros_like(theta)

    def step(gradient: Gradient) -> Tensor:
        nonlocal theta, v, r
        interim = theta + options.momentum * v
        g = gradient(interim) + options.weight_decay * interim
        r = options.rho * r + (1 - options.rho) * g * g
        v = options.momentum * v - RATE * g / (r.sqrt() + options.epsilon)
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
