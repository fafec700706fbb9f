"""The web server behind every load balancer: one process, one answer, nothing in between.

``python edge_backend.py ADDRESS PORT``; prints ``ready`` when it listens.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

_BODY = b"x" * 512
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: bench\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
)


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        # A proxy sends the head of a request at once, and has one under way per connection.
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def _serve(address: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, address, port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
