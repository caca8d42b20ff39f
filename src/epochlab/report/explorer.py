"""Explorer: every test image, faceted by true and predicted class, in one offline page.

Beside the page lie the same facts for other tools: records as CSV and JSON, and one picture with
all images in rows (a sprite atlas), in the order and layout that the Facets Dive viewer expects.
"""

from __future__ import annotations

import base64
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import Data
from epochlab.datasets._card import png_bytes
from epochlab.errors import BadData
from epochlab.train.run import Run
from epochlab.train.store import storing

ATLAS_NAME = "sprites.png"


def write_explorer(run: Run, which: str, folder: Path) -> list[dict[str, Any]]:
    """Write page, records and atlas for a finished run's test images; returns the records.

    Raises BadData for data without images and classes, StoreError for a run without weights.
    """
    data = run.trial.data.load()
    if not data.classes or data.test.inputs.dtype != np.uint8:
        raise BadData(f"{data.name} has no images in classes: the explorer has nothing to show.")
    records = _records(run, data, which)
    images = np.asarray(data.test.inputs, dtype=np.uint8)
    atlas, per_row = sprite_atlas(images)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ATLAS_NAME).write_bytes(atlas)
        (folder / "records.json").write_text(json.dumps(records), encoding="utf-8")
        with (folder / "records.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)
        page = _page(run, data, records, atlas, per_row)
        (folder / "index.html").write_text(page, encoding="utf-8")
    return records


def _records(run: Run, data: Data, which: str) -> list[dict[str, Any]]:
    """One record per test image: classes, confidence, margin, loss, brightness and contrast."""
    import torch

    from epochlab.train.batches import Scaling
    from epochlab.train.engines.eager import predictions

    network, scaling = run.network(which), Scaling.of(data, "cpu")
    outputs = torch.cat([o for o, _ in predictions(network, data.test, scaling)])
    shares = outputs.double().softmax(1)
    top = shares.topk(2, dim=1).values.numpy()
    predicted = outputs.argmax(1).numpy()
    labels = np.asarray(data.test.targets)
    losses = -shares.numpy()[np.arange(len(labels)), labels].clip(1e-300)
    pixels = np.asarray(data.test.inputs).reshape(len(labels), -1) / 255
    return [
        {
            "image": i,
            "true class": data.classes[labels[i]],
            "predicted class": data.classes[predicted[i]],
            "correct": bool(labels[i] == predicted[i]),
            "confidence": round(float(top[i, 0]), 6),
            "margin": round(float(top[i, 0] - top[i, 1]), 6),
            "loss": round(-math.log(-losses[i]), 6),
            "mean pixel": round(float(pixels[i].mean()), 4),
            "pixel deviation": round(float(pixels[i].std()), 4),
        }
        for i in range(len(labels))
    ]


def sprite_atlas(images: NDArray[np.uint8]) -> tuple[bytes, int]:
    """All images in one PNG, row by row in a square; returns the file and the images per row."""
    count, channels, height, width = images.shape
    per_row = math.ceil(math.sqrt(count))
    rows = math.ceil(count / per_row)
    padded = np.zeros((rows * per_row, channels, height, width), np.uint8)
    padded[:count] = images
    grid = padded.reshape(rows, per_row, channels, height, width).transpose(0, 3, 1, 4, 2)
    picture = grid.reshape(rows * height, per_row * width, channels)
    return png_bytes(picture[..., 0] if channels == 1 else picture), per_row


def _page(
    run: Run, data: Data, records: list[dict[str, Any]], atlas: bytes, per_row: int
) -> str:  # fmt: skip
    """The page with its facts written in; the template has one marked place for each."""
    template = (Path(__file__).parent / "explorer.html").read_text(encoding="utf-8")
    _, height, width = data.input_shape
    facts = {
        "run": run.key[:12], "data": data.name, "tier": data.tier, "classes": list(data.classes),
        "perRow": per_row, "width": width, "height": height, "fields": list(records[0]),
        "rows": [list(record.values()) for record in records],
        "atlas": "data:image/png;base64," + base64.b64encode(atlas).decode(),
    }  # fmt: skip
    # "</" cannot end the script element early once its slash is escaped.
    return template.replace("__FACTS__", json.dumps(facts).replace("</", "<\\/"))
