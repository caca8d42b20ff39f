"""Checks of a training pipeline before it trains: preprocessing, splits, loader, device, loss."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import Data, Split
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.figures.boxes import Boxes
from epochlab.starts import Start
from epochlab.starts.pytorch import Pytorch
from epochlab.starts.xavier import Xavier
from epochlab.studies._threads import one_thread
from epochlab.table import Column, Table
from epochlab.train.run import Run
from epochlab.train.trial import Trial
from epochlab.units import bytes_text

LOSS_TOLERANCE = 0.03  # of the mean initial loss from the logarithm of the number of classes
MEAN_TOLERANCE, STD_TOLERANCE = 0.02, 0.05  # of normalised channels from 0 and from 1
PROBE_IMAGES = 1000  # on which initial losses are measured
_BLOCK = 5000
Numbers = NDArray[np.float64]
# Means and deviations per channel, as copied from one public training script to the next.
OFTEN_COPIED: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}
STEPS = (
    ("bytes to numbers", "divide by 255", "weights and rates are made for numbers around 1"),
    ("centre", "subtract the channel's mean", "a common offset in all inputs makes the loss "
     "surface long and narrow, so that only small rates are stable"),
    ("scale", "divide by the channel's deviation", "channels of equal size are learned at equal "
     "speed by one rate"),
    ("statistics", "from the training split alone", "whatever is taken from validation or test "
     "images leaks into training and flatters the score"),
    ("same for all splits", "validation and test with the training split's numbers",
     "the network must meet new images in the units in which it learned"),
    ("no augmentation", "-", "it belongs to the training split alone and comes in the next lab"),
    ("shuffling", "a new order in every epoch, decided by seed and epoch",
     "batches should be random samples; equal seeds give equal orders, so runs can be compared"),
)  # fmt: skip


def preprocessing_evidence(data: Data) -> Iterator[Evidence]:
    """The steps, and per channel what they subtract, divide by, and achieve."""
    import torch

    from epochlab.train.batches import Scaling

    yield Table.of("Preprocessing", [
        dict(zip(("step", "operation", "why"), step, strict=True)) for step in STEPS
    ], label="exact", name="preprocessing-steps")  # fmt: skip
    images, scaling = data.train.inputs, Scaling.of(data, "cpu")
    channels = len(data.input_mean)
    sums, squares, of_images, count = (np.zeros(channels) for _ in range(4))
    for start in range(0, len(images), _BLOCK):
        raw = np.array(images[start : start + _BLOCK])
        seen = scaling.inputs(raw).to(torch.float64).reshape(len(raw), channels, -1).numpy()
        sums += seen.sum(axis=(0, 2))
        squares += np.square(seen).sum(axis=(0, 2))
        of_images += seen.std(axis=2).sum(axis=0)
        count += seen.shape[0] * seen.shape[2]
    means = sums / count
    stds = np.sqrt(squares / count - means**2)
    yield _normalisation_table(data, means, stds, of_images / len(images))
    off = float(np.abs(means).max()), float(np.abs(stds - 1).max())
    yield Claim(
        statement="After normalisation every channel has mean 0 and deviation 1.",
        rule=f"on the training split within {MEAN_TOLERANCE:g} and {STD_TOLERANCE:g}",
        verdict="supported" if off[0] <= MEAN_TOLERANCE and off[1] <= STD_TOLERANCE
        else "not supported",
        numbers={"largest mean": off[0], "largest error of the deviation": off[1]},
    )  # fmt: skip


def _normalisation_table(
    data: Data, means: Numbers, stds: Numbers, stds_of_images: Numbers
) -> Table:
    """Per channel; the last three were measured after normalisation."""
    copied = OFTEN_COPIED.get(data.name)
    rows = []
    for channel, (mean, std) in enumerate(zip(data.input_mean, data.input_std, strict=True)):
        row = {"channel": channel, "mean": mean, "deviation": std,
               "deviation within an image": float(stds_of_images[channel]) * std,
               "mean afterwards": float(means[channel]),
               "deviation afterwards": float(stds[channel])}  # fmt: skip
        if copied:
            row |= {"mean, often copied": copied[0][channel],
                    "deviation, often copied": copied[1][channel]}  # fmt: skip
        rows.append(row)
    columns = [
        Column(name="channel"), Column(name="mean", format=".4f"),
        Column(name="deviation", format=".4f"),
        Column(name="deviation within an image", format=".4f"),
        Column(name="mean afterwards", format=".1e"),
        Column(name="deviation afterwards", format=".6f"),
    ]  # fmt: skip
    notes = [f"Over the {len(data.train):,} training images; before normalisation on the scale "
             "0..1. The deviation within an image is the mean over images of each image's own: it "
             "leaves out that some images are brighter than others."]  # fmt: skip
    if copied:
        columns[3:3] = [Column(name=f"{what}, often copied", format=".4f", label="quoted")
                        for what in ("mean", "deviation")]  # fmt: skip
        notes.append("The often copied constants stand in many public training scripts; compare "
                     "their deviations with the two that were measured.")  # fmt: skip
    return Table.of("Channels before and after normalisation", rows, name="normalisation",
                    tier=data.tier, columns=columns, notes=tuple(notes))  # fmt: skip


def splits_table(data: Data) -> Table:
    """Sizes, class balance, and images that occur in the training split as well."""
    known = set(_fingerprints(data.train))
    rows = []
    for name in ("train", "validation", "test"):
        split = data.split(name)
        if split is not None:
            classes = np.bincount(split.targets.astype(np.int64), minlength=len(data.classes))
            shared = 0 if name == "train" else sum(f in known for f in _fingerprints(split))
            rows.append({"split": name, "images": len(split), "fewest per class":
                         int(classes.min()), "most per class": int(classes.max()),
                         "also in training": shared})  # fmt: skip
    return Table.of("Splits", rows, name="splits", tier=data.tier, columns=(
        "split", *(Column(name=n, format=",") for n in (
            "images", "fewest per class", "most per class", "also in training")),
    ), notes=(
        "The validation split is drawn from the official training images by a seed of its own, so "
        "no image is in both by number; 'also in training' counts images that are the same byte "
        "for byte, which only doubles in the set itself can cause.",
    ))  # fmt: skip


def _fingerprints(split: Split) -> Iterator[bytes]:
    for image in split.inputs:
        yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def loader_table(trial: Trial, data: Data, arms: Mapping[str, Sequence[Run]]) -> Table:
    """Images per second of the loader alone, and the share of training spent waiting for it."""
    from epochlab.train.batches import Scaling, TrainingBatches

    batches = TrainingBatches(trial, data.train, Scaling.of(data, "cpu"), 0)
    with one_thread():
        began = time.perf_counter()
        images = sum(len(batches[number][1]) for number in range(len(batches)))
        seconds = time.perf_counter() - began
    rows: list[dict[str, Any]] = [{
        "what": "loader alone, one epoch", "images per second": images / seconds,
        "waiting for data": None, "spoiled": None,
    }]  # fmt: skip
    for arm, runs in arms.items():
        for run in runs:
            clock = run.clock[-1] if run.clock else {}
            parts = [clock.get(part, 0.0) for part in ("data_s", "compute_s", "update_s")]
            if sum(parts):
                per_step = sum(parts) / clock["steps"]
                rows.append({
                    "what": f"training, {arm}, seed {run.trial.seed}",
                    "images per second": trial.batch_size(0) / per_step,
                    "waiting for data": parts[0] / sum(parts), "spoiled": run.spoiled,
                })  # fmt: skip
    return Table.of("Loader throughput", rows, name="loader", columns=(
        "what", Column(name="images per second", format=",.0f"),
        Column(name="waiting for data", format=".2%"), "spoiled",
    ), notes=("The set lies in memory and batches are cut and normalised when they are needed; "
              "waiting for data is the part of the training steps in which that happens. A loader "
              "that alone is hardly faster than training holds training up.",))  # fmt: skip


def device_table(trial: Trial, data: Data) -> Table:
    """Where every parameter, buffer and input really is during a forward pass."""
    import torch

    from epochlab.train.batches import Scaling, TrainingBatches
    from epochlab.train.state import build_network

    if trial.device == "cuda" and not torch.cuda.is_available():
        raise BadOption(
            "device is 'cuda', but torch sees no CUDA device here. Use --device cpu, or see "
            "'epochlab doctor' for what there is."
        )
    network = build_network(trial, data).to(trial.device)
    batches = TrainingBatches(trial, data.train.take(slice(trial.batch_size(0))),
                              Scaling.of(data, trial.device), 0)  # fmt: skip
    inputs, targets = batches[0]
    with torch.no_grad():
        outputs = network(inputs)
    named = [
        *(("parameter", n, p) for n, p in network.named_parameters()),
        *(("buffer", n, b) for n, b in network.named_buffers()),
        ("input", "images", inputs), ("input", "labels", targets), ("output", "scores", outputs),
    ]  # fmt: skip
    rows = [{"kind": kind, "tensor": name, "shape": " x ".join(map(str, t.shape)),
             "memory": bytes_text(t.numel() * t.element_size()), "device": str(t.device)}
            for kind, name, t in named]  # fmt: skip
    where = "the CPU" if trial.device == "cpu" else torch.cuda.get_device_name(0)
    note = (
        f"This run computes on {where}. 'epochlab doctor --device cuda' puts a tensor on the GPU, "
        "shows this process in the list of nvidia-smi where that program is present, and ends "
        "with an error on a machine without a GPU: a demanded device is never replaced silently."
    )
    return Table.of("Where everything is", rows, name="devices", notes=(note,))


# --- the loss before the first step --------------------------------------------------------------


@dataclass(frozen=True)
class Untrained:
    """An untrained network's loss, and how far its outputs for one image lie apart."""

    loss: float
    variance: float


