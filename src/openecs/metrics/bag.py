"""Distributions: the distinct values that were measured and how often, for percentiles and the like.

Up to ``EXACT`` distinct values a distribution is exact, which is what the samples of a minute nearly
always are.  Beyond, values are rounded to the middle of buckets whose bounds grow by 2 %: every value
is then within 1 % of its true one, the number of buckets depends on the span of the values only, and
rounding again changes nothing, so that errors do not grow when distributions are added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

#: Value → how often it was observed.
Bag = dict[float, float]

EXACT = 256
_GROWTH = 1.02
_LOG_GROWTH = math.log(_GROWTH)
#: From a bucket's upper bound to the value that is as far, relatively, from both of its bounds.
_MIDDLE = 2 / (1 + _GROWTH)


def united(bags: Iterable[Bag]) -> Bag:
    """All observations of several distributions."""
    whole: Bag = {}
    for bag in bags:
        for value, count in bag.items():
            whole[value] = whole.get(value, 0.0) + count
    return whole


def compact(bag: Bag) -> Bag:
    """The distribution as it is stored: exact, or rounded when it has too many values."""
    if len(bag) <= EXACT:
        return bag
    rounded: Bag = {}
    for value, count in bag.items():
        middle = _rounded(value)
        rounded[middle] = rounded.get(middle, 0.0) + count
    return rounded


def _rounded(value: float) -> float:
    if value == 0.0:
        return 0.0
    # The small offset keeps a value that is a middle already in its bucket.
    bucket = math.ceil(math.log(abs(value)) / _LOG_GROWTH - 1e-9)
    return math.copysign(math.exp(bucket * _LOG_GROWTH) * _MIDDLE, value)
