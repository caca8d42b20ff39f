"""Speed of training with parameter servers, from the numbers of workers and of servers.

The models are equations 3 (asynchronous) and 4 (synchronous) of Peng, Bao, Chen, Wu and Guo,
"Optimus: an efficient dynamic resource scheduler for deep learning clusters", EuroSys 2018. With w
workers and p servers the terms of a step are: forward propagation, which grows with the samples
per worker; back propagation, a constant; pushing gradients to the servers and pulling parameters
from them, which share the traffic, w / p; and overhead for every worker and every server.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from epochlab.errors import BadOption
from epochlab.forecast.optimus import LossCurve


def resnet50_speed(batch: int = 40) -> SynchronousSpeed:
    """Equation 4 for ResNet-50 on CPU containers, with coefficients published beside the paper.

    (1.02, 2.78, 4.92, 0.00, 0.02) are found, with a batch of 40, in a public program that evaluates
    the equation; the paper's own table was not at hand. They give the optimum that is reported from
    the paper for 20 containers, 8 workers and 12 servers (blog.acolyer.org, 12 June 2018). Reading
    the time as seconds is our choice. `batch` is the number of samples of all workers in one step.

        >>> best = fastest(resnet50_speed(), most_containers=20)
        >>> best.workers, best.servers
        (8, 12)
    """
    return SynchronousSpeed(t0=1.02, t1=2.78, t2=4.92, t3=0.0, t4=0.02, batch=batch)


def fastest(
    model: SpeedModel,
    *,
    workers: int | Iterable[int] | None = None,
    servers: int | Iterable[int] | None = None,
    most_containers: int | None = None,
) -> Allocation:
    """The numbers of workers and servers with the most steps per second, by trying all of them.

    `workers` and `servers` are one number or those to choose from; `most_containers` limits their
    sum and stands in for what is not given. Of equally fast choices the one with the fewest
    containers wins, then the one with the fewest workers. Raises BadOption where nothing is
    allowed or nothing limits the search.

        >>> best = fastest(resnet50_speed(batch=128), workers=range(1, 17), servers=2)
        >>> best.workers, round(1 / best.steps_per_second, 2)
        (7, 38.69)
    """
    if most_containers is not None:
        check_count("fastest", "most_containers", most_containers)
    choices = [
        _choices("workers", workers, most_containers),
        _choices("servers", servers, most_containers),
    ]
    limit = math.inf if most_containers is None else most_containers
    allowed = [(w, p) for w in choices[0] for p in choices[1] if w + p <= limit]
    if not allowed:
        raise BadOption(
            f"fastest: no choice of workers {_range_text(choices[0])} and servers "
            f"{_range_text(choices[1])} has at most {most_containers} containers. At least one "
            "worker and one server are needed: raise most_containers or allow smaller numbers."
        )
    w, p = min(allowed, key=lambda pair: (-model.speed(*pair), sum(pair), pair[0]))
    return Allocation(workers=w, servers=p, steps_per_second=model.speed(w, p))


def seconds_to_loss(
    curve: LossCurve,
    loss: float,
    model: SpeedModel,
    *,
    workers: int,
    servers: int,
    steps_per_unit: float = 1.0,
    done: float = 0.0,
) -> float | None:
    """Seconds until training reaches `loss`; None if it never does.

    Steps from the curve over steps per second from the model. A curve fitted to epochs needs
    `steps_per_unit`, the steps of an epoch. `done` is what is already trained, in the unit of the
    curve; the answer is then the time that remains, 0 once the loss is reached. Raises BadOption.

        >>> curve = LossCurve(b0=0.01, b1=0.5, b2=0.1)
        >>> model = AsynchronousSpeed(t0=2.0, t1=1.0, t2=0.0, t3=0.0)
        >>> round(seconds_to_loss(curve, 0.2, model, workers=2, servers=2), 6)
        1425.0
    """
    if not (math.isfinite(steps_per_unit) and steps_per_unit > 0):
        raise BadOption(
            f"seconds_to_loss: steps_per_unit is {steps_per_unit!r}; it must be finite, above 0."
        )
    if not (math.isfinite(done) and done >= 0):
        raise BadOption(f"seconds_to_loss: done is {done!r}; it must be finite, 0 or more.")
    needed = curve.steps_until(loss)
    speed = model.speed(workers, servers)
    return None if needed is None else max(needed - done, 0.0) * steps_per_unit / speed


@dataclass(frozen=True, kw_only=True)
class SpeedModel:
    """Steps per second as a function of the numbers of workers and parameter servers."""

    fewest_measurements: ClassVar[int]

    def __post_init__(self) -> None:
        for place, value in enumerate(self.coefficients):
            if not (math.isfinite(value) and value >= 0):
                raise BadOption(
                    f"{type(self).__name__}: t{place} is {value!r}; it must be finite, 0 or more."
                )
        if not any(self.coefficients):
            raise BadOption(f"{type(self).__name__}: every coefficient is 0, so a step is no time.")

    @property
    def coefficients(self) -> tuple[float, ...]:
        """t0, t1, ... in the order of the equation."""
        return tuple(getattr(self, f.name) for f in fields(self) if f.name != "batch")

    def speed(self, workers: int, servers: int) -> float:
        """Steps per second with whole numbers of workers and servers above 0; else BadOption."""
        return 1 / self.step_seconds(workers, servers)

    def step_seconds(self, workers: int, servers: int) -> float:
        """Seconds from one step to the next, of all workers together."""
        return math.fsum(self.parts(workers, servers))

    def parts(self, workers: int, servers: int) -> tuple[float, ...]:
        """Seconds that each coefficient adds to `step_seconds`, in their order."""
        check_count(type(self).__name__, "workers", workers)
        check_count(type(self).__name__, "servers", servers)
        terms = self._terms(workers, servers)
        return tuple(t * term for t, term in zip(self.coefficients, terms, strict=True))

    @abstractmethod
    def _terms(self, workers: int, servers: int) -> tuple[float, ...]:
        """What the coefficients are multiplied with."""


@dataclass(frozen=True, kw_only=True)
class SynchronousSpeed(SpeedModel):
    """Equation 4: f(p, w) = 1 / (t0 M / w + t1 + t2 w / p + t3 w + t4 p) steps per second.

    All w workers share one batch of M samples and wait for each other. Where t3 is 0, the best
    number of workers lies at sqrt(t0 M p / t2). Raises BadOption for coefficients or a batch that
    are not allowed.

        >>> model = SynchronousSpeed(t0=1.02, t1=2.78, t2=4.92, t3=0.0, t4=0.02, batch=128)
        >>> round(model.step_seconds(workers=10, servers=4), 2)
        28.22
    """

    fewest_measurements: ClassVar[int] = 5

    t0: float
    "forward propagation: seconds per sample"
    t1: float
    "back propagation and what else is constant: seconds"
    t2: float
    "traffic and update: seconds, for each worker per server"
    t3: float
    "overhead: seconds per worker"
    t4: float
    "overhead: seconds per server"
    batch: int
    "samples of all workers in one step, M"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("SynchronousSpeed", "batch", self.batch)

    def _terms(self, workers: int, servers: int) -> tuple[float, ...]:
        return self.terms(workers, servers, self.batch)

    @staticmethod
    def terms(workers: int, servers: int, batch: int) -> tuple[float, ...]:
        """What the five coefficients are multiplied with."""
        return batch / workers, 1.0, workers / servers, float(workers), float(servers)


@dataclass(frozen=True, kw_only=True)
class AsynchronousSpeed(SpeedModel):
    """Equation 3: f(p, w) = w / (t0 + t1 w / p + t2 w + t3 p) steps per second.

    No worker waits for another: each takes its own steps, and their speeds add up. Raises
    BadOption for coefficients that are not allowed.
    """

    fewest_measurements: ClassVar[int] = 4

    t0: float
    "forward and back propagation of one worker's batch: seconds"
    t1: float
    "traffic and update: seconds, for each worker per server"
    t2: float
    "overhead: seconds per worker"
    t3: float
    "overhead: seconds per server"

    def _terms(self, workers: int, servers: int) -> tuple[float, ...]:
        return self.terms(workers, servers)

    @staticmethod
    def terms(workers: int, servers: int) -> tuple[float, ...]:
        """What the four coefficients are multiplied with, per worker."""
        return 1 / workers, 1 / servers, 1.0, servers / workers


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Numbers of workers and servers, and the speed that a model predicts for them."""

    workers: int
    servers: int
    steps_per_second: float


def _choices(name: str, given: int | Iterable[int] | None, most: int | None) -> list[int]:
    if given is None:
        if most is None:
            raise BadOption(
                f"fastest: {name} is not given and nothing limits it. Give {name}, a number or "
                "those to choose from, or most_containers."
            )
        return list(range(1, most))
    choices = list(given) if isinstance(given, Iterable) else [given]
    for choice in choices:
        check_count("fastest", name, choice)
    if not choices:
        raise BadOption(f"fastest: {name} is empty; give at least one number to choose from.")
    return choices


def _range_text(choices: list[int]) -> str:
    return f"{min(choices)}..{max(choices)}" if choices else "(none)"


def is_count(value: object) -> bool:
    """Whether it is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return False
    return int(value) > 0


def check_count(what: str, name: str, value: object) -> None:
    """Raise BadOption unless `value` is a whole number above 0."""
    if not is_count(value):
        raise BadOption(f"{what}: {name} is {value!r}; it must be a whole number above 0.")
