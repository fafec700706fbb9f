"""One load balancer on a host of its own: real Envoy, real namespaces, real requests.

Not a test module: ``test_edge_on_envoy`` runs it in a network namespace that plays the host.
Prints what it has seen; ends with an exception when something is not as it should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from edge_kit import LB, LISTENER, TG, Host, balancer, group, until

from openecs.acs.host_documents import BalancerInterface, SubnetDocument, TargetEntry
from openecs.agent.edge.datagrams import Datagrams, WithDatagrams
from openecs.agent.edge.endpoints import Endpoints
from openecs.agent.edge.envoy import Envoy
from openecs.agent.edge.envoy_proxy import EnvoyProxy
from openecs.agent.edge.memory import HealthMemory
from openecs.agent.edge.meter import TrafficMeter
from openecs.agent.edge.namespaces import Namespaces
from openecs.agent.edge.rendering import Renderer
from openecs.agent.edge.runtime import Edge, EdgeParts
from openecs.agent.edge.select import edge_folder, find_envoy, leave_edge
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.interfaces import Interfaces
from openecs.clock import SystemClock
from openecs.http.address import TcpAddress
from openecs.http.client import HttpClient

NODE = "f2f2f2f2f2f2f2f2"
ADDRESS = "10.201.0.10"
SERVER = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1)
        body = sys.argv[1].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer((sys.argv[1], 80), Handler).serve_forever()
"""


