"""The listener on the event loop that the control plane runs on."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import uvloop

from openecs.server.listen import Listener, bind

CONNECTIONS = 64


async def _app(scope, receive, send):
    raise AssertionError("nobody asks anything")


def test_a_crowd_of_connections_is_accepted_in_few_turns_and_everything_is_closed_at_the_end():
    sock = bind("127.0.0.1", 0)
    address = sock.getsockname()
    turns = 0

    async def serve() -> None:
        nonlocal turns
        listener = Listener(_app, sock)
        async with asyncio.TaskGroup() as group:
            group.create_task(listener.run_until_stopped())
            await listener.answering.wait()
            while len(listener.server_state.connections) < CONNECTIONS:
                turns += 1
                assert turns < 10_000
                await asyncio.sleep(0)
            listener.stop()

    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(address))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    # By itself the event loop would take as many turns as there are connections.
    assert turns < CONNECTIONS / 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1).close()
