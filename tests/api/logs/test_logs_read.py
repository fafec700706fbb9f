from __future__ import annotations

import re
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs_client import Logs

from openecs.clock import ManualClock
from openecs.logs.store import LogStore

TOKEN = re.compile(r"[fb]/[0-9]{56}/s")


@asynccontextmanager
async def group_of(streams: list[list[list[int]]]):
    """Group ``g`` with streams ``s0``…; each a list of batches, each a list of offsets to now in milliseconds."""
    clock = ManualClock(1_800_000_000.0)
    store = LogStore(None, clock, segment_bytes=300)
    await store.open()
    logs = Logs(store, clock)
    await logs.CreateLogGroup(log_group_name="g")
    for number, batches in enumerate(streams):
        await logs.CreateLogStream(log_group_name="g", log_stream_name=f"s{number}")
        for i, batch in enumerate(batches):
            rows = [(logs.now + offset, f"s{number}.{i}.{j}") for j, offset in enumerate(sorted(batch))]
            await logs.put("g", f"s{number}", *rows)
    try:
        yield logs
    finally:
        await store.close()


def expected(streams: list[list[list[int]]]) -> list[tuple[int, str]]:
    """All events as (offset, message) in the order of time, stream and arrival."""
    rows = [
        (offset, number, i, j)
        for number, batches in enumerate(streams)
        for i, batch in enumerate(batches)
        for j, offset in enumerate(sorted(batch))
    ]
    return [(offset, f"s{number}.{i}.{j}") for offset, number, i, j in sorted(rows)]


batches = st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=5), max_size=6)


@settings(max_examples=60, deadline=None)
@given(batches, st.integers(1, 5), st.booleans())
async def test_get_pages_give_every_event_once_in_both_directions(batches, limit, start_from_head):
    events = [message for _, message in expected([batches])]
    async with group_of([batches]) as logs:

        async def get(**members):
            page = await logs.GetLogEvents(log_group_name="g", log_stream_name="s0", limit=limit, **members)
            assert TOKEN.fullmatch(page.next_forward_token)
            assert TOKEN.fullmatch(page.next_backward_token)
            return [event.message for event in page.events], page

        async def walk(token, *, forward):
            got = []
            while True:
                messages, page = await get(next_token=token)
                got = got + messages if forward else messages + got
                reached = page.next_forward_token if forward else page.next_backward_token
                if reached == token:
                    assert messages == []
                    return got, page
                token = reached

        first, page = await get(start_from_head=start_from_head)
        assert first == (events[:limit] if start_from_head else events[-limit:])
        behind, end = await walk(page.next_forward_token, forward=True)
        before, _ = await walk(page.next_backward_token, forward=False)
        assert before + first + behind == events
        # The end knows the way back over everything, and its beginning the way forth again.
        back, beginning = await walk(end.next_backward_token, forward=False)
        assert back == events
        forth, _ = await walk(beginning.next_forward_token, forward=True)
        assert forth == events


@settings(max_examples=60, deadline=None)
@given(
    st.lists(batches, min_size=1, max_size=4), st.integers(1, 7), st.booleans(), st.integers(0, 6), st.integers(6, 12)
)
async def test_filter_pages_interleave_the_streams_and_give_every_event_once(streams, limit, descending, low, high):
    events = [message for offset, message in expected(streams) if low <= offset <= high]
    async with group_of(streams) as logs:
        got, token, ids = [], None, set()
        start, end = logs.now + low, logs.now + high
        direction = {"start_from_head": False} if descending else {}
        while True:
            page = await logs.FilterLogEvents(
                log_group_name="g", limit=limit, next_token=token, start_time=start, end_time=end, **direction
            )
            assert page.searched_log_streams == ()
            got += [event.message for event in page.events]
            ids |= {event.event_id for event in page.events}
            assert all(event.message.startswith(f"{event.log_stream_name}.") for event in page.events)
            direction = {}  # the token knows
            token = page.next_token
            if token is None:
                break
        assert got == (events[::-1] if descending else events)
        assert len(ids) == len(events)


async def test_the_forward_token_at_the_end_finds_what_comes_later(stream):
    page = await stream.GetLogEvents(log_group_name="g", log_stream_name="s")
    assert page.events == ()
    for number in range(3):
        await stream.put("g", "s", (stream.now + number, f"m{number}"))
        page = await stream.GetLogEvents(log_group_name="g", log_stream_name="s", next_token=page.next_forward_token)
        assert [event.message for event in page.events] == [f"m{number}"]


