"""What the properties of a graph of metrics may be: those of dashboards, and those of GetMetricWidgetImage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openecs.planning.json_rules import Report, Rule, array, boolean, integer, members, number, one_of, text

COLOR = text("#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
TIMEZONE = text(r"[+-][0-9]{4}")
PERIOD = integer(1, 86_400 * 365)
_STATISTIC = text(longest=100)
_SIDE = one_of("left", "right")
_AXIS = members({"min": number, "max": number, "label": text(), "showUnits": boolean})
AXES = members({"left": _AXIS, "right": _AXIS})
LEGEND = members({"position": one_of("right", "bottom", "hidden")})

_OPTIONS: Mapping[str, Rule] = {
    "accountId": text(),
    "color": COLOR,
    "expression": text(longest=2048),
    "id": text("[a-z][a-zA-Z0-9_]*", longest=255),
    "label": text(),
    "period": PERIOD,
    "region": text(),
    "stat": _STATISTIC,
    "visible": boolean,
    "yAxis": _SIDE,
}


def _options(value: dict[str, Any], path: str, report: Report) -> None:
    """Unlike elsewhere an unknown member is a mistake: most are dimensions in the wrong place."""
    for name, member in value.items():
        rule = _OPTIONS.get(name)
        if rule is None:
            report.error(path, f'The "{name}" property is not expected to be part of the options of a metric')
        else:
            rule(member, f"{path}/{name}", report)


_LINE: Mapping[str, Rule] = {"label": text(), "color": COLOR, "visible": boolean}
_horizontal = members({**_LINE, "value": number, "fill": one_of("above", "below", "none"), "yAxis": _SIDE}, "value")
_vertical = members({**_LINE, "value": text(), "fill": one_of("before", "after", "none")}, "value")


def _line_or_band(line: Rule) -> Rule:
    band = array(line, most=2, fewest=2)

    def check(value: Any, path: str, report: Report) -> None:
        (band if isinstance(value, list) else line)(value, path, report)

    return check


ANNOTATIONS = members(
    {
        "alarms": array(text(), most=1),
        "horizontal": array(_line_or_band(_horizontal), most=100),
        "vertical": array(_line_or_band(_vertical), most=100),
    }
)

#: The properties that graphs have wherever they are shown.
GRAPH: Mapping[str, Rule] = {
    "annotations": ANNOTATIONS,
    "end": text(),
    "legend": LEGEND,
    "liveData": boolean,
    "period": PERIOD,
    "region": text(),
    "stacked": boolean,
    "start": text(),
    "stat": _STATISTIC,
    "timezone": TIMEZONE,
    "title": text(),
    "yAxis": AXES,
}


def metrics(most: int) -> Rule:
    """The array of metrics and expressions."""

    def check(value: Any, path: str, report: Report) -> None:
        array(_metric, most=most)(value, path, report)

    return check


def _metric(value: Any, path: str, report: Report) -> None:
    """``[Namespace, MetricName, DimensionName, DimensionValue, ..., {options}]`` or ``[{"expression": ...}]``."""
    if not isinstance(value, list):
        report.error(path, "Should be array")
        report.error(
            path,
            'Field "metrics" has to be an array of array of strings, '
            "with an optional metricRenderer object as last element",
        )
        return
    names = value
    if value and isinstance(value[-1], dict):
        names = value[:-1]
        _options(value[-1], f"{path}/{len(names)}", report)
    if not names and value and "expression" in value[-1]:
        return
    for index, name in enumerate(names):
        if not isinstance(name, str):
            report.error(f"{path}/{index}", 'Invalid metric field type, only "String" type is allowed')
    if len(names) < 2:
        report.error(path, "Should NOT have fewer than 2 items")
    elif len(names) % 2 and "..." not in names:
        report.error(path, "Every dimension name should be followed by a dimension value")
