"""Processes by identity: a pid that the system has given to another program is never touched.

An identity is the pid, the time at which the kernel started it and the boot in which that
was.  Reads ``/proc``, so Linux only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import msgspec

_PR_SET_PDEATHSIG = 1
#: Index of ``starttime`` among the fields of ``/proc/<pid>/stat`` that follow the command.
_STARTTIME = 19
_STATE = 0
_PROC = Path("/proc")


class ProcessIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One process, for ever distinguishable from any other on this machine."""

    pid: int
    #: Clock ticks since boot, as the kernel counts them.
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The identity of the process that has ``pid`` now; ``ProcessLookupError`` when none has."""
        return cls(pid=pid, start_ticks=int(_stat(pid)[_STARTTIME]), boot_id=_boot_id())

    def is_alive(self) -> bool:
        """Whether exactly this process still runs (one that only waits to be reaped does not)."""
        try:
            fields = _stat(self.pid)
        except ProcessLookupError:
            return False
        return (
            int(fields[_STARTTIME]) == self.start_ticks
            and fields[_STATE] not in ("Z", "X")
            and _boot_id() == self.boot_id
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal, to this process or to none."""
        # A pidfd refers to the process that it was opened for: when the identity is confirmed
        # after opening, the signal cannot reach a later process with the same pid.
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_alive():
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, for at most that long; whether it ended."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True


def die_with_parent(parent: ProcessIdentity) -> None:
    """Have the kernel send this process SIGTERM when its parent ends, however that comes about."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have ended before the call above: nobody would send the signal then.
    if os.getppid() != parent.pid or not parent.is_alive():
        os.kill(os.getpid(), signal.SIGTERM)


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    # The command is in parentheses and may itself hold spaces and parentheses.
    return text[text.rindex(")") + 2 :].split()


def _boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
