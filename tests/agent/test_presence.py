"""What a host says of itself follows its address."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from network_site import Site, in_namespace, sh

from openecs.acs.host_documents import HostReport
from openecs.agent.host.presence import Presence
from openecs.agent.host.reports import HostReports
from openecs.agent.network import underlay


async def told(reports: HostReports) -> HostReport:
    """The next report that is sent."""
    message = await asyncio.wait_for(reports.next(), 10)
    (entry,) = message.entries
    return msgspec.json.decode(entry.body, type=HostReport)


async def test_an_address_is_reported_when_it_is_another_one_and_stands_while_there_is_none() -> None:
    reports, found = HostReports(), ["10.0.0.1"]
    first = HostReport(address="10.0.0.1", overlay="direct", network_problem="none", edge_address="10.0.0.9")
    presence = Presence(reports, first, lambda: found[-1] if found else None)
    assert await told(reports) == first
    found.clear()
    presence.look()
    found.append("10.0.0.2")
    presence.look()
    assert await told(reports) == msgspec.structs.replace(first, address="10.0.0.2")
    presence.look()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reports.next(), 0)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """A namespace with one network and a way out of it."""
    site = Site(tmp_path, f"oecs-p{os.getpid()}-")
    try:
        name = site.namespace(f"{site.prefix}h")
        sh(
            f"ip -n {name} link add eth0 type veth peer name eth1 && ip -n {name} link set eth0 up && "
            f"ip -n {name} link set eth1 up && ip -n {name} address add 192.168.9.1/24 dev eth0 && "
            f"ip -n {name} route add default via 192.168.9.254"
        )
        yield name
    finally:
        site.close()


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and ip")
def test_the_kernel_tells_of_another_address(host: str) -> None:
    async def follow() -> list[str]:
        reports = HostReports()
        presence = Presence(reports, HostReport(address="unknown"), lambda: underlay.host_address(()))
        running = asyncio.get_running_loop().create_task(presence.run())
        seen = [(await told(reports)).address]
        sh("ip address delete 192.168.9.1/24 dev eth0 && ip address add 192.168.9.7/24 dev eth0")
        sh("ip route replace default via 192.168.9.254")
        seen.append((await told(reports)).address)
        running.cancel()
        await asyncio.wait([running])
        return seen

    assert in_namespace(host, lambda: asyncio.run(follow())) == ["192.168.9.1", "192.168.9.7"]
