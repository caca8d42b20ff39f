"""Fashion-MNIST: 70,000 grey images of clothing, 28 x 28, in 10 classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import Data, Dataset, Split
from epochlab.datasets._download import Download
from epochlab.datasets._idx import parse_idx
from epochlab.datasets._official import OfficialSet, read_official
from epochlab.datasets._unpack import FormatError

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_SIDE = 28
_ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_SOURCE, _LICENCE = "github.com/zalandoresearch/fashion-mnist", "MIT, Zalando SE"
_MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def _parse(name: str, content: bytes) -> NDArray[np.uint8]:
    if "labels" in name:
        labels = parse_idx(content, axes=1)
        if labels.size and labels.max() >= len(CLASSES):
            raise FormatError(f"has label {labels.max()}; labels end at {len(CLASSES) - 1}")
        return labels
    images = parse_idx(content, axes=3)
    if not len(images) or images.shape[1:] != (_SIDE, _SIDE):
        raise FormatError(
            f"holds {len(images)} images of {images.shape[1]} x {images.shape[2]}; there must be "
            f"some, of {_SIDE} x {_SIDE}"
        )
    return images


def _assemble(parts: Mapping[str, Any]) -> Mapping[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        images, labels = parts[f"{stem}-images-idx3-ubyte"], parts[f"{stem}-labels-idx1-ubyte"]
        if len(images) != len(labels):
            raise FormatError(f"has {len(images)} {stem} images and {len(labels)} labels for them")
        arrays[f"{split}_inputs"] = images[:, None]
        arrays[f"{split}_targets"] = labels.astype(np.int64)
    return arrays


_OFFICIAL = OfficialSet(
    name="Fashion-MNIST",
    folder="fashion-mnist",
    parts=MappingProxyType(_SHA256),
    packings=(".gz", ""),
    downloads=tuple(Download(f"{n}.gz", f"{_ADDRESS}/{n}.gz", md5) for n, md5 in _MD5.items()),
    parse=_parse,
    assemble=_assemble,
)


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Dataset):
    """Articles of clothing, photographed for a shop and reduced to 28 x 28 grey pixels.

    60,000 training and 10,000 test images, uint8 [n, 1, 28, 28], 6,000 and 1,000 per class. Read
    from the four IDX files in the folder 'fashion-mnist' of the data folder, with or without gzip.

        >>> from epochlab.datasets.fashion_mnist import FashionMnist
        >>> data = FashionMnist(validation=6000).load()
        >>> len(data.train), len(data.validation), len(data.test), data.input_shape
        (54000, 6000, 10000, (1, 28, 28))
        >>> data.classes[data.train.targets[0]]
        'Ankle boot'

    Reference: H. Xiao, K. Rasul, R. Vollgraf: "Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms", arXiv 1708.07747 (2017).
    """

    verify: bool = True
    "insist on the official files; false takes any set in the same format, labelled look-alike"

    folder_name: ClassVar[str] = "fashion-mnist"

    def read(self) -> Data:
        found = read_official(_OFFICIAL, self.verify)
        return Data(
            name="Fashion-MNIST",
            task="classification",
            train=Split(found.arrays["train_inputs"], found.arrays["train_targets"]),
            test=Split(found.arrays["test_inputs"], found.arrays["test_targets"]),
            classes=CLASSES,
            source=_SOURCE if found.is_official else "files of unknown origin",
            licence=_LICENCE if found.is_official else "not known",
            tier="real" if found.is_official else "look-alike",
            checksums=found.checksums,
            train_sums=found.train_sums,
            reference="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv 1708.07747 (2017)",
        )
