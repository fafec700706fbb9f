"""A container's use of CPU, memory and network, in the form of Docker's stats.

Read from the container's cgroup (version 1 or 2) and its network namespace's device table:
a third of a millisecond instead of the engine's second.  Previous samples are kept by the
caller, so rates span the time between two requests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")


def read(pid: int, *, proc: Path = Path("/proc"), cgroups: Path = CGROUPS) -> dict[str, Any]:
    """``cpu_stats``, ``memory_stats``, ``pids_stats`` and ``networks`` of the process's container.

    Raises ``OSError`` when the process or its cgroup is gone.
    """
    found = places((proc / str(pid) / "cgroup").read_text())
    stats = _read_v2(cgroups / found[""]) if set(found) == {""} else _read_v1(found, cgroups)
    stats["networks"] = devices((proc / str(pid) / "net/dev").read_text())
    return stats


def places(text: str) -> dict[str, str]:
    """controller → path below its hierarchy; ``""`` is version 2's."""
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path.lstrip("/")
    return found


def _read_v1(places: dict[str, str], cgroups: Path) -> dict[str, Any]:
    cpu = cgroups / "cpuacct" / places["cpuacct"]
    memory = cgroups / "memory" / places["memory"]
    detail = _pairs((memory / "memory.stat").read_text())
    per_cpu = [int(n) for n in (cpu / "cpuacct.usage_percpu").read_text().split()]
    stats: dict[str, Any] = {
        "cpu_stats": {
            "cpu_usage": {"total_usage": int((cpu / "cpuacct.usage").read_text()), "percpu_usage": per_cpu},
            "online_cpus": len(per_cpu),
        },
        "memory_stats": {
            "usage": int((memory / "memory.usage_in_bytes").read_text()),
            "max_usage": int((memory / "memory.max_usage_in_bytes").read_text()),
            "limit": int((memory / "memory.limit_in_bytes").read_text()),
            "stats": detail,
        },
    }
    if "pids" in places:
        stats["pids_stats"] = {"current": int((cgroups / "pids" / places["pids"] / "pids.current").read_text())}
    return stats


def _read_v2(folder: Path) -> dict[str, Any]:
    usage = _pairs((folder / "cpu.stat").read_text())
    limit = (folder / "memory.max").read_text().strip()
    return {
        "cpu_stats": {"cpu_usage": {"total_usage": usage.get("usage_usec", 0) * 1000}},
        "memory_stats": {
            "usage": int((folder / "memory.current").read_text()),
            "limit": 2**63 - 1 if limit == "max" else int(limit),
            "stats": _pairs((folder / "memory.stat").read_text()),
        },
        "pids_stats": {"current": int((folder / "pids.current").read_text())},
    }


def devices(text: str) -> dict[str, dict[str, int]]:
    """The table of ``/proc/<pid>/net/dev`` without the loopback device."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(n) for n in rest.split()]
        if name.strip() == "lo" or len(numbers) < 12:
            continue
        members = ("bytes", "packets", "errors", "dropped")
        found[name.strip()] = {
            **{f"rx_{member}": number for member, number in zip(members, numbers[:4], strict=True)},
            **{f"tx_{member}": number for member, number in zip(members, numbers[8:12], strict=True)},
        }
    return found


def _pairs(text: str) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in text.splitlines() if line)}
