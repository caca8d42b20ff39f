"""Workers and parameter servers chosen together: a map, and the best division of containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.figures.heat import Heat
from epochlab.predict.optimus_speed import fastest, resnet50_speed
from epochlab.studies._server_times import Job, servers_text
from epochlab.table import Column, Table

PUBLISHED_BATCH, PUBLISHED_CONTAINERS, PUBLISHED_BEST = 40, 20, (8, 12)


def heat_figure(job: Job, most_servers: int) -> Figure:
    """Hours for every number of workers and of servers."""
    batch = job.batches[0]
    rows = [{"workers": w, "servers": p, "time": job.hours(batch, w, p)}
            for p in range(1, most_servers + 1) for w in range(1, job.workers + 1)]  # fmt: skip
    best = fastest(job.model(batch), workers=range(1, job.workers + 1),
                   servers=range(1, most_servers + 1))  # fmt: skip
    return Figure(
        table=Table.of(f"Time to {job.goal} over workers and servers, batch {batch}", rows,
                       label="predicted", name="heat", columns=(
                           "workers", "servers", Column(name="time", unit="h", format=",.0f"))),
        drawing=Heat(x="workers", y="servers", value="time", log=True),
        caption="Dark is fast. More servers move the best number of workers to the right, about "
                f"as the square root of their number. The fastest field has {best.workers} "
                f"workers and {servers_text(best.servers)}, "
                f"{job.hours(batch, best.workers, best.servers):,.1f} h.",
    )  # fmt: skip


def containers_evidence(job: Job, budgets: Sequence[int]) -> Iterator[Evidence]:
    """How a given number of containers is best divided; the division that was published."""
    rows = []
    for batch in job.batches:
        for budget in budgets:
            best = fastest(job.model(batch), most_containers=budget)
            rows.append({"batch": batch, "containers": budget, "workers": best.workers,
                         "servers": best.servers,
                         "time": job.hours(batch, best.workers, best.servers)})  # fmt: skip
    yield Table.of(
        "Best division of containers", rows, label="predicted", name="containers", columns=(
            "batch", "containers", "workers", "servers",
            Column(name="time", unit="h", format=",.1f"),
        ), notes=("Workers plus servers are at most the containers, by trying all.",),
    )  # fmt: skip
    published = resnet50_speed(PUBLISHED_BATCH)
    if job.coefficients == published.coefficients:
        best = fastest(published, most_containers=PUBLISHED_CONTAINERS)
        same = (best.workers, best.servers) == PUBLISHED_BEST
        yield Claim(
            statement="Of 20 containers and a batch of 40 the equation makes 8 workers and 12 "
                      "servers, the division that is reported from the paper.",
            rule="the fastest division by equation 4 with the quoted coefficients is 8 and 12",
            verdict="supported" if same else "not supported", label="predicted",
            numbers={"workers": best.workers, "servers": best.servers},
        )  # fmt: skip


def batches_note(job: Job) -> Note:
    """What comparing two batches does not tell."""
    first, *others = job.batches
    told = ", ".join(f"{job.steps_per_epoch(b):,} steps with {b}" for b in (first, *others))
    return Note(kind="warning", text=(
        "The times of different batches cannot be compared without knowing how many epochs each "
        f"needs. An epoch has {told}; that all need {job.epochs:g} epochs is an assumption. And M "
        "is read here as the samples of all workers in one step; the published program has M = "
        f"{PUBLISHED_BATCH}."
    ))  # fmt: skip
