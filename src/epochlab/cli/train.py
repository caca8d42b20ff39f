"""Train any network on any data with any recipe; a finished run is found, not trained again."""

from __future__ import annotations

import os
from collections.abc import Sequence

from epochlab.cli._options import Parser, add_format, add_store, build, dotted, print_options, show
from epochlab.errors import BadOption, Diverged
from epochlab.table import Column, Table
from epochlab.train.trial import Trial
from epochlab.units import seconds_text

EXAMPLE = """
example:
  epochlab train --network lenet5 --data fashion_mnist --optimizer sgd --optimizer.lr 0.05
                 --optimizer.momentum 0.9 --batch 64 --epochs 5 --seed 1
  epochlab train --network my_net.py:MyNet --data digits --optimizer.lr cyclical
                 --optimizer.lr.low 0.001 --optimizer.lr.high 0.1
A schedule or component is named by its file ('epochlab list schedules') or by path.py:Class; its
options follow with a dot. 'epochlab train --network mlp --data digits --help' lists them all.
"""


def main(words: list[str]) -> None:
    """`epochlab train --network NAME --data NAME [options]`."""
    parser = Parser("train", (__doc__ or "") + EXAMPLE)
    parser.add_argument("--max-time", type=float, metavar="SECONDS",
                        help="stop cleanly after so long; the same command goes on")  # fmt: skip
    add_store(parser)
    add_format(parser)
    if "-h" in words or "--help" in words:
        _print_help(parser, [w for w in words if w not in ("-h", "--help")])
        return
    given, rest = parser.parse_known_args(words)
    if given.data_dir:
        os.environ["EPOCHLAB_DATA"] = given.data_dir
    trial = build(Trial, dotted(rest))
    _train(trial, given.store, given.max_time, given.format)


def _print_help(parser: Parser, words: Sequence[str]) -> None:
    """The fixed options, then those of the trial and of the components named so far."""
    parser.print_help()
    _, rest = parser.parse_known_args(words)
    try:
        trial = build(Trial, dotted(rest))
    except BadOption:
        trial = None
    print()
    print_options(Trial, trial)


def _train(trial: Trial, folder: str | None, max_seconds: float | None, form: str) -> None:
    from epochlab.cli._progress import progress_display
    from epochlab.report.mirror import start_mirror
    from epochlab.train.lab import Lab
    from epochlab.train.record import is_older
    from epochlab.train.stopping import StopFlag, stop_on_signals
    from epochlab.train.store import Store

    flag = StopFlag(max_seconds)
    store = Store.at(folder)
    with stop_on_signals(flag), progress_display("training") as display:
        lab = Lab(store, watcher=display, should_stop=flag)
        run = lab.run(trial)
    start_mirror(store)
    lost = run.diverged
    if lost:
        raise Diverged(
            f"The {lost['quantity']} became {lost['value']} at step {lost['step']} (epoch "
            f"{lost['epoch']}); training stopped there and the rows up to it are kept as run "
            f"{run.key[:12]}. A smaller learning rate is the usual cure: try --optimizer.lr "
            "a tenth of what it was."
        )
    rows = []
    for split in ("train", "validation", "test"):
        score = next((k for k in run.end if k.startswith(split) and "loss" not in k), None)
        if score:
            rows.append({"split": split, "loss": run.end[f"{split}_loss"],
                         score.removeprefix(split + "_"): run.end[score]})  # fmt: skip
    how = "trained now" if lab.trained else "found in the store, nothing trained"
    if is_older(run.record):
        how += f"; made by older source, delete {store.run_folder(run.key).path} to train it anew"
    if run.spoiled:
        how += "; other processes spoiled the timing"
    columns = [Column(name=n, format="" if n == "split" else ".4f") for n in rows[0]]
    show(Table.of(f"Run {run.key[:12]}", rows, columns=columns, notes=(
        f"{run.end['step']} steps in {seconds_text(run.training_s)} of training, "
        f"{seconds_text(run.total_s)} in all ({how}).",
        f"Next: epochlab show {run.key[:8]}   "
        f"epochlab export {run.key[:8]} --out model.safetensors",
    )), form)  # fmt: skip
