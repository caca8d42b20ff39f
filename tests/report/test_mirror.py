"""Every finished run appears once in MLflow, however often the mirror runs or is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from epochlab.report.mirror import KEY_TAG, URI_VARIABLE, mirror, start_mirror, tracking_uri
from epochlab.train.lab import Lab
from epochlab.train.store import Store
from tests.train.trials import quick_trial

pytest.importorskip("mlflow", reason="needs the extra 'tracking'")


@pytest.fixture
def filled(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv(URI_VARIABLE)
    Lab(store, processes=0, asked_by="my-study").run_all([quick_trial(seed=s) for s in range(2)])
    return store


def in_other_process(store: Store) -> None:
    """As it always runs; MLflow's own warnings stay out of this test run."""
    done = subprocess.run(
        [sys.executable, "-m", "epochlab.report.mirror", str(store.folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


READ_BACK = """
import json, sys, warnings
warnings.simplefilter("ignore")
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
experiments = {e.name: e.experiment_id for e in client.search_experiments()}
runs = client.search_runs([experiments["my-study"]])
print(json.dumps([{
    "key": r.data.tags["epochlab.key"], "status": r.info.status, "params": r.data.params,
    "curve": [m.value for m in client.get_metric_history(r.info.run_id, "running_loss")],
    "files": sorted(f.path for f in client.list_artifacts(r.info.run_id)),
} for r in runs]))
"""


def read_back(store: Store) -> list[dict[str, object]]:
    import json

    done = subprocess.run(
        [sys.executable, "-c", READ_BACK, tracking_uri(store)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_runs_appear_once_with_parameters_curves_and_files(filled: Store) -> None:
    in_other_process(filled)
    in_other_process(filled)
    # A mirror that was killed before it noted what it did finds its run and replaces it.
    (marks,) = filled.folder.glob("mirrored-*.txt")
    marks.write_text(marks.read_text().split()[0] + "\n")
    in_other_process(filled)
    found = {str(r["key"]): r for r in read_back(filled)}
    runs = {run.key: run for run in Lab(filled).run_all([quick_trial(seed=s) for s in range(2)])}
    assert set(found) == set(runs)
    assert len(read_back(filled)) == 2
    for key, row in found.items():
        params = row["params"]
        assert isinstance(params, dict)
        assert params["optimizer.lr"] == "0.05"
        assert params["seed"] == str(runs[key].trial.seed)
        assert row["curve"] == [e["running_loss"] for e in runs[key].epochs]
        assert row["status"] == "FINISHED"
        assert row["files"] == ["clock.jsonl", "model.safetensors", "record.json", "trial.json"]


def test_key_tag_is_what_the_reader_looks_for() -> None:
    assert KEY_TAG == "epochlab.key"


def test_nothing_is_started_when_switched_off(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lab(store).run(quick_trial())
    monkeypatch.setenv(URI_VARIABLE, "off")
    assert not start_mirror(store)
    assert not (store.folder / "mirror.log").exists()


def test_an_empty_store_needs_no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URI_VARIABLE)
    folder = tmp_path / "empty"
    folder.mkdir()
    assert mirror(Store(folder)) == 0
    assert not start_mirror(Store(folder))
