"""The fake engine's announcements: a short history, and everybody who listens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from openecs.agent.runtime.protocol import EngineUnavailable, Event

#: As many as Docker Engine keeps for those who ask for the past.
_HISTORY = 256


class EventFeed:
    """Hands every event to every listener, in order."""

    def __init__(self) -> None:
        self._history: deque[Event] = deque(maxlen=_HISTORY)
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    def publish(self, event: Event) -> None:
        """Announce an event."""
        self._history.append(event)
        for listener in self._listeners:
            listener.put_nowait(event)

    async def listen(self, since: float | None) -> AsyncGenerator[Event, None]:
        """Events from now on, after the remembered ones at or after ``since``."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        if since is not None:
            for event in self._history:
                if event.time >= since:
                    queue.put_nowait(event)
        self._listeners.add(queue)
        try:
            while (next_event := await queue.get()) is not None:
                yield next_event
        finally:
            self._listeners.discard(queue)
        raise EngineUnavailable("the fake engine went away")

    def hang_up(self) -> None:
        """End every listener's stream with ``EngineUnavailable``."""
        for listener in self._listeners:
            listener.put_nowait(None)
        self._history.clear()
