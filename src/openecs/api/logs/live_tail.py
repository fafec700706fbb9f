"""StartLiveTail: the events of log groups as they are stored, over an event stream.

Every second of a session brings one update with what matched since the last one, sampled down
to 500 events when there were more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import invalid_parameter
from openecs.api.logs.filter_pattern import pattern_of
from openecs.api.logs.lookup import find_group, group_arn, group_name
from openecs.errors import AWSError
from openecs.logs.patterns.pattern import Pattern
from openecs.logs.records import LogStream
from openecs.logs.store import LogStore, StoredBatch
from openecs.shapes import logs as shapes
from openecs.shapes.base import Shape
from openecs.wire.call import Call, Handlers
from openecs.wire.event_stream import EventStream

#: Seconds between two updates, and after which a session ends.
INTERVAL = 1.0
SESSION_SECONDS = 3 * 60 * 60.0
#: Events in one update.
MOST_EVENTS = 500
#: Events that wait for a client that reads slowly; the oldest batches are dropped beyond.
MOST_WAITING = 5000
#: Sessions at a time.
MOST_SESSIONS = 15

Selects = Callable[[LogStream], bool]


class LiveTail:
    """The operation; a session lives as long as its client reads."""

    def __init__(
        self, store: LogStore, *, interval: float = INTERVAL, session_seconds: float = SESSION_SECONDS
    ) -> None:
        self._store = store
        self._interval = interval
        self._session_seconds = session_seconds
        self._sessions = 0

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(self._store, {"StartLiveTail": self.start_live_tail})

    def start_live_tail(self, call: Call, request: shapes.StartLiveTailRequest) -> EventStream:
        """Begin a session."""
        pattern = pattern_of(request.log_event_filter_pattern) if request.log_event_filter_pattern else None
        selects = self._selection(call, request)
        if self._sessions >= MOST_SESSIONS:
            raise AWSError("LimitExceededException", f"There can be {MOST_SESSIONS} Live Tail sessions at a time.")
        start = shapes.LiveTailSessionStart(
            request_id=call.request_id,
            session_id=call.ids.uuid(),
            log_group_identifiers=request.log_group_identifiers,
            log_stream_names=request.log_stream_names or (),
            log_stream_name_prefixes=request.log_stream_name_prefixes or (),
            log_event_filter_pattern=request.log_event_filter_pattern or "",
        )
        return EventStream(self._session(call, start, selects, pattern))

    def _selection(self, call: Call, request: shapes.StartLiveTailRequest) -> Selects:
        names, prefixes = request.log_stream_names, request.log_stream_name_prefixes
        identifiers = request.log_group_identifiers
        for identifier in identifiers:
            if not identifier.startswith("arn:") or identifier.endswith("*"):
                raise invalid_parameter(
                    "logGroupIdentifiers must be ARNs of log groups, without an asterisk at the end."
                )
        if names and prefixes:
            raise invalid_parameter("Only one of logStreamNames and logStreamNamePrefixes can be specified.")
        if (names or prefixes) and len(identifiers) > 1:
            raise invalid_parameter(
                "logStreamNames and logStreamNamePrefixes can be specified with one log group only."
            )
        groups = {find_group(self._store, call, group_name(call, identifier)) for identifier in identifiers}
        if names:
            wanted = frozenset(names)
            return lambda stream: stream.group in groups and stream.name in wanted
        if prefixes:
            return lambda stream: stream.group in groups and stream.name.startswith(prefixes)
        return lambda stream: stream.group in groups

    async def _session(
        self, call: Call, start: shapes.LiveTailSessionStart, selects: Selects, pattern: Pattern | None
    ) -> AsyncGenerator[tuple[str, Shape]]:
        waiting: deque[StoredBatch] = deque()
        count = 0

        def note(batch: StoredBatch) -> None:
            nonlocal count
            if selects(batch.stream):
                waiting.append(batch)
                count += len(batch.messages)
                # A pattern may leave little of many events; without one the rest would be sampled away.
                while count > MOST_WAITING * (100 if pattern else 1) and len(waiting) > 1:
                    count -= len(waiting.popleft().messages)

        self._sessions += 1
        stop = self._store.listen(note)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._session_seconds
        try:
            yield "sessionStart", start
            while loop.time() < end:
                await asyncio.sleep(self._interval)
                batches = list(waiting)
                waiting.clear()
                count = 0
                # Patterns may take long over many events; others have the event loop meanwhile.
                found = await asyncio.to_thread(_matching, batches, pattern) if batches else []
                yield "sessionUpdate", _update(call, found)
        finally:
            self._sessions -= 1
            stop()
        raise AWSError("SessionTimeoutException", "The Live Tail session has timed out.")


Found = tuple[StoredBatch, int]


def _matching(batches: list[StoredBatch], pattern: Pattern | None) -> list[Found]:
    return [
        (batch, number)
        for batch in batches
        for number, message in enumerate(batch.messages)
        if pattern is None or pattern.matches(message)
    ]


def _update(call: Call, found: list[Found]) -> shapes.LiveTailSessionUpdate:
    total = len(found)
    sampled = total > MOST_EVENTS
    if sampled:
        # Evenly over all that came.
        found = [found[number * total // MOST_EVENTS] for number in range(MOST_EVENTS)]
    return shapes.LiveTailSessionUpdate(
        session_metadata=shapes.LiveTailSessionMetadata(sampled=sampled),
        session_results=tuple(
            shapes.LiveTailSessionLogEvent(
                log_stream_name=batch.stream.name,
                log_group_identifier=group_arn(call, batch.stream.group.name),
                message=batch.messages[number],
                timestamp=batch.timestamps[number],
                ingestion_time=batch.ingestion_time,
            )
            for batch, number in found
        ),
    )
