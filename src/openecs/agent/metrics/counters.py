"""A container's counters, read from files of the kernel that stay open.

One sample costs a handful of ``pread`` calls: the files of a container's control group (version 1
or 2) and its network devices' table are opened once and read again and again, each cut short
as soon as the wanted number is found.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Protocol

from openecs.agent.metadata.stats import CGROUPS, places

_READ = 8192


class Counters(NamedTuple):
    """Cumulative, but for ``memory``; bytes, and nanoseconds of CPU time on all cores."""

    cpu: int
    #: Used, less what the kernel would give back at once (inactive file pages), as ``docker stats`` counts.
    memory: int
    #: ``None`` where the kernel does not count it.
    read: int | None
    written: int | None
    received: int
    sent: int


class Source(Protocol):
    """Where a container's counters come from."""

    def read(self) -> Counters:
        """The counters of now.  Raises ``OSError`` when the container has ended."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class Files:
    """Files that are open for reading from their start, again and again."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def open(self, path: Path) -> int:
        """The descriptor of a file."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open.append(descriptor)
        return descriptor

    def close(self) -> None:
        """Close all of them."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()


class CgroupV1:
    """A container on a host with version 1."""

    def __init__(self, files: Files, found: dict[str, str], cgroups: Path) -> None:
        memory = cgroups / "memory" / found["memory"]
        self._cpu = files.open(cgroups / "cpuacct" / found["cpuacct"] / "cpuacct.usage")
        self._usage = files.open(memory / "memory.usage_in_bytes")
        self._detail = files.open(memory / "memory.stat")
        self._io = files.open(cgroups / "blkio" / found["blkio"] / "blkio.throttle.io_service_bytes")

    def cpu(self) -> int:
        return int(os.pread(self._cpu, 32, 0))

    def memory(self) -> int:
        cache = number_after(os.pread(self._detail, _READ, 0), b"total_inactive_file ")
        return max(int(os.pread(self._usage, 32, 0)) - cache, 0)

    def io(self) -> tuple[int, int]:
        read = written = 0
        for line in os.pread(self._io, _READ, 0).splitlines():
            parts = line.split()
            if len(parts) == 3 and parts[1] == b"Read":
                read += int(parts[2])
            elif len(parts) == 3 and parts[1] == b"Write":
                written += int(parts[2])
        return read, written


class CgroupV2:
    """A container on a host with version 2."""

    def __init__(self, files: Files, found: dict[str, str], cgroups: Path) -> None:
        folder = cgroups / found[""]
        self._cpu = files.open(folder / "cpu.stat")
        self._usage = files.open(folder / "memory.current")
        self._detail = files.open(folder / "memory.stat")
        # Absent where the controller is off.
        self._io = files.open(folder / "io.stat") if (folder / "io.stat").exists() else None

    def cpu(self) -> int:
        return number_after(os.pread(self._cpu, _READ, 0), b"usage_usec ") * 1000

    def memory(self) -> int:
        cache = number_after(os.pread(self._detail, _READ, 0), b"inactive_file ")
        return max(int(os.pread(self._usage, 32, 0)) - cache, 0)

    def io(self) -> tuple[int | None, int | None]:
        if self._io is None:
            return None, None
        read = written = 0
        for part in os.pread(self._io, _READ, 0).split():
            name, _, value = part.partition(b"=")
            if name == b"rbytes":
                read += int(value)
            elif name == b"wbytes":
                written += int(value)
        return read, written


class KernelSource:
    """The counters of the container whose first process is ``pid``.

    ``network_pid`` is a process in the network that counts as the container's; ``None`` for
    containers on the host's network, whose traffic nobody can tell apart.
    Raises ``OSError`` or ``KeyError`` when the process has ended or has no groups to read.
    """

    def __init__(
        self, pid: int, network_pid: int | None, *, proc: Path = Path("/proc"), cgroups: Path = CGROUPS
    ) -> None:
        self._files = Files()
        try:
            found = places((proc / str(pid) / "cgroup").read_text())
            kind = CgroupV2 if set(found) == {""} else CgroupV1
            self._group: CgroupV1 | CgroupV2 = kind(self._files, found, cgroups)
            self._network = None if network_pid is None else self._files.open(proc / str(network_pid) / "net/dev")
        except BaseException:
            self._files.close()
            raise

    def read(self) -> Counters:
        read, written = self._group.io()
        received, sent = (0, 0) if self._network is None else traffic(os.pread(self._network, _READ, 0))
        return Counters(self._group.cpu(), self._group.memory(), read, written, received, sent)

    def close(self) -> None:
        self._files.close()


def number_after(text: bytes, key: bytes) -> int:
    """The number on the line that begins with ``key``; 0 when there is none."""
    place = 0 if text.startswith(key) else text.find(b"\n" + key) + 1
    if not place and not text.startswith(key):
        return 0
    start = place + len(key)
    end = text.find(b"\n", start)
    return int(text[start : end if end >= 0 else None])


def traffic(table: bytes) -> tuple[int, int]:
    """Bytes received and sent by all devices of a network but its loopback."""
    received = sent = 0
    for line in table.splitlines()[2:]:
        name, _, rest = line.partition(b":")
        numbers = rest.split()
        if name.strip() != b"lo" and len(numbers) >= 9:
            received += int(numbers[0])
            sent += int(numbers[8])
    return received, sent
