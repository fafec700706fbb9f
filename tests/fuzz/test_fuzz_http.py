"""A real HTTP server against bytes that no AWS client sends: it answers 4xx or hangs up, and goes on."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from fuzz_depth import SOAK
from fuzz_plane import HANG, REGION, Plane
from fuzz_world import World

from openecs.server.listen import Listener
from openecs.wire.gateway import BODY_LIMIT
from openecs.wire.sigv4 import sign

ROUNDS = 3000 if SOAK else 150
BODY = b'{"cluster":"spare","settings":[{"name":"containerInsights","value":"disabled"}]}'
TARGET = "AmazonEC2ContainerServiceV20141113.UpdateCluster"


class Served:
    """The world behind a listening socket."""

    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.plane = world.plane
        self.port = port

    def request(self, body: bytes = BODY, **changes: str | None) -> bytes:
        """A signed request as bytes; ``changes`` to headers come after the signature."""
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": TARGET,
        }
        url = f"http://127.0.0.1:{self.port}/"
        added = sign(
            self.plane.root,
            method="POST",
            url=url,
            headers=headers,
            body=body,
            region=REGION,
            service="ecs",
            now=self.plane.clock.now(),
        )
        lines: dict[str, str | None] = {**headers, **added, "Content-Length": str(len(body))}
        lines |= {name.replace("_", "-"): value for name, value in changes.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        return b"POST / HTTP/1.1\r\n" + head.encode("latin-1") + b"\r\n" + body

    async def send(self, data: bytes, *, finish: bool = True) -> list[int]:
        """Send bytes and hang up; the statuses of what was answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = b""
        try:
            async with asyncio.timeout(HANG):
                writer.write(data)
                if finish:
                    writer.write_eof()
                answer = await reader.read()
        except ConnectionError:
            # The server may hang up while we still write.
            pass
        finally:
            writer.close()
        return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]

    async def is_well(self) -> None:
        """An ordinary request is answered."""
        assert await self.send(self.request(Connection="close")) == [200]


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    # The plane's own loop only carries its log store, which no request here uses.
    plane = await asyncio.to_thread(Plane().__enter__)
    try:
        world = await asyncio.to_thread(World, plane)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            sock.setblocking(False)
            listener = Listener(plane.gateway, sock)
            async with asyncio.TaskGroup() as group:
                group.create_task(listener.run_until_stopped())
                await listener.answering.wait()
                yield Served(world, sock.getsockname()[1])
                listener.stop()
    finally:
        await asyncio.to_thread(plane.__exit__, None, None, None)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as running:
        yield running


async def test_random_bytes(served: Served) -> None:
    rng = random.Random(1)
    before = served.plane.picture()
    for _ in range(ROUNDS):
        answers = await served.send(rng.randbytes(rng.choice([1, 10, 200, 5000])))
        assert all(400 <= status < 500 for status in answers), answers
    assert served.plane.picture() == before
    await served.is_well()


async def test_a_sound_request_with_bytes_changed(served: Served) -> None:
    """One flipped, missing or added byte: the signature or the parser finds it, or it changes nothing that counts."""
    rng = random.Random(2)
    for _ in range(ROUNDS):
        data = bytearray(served.request(Connection="close"))
        for _ in range(rng.choice([1, 1, 3])):
            at = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at]
                case 2:
                    data.insert(at, rng.randrange(256))
        before = served.plane.picture()
        answers = await served.send(bytes(data))
        assert all(status < 500 for status in answers), (answers, bytes(data))
        if 200 in answers:
            # Only what no signature covers was changed.
            assert data.endswith(b"\r\n\r\n" + BODY), bytes(data)
        else:
            assert served.plane.picture() == before, bytes(data)
    await served.is_well()


async def test_a_body_that_ends_too_early(served: Served) -> None:
    whole = served.request()
    before = served.plane.picture()
    for length in range(1, len(whole), 7):
        assert all(400 <= status < 500 for status in await served.send(whole[:length])), length
    assert served.plane.picture() == before
    await served.is_well()


LENGTHS = ["0", "1", "-1", "99", "1e2", "0x10", "", " ", "9" * 30, "80, 81", "+80", "²"]


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_wrong_content_length(served: Served, length: str) -> None:
    before = served.plane.picture()
    answers = await served.send(served.request().replace(b"Content-Length: 80", f"Content-Length: {length}".encode()))
    assert all(400 <= status < 500 for status in answers), answers
    assert served.plane.picture() == before
    await served.is_well()


