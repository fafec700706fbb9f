"""What identifies a metric, and one measurement of it.  Values only: nothing is stored here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: Pairs of name and value, sorted by name.
Dimensions = tuple[tuple[str, str], ...]


def dimensions(members: Mapping[str, str]) -> Dimensions:
    """The dimensions of a mapping, in the one order that makes equal ones equal."""
    return tuple(sorted(members.items()))


class MetricKey(NamedTuple):
    """One metric.  Units are not part of it: a metric may have data in several."""

    region: str
    namespace: str
    name: str
    dimensions: Dimensions = ()


class Datum(NamedTuple):
    """One measurement: distinct values and how often each was observed, or a statistic set.

    ``values`` and ``counts`` (equally many) keep percentiles computable; a statistic set
    (``sample_count``, ``sum``, ``minimum``, ``maximum``) has no values.  ``timestamp`` is in seconds
    since the epoch; ``resolution`` is 1 or 60 (seconds); ``unit`` is spelt as CloudWatch's
    StandardUnit.
    """

    key: MetricKey
    timestamp: float
    values: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    sample_count: float = 0.0
    sum: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0
    unit: str = "None"
    resolution: int = 60


def single(key: MetricKey, timestamp: float, value: float, unit: str = "None", *, resolution: int = 60) -> Datum:
    """The measurement of one value."""
    return Datum(key, timestamp, (value,), (1.0,), unit=unit, resolution=resolution)
