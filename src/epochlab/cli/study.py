"""Studies: list them, plan one (time before it starts), run it to its report, or report again."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from pathlib import Path
from typing import Any, TypeVar

from epochlab.cli._options import Parser, add_format, add_store, build, dotted, print_options, show
from epochlab.component import component_name, make
from epochlab.errors import BadOption, UnknownName
from epochlab.evidence import Claim, Evidence
from epochlab.plain import content_hash
from epochlab.registry import load_class, names
from epochlab.studies import Study
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.store import Store
from epochlab.units import seconds_text

EXAMPLE = """
  epochlab study list
  epochlab study plan   NAME [--preset P] [--OPTION VALUE ...] [--price DOLLARS_PER_HOUR]
  epochlab study run    NAME [--preset P] [--OPTION VALUE ...] [--out DIR] [--max-time SECONDS]
  epochlab study report NAME [--preset P] [--OPTION VALUE ...]
NAME is a study of 'epochlab study list' or a path/to/file.py of one's own. Presets: smoke
(plumbing, under a minute), laptop (default; under 30 minutes on two cores), paper (the original
setting).
'epochlab study run NAME --help' lists the study's options. Runs are kept: the same command again
trains nothing, and '--seeds 5' after '--seeds 3' trains two.
"""
DEFAULT_PRESET = "laptop"
S = TypeVar("S", bound=Study)


@dataclasses.dataclass(frozen=True)
class Request:
    """A study as asked for on the command line."""

    study: Study
    name: str
    preset: str
    is_preset: bool
    "no option was changed"
    words: tuple[str, ...]

    @property
    def title(self) -> str:
        """Stem of the report's folder; changed options add digits of the content hash."""
        stem = f"{self.name}-{self.preset}"
        return stem if self.is_preset else f"{stem}-{content_hash(self.study)[:8]}"

    @property
    def command(self) -> str:
        """What repeats it."""
        return " ".join(("epochlab study run", *self.words))


def main(words: list[str]) -> None:
    """`epochlab study list|plan|run|report`."""
    verbs = {"list": _list, "plan": _plan, "run": _run, "report": _report}
    if not words or words[0] in ("-h", "--help"):
        print((__doc__ or "") + EXAMPLE)
        return
    if words[0] not in verbs:
        raise UnknownName("verb of 'epochlab study'", words[0], verbs)
    verbs[words[0]](words[1:])


def _list(words: list[str]) -> None:
    parser = Parser("study list", "List the studies.")
    add_format(parser)
    given = parser.parse_strictly(words)
    rows = []
    for name in names("studies"):
        cls = load_class("studies", name)
        assert issubclass(cls, Study)
        rows.append({"study": name.replace("_", "-"), "question": cls.question,
                     "presets": ", ".join(cls.presets)})  # fmt: skip
    show(Table.of("Studies", rows, label="exact"), given.format)


def _parser(verb: str) -> Parser:
    parser = Parser(f"study {verb}", "Options of every study; its own follow its name." + EXAMPLE)
    parser.add_argument("name", help="a study, or path/to/file.py")
    parser.add_argument("--preset", default=None, help="smoke, laptop (default), paper, ...")
    parser.add_argument("--out", metavar="DIR", help="folder of the report "
                        "(else reports/ in the store)")  # fmt: skip
    parser.add_argument("--max-time", type=float, metavar="SECONDS",
                        help="stop cleanly after so long; the same command goes on")  # fmt: skip
    parser.add_argument("--price", type=float, metavar="DOLLARS",
                        help="of one hour of this machine, for the plan")  # fmt: skip
    add_store(parser)
    add_format(parser)
    return parser


def _asked(verb: str, words: list[str]) -> tuple[Any, Request] | None:
    """Parsed options and the study; None after help was printed."""
    parser = _parser(verb)
    wants_help = "-h" in words or "--help" in words
    words = [w for w in words if w not in ("-h", "--help")]
    if wants_help and not words:
        parser.print_help()
        return None
    given, rest = parser.parse_known_args(words)
    cls = load_class("studies", given.name)
    assert issubclass(cls, Study)
    if given.data_dir:
        os.environ["EPOCHLAB_DATA"] = given.data_dir
    preset = given.preset or (DEFAULT_PRESET if DEFAULT_PRESET in cls.presets else "")
    if preset and preset not in cls.presets:
        raise UnknownName("preset", preset, cls.presets)
    default = make(cls, cls.presets.get(preset, {}))
    if wants_help:
        print_options(cls, default)
        return None
    study = build(cls, dotted(rest), default)
    name = Path(given.name.partition(":")[0]).stem.replace("_", "-")
    return given, Request(study, name, preset or "own", study == default, tuple(words))


