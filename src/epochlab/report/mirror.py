"""Mirror finished runs into MLflow from a process of its own; training never waits for it.

Run as `python -m epochlab.report.mirror STORE`. It is safe to kill and to run again: every MLflow
run carries its trial's key as a tag, and a run that was cut short is replaced.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from epochlab.errors import EpochlabError, MissingExtra, TrackingError
from epochlab.train.run import Run
from epochlab.train.store import Store
from epochlab.train.trial import flat_settings

URI_VARIABLE = "EPOCHLAB_TRACKING_URI"
KEY_TAG = "epochlab.key"
ARTIFACTS = ("trial.json", "record.json", "clock.jsonl", "model.safetensors")
_BATCH = 900  # MLflow takes at most 1,000 metrics and 100 parameters in one request


def tracking_uri(store: Store) -> str:
    """EPOCHLAB_TRACKING_URI, else an SQLite file in the store; 'off' switches mirroring off."""
    return os.environ.get(URI_VARIABLE) or f"sqlite:///{store.folder.resolve()}/mlflow.db"


def start_mirror(store: Store) -> bool:
    """Start the mirror in the background, at low priority; False if there is nothing to start."""
    off = os.environ.get(URI_VARIABLE) == "off"
    if off or importlib.util.find_spec("mlflow") is None or not list(_waiting(store)):
        return False
    with (store.folder / "mirror.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "epochlab.report.mirror", str(store.folder.resolve())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    return True


def _marks(store: Store) -> Path:
    """File with the keys already mirrored to the present tracking address."""
    digest = hashlib.sha256(tracking_uri(store).encode()).hexdigest()[:12]
    return store.folder / f"mirrored-{digest}.txt"


def _waiting(store: Store) -> Iterator[str]:
    """Keys of finished runs that are not mirrored yet, the oldest first."""
    marks = _marks(store)
    known = set(marks.read_text().split()) if marks.exists() else set()
    for key in reversed(store.run_keys()):
        if key not in known and store.run_folder(key).is_done:
            yield key


def mirror(store: Store) -> int:
    """Mirror every finished run that is not there yet; returns how many were.

    Raises MissingExtra without MLflow, TrackingError when the server cannot be reached. Does
    nothing while another mirror is at work on the same store.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise MissingExtra("mlflow", "tracking", "Tracking")
    with (store.folder / "mirror.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        waiting = list(_waiting(store))
        if not waiting:
            return 0
        client = _client(store)
        for key in waiting:
            run = Run.load(store.run_folder(key))
            try:
                _mirror_run(client, store, run)
            except Exception as error:
                raise _unreachable(store, error) from error
            with _marks(store).open("a") as file:
                file.write(key + "\n")
        return len(waiting)


def _unreachable(store: Store, error: Exception) -> TrackingError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return TrackingError(
        f"The tracking server at {tracking_uri(store)} did not take a run: {reason}. All runs are "
        f"safe in {store.folder}; start the server or change {URI_VARIABLE}, then 'epochlab track "
        "--mirror-only' catches up."
    )


def _client(store: Store) -> Any:
    """An MLflow client that gives up soon when its server is down."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's dependencies warn about one another
        from mlflow.tracking import MlflowClient

    try:
        return MlflowClient(tracking_uri=tracking_uri(store))
    except Exception as error:
        raise _unreachable(store, error) from error


def _experiment(client: Any, store: Store, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = tracking_uri(store).startswith("sqlite")
    place = (store.folder.resolve() / "mlflow-artifacts" / name).as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=place))


def _mirror_run(client: Any, store: Store, run: Run) -> None:
    """One run: parameters, a curve per score, artefacts; replaces what a killed mirror left."""
    from mlflow.entities import Metric, Param, RunTag

    assert run.folder is not None
    experiment = _experiment(client, store, str(run.record.get("asked_by") or "train"))
    for old in client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{run.key}'"):
        client.delete_run(old.info.run_id)
    made = client.create_run(experiment, run_name=f"{type(run.trial.network).__name__} "
                             f"{type(run.trial.optimizer).__name__} seed {run.trial.seed}",
                             tags={KEY_TAG: run.key, "epochlab.status": run.status})  # fmt: skip
    identity = made.info.run_id
    stamp_ms = int(run.folder.file("DONE").stat().st_mtime * 1000)
    params = [Param(k, str(v)[:500]) for k, v in flat_settings(run.trial).items()]
    metrics = [
        Metric(name, float(value), stamp_ms, row["epoch"])
        for row in (run.start, *run.epochs, run.end)
        for name, value in row.items()
        if isinstance(value, float)
    ]
    metrics += [Metric("training_s", run.training_s, stamp_ms, 0)]
    for begin in range(0, len(params), 90):
        client.log_batch(identity, params=params[begin : begin + 90])
    for begin in range(0, len(metrics), _BATCH):
        client.log_batch(identity, metrics=metrics[begin : begin + _BATCH])
    source = str(run.record.get("source", ""))
    client.log_batch(identity, tags=[RunTag("epochlab.source", source[:16])])
    for name in ARTIFACTS:
        if run.folder.file(name).exists():
            client.log_artifact(identity, str(run.folder.file(name)))
    client.set_terminated(identity, "FINISHED" if run.status == "done" else "FAILED")


def main() -> int:
    """Mirror one store, at low priority."""
    os.nice(19)
    try:
        count = mirror(Store(Path(sys.argv[1])))
    except EpochlabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"mirrored {count} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
