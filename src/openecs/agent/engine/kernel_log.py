"""What the kernel's log says of processes killed for their memory use.

The log is a ring that holds the newest few thousand lines, read in about a millisecond.  The
kernel writes at most some ten such lines in five seconds, so silence proves nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

KMSG, STAT = Path("/dev/kmsg"), Path("/proc/stat")
#: Seconds by which the kernel's clock and the engine's may differ: the former starts at a whole second.
TOLERANCE = 2.0


def oom_killed(container_id: str, since: float | None, *, kmsg: Path = KMSG, stat: Path = STAT) -> bool:
    """Whether a process of the container was killed for its memory use at or after ``since``.

    ``False`` too when the log may not be read.
    """
    try:
        text = _read(kmsg).decode(errors="replace")
        booted = next(int(line.split()[1]) for line in stat.read_text().splitlines() if line.startswith("btime "))
    except (OSError, StopIteration):
        return False
    return any(since is None or booted + at >= since - TOLERANCE for at in kills(text, container_id))


def kills(text: str, container_id: str) -> list[float]:
    """Seconds after boot of the container's kills; records are ``priority,number,microseconds,flags;text``."""
    found = []
    for line in text.splitlines():
        head, _, message = line.partition(";")
        if not message.startswith("oom-kill:"):
            continue
        members = dict(item.partition("=")[::2] for item in message.removeprefix("oom-kill:").split(","))
        if container_id in members.get("task_memcg", ""):
            found.append(int(head.split(",")[2]) / 1e6)
    return found


def _read(path: Path) -> bytes:
    """Everything that is in the log now."""
    log = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    records = bytearray()
    try:
        while True:
            try:
                record = os.read(log, 16384)
            except BrokenPipeError:
                continue  # The ring moved on under the reader; the next read goes on with what is left.
            except BlockingIOError:
                break
            if not record:
                break  # The end of an ordinary file.
            records += record
    finally:
        os.close(log)
    return bytes(records)
