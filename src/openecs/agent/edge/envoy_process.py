"""One Envoy process: started in a session of its own, found again by the next agent, stopped.

The process belongs to the host, not to the agent: its configuration is files, so it serves on
while no agent is there.  Which configuration that is, is none of this module's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import signal
from pathlib import Path

import msgspec

from openecs.agent.edge.envoy_admin import AdminError, EnvoyAdmin

#: Longest path of a unix socket that the kernel takes.
_SOCKET_LIMIT = 107
#: The log file is moved away at a start when it has grown beyond this.
_LOG_LIMIT = 20_000_000


class EnvoyError(Exception):
    """Envoy cannot be run; the text says why."""


class _Identity(msgspec.Struct, frozen=True):
    """Which process it is: ids of processes come again, start times do not."""

    pid: int
    started: int
    boot: str
    bootstrap: str


class EnvoyProcess:
    """The Envoy of one folder: ``bootstrap.json``, ``admin.sock``, ``envoy.log``, ``envoy.pid``."""

    def __init__(self, binary: Path, folder: Path, *, concurrency: int, drain_seconds: int) -> None:
        self._binary = binary
        self._folder = folder
        self._concurrency = concurrency
        self._drain_seconds = drain_seconds
        self.admin = EnvoyAdmin(folder / "admin.sock")

    @property
    def log_file(self) -> Path:
        """What Envoy says of itself."""
        return self._folder / "envoy.log"

    def alive(self) -> bool:
        """Whether the process that was started for this folder runs."""
        identity = self._read()
        return identity is not None and _runs(identity)

    def pid(self) -> int | None:
        """Its process id, while it runs."""
        identity = self._read()
        return identity.pid if identity is not None and _runs(identity) else None

    async def ensure(self, bootstrap: bytes) -> bool:
        """Have it run with this bootstrap: adopt it, or start it.  Whether it was started anew.

        Raises ``EnvoyError``.
        """
        identity = self._read()
        if identity is not None and _runs(identity):
            if identity.bootstrap == _digest(bootstrap) and await self._answers():
                return False
            await self.stop()
        await self._start(bootstrap)
        return True

    async def ended(self) -> None:
        """Wait until the process is gone; returns at once when there is none."""
        identity = self._read()
        if identity is None or not _runs(identity):
            return
        try:
            descriptor = os.pidfd_open(identity.pid)
        except OSError:
            return
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        _runs(identity)

    async def stop(self) -> None:
        """End it; returns when it is gone."""
        identity = self._read()
        if identity is not None and _runs(identity):
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.kill(identity.pid, number)
                except ProcessLookupError:
                    break
                if await _gone(identity, 3.0):
                    break
        self._pid_file.unlink(missing_ok=True)
        (self._folder / "admin.sock").unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self._folder / "envoy.pid"

    def _read(self) -> _Identity | None:
        try:
            return msgspec.json.decode(self._pid_file.read_bytes(), type=_Identity)
        except (OSError, msgspec.DecodeError):
            return None

    async def _answers(self) -> bool:
        try:
            await self.admin.get("/ready")
        except AdminError as error:
            # A process that is still starting answers, with another status.
            return "503" in str(error)
        return True

    async def _start(self, bootstrap: bytes) -> None:
        socket = self._folder / "admin.sock"
        if len(str(socket)) > _SOCKET_LIMIT:
            raise EnvoyError(
                f"{socket} is too long for a unix socket: choose a folder with a shorter name for the agent's files."
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        socket.unlink(missing_ok=True)
        path = self._folder / "bootstrap.json"
        path.write_bytes(bootstrap)
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_LIMIT:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        command = [
            str(self._binary),
            "--config-path", str(path),
            "--disable-hot-restart",
            "--concurrency", str(self._concurrency),
            "--drain-time-s", str(self._drain_seconds),
            "--log-level", "warning",
            "--file-flush-interval-msec", "1000",
        ]  # fmt: skip
        try:
            pid = _spawn(command, self.log_file)
        except OSError as error:
            raise EnvoyError(f"{self._binary} does not start: {error.strerror}") from None
        identity = _Identity(pid, _start_time(pid), _boot(), _digest(bootstrap))
        self._pid_file.write_bytes(msgspec.json.encode(identity))
        await self._wait_until_ready(identity)

    async def _wait_until_ready(self, identity: _Identity, seconds: float = 20.0) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            if not _runs(identity):
                raise EnvoyError(f"Envoy ended at its start: {self._last_words()}")
            try:
                await self.admin.get("/ready")
            except AdminError:
                await asyncio.sleep(0.02)
            else:
                return
        raise EnvoyError(f"Envoy was not ready within {seconds:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        words = next((line for line in reversed(lines) if "critical" in line or "rror" in line), "")
        return words or f"it left no message in {self.log_file}"


def _spawn(command: list[str], log_file: Path) -> int:
    """Start a process that outlives this one; its id.

    Not asyncio's or ``subprocess``'s way: both take the process for theirs, and end it or complain
    when they go.
    """
    output = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        pid = os.posix_spawn(
            command[0],
            command,
            {"PATH": os.environ.get("PATH", ""), "HOME": "/", "LC_ALL": "C"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
    finally:
        os.close(output)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        # It then serves as many connections as this process might; that is no reason not to serve.
        return pid
    return pid


def _runs(identity: _Identity) -> bool:
    """Whether this very process runs; collects it when it was a child that has ended."""
    if identity.boot != _boot():
        return False
    # It may be another agent's child, or collected before.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(identity.pid, os.WNOHANG)
    return identity.started != 0 and _start_time(identity.pid) == identity.started


def _start_time(pid: int) -> int:
    """Start time in clock ticks since boot; 0 for a process that is gone or only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


async def _gone(identity: _Identity, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        if not _runs(identity):
            return True
        await asyncio.sleep(0.02)
    return False


def _digest(bootstrap: bytes) -> str:
    return hashlib.sha256(bootstrap).hexdigest()[:16]
