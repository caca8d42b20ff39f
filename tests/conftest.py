"""Shared fixtures: an isolated store and settings, so that no test sees another's or the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Test processes share the cores: one thread each, said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from epochlab.train.store import Store


@pytest.fixture(scope="session")
def no_hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without devices: nothing that was measured here before is known."""
    return tmp_path_factory.mktemp("no-hardware")


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, no_hardware: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EPOCHLAB_STORE", raising=False)
    monkeypatch.setenv("EPOCHLAB_TRACKING_URI", "off")
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(no_hardware))
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
