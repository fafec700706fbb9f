"""GetMetricWidgetImage through boto3: from measurements to the pixels of the graph."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from PIL import Image

RED, BLUE = (214, 39, 40), (31, 119, 180)
CPU = ["Widget", "Load", "Service", "web", {"color": "#d62728", "id": "m1"}]


@pytest.fixture(scope="module")
def cloudwatch(fake: Installation) -> Any:
    """A client; the last 40 minutes have a measurement each of one service, and twice as much of another."""
    client = fake.client("cloudwatch")
    now = fake.now() // 1000
    data = [
        {
            "MetricName": "Load",
            "Dimensions": [{"Name": "Service", "Value": service}],
            "Timestamp": datetime.fromtimestamp(now - 60 * minute, UTC),
            "Value": value,
        }
        for service, value in (("web", 20.0), ("api", 40.0))
        for minute in range(40)
    ]
    client.put_metric_data(Namespace="Widget", MetricData=data)
    return client


def graph(client: Any, **members: Any) -> Image.Image:
    widget = {"start": "-PT30M", "period": 60, "yAxis": {"left": {"min": 0, "max": 100}}, **members}
    widget.setdefault("legend", {"position": "hidden"})
    reply = client.get_metric_widget_image(MetricWidget=json.dumps(widget))
    picture = Image.open(io.BytesIO(reply["MetricWidgetImage"]))
    assert picture.format == "PNG"
    return picture.convert("RGB")


def height(picture: Image.Image, color: tuple[int, int, int]) -> float | None:
    """How high the line of a colour is, as a share of the image from its upper edge."""
    pixels = list(picture.get_flattened_data())
    found = [index // picture.width for index, pixel in enumerate(pixels) if pixel == color]
    return sum(found) / len(found) / picture.height if found else None


def test_metrics_and_expressions_are_drawn_at_their_height(cloudwatch: Any) -> None:
    only = graph(cloudwatch, metrics=[CPU])
    assert only.size == (600, 400)
    low = height(only, RED)
    assert low is not None
    assert 0.7 < low < 0.8
    double = graph(
        cloudwatch,
        metrics=[[*CPU[:4], {"id": "m1", "visible": False}], [{"expression": "m1 * 4", "color": "#1f77b4"}]],
        width=300,
        height=200,
    )
    assert double.size == (300, 200)
    high = height(double, BLUE)
    assert high is not None
    assert high < 0.35


def test_a_search_draws_what_it_finds(cloudwatch: Any) -> None:
    expression = "SEARCH('{Widget,Service} MetricName=\"Load\"', 'Average')"
    picture = graph(cloudwatch, metrics=[[{"expression": expression, "color": "#d62728"}]])
    # The given colour is that of the first series, the second takes the next of the palette.
    api, web = height(picture, RED), height(picture, (255, 127, 14))
    assert api is not None
    assert web is not None
    assert api < web


@pytest.mark.parametrize("view", ["bar", "pie", "singleValue"])
def test_other_views(cloudwatch: Any, view: str) -> None:
    assert height(graph(cloudwatch, metrics=[CPU, ["...", "api"]], view=view), RED) is not None


def test_metrics_without_data_are_an_empty_graph(cloudwatch: Any) -> None:
    assert height(graph(cloudwatch, metrics=[["Widget", "Nothing", {"color": "#d62728"}]]), RED) is None


@pytest.mark.parametrize(
    ("widget", "message"),
    [
        ("{", "must be a valid JSON object"),
        ('{"metrics": []}', "at least one metric"),
        ('{"metrics": [["N", "m"]], "width": 2001}', "/width: Should be <= 2000"),
        ('{"metrics": [["N", "m", {"stat": "Most"}]]}', "Stat is invalid"),
        ('{"metrics": [[{"expression": "AVG(m1", "id": "e1"}]]}', "Error in expression 'e1'"),
    ],
)
def test_mistakes_are_refused(cloudwatch: Any, widget: str, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_metric_widget_image(MetricWidget=widget)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert message in caught.value.response["Error"]["Message"]


def test_only_png_is_given(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="image/png is not supported"):
        cloudwatch.get_metric_widget_image(MetricWidget='{"metrics": [["N", "m"]]}', OutputFormat="image/png")
