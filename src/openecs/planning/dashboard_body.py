"""Whether a dashboard's body is one: the rules of CloudWatch's page on its structure.

What is stored is the text as it was put; nothing here changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from openecs.planning.graph_rules import GRAPH, metrics
from openecs.planning.json_rules import Report, Rule, anything, array, boolean, integer, members, number, one_of, text

MAX_WIDGETS = 500
MAX_VARIABLES = 25
MAX_METRICS = 500
COLUMNS = 24
_RELATIVE_OR_ABSOLUTE = text(r"-P[0-9TYMWDHS.]+|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+)?)?")

_METRIC = members(
    {
        **GRAPH,
        "accountId": text(),
        "data": anything,
        "labels": anything,
        "metrics": metrics(MAX_METRICS),
        "setPeriodToTimeRange": boolean,
        "singleValueFullPrecision": boolean,
        "sparkline": boolean,
        "table": members(
            {
                "layout": one_of("vertical", "horizontal"),
                "showTimeSeriesData": boolean,
                "stickySummary": boolean,
                "summaryColumns": array(one_of("MIN", "MAX", "SUM", "AVG"), most=4),
            }
        ),
        "trend": boolean,
        "view": one_of("timeSeries", "singleValue", "gauge", "bar", "pie", "table"),
    }
)
_LOG = members(
    {
        "accountId": text(),
        "logGroupNames": anything,
        "query": text(),
        "queryBy": anything,
        "queryLanguage": one_of("CWLI", "SQL", "PPL"),
        "region": text(),
        "stacked": boolean,
        "title": text(),
        "view": one_of("table", "timeSeries", "bar", "pie"),
    },
    *("region", "query"),
)
_TEXT = members({"markdown": text(), "background": one_of("transparent", "solid")}, "markdown")
_ALARM = members(
    {
        "alarms": array(text(), most=100, fewest=1),
        "sortBy": one_of("default", "stateUpdatedTimestamp", "timestamp"),
        "states": array(one_of("ALARM", "INSUFFICIENT_DATA", "OK"), most=3),
        "title": text(),
    },
    "alarms",
)
_EXPLORER = members(
    {
        "aggregateBy": members({"key": text(), "func": one_of("AVG", "MIN", "MAX", "STDDEV", "SUM", "")}),
        "labels": array(members({"key": text(), "value": text()}, "key"), most=100),
        "metrics": array(
            members(
                {"metricName": text(), "resourceType": text(), "stat": text()}, *("metricName", "resourceType", "stat")
            ),
            most=100,
            fewest=1,
        ),
        "period": integer(60),
        "splitBy": text(),
        "title": text(),
        "widgetOptions": members(
            {
                "legend": anything,
                "rowsPerPage": number,
                "stacked": boolean,
                "view": one_of("timeSeries", "bar", "pie"),
                "widgetsPerRow": number,
            }
        ),
    },
    *("labels", "metrics"),
)
#: The rules for ``properties`` by type of widget.
_PROPERTIES: Mapping[str, Rule] = {
    "alarm": _ALARM,
    "chart": anything,
    "custom": anything,
    "explorer": _EXPLORER,
    "log": _LOG,
    "metric": _METRIC,
    "text": _TEXT,
}
_WIDGET = members(
    {
        "type": one_of(*_PROPERTIES),
        "x": integer(0, COLUMNS - 1),
        "y": integer(0),
        "width": integer(1, COLUMNS),
        "height": integer(1, 1000),
        "properties": anything,
    },
    *("type", "properties"),
    unknown=" to be part of a widget definition, will be ignored",
)
_VARIABLE = members(
    {
        "defaultValue": anything,
        "id": text("[0-9A-Za-z_-]{1,32}"),
        "inputType": one_of("input", "select", "radio"),
        "label": text(longest=30),
        "pattern": text(),
        "populateFrom": text(),
        "property": text(),
        "search": text(longest=2048),
        "type": one_of("property", "pattern"),
        "values": array(members({"label": text(longest=255), "value": anything}, "value"), most=500, fewest=1),
        "visible": boolean,
    },
    *("type", "inputType", "id"),
)


def _widget(value: Any, path: str, report: Report) -> None:
    _WIDGET(value, path, report)
    if not isinstance(value, dict):
        return
    for one, other in (("x", "y"), ("y", "x")):
        if one in value and other not in value:
            report.error(path, f"Should have required property '{other}'")
    kind = value.get("type")
    if "properties" in value and isinstance(kind, str) and kind in _PROPERTIES:
        properties = value["properties"]
        _PROPERTIES[kind](properties, f"{path}/properties", report)
        if kind == "metric" and isinstance(properties, dict):
            _data_source(properties, f"{path}/properties", report)


def _data_source(properties: Mapping[str, Any], path: str, report: Report) -> None:
    """A graph shows metrics of a region or an alarm."""
    annotations = properties.get("annotations")
    alarms = isinstance(annotations, dict) and "alarms" in annotations
    if not alarms and ("region" not in properties or "metrics" not in properties):
        for name in ("metrics", "region"):
            if name not in properties:
                report.error(path, f"Should have required property '{name}'")
        report.error(path, "The metric widget should have specified a region and a data source or an alarm annotation")
        if "metrics" not in properties and annotations is None:
            report.error(path, "Should have required property 'annotations'")
    if alarms and "metrics" in properties:
        report.error(path, "A widget with an alarm annotation should NOT have metrics")


_BODY = members(
    {
        "end": _RELATIVE_OR_ABSOLUTE,
        "periodOverride": one_of("auto", "inherit"),
        "start": _RELATIVE_OR_ABSOLUTE,
        "variables": array(_VARIABLE, most=MAX_VARIABLES),
        "widgets": array(_widget, most=MAX_WIDGETS),
    },
    "widgets",
)


def check_body(body: str) -> Report | None:
    """Everything that there is to say about a body; ``None`` when it is no JSON object at all."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    report = Report()
    _BODY(document, "", report)
    if "end" in document and "start" not in document:
        report.error("", "Should have required property 'start'")
    return report
