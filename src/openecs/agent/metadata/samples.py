"""Containers' statistics as answers: a sample, the one before it, and network rates between them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from openecs.agent.metadata import stats, views
from openecs.agent.runtime.protocol import ContainerInfo
from openecs.clock import Clock


class Samples:
    """Remembers each container's last sample, for as long as the container is known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, tuple[float, dict[str, Any]]] = {}

    async def take(self, info: ContainerInfo, *, keep: Collection[str | None]) -> dict[str, Any] | None:
        """A running container's sample in Docker's form, with ``network_rate_stats`` from the second on.

        ``keep`` names the containers whose samples are still of use.  ``None`` when it just ended.
        """
        try:
            sample = await asyncio.to_thread(stats.read, info.pid)
        except (OSError, KeyError, ValueError):
            return None
        now = self._clock.now()
        sample |= {"id": info.id, "name": f"/{info.name}", "read": views.timestamp(now)}
        before_at, before = self._last.get(info.id, (now, {}))
        self._last = {key: value for key, value in self._last.items() if key in keep}
        self._last[info.id] = now, sample
        shown = {**sample, "precpu_stats": before.get("cpu_stats", {}), "preread": before.get("read")}
        if before and now > before_at:
            shown["network_rate_stats"] = rates(before["networks"], sample["networks"], now - before_at)
        return shown


def rates(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]], seconds: float) -> dict[str, float]:
    """Bytes per second over all devices."""

    def total(devices: dict[str, dict[str, int]], counter: str) -> int:
        return sum(device[counter] for device in devices.values())

    return {
        f"{way}_bytes_per_sec": max(0, total(after, f"{way}_bytes") - total(before, f"{way}_bytes")) / seconds
        for way in ("rx", "tx")
    }
