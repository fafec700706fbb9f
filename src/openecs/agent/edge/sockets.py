"""Sockets, and short errands, inside network namespaces.  A socket stays in the namespace in which it was made.

One thread makes them all: it enters the namespace that is asked for and never has to go back,
so that nothing else of this process ever runs in another namespace than its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
Result = TypeVar("Result")


class NamespaceSockets:
    """Makes sockets in namespaces.  ``close`` ends its thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edge-sockets")
        self._setns = ctypes.CDLL(None, use_errno=True).setns
        #: Device and inode of the namespace in which the thread is; a path may be another one tomorrow.
        self._inside: tuple[int, int] | None = None

    async def call(self, namespace: Path, do: Callable[[], Result]) -> Result:
        """What ``do`` gives in a namespace; it is to be short, because everybody else waits.  Raises ``OSError``."""
        return await asyncio.wrap_future(self._thread.submit(self._inside_of, namespace, do))

    async def tcp(self, namespace: Path | None) -> socket.socket:
        """A TCP socket for asyncio; ``None`` for this process's own namespace.  Raises ``OSError``."""
        if namespace is None:
            return _tcp()
        making = self._thread.submit(self._inside_of, namespace, _tcp)
        try:
            return await asyncio.wrap_future(making)
        except asyncio.CancelledError:
            # Nobody waits for it any more.
            making.add_done_callback(_close)
            raise

    def close(self) -> None:
        """End the thread; sockets that were made live on."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _inside_of(self, namespace: Path, do: Callable[[], Result]) -> Result:
        status = namespace.stat()
        wanted = (status.st_dev, status.st_ino)
        if self._inside != wanted:
            handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if self._setns(handle, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(namespace))
            finally:
                os.close(handle)
            self._inside = wanted
        return do()


def _close(making: Future[socket.socket]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()


def _tcp() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
