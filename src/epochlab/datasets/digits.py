"""Handwritten digits: 1,797 grey images, 8 x 8, bundled with scikit-learn; no download."""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from epochlab.datasets import Data, Dataset, Split
from epochlab.datasets._files import file_sha256
from epochlab.errors import BadData, MissingExtra

_TRAIN, _TEST = 1500, 297
_PIXELS, _INK_LEVELS = 64, 16


def _bundled_file() -> Path:
    """The file inside scikit-learn, found without importing it (which takes over a second)."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("scikit-learn", "digits", "The data set 'digits'")
    path = Path(next(iter(spec.submodule_search_locations))) / "datasets/data/digits.csv.gz"
    if not path.is_file():
        raise BadData(
            f"scikit-learn {importlib.metadata.version('scikit-learn')} does not have the digits "
            f"where versions 1.5 to 1.9 keep them: {path}. Install one of those versions."
        )
    return path


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """Digits written by 13 people, scanned and reduced to 8 x 8 counts of ink, 0 to 16.

    uint8 [n, 1, 8, 8], ink counts times 255/16, rounded; the first 1,500 images are for training,
    the last 297 for testing, in the file's order. For a first try and for tests: it loads at once.

        >>> from epochlab.datasets.digits import Digits
        >>> data = Digits().load()
        >>> len(data.train), len(data.test), data.input_shape, data.train.targets[:5].tolist()
        (1500, 297, (1, 8, 8), [0, 1, 2, 3, 4])

    Reference: E. Alpaydin, C. Kaynak: "Optical recognition of handwritten digits", UCI Machine
    Learning Repository (1998), the test part.
    """

    def read(self) -> Data:
        path = _bundled_file()
        try:
            lines = gzip.decompress(path.read_bytes()).decode("ascii").splitlines()
            if len(lines) != _TRAIN + _TEST:
                raise ValueError(f"{len(lines)} lines, not {_TRAIN + _TEST}")
            table = np.loadtxt(lines, delimiter=",", dtype=np.int64, ndmin=2)
            if table.shape[1] != _PIXELS + 1:
                raise ValueError(f"{table.shape[1]} columns, not {_PIXELS + 1}")
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise BadData(
                f"{path} cannot be read ({error}). Reinstall scikit-learn to repair it."
            ) from error
        ink, labels = table[:, :_PIXELS], table[:, _PIXELS]
        images = np.rint(ink * (255 / _INK_LEVELS)).astype(np.uint8).reshape(-1, 1, 8, 8)
        version = importlib.metadata.version("scikit-learn")
        return Data(
            name="digits",
            task="classification",
            train=Split(images[:_TRAIN], labels[:_TRAIN]),
            test=Split(images[_TRAIN:], labels[_TRAIN:]),
            classes=tuple("0123456789"),
            source=f"bundled with scikit-learn {version}; archive.ics.uci.edu/dataset/80",
            licence="as stated at its source",
            tier="real",
            checksums=((path.name, file_sha256(path)),),
            reference="Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI (1998)",
        )
