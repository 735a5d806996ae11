"""A figure: repeated, reduced to its median, and held against what it should reach."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `reach` is a least value for rates and a greatest for times."""

    work: str
    value: float
    unit: str
    """`/s` for rates (more is better), `ms` for times (less is better)."""
    reach: float | None = None
    """None for the machine's own figures."""

    @property
    def is_reached(self) -> bool | None:
        """Whether the value is as good as it should be; None where nothing is asked."""
        if self.reach is None:
            return None
        return self.value >= self.reach if self.unit == "/s" else self.value <= self.reach


def rate(work: Callable[[], int], rounds: int = 5) -> float:
    """Median items a second over `rounds` calls; `work` returns how many items it did."""
    figures = []
    for _ in range(rounds):
        start = time.perf_counter()
        count = work()
        figures.append(count / (time.perf_counter() - start))
    return statistics.median(figures)


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Median duration of a call."""
    return median_milliseconds([timed(work) for _ in range(rounds)])


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_milliseconds(seconds: Sequence[float]) -> float:
    """Median of durations given in seconds."""
    return statistics.median(seconds) * 1_000
