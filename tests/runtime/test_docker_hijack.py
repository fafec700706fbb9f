"""A real engine hands over a connection: what exec and attach are built on."""

from __future__ import annotations

import msgspec
import pytest

from openecs.agent.runtime.docker import DockerRuntime, find_endpoint
from openecs.http import HttpClient, HttpUpgradeError

JSON = [("Content-Type", "application/json")]


async def _exec(client: HttpClient, container_id: str) -> str:
    body = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": True, "Cmd": ["cat"]}
    response = await client.request(
        "POST", f"/v1.41/containers/{container_id}/exec", headers=JSON, body=msgspec.json.encode(body)
    )
    assert response.status == 201, response.body
    return str(msgspec.json.decode(response.body)["Id"])


@pytest.mark.docker
async def test_an_exec_talks_both_ways(busybox_image: str) -> None:
    client = HttpClient(find_endpoint(None).address)
    runtime = DockerRuntime(client)
    name = "openecs-hijack-test"
    await runtime.remove(name)
    container_id = await runtime.create(name, {"Image": busybox_image, "Cmd": ["sleep", "60"]})
    try:
        await runtime.start(container_id)
        exec_id = await _exec(client, container_id)
        start = msgspec.json.encode({"Detach": False, "Tty": True})
        async with client.upgrade("POST", f"/v1.41/exec/{exec_id}/start", "tcp", headers=JSON, body=start) as stream:
            await stream.write(b"hello\n")
            received = b""
            # The terminal echoes the line, then cat says it again.
            while received.count(b"hello") < 2:
                piece = await stream.read()
                assert piece, received
                received += piece
            # End of transmission: cat ends, and the engine closes.
            await stream.write(b"\x04")
            while await stream.read():
                pass
        with pytest.raises(HttpUpgradeError) as refusal:
            async with client.upgrade("POST", "/v1.41/exec/nowhere/start", "tcp", headers=JSON, body=start):
                pytest.fail("an exec that is not there was started")
        assert refusal.value.response.status == 404
    finally:
        await runtime.remove(container_id)
        await runtime.close()
