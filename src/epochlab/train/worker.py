"""A warm worker process: reads trials as JSON lines, trains each with one thread, reports rows.

Run as `python -m epochlab.train.worker STORE`. When its standard input closes - the parent is done,
was stopped or was killed - it saves the running trial and leaves.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import torch

from epochlab.datasets import Data, Dataset
from epochlab.errors import EpochlabError, Interrupted
from epochlab.registry import load_source
from epochlab.train.execute import execute
from epochlab.train.stopping import StopFlag
from epochlab.train.store import Store
from epochlab.train.trial import trial_from_plain

# Rows are told to the parent at most this often; all of them are in the run's journal.
TELL_EVERY_S = 0.2


def main() -> None:
    """Serve trials until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it closes our input
    torch.set_num_threads(1)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    sys.stdout = sys.stderr  # nothing that is printed by accident may enter the protocol
    store, stop = Store(Path(sys.argv[1])), StopFlag()
    jobs: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs, stop), daemon=True).start()
    loaded: dict[Dataset, Data] = {}
    while (line := jobs.get()) is not None:
        try:
            _serve(json.loads(line), store, stop, loaded, out)
        except Interrupted:
            return
        except BrokenPipeError:
            return


def _listen(jobs: queue.Queue[str | None], stop: StopFlag) -> None:
    for line in sys.stdin:
        jobs.put(line)
    stop.ask()
    jobs.put(None)


def _serve(
    job: dict[str, Any], store: Store, stop: StopFlag, loaded: dict[Dataset, Data], out: IO[str]
) -> None:
    """Train one trial and say how it went."""
    told = 0.0

    def tell(row: dict[str, Any]) -> None:
        nonlocal told
        now = time.monotonic()
        if row["row"] != "step" or now - told > TELL_EVERY_S:
            told = now
            try:
                out.write(json.dumps({"tell": row}) + "\n")
            except BrokenPipeError:
                stop.ask()  # the parent is gone: save and leave

    try:
        for source in job["sources"]:
            load_source(Path(source))
        trial = trial_from_plain(job["trial"])
        if trial.data not in loaded:
            loaded[trial.data] = trial.data.load()
        execute(store, trial, loaded[trial.data], watch=tell, should_stop=stop,
                asked_by=job["asked_by"])  # fmt: skip
        answer: dict[str, Any] = {"done": trial.key}
    except Interrupted:
        raise
    except EpochlabError as error:
        answer = {"failed": str(error), "kind": type(error).__name__}
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}", "kind": "bug"}
        sys.excepthook(type(error), error, error.__traceback__)
    out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
