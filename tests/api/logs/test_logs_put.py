from __future__ import annotations

import pytest

from openecs.shapes import logs as shapes
from openecs.wire.generated.logs import SERVICE

HOUR = 3_600_000
DAY = 24 * HOUR


async def stored(logs):
    page = await logs.GetLogEvents(log_group_name="g", log_stream_name="s", start_from_head=True)
    return [event.message for event in page.events]


async def refused(logs, *events):
    before = await stored(logs)
    rows = tuple(shapes.InputLogEvent(timestamp=t, message=m) for t, m in events)
    refusal = await logs.refusal("PutLogEvents", log_group_name="g", log_stream_name="s", log_events=rows)
    assert await stored(logs) == before
    return refusal


async def test_an_accepted_batch_is_readable_with_its_ingestion_time(stream):
    logs = stream
    reply = await logs.put("g", "s", (logs.now - 5, "first"), (logs.now - 5, "zweité"), (logs.now, "third"))
    assert reply.rejected_log_events_info is None
    assert reply.next_sequence_token
    page = await logs.GetLogEvents(log_group_name="g", log_stream_name="s", start_from_head=True)
    assert [(e.timestamp, e.message, e.ingestion_time) for e in page.events] == [
        (logs.now - 5, "first", logs.now),
        (logs.now - 5, "zweité", logs.now),
        (logs.now, "third", logs.now),
    ]


async def test_any_sequence_token_is_accepted_and_the_same_data_twice_too(stream):
    row = (shapes.InputLogEvent(timestamp=stream.now, message="m"),)
    for token in (None, "wrong", "49590302414"):
        await stream.PutLogEvents(log_group_name="g", log_stream_name="s", log_events=row, sequence_token=token)
    assert await stored(stream) == ["m"] * 3


async def test_group_and_stream_must_exist(stream):
    row = (shapes.InputLogEvent(timestamp=stream.now, message="m"),)
    assert await stream.refusal("PutLogEvents", log_group_name="x", log_stream_name="s", log_events=row) == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
    assert await stream.refusal("PutLogEvents", log_group_name="g", log_stream_name="x", log_events=row) == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )


async def test_events_must_be_in_order(stream):
    assert await refused(stream, (stream.now, "b"), (stream.now - 1, "a")) == (
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    )


async def test_the_size_counts_utf8_bytes_and_26_for_each_event(stream):
    room = 1_048_576 - 2 * 26
    await stream.put("g", "s", (stream.now, "é" * (room // 4)), (stream.now, "x" * (room - room // 4 * 2)))
    assert await refused(stream, (stream.now, "é" * (room // 4)), (stream.now, "x" * (room - room // 4 * 2 + 1))) == (
        "InvalidParameterException",
        "Upload too large: 1048577 bytes exceeds limit of 1048576",
    )


async def test_at_most_ten_thousand_events(stream):
    row = (stream.now, "m")
    await stream.put("g", "s", *[row] * 10_000)
    code, message = await refused(stream, *[row] * 10_001)
    assert code == "InvalidParameterException"
    assert "10001" in message


async def test_a_batch_spans_at_most_a_day(stream):
    now = stream.now
    await stream.put("g", "s", (now - DAY, "a"), (now, "b"))
    assert await refused(stream, (now - DAY - 1, "a"), (now, "b")) == (
        "InvalidParameterException",
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    )
    # Events that are rejected anyway do not count.
    await stream.put("g", "s", (now - 15 * DAY, "too old"), (now, "c"))
    assert await stored(stream) == ["a", "b", "c"]


async def test_events_too_old_or_too_new_are_rejected_the_others_kept(stream):
    now = stream.now
    reply = await stream.put(
        "g", "s", (now - 14 * DAY - 1, "old"), (now - HOUR, "a"), (now + 2 * HOUR, "b"), (now + 2 * HOUR + 1, "new")
    )
    assert reply.rejected_log_events_info == shapes.RejectedLogEventsInfo(
        too_old_log_event_end_index=1, too_new_log_event_start_index=3
    )
    assert await stored(stream) == ["a", "b"]


@pytest.mark.parametrize("offset", [-14 * DAY - 1, 2 * HOUR + 1])
async def test_a_batch_of_which_nothing_is_kept_is_still_answered(stream, offset):
    reply = await stream.put("g", "s", (stream.now + offset, "x"))
    info = reply.rejected_log_events_info
    assert (info.too_old_log_event_end_index, info.too_new_log_event_start_index) == (
        (1, None) if offset < 0 else (None, 0)
    )
    assert await stored(stream) == []


async def test_events_before_the_retention_period_are_rejected_as_expired(stream):
    await stream.PutRetentionPolicy(log_group_name="g", retention_in_days=3)
    now = stream.now
    reply = await stream.put("g", "s", (now - 20 * DAY, "old"), (now - 3 * DAY - 1, "expired"), (now - 3 * DAY, "kept"))
    assert reply.rejected_log_events_info == shapes.RejectedLogEventsInfo(
        too_old_log_event_end_index=1, expired_log_event_end_index=2
    )
    assert await stored(stream) == ["kept"]


async def test_text_that_is_not_unicode_is_refused(stream):
    code, _ = await refused(stream, (stream.now, "\ud800"))
    assert code == "InvalidParameterException"


async def test_an_entity_is_rejected_as_the_api_says_it(stream):
    row = (shapes.InputLogEvent(timestamp=stream.now, message="m"),)
    entity = shapes.Entity(key_attributes={"Type": "Service", "Name": "n"})
    reply = await stream.PutLogEvents(log_group_name="g", log_stream_name="s", log_events=row, entity=entity)
    assert reply.rejected_entity_info.error_type == "UnsupportedLogGroupType"
    assert await stored(stream) == ["m"]


async def test_a_disk_that_refuses_is_a_service_that_is_unavailable(stream, monkeypatch):
    def full(name, data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream.store._files, "append", full)
    assert await refused(stream, (stream.now, "m")) == (
        "ServiceUnavailableException",
        "The service cannot complete the request.",
    )


def test_every_operation_of_the_service_model_that_is_served_has_a_handler(logs):
    assert set(logs._handlers) == set(SERVICE.operations)
