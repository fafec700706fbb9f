"""Writing events into CloudWatch log groups: as a target, and as a dead-letter queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from openecs.clock import Clock
from openecs.events.outcome import InvocationError
from openecs.logs.store import LogStore, StoreFailedError


class LogGroups:
    """Appends single entries to groups that exist; streams are made as they are needed."""

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def write(self, region: str, group_name: str, stream_name: str, message: str, time: float) -> None:
        """Store one entry (``time`` in seconds since the epoch); returns when it is durable.

        Raises ``InvocationError``: a group that does not exist is not tried again.
        """
        group = self._store.groups(region).get(group_name)
        if group is None:
            raise InvocationError("NO_RESOURCE", f"The log group {group_name} does not exist.", retry=False)
        stream = group.streams.get(stream_name) or self._store.create_stream(group, stream_name)
        try:
            await self._store.append(stream, [round(time * 1000)], [message])
            await self._store.durable()
        except (OSError, StoreFailedError) as error:
            raise InvocationError("INTERNAL_ERROR", f"The log store refused the entry: {error}", retry=True) from error

    async def deliver(self, region: str, group_name: str, source: str, payload: str, *, transformed: bool) -> str:
        """Deliver a target's input; returns the stream's name.

        ``source`` (a rule and target) has a stream of its own.  Input of a transformer is an object with
        ``timestamp`` and ``message``, as CloudWatch Logs targets want it.
        """
        stream = str(uuid5(NAMESPACE_URL, source))
        message, time = _entry(payload) if transformed else (payload, None)
        await self.write(region, group_name, stream, message, self._clock.now() if time is None else time)
        return stream


def _entry(payload: str) -> tuple[str, float | None]:
    wrong = InvocationError(
        "INVALID_PARAMETER",
        'The input of a log group must be a JSON object {"timestamp": …, "message": …}.',
        retry=False,
    )
    try:
        members: Any = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        raise wrong from None
    if not isinstance(members, dict) or "message" not in members:
        raise wrong
    message = members["message"]
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return text, _seconds(members.get("timestamp"), wrong)


def _seconds(timestamp: object, wrong: InvocationError) -> float | None:
    """Seconds since the epoch of an ISO time or of epoch milliseconds; ``None`` without a timestamp."""
    if timestamp is None or timestamp == "":
        return None
    try:
        if isinstance(timestamp, str) and not timestamp.isdigit():
            return datetime.fromisoformat(timestamp).timestamp()
        if isinstance(timestamp, str | int | float):
            return float(timestamp) / 1000
    except (ValueError, OverflowError):
        pass
    raise wrong
