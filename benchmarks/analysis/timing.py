"""How long a count takes, as a multiple of a forward pass on the meta device, side by side."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from forked import forked_all
from peers import Counter, epochlab, epochlab_forward, epochlab_memory, leaves
from zoo import Architecture

from measuring import ENOUGH_CLEAN, Stopwatch, Timed, quartiles

BARE = "meta forward"
FORWARD = "epochlab, forward count"
WHOLE = "epochlab, everything"
MEMORY = "epochlab, everything and the memory of a step"
BACKWARD = "meta forward and backward"
REAL = "real forward, cpu"
OURS = (BARE, FORWARD, WHOLE, MEMORY, BACKWARD)
LIMIT_S = 300.0
PATIENCE_S = 1.0
"a peer slower than this in all has enough rounds after the fewest"
FEWEST = 3
# Small members of 24 families: every counter has to run each of them several times.
TIMED = [
    "timm/resnet18", "timm/mobilenetv2_100", "timm/efficientnet_b0", "timm/regnety_002",
    "timm/convnext_atto", "timm/densenet121", "timm/ghostnet_100", "timm/vit_tiny_patch16_224",
    "timm/deit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224", "timm/mixer_s32_224",
    "timm/levit_128s", "timm/mobilevit_xxs", "timm/efficientvit_m0", "timm/poolformer_s12",
    "timm/xcit_nano_12_p16_224", "timm/hrnet_w18_small", "torchvision/googlenet",
    "torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x1_0",
    "torchvision/lraspp_mobilenet_v3_large", "transformers/distilbert", "transformers/electra",
    "transformers/llama",
]  # fmt: skip

Contestant = Callable[[], Any]


@dataclass
class Times:
    """One network: every round of every contestant, and who could not take part."""

    name: str
    rounds: dict[str, list[Timed]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def ratios(self, contestant: str, to: str = BARE) -> tuple[float, float, float] | None:
        """Quartiles of the ratios of the same round; clean rounds where there are enough."""
        pairs = list(zip(self.rounds.get(contestant, []), self.rounds.get(to, []), strict=False))
        if not pairs:
            return None
        clean = [(a, b) for a, b in pairs if not (a.spoiled or b.spoiled)]
        used = clean if len(clean) >= min(ENOUGH_CLEAN, len(pairs)) else pairs
        return quartiles([a.wall_s / b.wall_s for a, b in used])


def timed_all(
    architectures: Sequence[Architecture], counters: Sequence[Counter], rounds: int,
    failed: Mapping[str, set[str]],
) -> Iterator[Times]:  # fmt: skip
    """One network after the other, each in a process of its own, nothing beside it.

    `failed` says who cannot count a network: some counters that fail leave PyTorch's functions
    replaced by their own, and nothing after them could be timed.
    """
    works = {}
    for one in architectures:
        able = [c for c in counters if c.name not in failed.get(one.name, set())]
        if one.name in TIMED:
            works[one.name] = partial(_times, one, able, rounds)
    for name, outcome in forked_all(works, LIMIT_S, 1):
        yield outcome.value if outcome.ok else Times(name, {}, {BARE: outcome.reason})


def _times(architecture: Architecture, counters: Sequence[Counter], rounds: int) -> Times:
    found = Times(architecture.name)
    contestants = _contestants(architecture, counters)
    for name, contestant in list(contestants.items()):
        try:
            contestant()
        except Exception as error:
            found.absent[name] = f"{type(error).__name__}: {error}"[:200]
            del contestants[name]
    names = list(contestants)
    found.rounds = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            own = found.rounds[name]
            slow = sum(t.wall_s for t in own) > PATIENCE_S and name not in OURS
            if slow and len(own) >= FEWEST:
                continue
            own.append(_timed(contestants[name]))
    return found


def _timed(contestant: Contestant) -> Timed:
    watch = Stopwatch()
    watch.start()
    contestant()
    watch.stop()
    assert watch.timed is not None
    return watch.timed


def _contestants(architecture: Architecture, counters: Sequence[Counter]) -> dict[str, Contestant]:
    """Every counter has an instance of its own: some leave hooks and numbers on it."""
    meta, real = architecture.module("meta"), architecture.module("cpu")
    args, kwargs = architecture.inputs("meta")
    real_args, real_kwargs = architecture.inputs("cpu")

    def forward() -> None:
        with torch.no_grad():
            meta(*args, **kwargs)

    def backward() -> None:
        results = leaves(meta(*args, **kwargs))
        used = [t.sum() for t in results if isinstance(t, torch.Tensor) and t.requires_grad]
        torch.stack(used).sum().backward()
        meta.zero_grad(set_to_none=True)

    def really() -> None:
        with torch.no_grad():
            real(*real_args, **real_kwargs)

    found: dict[str, Contestant] = {
        BARE: forward, BACKWARD: backward, REAL: really,
        FORWARD: partial(epochlab_forward, meta, args, kwargs),
        WHOLE: partial(epochlab, meta, args, kwargs),
        MEMORY: partial(epochlab_memory, meta, args, kwargs),
    }  # fmt: skip
    for counter in counters:
        if counter.name == "epochlab":
            continue
        on_meta = counter.device == "meta"
        own = copy.deepcopy(meta if on_meta else real)
        given = (args, kwargs) if on_meta else (real_args, real_kwargs)
        found[counter.name] = partial(counter.count, own, *given)
    return found


def spread(networks: Sequence[Times], contestant: str, to: str) -> dict[str, Any] | None:
    """Quartiles over networks of the medians, and the middle spread within one network."""
    each = [r for one in networks if (r := one.ratios(contestant, to)) is not None]
    if not each:
        return None
    low, middle, high = quartiles([median for _, median, _ in each])
    within = statistics.median((upper - lower) / median for lower, median, upper in each)
    return {"networks": len(each), "q1": low, "median": middle, "q3": high, "within": within}
