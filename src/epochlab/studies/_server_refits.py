"""The five coefficients fitted again, to simulated speeds with noise: what is recovered?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Note, Verdict
from epochlab.predict.optimus_fit import Measurement, fit_synchronous
from epochlab.predict.optimus_speed import SynchronousSpeed, fastest
from epochlab.randomness import key
from epochlab.studies._server_times import Job, servers_text
from epochlab.table import Column, Table

MOST = 10  # simulated runs have 1 to 10 workers and servers, as the published program draws them
NAMES = ("t0", "t1", "t2", "t3", "t4")
EXACT = 1e-6  # what a fit without noise may be off, in seconds and as a share
REGRET = 0.02  # how much more time a refit's choice of workers may take
WELL = 0.9  # in this share of the draws at least
FEWEST_DRAWS = 3  # for a verdict


def drawn_points(
    model: SynchronousSpeed, points: int, noise: float, seed: int
) -> list[Measurement]:
    """Speeds by the formula at random numbers of workers and servers, times exp(noise * normal).

    No two of the points are at the same numbers, which are 1 to MOST.
    """
    random = np.random.default_rng(key(seed, "server-points"))
    chosen = random.choice(MOST * MOST, size=points, replace=False)
    places = [(int(i) // MOST + 1, int(i) % MOST + 1) for i in chosen]
    return [(w, p, model.speed(w, p) * math.exp(random.normal(0.0, noise))) for w, p in places]


@dataclass(frozen=True, kw_only=True)
class Refit:
    """One fit to simulated speeds, beside the truth."""

    fit: SynchronousSpeed
    errors: tuple[float, ...]
    "of each coefficient: |fitted - true|"
    time_error: float
    "mean of |fitted - true| / true over the seconds per step of the study's workers and servers"
    best: tuple[int, ...]
    "fastest workers by the fit, for each number of servers"
    regret: float
    "how much longer the true time is with these workers than at its best, at most, as a share"


def refit(job: Job, points: int, noise: float, seed: int) -> Refit:
    """Fit to one draw and compare with the coefficients of the job."""
    batch = job.batches[0]
    truth = job.model(batch)
    fit = fit_synchronous(drawn_points(truth, points, noise, seed), batch=batch).model
    tried = range(1, job.workers + 1)
    off = [abs(fit.step_seconds(w, p) / truth.step_seconds(w, p) - 1)
           for p in job.servers for w in tried]  # fmt: skip
    best = tuple(fastest(fit, workers=tried, servers=p).workers for p in job.servers)
    regret = max(truth.step_seconds(w, p) / truth.step_seconds(job.best(batch, p), p) - 1
                 for w, p in zip(best, job.servers, strict=True))  # fmt: skip
    pairs = zip(fit.coefficients, truth.coefficients, strict=True)
    return Refit(fit=fit, errors=tuple(abs(a - b) for a, b in pairs),
                 time_error=math.fsum(off) / len(off), best=best, regret=regret)  # fmt: skip


def recovery_evidence(
    job: Job, points: int, noises: Sequence[float], seeds: int
) -> Iterator[Evidence]:
    """What a few short runs with noisy speeds are worth: coefficients, times and choices."""
    found = {noise: [refit(job, points, noise, seed) for seed in range(seeds)]
             for noise in dict.fromkeys((0.0, *noises))}  # fmt: skip
    truth = dict(zip(NAMES, job.coefficients, strict=True))
    rows: list[dict[str, Any]] = [{"noise": "true"} | truth]
    for noise, refits in found.items():
        for name, pick in (("lowest", min), ("mean", mean), ("highest", max)):
            values = zip(*(r.fit.coefficients for r in refits), strict=True)
            rows.append({"noise": f"{noise:g}, {name}"} | {
                n: pick(v) for n, v in zip(NAMES, values, strict=True)
            } | {"time error": pick([r.time_error for r in refits]),
                 "longer": pick([r.regret for r in refits])})  # fmt: skip
    yield Table.of(
        f"Coefficients recovered from {points} simulated runs", rows, label="simulated",
        name="recovered", columns=(
            "noise", *(Column(name=n, format=".4f") for n in NAMES),
            Column(name="time error", format=".2%"), Column(name="longer", format=".2%"),
        ), notes=(
            f"{seeds} draws of {points} numbers of workers and servers from 1 to {MOST}, batch "
            f"{job.batches[0]}; the speeds are the formula's times exp(noise * normal). Fit: "
            "non-negative least squares, then Gauss-Newton on the speeds. Time error: of the "
            f"seconds per step for 1 to {job.workers} workers and "
            f"{' and '.join(map(servers_text, job.servers))}. Longer: by how much the workers that "
            "the fit calls fastest take longer than the best ones.",
        ),
    )  # fmt: skip
    yield _exact_claim(found[0.0], job, points)
    for noise in noises:
        if noise:
            yield _noisy_claim(found[noise], noise, points)
    if max(found):
        yield _recovery_note(found[max(found)], truth, max(found))


def _recovery_note(refits: Sequence[Refit], truth: dict[str, float], noise: float) -> Note:
    """Which coefficients the noise drowns, and why the choice of workers survives."""
    off = {n: mean(r.errors[i] for r in refits) / truth[n]
           for i, n in enumerate(NAMES) if truth[n]}  # fmt: skip
    told = ", ".join(f"{n} by {error:.0%}" for n, error in off.items())
    return Note(text=(
        f"With a noise of {noise:.0%} the coefficients are off, on average, {told}. The terms that "
        "move much with the number of workers are found; those that are a small part of a step "
        "drown, and one takes over what belongs to another. The choice of workers mostly suffers "
        "little from that, because the time is flat around its least: half of the draws lose at "
        f"most {statistics.median(r.regret for r in refits):.1%}, the worst of {len(refits)} "
        f"loses {max(r.regret for r in refits):.1%}. Single coefficients of such a fit should not "
        "be read as facts."
    ))  # fmt: skip


def verdict(held: bool, seeds: int) -> Verdict:
    """Whether a rule held, where there were enough draws to say so."""
    return "inconclusive" if seeds < FEWEST_DRAWS else "supported" if held else "not supported"


def _exact_claim(refits: Sequence[Refit], job: Job, points: int) -> Claim:
    worst = [max(r.errors[i] / max(1.0, t) for r in refits)
             for i, t in enumerate(job.coefficients)]  # fmt: skip
    return Claim(
        statement=f"From {points} speeds without noise the fit recovers the five coefficients.",
        rule=f"in every draw each is off by at most {EXACT:g}, or by {EXACT:g} of its value where "
             "it is above 1",
        verdict="supported" if max(worst) <= EXACT else "not supported", label="simulated",
        numbers={f"largest error, {n}": e for n, e in zip(NAMES, worst, strict=True)},
        seeds=len(refits),
    )  # fmt: skip


def _noisy_claim(refits: Sequence[Refit], noise: float, points: int) -> Claim:
    error = mean(r.time_error for r in refits)
    # A share of the draws, not all of them: the worst of many is worse than the worst of a few.
    well = mean(r.regret <= REGRET for r in refits)
    held = error <= 2 * noise and well >= WELL
    return Claim(
        statement=f"From {points} speeds with a noise of {noise:.0%} the fit still predicts times "
                  "and chooses workers well.",
        rule="the predicted seconds per step are off by at most twice the noise on average over "
             f"the draws, and in {WELL:.0%} of the draws the workers chosen take at most "
             f"{REGRET:.0%} longer than the best; inconclusive with fewer than {FEWEST_DRAWS} "
             "draws",
        verdict=verdict(held, len(refits)), label="simulated", seeds=len(refits),
        numbers={"mean time error": error, "twice the noise": 2 * noise,
                 "share of good choices": well, "longest delay": max(r.regret for r in refits)},
    )  # fmt: skip


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean of at least one number."""
    values = list(values)
    return math.fsum(values) / len(values)


def check_points(points: int) -> None:
    """Raise BadOption for a number of simulated runs that cannot be fitted or drawn."""
    if points and not 8 <= points <= MOST * MOST:
        raise BadOption(
            f"time-to-accuracy: points is {points}; it must be 0 (none) or from 8 to "
            f"{MOST * MOST}: five coefficients need more than five runs, and the runs have 1 to "
            f"{MOST} workers and servers."
        )
