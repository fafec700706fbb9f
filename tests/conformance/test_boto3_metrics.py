"""Metrics through boto3, in all three protocols of CloudWatch, and through the AWS CLI."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import botocore.model
import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation

REGION = "metrics-1"
SERVICE = {"Name": "Service", "Value": "web"}


@pytest.fixture(scope="module")
def cloudwatch(fake: Installation) -> Any:
    return fake.client("cloudwatch", REGION)


@pytest.fixture(scope="module")
def minute(fake: Installation) -> int:
    """The start of a minute that is over, in seconds since the epoch."""
    return (fake.now() // 60_000 - 10) * 60


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def put(client: Any, namespace: str, *data: dict[str, Any]) -> None:
    client.put_metric_data(Namespace=namespace, MetricData=list(data))


def seconds(moment: dt.datetime) -> int:
    return int(moment.timestamp())


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_every_protocol_takes_and_gives_the_same(
    fake: Installation, monkeypatch: pytest.MonkeyPatch, minute: int, protocol: str
) -> None:
    monkeypatch.setattr(botocore.model.ServiceModel, "resolved_protocol", property(lambda _: protocol), raising=True)
    client = fake.client("cloudwatch", REGION)
    namespace = f"Shop/{protocol}"
    put(
        client,
        namespace,
        {"MetricName": "Latency", "Dimensions": [SERVICE], "Timestamp": minute, "Unit": "Seconds", "Value": 0.5},
        {
            "MetricName": "Latency",
            "Dimensions": [SERVICE],
            "Timestamp": minute + 60,
            "Unit": "Seconds",
            "Values": [1.0, 2.0],
            "Counts": [3.0, 1.0],
        },
        {
            "MetricName": "Sets",
            "Timestamp": minute,
            "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4},
        },
    )
    (listed,) = client.list_metrics(Namespace=namespace, Dimensions=[{"Name": "Service"}])["Metrics"]
    assert listed == {"Namespace": namespace, "MetricName": "Latency", "Dimensions": [SERVICE]}
    reply = client.get_metric_statistics(
        **listed,
        StartTime=minute,
        EndTime=minute + 120,
        Period=60,
        Statistics=["Average", "Sum", "SampleCount", "Minimum", "Maximum"],
    )
    first, second = sorted(reply["Datapoints"], key=lambda point: point["Timestamp"])
    assert (seconds(first["Timestamp"]), first["Average"], first["Unit"]) == (minute, 0.5, "Seconds")
    assert [second[name] for name in ("Average", "Sum", "SampleCount", "Minimum", "Maximum")] == [1.25, 5, 4, 1, 2]
    reply = client.get_metric_data(
        StartTime=minute,
        EndTime=minute + 120,
        ScanBy="TimestampAscending",
        MetricDataQueries=[
            {"Id": "m1", "MetricStat": {"Metric": listed, "Period": 60, "Stat": "p50"}, "Label": "half ${LAST}"},
            {"Id": "e1", "Expression": "m1 * 10"},
        ],
    )
    metric, expression = reply["MetricDataResults"]
    assert (metric["Label"], metric["Values"], metric["StatusCode"]) == ("half 1", [0.5, 1.0], "Complete")
    assert [seconds(moment) for moment in metric["Timestamps"]] == [minute, minute + 60]
    assert (expression["Label"], expression["Values"]) == ("e1", [5.0, 10.0])
    code, message = refusal(client.put_metric_data, Namespace="AWS/ECS", MetricData=[{"MetricName": "x", "Value": 1}])
    assert (code, message) == ("InvalidParameterValue", "The value AWS/ECS for parameter Namespace is invalid.")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_tags_for_resource(ResourceARN="arn:aws:cloudwatch:us-east-1:000000000000:alarm:none")
    with pytest.raises(client.exceptions.InvalidParameterCombinationException):
        client.put_metric_data(Namespace="x", MetricData=[{"MetricName": "x", "Value": 1, "Values": [1]}])


def test_compressed_requests_are_taken(fake: Installation, minute: int) -> None:
    client = fake.client("cloudwatch", REGION, request_min_compression_size_bytes=1)
    sent: list[Any] = []
    client.meta.events.register(
        "before-send.cloudwatch.PutMetricData", lambda request, **_: sent.append(request.headers)
    )
    put(client, "Packed", *({"MetricName": "Size", "Timestamp": minute, "Value": value} for value in range(200)))
    assert sent[0]["Content-Encoding"] in ("gzip", b"gzip")
    reply = client.get_metric_statistics(
        Namespace="Packed",
        MetricName="Size",
        StartTime=minute,
        EndTime=minute + 60,
        Period=60,
        ExtendedStatistics=["p90", "tm50"],
    )
    assert reply["Datapoints"][0]["ExtendedStatistics"] == {"p90": 179.0, "tm50": 49.5}


def test_seconds_are_kept_when_asked_for(cloudwatch: Any, minute: int) -> None:
    put(
        cloudwatch,
        "Fast",
        *({"MetricName": "m", "Timestamp": minute + at, "Value": at, "StorageResolution": 1} for at in range(20)),
    )
    reply = cloudwatch.get_metric_data(
        StartTime=minute,
        EndTime=minute + 20,
        MetricDataQueries=[
            {
                "Id": "fast",
                "MetricStat": {"Metric": {"Namespace": "Fast", "MetricName": "m"}, "Period": 10, "Stat": "Sum"},
            }
        ],
    )
    assert reply["MetricDataResults"][0]["Values"] == [145.0, 45.0]


def test_pages_give_every_data_point_once(cloudwatch: Any, minute: int) -> None:
    names = ["a", "b", "c"]
    put(
        cloudwatch,
        "Pages",
        *({"MetricName": name, "Timestamp": minute + 60 * at, "Value": at} for name in names for at in range(5)),
    )
    query = {
        "StartTime": minute,
        "EndTime": minute + 300,
        "MaxDatapoints": 4,
        "MetricDataQueries": [
            {
                "Id": name,
                "MetricStat": {"Metric": {"Namespace": "Pages", "MetricName": name}, "Period": 60, "Stat": "Sum"},
            }
            for name in names
        ],
    }
    found: dict[str, list[float]] = {}
    token: dict[str, str] = {}
    pages = 0
    while True:
        reply = cloudwatch.get_metric_data(**query, **token)
        pages += 1
        for result in reply["MetricDataResults"]:
            found.setdefault(result["Id"], []).extend(result["Values"])
        if "NextToken" not in reply:
            break
        token = {"NextToken": reply["NextToken"]}
    assert pages == 4
    assert found == {name: [4.0, 3.0, 2.0, 1.0, 0.0] for name in names}
    assert refusal(cloudwatch.get_metric_data, **query, NextToken="forged")[0] == "InvalidNextToken"


def test_listing_filters_and_pages(cloudwatch: Any, minute: int) -> None:
    put(cloudwatch, "Many", *({"MetricName": f"m{at:03}", "Timestamp": minute, "Value": 1} for at in range(600)))
    put(
        cloudwatch,
        "Many",
        {
            "MetricName": "sized",
            "Timestamp": minute,
            "Value": 1,
            "Dimensions": [SERVICE, {"Name": "Zone", "Value": "a"}],
        },
        {"MetricName": "old", "Timestamp": minute - 4 * 3600, "Value": 1},
    )
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Many"))
    assert [len(page["Metrics"]) for page in pages] == [500, 102]
    names = [metric["MetricName"] for page in pages for metric in page["Metrics"]]
    assert names == sorted(names)
    recent = (
        cloudwatch.get_paginator("list_metrics").paginate(Namespace="Many", RecentlyActive="PT3H").build_full_result()
    )
    assert {metric["MetricName"] for metric in recent["Metrics"]} == set(names) - {"old"}

    def listed(**filters: Any) -> list[str]:
        return [metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="Many", **filters)["Metrics"]]

    assert listed(MetricName="m007") == ["m007"]
    assert listed(Dimensions=[{"Name": "Zone"}]) == ["sized"]
    assert listed(Dimensions=[{"Name": "Zone", "Value": "b"}]) == []
    assert cloudwatch.list_metrics(Namespace="None")["Metrics"] == []
    assert refusal(cloudwatch.list_metrics, IncludeLinkedAccounts=True)[0] == "InvalidParameterValue"
    assert refusal(cloudwatch.list_metrics, NextToken="forged")[0] == "InvalidParameterValue"


DATUM = {"MetricName": "m", "Value": 1.0}
NOT_PUT: list[tuple[dict[str, Any], str, str]] = [
    ({"MetricName": "m"}, "MissingParameter", "must be specified"),
    ({"MetricName": "m", "Values": []}, "MissingParameter", "MetricData.member.1.Values must have a value"),
    ({**DATUM, "Values": [1.0]}, "InvalidParameterCombination", "MetricData.member.1.Values are mutually exclusive"),
    ({**DATUM, "Counts": [1.0]}, "InvalidParameterCombination", "Counts needs"),
    ({"MetricName": "m", "Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterCombination", "same number"),
    ({"MetricName": "m", "Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue", "MetricData.member.1.Counts"),
    ({"MetricName": "m", "Values": [float(at) for at in range(151)]}, "InvalidParameterValue", "greater than 150"),
    ({**DATUM, "Value": 2.0**361}, "InvalidParameterValue", "MetricData.member.1.Value is invalid"),
    ({**DATUM, "StorageResolution": 5}, "InvalidParameterValue", "StorageResolution"),
    ({**DATUM, "Dimensions": [SERVICE, SERVICE]}, "InvalidParameterValue", "two dimensions of one name"),
    ({**DATUM, "Dimensions": [{"Name": ":x", "Value": "y"}]}, "InvalidParameterValue", "Dimensions.Name"),
    ({**DATUM, "Dimensions": [{"Name": "x", "Value": "é"}]}, "InvalidParameterValue", "Dimensions.Value"),
    ({**DATUM, "MetricName": "é"}, "InvalidParameterValue", "MetricName"),
    ({**DATUM, "Timestamp": -15 * 86400}, "InvalidParameterValue", "past two weeks"),
    ({**DATUM, "Timestamp": 3 * 3600}, "InvalidParameterValue", "two hours in the future"),
    (
        {"MetricName": "m", "StatisticValues": {"SampleCount": 0, "Sum": 1, "Minimum": 1, "Maximum": 1}},
        "InvalidParameterValue",
        "SampleCount",
    ),
    (
        {"MetricName": "m", "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 2, "Maximum": 1}},
        "InvalidParameterCombination",
        "Minimum",
    ),
]


@pytest.mark.parametrize(("datum", "code", "words"), NOT_PUT)
def test_measurements_that_are_refused(
    cloudwatch: Any, minute: int, datum: dict[str, Any], code: str, words: str
) -> None:
    if "Timestamp" in datum:
        datum = {**datum, "Timestamp": minute + datum["Timestamp"]}
    data = [datum, {"MetricName": "innocent", "Value": 1.0}]
    found = refusal(cloudwatch.put_metric_data, Namespace="Refused", MetricData=data)
    assert found[0] == code
    assert words in found[1]
    assert cloudwatch.list_metrics(Namespace="Refused")["Metrics"] == []


def metric_query(**changes: Any) -> dict[str, Any]:
    metric = {"Namespace": "n", "MetricName": "m"}
    return {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum", **changes}}


NOT_ASKED: list[tuple[list[dict[str, Any]], str]] = [
    ([{"Id": "M1", "Expression": "1"}], "not matching the expected pattern"),
    ([metric_query(), metric_query()], "not unique"),
    ([{"Id": "m1"}], "Exactly one"),
    ([{**metric_query(), "Expression": "m1"}], "Exactly one"),
    ([metric_query(Period=7)], "period 7"),
    ([metric_query(Stat="p101")], "p101"),
    ([metric_query(), {"Id": "e1", "Expression": "m2 + 1"}], "Undefined variable 'm2'"),
    ([metric_query(), {"Id": "e1", "Expression": "m1 +"}], "Error in expression 'e1'"),
    ([{"Id": "e1", "Expression": "e2"}, {"Id": "e2", "Expression": "e1"}], "ircular"),
    ([{"Id": "e1", "Expression": "1 + 1"}], "Error in expression 'e1'"),
    ([{**metric_query(), "AccountId": "999999999999"}], "AccountId"),
]


@pytest.mark.parametrize(("queries", "words"), NOT_ASKED)
def test_queries_that_are_refused(cloudwatch: Any, minute: int, queries: list[dict[str, Any]], words: str) -> None:
    code, message = refusal(
        cloudwatch.get_metric_data, StartTime=minute, EndTime=minute + 60, MetricDataQueries=queries
    )
    assert code == "ValidationError"
    assert words in message


def test_statistics_that_are_refused(cloudwatch: Any, minute: int) -> None:
    asked = {"Namespace": "n", "MetricName": "m", "StartTime": minute, "EndTime": minute + 60, "Period": 60}
    get = cloudwatch.get_metric_statistics
    assert refusal(get, **asked)[0] == "MissingParameter"
    both = {"Statistics": ["Sum"], "ExtendedStatistics": ["p9"]}
    assert refusal(get, **asked, **both)[0] == "InvalidParameterCombination"
    assert refusal(get, **{**asked, "Period": 61}, Statistics=["Sum"])[0] == "InvalidParameterValue"
    assert refusal(get, **{**asked, "EndTime": minute}, Statistics=["Sum"])[0] == "InvalidParameterValue"
    assert refusal(get, **asked, ExtendedStatistics=["Sum"])[0] == "InvalidParameterValue"
    code, message = refusal(get, **{**asked, "StartTime": minute - 86400}, Statistics=["Sum"])
    assert code == "InvalidParameterCombination"
    assert "1,441 datapoints, which exceeds the limit of 1,440" in message


def test_the_tags_of_an_alarm(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName="tagged",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Tags=[{"Key": "a", "Value": "1"}],
    )
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["tagged"])["MetricAlarms"]
    arn = {"ResourceARN": alarm["AlarmArn"]}
    cloudwatch.tag_resource(**arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    cloudwatch.untag_resource(**arn, TagKeys=["b", "none"])
    assert cloudwatch.list_tags_for_resource(**arn)["Tags"] == [{"Key": "a", "Value": "3"}]
    code, _ = refusal(cloudwatch.tag_resource, **arn, Tags=[{"Key": "aws:x", "Value": "1"}])
    assert code == "InvalidParameterValue"


def test_both_generations_of_the_command_line(fake: Installation) -> None:
    for name, run in (("one", fake.aws), ("two", fake.aws2)):
        run("cloudwatch", "put-metric-data", "--namespace", f"Cli/{name}", "--metric-name", "Jobs", "--value", "4")
        listed = json.loads(run("cloudwatch", "list-metrics", "--namespace", f"Cli/{name}", "--output", "json").stdout)
        assert listed["Metrics"] == [{"Namespace": f"Cli/{name}", "MetricName": "Jobs", "Dimensions": []}]
