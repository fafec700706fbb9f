"""Log events: put, get from one stream, filter over a group."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.logs.answering import handlers
from openecs.api.logs.batch import admit
from openecs.api.logs.errors import invalid_parameter, not_supported
from openecs.api.logs.filter_pattern import pattern_of
from openecs.api.logs.lookup import find_group, find_stream, name_or_identifier
from openecs.api.logs.tokens import (
    Position,
    digits,
    group_token,
    parse_group_token,
    parse_stream_token,
    sequence_token,
    start_of,
    stream_token,
)
from openecs.logs.event import END_OF_TIME, Event, Range
from openecs.logs.records import LogGroup, LogStream
from openecs.logs.store import LogStore
from openecs.shapes import logs as shapes
from openecs.wire.call import Call, Handlers

MAX_PAGE_EVENTS = 10_000
#: 2024-01-01: FilterLogEvents reads newest first only from here on.
FIRST_DESCENDING_START = 1_704_067_200_000


class LogEvents:
    """The log event operations."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "PutLogEvents": self.put_log_events,
                "GetLogEvents": self.get_log_events,
                "FilterLogEvents": self.filter_log_events,
            },
        )

    async def put_log_events(self, call: Call, request: shapes.PutLogEventsRequest) -> shapes.PutLogEventsResponse:
        """Store a batch; the sequence token is ignored, as AWS does since 2023."""
        group = find_group(self._store, call, request.log_group_name)
        stream = find_stream(group, request.log_stream_name)
        now = round(call.now * 1000)
        admitted = admit(request.log_events, now=now, cutoff=group.cutoff(now))
        if admitted.timestamps:
            await self._store.append(stream, admitted.timestamps, admitted.messages)
        return shapes.PutLogEventsResponse(
            next_sequence_token=sequence_token(stream),
            rejected_log_events_info=admitted.rejected,
            # The events are stored without the entity, and this is how the API says so.
            rejected_entity_info=shapes.RejectedEntityInfo(error_type="UnsupportedLogGroupType")
            if request.entity is not None
            else None,
        )

    async def get_log_events(self, call: Call, request: shapes.GetLogEventsRequest) -> shapes.GetLogEventsResponse:
        """A page of one stream in the order of time; the token, not startFromHead, says where a page goes on."""
        _refuse_unmask(unmask=request.unmask)
        name = name_or_identifier(call, request.log_group_name, request.log_group_identifier)
        stream = find_stream(find_group(self._store, call, name), request.log_stream_name)
        first = request.start_time or 0
        wanted = Range(first, END_OF_TIME if request.end_time is None else request.end_time - 1)
        position = None if request.next_token is None else parse_stream_token(request.next_token, stream)
        descending = not request.start_from_head if position is None else position.descending
        page = await self._store.read(
            [stream], _behind(wanted, position), request.limit or MAX_PAGE_EVENTS, descending=descending
        )
        events = page.events[::-1] if descending else page.events
        forward, backward = _around(events, position, stream, first)
        return shapes.GetLogEventsResponse(
            events=tuple(
                shapes.OutputLogEvent(timestamp=e.timestamp, message=e.message, ingestion_time=e.ingestion_time)
                for e in events
            ),
            next_forward_token=stream_token(forward),
            next_backward_token=stream_token(backward),
        )

    async def filter_log_events(
        self, call: Call, request: shapes.FilterLogEventsRequest
    ) -> shapes.FilterLogEventsResponse:
        """A page of a group's streams, interleaved by time; ``interleaved`` itself is ignored, as AWS does.

        With a pattern a page may have few events or none, and yet not be the last.
        """
        _refuse_unmask(unmask=request.unmask)
        matcher = pattern_of(request.filter_pattern) if request.filter_pattern else None
        name = name_or_identifier(call, request.log_group_name, request.log_group_identifier)
        group = find_group(self._store, call, name)
        streams = _select(group, request)
        first = request.start_time or 0
        if request.start_from_head is False and first < FIRST_DESCENDING_START:
            raise invalid_parameter("startFromHead can be false only with a startTime on or after January 1, 2024.")
        wanted = Range(first, END_OF_TIME if request.end_time is None else request.end_time)
        position = None if request.next_token is None else parse_group_token(request.next_token, group)
        descending = request.start_from_head is False if position is None else position.descending
        page = await self._store.read(
            streams,
            _behind(wanted, position),
            request.limit or MAX_PAGE_EVENTS,
            descending=descending,
            matcher=matcher,
        )
        names = {stream.id: stream.name for stream in streams}
        return shapes.FilterLogEventsResponse(
            events=tuple(
                shapes.FilteredLogEvent(
                    log_stream_name=names[e.stream_id],
                    timestamp=e.timestamp,
                    message=e.message,
                    ingestion_time=e.ingestion_time,
                    event_id=digits(e.key),
                )
                for e in page.events
            ),
            # AWS returns nothing else here since 2020.
            searched_log_streams=(),
            next_token=group_token(group, Position(page.position, descending)) if page.position is not None else None,
        )


def _refuse_unmask(*, unmask: bool | None) -> None:
    if unmask:
        raise not_supported("unmask")


def _behind(wanted: Range, position: Position | None) -> Range:
    """The part of a range that lies behind a position."""
    if position is None:
        return wanted
    if position.descending:
        return wanted._replace(before=position.key)
    return wanted._replace(after=position.key)


def _around(events: list[Event], position: Position | None, stream: LogStream, first: int) -> tuple[Position, Position]:
    """The positions behind and before a page of GetLogEvents, ``events`` ascending.

    At the end of the stream the position stays the one that was asked for; the other
    direction leads back to what lies on its other side.
    """
    if events:
        return Position(events[-1].key, descending=False), Position(events[0].key, descending=True)
    if position is None:
        start = start_of(stream, first)
        return Position(start, descending=False), Position(start, descending=True)
    timestamp, stream_id, sequence = position.key
    if position.descending:
        return Position((timestamp, stream_id, max(sequence - 1, 0)), descending=False), position
    return position, Position((timestamp, stream_id, sequence + 1), descending=True)


def _select(group: LogGroup, request: shapes.FilterLogEventsRequest) -> Iterable[LogStream]:
    names, prefix = request.log_stream_names, request.log_stream_name_prefix
    if names is not None and prefix is not None:
        raise invalid_parameter("Only one of logStreamNames and logStreamNamePrefix can be specified.")
    if names is not None:
        return [find_stream(group, name) for name in dict.fromkeys(names)]
    return [stream for name, stream in group.streams.items() if name.startswith(prefix or "")]
