"""Asking a running Envoy: its administration page on a unix socket.  No state, no decisions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec


class AdminError(Exception):
    """Envoy did not answer, or refused."""


class EnvoyAdmin:
    """One Envoy's administration socket."""

    def __init__(self, socket: Path, timeout: float = 5.0) -> None:
        self._socket = socket
        self._timeout = timeout

    async def get(self, path: str) -> bytes:
        """What a page says.  Raises ``AdminError``."""
        return await self._request("GET", path)

    async def post(self, path: str) -> bytes:
        """Give an order, for example ``/reopen_logs``.  Raises ``AdminError``."""
        return await self._request("POST", path)

    async def json(self, path: str) -> Any:
        """A page in JSON.  Raises ``AdminError``."""
        try:
            return msgspec.json.decode(await self.get(path))
        except msgspec.DecodeError as error:
            raise AdminError(f"{path}: {error}") from None

    async def _request(self, method: str, path: str) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(method, path)
        except TimeoutError:
            raise AdminError(f"Envoy did not answer {path} within {self._timeout:.0f} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise AdminError(f"Envoy cannot be asked: {error}") from None

    async def _exchange(self, method: str, path: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.read(-1)
        finally:
            writer.close()
        status, _, headers = head.partition(b"\r\n")
        if b"transfer-encoding: chunked" in headers.lower():
            body = _join_chunks(body)
        if status.split(b" ")[1] != b"200":
            raise AdminError(f"{path}: {status.decode(errors='replace')}: {body[:200].decode(errors='replace')}")
        return body


def _join_chunks(body: bytes) -> bytes:
    """The content of a chunked body.  Raises ``ValueError`` when its end is missing."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 4 + size
