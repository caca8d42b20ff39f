"""The memoising lab: nothing is trained twice, workers and this process agree to the bit."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

import epochlab.train.store as store_module
from epochlab.augment.crop_flip import CropFlip
from epochlab.augment.cutout import Cutout
from epochlab.datasets._files import file_sha256
from epochlab.errors import RunLocked, StoreError, UserError
from epochlab.optimizers.sgd import Sgd
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner, forecast
from epochlab.train.store import Store

from .trials import busy_trial, quick_trial


def test_nothing_is_trained_twice(store: Store) -> None:
    trials = [quick_trial(seed=seed) for seed in range(3)]
    first = Lab(store, processes=0)
    first.run_all(trials)
    assert first.trained == 3
    again = Lab(store, processes=0)
    assert again.run_all(trials) == first.run_all(trials)
    assert again.trained == 0
    more = Lab(store, processes=0)
    more.run_all([*trials, quick_trial(seed=3)])
    assert more.trained == 1


def test_workers_give_the_same_bytes_as_this_process(tmp_path: Path) -> None:
    trials = [busy_trial(epochs=1), quick_trial(epochs=1)]
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    Lab(here, processes=0).run_all(trials)
    crew = Lab(there, processes=2)
    crew.run_all(trials)
    assert crew.trained == 2
    for trial in trials:
        for name in ("rows.jsonl", "model.safetensors"):
            files = [s.run_folder(trial.key).file(name) for s in (here, there)]
            assert file_sha256(files[0]) == file_sha256(files[1]), name


def test_a_trial_that_fails_in_a_worker_does_not_stop_the_others(store: Store) -> None:
    wrong = quick_trial(augment=(CropFlip(), Cutout(size=99, inside=True)), epochs=1)
    good = [quick_trial(seed=seed, epochs=1) for seed in range(2)]
    with pytest.raises(UserError):
        Lab(store, processes=2).run_all([wrong, *good])
    assert all(store.run_folder(t.key).is_done for t in good)


def test_a_diverged_run_is_a_result(store: Store) -> None:
    run = Lab(store).run(quick_trial(optimizer=Sgd(lr=1e12), epochs=5))
    assert run.status == "diverged"
    assert run.diverged is not None
    assert run.diverged["value"] in ("nan", "inf", "-inf")
    assert run.end == {}
    assert Lab(store).run(run.trial).status == "diverged"


def test_two_processes_on_one_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_PATIENCE_S", 0.1)
    trial = quick_trial()
    folder = store.run_folder(trial.key)
    folder.path.mkdir(parents=True)
    with folder.file("lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("process 4711")
        held.flush()
        with pytest.raises(RunLocked, match="process 4711"):
            Lab(store).run(trial)
    assert Lab(store).run(trial).status == "done"


def test_full_disk_is_explained_and_nothing_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    trial = quick_trial()

    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match=r"disk is full.*Free some space"):
            Lab(store).run(trial)
    folder = store.run_folder(trial.key)
    assert not folder.is_done
    assert not list(folder.path.glob("*.part"))
    assert Lab(store).run(trial).status == "done"


def test_the_plan_counts_what_is_missing(store: Store) -> None:
    trials = [quick_trial(seed=seed) for seed in range(3)]
    Lab(store, processes=0).run_all(trials[:1])
    planner = Planner(store)
    runs = planner.run_all(trials)
    assert [run.status for run in runs] == ["done", "planned", "planned"]
    (part,) = forecast(planner)
    assert (part.runs, part.steps) == (2, 2 * 2 * 8)
    assert part.seconds > 0
    assert planner.done == 1
