"""The widget that GetMetricWidgetImage draws: from its JSON to what is to be read and shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from openecs.planning.graph_rules import GRAPH, metrics
from openecs.planning.json_rules import Report, integer, members, one_of

MAX_METRICS = 100
MAX_SIZE = 2000
#: Bytes of the JSON.
MAX_LENGTH = 100 * 1024
#: Data points of all metrics together: 100 metrics of two days in minutes.
MAX_POINTS = 300_000
_HOUR = 3600.0
_YEAR_9000 = 221_845_392_000.0
#: The colour of annotations for which none is given.
_RED = "#d62728"

_DURATION = re.compile(
    r"-?P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?",
    re.ASCII,
)
_UNITS = (365 * 24 * _HOUR, 30 * 24 * _HOUR, 7 * 24 * _HOUR, 24 * _HOUR, _HOUR, 60.0, 1.0)

View = Literal["timeSeries", "singleValue", "bar", "pie"]
_RULE = members(
    {
        **GRAPH,
        "height": integer(1, MAX_SIZE),
        "metrics": metrics(MAX_METRICS),
        "theme": one_of("light", "dark"),
        "view": one_of("timeSeries", "singleValue", "bar", "pie"),
        "width": integer(1, MAX_SIZE),
    },
    "metrics",
)


class WidgetError(ValueError):
    """The widget is wrong; the text says where."""


@dataclass(frozen=True, slots=True)
class Graphed:
    """One entry of ``metrics``: a metric, or an expression."""

    id: str
    #: Namespace, name, then names and values of dimensions in turn; empty for an expression.
    metric: tuple[str, ...]
    expression: str
    stat: str
    #: Seconds.
    period: int
    label: str | None = None
    color: str | None = None
    visible: bool = True
    right: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What was said of a vertical axis."""

    min: float | None = None
    max: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A line at ``value``, or a band to ``until``; values of a vertical one are seconds since the epoch."""

    value: float
    until: float | None = None
    label: str = ""
    until_label: str = ""
    color: str = _RED
    #: ``above``, ``below``, ``before``, ``after`` or ``none``.
    fill: str = "none"
    right: bool = False


@dataclass(frozen=True, slots=True)
class Widget:
    """What to draw; ``start`` and ``end`` are seconds since the epoch, ``offset`` those of the time zone."""

    metrics: tuple[Graphed, ...]
    start: float
    end: float
    width: int = 600
    height: int = 400
    title: str = ""
    view: View = "timeSeries"
    stacked: bool = False
    legend: Literal["bottom", "right", "hidden"] = "bottom"
    dark: bool = False
    live: bool = False
    offset: int = 0
    left: Axis = Axis()
    right: Axis = Axis()
    horizontal: tuple[Annotation, ...] = ()
    vertical: tuple[Annotation, ...] = ()


def parse_widget(text: str, *, region: str, now: float) -> Widget:
    """The widget of a JSON text, at the time ``now``; raises ``WidgetError``."""
    data = _checked(text)
    if data.get("region", region) != region:
        raise WidgetError(f"The region of the widget must be the local region {region}.")
    start, end = _time(data.get("start", "-PT3H"), now), _time(data.get("end", "-PT0H"), now)
    if start >= end:
        raise WidgetError("The start of the widget must be before its end.")
    annotations = data.get("annotations", {})
    if annotations.get("alarms"):
        raise WidgetError("Alarm annotations are not supported in images.")
    horizontal = annotations.get("horizontal", ())
    vertical = annotations.get("vertical", ())
    axes = data.get("yAxis", {})
    timezone = data.get("timezone", "+0000")
    return Widget(
        metrics=_metrics(data, region, end - start),
        start=start,
        end=end,
        width=data.get("width", 600),
        height=data.get("height", 400),
        title=data.get("title", ""),
        view=data.get("view", "timeSeries"),
        stacked=data.get("stacked", False),
        legend=data.get("legend", {}).get("position", "bottom"),
        dark=data.get("theme") == "dark",
        live=data.get("liveData", False),
        offset=(1 if timezone[0] == "+" else -1) * (int(timezone[1:3]) * 3600 + int(timezone[3:]) * 60),
        left=_axis(axes.get("left", {})),
        right=_axis(axes.get("right", {})),
        horizontal=tuple(_annotation(entry, float) for entry in horizontal if _shown(entry)),
        vertical=tuple(_annotation(entry, _absolute) for entry in vertical if _shown(entry)),
    )


def _checked(text: str) -> dict[str, Any]:
    if len(text.encode()) > MAX_LENGTH:
        raise WidgetError(f"The widget has more than {MAX_LENGTH} bytes.")
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise WidgetError("The widget must be a valid JSON object.") from None
    report = Report()
    _RULE(data, "", report)
    found = [*report.errors, *report.warnings]
    if found:
        raise WidgetError("The widget is invalid: " + "; ".join(f"{path or '/'}: {message}" for path, message in found))
    checked: dict[str, Any] = data
    return checked


def _metrics(data: Mapping[str, Any], region: str, length: float) -> tuple[Graphed, ...]:
    if not data["metrics"]:
        raise WidgetError("The widget must have at least one metric or expression.")
    graphed: list[Graphed] = []
    before: list[str] = []
    taken: set[str] = set()
    points = 0.0
    for number, entry in enumerate(data["metrics"]):
        options = entry[-1] if isinstance(entry[-1], dict) else {}
        names = _written_out(entry[: len(entry) - bool(options)], before)
        before = names or before
        if options.get("region", region) != region or "accountId" in options:
            raise WidgetError("Metrics of other regions and accounts are not supported by OpenECS.")
        name = options.get("id") or f"unnamed_{number}"
        if name in taken:
            raise WidgetError(f"The id '{name}' stands for two metrics of the widget.")
        taken.add(name)
        period = options.get("period", data.get("period", 300))
        points += length / period
        if points > MAX_POINTS:
            raise WidgetError(f"The widget asks for more than {MAX_POINTS} data points.")
        graphed.append(
            Graphed(
                id=name,
                metric=tuple(names),
                expression="" if names else options["expression"],
                stat=options.get("stat", data.get("stat", "Average")),
                period=period,
                label=options.get("label"),
                color=options.get("color"),
                visible=options.get("visible", True),
                right=options.get("yAxis") == "right",
            )
        )
    return tuple(graphed)


def _written_out(names: Sequence[str], before: Sequence[str]) -> list[str]:
    """The names with ``.`` and ``...`` replaced by what stands there in the metric before."""
    names = list(names)
    if "..." in names:
        at = names.index("...")
        behind = len(names) - at - 1
        names[at : at + 1] = before[at : len(before) - behind]
    written = [before[at] if name == "." and at < len(before) else name for at, name in enumerate(names)]
    if "." in written or "..." in written or len(written) % 2:
        raise WidgetError(f"There is no metric before {json.dumps(names)} that could complete it.")
    return written


def _axis(data: Mapping[str, Any]) -> Axis:
    axis = Axis(min=data.get("min"), max=data.get("max"), label=data.get("label", ""))
    if axis.min is not None and axis.max is not None and axis.min >= axis.max:
        raise WidgetError("The minimum of an axis must be less than its maximum.")
    return axis


def _shown(entry: Any) -> bool:
    first = entry[0] if isinstance(entry, list) else entry
    return bool(first.get("visible", True))


def _annotation(entry: Any, value: Any) -> Annotation:
    first, second = entry if isinstance(entry, list) else (entry, None)
    return Annotation(
        value=value(first["value"]),
        until=None if second is None else value(second["value"]),
        label=first.get("label", ""),
        until_label="" if second is None else second.get("label", ""),
        color=first.get("color", _RED),
        fill=first.get("fill", "none"),
        right=first.get("yAxis") == "right",
    )


def _time(text: str, now: float) -> float:
    """A time as seconds since the epoch: absolute, or a duration back from now (``-PT3H``)."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return _absolute(text)
    back = sum(int(count) * unit for count, unit in zip(found.groups(), _UNITS, strict=True) if count)
    return max(0.0, now - back)


def _absolute(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise WidgetError(f"'{text}' is no time in the form of ISO 8601.") from None
    if not 0 <= seconds < _YEAR_9000:
        raise WidgetError(f"The time '{text}' is not between the years 1970 and 9000.")
    return seconds
