"""Parameter servers emulated with processes of this machine: speeds, and equation 4 fitted."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from epochlab.evidence import Claim, Evidence, Figure, Note, Verdict
from epochlab.figures.lines import Lines
from epochlab.predict.optimus_fit import fit_synchronous
from epochlab.studies._server_measured import Fit, fit_table
from epochlab.studies._server_processes import Crew, ProcessesFailed, SmallNetwork, Stepped
from epochlab.studies._server_times import Job, servers_text
from epochlab.table import Column, Table

ROUNDS = 3  # of all arrangements in turns, so that drift hits all alike
SAME_LOSS = 1e-5  # relative; sums of 32-bit numbers in another order differ by less
FIT_ERROR = 0.10
OTHER_CORES = 0.2  # what other work may have on average before the speeds count as spoiled

Found = Mapping[tuple[int, int], Sequence[Stepped]]


@dataclass(frozen=True, kw_only=True)
class Emulation:
    """What is stepped: 1 to so many workers with 1 to so many servers."""

    workers: int
    servers: int
    batch: int
    steps: int

    @property
    def places(self) -> list[tuple[int, int]]:
        """Workers and servers of every arrangement."""
        return [(w, p) for p in range(1, self.servers + 1) for w in range(1, self.workers + 1)]

    def run(self) -> Found:
        """Every arrangement, so many times as there are rounds. Raises ProcessesFailed."""
        found: dict[tuple[int, int], list[Stepped]] = {place: [] for place in self.places}
        with Crew(servers=self.servers, workers=self.workers) as crew:
            for _ in range(ROUNDS):
                for w, p in self.places:
                    found[w, p].append(
                        crew.step(workers=w, servers=p, batch=self.batch, steps=self.steps)
                    )
        return found


def emulation_evidence(job: Job, emulation: Emulation, cores: int) -> Iterator[Evidence]:
    """Speeds of processes that train together, their fit, and that all train the same."""
    try:
        found = emulation.run()
    except ProcessesFailed as error:
        yield Note(kind="skipped", text=(
            f"The emulation with processes did not work here: {error}. Other parts of this report "
            "do not need it."
        ))  # fmt: skip
        return
    speeds = {place: statistics.median(s.steps_per_s for s in steps)
              for place, steps in found.items()}  # fmt: skip
    fit = fit_synchronous([(w, p, speed) for (w, p), speed in speeds.items()],
                          batch=emulation.batch)  # fmt: skip
    yield _explanation(emulation, cores)
    yield _figure(fit)
    yield _speeds_table(emulation, found, speeds, fit)
    yield fit_table(fit, "the emulation", "emulated-fit", job, (
        f"Each speed is the median of {ROUNDS} measurements. The best workers are those of the "
        "fitted equation, whose premise ends where the cores do.",
    ))  # fmt: skip
    yield _same_claim(found)
    yield _fit_claim(fit, emulation, cores, others(found))


def others(found: Found) -> float | None:
    """Cores that other work had on average; None where it is not known."""
    known = [s.other_cores for steps in found.values() for s in steps if s.other_cores is not None]
    return statistics.fmean(known) if known else None


def _explanation(emulation: Emulation, cores: int) -> Note:
    network = SmallNetwork()
    return Note(text=(
        f"An emulation on this machine, {cores} core{'s' * (cores > 1)}: every worker and every "
        "server is a process with one thread. A worker computes the gradient of its share of "
        f"{emulation.batch} samples for a network of {network.inputs}, {network.hidden} and "
        f"{network.classes} units ({network.size:,} parameters, random data), sends every server "
        "its stretch of the gradient through a socket of this machine, and waits for the new "
        "parameters; a server waits for all workers. There is no network between them, and no "
        "process has a core of its own once there are more processes than cores: speeds of such "
        "arrangements tell more about sharing a processor than about a cluster."
    ))  # fmt: skip


def _figure(fit: Fit) -> Figure:
    rows = [{"workers": w, "servers": servers_text(p), "emulated": f,
             "fitted": fit.model.speed(w, p)} for w, p, f in fit.measurements]  # fmt: skip
    return Figure(
        table=Table.of("Emulated speed over workers", rows, label="emulated", name="emulated",
                       columns=("workers", "servers",
                                Column(name="emulated", unit="steps/s", format=".1f"),
                                Column(name="fitted", unit="steps/s", format=".1f",
                                       label="predicted"))),
        drawing=Lines(x="workers", y=("emulated", "fitted"), color="servers", points=True,
                      y_title="speed [steps/s]"),
        caption="Lines: processes of this machine; dashed: equation 4 fitted to them.",
    )  # fmt: skip


def _speeds_table(
    emulation: Emulation, found: Found, speeds: Mapping[tuple[int, int], float], fit: Fit
) -> Table:
    rows: list[dict[str, Any]] = []
    for (w, p), steps in found.items():
        each = [s.steps_per_s for s in steps]
        rows.append({
            "workers": w, "servers": p, "speed": speeds[w, p], "lowest": min(each),
            "highest": max(each), "fitted": fit.model.speed(w, p), "loss": steps[0].loss,
            "other work": others({(w, p): steps}),
        })  # fmt: skip
    return Table.of("Emulated speeds", rows, label="emulated", name="emulated-speeds", columns=(
        "workers", "servers",
        *(Column(name=n, unit="steps/s", format=".1f") for n in ("speed", "lowest", "highest")),
        Column(name="fitted", unit="steps/s", format=".1f", label="predicted"),
        Column(name="loss", format=".4f"), Column(name="other work", unit="cores", format=".2f"),
    ), notes=(f"Median, lowest and highest of {ROUNDS} measurements of {emulation.steps} steps. "
              "Loss: summed over the batch in the last step. Other work: cores that other "
              "processes, and other machines on the same hardware, had meanwhile.",))  # fmt: skip


def _same_claim(found: Found) -> Claim:
    losses = [s.loss for steps in found.values() for s in steps]
    apart = (max(losses) - min(losses)) / max(losses)
    return Claim(
        statement="However many workers and servers share it, synchronous training is the same.",
        rule=f"the loss of the last step agrees to {SAME_LOSS:g} of its value in all arrangements",
        verdict="supported" if apart <= SAME_LOSS else "not supported", label="emulated",
        numbers={"relative difference": apart, "arrangements": len(found)},
    )  # fmt: skip


def _fit_claim(fit: Fit, emulation: Emulation, cores: int, other_cores: float | None) -> Claim:
    error = fit.mean_relative_error
    verdict: Verdict = "supported" if error <= FIT_ERROR else "not supported"
    if emulation.workers > cores or (other_cores or 0.0) > OTHER_CORES:
        verdict = "inconclusive"
    told = {} if other_cores is None else {"other work, cores": other_cores}
    return Claim(
        statement="Equation 4 describes the speeds of the emulation.",
        rule=f"the mean error of the fitted speeds is at most {FIT_ERROR:.0%}; inconclusive where "
             "there are more workers than cores, for then the equation's premise does not hold, "
             f"or where other work had more than {OTHER_CORES:g} cores",
        verdict=verdict, label="emulated",
        numbers={"mean error": error, "most workers": emulation.workers, "cores": cores} | told,
    )  # fmt: skip
