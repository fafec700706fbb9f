"""What a reader must know of the machine to judge the figures."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def facts() -> list[tuple[str, str]]:
    """Name and value of every fact, in the order in which they are shown."""
    return [
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{_memory_mib()} MiB"),
        ("kernel", platform.release()),
        ("container engine", _engine()),
        ("Python", platform.python_version()),
        ("fdatasync of 4 KiB", _fdatasync()),
        ("load average at start", " ".join(f"{value:.2f}" for value in os.getloadavg())),
        ("command", " ".join(["python", *sys.argv])),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _fdatasync() -> str:
    """What every durable write waits for, in the folder of the benchmark's data."""
    taken = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(200):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return f"median {taken[100]:.2f} ms, p99 {taken[198]:.2f} ms"


def _engine() -> str:
    command = ["docker", "version", "--format", "Docker {{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "none"
    return done.stdout.strip() or "none"
