"""Dashboards and images of graphs against requests that are valid, nearly valid and absurd.

What is fuzzed most is the JSON within the request: the dashboard's body and the widget.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fuzz_depth import EXAMPLES, SEARCH
from fuzz_plane import Plane
from fuzz_requests import BROKEN, bodies
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.wire.generated import cloudwatch

GRAPH: dict[str, Any] = {
    "metrics": [
        ["AWS/ECS", "CPUUtilization", "ClusterName", "default", {"id": "m1", "stat": "p99", "color": "#1f77b4"}],
        ["...", "other", {"yAxis": "right", "label": "other", "visible": False}],
        [{"expression": "FILL(m1, LINEAR) + 1", "id": "e1"}],
    ],
    "region": "us-east-1",
    "period": 300,
    "stat": "Average",
    "title": "t",
    "view": "timeSeries",
    "start": "-PT30M",
    "yAxis": {"left": {"min": 0, "max": 10, "label": "l"}, "right": {"min": 1}},
    "annotations": {
        "horizontal": [{"value": 5, "fill": "above"}, [{"value": 1}, {"value": 2}]],
        "vertical": [{"value": "2023-11-14T22:00:00Z", "label": "v"}],
    },
    "legend": {"position": "right"},
}
BODY = {
    "widgets": [
        {"type": "metric", "x": 0, "y": 0, "width": 6, "height": 6, "properties": GRAPH},
        {"type": "text", "properties": {"markdown": "m"}},
        {"type": "log", "properties": {"region": "us-east-1", "query": "q"}},
        {"type": "alarm", "properties": {"alarms": ["a"], "states": ["OK"]}},
    ],
    "start": "-PT6H",
    "variables": [{"type": "property", "inputType": "input", "id": "v", "property": "region"}],
}
WIDGET = {**GRAPH, "width": 120, "height": 80, "theme": "dark", "timezone": "+0130"}
SOUND: dict[str, dict[str, Any]] = {
    "PutDashboard": {"DashboardName": "new", "DashboardBody": json.dumps(BODY), "Tags": [{"Key": "k", "Value": "v"}]},
    "GetDashboard": {"DashboardName": "there"},
    "ListDashboards": {"DashboardNamePrefix": "t"},
    "DeleteDashboards": {"DashboardNames": ["there", "nothing"]},
    "GetMetricWidgetImage": {"MetricWidget": json.dumps(WIDGET), "OutputFormat": "png"},
}
#: What the JSON inside of a request is made from: the same spoiling, with nothing of a shape.
INSIDE = {"DashboardBody": bodies(None, BODY, {}), "MetricWidget": bodies(None, WIDGET, {})}


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with Plane() as plane:
        plane.must("cloudwatch", "PutDashboard", DashboardName="there", DashboardBody='{"widgets": []}')
        yield plane


def check(plane: Plane, name: str, body: bytes, bugs: list[str]) -> int:
    """Send one request; whatever the answer is, it is the model's, and a refusal changes nothing."""
    before = plane.picture()
    reply = plane.send("cloudwatch", name, body)
    about = f"{name} {body[:3000]!r}\n-> {reply.status} {reply.body[:1000]!r}\n{bugs[-1:]}"
    assert reply.status < 500, about
    after = plane.picture()
    if reply.status != 200:
        known = {*cloudwatch.SERVICE.error_codes, "SerializationException", "ValidationException"}
        assert reply.data["__type"] in known, about
        assert reply.data["message"], about
    if reply.status != 200 or name.startswith(("Get", "List")):
        assert after == before, about
    plane.restore(before)
    return reply.status


@pytest.mark.parametrize("name", sorted(SOUND))
def test_an_operation_survives_any_request(plane: Plane, product_bugs: list[str], name: str) -> None:
    operation = cloudwatch.SERVICE.operations[name]
    assert check(plane, name, json.dumps(SOUND[name]).encode(), product_bugs) == 200

    @settings(SEARCH, max_examples=EXAMPLES)
    @given(body=bodies(operation.input, SOUND[name], {}))
    def survives(body: bytes) -> None:
        check(plane, name, body, product_bugs)

    survives()
    for body in BROKEN:
        check(plane, name, body, product_bugs)


@settings(SEARCH, max_examples=EXAMPLES)
@given(body=INSIDE["DashboardBody"] | st.sampled_from(BROKEN))
def test_any_body_of_a_dashboard(plane: Plane, product_bugs: list[str], body: bytes) -> None:
    text = body.decode(errors="replace")
    check(plane, "PutDashboard", json.dumps({"DashboardName": "d", "DashboardBody": text}).encode(), product_bugs)


@settings(SEARCH, max_examples=EXAMPLES)
@given(body=INSIDE["MetricWidget"] | st.sampled_from(BROKEN))
def test_any_widget(plane: Plane, product_bugs: list[str], body: bytes) -> None:
    text = body.decode(errors="replace")
    check(plane, "GetMetricWidgetImage", json.dumps({"MetricWidget": text}).encode(), product_bugs)
