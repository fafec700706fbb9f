"""Statistics by CloudWatch's names: what they are called, and their values for rows of a block.

Percentiles, trimmed means and their kin come from the rows' distributions.  A row of which only
sums are known, or with negative values, has no such statistic and is left out, as in CloudWatch.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import truediv

from openecs.metrics.bag import Bag
from openecs.metrics.block import Block

SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")

_NUMBER = r"\d{1,18}(?:\.\d{1,10})?"
_SHORT = re.compile(rf"(p|tm|wm|tc|ts)({_NUMBER})", re.IGNORECASE)
_RANGE = re.compile(rf"(tm|wm|tc|ts|pr)\(({_NUMBER})?(%)?:({_NUMBER})?(%)?\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic; the bounds are only those of trimmed and ranked kinds."""

    name: str
    #: One of ``SIMPLE``, or ``p``, ``tm``, ``wm``, ``tc``, ``ts``, ``pr``.
    kind: str
    low: float | None = None
    high: float | None = None
    #: Whether the bounds are shares of the observations, 0 to 100, and not values.
    percent: bool = False

    @property
    def needs_distribution(self) -> bool:
        """Whether it can be told only of single values."""
        return self.kind not in SIMPLE


def parse_statistic(name: str) -> Statistic | None:
    """The statistic of a name as callers spell it; ``None`` when there is none of that name."""
    if name in SIMPLE:
        return Statistic(name, name)
    if name.upper() == "IQM":
        return Statistic(name, "tm", 25.0, 75.0, percent=True)
    short = _SHORT.fullmatch(name)
    if short is not None:
        share = float(short[2])
        return Statistic(name, short[1].lower(), None, share, percent=True) if share <= 100 else None
    ranged = _RANGE.fullmatch(name)
    if ranged is None:
        return None
    kind, low_text, low_percent, high_text, high_percent = ranged.groups()
    low = float(low_text) if low_text is not None else None
    high = float(high_text) if high_text is not None else None
    marks = {bool(mark) for bound, mark in ((low, low_percent), (high, high_percent)) if bound is not None}
    stray = (low is None and low_percent) or (high is None and high_percent)
    if len(marks) != 1 or stray or (low is not None and high is not None and low >= high):
        return None
    percent = marks.pop()
    if percent and (kind.lower() == "pr" or max(low or 0.0, high or 0.0) > 100):
        return None
    return Statistic(name, kind.lower(), low, high, percent=percent)


def values_of(block: Block, wanted: Statistic) -> tuple[Sequence[int], Sequence[float]]:
    """Times and values of one statistic, for the rows that have it."""
    if wanted.kind == "Average":
        return block.times, array("d", map(truediv, block.sums, block.counts))
    if not wanted.needs_distribution:
        columns = {
            "Sum": block.sums,
            "Minimum": block.minima,
            "Maximum": block.maxima,
            "SampleCount": block.counts,
        }
        return block.times, columns[wanted.kind]
    times, values = [], []
    for row, time in enumerate(block.times):
        bag = block.distribution(row) if block.minima[row] >= 0 else None
        value = _of_bag(bag, wanted) if bag is not None else None
        if value is not None:
            times.append(time)
            # Large distributions are rounded; no percentile may leave what was measured.
            if wanted.kind == "p":
                value = min(max(value, block.minima[row]), block.maxima[row])
            values.append(value)
    return times, values


def _of_bag(bag: Bag, wanted: Statistic) -> float | None:
    pairs = sorted(bag.items())
    total = sum(bag.values())
    if total <= 0:
        return None
    if wanted.kind == "p":
        return _percentile(pairs, total * (wanted.high or 0.0) / 100)
    if wanted.kind == "wm" and not wanted.percent:
        low = pairs[0][0] if wanted.low is None else wanted.low
        high = pairs[-1][0] if wanted.high is None else wanted.high
        return sum(min(max(value, low), high) * count for value, count in pairs) / total
    inside = list(_inside(pairs, total, wanted))
    count = sum(weight for _, weight in inside)
    if wanted.kind == "tc":
        return count
    if wanted.kind == "pr":
        return 100 * count / total
    amount = sum(value * weight for value, weight in inside)
    if wanted.kind == "ts":
        return amount
    if count <= 0:
        return None
    if wanted.kind == "tm":
        return amount / count
    return _winsorized(pairs, inside, amount, total)


def _percentile(pairs: list[tuple[float, float]], rank: float) -> float:
    """The smallest value at or below which ``rank`` observations lie."""
    reached = 0.0
    for value, count in pairs:
        reached += count
        # Shares such as 99.9 % of 1000 must not miss their observation by the last bit.
        if reached >= rank * (1 - 1e-12):
            return value
    return pairs[-1][0]


def _inside(pairs: list[tuple[float, float]], total: float, wanted: Statistic) -> Iterable[tuple[float, float]]:
    """What lies between the bounds: values, and how many observations of each."""
    if not wanted.percent:
        for value, count in pairs:
            if (wanted.low is None or value > wanted.low) and (wanted.high is None or value <= wanted.high):
                yield value, count
        return
    first = total * (wanted.low or 0.0) / 100
    last = total * (100.0 if wanted.high is None else wanted.high) / 100
    reached = 0.0
    for value, count in pairs:
        # An observation that a bound cuts counts in part, so that one observation has a trimmed mean, too.
        weight = min(reached + count, last) - max(reached, first)
        reached += count
        if weight > 0:
            yield value, weight


def _winsorized(
    pairs: list[tuple[float, float]], inside: list[tuple[float, float]], amount: float, total: float
) -> float:
    """The mean with everything outside of the bounds moved to the nearest value inside."""
    lowest, highest = inside[0], inside[-1]
    below = sum(count for value, count in pairs if value <= lowest[0]) - lowest[1]
    above = total - below - sum(count for _, count in inside)
    return (amount + below * lowest[0] + above * highest[0]) / total
