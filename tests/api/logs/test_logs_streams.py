from __future__ import annotations

import pytest

NO_GROUP = ("ResourceNotFoundException", "The specified log group does not exist.")
NO_STREAM = ("ResourceNotFoundException", "The specified log stream does not exist.")


async def pages(logs, **members):
    found, token = [], None
    while True:
        page = await logs.DescribeLogStreams(log_group_name="g", next_token=token, **members)
        found += [stream.log_stream_name for stream in page.log_streams]
        token = page.next_token
        if token is None:
            return found


async def test_a_stream_is_described_with_the_times_of_its_events(stream):
    logs = stream
    (described,) = (await logs.DescribeLogStreams(log_group_name="g")).log_streams
    assert described.first_event_timestamp is None
    assert described.last_ingestion_time is None
    created = logs.now
    logs.clock.advance(5)
    await logs.put("g", "s", (logs.now - 30, "a"), (logs.now - 20, "b"))
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:g"
    (described,) = (await logs.DescribeLogStreams(log_group_identifier=arn)).log_streams
    assert described.arn == f"{arn}:log-stream:s"
    assert described.creation_time == created
    assert (described.first_event_timestamp, described.last_event_timestamp) == (logs.now - 30, logs.now - 20)
    assert described.last_ingestion_time == logs.now
    assert described.stored_bytes == 0
    assert described.upload_sequence_token
    assert (await logs.DescribeLogGroups()).log_groups[0].stored_bytes > 0


async def test_streams_are_ordered_by_name_or_by_their_newest_event(logs):
    await logs.CreateLogGroup(log_group_name="g")
    for i, name in enumerate(["c", "a", "b", "never"]):
        await logs.CreateLogStream(log_group_name="g", log_stream_name=name)
        if name != "never":
            await logs.put("g", name, (logs.now - i * 1000, "m"))
    for limit in (1, 2, 50):
        assert await pages(logs, limit=limit) == ["a", "b", "c", "never"]
        assert await pages(logs, limit=limit, descending=True) == ["never", "c", "b", "a"]
        assert await pages(logs, limit=limit, order_by="LastEventTime") == ["never", "b", "a", "c"]
        assert await pages(logs, limit=limit, order_by="LastEventTime", descending=True) == ["c", "a", "b", "never"]
    assert await pages(logs, log_stream_name_prefix="n") == ["never"]


async def test_streams_come_and_go(stream):
    logs = stream
    assert await logs.refusal("CreateLogStream", log_group_name="g", log_stream_name="s") == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    assert await logs.refusal("CreateLogStream", log_group_name="x", log_stream_name="s") == NO_GROUP
    await logs.DeleteLogStream(log_group_name="g", log_stream_name="s")
    assert await logs.refusal("DeleteLogStream", log_group_name="g", log_stream_name="s") == NO_STREAM
    assert await logs.refusal("DeleteLogStream", log_group_name="x", log_stream_name="s") == NO_GROUP


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (
            {"log_group_name": "g", "order_by": "LastEventTime", "log_stream_name_prefix": "s"},
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ),
        ({"log_group_name": "g", "log_group_identifier": "g"}, "Only one of logGroupName and logGroupIdentifier"),
        ({}, "Either logGroupName or logGroupIdentifier"),
        ({"log_group_name": "g", "next_token": "x"}, "The specified nextToken is invalid."),
    ],
)
async def test_describe_streams_refuses(stream, members, words):
    code, message = await stream.refusal("DescribeLogStreams", **members)
    assert code == "InvalidParameterException"
    assert words in message


async def test_a_token_continues_only_the_list_that_it_came_from(stream):
    await stream.CreateLogStream(log_group_name="g", log_stream_name="t")
    token = (await stream.DescribeLogStreams(log_group_name="g", limit=1)).next_token
    for other in ({"descending": True}, {"order_by": "LastEventTime"}, {"log_stream_name_prefix": "t"}):
        code, _ = await stream.refusal("DescribeLogStreams", log_group_name="g", next_token=token, **other)
        assert code == "InvalidParameterException"
