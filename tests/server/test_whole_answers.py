"""What clients get on the wire: whole answers, pieces, HEAD, pipelines and broken connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openecs.server.listen import Listener, bind

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers as its path says."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers: list[tuple[bytes, bytes]] = [(b"x-path", scope["raw_path"])]
    path = scope["path"]
    if path == "/close":
        headers.append((b"connection", b"close"))
    if path == "/broken":
        headers.append((b"x-bad", b"a\r\nx-injected: yes"))
    if path == "/fails":
        raise RuntimeError("on purpose")
    answer = body or path.encode()
    if path != "/pieces":
        headers.append((b"content-length", b"%d" % len(answer)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/pieces":
        for piece in (b"one,", b"two,"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        answer = b"three"
    await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def listening() -> AsyncIterator[Callable[[], Any]]:
    sock = bind("127.0.0.1", 0)
    host, port = sock.getsockname()
    listener = Listener(application, sock)
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.run_until_stopped())
        await listener.answering.wait()
        yield lambda: asyncio.open_connection(host, port)
        listener.stop()


async def ask(streams: Streams, text: str) -> tuple[bytes, bytes]:
    """Head and body of the answer to one request with a known length."""
    reader, writer = streams
    writer.write(text.replace("\n", "\r\n").encode())
    return await take(reader)


async def take(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def test_a_connection_answers_one_request_after_the_other() -> None:
    async with listening() as connect:
        streams = await connect()
        for body in ("first", "second", "x" * 200_000):
            head, answer = await ask(streams, f"POST /echo HTTP/1.1\nHost: x\nContent-Length: {len(body)}\n\n{body}")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer == body.encode()
            assert head.lower().count(b"content-length") == 1
            assert b"date: " in head.lower()
            assert b"connection: close" not in head.lower()
        streams[1].close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        for number in range(5):
            writer.write(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert [(await take(reader))[1] for _ in range(5)] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
        writer.close()


async def test_an_answer_in_pieces_arrives_in_whole() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        assert b"transfer-encoding: chunked" in answer.lower()
        assert [piece in answer for piece in (b"one,", b"two,", b"three")] == [True, True, True]
        assert answer.endswith(b"0\r\n\r\n")
        writer.close()


async def test_head_has_the_head_only() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        assert b"content-length: 2" in answer.lower()
        assert answer.endswith(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /close HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /echo HTTP/1.0\r\nHost: x\r\n\r\n",
    ],
)
async def test_a_connection_that_is_to_close_is_closed_and_says_so(request_text: str) -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(request_text.encode())
        answer = (await reader.read()).lower()
        assert answer.count(b"connection: close") == 1
        writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await take(reader))[1] == b"hi"
        writer.close()


async def test_a_failing_application_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"GET /fails HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
        writer.close()


async def test_a_header_with_a_line_break_reaches_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"x-injected" not in await reader.read()
        writer.close()


def test_listening_sockets_say_that_they_are_tcp() -> None:
    """asyncio switches Nagle's algorithm off only for sockets that do; accepted ones say the same."""
    sock = bind("127.0.0.1", 0)
    assert sock.proto == socket.IPPROTO_TCP
    sock.close()
