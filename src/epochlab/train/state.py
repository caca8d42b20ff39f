"""The state of a training run between two steps, and how it is saved and restored exactly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from epochlab.datasets import Data
from epochlab.errors import BadCheckpoint, BadShape
from epochlab.randomness import generator, key
from epochlab.train.clocks import Seconds
from epochlab.train.trial import Trial

# Up to this many weights all parameters form one piece, so an update is a few large operations
# instead of a few small ones per parameter; above it the copy of the gradients would cost more.
ONE_PIECE_WEIGHTS = 1 << 20
_ALIGN = 16  # floats: every parameter starts on a cache line

# The hits of so many steps are counted together: one at a time takes most of what our loop adds to
# a step, because the processor has to fetch the code for it anew each time.
COUNTED_TOGETHER = 16


@dataclass
class Uncounted:
    """Outputs and targets of the latest steps, whose hits are still to be counted.

    The outputs are copied: keeping the network's own tensors would break up the memory that the
    next step's activations are to reuse.
    """

    rooms: tuple[Tensor, ...]
    "a tensor [samples, classes] for each of COUNTED_TOGETHER steps"
    samples: int
    outputs: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)

    @classmethod
    def room_for(cls, outputs: Tensor) -> Uncounted:
        """Empty, with room for so many steps with outputs like these."""
        samples, classes = outputs.shape
        rooms = torch.split(outputs.new_empty(COUNTED_TOGETHER * samples, classes), samples)
        return cls(rooms, samples)

    def add(self, outputs: Tensor, targets: Tensor, samples: int) -> None:
        """Note a step with at most as many samples as there is room for, while it is not full."""
        room = self.rooms[len(self.outputs)]
        if samples < self.samples:
            room = room[:samples]
        self.outputs.append(room.copy_(outputs))
        self.targets.append(targets)

    def count(self) -> float:
        """Hits of the steps so far, which are then forgotten."""
        found = hits(torch.cat(self.outputs), torch.cat(self.targets)) if self.outputs else 0.0
        self.outputs.clear()
        self.targets.clear()
        return found


@dataclass
class Position:
    """Where the run stands, and the sums that the running epoch has gathered."""

    step: int = 0
    "steps taken"
    epoch: int = 0
    "epochs finished, evaluation included"
    batch: int = 0
    "batches done in the running epoch"
    loss_sum: float = 0.0
    "sum over the running epoch's samples"
    hits: float = 0.0
    "correct predictions, or squared error, of the running epoch's samples"
    samples: int = 0
    best: float | None = None
    "best validation score so far"
    best_epoch: int = 0
    started: bool = False
    "the row of the untrained network has been written"


@dataclass
class Piece:
    """Weights that are updated together: one parameter, or the flat vector of all."""

    w: Tensor
    slots: dict[str, Tensor]


@dataclass
class State:
    """Network, optimizer state and position; `train` moves it forward in place."""

    network: nn.Module
    names: list[str]
    parameters: list[nn.Parameter]
    pieces: list[Piece]
    views: list[Tensor]
    "where each parameter's gradient goes in `flat_gradient`; empty with one piece per parameter"
    flat_gradient: Tensor | None
    position: Position = field(default_factory=Position)
    seconds: Seconds = field(default_factory=Seconds)
    uncounted: Uncounted | None = None
    "steps of classification whose hits `position` does not hold yet"

    def add_hits(self, outputs: Tensor, targets: Tensor, samples: int) -> None:
        """Note one step's outputs [samples, classes or targets] for the running epoch's score.

        To be called where no gradients are recorded.
        """
        if targets.dtype != torch.int64:
            # Squared errors are summed step by step: their sum depends on the order.
            self.position.hits += hits(outputs, targets)
            return
        latest = self.uncounted
        if latest is None or samples > latest.samples:
            self.count_hits()
            latest = self.uncounted = Uncounted.room_for(outputs)
        latest.add(outputs, targets, samples)
        if len(latest.outputs) == COUNTED_TOGETHER:
            self.count_hits()

    def count_hits(self) -> None:
        """Bring the hits in `position` up to the latest step."""
        if self.uncounted is not None:
            self.position.hits += self.uncounted.count()


def hits(outputs: Tensor, targets: Tensor) -> float:
    """Correct predictions, or summed squared error for regression."""
    if targets.dtype == torch.int64:
        return float((outputs.argmax(1) == targets).count_nonzero().item())
    return float((outputs - targets).square().sum().item())


def build_network(trial: Trial, data: Data) -> nn.Module:
    """The trial's network with its initial weights; the same for every arm with the same seed."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed every device, and take far longer than this one generator.
        torch.default_generator.manual_seed(key(trial.seed, "build") >> 1)
        network = trial.network.build(data.input_shape, data.outputs)
    with torch.no_grad():
        trial.start.apply(network, generator(trial.seed, "start"))
    return network


