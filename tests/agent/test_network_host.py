"""The host's side of tasks' networks: what the kernel says, and tools that are cut short."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest

from openecs.agent.network import kernel
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.host import HostNetwork

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eni0ad7f30c\t0CF3D70A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
"""


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    assert kernel.routes(ROUTES) == [
        kernel.Route(ipaddress.IPv4Network("0.0.0.0/0"), "eth0"),
        kernel.Route(ipaddress.IPv4Network("172.17.0.0/16"), "docker0"),
        kernel.Route(ipaddress.IPv4Network("10.215.243.12/32"), "eni0ad7f30c"),
    ]


def test_the_kernel_is_asked_for_addresses_and_ways() -> None:
    assert "127.0.0.1" in kernel.addresses()
    assert kernel.is_local("127.0.0.1")
    assert not kernel.is_local("192.0.2.1")
    way = kernel.way_to("127.0.0.1")
    assert (way.local, way.exact, way.handed_on, kernel.link(way.device).name) == (True, True, False, "lo")
    assert kernel.link(way.device) in kernel.links()
    assert all(link.kind == "bridge" for link in kernel.links("bridge"))
    with pytest.raises(OSError, match="No such device"):
        kernel.link(2**30)


def command_lines() -> set[bytes]:
    """Of every process that is there."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(path.read_bytes())
        except OSError:
            continue  # It has just ended.
    return found


async def test_a_command_that_fails_says_why_and_one_that_is_cut_short_leaves_no_process() -> None:
    with pytest.raises(NetworkError, match="no such thing"):
        await run(("sh", "-c", "cat >&2; exit 1"), "no such thing")
    with pytest.raises(NetworkError, match="openecs-no-such-command"):
        await run(("openecs-no-such-command",), "")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await run(("sleep", "3600.25"), "")
    assert b"sleep\x003600.25\x00" not in command_lines()


async def test_a_command_without_a_script_has_no_pipe_that_its_end_could_break() -> None:
    assert await run(("readlink", "/proc/self/fd/0"), "") == "/dev/null\n"
    assert await run(("cat",), "words") == "words"


async def test_one_agent_at_a_time_changes_what_all_share(tmp_path: Path) -> None:
    hosts = [HostNetwork(tmp_path) for _ in range(3)]
    inside = 0
    most = 0

    async def visit(host: HostNetwork) -> None:
        nonlocal inside, most
        for _ in range(5):
            async with host.locked():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

    async with asyncio.TaskGroup() as group:
        for host in (*hosts, *hosts):
            group.create_task(visit(host))
    assert most == 1
