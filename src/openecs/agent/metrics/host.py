"""What the host as a whole uses: its processors, memory, network devices and the disk of the agent's data.

Containers are not told apart here (``counters``), and nothing is published.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from openecs.agent.metrics.counters import traffic
from openecs.agent.metrics.stats_set import StatsSet

MIB = 1024 * 1024
_TICKS = os.sysconf("SC_CLK_TCK")


class HostCounters(NamedTuple):
    """Cumulative CPU seconds and bytes of traffic; used and whole memory in MiB; the disk in per cent."""

    cpu: float
    memory: float
    memory_limit: float
    traffic: int
    filesystem: float


def read_host(folder: Path, *, proc: Path = Path("/proc"), devices: Path = Path("/sys/class/net")) -> HostCounters:
    """The counters of now; ``folder`` is on the disk that is meant.  Raises ``OSError``."""
    memory = _memory((proc / "meminfo").read_text())
    disk = os.statvfs(folder)
    usable = disk.f_blocks - disk.f_bfree + disk.f_bavail
    return HostCounters(
        cpu=_busy((proc / "stat").read_text()),
        memory=(memory["MemTotal"] - memory["MemAvailable"]) / 1024,
        memory_limit=memory["MemTotal"] / 1024,
        traffic=_traffic((proc / "net/dev").read_bytes(), devices),
        filesystem=100.0 * (disk.f_blocks - disk.f_bfree) / usable if usable else 0.0,
    )


class HostSampler:
    """Samples since the last message."""

    def __init__(self, folder: Path, *, cores: int) -> None:
        self._folder = folder
        self._cores = cores
        self._last: tuple[float, HostCounters] | None = None
        self._sets: dict[str, StatsSet] = {}

    def sample(self, now: float) -> None:
        """Look once; what cannot be read is not told."""
        try:
            found = read_host(self._folder)
        except (OSError, KeyError, ValueError):
            self._last = None
            return
        if self._last is not None:
            at, last = self._last
            seconds = now - at
            if seconds <= 0:
                return
            self._add("cpuStatsSet", max(found.cpu - last.cpu, 0.0) / seconds / self._cores * 100)
            self._add("networkStatsSet", max(found.traffic - last.traffic, 0) / seconds)
        self._add("memoryStatsSet", found.memory)
        self._add("filesystemStatsSet", found.filesystem)
        self._last = now, found

    def told(self) -> dict[str, Any] | None:
        """The message's part about the host, and a new beginning."""
        sets, self._sets = self._sets, {}
        if self._last is None or not sets:
            return None
        members: dict[str, Any] = {name: one.told() for name, one in sets.items()}
        return members | {"memoryLimit": self._last[1].memory_limit}

    def _add(self, name: str, value: float) -> None:
        self._sets.setdefault(name, StatsSet()).add(value)


def _busy(stat: str) -> float:
    """Seconds that processors were neither idle nor waiting for a disk."""
    numbers = [int(number) for number in stat.split("\n", 1)[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / _TICKS


def _memory(meminfo: str) -> dict[str, int]:
    """Names and KiB."""
    found = {}
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[name] = int(value.split()[0])
    return found


def _traffic(table: bytes, devices: Path) -> int:
    """Bytes received and sent by devices of hardware; by all but the loopback where there is none.

    What passes a bridge or an interface of a task is counted at the device by which it leaves.
    """
    lines = table.splitlines()
    real = [line for line in lines[2:] if (devices / line.partition(b":")[0].strip().decode() / "device").exists()]
    return sum(traffic(b"\n".join([*lines[:2], *(real or lines[2:])])))
