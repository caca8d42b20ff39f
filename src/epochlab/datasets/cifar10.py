"""CIFAR-10: 60,000 colour photographs, 32 x 32, in 10 classes of animals and vehicles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import Data, Dataset, Split
from epochlab.datasets._download import Download
from epochlab.datasets._official import OfficialSet, read_official
from epochlab.datasets._records import parse_records

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_ARCHIVE = "cifar-10-binary.tar.gz"
_SOURCE, _LICENCE = "cs.toronto.edu/~kriz/cifar.html", "none stated by the authors"
_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def _parse(name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return parse_records(content, len(CLASSES))


def _assemble(parts: Mapping[str, Any]) -> Mapping[str, NDArray[Any]]:
    batches = [parts[name] for name in _SHA256 if name != "test_batch.bin"]
    test_inputs, test_targets = parts["test_batch.bin"]
    return {
        "train_inputs": np.concatenate([images for images, _ in batches]),
        "train_targets": np.concatenate([labels for _, labels in batches]),
        "test_inputs": np.ascontiguousarray(test_inputs),
        "test_targets": test_targets,
    }


_OFFICIAL = OfficialSet(
    name="CIFAR-10",
    folder="cifar10",
    parts=MappingProxyType(_SHA256),
    packings=("", ".xz", ".gz"),
    downloads=(
        Download(
            _ARCHIVE,
            f"https://www.cs.toronto.edu/~kriz/{_ARCHIVE}",
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
    ),
    parse=_parse,
    assemble=_assemble,
    archive=_ARCHIVE,
    inner_folder="cifar-10-batches-bin",
)


@dataclass(frozen=True, kw_only=True)
class Cifar10(Dataset):
    """Small photographs from the web, labelled by students.

    50,000 training and 10,000 test images, uint8 [n, 3, 32, 32], 5,000 and 1,000 per class. Read
    from the official binary version in the folder 'cifar10' of the data folder: the six files
    (plain, .xz or .gz) or the archive cifar-10-binary.tar.gz as it is.

        >>> from epochlab.datasets.cifar10 import Cifar10
        >>> data = Cifar10(validation=5000).load()
        >>> len(data.train), len(data.validation), len(data.test), data.input_shape
        (45000, 5000, 10000, (3, 32, 32))
        >>> data.classes[data.test.targets[0]]
        'cat'

    Reference: A. Krizhevsky: "Learning multiple layers of features from tiny images", technical
    report, University of Toronto (2009).
    """

    verify: bool = True
    "insist on the official files; false takes any set in the same format, labelled look-alike"

    folder_name: ClassVar[str] = "cifar10"

    def read(self) -> Data:
        found = read_official(_OFFICIAL, self.verify)
        return Data(
            name="CIFAR-10",
            task="classification",
            train=Split(found.arrays["train_inputs"], found.arrays["train_targets"]),
            test=Split(found.arrays["test_inputs"], found.arrays["test_targets"]),
            classes=CLASSES,
            source=_SOURCE if found.is_official else "files of unknown origin",
            licence=_LICENCE if found.is_official else "not known",
            tier="real" if found.is_official else "look-alike",
            checksums=found.checksums,
            train_sums=found.train_sums,
            reference="Krizhevsky: Learning multiple layers of features from tiny images (2009)",
        )
