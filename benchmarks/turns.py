"""Two loops take turns of a few steps each, so that the machine's moods meet both alike.

Whole rounds differ by several percent on a shared machine; the two times of one pair of turns,
hardly any time apart, hardly do. What happens rarely (a checkpoint, a redraw) is in the sums.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Tick = Callable[[], None]
"""Called by a loop after each of its steps; returns when it is this loop's turn again."""

# The first turns load code and grow buffers.
WARMUP_TURNS = 2


@dataclass(frozen=True)
class Shared:
    """Wall seconds of both loops, turn by turn."""

    first_s: list[float]
    second_s: list[float]

    @property
    def ratio(self) -> float:
        """The second loop's time over the first one's, all turns summed."""
        return sum(self.second_s) / sum(self.first_s)

    def swapped(self) -> Shared:
        """The same with the loops' names exchanged."""
        return Shared(self.second_s, self.first_s)


def taking_turns(first: Callable[[Tick], object], second: Callable[[Tick], object],
                 turn_steps: int) -> Shared:  # fmt: skip
    """Run both to their ends, `turn_steps` steps of the one, then as many of the other."""
    batons = (threading.Semaphore(1), threading.Semaphore(0))
    times: tuple[list[float], list[float]] = ([], [])
    failures: list[BaseException] = []

    def play(me: int, loop: Callable[[Tick], object]) -> None:
        steps, began = 0, 0.0

        def tick() -> None:
            nonlocal steps, began
            steps += 1
            if steps % turn_steps:
                return
            times[me].append(time.perf_counter() - began)
            batons[1 - me].release()
            batons[me].acquire()
            began = time.perf_counter()

        batons[me].acquire()
        began = time.perf_counter()
        try:
            loop(tick)
        except BaseException as error:
            failures.append(error)
        finally:
            batons[1 - me].release()

    threads = [threading.Thread(target=play, args=pair) for pair in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    both = min(len(times[0]), len(times[1]))
    return Shared(times[0][WARMUP_TURNS:both], times[1][WARMUP_TURNS:both])