def _bad(name: str, value: str | None) -> Callable[[Served], bytes]:
    return lambda served: served.request(Connection="close", **{name: value})


SPOILT: dict[str, Callable[[Served], bytes]] = {
    "no signature": _bad("Authorization", None),
    "empty signature": _bad("Authorization", ""),
    "another scheme": _bad("Authorization", "Basic eDp5"),
    "half a signature": _bad("Authorization", "AWS4-HMAC-SHA256 Credential="),
    "empty parts": _bad("Authorization", "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=, Signature="),
    "many parts": _bad("Authorization", "AWS4-HMAC-SHA256 " + "Credential=a/b/c/d/aws4_request, " * 500),
    "not ASCII": _bad(
        "Authorization", "AWS4-HMAC-SHA256 Credential=\xe9/20230101/x/ecs/aws4_request, SignedHeaders=h\xf6st"
    ),
    "no date": _bad("X-Amz-Date", None),
    "no such date": _bad("X-Amz-Date", "20231399T999999Z"),
    "a date of words": _bad("X-Amz-Date", "yesterday"),
    "an old date": _bad("X-Amz-Date", "20010101T000000Z"),
    "a token that nobody gave": _bad("X-Amz-Security-Token", "x"),
    "no target": _bad("x_amz_target", None),
    "another target": _bad("x_amz_target", "AmazonEC2ContainerServiceV20141113.DeleteCluster"),
    "a target of bytes": _bad("x_amz_target", "\xff\xfe.\xfd"),
    "another host": _bad("host", "ecs.us-east-1.amazonaws.com"),
    "another body": lambda served: served.request(Connection="close").replace(b"spare", b"empty"),
    "a header of 60 kB": lambda served: served.request(Connection="close", X_Long="x" * 60_000),
    "3000 headers": lambda served: served.request(Connection="close", **{f"x_{n}": "v" for n in range(3000)}),
    "the same header often": lambda served: served.request(Connection="close").replace(
        b"x-amz-target", b"x-amz-target: a\r\nx-amz-target: b\r\nx-amz-target", 1
    ),
    "two lengths": lambda served: served.request(Connection="close").replace(
        b"Content-Length", b"Content-Length: 3\r\nContent-Length", 1
    ),
    "chunked and a length": lambda served: served.request(Connection="close", Transfer_Encoding="chunked"),
    "an unknown coding": lambda served: served.request(Connection="close", Transfer_Encoding="br"),
    "a body beyond the limit": lambda served: served.request(b"x" * (BODY_LIMIT + 1), Connection="close"),
}


@pytest.mark.parametrize("name", SPOILT)
async def test_a_spoilt_request_is_refused(served: Served, name: str) -> None:
    before = served.plane.picture()
    answers = await served.send(SPOILT[name](served))
    if name in UNSIGNED_EXTRAS:
        # Headers that the signature does not cover may be anything; the request is sound.
        assert all(status == 200 or 400 <= status < 500 for status in answers), answers
    else:
        assert all(400 <= status < 500 for status in answers), answers
        assert served.plane.picture() == before
    await served.is_well()


UNSIGNED_EXTRAS = {"a header of 60 kB", "3000 headers"}


async def test_a_client_that_says_nothing_keeps_nobody_from_answers(served: Served) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(100)]
    half = served.request()
    for number, (_, writer) in enumerate(idle):
        writer.write(half[: number * 3])
    await served.is_well()
    for _, writer in idle:
        writer.close()
    await served.is_well()


@pytest.mark.parametrize(
    "path",
    ["/x", "/_openecs/none", "/_openecs/../", "//", "/%00", "/%ff", "/?Action=", "/?Action=%ff", "/" + "a" * 9000, "*"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "OPTIONS", "BREW"])
async def test_other_paths_and_methods(served: Served, method: str, path: str) -> None:
    before = served.plane.picture()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    answers = await served.send(head.encode())
    assert all(status == 200 or 400 <= status < 500 for status in answers), answers
    assert len(answers) <= 1
    assert served.plane.picture() == before