class Machine:
    """The host: its edge can be started again and again."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.host = Host(folder)
        self.interfaces = Interfaces(HostNetwork(self.run))
        binary = find_envoy(os.environ)
        assert binary is not None
        self.folder = edge_folder(self.run, NODE)
        self.envoy = Envoy(binary, self.folder / "envoy", node_id=NODE)
        self.data = folder

    @contextlib.asynccontextmanager
    async def edge(self) -> AsyncIterator[None]:
        sockets = NamespaceSockets()
        edge = Edge(
            EdgeParts(
                documents=self.host.documents,
                reports=self.host.reports,
                proxy=WithDatagrams(EnvoyProxy(self.envoy, Renderer(self.data / "access-logs")), Datagrams(sockets)),
                namespaces=Namespaces(NODE, self.interfaces),
                endpoints=Endpoints(self.data / "endpoints.json", "127.0.0.1"),
                memory=HealthMemory(self.folder / "health.json"),
                sockets=sockets,
                clock=SystemClock(),
                meter=TrafficMeter(self.envoy.admin, SystemClock()),
                random=lambda: 0.5,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(edge.run())
            try:
                yield
            finally:
                running.cancel()

    async def target(self, address: str) -> subprocess.Popen[bytes]:
        name = "t" + address.rpartition(".")[2]
        subprocess.run(["ip", "netns", "add", name], check=True)  # noqa: ASYNC221
        await self.interfaces.connect(Path("/run/netns") / name, address=address, gateway="10.201.0.1/24", alias=name)
        return self.serve(address)

    def serve(self, address: str) -> subprocess.Popen[bytes]:
        name = "t" + address.rpartition(".")[2]
        return subprocess.Popen(["nsenter", f"--net=/run/netns/{name}", sys.executable, "-c", SERVER, address])


async def get(client: HttpClient, path: str = "/") -> str:
    response = await client.request("GET", path)
    assert response.status == 200, (response.status, response.body)
    return response.body.decode()


def entry(address: str, **changes: object) -> TargetEntry:
    return msgspec.structs.replace(TargetEntry(id=address, port=80, address=address, registered_at=1.0), **changes)


async def scenario(machine: Machine, servers: dict[str, subprocess.Popen[bytes]]) -> None:
    host, one, two = machine.host, "10.201.0.21", "10.201.0.22"
    for address in (one, two):
        servers[address] = await machine.target(address)
    interface = BalancerInterface(
        interface_id="eni-1", subnet_id="subnet-1", availability_zone="us-east-1a", address=ADDRESS
    )
    host.put("subnet", "subnet-1", SubnetDocument(vpc_id="vpc-1", cidr="10.201.0.0/24", gateway="10.201.0.1/24"))
    inside = HttpClient(TcpAddress(ADDRESS, 80), timeout=5)
    async with machine.edge():
        host.put("balancer", LB, balancer(80, interfaces=(interface,)))
        host.put("target-group", TG, group(entry(one), entry(two)))
        await until(lambda: host.states() == [("healthy", None)] * 2 and host.balancer().ready)
        endpoint = host.balancer().endpoints[LISTENER]
        outside = HttpClient(TcpAddress(*_split(endpoint)), timeout=5)
        assert {await get(inside) for _ in range(8)} == {one, two}
        assert {await get(outside) for _ in range(8)} == {one, two}
        sys.stdout.write(f"served at {ADDRESS} and {endpoint}\n")

        slow = [asyncio.ensure_future(get(HttpClient(TcpAddress(ADDRESS, 80)), "/slow")) for _ in range(4)]  # noqa: TID251
        await asyncio.sleep(0.3)
        host.put("target-group", TG, group(entry(one, draining_since=9.0), entry(two)))
        await until(lambda: [state for state, _ in host.states()] == ["draining", "healthy"])
        assert {await get(inside) for _ in range(8)} == {two}
        assert host.drained() == [False, False]
        assert not any(request.done() for request in slow)
        assert set(await asyncio.gather(*slow)) == {one, two}
        await until(lambda: host.drained() == [True, False], seconds=2)
        sys.stdout.write("drained when nothing was in flight, and no request was lost\n")

        host.put("target-group", TG, group(entry(one, registered_at=2.0), entry(two)))
        await until(lambda: host.states() == [("healthy", None)] * 2)
        servers[two].kill()
        servers[two].wait()
        await until(lambda: host.states()[1] == ("unhealthy", "Target.FailedHealthChecks"))
        assert {await get(inside) for _ in range(8)} == {one}
        sys.stdout.write("a target that died is unhealthy\n")

    pid = machine.envoy.pid()
    assert await get(inside) == one
    async with asyncio.TaskGroup() as tasks:
        load = tasks.create_task(_load(inside, one))
        async with machine.edge():
            await until(lambda: host.balancer().ready)
            await asyncio.sleep(0.3)
            load.cancel()
            assert machine.envoy.pid() == pid
            assert host.balancer().endpoints[LISTENER] == endpoint
            sys.stdout.write("the next agent took over, without a lost request\n")
            os.kill(pid, signal.SIGKILL)
            await until(lambda: machine.envoy.pid() not in (None, pid))
            await until(machine.envoy.running)
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(Exception):
                        assert await get(inside) == one
                        break
                    await asyncio.sleep(0.05)
            sys.stdout.write("Envoy came back after its end\n")
            subprocess.run(["ip", "netns", "delete", Namespaces(NODE, machine.interfaces).path(LB).name], check=True)  # noqa: ASYNC221
            async with asyncio.timeout(15):
                while True:
                    with contextlib.suppress(Exception):
                        assert await get(inside) == one
                        break
                    await asyncio.sleep(0.05)
            sys.stdout.write("a namespace that was removed by hand is there again\n")
            host.remove("balancer", LB)
            await until(lambda: host.balancer() is None and not machine.envoy.running())
    assert "oecs-lb-" not in _output("ip", "netns", "list")
    assert ADDRESS not in _output("ip", "route")
    sys.stdout.write("nothing is left of a load balancer that is gone\n")


async def _load(client: HttpClient, expected: str) -> None:
    while True:
        assert await get(client) == expected


def _split(endpoint: str) -> tuple[str, int]:
    address, _, port = endpoint.rpartition(":")
    return address, int(port)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def main(folder: Path) -> None:
    machine = Machine(folder)
    servers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        await scenario(machine, servers)
    finally:
        sys.stdout.write(f"reports: {machine.host.reports._bodies}\n")
        for server in servers.values():
            server.kill()
            server.wait()
        await leave_edge(machine.interfaces, machine.run, NODE)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
