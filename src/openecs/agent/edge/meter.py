"""Reads the counters of this host's Envoy and makes a message of them every minute.

Messages are cut when the clock shows a full minute.  While nobody takes them the newest are kept,
with the times that they are of.  What an Envoy that was taken over had counted before has been told
by an earlier agent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from openecs.acs.traffic_messages import PublishTrafficRequest
from openecs.agent.edge.edge_stats import EdgeCounters, read_counters
from openecs.agent.edge.envoy_admin import AdminError, EnvoyAdmin
from openecs.agent.edge.proxy import Serving
from openecs.agent.edge.traffic import Tally, Views
from openecs.agent.edge.traffic_owners import Owner, owners
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")
#: Seconds between looks at the counters, and what a message covers.
LOOK_EVERY, MINUTE = 20.0, 60.0
#: Messages that are kept for a control plane that is away.
KEPT = 120


class TrafficMeter:
    """Told what is served, it fills ``messages``."""

    def __init__(
        self, admin: EnvoyAdmin, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._admin = admin
        self._clock = clock
        self._sleep = sleep
        self._serving: Serving | None = None
        self._views: Views = {}
        #: Of everything that has been served since the last message.
        self._owners: dict[str, Owner] = {}
        self._served = asyncio.Event()
        self._tally = Tally()
        self.messages: deque[PublishTrafficRequest] = deque(maxlen=KEPT)
        self.ready = asyncio.Event()

    def begin(self) -> None:
        """Nothing runs yet, so whatever is counted is new."""
        self._tally.look(EdgeCounters({}, {}))

    def see(self, serving: Serving, views: Views) -> None:
        """What is served from now on, and how its targets are."""
        self._views = views
        if serving is not self._serving:
            self._serving = serving
            self._owners |= owners(serving)
            if serving.parts or serving.connect:
                self._served.set()

    async def run(self) -> None:
        """Look for ever."""
        # Most hosts serve nothing.
        await self._served.wait()
        await self.look()
        cut_at = _after(self._clock.now(), MINUTE)
        while True:
            now = self._clock.now()
            await self._sleep(min(_after(now, LOOK_EVERY), cut_at) - now)
            await self.look()
            now = self._clock.now()
            if now >= cut_at or cut_at - now > MINUTE:
                self.cut(cut_at if now - cut_at < MINUTE else now)
                cut_at = _after(now, MINUTE)

    async def look(self) -> None:
        """Look at the counters once."""
        try:
            self._tally.look(await read_counters(self._admin))
        except AdminError as error:
            # It is being started, or there is nothing to serve any more.
            _log.debug("Envoy's counters are not known", reason=str(error))

    def cut(self, at: float) -> None:
        """Make messages of what has been counted since the last ones."""
        if self._serving is None:
            return
        self.messages.extend(self._tally.cut(self._owners, self._serving, self._views, at))
        self._owners = owners(self._serving)
        self.ready.set()


def _after(now: float, period: float) -> float:
    """The next multiple of a period."""
    return (now // period + 1) * period
