"""Whole replies, as the bytes on the wire make them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from scripted_server import Exchange, always_ok, once, serving

from openecs.http import HttpProtocolError, HttpTimeout, HttpUnavailable


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", 200, b"OK"),
        (b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nNO", 500, b"NO"),
    ],
)
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_reply_is_read_whole(tmp_path: Path, answer: bytes, status: int, body: bytes, in_pieces: bool) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.request()
        pieces = [answer[i : i + 1] for i in range(len(answer))] if in_pieces else [answer]
        for piece in pieces:
            await exchange.reply(piece)
            await asyncio.sleep(0)
        await exchange.hung_up()

    async with serving(tmp_path, script) as (client, _):
        response = await client.request("GET", "/x")
        assert (response.status, response.body) == (status, body)


async def test_a_reply_may_end_with_the_connection(tmp_path: Path) -> None:
    script = once(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", hanging_up=True)
    async with serving(tmp_path, script) as (client, server):
        response = await client.request("GET", "/x")
        assert (response.body, response.header("content-TYPE")) == (b"hello", "text/plain")
        assert response.header("x-other") is None
        await client.request("GET", "/x")
        assert server.connections == 2


async def test_a_reply_to_head_has_no_body(tmp_path: Path) -> None:
    script = once(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    async with serving(tmp_path, script) as (client, _):
        response = await client.request("HEAD", "/x")
        assert (response.status, response.body, response.header("Content-Length")) == (200, b"", "5")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
async def test_a_reply_cut_short_is_no_reply(tmp_path: Path, answer: bytes) -> None:
    async with serving(tmp_path, once(answer, hanging_up=True)) as (client, server):
        with pytest.raises(HttpUnavailable, match="closed the connection"):
            await client.request("GET", "/x")
        # A new connection that dies is a peer in trouble: nothing is repeated.
        assert len(server.requests) == 1


async def test_what_is_not_http_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, once(b"SSH-2.0-OpenSSH_9.2\r\n")) as (client, _):
        with pytest.raises(HttpProtocolError, match="not HTTP"):
            await client.request("GET", "/x")


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    async with serving(tmp_path, once(answer), max_body=1999) as (client, _):
        with pytest.raises(HttpProtocolError, match="more than 1999 bytes"):
            await client.request("GET", "/x")


async def test_a_silent_peer_times_out_and_is_hung_up_on(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.hung_up()
        gone.set()

    async with serving(tmp_path, script) as (client, _):
        with pytest.raises(HttpTimeout, match=r"did not answer GET /x within 0\.05 seconds"):
            await client.request("GET", "/x", within=0.05)
        await gone.wait()


async def test_nobody_there_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, once(b"")) as (client, _):
        (tmp_path / "http.sock").unlink()
        with pytest.raises(HttpUnavailable, match=r"cannot connect to unix://.*No such file"):
            await client.request("GET", "/x")


async def test_a_request_arrives_as_written(tmp_path: Path) -> None:
    async with serving(tmp_path, always_ok) as (client, server):
        await client.request("POST", "/a?b=c", headers=[("X-One", "1"), ("Host", "ecs.local")], body=b"{}")
        await client.request("GET", "/", headers=[("X-Two", "2")])
        assert server.requests == [
            b"POST /a?b=c HTTP/1.1\r\nX-One: 1\r\nHost: ecs.local\r\nContent-Length: 2\r\n\r\n{}",
            b"GET / HTTP/1.1\r\nX-Two: 2\r\nHost: localhost\r\n\r\n",
        ]


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/x\r\nEvil: 1", ()),
        ("/x HTTP/1.1", ()),
        ("/x", [("X", "1\r\nEvil: 1")]),
        ("/x", [("X", "1\nEvil: 1")]),
        ("/x", [("X\r\nEvil", "1")]),
        ("/x", [("X", "1\0")]),
    ],
)
async def test_nothing_can_be_smuggled_into_a_head(tmp_path: Path, target: str, headers: list[tuple[str, str]]) -> None:
    async with serving(tmp_path, once(b"")) as (client, server):
        with pytest.raises(ValueError, match="does not belong"):
            await client.request("GET", target, headers=headers)
        assert server.connections == 0
