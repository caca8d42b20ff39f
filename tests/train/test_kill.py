"""A study that is killed again and again leaves the same bytes as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochlab.registry import load_source
from epochlab.train.lab import Lab
from epochlab.train.store import Store

from . import killing

KILLS = 12
WORDS = ("--epochs", "25")


@pytest.mark.slow
def test_no_kill_leaves_a_trace(tmp_path: Path) -> None:
    whole, store = tmp_path / "whole", tmp_path / "killed"
    killing.run_to_end(whole, *WORDS)

    # Each of them asserts that it hit a living process, that no finished run was written to since
    # the last one and, where only the parent was killed, that its workers saved and left.
    kills = list(killing.kill_often(store, KILLS, 0, *WORDS))
    assert len(kills) == KILLS
    assert {kill.whole for kill in kills} == {True, False}
    assert any(kill.found.startswith("writing checkpoint") for kill in kills), kills
    assert any("saved by orphans" in kill.found for kill in kills), kills

    assert killing.differences(store, whole) == []
    assert killing.miscounted(store) == []
    assert "Traceback" not in (tmp_path / "killed.log").read_text()

    before = killing.finished_files(store)
    assert "no step was trained" in killing.run_to_end(store, *WORDS)
    load_source(killing.STUDY)
    lab = Lab(Store(store), processes=0)
    trials = [lab.store.run_folder(path.name).trial() for path in store.glob("runs/*/*")]
    assert len(lab.run_all(trials)) == 4
    assert lab.trained == 0
    killing.check_untouched(store, before)
