"""From the JSON of a widget to what is drawn."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.metric_widget import Annotation, Axis, Widget, WidgetError, parse_widget

#: 2023-11-14T22:13:20Z
NOW = 1_700_000_000.0
CPU = ["AWS/ECS", "CPUUtilization", "ClusterName", "default"]


def parsed(**members: Any) -> Widget:
    return parse_widget(json.dumps({"metrics": [CPU], **members}), region="us-east-1", now=NOW)


def test_defaults() -> None:
    widget = parsed()
    assert (widget.width, widget.height, widget.view, widget.legend) == (600, 400, "timeSeries", "bottom")
    assert (widget.start, widget.end) == (NOW - 3 * 3600, NOW)
    (metric,) = widget.metrics
    assert (metric.metric, metric.stat, metric.period, metric.visible) == (tuple(CPU), "Average", 300, True)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([CPU, [".", ".", ".", "other"]], (*CPU[:3], "other")),
        ([CPU, ["...", "other"]], (*CPU[:3], "other")),
        ([CPU, [".", "MemoryUtilization", "..."]], ("AWS/ECS", "MemoryUtilization", *CPU[2:])),
        ([CPU, [".", "Memory"]], ("AWS/ECS", "Memory")),
        ([CPU, [{"expression": "m1"}], ["...", "x"]], (*CPU[:3], "x")),
    ],
)
def test_shorthand(metrics: list[Any], expected: tuple[str, ...]) -> None:
    assert parsed(metrics=metrics).metrics[-1].metric == expected


def test_options_of_metrics_and_expressions() -> None:
    widget = parsed(
        metrics=[
            [*CPU, {"id": "m1", "stat": "p50", "period": 60, "visible": False, "label": "L", "color": "#fff"}],
            [{"expression": "m1 * 2", "yAxis": "right"}],
        ],
        period=120,
        stat="Sum",
    )
    metric, expression = widget.metrics
    assert (metric.id, metric.stat, metric.period, metric.visible, metric.label) == ("m1", "p50", 60, False, "L")
    assert (expression.expression, expression.metric, expression.right, expression.period) == ("m1 * 2", (), True, 120)


@pytest.mark.parametrize(
    ("text", "back"),
    [("-PT5M", 300), ("-P1D", 86_400), ("-P1W", 7 * 86_400), ("-P1M", 30 * 86_400), ("-P1DT2H3M4S", 93_784)],
)
def test_relative_times(text: str, back: int) -> None:
    assert parsed(start=text).start == NOW - back


def test_everything_else() -> None:
    widget = parsed(
        start="2023-11-14T19:00:00Z",
        end="2023-11-14T21:00:00.000+01:00",
        width=900,
        theme="dark",
        timezone="-0130",
        yAxis={"left": {"min": 0, "max": 100, "label": "Percent"}, "right": {"min": 1}},
        annotations={
            "horizontal": [
                {"value": 80, "label": "high", "fill": "above", "yAxis": "right"},
                [{"value": 1, "color": "#00ff00"}, {"value": 2, "label": "two"}],
                {"value": 5, "visible": False},
            ],
            "vertical": [{"value": "2023-11-14T20:00:00Z", "fill": "after"}],
        },
    )
    assert widget.end - widget.start == 3600
    assert (widget.width, widget.dark, widget.offset) == (900, True, -5400)
    assert widget.left == Axis(0, 100, "Percent")
    assert widget.right == Axis(1)
    assert widget.horizontal == (
        Annotation(80, label="high", fill="above", right=True),
        Annotation(1, 2, until_label="two", color="#00ff00"),
    )
    assert widget.vertical == (Annotation(1_699_992_000.0, fill="after"),)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"metrics": []}, "at least one metric"),
        ({"metrics": [CPU] * 101}, "Should NOT have more than 100 items"),
        ({"metrics": [[".", ".", "a", "b"]]}, "There is no metric before"),
        ({"metrics": [["..."]]}, "Should NOT have fewer than 2 items"),
        ({"metrics": [CPU, ["...", "a", "b"]], "title": "t"}, None),
        ({"metrics": [[*CPU, {"id": "a"}], [*CPU, {"id": "a"}]]}, "stands for two metrics"),
        ({"metrics": [[*CPU, {"region": "eu-west-1"}]]}, "other regions and accounts"),
        ({"width": 2001}, "/width: Should be <= 2000"),
        ({"height": 0}, "/height: Should be >= 1"),
        ({"view": "table"}, "/view: Should be equal to one of"),
        ({"start": "later"}, "no time in the form of ISO 8601"),
        ({"start": "-PT1H", "end": "-PT2H"}, "must be before its end"),
        ({"start": "0001-01-01T00:00:00Z"}, "between the years 1970 and 9000"),
        ({"region": "eu-west-1"}, "must be the local region us-east-1"),
        ({"yAxis": {"left": {"min": 2, "max": 1}}}, "minimum of an axis"),
        ({"start": "-P1000D", "period": 1}, "more than 300000 data points"),
        ({"annotations": {"alarms": ["arn"]}}, "Alarm annotations"),
        ({"sparkles": True}, 'The "sparkles" property is not expected'),
    ],
)
def test_mistakes(members: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert parsed(**members).metrics[-1].metric == (*CPU[:2], "a", "b")
        return
    with pytest.raises(WidgetError) as caught:
        parsed(**members)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '"a"', "x" * 102_401])
def test_no_widget(text: str) -> None:
    with pytest.raises(WidgetError):
        parse_widget(text, region="us-east-1", now=NOW)


@given(
    st.dictionaries(
        st.sampled_from(["metrics", "annotations", "yAxis", "start", "end", "timezone", "period", "view"]),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from([".", "...", "-PT1H"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "value"]), inner),
        ),
    )
)
def test_any_json_is_a_widget_or_refused(members: dict[str, Any]) -> None:
    with contextlib.suppress(WidgetError):
        parsed(**members)
