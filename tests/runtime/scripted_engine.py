"""An engine's HTTP API reduced to prepared answers, for what a real engine does not do on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from openecs.agent.runtime.docker import DockerRuntime
from openecs.http import HttpClient, UnixAddress

DOCKER_PING = "Api-Version: 1.41\r\n"
PODMAN_PING = "Api-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n"


def answer(status: int, body: str = "") -> bytes:
    """A whole reply with a JSON body."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    return head.encode() + body.encode()


def stream(*lines: str, cut: bool = False) -> bytes:
    """A chunked reply with one document a line; ``cut`` leaves its end out."""
    chunks = b"".join(b"%x\r\n%s\r\n\r\n" % (len(line.encode()) + 2, line.encode()) for line in lines)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + (b"" if cut else b"0\r\n\r\n")


class ScriptedEngine:
    """Answers by ``METHOD path`` (without version and query); keeps the requests' first lines."""

    def __init__(self, answers: Mapping[str, bytes | list[bytes]], ping: str) -> None:
        self.answers = {key: [value] if isinstance(value, bytes) else list(value) for key, value in answers.items()}
        self.ping = ping
        self.targets: list[str] = []
        self.heads: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    def go_away(self) -> None:
        """Close every connection, as an engine that ends does."""
        for writer in self._writers:
            writer.close()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lowered = head.lower()
                if "content-length:" in lowered:
                    await reader.readexactly(int(lowered.partition("content-length:")[2].partition("\r\n")[0]))
                method, target, _ = head.partition("\r\n")[0].split(" ")
                self.targets.append(f"{method} {target}")
                self.heads.append(head)
                if target == "/_ping":
                    writer.write(f"HTTP/1.1 200 OK\r\n{self.ping}Content-Length: 2\r\n\r\nOK".encode())
                    continue
                path = "/" + target.partition("?")[0].split("/", 2)[2]
                replies = self.answers[f"{method} {path}"]
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                writer.write(reply)
                if b"chunked" in reply and not reply.endswith(b"0\r\n\r\n"):
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(
    directory: Path, answers: Mapping[str, bytes | list[bytes]], ping: str = DOCKER_PING
) -> AsyncIterator[tuple[DockerRuntime, ScriptedEngine]]:
    """A scripted engine, and a driver that talks to it."""
    engine = ScriptedEngine(answers, ping)
    path = str(directory / "engine.sock")
    server = await asyncio.start_unix_server(engine, path)
    runtime = DockerRuntime(HttpClient(UnixAddress(path), timeout=10))
    try:
        yield runtime, engine
    finally:
        server.close()
        engine.go_away()
        await server.wait_closed()
        (directory / "engine.sock").unlink()
        await runtime.close()
