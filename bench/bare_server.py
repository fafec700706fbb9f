"""The floor of the API rows: uvicorn and orjson, no signature, no routing, no state.

``python bare_server.py PORT FOLDER`` reads each request's body, decodes it, and answers the
object of ``FOLDER/<path>.json``, encoded anew every time.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvicorn

Message = dict[str, Any]


class Bare:
    """The whole application."""

    def __init__(self, folder: Path) -> None:
        self._answers = {f"/{path.stem}": orjson.loads(path.read_bytes()) for path in folder.glob("*.json")}

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        orjson.loads(body)
        answer = orjson.dumps(self._answers[scope["path"]])
        headers = [(b"content-type", b"application/x-amz-json-1.1"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    uvicorn.run(
        Bare(folder),
        port=port,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="error",
    )


if __name__ == "__main__":
    main()
