"""Studies: one file per question; a study asks for runs and yields evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from epochlab.component import Component, Count

if TYPE_CHECKING:
    from epochlab.evidence import Evidence
    from epochlab.train.lab import Lab


@dataclass(frozen=True, kw_only=True)
class Study(Component):
    """One question. Its fields are its factors; a preset is a set of values for them."""

    seeds: Count = 1
    "repeat every trained arm with so many seeds (0, 1, ...)"
    decisive: bool = True
    "whether the runs are large enough for a verdict; the smoke presets say no"

    question: ClassVar[str] = ""
    "the question, in one sentence with a question mark"
    covers: ClassVar[tuple[str, ...]] = ()
    "ids of the course-sheet items that the report answers"
    expectation: ClassVar[str] = ""
    "what one should see, and what it means if not; shown beside the figures"
    references: ClassVar[tuple[str, ...]] = ()
    "papers that the study rests on, one citation each"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    "'smoke' (plumbing, under a minute), 'laptop' (under 30 min on two cores), 'paper'"

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Ask `lab` for runs and yield figures, tables, claims and notes, in reading order.

        `lab.run(trial)` trains one trial with all cores, `lab.run_all(trials)` a list of them, one
        process per core. Both return finished runs and train only what the store does not hold.
        """
        raise NotImplementedError
