"""What a machine beside a host gets when it routes the host's inner addresses to it: nothing.

The resolver and the metadata endpoint refuse it by themselves, and the packet filter lets nothing
through to begin with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import msgspec
import pytest
from agent_process import agent_config
from network_documents import group, interface, networks, peers, tcp
from network_site import HostProcess, Site, Task, in_namespace, reachable, sh

from openecs.acs.host_documents import GroupRule, NameDocument, VpcDocument, ZoneDocument
from openecs.agent.dns.feed import Entry, Told
from openecs.agent.dns.process import ADDRESS, SOCKET
from openecs.agent.metadata.endpoint import MetadataEndpoint
from openecs.agent.metadata.http import Answer, Request
from openecs.agent.network import vicinity
from openecs.agent.network.frame import METADATA
from openecs.ids import SeededIds

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft"),
]
VPC_RESOLVER, TASK = "10.60.0.2", "10.60.1.11"
CONTAINER, NEIGHBOUR = "172.30.0.2", "192.168.77.254"


class Place:
    """A host with a task, a container in a bridged network, and a machine beside it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.host: HostProcess = site.host(1)
        # A second one, so that there is a tunnel.
        site.host(2)
        self.neighbour = site.outside()
        self.container = bridged(site, self.host, "mynet0", CONTAINER)
        for address in (VPC_RESOLVER, ADDRESS, METADATA):
            sh(f"ip -n {self.neighbour} route add {address} via 192.168.77.1")
        self.task: Task

    def filtered(self) -> None:
        """Have the rules loaded, and a task."""
        self.site.tell(networks() | peers(1, 2) | {("security-group", "sg-web"): group(tcp(80, cidr="192.0.2.0/24"))})
        self.site.tell({("interface", "eni-web"): interface(TASK, "node1", "sg-web")})
        self.task = self.site.task(self.host, TASK, "10.60.1.1/24")


def bridged(site: Site, host: HostProcess, bridge: str, address: str) -> str:
    """The namespace of a container in a network of its own, as engines make them."""
    name, host_end = site.namespace(f"{site.prefix}c-{bridge}"), f"v{bridge}"
    gateway = f"{address.rsplit('.', 1)[0]}.1"
    sh(
        f"ip -n {host.namespace} link add {bridge} type bridge && ip -n {host.namespace} link set {bridge} up && "
        f"ip -n {host.namespace} link add {host_end} type veth peer name eth0 netns {name} && "
        f"ip -n {host.namespace} link set {host_end} master {bridge} up && "
        f"ip -n {host.namespace} address add {gateway}/24 dev {bridge} && "
        f"ip -n {name} link set eth0 up && ip -n {name} address add {address}/24 dev eth0 && "
        f"ip -n {name} route add default via {gateway}"
    )
    return name


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    site = Site(tmp_path, f"oecs-n{os.getpid()}-")
    try:
        yield Place(site)
    finally:
        site.close()


@pytest.fixture
def resolver(place: Place, tmp_path: Path) -> Iterator[None]:
    """A resolver on the host that knows one name."""
    documents = (
        ("vpc", "vpc-1", VpcDocument(cidrs=("10.60.0.0/16",), resolver=VPC_RESOLVER)),
        ("zone", "z", ZoneDocument(name="app.test", scope="vpc-1")),
        ("name", "n", NameDocument(name="web.app.test", scope="vpc-1", a=(TASK,))),
    )
    entries = tuple(Entry(kind, key, msgspec.Raw(msgspec.json.encode(d))) for kind, key, d in documents)
    command = ["ip", "netns", "exec", place.host.namespace, sys.executable, "-m", "openecs.agent.dns", str(tmp_path)]
    with subprocess.Popen(command) as process, socket.socket(socket.AF_UNIX) as agent:
        deadline = time.monotonic() + 10
        while not (tmp_path / SOCKET).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        agent.connect(str(tmp_path / SOCKET))
        agent.sendall(msgspec.json.encode(Told(node="node1", all=True, entries=entries)) + b"\n")
        assert VPC_RESOLVER.encode() in agent.recv(10_000)
        yield
        process.terminate()


def asked(namespace: str, server: str, name: str = "web.app.test", *, wide: bool = False) -> str:
    """What becomes of a question: the answer, the code, or ``silence``."""

    def ask() -> dns.message.Message:
        how = dns.query.tcp if wide else dns.query.udp
        return how(dns.message.make_query(name, "A"), server, timeout=0.5)

    try:
        reply = in_namespace(namespace, ask)
    except (dns.exception.Timeout, TimeoutError):
        return "silence"
    return " ".join(r.to_text() for rrset in reply.answer for r in rrset) or dns.rcode.to_text(reply.rcode())


@pytest.mark.usefixtures("resolver")
def test_the_resolver_is_for_what_runs_on_its_host(place: Place) -> None:
    host = place.host.namespace
    for server in (VPC_RESOLVER, ADDRESS):
        assert asked(host, server) == asked(place.container, server, wide=True) == TASK
        # Nothing filters yet: the resolver itself refuses, also to ask others in a stranger's name.
        assert {asked(place.neighbour, server, wide=wide) for wide in (False, True)} == {"REFUSED"}
        assert asked(place.neighbour, server, "www.example.org") == "REFUSED"
    place.filtered()
    for server in (VPC_RESOLVER, ADDRESS):
        assert asked(place.neighbour, server) == "silence"
        assert {asked(at, server) for at in (host, place.container, place.task.name)} == {TASK}


