"""CloudWatch Logs at its handlers, for tests."""

from __future__ import annotations

import pytest

from openecs.api.logs.service import CloudWatchLogs
from openecs.clock import ManualClock
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.shapes import logs as shapes
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT = "123456789012"


class Logs:
    """CloudWatch Logs at its handlers: ``await logs.CreateLogGroup(log_group_name="g")``."""

    def __init__(self, store: LogStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.region = "eu-west-1"
        self.state = State(MemoryJournal())
        pagination = Pagination(b"0123456789abcdef")
        self.queries = Runner(store, clock)
        self._handlers = CloudWatchLogs(store, self.state, pagination, self.queries).handlers()
        self._ids = SeededIds()

    @property
    def now(self) -> int:
        return round(self.clock.now() * 1000)

    def __getattr__(self, operation: str):
        async def call(**members):
            principal = Principal(f"arn:aws:iam::{ACCOUNT}:root", "root", "AKIA")
            context = Call(
                "logs",
                operation,
                self._ids.uuid(),
                ACCOUNT,
                self.region,
                principal,
                self.clock.now(),
                self._ids,
                "http://x",
            )
            request = getattr(shapes, f"{operation}Request")(**members)
            return await self._handlers[operation](context, request)

        return call

    async def put(self, group: str, stream: str, *events: tuple[int, str]):
        """PutLogEvents."""
        rows = tuple(shapes.InputLogEvent(timestamp=t, message=m) for t, m in events)
        return await self.PutLogEvents(log_group_name=group, log_stream_name=stream, log_events=rows)

    async def refusal(self, operation: str, **members) -> tuple[str, str]:
        """Code and message of the error that the operation answers; nothing may have changed."""
        before = self.picture()
        with pytest.raises(AWSError) as caught:
            await getattr(self, operation)(**members)
        assert self.picture() == before
        return caught.value.code, caught.value.message

    def picture(self):
        """Everything that the store holds."""
        return {
            (region, name): (group.tags, group.retention_days, group.stored_bytes, sorted(group.streams))
            for region in ("eu-west-1", "us-east-1")
            for name, group in self.store.groups(region).items()
        }
