"""CloudWatch Logs through boto3 against the whole product.

What containers write is in ``test_cli_journeys``: it takes a real engine.
"""

from __future__ import annotations

from typing import Any

import pytest
from conformance_support import Installation


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
