"""How the agents of one host share the one address that tasks and log drivers ask.

The agents meet in a directory that only root may enter.  Each listens there on a socket of its
own.  One holds ``holder.lock``, and with it the right to the address; it also listens on
``holder.sock``, where the others stay connected: the end of that connection tells them, without
polling and after a ``kill -9`` too, that the address is to be taken over.

This module knows the directory and the lock.  It answers no requests (``routes``) and asks no
other agent (``siblings``).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
from pathlib import Path

import structlog

from openecs.agent.metadata.http import listen, same_user

_log = structlog.get_logger("openecs.agent")
LOCK, HOLDER = "holder.lock", "holder.sock"
SUFFIX = ".sock"


def meeting_place(run_dir: Path, host: str, port: int) -> Path:
    """The directory for one address of this process's network namespace; made if need be.

    Raises ``OSError`` when it cannot be made or is somebody else's.
    """
    namespace = Path("/proc/self/ns/net").stat().st_ino
    folder = run_dir / "metadata" / f"net-{namespace}-{host}-{port}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in (folder.parent, folder):
        found = part.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{part} must be a directory of the agent's own user")
        part.chmod(0o700)
    return folder


class Holding:
    """The right to the address: at most one agent of the host has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._waiting: set[asyncio.StreamWriter] = set()

    def take(self) -> bool:
        """Take the right if nobody has it.  The kernel gives it back when the process dies."""
        lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    async def announce(self) -> None:
        """Let the others wait for the end of this holder.  Raises ``OSError``."""
        self._server = await asyncio.start_unix_server(self._wait_with, sock=listen(self._folder / HOLDER))

    async def give_back(self) -> None:
        """Let go of the right, then tell those who wait."""
        server, self._server = self._server, None
        if server is not None:
            (self._folder / HOLDER).unlink(missing_ok=True)
            server.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        for writer in tuple(self._waiting):
            writer.close()
        if server is not None:
            await server.wait_closed()

    async def _wait_with(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._waiting.add(writer)
        try:
            if same_user(writer.get_extra_info("socket")):
                await reader.read()  # Ends when the other agent ends.
        except ConnectionError:
            _log.debug("an agent that waited for the metadata address went away")
        finally:
            self._waiting.discard(writer)
            writer.close()


class Waiting:
    """A connection to the holder; ``ended`` returns when the holder has gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def for_holder(cls, folder: Path) -> Waiting | None:
        """Wait for this host's holder; ``None`` when none answers."""
        try:
            return cls(*await asyncio.open_unix_connection(str(folder / HOLDER)))
        except OSError:
            return None

    async def ended(self) -> None:
        """The holder has let go of the address, or died."""
        try:
            await self._reader.read()
        except ConnectionError:
            _log.debug("the holder of the metadata address died")

    def close(self) -> None:
        """Wait no longer."""
        self._writer.close()


def own_socket(folder: Path, name: str) -> tuple[Path, socket.socket]:
    """This agent's socket among the others; ``name`` is unique on this host for all time."""
    path = folder / f"{name}{SUFFIX}"
    return path, listen(path)


def others(folder: Path, own: Path) -> list[Path]:
    """The sockets of the other agents, dead ones included."""
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if p not in (own, folder / HOLDER) and p.name[0] != ".")