def test_the_filter_keeps_inner_addresses_for_what_runs_on_the_host(place: Place) -> None:
    host = place.host.namespace
    place.filtered()
    outward = bridged(place.site, place.host, "lan0", "172.29.0.2")
    sh(
        f"ip -n {host} link add up0 type veth peer name up1 && "
        f"ip -n {host} link add link up0 name up0.7 type macvlan && "
        f"ip -n {host} link set up0.7 master lan0 up && "
        f"ip -n {host} address add {ADDRESS}/32 dev lo && ip -n {host} address add {METADATA}/32 dev lo"
    )
    # The kernel tells of it; so the others have been looked at when it counts.
    late = bridged(place.site, place.host, "late0", "172.31.0.2")
    with Task(host, "", place.host).serving(53, 80, 8080):
        everybody = (host, place.container, late, place.task.name, place.neighbour, outward)
        tries = {(at, server, port) for at in everybody for server, port in ((ADDRESS, 53), (METADATA, 80))}
        deadline = time.monotonic() + 10
        while not reachable({(late, ADDRESS, 53)}) and time.monotonic() < deadline:
            pass
        own = {(place.neighbour, "192.168.77.1", 8080), (outward, "192.168.77.1", 8080)}
        strangers = (place.neighbour, outward)
        assert reachable(tries | own) == {key for key in tries if key[0] not in strangers} | own
    # Containers reach tasks as the host itself does; machines beside it only where a group lets them.
    with place.task.serving(80):
        assert reachable({(at, TASK, 80) for at in (place.container, late, outward)}) == {
            (place.container, TASK, 80),
            (late, TASK, 80),
        }


def test_a_machine_beside_the_host_cannot_send_in_the_name_of_interfaces_and_hosts(place: Place) -> None:
    far, other_host = "10.60.2.22", "169.254.64.2"
    place.filtered()
    place.site.tell({("interface", "eni-far"): interface(far, "node2", "sg-web")})
    place.site.tell({("security-group", "sg-web"): group(GroupRule(protocol="udp", group="sg-web"))})
    host, neighbour = place.host.namespace, place.neighbour
    # The kernel's own check is off on many hosts, and where it is on it knows one way only.
    for device in ("all", "eth0", "openecs77"):
        sh(f"ip netns exec {host} sysctl -qw net.ipv4.conf.{device}.rp_filter=0")
    sh(f"ip -n {neighbour} route add {TASK} via 192.168.77.1")

    def bound(address: str) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(3)
        made.bind((address, 5001))
        return made

    with in_namespace(place.task.name, lambda: bound(TASK)) as receiver:
        for source in (far, other_host):
            sh(f"ip -n {neighbour} address add {source}/32 dev lo")
            with in_namespace(neighbour, lambda source=source: bound(source)) as sender:  # type: ignore[misc]
                sender.sendto(b"forged", (TASK, 5001))
        # In its own name it is heard where a group lets it.
        own = GroupRule(protocol="udp", cidr=f"{NEIGHBOUR}/32")
        place.site.tell({("security-group", "sg-web"): group(own)})
        with in_namespace(neighbour, lambda: bound(NEIGHBOUR)) as sender:
            sender.sendto(NEIGHBOUR.encode(), (TASK, 5001))
        assert receiver.recvfrom(100)[0] == NEIGHBOUR.encode()


def test_the_metadata_endpoint_hangs_up_on_machines_beside_the_host(place: Place, tmp_path: Path) -> None:
    """Without the filter, which a host without interfaces does not have."""

    class Routes:
        async def answer(self, request: Request) -> Answer:
            return Answer(404, request.client.encode())

    def fetched(namespace: str) -> str:
        def fetch() -> bytes:
            with contextlib.suppress(ConnectionError), socket.create_connection((METADATA, 80), timeout=5) as client:
                client.sendall(b"GET /v4/x HTTP/1.0\r\n\r\n")
                return client.recv(1000)
            return b""

        return in_namespace(namespace, fetch).decode().rpartition("\r\n")[2]

    async def serve() -> list[str]:
        config = agent_config("http://127.0.0.1:9", tmp_path, metadata_bind=f"{METADATA}:80", run_dir=str(tmp_path))
        async with MetadataEndpoint(config, Routes(), SeededIds()) as endpoint:  # type: ignore[arg-type]
            assert endpoint.url == f"http://{METADATA}"
            asked = (place.host.namespace, place.container, place.neighbour)
            return [await asyncio.to_thread(fetched, namespace) for namespace in asked]

    assert in_namespace(place.host.namespace, lambda: asyncio.run(serve())) == [METADATA, CONTAINER, ""]


def test_who_is_on_the_host_and_who_is_not(place: Place) -> None:
    place.filtered()
    place.site.tell({("interface", "eni-far"): interface("10.60.2.22", "node2", "sg-web")})
    bridged(place.site, place.host, "lan0", "172.29.0.2")
    host = place.host.namespace
    expected = {
        "127.0.0.1": True,
        "192.168.77.1": True,
        VPC_RESOLVER: False,  # No resolver has put it on this host.
        TASK: True,
        "10.60.2.22": False,
        CONTAINER: True,
        "172.29.0.2": True,
        "192.168.77.2": False,
        NEIGHBOUR: False,
        "198.51.100.7": False,
        "::1": False,
    }
    assert in_namespace(host, lambda: {address: vicinity.is_here(address) for address in expected}) == expected
    assert in_namespace(host, vicinity.container_bridges) == {"mynet0", "lan0"}
    # A bridge by which the host reaches everybody else is no network of containers.
    sh(f"ip -n {host} route replace default via 172.29.0.2")
    assert in_namespace(host, vicinity.container_bridges) == {"mynet0"}
    assert not in_namespace(host, lambda: vicinity.is_here("172.29.0.2"))
