"""Log streams: create, describe, delete."""

from __future__ import annotations

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import INVALID_TOKEN, group_protected, invalid_parameter, stream_exists
from openecs.api.logs.lookup import find_group, find_stream, name_or_identifier, stream_arn
from openecs.api.logs.tokens import sequence_token
from openecs.logs.records import LogStream
from openecs.logs.store import LogStore
from openecs.shapes import logs as shapes
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE = 50


class LogStreams:
    """The log stream operations."""

    def __init__(self, store: LogStore, pagination: Pagination) -> None:
        self._store = store
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "CreateLogStream": self.create_log_stream,
                "DescribeLogStreams": self.describe_log_streams,
                "DeleteLogStream": self.delete_log_stream,
            },
        )

    def create_log_stream(self, call: Call, request: shapes.CreateLogStreamRequest) -> None:
        """Make a stream in a group that exists."""
        group = find_group(self._store, call, request.log_group_name)
        if request.log_stream_name in group.streams:
            raise stream_exists()
        self._store.create_stream(group, request.log_stream_name)

    def describe_log_streams(
        self, call: Call, request: shapes.DescribeLogStreamsRequest
    ) -> shapes.DescribeLogStreamsResponse:
        """The group's streams by name, or by the time of their newest event (those without one first)."""
        name = name_or_identifier(call, request.log_group_name, request.log_group_identifier)
        prefix = request.log_stream_name_prefix
        by_time = request.order_by == "LastEventTime"
        if by_time and prefix is not None:
            raise invalid_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        group = find_group(self._store, call, name)
        descending = bool(request.descending)
        streams = [stream for name, stream in group.streams.items() if name.startswith(prefix or "")]
        order = _by_time if by_time else _by_name
        page, token = self._pagination.paginate(
            sorted(streams, key=order, reverse=descending),
            max_results=request.limit,
            next_token=request.next_token,
            default=PAGE_SIZE,
            limit=PAGE_SIZE,
            scope=f"DescribeLogStreams:{group.id}:{by_time}:{descending}:{prefix}",
            key=order,
            descending=descending,
            member="limit",
            invalid_token=INVALID_TOKEN,
        )
        return shapes.DescribeLogStreamsResponse(
            log_streams=tuple(_describe(call, stream) for stream in page), next_token=token
        )

    def delete_log_stream(self, call: Call, request: shapes.DeleteLogStreamRequest) -> None:
        """Delete a stream and its events."""
        group = find_group(self._store, call, request.log_group_name)
        stream = find_stream(group, request.log_stream_name)
        if group.deletion_protected:
            raise group_protected()
        self._store.delete_stream(stream)


def _by_name(stream: LogStream) -> str:
    return stream.name


def _by_time(stream: LogStream) -> tuple[int, str]:
    return stream.last_timestamp or 0, stream.name


def _describe(call: Call, stream: LogStream) -> shapes.LogStream:
    return shapes.LogStream(
        log_stream_name=stream.name,
        creation_time=stream.created,
        first_event_timestamp=stream.first_timestamp,
        last_event_timestamp=stream.last_timestamp,
        last_ingestion_time=stream.last_ingestion,
        upload_sequence_token=sequence_token(stream),
        arn=stream_arn(call, stream.group.name, stream.name),
        # AWS reports nothing but zero for streams since 2019.
        stored_bytes=0,
    )
