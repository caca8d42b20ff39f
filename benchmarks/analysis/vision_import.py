"""Imports torchvision where its compiled operators do not load, as beside a CPU build of torch."""

from __future__ import annotations

import functools
import os
from types import ModuleType

import torch
from torch import Tensor

# Its Python files register gradients for these names, so the names must exist; nobody calls them.
NAMES = ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")


@functools.cache
def import_torchvision() -> ModuleType:
    """torchvision; non-maximum suppression, which has no multiplications to count, is ours."""
    # Its substitute for the compiled region pooling would else be compiled on first use.
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    for name in ("nms", "qnms"):
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", schema)
    for name in NAMES:
        torch.library.define(f"torchvision::{name}", "(Tensor input) -> Tensor")
        torch.library.define(f"torchvision::_{name}_backward", "(Tensor grad) -> Tensor")
    torch.library.impl("torchvision::nms", "CPU")(suppressed)
    import torchvision
    import torchvision.ops.boxes

    torchvision.ops.boxes._assert_has_ops = _nothing
    return torchvision


def _nothing() -> None:
    # A function of its own: tracing compiles it, which a lambda would not survive.
    pass


def suppressed(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Numbers of the boxes to keep: the best one, then the next that overlaps none kept by more."""
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept: list[int] = []
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for number in range(len(boxes)):
        if not alive[number]:
            continue
        kept.append(number)
        low = torch.maximum(boxes[number, :2], boxes[:, :2])
        high = torch.minimum(boxes[number, 2:], boxes[:, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        alive &= shared / (areas[number] + areas - shared) <= iou_threshold
    return order[torch.tensor(kept, dtype=torch.long)]
