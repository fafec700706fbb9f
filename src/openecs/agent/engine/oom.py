"""Whether the kernel killed a container for its memory use, when the engine does not say so itself.

Docker 20.10 on cgroup version 1 now and then forgets ``OOMKilled`` of a container whose first
process was killed; its ``oom`` event then comes shortly before or after the end of the container,
or never, and the kernel's log remains.
With a limit on the whole task such an event comes for every container of the task, so it counts
only for one that ended by SIGKILL, not sent by us, at about that time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from openecs.agent.runtime.protocol import ContainerInfo

#: 128 + SIGKILL.
KILLED = 137
#: Seconds that an event may come after the end of the container was seen.
GRACE = 0.25
#: Seconds between event and end, by the engine's clock, that still belong together: a process
#: that was not the first may have been killed long before.
CLOSE = 5.0


class OomWatch:
    """The ``oom`` events of one task's containers; ``kernel(container_id, since)`` asks its log."""

    def __init__(self, grace: float = GRACE, kernel: Callable[[str, float | None], bool] | None = None) -> None:
        self._grace = grace
        self._kernel = kernel
        self._last: dict[str, float] = {}
        self._heard = asyncio.Condition()

    async def hear(self, container_id: str, at: float) -> None:
        """The engine said ``oom`` of a container, at that time by its clock."""
        async with self._heard:
            self._last[container_id] = at
            self._heard.notify_all()

    async def killed(self, info: ContainerInfo, *, stopping: bool) -> bool:
        """Whether an ended container was killed for its memory use; may wait for the grace time.

        ``stopping``: we are stopping it, so a SIGKILL is ours.
        """
        if info.oom_killed or info.exit_code != KILLED or stopping:
            return info.oom_killed
        try:
            async with asyncio.timeout(self._grace), self._heard:
                await self._heard.wait_for(lambda: self._told(info))
        except TimeoutError:
            return self._kernel is not None and await asyncio.to_thread(self._kernel, info.id, info.started_at)
        return True

    def _told(self, info: ContainerInfo) -> bool:
        at = self._last.get(info.id)
        return at is not None and (info.finished_at is None or abs(at - info.finished_at) <= CLOSE)
