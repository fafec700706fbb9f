"""One metric's series in memory: what they are, and their latest samples."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from openecs.metrics.block import Block, StatisticSet, fold
from openecs.metrics.sample_log import NewSeries


class Tail:
    """Samples that are not rows of a chunk yet: columns, in the order in which they came."""

    __slots__ = ("counts", "sets", "times", "values")

    def __init__(self) -> None:
        self.times = array("q")
        self.values = array("d")
        self.counts = array("d")
        self.sets: list[StatisticSet] = []

    def __bool__(self) -> bool:
        return bool(self.times) or bool(self.sets)

    def add(self, time: int, value: float, count: float) -> None:
        """A value that was observed ``count`` times in the row that starts at ``time``."""
        self.times.append(time)
        self.values.append(value)
        self.counts.append(count)

    def add_set(self, time: int, count: float, total: float, low: float, high: float) -> StatisticSet:
        """A statistic set; returns it."""
        one = StatisticSet(time, count, total, low, high)
        self.sets.append(one)
        return one

    def latest(self) -> int:
        """The start of the latest row."""
        return max(max(self.times, default=0), max((one.time for one in self.sets), default=0))

    def rows(self, since: float = 0) -> Block:
        """The samples as rows; those that came before the first of ``since`` may be left out."""
        first = 0
        if since > 0:
            # Samples come in the order of their times, nearly: from behind, as far as they do.
            first = len(self.times)
            while first and self.times[first - 1] >= since:
                first -= 1
            if first and max(self.times[:first]) >= since:
                first = 0
        return fold(self.times[first:], self.values[first:], self.counts[first:], self.sets)


class Sealed(NamedTuple):
    """A tail on its way into chunks, and the generation whose mark says that it has arrived."""

    generation: int
    tail: Tail


class Metric:
    """One metric: its series by unit and resolution, and the time of its latest measurement."""

    __slots__ = ("last", "series")

    def __init__(self) -> None:
        self.last = 0
        self.series: dict[tuple[str, int], Series] = {}


class Series:
    """The data of a metric in one unit and resolution."""

    __slots__ = ("id", "metric", "new", "sealed", "stored_until", "tail")

    def __init__(self, new: NewSeries, metric: Metric) -> None:
        self.id = new.id
        self.new = new
        self.metric = metric
        self.tail = Tail()
        self.sealed: Sealed | None = None
        #: Start of the latest row that chunks have; 0 when they have none.
        self.stored_until = 0

    def seal(self, generation: int) -> Tail:
        """Begin a new tail; the old one stays readable until it has arrived in chunks."""
        tail, self.tail = self.tail, Tail()
        self.sealed = Sealed(generation, tail)
        return tail
