"""CloudWatch Logs through boto3 against the whole product.

What containers write is in ``test_cli_journeys``: it takes a real engine.
"""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import pytest
from conformance_support import BIN, Installation
from waiting import wait_for


@pytest.fixture
def logs(fake: Installation) -> Any:
    return fake.client("logs")


def put(logs: Any, start: int, group: str, stream: str, *messages: str) -> None:
    events = [{"timestamp": start + number, "message": message} for number, message in enumerate(messages)]
    assert "rejectedLogEventsInfo" not in logs.put_log_events(
        logGroupName=group, logStreamName=stream, logEvents=events
    )


def test_groups_and_streams_live_and_die(logs: Any, name: str) -> None:
    logs.create_log_group(logGroupName=name, tags={"team": "blue"})
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=name)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["arn"].endswith(f":log-group:{name}:*")
    assert "retentionInDays" not in group
    logs.put_retention_policy(logGroupName=name, retentionInDays=5)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 5
    assert logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"] == {"team": "blue"}
    for number in range(3):
        logs.create_log_stream(logGroupName=name, logStreamName=f"s{number}")
    paginator = logs.get_paginator("describe_log_streams")
    pages = list(paginator.paginate(logGroupName=name, PaginationConfig={"PageSize": 2}))
    assert [stream["logStreamName"] for page in pages for stream in page["logStreams"]] == ["s0", "s1", "s2"]
    assert len(pages) == 2
    logs.delete_log_group(logGroupName=name)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.describe_log_streams(logGroupName=name)


def test_events_are_read_in_pages_both_ways(logs: Any, fake: Installation, name: str) -> None:
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    messages = [f"line {number}" for number in range(5)]
    put(logs, fake.now(), name, "s", *messages)

    def read(**more: Any) -> tuple[list[str], dict[str, Any]]:
        reply = logs.get_log_events(logGroupName=name, logStreamName="s", limit=2, **more)
        return [event["message"] for event in reply["events"]], reply

    first, reply = read(startFromHead=True)
    second, reply = read(nextToken=reply["nextForwardToken"])
    third, reply = read(nextToken=reply["nextForwardToken"])
    assert first + second + third == messages
    end, again = read(nextToken=reply["nextForwardToken"])
    assert (end, again["nextForwardToken"]) == ([], reply["nextForwardToken"])
    last, _ = read()
    assert last == messages[-2:]


def test_the_filter_paginator_reads_all_streams(logs: Any, fake: Installation, name: str) -> None:
    logs.create_log_group(logGroupName=name)
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        put(logs, fake.now(), name, stream, f"{stream}1", f"{stream}2")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name, PaginationConfig={"PageSize": 1})
    events = [event for page in pages for event in page["events"]]
    assert sorted(event["message"] for event in events) == ["a1", "a2", "b1", "b2"]
    assert len({event["eventId"] for event in events}) == 4
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)


def test_a_pattern_filters_what_is_read(logs: Any, fake: Installation, name: str) -> None:
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    put(logs, fake.now(), name, "s", '{"level": "ERROR", "ms": 5}', '{"level": "INFO", "ms": 900}', "plain ERROR")

    def found(pattern: str) -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name, filterPattern=pattern)
        return [event["message"] for page in pages for event in page["events"]]

    assert len(found("ERROR")) == 2
    assert found('{ $.level = "ERROR" || $.ms > 1000 }') == ['{"level": "ERROR", "ms": 5}']
    assert found("[word=plain, ...]") == ["plain ERROR"]
    with pytest.raises(logs.exceptions.InvalidParameterException, match="Invalid character"):
        found("a-b")


def test_a_live_tail_over_http(fake: Installation, name: str) -> None:
    logs = fake.client("logs", inject_host_prefix=False)
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    stream = logs.start_live_tail(logGroupIdentifiers=[group["logGroupArn"]], logEventFilterPattern="ERROR")[
        "responseStream"
    ]
    events = iter(stream)
    assert next(events)["sessionStart"]["logGroupIdentifiers"] == [group["logGroupArn"]]
    put(logs, fake.now(), name, "s", "ERROR 1", "fine", "ERROR 2")
    found: list[str] = []
    while len(found) < 2:
        found += [event["message"] for event in next(events)["sessionUpdate"]["sessionResults"]]
    assert found == ["ERROR 1", "ERROR 2"]
    stream.close()


def test_a_metric_filter_publishes_and_a_subscription_delivers(logs: Any, fake: Installation, name: str) -> None:
    for group in (name, f"{name}-copy"):
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    (copy,) = logs.describe_log_groups(logGroupNamePrefix=f"{name}-copy")["logGroups"]
    logs.put_metric_filter(
        logGroupName=name,
        filterName="errors",
        filterPattern="ERROR",
        metricTransformations=[{"metricName": "Errors", "metricNamespace": name, "metricValue": "1"}],
    )
    logs.put_subscription_filter(
        logGroupName=name, filterName="copy", filterPattern="ERROR", destinationArn=copy["logGroupArn"]
    )
    put(logs, fake.now(), name, "s", "ERROR 1", "fine", "ERROR 2")

    def copied() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName=f"{name}-copy")["events"]]

    wait_for(lambda: copied() == ["ERROR 1", "ERROR 2"])
    cloudwatch = fake.client("cloudwatch")
    now = fake.now() / 1000

    def counted() -> float:
        found = cloudwatch.get_metric_statistics(
            Namespace=name,
            MetricName="Errors",
            StartTime=now - 300,
            EndTime=now + 300,
            Period=60,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    wait_for(lambda: counted() == 2)


def test_the_cli_shows_a_live_tail(logs: Any, fake: Installation, name: str) -> None:
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    # Its replies are streams without an end, which the checking proxy does not pass on.
    environ = {**fake.client_environ(), "AWS_ENDPOINT_URL": fake.endpoint, "PYTHONUNBUFFERED": "1"}
    command = [str(BIN / "aws"), "logs", "start-live-tail", "--log-group-identifiers", group["logGroupArn"]]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as tail:
        stop = threading.Event()

        def write() -> None:
            # The session begins some time after the program does.
            while not stop.wait(0.3):
                put(logs, fake.now(), name, "s", "hello")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert tail.stdout is not None
            assert tail.stdout.readline().strip() == "hello"
        finally:
            stop.set()
            writer.join()
            tail.kill()
