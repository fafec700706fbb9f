"""Bodies read piece by piece, upgraded connections, other loops, TCP and TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop
from scripted_server import Exchange, ScriptedServer, always_ok, once, serving
from self_signed import self_signed

from openecs.http import HttpClient, HttpUnavailable, HttpUpgradeError, TcpAddress, parse_address

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_pieces_arrive_before_the_end(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.reply(CHUNKED + _chunk(b"one"))
        await go_on.wait()
        await exchange.reply(_chunk(b"two") + b"0\r\n\r\n")
        await exchange.request()
        await exchange.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(tmp_path, script) as (client, server):
        async with client.stream("GET", "/events") as response:
            chunks = response.chunks()
            assert await anext(chunks) == b"one"
            go_on.set()
            assert [piece async for piece in chunks] == [b"two"]
        # Read to its end, the connection serves the next request.
        await client.request("GET", "/x")
        assert server.connections == 1


async def test_lines_are_put_together(tmp_path: Path) -> None:
    parts = [b'{"a":', b"1}\r\n", b'{"b":2}\n{"c"', b":3}\n\n", b'{"d":4}']
    answer = CHUNKED + b"".join(_chunk(part) for part in parts) + b"0\r\n\r\n"
    async with serving(tmp_path, once(answer)) as (client, _), client.stream("GET", "/events") as response:
        assert [line async for line in response.lines()] == [b'{"a":1}', b'{"b":2}', b'{"c":3}', b'{"d":4}']


async def test_a_stream_cut_short_is_told(tmp_path: Path) -> None:
    script = once(CHUNKED + _chunk(b"one"), hanging_up=True)
    async with serving(tmp_path, script) as (client, _), client.stream("GET", "/events") as response:
        chunks = response.chunks()
        assert await anext(chunks) == b"one"
        with pytest.raises(HttpUnavailable, match="closed the connection"):
            await anext(chunks)


async def test_a_stream_left_early_is_hung_up_on(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.reply(CHUNKED + _chunk(b"one"))
        await exchange.hung_up()
        gone.set()

    async with serving(tmp_path, script) as (client, _):
        async with client.stream("GET", "/events") as response:
            assert response.status == 200
        await gone.wait()


async def test_a_slow_reader_holds_the_peer_back_and_loses_nothing(tmp_path: Path) -> None:
    block, blocks = b"x" * 65536, 256
    sent = 0

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.request()
        await exchange.reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(block) * blocks))
        for _ in range(blocks):
            await exchange.reply(block)
            sent += 1
        await exchange.hung_up()

    async with serving(tmp_path, script) as (client, _), client.stream("GET", "/big") as response:
        before = -1
        while sent != before:
            before = sent
            for _ in range(50):
                await asyncio.sleep(0)
        assert sent < blocks
        assert len(await response.read()) == len(block) * blocks


async def test_an_upgraded_connection_carries_both_directions(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.reply(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nwelcome")
        await exchange.reply(b"you said " + await exchange.read())

    async with serving(tmp_path, script) as (client, server):
        async with client.upgrade("POST", "/exec/1/start", "tcp", body=b"{}") as stream:
            received = await stream.read()
            await stream.write(b"hi")
            stream.write_eof()
            while piece := await stream.read():
                received += piece
        assert received == b"welcomeyou said hi"
        assert b"Connection: Upgrade\r\nUpgrade: tcp\r\n" in server.requests[0]


async def test_a_refused_upgrade_gives_the_reply(tmp_path: Path) -> None:
    script = once(b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno")
    async with serving(tmp_path, script) as (client, _):
        with pytest.raises(HttpUpgradeError) as refusal:
            async with client.upgrade("POST", "/exec/1/start", "tcp"):
                pytest.fail("the block must not run")
        assert (refusal.value.response.status, refusal.value.response.body) == (409, b"no")


def test_it_works_on_uvloop(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with serving(tmp_path, always_ok) as (client, _):
            whole = await client.request("GET", "/x")
            async with client.stream("GET", "/x") as response:
                return whole.body, await response.read()

    assert uvloop.run(main()) == (b"OK", b"OK")


async def test_it_works_over_tcp() -> None:
    scripted = ScriptedServer(always_ok)
    server = await asyncio.start_server(scripted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(parse_address(f"http://127.0.0.1:{port}"))
    assert (await client.request("GET", "/x")).body == b"OK"
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in scripted.requests[0]
    await client.close()
    server.close()
    await server.wait_closed()


async def test_tls_is_spoken_and_verified(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(b"".join(self_signed("openecs test", address="127.0.0.1", authority=True)))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    server = await asyncio.start_server(ScriptedServer(always_ok), "127.0.0.1", 0, ssl=server_side)
    address = TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
    trusting = HttpClient(address, tls=ssl.create_default_context(cafile=str(certificate)))
    assert (await trusting.request("GET", "/x")).body == b"OK"
    stranger = HttpClient(address)
    with pytest.raises(HttpUnavailable, match="certificate verify failed"):
        await stranger.request("GET", "/x")
    await trusting.close()
    await stranger.close()
    server.close()
    await server.wait_closed()
