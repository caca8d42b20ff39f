"""A run that is stopped anywhere and resumed leaves the same bytes as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from epochlab.datasets._files import file_sha256
from epochlab.errors import BadCheckpoint, Interrupted
from epochlab.train.execute import execute
from epochlab.train.store import Store
from epochlab.train.trial import Trial

from .trials import busy_trial, quick_trial

KEPT = ("rows.jsonl", "model.safetensors", "best.safetensors", "trial.json")


def digests(store: Store, trial: Trial) -> dict[str, str]:
    folder = store.run_folder(trial.key)
    assert folder.is_done
    found = {n: file_sha256(folder.file(n)) for n in KEPT if folder.file(n).exists()}
    noted = folder.done()
    assert noted["rows_sha256"] == found["rows.jsonl"]
    assert noted["model_sha256"] == found["model.safetensors"]
    return found


def stop_after(count: int) -> object:
    """A stop question that says yes when asked for the `count`-th time."""
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= count


@pytest.mark.parametrize("make", [busy_trial, quick_trial])
def test_stopped_at_every_row(make: object, tmp_path: Path) -> None:
    trial: Trial = make()  # type: ignore[operator]
    data = trial.data.load()
    torch.set_num_threads(1)
    whole = execute(Store(tmp_path / "whole"), trial, data)
    rows = len(whole.rows)
    expected = digests(Store(tmp_path / "whole"), trial)
    assert "model.safetensors" in expected
    for cut in range(1, rows):
        store = Store(tmp_path / f"cut{cut}")
        with pytest.raises(Interrupted):
            execute(store, trial, data, should_stop=stop_after(cut), look_every_s=0)  # type: ignore[arg-type]
        resumed = execute(store, trial, data)
        assert resumed.rows == whole.rows
        assert digests(store, trial) == expected


def test_stopped_again_and_again(store: Store) -> None:
    trial = busy_trial()
    data = trial.data.load()
    torch.set_num_threads(1)
    whole = execute(Store(store.folder / "whole"), trial, data)
    stops = 0
    while True:
        try:
            execute(store, trial, data, should_stop=stop_after(2), look_every_s=0)  # type: ignore[arg-type]
            break
        except Interrupted:
            stops += 1
    assert stops > 10
    assert digests(store, trial) == digests(Store(store.folder / "whole"), trial)
    assert store.run_folder(trial.key).read_rows() == list(whole.rows)


def test_rows_past_the_checkpoint_are_redone(store: Store) -> None:
    """A kill leaves rows after the last checkpoint, and perhaps half a line."""
    trial = busy_trial()
    data = trial.data.load()
    torch.set_num_threads(1)
    with pytest.raises(Interrupted):
        execute(store, trial, data, should_stop=stop_after(5), look_every_s=0)  # type: ignore[arg-type]
    folder = store.run_folder(trial.key)
    with folder.file("rows.jsonl").open("a") as file:
        file.write('{"row":"step","step":5,"epoch":1,"loss":9.9}\n{"row":"st')
    execute(store, trial, data)
    execute(Store(store.folder / "whole"), trial, data)
    assert digests(store, trial) == digests(Store(store.folder / "whole"), trial)


def test_damaged_checkpoint_is_refused(store: Store) -> None:
    trial = quick_trial()
    data = trial.data.load()
    with pytest.raises(Interrupted):
        execute(store, trial, data, should_stop=stop_after(5), look_every_s=0)  # type: ignore[arg-type]
    checkpoint = store.run_folder(trial.key).file("checkpoint.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="not a complete safetensors file"):
        execute(store, trial, data)


def test_arms_with_equal_seeds_see_the_same(store: Store) -> None:
    """Equal seeds share initial weights and sample order; other seeds do not."""
    from epochlab.optimizers.adam import Adam
    from epochlab.train.state import build_network

    a, b = quick_trial(), quick_trial(optimizer=Adam())
    data = a.data.load()
    one, two = build_network(a, data), build_network(b, data)
    for (name, p), (_, q) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        assert torch.equal(p, q), name
    first_losses = [execute(store, t, data).steps[0]["loss"] for t in (a, b)]
    assert first_losses[0] == first_losses[1]
    other = execute(store, quick_trial(seed=1), data)
    assert other.steps[0]["loss"] != first_losses[0]
