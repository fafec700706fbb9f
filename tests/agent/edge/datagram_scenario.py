"""A network load balancer for UDP and TCP on a host of its own: real rules, real Envoy, real datagrams.

Not a test module: ``test_edge_on_envoy`` runs it in a network namespace that plays the host.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from edge_kit import LB, LISTENER, TG, balancer, group, until
from edge_scenario import NODE, Machine, entry

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    HealthCheckDocument,
    SubnetDocument,
    TargetEntry,
)
from openecs.agent.edge.namespaces import Namespaces
from openecs.agent.edge.select import leave_edge
from openecs.shapes import elbv2

#: Answers datagrams and connections with its own address and the client's.
SERVER = """
import select, socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind((sys.argv[1], 80))
tcp = socket.create_server((sys.argv[1], 80))
while True:
    for ready in select.select([udp, tcp], [], [])[0]:
        if ready is udp:
            _, client = udp.recvfrom(8192); udp.sendto(f"{sys.argv[1]} {client[0]}".encode(), client)
        else:
            taken, client = tcp.accept(); taken.sendall(f"{sys.argv[1]} {client[0]}".encode()); taken.close()
"""
OTHER = TG.replace("/web/", "/blue/")
ADDRESSES = ("10.201.0.10", "10.201.1.10")
INTERFACES = tuple(
    BalancerInterface(
        interface_id=f"eni-{n}", subnet_id=f"subnet-{n}", availability_zone=f"us-east-1{'ab'[n]}", address=address
    )
    for n, address in enumerate(ADDRESSES)
)


class UdpServers(Machine):
    """The host, with targets that answer datagrams."""

    def serve(self, address: str) -> subprocess.Popen[bytes]:
        name = "t" + address.rpartition(".")[2]
        return subprocess.Popen(["nsenter", f"--net=/run/netns/{name}", sys.executable, "-c", SERVER, address])


def listener(*weights: tuple[str, int], port: int = 53) -> BalancerListener:
    tuples = tuple(elbv2.TargetGroupTuple(target_group_arn=arn, weight=weight) for arn, weight in weights)
    action = elbv2.Action(type="forward", forward_config=elbv2.ForwardActionConfig(target_groups=tuples))
    return BalancerListener(
        arn=LISTENER,
        port=port,
        protocol="TCP_UDP",
        rules=(BalancerRule(arn="default", priority=0, actions=(action,)),),
    )


class Client:
    """One flow."""

    def __init__(self, address: str, port: int = 53) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect((address, port))

    def ask(self) -> tuple[str, str]:
        """Who answers, and whom it takes for the client."""
        # In several packets.
        self.socket.send(b"?" * 4000)
        target, _, client = self.socket.recv(2048).decode().partition(" ")
        return target, client


@contextmanager
def clients(address: str, count: int, port: int = 53) -> Iterator[list[Client]]:
    made = [Client(address, port) for _ in range(count)]
    yield made
    for one in made:
        one.socket.close()


def answered(address: str, port: int = 53) -> set[str]:
    """Who answers new flows."""
    with clients(address, 24, port) as found:
        return {one.ask()[0] for one in found}


async def scenario(machine: UdpServers, servers: dict[str, subprocess.Popen[bytes]]) -> None:
    host, one, two = machine.host, "10.201.0.21", "10.201.0.22"
    check = HealthCheckDocument(protocol="TCP", interval=0.05, timeout=0.5, healthy_threshold=2)
    attributes = {"load_balancing.cross_zone.enabled": "true"}
    network = balancer(53, type="network", interfaces=INTERFACES, attributes=attributes, listeners=(listener((TG, 1)),))

    def put(*entries: TargetEntry, arn: str = TG) -> None:
        host.put("target-group", arn, group(*entries, protocol="TCP_UDP", health_check=check))

    for address in (one, two):
        servers[address] = await machine.target(address)
    for n in range(2):
        subnet = SubnetDocument(vpc_id="vpc-1", cidr=f"10.201.{n}.0/24", gateway=f"10.201.{n}.1/24")
        host.put("subnet", f"subnet-{n}", subnet)
    async with machine.edge():
        host.put("balancer", LB, network)
        put(entry(one), entry(two))
        await until(lambda: host.states() == [("healthy", None)] * 2 and host.balancer().ready)
        pid = machine.envoy.pid()
        place, _, port = host.balancer().endpoints[LISTENER].rpartition(":")
        own = Namespaces(NODE, machine.interfaces).path(LB)
        # As on machines that look sources up strictly.
        strict = "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter"
        subprocess.run(["nsenter", f"--net={own}", "sh", "-c", strict], check=True)  # noqa: ASYNC221
        for address in ADDRESSES:
            assert answered(address) == {one, two}
            with clients(address, 8) as some:
                assert all(len({client.ask() for _ in range(5)}) == 1 for client in some)
                assert {client.ask()[1] for client in some} == {address}
        assert answered(place, int(port)) == {one, two}
        with socket.create_connection((ADDRESSES[1], 53), timeout=2) as connection:
            assert connection.recv(100).decode().split()[0] in (one, two)
        sys.stdout.write("datagrams and connections come to both targets, and each flow stays with its own\n")

        with clients(ADDRESSES[1], 24) as kept:
            before = [client.ask()[0] for client in kept]
            put(entry(one, draining_since=9.0), entry(two))
            await until(lambda: [state for state, _ in host.states()] == ["draining", "healthy"])
            # A new flow may have the port of one that has just ended, whose way the kernel still knows.
            await until(lambda: answered(ADDRESSES[0]) == {two})
            assert [client.ask()[0] for client in kept] == before
            assert host.drained() == [False, False]
            put(entry(two))
            await until(lambda: len(host.states()) == 1)
            await until(lambda: {client.ask()[0] for client in kept} == {two})
        assert machine.envoy.pid() == pid
        sys.stdout.write("flows stay with a target that drains, and move when it is gone\n")

        put(entry(one), arn=OTHER)
        await until(lambda: host.states(OTHER) == [("healthy", None)])
        with clients(ADDRESSES[0], 8) as kept:
            assert {client.ask()[0] for client in kept} == {two}
            host.put("balancer", LB, network_with(network, listener((TG, 0), (OTHER, 100))))
            await until(lambda: answered(ADDRESSES[0]) == {one})
            assert {client.ask()[0] for client in kept} == {two}
        sys.stdout.write("weights move new flows only\n")

    await until(lambda: answered(ADDRESSES[0]) == {one})
    async with machine.edge():
        await until(lambda: host.balancer().ready)
        put(arn=OTHER)
        await until(lambda: silent(ADDRESSES[0]))
        put(entry(one, registered_at=3.0), entry(two, registered_at=3.0), arn=OTHER)
        await until(lambda: host.states(OTHER) == [("healthy", None)] * 2)
        with clients(ADDRESSES[0], 4) as kept:
            for client in kept:
                client.ask()
            put(entry(one, draining_since=9.0), entry(two, registered_at=3.0), arn=OTHER)
            await until(lambda: host.drained(OTHER) == [True, False], seconds=20)
        sys.stdout.write("drained when no datagram came for a while; the next agent took over\n")
        host.put("balancer", LB, network_with(network))
        await until(lambda: silent(ADDRESSES[0]) and host.balancer().endpoints == {})
        host.remove("balancer", LB)
        await until(lambda: host.balancer() is None and not machine.envoy.running())


def network_with(network: BalancerDocument, *listeners: BalancerListener) -> BalancerDocument:
    return msgspec.structs.replace(network, listeners=listeners)


def silent(address: str) -> bool:
    with clients(address, 1) as (client,):
        client.socket.settimeout(0.2)
        try:
            client.ask()
        except OSError:
            return True
        return False


async def main(folder: Path) -> None:
    machine = UdpServers(folder)
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