def _plan(words: list[str]) -> None:
    asked = _asked("plan", words)
    if asked is None:
        return
    from epochlab.cli._progress import working
    from epochlab.train.plan import Planner, forecast

    given, request = asked
    planner = Planner(Store.at(given.store))
    remarks = []
    with working("counting what is missing, and timing a few steps of each kind"):
        try:
            for _ in request.study.evidence(planner):
                pass
        except (ArithmeticError, LookupError, ValueError):
            # Stand-in numbers need not make sense to a study that computes with them.
            remarks.append("The rest depends on results that do not exist yet.")
        parts = forecast(planner)
    rows: list[dict[str, Any]] = []
    total = 0.0
    for number, part in enumerate(parts, 1):
        total += part.seconds
        rows.append({"request": str(number), "runs": part.runs, "steps": part.steps,
                     "time": seconds_text(part.seconds)})  # fmt: skip
    rows.append({"request": "total", "runs": sum(r["runs"] for r in rows),
                 "steps": sum(r["steps"] for r in rows), "time": seconds_text(total)})  # fmt: skip
    remarks.append(f"{planner.done} runs are in the store already.")
    if given.price is not None:
        remarks.append(f"At {given.price:g} dollars per hour: {total / 3600 * given.price:.2f}.")
    show(Table.of(
        f"Still to train for {request.title}", rows, label="predicted",
        columns=("request", Column(name="runs", format=","), Column(name="steps", format=","),
                 "time"),
        notes=("Predicted from a few timed steps of each kind on this machine.", *remarks,
               f"Next: {request.command}"),
    ), given.format)  # fmt: skip


def _run(words: list[str]) -> None:
    asked = _asked("run", words)
    if asked is None:
        return
    given, request = asked
    _conduct(given, request, fresh=False)


def _report(words: list[str]) -> None:
    asked = _asked("report", words)
    if asked is None:
        return
    from epochlab.train.plan import Planner

    given, request = asked
    planner = Planner(Store.at(given.store))
    for _ in request.study.evidence(planner):
        pass
    missing = sum(len(part.trials) for part in planner.planned)
    if missing:
        raise BadOption(
            f"{missing} runs of this study are not in the store {planner.store.folder}. Train them "
            f"with: {request.command}"
        )
    _conduct(given, request, fresh=True)


def _conduct(given: Any, request: Request, fresh: bool) -> None:
    """Train what is missing, collect the evidence, write the report, say what came out."""
    from epochlab.report import manifest

    store = Store.at(given.store)
    folder = Path(given.out) if given.out else store.folder / "reports" / request.title
    if not fresh and (claims := manifest.unchanged(folder, request.study, store)) is not None:
        _say(claims, folder, request, "Nothing had changed: no step was trained.", given.format)
        return
    lab, evidence, seconds = _evidence(given, request, store)
    from epochlab.cli._progress import working
    from epochlab.report import write_report
    from epochlab.report.compose import compose
    from epochlab.report.mirror import start_mirror

    report = compose(
        request.study, name=request.name, preset=request.preset, command=request.command,
        lab=lab, evidence=evidence, seconds=seconds,
    )  # fmt: skip
    with working("drawing the report"):
        write_report(report, folder)
    manifest.write(folder, request.study, lab, evidence)
    start_mirror(store)
    how = f"{lab.trained} of {len(lab.asked)} runs trained now, in {seconds_text(seconds)}."
    _say([e for e in evidence if isinstance(e, Claim)], folder, request, how, given.format)


def _evidence(given: Any, request: Request, store: Store) -> tuple[Lab, list[Evidence], float]:
    from epochlab.cli._progress import progress_display
    from epochlab.train.stopping import StopFlag, stop_on_signals

    flag, began = StopFlag(given.max_time), time.monotonic()
    with stop_on_signals(flag), progress_display(request.name) as display:
        lab = Lab(store, watcher=display, should_stop=flag, asked_by=request.name)
        evidence = list(request.study.evidence(lab))
    return lab, evidence, time.monotonic() - began


def _say(claims: list[Claim], folder: Path, request: Request, how: str, form: str) -> None:
    without_seeds = re.sub(r" --seeds[ =]\d+", "", request.command)
    rows = [{"verdict": c.verdict, "claim": c.statement, "seeds": c.seeds} for c in claims]
    computed = all(c.label == "exact" for c in claims)
    show(Table.of(f"{request.study.question or component_name(type(request.study))}", rows,
                  columns=("verdict", "claim", "seeds"),
                  label="exact" if computed else "measured", notes=(
        how, f"Report: {folder / 'index.html'} and {folder / 'report.pdf'}",
        f"Next: open the report; epochlab runs; {without_seeds} --seeds "
        f"{request.study.seeds + 2}",
    )), form)  # fmt: skip
