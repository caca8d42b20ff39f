"""Look-alike: generated images shaped like Fashion-MNIST or CIFAR-10, for tests and rehearsals."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from epochlab.component import Count, Limits, Share
from epochlab.datasets import Data, Dataset, Split
from epochlab.datasets._idx import pack_idx
from epochlab.datasets._records import IMAGE_SHAPE, pack_records
from epochlab.errors import BadOption
from epochlab.randomness import integers, key, keys, mix_array

# shape, training images, test images; sizes and proportions of the set that is imitated
_KINDS = {"fashion": ((1, 28, 28), 60_000, 10_000), "cifar": (IMAGE_SHAPE, 50_000, 10_000)}
_STYLES = 8
_MARGIN = 4
"pixels by which a pattern may be moved"
_GRID = 6
_MOST_GHOST = 40
"of 64 parts: at difficulty 1 the ghost can be stronger than the pattern itself"
_CHUNK = 1000
_WORD = 1 << 32
# Streams of draws from an image's key.
_LABEL, _FLIP, _LIGHT, _CONTRAST, _WRONG, _WRONG_BY, _NOISE, _GHOST, _GHOST_SHARE = range(9)
_FOREGROUND, _BACKGROUND = 16, 24


def _fields(grids: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """[n, _GRID, _GRID] whole numbers, drawn out to smooth fields [n, side, side]."""
    position = np.arange(side) * (_GRID - 1) * 256 // (side - 1)
    low = np.minimum(position // 256, _GRID - 2)
    part = position - 256 * low
    rows = grids[:, low] * (256 - part)[:, None] + grids[:, low + 1] * part[:, None]
    fields: NDArray[np.int64] = rows[:, :, low] * (256 - part) + rows[:, :, low + 1] * part
    return fields >> 16


def _patterns(kind: str, classes: int, overlap: float, seed: int) -> NDArray[np.int16]:
    """[classes, _STYLES, channels, side + margins, side + margins], values -128..127.

    Styles of a class share half of their pattern; overlap mixes in the next class.
    """
    channels, side, _ = _KINDS[kind][0]
    cells = channels * _GRID * _GRID
    base = keys(key(seed, f"look-alike {kind} classes"), np.arange(classes * cells))
    own = integers(base, 0, 256).reshape(classes, cells)
    mixed = round(128 * overlap)
    own = (own * (256 - mixed) + np.roll(own, -1, axis=0) * mixed) >> 8
    base = keys(key(seed, f"look-alike {kind} styles"), np.arange(classes * _STYLES * cells))
    style = integers(base, 0, 256).reshape(classes, _STYLES, cells)
    grids = (own[:, None] + style) >> 1
    fields = _fields(grids.reshape(-1, _GRID, _GRID), side + 2 * _MARGIN)
    # Smoothing draws values to the middle: spread them out again. Clothes lie on black.
    fields = (fields - 128) * 3 if kind == "cifar" else (fields - 128) * 5 - 64
    shape = (classes, _STYLES, channels, *fields.shape[1:])
    return np.clip(fields, -128, 127).reshape(shape).astype(np.int16)


def _placed(
    patterns: NDArray[np.int16],
    image_keys: NDArray[np.uint64],
    classes: NDArray[np.int64],
    stream: int,
    difficulty: float,
) -> NDArray[np.int16]:
    """A pattern of the given class for each key, style and place drawn; [n, channels, h, w]."""
    side = patterns.shape[-1] - 2 * _MARGIN
    moves = 1 + 2 * round(_MARGIN * difficulty)
    first = _MARGIN - moves // 2
    style = integers(image_keys, stream, _STYLES)
    down = first + integers(image_keys, stream + 1, moves)
    right = first + integers(image_keys, stream + 2, moves)
    windows = np.lib.stride_tricks.sliding_window_view(patterns, (side, side), axis=(3, 4))
    return np.ascontiguousarray(windows[classes, style, :, down, right])


def _draw(
    patterns: NDArray[np.int16],
    image_keys: NDArray[np.uint64],
    labels: NDArray[np.int64],
    difficulty: float,
) -> NDArray[np.uint8]:
    """One image per key: its class's pattern under another class's ghost, relit, with noise."""
    classes, n = len(patterns), len(labels)
    images = _placed(patterns, image_keys, labels, _FOREGROUND, difficulty)
    ghosts = (labels + 1 + integers(image_keys, _GHOST, classes - 1)) % classes
    drawn_share = integers(image_keys, _GHOST_SHARE, 1 + round(_MOST_GHOST * difficulty))
    share = drawn_share.astype(np.int16)[:, None, None, None]
    images *= 64 - share
    images += _placed(patterns, image_keys, ghosts, _BACKGROUND, difficulty) * share
    images >>= 6
    mirrored = integers(image_keys, _FLIP, 2).astype(bool)
    images[mirrored] = images[mirrored][..., ::-1]

    def swing(stream: int, most: int) -> NDArray[np.int16]:
        drawn = integers(image_keys, stream, 2 * most + 1) - most
        return drawn.astype(np.int16)[:, None, None, None]

    images *= 64 + swing(_CONTRAST, round(24 * difficulty))
    images >>= 6
    images += swing(_LIGHT, round(40 * difficulty))
    # Eight noise bytes from each 64-bit word; the byte order is fixed so that machines agree.
    words = -(-images[0].size // 8)
    noise_words = mix_array(mix_array(np.arange(words, dtype=np.uint64) + np.uint64(_NOISE)))
    drawn = mix_array(image_keys[:, None] ^ noise_words).astype("<u8", copy=False).view(np.uint8)
    noise = drawn[:, : images[0].size].reshape(images.shape).astype(np.int16) - 128
    images += (noise * round(240 * difficulty)) >> 8
    return np.clip(images + 128, 0, 255).astype(np.uint8).reshape(n, *images.shape[1:])


def write_official(data: Data, folder: Path) -> None:
    """Write a set of images in the official files of Fashion-MNIST (gzip IDX) or CIFAR-10.

    Which one follows from the image shape. The readers take it with the option verify=False.
    Raises BadOption for other shapes, OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    train, test = _bytes(data.train), _bytes(data.test)
    if data.input_shape[0] == 1:
        for stem, (images, labels) in (("train", train), ("t10k", test)):
            for ending, array in (("images-idx3", images[:, 0]), ("labels-idx1", labels)):
                packed = gzip.compress(pack_idx(array), compresslevel=6, mtime=0)
                (folder / f"{stem}-{ending}-ubyte.gz").write_bytes(packed)
    elif data.input_shape == IMAGE_SHAPE and len(data.train) >= 5:
        for number, index in enumerate(np.array_split(np.arange(len(data.train)), 5), start=1):
            records = pack_records(train[0][index], train[1][index])
            (folder / f"data_batch_{number}.bin").write_bytes(records)
        (folder / "test_batch.bin").write_bytes(pack_records(*test))
    else:
        raise BadOption(
            f"{len(data.train)} images of shape {data.input_shape} fit no official format; allowed "
            f"are one channel, or {IMAGE_SHAPE} with at least 5 training images."
        )


