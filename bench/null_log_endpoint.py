"""A log endpoint that takes everything and keeps nothing: what Docker's awslogs driver itself is able to.

Prints its port, then counts events until it is ended; ``GET /count`` tells how many have come.
"""

from __future__ import annotations

import asyncio

SIGN = b'"timestamp"'


class Endpoint(asyncio.Protocol):
    """One connection of the driver's, kept alive."""

    events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._data = bytearray()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._data[:end]).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self._data) < end + 4 + length:
                return
            body = self._data[end + 4 : end + 4 + length]
            Endpoint.events += body.count(SIGN)
            answer = b"%d" % Endpoint.events if head.startswith(b"get /count") else b'{"nextSequenceToken":"1"}'
            self._transport.write(  # type: ignore[attr-defined]
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )
            del self._data[: end + 4 + length]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
