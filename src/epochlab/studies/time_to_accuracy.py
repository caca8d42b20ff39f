"""How many workers and parameter servers reach an accuracy soonest, and at what cost?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from epochlab.component import Count, CountOrZero, Limits, NotNegative, Positive, Share
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Note
from epochlab.hardware import Figure as Published
from epochlab.hardware import load_device
from epochlab.predict.optimus_speed import resnet50_speed
from epochlab.studies import Study
from epochlab.studies import _server_divisions as divisions
from epochlab.studies import _server_measured as measured
from epochlab.studies import _server_refits as refits
from epochlab.studies import _server_times as times
from epochlab.studies._server_emulation import Emulation, emulation_evidence
from epochlab.studies._server_processes import MOST
from epochlab.studies._server_times import Job
from epochlab.train.lab import Lab, available_cores

QUOTED = resnet50_speed().coefficients


@dataclass(frozen=True, kw_only=True)
class TimeToAccuracy(Study):
    """Evaluate the speed model of Optimus, and fit it again; no network is trained to the end."""

    seeds: Count = 20
    "draws of simulated runs, and of runs of the published grid"
    servers: tuple[Count, ...] = (2, 4)
    "parameter servers, one curve each"
    workers: Count = 32
    "1 to so many workers"
    batches: tuple[Count, ...] = (128, 40)
    "samples of all workers in one step, M; figures of a single batch show the first"
    target: Share = 0.92
    "accuracy to be reached; it names the time, `epochs` says how long the way is"
    epochs: Positive = 100.0
    "passes over the data until the target: an assumption, until a forecast of a run says it"
    samples: Count = 50_000
    "training samples; an epoch has samples / batch steps, rounded up"
    coefficients: tuple[NotNegative, ...] = QUOTED
    "t0 to t4 of equation 4, in seconds"
    most_servers: Count = 16
    "rows of the map of workers and servers"
    containers: tuple[Count, ...] = (8, 12, 16, 20, 32)
    "containers to divide among workers and servers"
    device: str | None = None
    "device of 'epochlab list hardware' whose price each container costs; without it, hours"
    tariff: Literal["on-demand", "preemptible", "with-machine"] = "on-demand"
    "which of the device's prices"
    points: CountOrZero = 10
    "simulated runs to which the coefficients are fitted again; 0 leaves this out"
    noise: tuple[NotNegative, ...] = (0.02, 0.05)
    "of the simulated speeds, as shares"
    grid: bool = True
    "also fit a published grid of measured speeds"
    emulated_workers: Annotated[int, Limits(low=0, high=MOST)] = 4
    "1 to so many worker processes on this machine, timed; 0 leaves this out, else 4 or more"
    emulated_servers: Annotated[int, Limits(low=1, high=MOST)] = 2
    "1 to so many server processes, 2 or more"
    emulated_batch: Count = 1920
    "samples of all worker processes in one step"
    emulated_steps: Count = 50
    "timed steps of each arrangement"
    speeds: str | None = None
    "CSV file of your own runs: workers, servers, steps_per_second"
    speeds_batch: Count = 128
    "samples of all workers in one step of these runs"

    question: ClassVar[str] = (
        "How many workers and parameter servers reach an accuracy soonest, and at what cost?"
    )
    covers: ClassVar[tuple[str, ...]] = ("HW4-P4.3",)
    expectation: ClassVar[str] = (
        "Each curve falls, has a least, and rises: with few workers each has many samples to "
        "compute, with many the servers are busy exchanging gradients. More servers move the least "
        "to the right and down, but with one worker they hardly matter. If a curve only falls, it "
        "was not followed far enough; if it only rises, computing is quick beside the traffic, as "
        "with GPUs behind a slow network."
    )
    references: ClassVar[tuple[str, ...]] = (
        "Y. Peng, Y. Bao, Y. Chen, C. Wu, C. Guo, Optimus: An Efficient Dynamic Resource Scheduler "
        "for Deep Learning Clusters, EuroSys 2018 (equation 4: speed of synchronous training).",
        "github.com/pengyanghua/optimus (coefficients of ResNet-50) and github.com/pengyanghua/DL2 "
        "(measured grid, config_speed.txt), programs by the paper's first author.",
        "A. Colyer, summary of Optimus, the morning paper, blog.acolyer.org, 12 June 2018 (8 "
        "workers and 12 servers of 20 containers).",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"points": 0, "grid": False, "emulated_workers": 0}, "laptop": {},
        "paper": {"seeds": 100, "emulated_steps": 200},
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("servers", "batches", "containers"):
            if not getattr(self, name):
                raise BadOption(f"time-to-accuracy: {name} is empty; give at least one number.")
        if len(self.coefficients) != len(QUOTED):
            raise BadOption(
                f"time-to-accuracy: coefficients has {len(self.coefficients)} values; equation 4 "
                "has five, t0,t1,t2,t3,t4, for example 1.02,2.78,4.92,0,0.02."
            )
        if min(self.containers) < 2:
            raise BadOption(
                "time-to-accuracy: containers has a value below 2; one worker and one server are "
                "the least."
            )
        refits.check_points(self.points)
        if self.emulated_workers and (self.emulated_workers < 4 or self.emulated_servers < 2):
            raise BadOption(
                f"time-to-accuracy: emulated_workers is {self.emulated_workers} and "
                f"emulated_servers {self.emulated_servers}; at least 4 and 2 are needed to tell "
                "five coefficients apart. --emulated-workers 0 leaves the emulation out."
            )
        self.price()

    def job(self) -> Job:
        """What the factors ask for, ready to be computed."""
        priced = "" if self.device is None else f"{load_device(self.device).title}, {self.tariff}"
        return Job(coefficients=self.coefficients, samples=self.samples, epochs=self.epochs,
                   target=self.target, workers=self.workers,
                   servers=tuple(dict.fromkeys(self.servers)),
                   batches=tuple(dict.fromkeys(self.batches)), price=self.price(), priced=priced,
                   )  # fmt: skip

    def price(self) -> Published | None:
        """Dollars per hour of the device; None without a device. Raises BadOption."""
        if self.device is None:
            return None
        device = load_device(self.device)
        prices = {
            "on-demand": device.price_usd_per_hour,
            "preemptible": device.price_preemptible_usd_per_hour,
            "with-machine": device.price_with_machine_usd_per_hour,
        }
        price = prices[self.tariff]
        if price is None:
            known = ", ".join(name for name, found in prices.items() if found) or "none"
            raise BadOption(
                f"time-to-accuracy: no {self.tariff} price of '{device.name}' is known. Known: "
                f"{known}. Choose another tariff or device, or give the price in a file based on "
                "this one."
            )
        return price

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Time over workers, optima, cost, all divisions; then the coefficients fitted again."""
        job = self.job()
        if self.speeds is not None:
            measured.read_speeds(Path(self.speeds))  # so that mistakes in it are told at once
        yield self._model_note(job)
        for batch in job.batches:
            yield times.time_figure(job, batch)
        yield from times.optima_evidence(job)
        yield times.parts_figure(job)
        yield from times.cost_evidence(job)
        yield divisions.heat_figure(job, self.most_servers)
        yield from divisions.containers_evidence(job, self.containers)
        for batch in job.batches:
            yield times.speed_table(job, batch)
        if len(job.batches) > 1:
            yield divisions.batches_note(job)
        for piece in self._fits(lab, job):
            if isinstance(piece, Claim) and not self.decisive:
                yield replace(piece, verdict="inconclusive")
            else:
                yield piece

    def _fits(self, lab: Lab, job: Job) -> Iterator[Evidence]:
        """Equation 4 fitted to simulated, published, emulated and imported speeds."""
        if self.points:
            yield from refits.recovery_evidence(job, self.points, self.noise, self.seeds)
        if self.grid:
            yield from measured.grid_evidence(job, self.seeds)
        if self.emulated_workers and not lab.planning:
            yield from emulation_evidence(job, self._emulation(), available_cores())
        yield from self._imported(job)

    def _emulation(self) -> Emulation:
        return Emulation(workers=self.emulated_workers, servers=self.emulated_servers,
                         batch=self.emulated_batch, steps=self.emulated_steps)  # fmt: skip

    def _imported(self, job: Job) -> Iterator[Evidence]:
        if self.speeds is None:
            yield Note(kind="skipped", text=(
                "No runs on a cluster of your own: give them with --speeds FILE.csv (columns "
                "workers, servers, steps_per_second) and --speeds-batch, and they are fitted too."
            ))  # fmt: skip
            return
        yield from measured.imported_evidence(job, Path(self.speeds), self.speeds_batch)

    def _model_note(self, job: Job) -> Note:
        quoted = self.coefficients == QUOTED
        values = ", ".join(f"t{i} = {t:g}" for i, t in enumerate(self.coefficients))
        origin = (
            "are quoted for ResNet-50 from a public program by the first author of the paper; they "
            "stem from the cluster of its authors, not from K80, P100 or V100, and reading them as "
            "seconds is our choice"
            if quoted else "were given as an option"
        )  # fmt: skip
        return Note(text=(
            "Equation 4 of Optimus: a synchronous step of w workers and p parameter servers takes "
            "t0 M / w + t1 + t2 w / p + t3 w + t4 p seconds; its inverse is the speed in steps per "
            f"second. M is the batch of all workers together. The coefficients {values} {origin}. "
            f"Time to {job.goal} is epochs times steps of an epoch times seconds of a step. That "
            f"{job.goal} takes {self.epochs:g} epochs is an assumption of this report, "
            "however many workers there are: synchronous training takes the same steps with any "
            "number of them. 'epochlab forecast RUN --target test_accuracy="
            f"{self.target:g}' says it for a run; give it with --epochs."
        ))  # fmt: skip
