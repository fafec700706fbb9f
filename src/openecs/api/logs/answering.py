"""How every operation of CloudWatch Logs is answered: only from what is durable.

An operation decides on state that others may have changed a moment ago.  Its answer, a
refusal too, waits until all of that is on disk; and when the disk refuses, the answer says
that the service is unavailable.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from openecs.api.logs.errors import service_unavailable
from openecs.logs.engine import EngineError
from openecs.logs.frame import DamagedFrameError
from openecs.logs.store import LogStore, StoreFailedError
from openecs.wire.call import Call, Handler, Handlers

log = structlog.get_logger("openecs.logs")


def handlers(store: LogStore, operations: dict[str, Handler]) -> Handlers:
    """The operations as handlers that answer from durable state only."""
    return {name: _durably(store, operation) for name, operation in operations.items()}


def _durably(store: LogStore, operation: Handler) -> Callable[[Call, Any], Awaitable[Any]]:
    async def handler(call: Call, request: Any) -> Any:
        try:
            try:
                reply = operation(call, request)
                if inspect.isawaitable(reply):
                    reply = await reply
            finally:
                await store.durable()
        except (OSError, StoreFailedError, DamagedFrameError, EngineError) as error:
            log.exception("the log store cannot answer", operation=call.operation, request_id=call.request_id)
            raise service_unavailable() from error
        return reply

    return handler
