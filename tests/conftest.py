"""Shared fixtures: an isolated store and settings, so that no test sees another's or the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochlab.train.store import Store


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EPOCHLAB_STORE", raising=False)
    monkeypatch.setenv("EPOCHLAB_TRACKING_URI", "off")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