def _bytes(split: Split) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    return split.inputs.astype(np.uint8, copy=False), split.targets.astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Lookalike(Dataset):
    """Smooth random patterns, a few per class, under a ghost of another class's, relit, with noise.

        image = contrast * ((1 - g) * pattern[class, style] + g * pattern[other class, style])
                + light + noise

    Patterns are moved and images mirrored at random; the ghost's share g is uniform on 0 to 5/8 at
    difficulty 1, so that some images are ambiguous, and smaller in proportion below.

    uint8 [n, 1, 28, 28] or [n, 3, 32, 32]. Every class is equally frequent. Only whole numbers are
    used, so every machine makes the same bytes. Image i of a split is decided by (seed, i) alone.
    Results on it say nothing about photographs: its tier is 'look-alike' and every figure says so.

        >>> from epochlab.datasets.lookalike import Lookalike
        >>> data = Lookalike(kind="cifar", size=500).load()
        >>> len(data.train), len(data.test), data.input_shape, data.tier
        (500, 100, (3, 32, 32), 'look-alike')

    Reference: none; it was made for this package.
    """

    kind: Literal["fashion", "cifar"] = "fashion"
    "which set's image shape and size it takes"
    classes: Annotated[int, Limits(low=2, high=256)] = 10
    "number of classes"
    size: Count | None = None
    "training images (none: as many as the real set); test images in the real set's proportion"
    difficulty: Share = 0.5
    "0: still patterns without ghost or noise; 1: moved, ghosted, relit and noisy"
    overlap: Share = 0.0
    "how far a class's pattern is mixed with that of the next class"
    label_noise: Share = 0.0
    "share of training labels that are replaced by another class"
    seed: int = 0
    "decides the patterns and the images; another seed is another task"

    def read(self) -> Data:
        _, full, full_test = _KINDS[self.kind]
        size = self.size or full
        patterns = _patterns(self.kind, self.classes, self.overlap, self.seed)
        return Data(
            name=f"{self.kind}-like",
            task="classification",
            train=self._split(patterns, "train", size, self.label_noise),
            test=self._split(patterns, "test", max(1, size * full_test // full), 0.0),
            classes=tuple(f"pattern {number}" for number in range(self.classes)),
            source="generated by epochlab",
            licence="MIT",
            tier="look-alike",
            notes=(f"Generated with difficulty {self.difficulty:g}, overlap {self.overlap:g}, "
                   f"label noise {self.label_noise:g}, seed {self.seed}.",),
        )  # fmt: skip

    def _split(
        self, patterns: NDArray[np.int16], name: str, size: int, label_noise: float
    ) -> Split:
        base = key(self.seed, f"look-alike {self.kind} {name}")
        whole = -(-size // self.classes) * self.classes
        image_keys = keys(base, np.arange(whole))
        # In every run of `classes` images each class occurs once, in an order drawn anew.
        labels = np.argsort(integers(image_keys, _LABEL, _WORD).reshape(-1, self.classes), axis=1)
        labels, image_keys = labels.reshape(-1)[:size].astype(np.int64), image_keys[:size]
        images = np.empty((size, *_KINDS[self.kind][0]), np.uint8)
        for start in range(0, size, _CHUNK):
            part = slice(start, start + _CHUNK)
            images[part] = _draw(patterns, image_keys[part], labels[part], self.difficulty)
        wrong = integers(image_keys, _WRONG, _WORD) < label_noise * _WORD
        by = 1 + integers(image_keys, _WRONG_BY, self.classes - 1)
        return Split(images, np.where(wrong, (labels + by) % self.classes, labels))
