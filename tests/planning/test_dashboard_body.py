"""What is said of dashboards' bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.dashboard_body import check_body

CPU = ["AWS/ECS", "CPUUtilization", "ClusterName", "default"]
GRAPH = {"metrics": [CPU], "region": "us-east-1"}


def body(*widgets: Any, **members: Any) -> str:
    return json.dumps({"widgets": list(widgets), **members})


def metric(**properties: Any) -> dict[str, Any]:
    return {"type": "metric", "x": 0, "y": 0, "width": 12, "height": 6, "properties": {**GRAPH, **properties}}


SOUND = [
    body(),
    body(metric()),
    body(metric(title="t", stat="p99", period=60, stacked=True, view="gauge", yAxis={"left": {"min": 0, "max": 1}})),
    body(metric(metrics=[CPU, [".", ".", ".", "other", {"id": "m2", "color": "#d62728", "yAxis": "right"}]])),
    body(metric(metrics=[CPU, ["...", "other"], [{"expression": "SUM(METRICS())", "label": "All", "id": "e1"}]])),
    body(
        metric(
            annotations={
                "horizontal": [{"value": 20, "fill": "above", "color": "#9467bd"}, [{"value": 2}, {"value": 95.5}]],
                "vertical": [{"value": "2018-08-28T15:25:26Z", "label": "Deployed"}],
            }
        )
    ),
    body({"type": "metric", "properties": {"annotations": {"alarms": ["arn:aws:cloudwatch:r:1:alarm:a"]}}}),
    body({"type": "text", "properties": {"markdown": "# Hello", "background": "transparent"}}),
    body({"type": "log", "properties": {"region": "us-east-1", "query": "SOURCE 'a' | fields @message"}}),
    body({"type": "alarm", "properties": {"alarms": ["arn"], "sortBy": "timestamp", "states": ["ALARM"]}}),
    body(start="-PT6H", periodOverride="inherit"),
    body(start="2018-12-17T06:00:00.000Z", end="2018-12-18T06:00:00.000Z"),
    body(variables=[{"type": "property", "property": "region", "inputType": "input", "id": "region"}]),
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_bodies_need_no_words(text: str) -> None:
    report = check_body(text)
    assert report is not None
    assert (report.errors, report.warnings) == ([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", [("", "Should have required property 'widgets'")]),
        ('{"widgets": {}}', [("/widgets", "Should be array")]),
        (body(*[metric()] * 501), [("/widgets", "Should NOT have more than 500 items")]),
        (
            body({"type": "metric", "properties": {"region": "us-east-1"}}),
            [
                ("/widgets/0/properties", "Should have required property 'metrics'"),
                (
                    "/widgets/0/properties",
                    "The metric widget should have specified a region and a data source or an alarm annotation",
                ),
                ("/widgets/0/properties", "Should have required property 'annotations'"),
            ],
        ),
        (
            body(metric(metrics=CPU[:1])),
            [
                ("/widgets/0/properties/metrics/0", "Should be array"),
                (
                    "/widgets/0/properties/metrics/0",
                    'Field "metrics" has to be an array of array of strings, with an optional metricRenderer object',
                ),
            ],
        ),
        (
            body(metric(metrics=[["N", "m", {"stat": "Sum"}, "v"]])),
            [("/widgets/0/properties/metrics/0/2", 'Invalid metric field type, only "String" type is allowed')],
        ),
        (
            body(metric(metrics=[["N", "m", {"ClusterName": "c"}]])),
            [
                (
                    "/widgets/0/properties/metrics/0/2",
                    'The "ClusterName" property is not expected to be part of the options of a metric',
                )
            ],
        ),
        (
            body(metric(metrics=[["N", "m", "ClusterName"]])),
            [("/widgets/0/properties/metrics/0", "Every dimension name should be followed by a dimension value")],
        ),
        (body(metric(view="line")), [("/widgets/0/properties/view", "Should be equal to one of")]),
        (body({**metric(), "x": 24}), [("/widgets/0/x", "Should be <= 23")]),
        (body({**metric(), "width": 0}), [("/widgets/0/width", "Should be >= 1")]),
        (body({**metric(), "height": 1.5}), [("/widgets/0/height", "Should be integer")]),
        (body({"type": "picture", "properties": {}}), [("/widgets/0/type", "Should be equal to one of")]),
        (body({"type": "text"}), [("/widgets/0", "Should have required property 'properties'")]),
        (
            body({"type": "text", "x": 1, "properties": {}}),
            [
                ("/widgets/0", "Should have required property 'y'"),
                ("/widgets/0/properties", "Should have required property 'markdown'"),
            ],
        ),
        (body(metric(stacked="yes")), [("/widgets/0/properties/stacked", "Should be boolean")]),
        (body(end="2018-12-17T06:00:00.000Z"), [("", "Should have required property 'start'")]),
        (body(start="yesterday"), [("/start", "Should match pattern")]),
    ],
)
def test_mistakes_have_their_place(text: str, expected: list[tuple[str, str]]) -> None:
    report = check_body(text)
    assert report is not None
    assert len(report.errors) == len(expected), report.errors
    for (path, message), (expected_path, beginning) in zip(report.errors, expected, strict=True):
        assert path == expected_path
        assert message.startswith(beginning)


def test_unknown_members_are_only_warned_of() -> None:
    report = check_body(body({**metric(color="red"), "z": 1}, owner="me"))
    assert report is not None
    assert report.errors == []
    assert sorted(report.warnings) == [
        ("", 'The "owner" property is not expected, will be ignored'),
        ("/widgets/0", 'The "z" property is not expected to be part of a widget definition, will be ignored'),
        ("/widgets/0/properties", 'The "color" property is not expected, will be ignored'),
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", "[" * 100_000])
def test_no_object_is_no_body(text: str) -> None:
    assert check_body(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["widgets", "type", "properties", "metrics", "annotations", "horizontal", "x", "value", "start"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON, st.sampled_from(["metric", "text", "log", "alarm", "explorer", 5, None]))
def test_any_json_is_judged(value: Any, kind: Any) -> None:
    check_body(json.dumps(value))
    check_body(body({"type": kind, "properties": value}, value, metric(metrics=value), metric(annotations=value)))
