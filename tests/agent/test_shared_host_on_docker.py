"""Agents of two installations on one host and one container engine: their tasks share its network."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_installation import installation, word_at
from agent_payloads import container, task

from openecs.acs import task_payload as tp
from openecs.agent.engine import names
from openecs.agent.network import kernel
from openecs.agent.network.host import HostNetwork
from openecs.ids import RandomIds

pytestmark = pytest.mark.docker
SUBNETS = ("10.231.244", "10.231.245")


def gateways() -> set[str]:
    """The gateways of this module's subnets that the host has."""
    addresses = kernel.addresses()
    return addresses & {f"{subnet}.1" for subnet in SUBNETS}


def translated() -> set[str]:
    """Those of this module's subnets that are in the NAT table."""
    listed = subprocess.run(
        ["nft", "list", "set", "ip", "openecs_agent", "subnets"], capture_output=True, text=True, check=False
    )
    return {subnet for subnet in SUBNETS if subnet in listed.stdout}


async def test_what_tasks_share_lives_as_long_as_the_last_of_them(busybox_image: str, tmp_path: Path) -> None:
    async with installation(tmp_path / "a") as one, installation(tmp_path / "b") as two:
        first = await one.run(busybox_image, "10.231.244.11", "first")
        second = await two.run(busybox_image, "10.231.244.12", "second")
        third = await two.run(busybox_image, "10.231.245.13", "third")
        await one.plane.reaches(first.arn, "RUNNING")
        await two.plane.reaches(second.arn, "RUNNING")
        await two.plane.reaches(third.arn, "RUNNING")
        assert gateways() == {"10.231.244.1", "10.231.245.1"}

        await one.plane.stop(first.arn)
        await one.plane.reaches(first.arn, "STOPPED")
        assert await word_at("10.231.244.12") == "second"
        assert gateways() == {"10.231.244.1", "10.231.245.1"}

        await two.plane.stop(second.arn)
        await two.plane.reaches(second.arn, "STOPPED")
        assert await word_at("10.231.245.13") == "third"
        assert gateways() == {"10.231.245.1"}
        assert translated() == {"10.231.245"}

        # The agent that saw it go sets it up again.
        again = await one.run(busybox_image, "10.231.244.11", "again")
        await one.plane.reaches(again.arn, "RUNNING")
        assert await word_at("10.231.244.11") == "again"
        assert gateways() == {"10.231.244.1", "10.231.245.1"}
        for plane, arn in ((one.plane, again.arn), (two.plane, third.arn)):
            await plane.stop(arn)
            await plane.reaches(arn, "STOPPED")
        assert gateways() == set()
        assert translated() == set()


async def test_an_address_that_another_installations_task_has_fails_the_second_task_only(
    busybox_image: str, tmp_path: Path
) -> None:
    address = "10.231.244.21"
    async with installation(tmp_path / "a") as one, installation(tmp_path / "b") as two:
        first = await one.run(busybox_image, address, "first")
        await one.plane.reaches(first.arn, "RUNNING")
        second = await two.run(busybox_image, address, "second")
        report = await two.plane.reaches(second.arn, "STOPPED")
        assert report["reason"] == (
            f"ResourceInitializationError: the address {address} is in use on this host by {first.arn}; "
            "start the task again, or give the installations different address ranges"
        )
        assert await two.engine.list([f"{names.LABEL_TASK_ARN}={second.arn}"]) == []
        assert await word_at(address) == "first"
        await one.plane.stop(first.arn)
        await one.plane.reaches(first.arn, "STOPPED")
        third = await two.run(busybox_image, address, "third")
        await two.plane.reaches(third.arn, "RUNNING")
        assert await word_at(address) == "third"
        await two.plane.stop(third.arn)
        await two.plane.reaches(third.arn, "STOPPED")
    assert gateways() == set()


async def test_the_hosts_own_address_is_no_tasks(busybox_image: str, tmp_path: Path) -> None:
    own = "10.231.245.31"
    command = ["ip", "address", "add", f"{own}/32", "dev", "lo"]
    subprocess.run(command, check=True)  # noqa: ASYNC221
    try:
        async with installation(tmp_path) as one:
            refused = await one.run(busybox_image, own, "never")
            report = await one.plane.reaches(refused.arn, "STOPPED")
    finally:
        subprocess.run([*command[:2], "delete", *command[3:]], check=True)  # noqa: ASYNC221
    assert f"the address {own} is in use on this host by this host itself" in report["reason"]


async def test_an_agent_clears_up_after_one_that_was_killed(tmp_path: Path) -> None:
    dead = HostNetwork(Path("/run/openecs"))
    subprocess.run(["ip", "address", "add", "10.231.245.1/32", "dev", "lo"], check=True)  # noqa: ASYNC221
    async with dead.locked():
        (dead._folder / "10.231.245.1").write_text("10.231.245.0/24\n")
    async with installation(tmp_path):
        async with asyncio.timeout(20):
            while (dead._folder / "10.231.245.1").exists():
                await asyncio.sleep(0.01)
    assert gateways() == set()


async def test_a_port_that_a_process_took_meanwhile_is_replaced(busybox_image: str, tmp_path: Path) -> None:
    taken: list[socket.socket] = []
    async with installation(tmp_path) as one:
        real_create = one.engine.create

        async def create(name: str, body: Mapping[str, Any]) -> str:
            """The engine's, and somebody binds the chosen port right after it."""
            container_id = await real_create(name, body)
            bindings = body["HostConfig"].get("PortBindings") or {}
            if not taken:
                taken.extend(socket.create_server(("", int(bound[0]["HostPort"]))) for bound in bindings.values())
            return container_id

        one.engine.create = create  # type: ignore[method-assign]
        payload = task(
            container(
                "app",
                busybox_image,
                command=("httpd", "-f", "-p", "80", "-h", "/www"),
                port_mappings=(tp.PortMapping(container_port=80),),
            ),
            number=RandomIds().hex32(),
            network_mode="bridge",
        )
        await one.plane.assign(payload)
        report = await one.plane.reaches(payload.arn, "RUNNING")
        (binding,) = report["containers"][0]["networkBindings"]
        (rival,) = taken
        assert binding["hostPort"] != rival.getsockname()[1]
        info = await one.engine.inspect(report["containers"][0]["runtimeId"])
        assert binding["hostPort"] in {port.host_port for port in info.ports}
        assert len(await one.engine.list([f"{names.LABEL_TASK_ARN}={payload.arn}"])) == 1
        rival.close()
        await one.plane.stop(payload.arn)
        await one.plane.reaches(payload.arn, "STOPPED")