def fresh_state(trial: Trial, data: Data) -> State:
    """The state before the first step. Raises BadShape if network and data do not fit."""
    network = build_network(trial, data)
    _check_output(network, data)
    network.to(trial.device)
    named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    names, parameters = [n for n, _ in named], [p for _, p in named]
    slots = trial.optimizer.slots()
    total = sum(p.numel() for p in parameters)
    if total > ONE_PIECE_WEIGHTS:
        pieces = [
            Piece(p.data, {s: torch.full_like(p.data, fill) for s, fill in slots.items()})
            for p in parameters
        ]
        return State(network, names, parameters, pieces, [], None)
    sizes = [-(-p.numel() // _ALIGN) * _ALIGN for p in parameters]
    device = parameters[0].device if parameters else torch.device("cpu")
    flat = torch.zeros(sum(sizes), device=device)
    gradient = torch.zeros_like(flat)
    views = []
    places = zip(parameters, torch.split(flat, sizes), torch.split(gradient, sizes), strict=True)
    for p, w, g in places:
        view = w[: p.numel()].view_as(p)
        view.copy_(p.data)
        p.data = view
        views.append(g[: p.numel()].view_as(p))
    piece = Piece(flat, {s: torch.full_like(flat, fill) for s, fill in slots.items()})
    return State(network, names, parameters, [piece], views, gradient)


def _check_output(network: nn.Module, data: Data) -> None:
    """One sample through the network must give one row of the right width."""
    sample = torch.zeros(2, *data.input_shape)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            shape = tuple(network(sample).shape)
    except RuntimeError as error:
        raise BadShape(
            f"The network cannot take samples of shape {data.input_shape} from {data.name}: "
            f"{str(error).splitlines()[0]}. Choose a network made for that shape, or other data."
        ) from error
    network.train(was_training)
    if shape != (2, data.outputs):
        raise BadShape(
            f"For two samples of {data.name} the network returns shape {shape}; "
            f"it must be (2, {data.outputs}), one output per class or target."
        )


def weights(state: State) -> dict[str, Tensor]:
    """Parameters and buffers by name, detached copies in plain layout."""
    return {n: t.detach().cpu().clone() for n, t in state.network.state_dict().items()}


def save_checkpoint(state: State, path: Path, extra: dict[str, Any]) -> None:
    """Write everything needed to go on exactly; `extra` is JSON data kept with it.

    The file appears under its name complete or not at all.
    """
    state.count_hits()
    tensors = {f"network/{n}": t for n, t in weights(state).items()}
    for number, piece in enumerate(state.pieces):
        for slot, values in piece.slots.items():
            tensors[f"slot/{slot}/{number}"] = values.detach().cpu()
    meta = {
        "position": json.dumps(asdict(state.position)),
        "seconds": json.dumps(asdict(state.seconds)),
        "extra": json.dumps(extra),
    }
    write_tensors(tensors, path, meta)


def write_tensors(tensors: dict[str, Tensor], path: Path, meta: dict[str, str]) -> str:
    """Safetensors under a temporary name, then renamed; a failed write leaves nothing behind.

    The name is ours, so that what a kill leaves of it is known and taken away in the end.
    Returns the SHA-256 of the file's bytes, 64 hex digits.
    """
    temporary = path.with_name(path.name + ".part")
    content = save(tensors, metadata=meta)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return hashlib.sha256(content).hexdigest()


def load_checkpoint(state: State, path: Path) -> dict[str, Any]:
    """Bring a fresh state to where `save_checkpoint` was called; returns `extra`.

    Raises BadCheckpoint if the file is damaged or belongs to another network.
    """
    tensors, meta = read_tensors(path)
    try:
        stored = {n.removeprefix("network/"): t for n, t in tensors.items() if n[:8] == "network/"}
        state.network.load_state_dict(stored)
        for number, piece in enumerate(state.pieces):
            for slot, values in piece.slots.items():
                values.copy_(tensors[f"slot/{slot}/{number}"])
        state.position = Position(**json.loads(meta["position"]))
        state.seconds = Seconds(**json.loads(meta["seconds"]))
        extra: dict[str, Any] = json.loads(meta["extra"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise BadCheckpoint(
            f"The checkpoint {path} does not belong to this trial ({error}). "
            "Delete the file to train this run from its beginning."
        ) from error
    return extra


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; nothing in it is ever executed."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(  # noqa: SIM118 - not a dict
                file.metadata() or {}
            )
    except FileNotFoundError as error:
        raise BadCheckpoint(f"There is no weight file {path}.") from error
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint(
            f"{path} is not a complete safetensors file ({error}). If it is a pickle, its tensors "
            "must first be read with torch.load(..., weights_only=True) by someone who trusts it."
        ) from error
