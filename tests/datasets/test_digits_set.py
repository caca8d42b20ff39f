"""The digits bundled with scikit-learn."""

import subprocess
import sys

import numpy as np
import pytest

from epochlab.datasets.digits import Digits
from epochlab.errors import BadData, MissingExtra


@pytest.fixture(autouse=True)
def _bundled():
    pytest.importorskip("sklearn", reason="scikit-learn bundles the digits")


def test_equal_to_scikit_learns_own_reader():
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), Digits().load()
    inputs = np.concatenate([ours.train.inputs, ours.test.inputs])
    assert inputs.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(
        np.concatenate([ours.train.targets, ours.test.targets]), theirs.target
    )
    # Sixteenths of full ink, rounded to the nearest byte.
    np.testing.assert_array_equal(inputs[:, 0], np.floor(theirs.images * 255 / 16 + 0.5))


def test_split_and_form():
    data = Digits().load()
    assert (len(data.train), len(data.test)) == (1500, 297)
    assert (data.train.inputs.dtype, data.train.targets.dtype) == (np.uint8, np.int64)
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 255)
    assert data.classes == tuple("0123456789")
    assert data.checksums[0][1] == (
        "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
    )


def test_reading_does_not_import_scikit_learn():
    program = (
        "import sys; from epochlab.datasets.digits import Digits; Digits().load(); "
        "print('sklearn' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "False"


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'epochlab\[digits\]'"):
        Digits().load()


@pytest.mark.parametrize("content", [None, b"junk", b"", b"1,2\n3,4\n", b"1,2\n" * 1797])
def test_damaged_installation(monkeypatch, tmp_path, content):
    import gzip
    from types import SimpleNamespace

    path = tmp_path / "datasets" / "data" / "digits.csv.gz"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(gzip.compress(content) if b"," in content else content)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(BadData, match=r"digits.csv.gz"):
        Digits().load()
