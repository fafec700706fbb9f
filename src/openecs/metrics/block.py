"""Rows of one series: per point in time the count, sum, minimum and maximum, and the distribution.

A block is columns, because most work on rows is the same for all of them.  Times are the starts
(seconds since the epoch) of what a row adds up, ascending and distinct.  Pure: no files, no clock.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from openecs.metrics.bag import Bag, united


class StatisticSet(NamedTuple):
    """Measurements of which only the sums are known; ``time`` is the start of their row."""

    time: int
    observations: float
    sum: float
    minimum: float
    maximum: float


class Block:
    """Columns of equal length, and the distributions of those rows that need one.

    A row without a distribution either has one distinct value (its minimum is its maximum), or
    nobody knows its distribution.
    """

    __slots__ = ("bags", "counts", "maxima", "minima", "sums", "times")

    def __init__(self) -> None:
        self.times = array("q")
        self.counts = array("d")
        self.sums = array("d")
        self.minima = array("d")
        self.maxima = array("d")
        #: Time of the row → distribution.
        self.bags: dict[int, Bag] = {}

    def __len__(self) -> int:
        return len(self.times)

    def append(self, time: int, count: float, total: float, low: float, high: float) -> None:
        """One more row at the end."""
        self.times.append(time)
        self.counts.append(count)
        self.sums.append(total)
        self.minima.append(low)
        self.maxima.append(high)

    def extend(self, other: Block) -> None:
        """All rows of a later block at the end."""
        self.times += other.times
        self.counts += other.counts
        self.sums += other.sums
        self.minima += other.minima
        self.maxima += other.maxima
        self.bags.update(other.bags)

    def between(self, start: float, end: float) -> Block:
        """The rows from ``start`` until before ``end``; the block itself where that is all."""
        first, last = bisect_left(self.times, start), bisect_left(self.times, end)
        return self.rows(first, last)

    def rows(self, first: int, last: int) -> Block:
        """The rows of these positions."""
        if first == 0 and last == len(self.times):
            return self
        part = Block()
        part.times = self.times[first:last]
        part.counts = self.counts[first:last]
        part.sums = self.sums[first:last]
        part.minima = self.minima[first:last]
        part.maxima = self.maxima[first:last]
        if self.bags:
            part.bags = {time: self.bags[time] for time in part.times if time in self.bags}
        return part

    def distribution(self, row: int) -> Bag | None:
        """What is known of a row's values; ``None`` where only their sums are."""
        if self.minima[row] == self.maxima[row]:
            return {self.minima[row]: self.counts[row]}
        return self.bags.get(self.times[row])


def fold(
    times: Sequence[int], values: Sequence[float], counts: Sequence[float], sets: Iterable[StatisticSet] = ()
) -> Block:
    """The rows of samples, of which several may have one time and none needs to be in order."""
    by_time: dict[int, list[int]] = {}
    for position, time in enumerate(times):
        at = by_time.get(time)
        if at is None:
            by_time[time] = [position]
        else:
            at.append(position)
    block = Block()
    for time in sorted(by_time):
        at = by_time[time]
        if len(at) == 1:
            value, count = values[at[0]], counts[at[0]]
            block.append(time, count, value * count, value, value)
            continue
        bag: Bag = {}
        for position in at:
            value = values[position]
            bag[value] = bag.get(value, 0.0) + counts[position]
        total = sum([value * count for value, count in bag.items()])
        block.append(time, sum(bag.values()), total, min(bag), max(bag))
        if len(bag) > 1:
            block.bags[time] = bag
    more = []
    for one in sets:
        row = Block()
        row.append(*one)
        more.append(row)
    return regroup([block, *more], 1) if more else block


def join(blocks: Iterable[Block]) -> Block:
    """All rows of blocks of one step; rows of one time are added up."""
    whole = Block()
    for block in sorted((block for block in blocks if len(block)), key=_first):
        if not len(whole) or whole.times[-1] < block.times[0]:
            whole.extend(block)
        elif whole.times[-1] == block.times[0]:
            # The usual seam: a minute that had not ended when its first samples were written.
            last = len(whole) - 1
            seam = regroup([whole.rows(last, last + 1), block.rows(0, 1)], 1)
            whole = whole.rows(0, last)
            whole.extend(seam)
            whole.extend(block.rows(1, len(block)))
        else:
            whole = regroup([whole, block], 1)
    return whole


def _first(block: Block) -> int:
    return block.times[0]


class _Sum:
    """One row while it is added up."""

    __slots__ = ("count", "high", "low", "parts", "total")

    def __init__(self, count: float, total: float, low: float, high: float) -> None:
        self.count = count
        self.total = total
        self.low = low
        self.high = high
        #: Distributions of what was added; ``None`` as soon as one is not known.
        self.parts: list[Bag] | None = []


def regroup(blocks: Iterable[Block], period: int, anchor: int = 0, *, distributions: bool = True) -> Block:
    """Rows of ``period`` seconds, counted from ``anchor``, of rows of any steps that divide it.

    Without ``distributions`` only the columns are made.
    """
    sums: dict[int, _Sum] = {}
    for block in blocks:
        columns = zip(block.times, block.counts, block.sums, block.minima, block.maxima, strict=True)
        for row, (time, count, total, low, high) in enumerate(columns):
            start = time - (time - anchor) % period
            one = sums.get(start)
            if one is None:
                one = sums[start] = _Sum(count, total, low, high)
            else:
                one.count += count
                one.total += total
                if low < one.low:
                    one.low = low
                if high > one.high:
                    one.high = high
            if distributions and one.parts is not None:
                bag = block.distribution(row)
                if bag is None:
                    one.parts = None
                else:
                    one.parts.append(bag)
    grouped = Block()
    for start in sorted(sums):
        one = sums[start]
        grouped.append(start, one.count, one.total, one.low, one.high)
        if one.parts and one.low != one.high:
            grouped.bags[start] = one.parts[0] if len(one.parts) == 1 else united(one.parts)
    return grouped