async def test_get_excludes_the_end_time_filter_includes_it(stream):
    now = stream.now
    await stream.put("g", "s", (now, "a"), (now + 1, "b"), (now + 2, "c"))
    page = await stream.GetLogEvents(log_group_name="g", log_stream_name="s", start_time=now + 1, end_time=now + 2)
    assert [event.message for event in page.events] == ["b"]
    page = await stream.FilterLogEvents(log_group_name="g", start_time=now + 1, end_time=now + 2)
    assert [event.message for event in page.events] == ["b", "c"]


async def test_filter_chooses_streams_by_names_or_prefix(stream):
    for name in ("web/1", "web/2", "db/1"):
        await stream.CreateLogStream(log_group_name="g", log_stream_name=name)
        await stream.put("g", name, (stream.now, name))

    async def found(**members):
        page = await stream.FilterLogEvents(log_group_name="g", **members)
        return [event.message for event in page.events]

    assert await found(log_stream_name_prefix="web/") == ["web/1", "web/2"]
    assert await found(log_stream_names=("db/1", "web/2", "db/1")) == ["web/2", "db/1"]
    assert await found(log_stream_name_prefix="none") == []
    assert await found(interleaved=False, filter_pattern="") == ["web/1", "web/2", "db/1"]


@pytest.mark.parametrize(
    ("operation", "members", "refusal"),
    [
        ("FilterLogEvents", {"filter_pattern": "a-b"}, "Invalid character(s) in term 'a-b'"),
        ("FilterLogEvents", {"unmask": True}, "unmask is not supported by OpenECS."),
        ("FilterLogEvents", {"log_stream_names": ("s",), "log_stream_name_prefix": "s"}, "Only one of logStreamNames"),
        ("FilterLogEvents", {"next_token": "x"}, "The specified nextToken is invalid."),
        ("FilterLogEvents", {"next_token": "é"}, "The specified nextToken is invalid."),
        ("FilterLogEvents", {"start_from_head": False}, "startFromHead can be false only"),
        ("GetLogEvents", {"log_stream_name": "s", "unmask": True}, "unmask is not supported by OpenECS."),
        ("GetLogEvents", {"log_stream_name": "s", "next_token": "f/1/s"}, "The specified nextToken is invalid."),
        ("GetLogEvents", {"log_stream_name": "s", "next_token": "f/" + "9" * 56 + "/s"}, "The specified nextToken"),
    ],
)
async def test_reading_refuses(stream, operation, members, refusal):
    code, message = await stream.refusal(operation, log_group_name="g", **members)
    assert code == "InvalidParameterException"
    assert refusal in message


async def test_tokens_of_another_stream_or_group_are_refused(stream):
    await stream.CreateLogStream(log_group_name="g", log_stream_name="t")
    await stream.CreateLogGroup(log_group_name="h")
    await stream.put("g", "s", (stream.now, "a"), (stream.now, "b"))
    token = (await stream.GetLogEvents(log_group_name="g", log_stream_name="s")).next_forward_token
    code, _ = await stream.refusal("GetLogEvents", log_group_name="g", log_stream_name="t", next_token=token)
    assert code == "InvalidParameterException"
    token = (await stream.FilterLogEvents(log_group_name="g", limit=1)).next_token
    code, _ = await stream.refusal("FilterLogEvents", log_group_name="h", next_token=token)
    assert code == "InvalidParameterException"


@pytest.mark.parametrize("operation", ["GetLogEvents", "FilterLogEvents"])
async def test_unknown_groups_and_streams(stream, operation):
    by_stream = {"log_stream_name": "x"} if operation == "GetLogEvents" else {"log_stream_names": ("s", "x")}
    assert (await stream.refusal(operation, log_group_name="g", **by_stream))[1] == (
        "The specified log stream does not exist."
    )
    assert (await stream.refusal(operation, log_group_name="x", **by_stream))[1] == (
        "The specified log group does not exist."
    )


async def test_a_page_is_cut_at_one_mebibyte(stream):
    for number in range(3):
        await stream.put("g", "s", (stream.now + number, f"{number}" * 700_000))
    page = await stream.FilterLogEvents(log_group_name="g")
    assert [event.message[0] for event in page.events] == ["0"]
    assert page.next_token
    page = await stream.GetLogEvents(log_group_name="g", log_stream_name="s")
    assert [event.message[0] for event in page.events] == ["2"]
