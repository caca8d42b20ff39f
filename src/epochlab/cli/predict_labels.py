"""Predict the labels of unlabelled images and write them in the format of a sample CSV file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.errors import BadData, BadShape
from epochlab.table import Table
from epochlab.train.run import Run, load_run
from epochlab.train.store import Store

LABEL_NAMES = ("label", "labels", "class", "category", "prediction", "predicted", "target", "y")


def main(words: list[str]) -> None:
    """`epochlab predict-labels RUN --sample sample_predictions.csv [--images images.npy]`."""
    parser = Parser("predict-labels", __doc__ or "")
    parser.add_argument("run", help="the first digits of a run's key")
    parser.add_argument("--sample", required=True, help="CSV file whose header and row order "
                        "the result takes over")  # fmt: skip
    parser.add_argument("--images", help=".npy array of bytes [n, channels, height, width] or "
                        "[n, height, width, channels]; else the test images")  # fmt: skip
    parser.add_argument("--out", default="predictions.csv", help="file to write")
    parser.add_argument("--weights", choices=("model", "best"), default="model",
                        help="final weights, or those of the best validation score")  # fmt: skip
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    run = load_run(Store.at(given.store), given.run)
    header, ids = read_sample(Path(given.sample))
    images = None if given.images is None else read_images(Path(given.images), run)
    labels = predict(run, given.weights, images)
    if ids and len(ids) != len(labels):
        raise BadData(f"{given.sample} has {len(ids)} rows, but there are {len(labels)} images. "
                      "Give the images that belong to the sample file with --images.")  # fmt: skip
    write_predictions(Path(given.out), header, ids or [str(i) for i in range(len(labels))], labels)
    classes = run.trial.data.load().classes
    counts = np.bincount(labels, minlength=len(classes))
    rows = [{"class": i, "name": n, "images": int(c)}
            for i, (n, c) in enumerate(zip(classes, counts, strict=True))]  # fmt: skip
    show(Table.of(f"Predicted labels, written to {given.out}", rows, label="predicted"),
         given.format)  # fmt: skip


def read_sample(path: Path) -> tuple[list[str], list[str]]:
    """Header and first column of a sample file. Raises BadData if it is not id,label."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"The sample file {path} cannot be read: {error}.") from error
    if not lines or len(lines[0]) != 2 or lines[0][1].strip().lower() not in LABEL_NAMES:
        found = ", ".join(lines[0]) if lines else "nothing"
        raise BadData(
            f"The sample file {path} begins with the columns '{found}'. It must have two: a number "
            f"of the image, and one named {', '.join(LABEL_NAMES)}."
        )
    return lines[0], [line[0] for line in lines[1:] if line]


def read_images(path: Path, run: Run) -> NDArray[np.generic]:
    """Images for the run's network. Raises BadData or BadShape."""
    try:
        images: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadData(f"{path} is not a plain .npy array: {error}.") from error
    shape = run.trial.data.load().input_shape
    if images.ndim == 4 and images.shape[1:] != shape and images.shape[3] == shape[0]:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim == 3 and shape[0] == 1:
        images = images[:, None]
    if images.shape[1:] != shape or images.dtype != np.uint8:
        raise BadShape(f"{path} holds {images.dtype} of shape {images.shape}; the network takes "
                       f"bytes (uint8) of shape (n, {', '.join(map(str, shape))}).")  # fmt: skip
    return np.ascontiguousarray(images)


def predict(run: Run, which: str, images: NDArray[np.generic] | None) -> NDArray[np.int64]:
    """The most likely class of each image; the labels of the images are never looked at."""
    import torch

    from epochlab.train.batches import EVALUATION_BATCH, Scaling

    data = run.trial.data.load()
    if not data.classes:
        raise BadData(f"{data.name} has no classes: labels can be predicted for classes only.")
    network, scaling = run.network(which), Scaling.of(data, "cpu")
    chosen = data.test.inputs if images is None else images
    found = []
    with torch.no_grad():
        for start in range(0, len(chosen), EVALUATION_BATCH):
            part = np.array(chosen[start : start + EVALUATION_BATCH])
            found.append(network(scaling.inputs(part)).argmax(1).numpy())
    return np.concatenate(found)


def write_predictions(
    path: Path, header: list[str], ids: list[str], labels: NDArray[np.int64]
) -> None:
    """The CSV file, complete or not at all."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(zip(ids, map(int, labels), strict=True))
    temporary.replace(path)
