"""Fixtures for data sets: a cache of the test's own, and the real files where they are at hand."""

import os
from pathlib import Path

import pytest

from epochlab.datasets.lookalike import Lookalike, write_official

# Read before any test changes it or the working folder.
REAL_DATA = Path(os.environ["EPOCHLAB_DATA"]).resolve() if "EPOCHLAB_DATA" in os.environ else None


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("EPOCHLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EPOCHLAB_DATA", raising=False)


@pytest.fixture(scope="session")
def real_data_folder():
    if REAL_DATA is None:
        pytest.skip("EPOCHLAB_DATA does not name a folder with the real data sets")
    return REAL_DATA


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("real-cache")


@pytest.fixture
def real_data(_own_folders, real_data_folder, real_cache, monkeypatch):
    """The real data folder, with a decoded cache that all tests of a session share."""
    monkeypatch.setenv("EPOCHLAB_DATA", str(real_data_folder))
    monkeypatch.setenv("EPOCHLAB_CACHE", str(real_cache))
    return real_data_folder


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty data folder that EPOCHLAB_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("EPOCHLAB_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def fashion_like():
    return Lookalike(kind="fashion", size=60).load()


@pytest.fixture(scope="session")
def cifar_like():
    return Lookalike(kind="cifar", size=52).load()


@pytest.fixture
def fashion_files(data_folder, fashion_like):
    folder = data_folder / "fashion-mnist"
    write_official(fashion_like, folder)
    return folder


@pytest.fixture
def cifar_files(data_folder, cifar_like):
    folder = data_folder / "cifar10"
    write_official(cifar_like, folder)
    return folder
