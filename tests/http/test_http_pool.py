"""Connections that are kept, repeated on, given up and limited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from scripted_server import Exchange, always_ok, serving

from openecs.http import HttpProtocolError, HttpTimeout, HttpUnavailable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


async def test_one_connection_serves_request_after_request(tmp_path: Path) -> None:
    async with serving(tmp_path, always_ok) as (client, server):
        for _ in range(5):
            assert (await client.request("POST", "/x", body=b"{}")).body == b"OK"
        assert (server.connections, len(server.requests)) == (1, 5)


async def test_a_connection_that_the_peer_closed_is_not_used_again(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.reply(OK)

    async with serving(tmp_path, script) as (client, server):
        for _ in range(3):
            # A POST is not repeated: each must find by itself that its connection is alive.
            await client.request("POST", "/x")
            while client._idle and client._idle[0].reusable:
                await asyncio.sleep(0)
        assert (server.connections, len(server.requests)) == (3, 3)


async def _dies_at_the_second_request(exchange: Exchange) -> None:
    await exchange.request()
    await exchange.reply(OK)
    await exchange.request()
    if exchange.number > 1:
        await exchange.reply(OK)


@pytest.mark.parametrize(("method", "repeatable"), [("GET", None), ("DELETE", None), ("POST", True)])
async def test_a_dead_pooled_connection_is_replaced_once(tmp_path: Path, method: str, repeatable: bool | None) -> None:
    async with serving(tmp_path, _dies_at_the_second_request) as (client, server):
        await client.request("GET", "/1")
        response = await client.request(method, "/2", repeatable=repeatable)
        assert response.body == b"OK"
        assert [request.split()[1] for request in server.requests] == [b"/1", b"/2", b"/2"]


@pytest.mark.parametrize(("method", "repeatable"), [("POST", None), ("GET", False)])
async def test_what_must_not_happen_twice_is_not_repeated(tmp_path: Path, method: str, repeatable: bool | None) -> None:
    async with serving(tmp_path, _dies_at_the_second_request) as (client, server):
        await client.request("GET", "/1")
        with pytest.raises(HttpUnavailable):
            await client.request(method, "/2", repeatable=repeatable)
        assert len(server.requests) == 2


async def test_a_half_answer_is_not_repeated(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.reply(OK)
        await exchange.request()
        await exchange.reply(b"HTTP/1.1 200 OK\r\n")

    async with serving(tmp_path, script) as (client, server):
        await client.request("GET", "/1")
        with pytest.raises(HttpUnavailable, match="before the end"):
            await client.request("GET", "/2")
        assert len(server.requests) == 2


async def test_bytes_that_nobody_asked_for_end_the_connection(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        if not await exchange.request():
            return
        await exchange.reply(OK + (OK if exchange.number == 1 else b""))
        await exchange.hung_up()

    async with serving(tmp_path, script) as (client, server):
        assert (await client.request("GET", "/1")).body == b"OK"
        assert (await client.request("GET", "/2")).body == b"OK"
        assert server.connections == 2


async def test_a_cancelled_request_leaves_no_answer_for_the_next(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        asked.set()
        if exchange.number == 1:
            await exchange.hung_up()
        else:
            await exchange.reply(OK)

    async with serving(tmp_path, script) as (client, server):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.request("GET", "/slow"))
            await asked.wait()
            task.cancel()
        assert (await client.request("GET", "/2")).body == b"OK"
        assert server.connections == 2


async def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    most = waiting = 0
    release = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        nonlocal most, waiting
        while await exchange.request():
            waiting += 1
            most = max(most, waiting)
            if waiting == 2:
                release.set()
            await release.wait()
            waiting -= 1
            await exchange.reply(OK)

    async with serving(tmp_path, script, max_connections=2) as (client, server):
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(client.request("GET", "/x"))
        assert (most, server.connections, len(server.requests)) == (2, 2, 10)


async def test_waiting_for_a_connection_counts_as_waiting(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.hung_up()

    async with serving(tmp_path, script, max_connections=1) as (client, server):
        async with asyncio.TaskGroup() as group:
            hog = group.create_task(client.request("GET", "/hog"))
            while not server.requests:
                await asyncio.sleep(0)
            with pytest.raises(HttpTimeout):
                await client.request("GET", "/x", within=0.05)
            hog.cancel()
        assert len(server.requests) == 1


async def test_a_peer_that_hangs_up_at_once_is_not_asked_again_and_again(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.reply(b"220 mail.local ESMTP\r\n")

    async with serving(tmp_path, script) as (client, server):
        with pytest.raises((HttpUnavailable, HttpProtocolError)):
            await client.request("GET", "/x")
        assert server.connections == 1


async def test_a_closed_client_refuses(tmp_path: Path) -> None:
    async with serving(tmp_path, always_ok) as (client, _):
        await client.request("GET", "/x")
        await client.close()
        with pytest.raises(HttpUnavailable, match="is closed"):
            await client.request("GET", "/x")
