"""Dynamic labels: ``${MAX}``, ``${LAST_TIME}``, ``${PROP('Dim.Service')}`` and their kin.  Pure.

What a label names and CloudWatch does not know stays as it is written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from openecs.planning.metric_math import Series
from openecs.shapes import cloudwatch

#: Seconds east of UTC.
Timezone = int

_PART = re.compile(r"\$\{(?:([A-Z_]+)|PROP\('([^']*)'\))\}")
_ZONE = re.compile(r"([+-])([0-9]{2})([0-9]{2})")


class LabelFacts(NamedTuple):
    """What a label may tell: the series, the metric that it is of if it is of one, and where it lives."""

    series: Series
    subject: cloudwatch.MetricStat | None
    region: str
    account: str
    #: Seconds since the epoch.
    now: float
    timezone: Timezone


def parse_timezone(text: str) -> Timezone | None:
    """The seconds of ``+0130``; ``None`` for what is no time zone."""
    match = _ZONE.fullmatch(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        return None
    seconds = int(match[2]) * 3600 + int(match[3]) * 60
    return -seconds if match[1] == "-" else seconds


def rendered(label: str, usual: str, facts: LabelFacts) -> str:
    """The label with its dynamic parts filled in; ``usual`` is the label that there would be without."""

    def fill(match: re.Match[str]) -> str:
        live, property_name = match.groups()
        text = _property(property_name, facts) if live is None else _live(live, usual, facts)
        return match[0] if text is None else text

    return _PART.sub(fill, label) if "${" in label else label


def _property(name: str, facts: LabelFacts) -> str | None:
    if name == "Region":
        return facts.region
    if name == "AccountId":
        return facts.account
    stat = facts.subject
    if stat is None:
        return None
    if name.startswith("Dim."):
        values = {one.name: one.value for one in stat.metric.dimensions or ()}
        return values.get(name.removeprefix("Dim."))
    known = {
        "MetricName": stat.metric.metric_name,
        "Namespace": stat.metric.namespace,
        "Period": str(stat.period),
        "Stat": stat.stat,
    }
    return known.get(name)


def _live(name: str, usual: str, facts: LabelFacts) -> str | None:
    series = facts.series
    if name == "LABEL":
        return usual
    if name == "DATAPOINT_COUNT":
        return str(len(series.values))
    picked = name.removesuffix("_RELATIVE").removesuffix("_TIME").removesuffix("_RANGE").removesuffix("_TIME")
    tells = name.removeprefix(picked)
    if not len(series.values):
        return "--" if picked in _SINGLE or picked in _PAIRS or picked in _SUMS else None
    if picked in _SUMS:
        return _number(_SUMS[picked](series)) if not tells else None
    if picked in _SINGLE:
        at = _SINGLE[picked](series)
        if not tells:
            return _number(series.values[at])
        if tells == "_TIME":
            return _moment(series.timestamps[at], facts.timezone)
        return _span(facts.now - series.timestamps[at]) if tells == "_TIME_RELATIVE" else None
    if picked in _PAIRS:
        first, last = (_SINGLE[one](series) for one in _PAIRS[picked])
        if tells == "_RANGE":
            return _number(abs(series.values[last] - series.values[first]))
        if tells == "_TIME_RANGE":
            return _span(abs(series.timestamps[last] - series.timestamps[first]))
    return None


def _position_of(choose: Callable[..., float]) -> Callable[[Series], int]:
    return lambda series: list(series.values).index(choose(series.values))


_SINGLE: dict[str, Callable[[Series], int]] = {
    "FIRST": lambda _: 0,
    "LAST": lambda series: len(series.values) - 1,
    "MIN": _position_of(min),
    "MAX": _position_of(max),
}
_PAIRS = {"FIRST_LAST": ("FIRST", "LAST"), "MIN_MAX": ("MIN", "MAX")}
_SUMS: dict[str, Callable[[Series], float]] = {
    "AVG": lambda series: sum(series.values) / len(series.values),
    "SUM": lambda series: sum(series.values),
}


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:g}"


def _moment(at: float, timezone: Timezone) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at + timezone)) + (
        "Z"
        if timezone == 0
        else f"{'-' if timezone < 0 else '+'}{abs(timezone) // 3600:02}:{abs(timezone) // 60 % 60:02}"
    )


def _span(seconds: float) -> str:
    """``1d 2h 3m``, ``45s``."""
    rest = max(0, round(seconds))
    words = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words) or "0s"