def untrained(trial: Trial, data: Data, start: Start, seed: int) -> Untrained:
    """Score freshly drawn weights on the first images that are not trained on."""
    import torch
    from torch.nn import functional

    from epochlab.train.batches import Scaling
    from epochlab.train.state import build_network

    network = build_network(dataclasses.replace(trial, start=start, seed=seed), data).eval()
    split = (data.validation or data.test).take(slice(PROBE_IMAGES))
    inputs = Scaling.of(data, "cpu").inputs(np.array(split.inputs))
    with torch.no_grad():
        outputs = network(inputs)
        loss = functional.cross_entropy(outputs, torch.from_numpy(np.array(split.targets)))
    return Untrained(float(loss), float(outputs.var(1, unbiased=False).mean()))


def initial_loss_evidence(trial: Trial, data: Data, seeds: int) -> Iterator[Evidence]:
    """The loss before any step for two ways to draw the weights, against ln(classes)."""
    chance = math.log(len(data.classes))
    starts: dict[str, Start] = {"PyTorch's default": Pytorch(), "Xavier, uniform": Xavier()}
    with one_thread():
        found = {name: [untrained(trial, data, start, seed) for seed in range(seeds)]
                 for name, start in starts.items()}  # fmt: skip
    points = [{"start": name, "initial loss": u.loss, "variance of the outputs": u.variance}
              for name, each in found.items() for u in each]  # fmt: skip
    yield Figure(
        table=Table.of("Loss before the first step", points, name="initial-loss", columns=(
            "start", Column(name="initial loss", format=".4f"),
            Column(name="variance of the outputs", format=".4f")), tier=data.tier),
        drawing=Boxes(x="start", y="initial loss", limits=((chance, f"ln {len(data.classes)}"),)),
        caption=f"{seeds} networks each, scored before any training. A network that knows nothing "
                f"gives each of {len(data.classes)} classes the same probability, and its loss is "
                f"the logarithm of their number. A much larger value in your own code points to "
                "labels that do not belong to the images, a softmax applied twice, or inputs that "
                "are not normalised.",
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for name, each in found.items():
        losses, variance = [u.loss for u in each], float(np.mean([u.variance for u in each]))
        rows.append({"start": name, "lowest": min(losses), "mean": float(np.mean(losses)),
                     "highest": max(losses), "variance of the outputs": variance,
                     "ln(classes) + variance / 2": chance + variance / 2})  # fmt: skip
    yield Table.of("Loss before the first step", rows, name="initial-loss-summary", columns=(
        "start", *(Column(name=n, format=".4f") for n in (
            "lowest", "mean", "highest", "variance of the outputs", "ln(classes) + variance / 2")),
    ), tier=data.tier)  # fmt: skip
    default, xavier = rows
    gap = abs(default["mean"] - chance)
    yield Claim(
        statement=f"The initial loss is that of guessing, ln {len(data.classes)}.",
        rule=f"with PyTorch's default weights the mean over {seeds} seeds is within "
             f"{LOSS_TOLERANCE:g} of it",
        verdict="supported" if gap <= LOSS_TOLERANCE else "not supported", seeds=seeds,
        numbers={"mean initial loss": default["mean"], "ln(classes)": chance, "difference": gap},
    )  # fmt: skip
    yield Note(text=(
        "Why the start matters: the loss is ln(classes) only while all outputs are equal. If they "
        "scatter around their mean with a small variance, the loss grows by about half of it. "
        "PyTorch's default weights are narrow and shrink the signal from layer to layer, so the "
        f"outputs hardly differ (variance {default['variance of the outputs']:.4f}). Xavier's "
        "keep the signal's size, so the untrained network already has opinions (variance "
        f"{xavier['variance of the outputs']:.4f}), wrong as often as chance, and its mean loss is "
        f"{xavier['mean']:.4f}. Neither is a mistake; only the claim above is about the first."
    ))  # fmt: skip
