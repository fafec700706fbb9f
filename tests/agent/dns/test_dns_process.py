"""The resolver's process and the agent's side of it: shared, outliving agents, up to date."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import msgspec
import pytest

from openecs.acs import messages as m
from openecs.acs.host_documents import InterfaceDocument, NameDocument, VpcDocument, ZoneDocument
from openecs.agent.dns.feed import Entry, Feed, Told
from openecs.agent.dns.process import EXPECTS_AGENT, ResolverProcess
from openecs.agent.dns.resolver import HostResolver, resolver_folder
from openecs.agent.dns.zones import Zones
from openecs.agent.host.documents import HostDocuments

HERE = "127.0.0.1"


def entry(kind: str, key: str, document: object) -> m.HostEntry:
    return m.HostEntry(kind, key, msgspec.Raw(msgspec.json.encode(document)))


def told(documents: HostDocuments, *addresses: str) -> None:
    """The control plane says that web.app.test has these addresses."""
    name = NameDocument(name="web.app.test", scope="*", a=addresses)
    zone = ZoneDocument(name="app.test", scope="*")
    documents.take(m.HostDocumentsMessage(entries=(entry("zone", "z", zone), entry("name", "n", name))))


def free_port() -> int:
    """A port that nobody gets by chance while a resolver is started again: none of the ephemeral ones."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        stream, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        with stream, datagrams, contextlib.suppress(OSError):
            stream.bind((HERE, port))
            datagrams.bind((HERE, port))
            return port
    raise AssertionError("no port is free")


class Host:
    """One host with its directory and port; agents come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def resolver(self, documents: HostDocuments, node_id: str) -> HostResolver:
        return HostResolver(documents, node_id, self.folder, address=HERE, port=self.port, needs_root=False)

    async def ask(self, *, patience: float = 5) -> list[str]:
        query = dns.message.make_query("web.app.test", "A")
        reply = await dns.asyncquery.udp(query, HERE, timeout=patience, port=self.port)
        return [rdata.address for rrset in reply.answer for rdata in rrset]

    async def until(self, *addresses: str) -> None:
        async with asyncio.timeout(10):
            while True:
                # A query that comes before the socket is there is lost.
                with contextlib.suppress(dns.exception.Timeout):
                    if sorted(await self.ask(patience=0.3)) == sorted(addresses):
                        return
                await asyncio.sleep(0.01)

    @property
    def socket(self) -> Path:
        return resolver_folder(self.folder) / "resolver.sock"

    async def gone(self) -> None:
        # A process that lost the race for the lock, and came to it when the winner had ended, waits for an agent.
        async with asyncio.timeout(EXPECTS_AGENT + 20):
            while self.socket.exists():
                await asyncio.sleep(0.01)

    def process_id(self) -> int:
        """Who listens on the control socket."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.socket))
            return int.from_bytes(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], "little")


@pytest.fixture
def host() -> Iterator[Host]:
    # Paths of sockets must be short, and those of temporary directories of tests are not.
    with tempfile.TemporaryDirectory(prefix="oecs-") as folder:
        yield Host(Path(folder))


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_names_are_answered_from_the_documents_and_follow_them(host: Host) -> None:
    documents = HostDocuments(None)
    told(documents, "10.0.0.1")
    resolver = host.resolver(documents, "node-1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(resolver.run())
        assert await resolver.servers() == (HERE,)
        assert resolver.problem == ""
        await host.until("10.0.0.1")
        told(documents, "10.0.0.2", "10.0.0.3")
        await host.until("10.0.0.2", "10.0.0.3")
        documents.take(m.HostDocumentsMessage(removed=(m.HostKey("name", "n"),)))
        await host.until()
        running.cancel()
    await resolver.leave()
    await host.gone()


async def test_an_interface_of_this_host_says_which_of_two_vpcs_with_one_range_an_asker_is_in(host: Host) -> None:
    documents = HostDocuments(None)

    def interface(vpc: str, node: str = "node-1") -> m.HostEntry:
        return entry("interface", "eni-1", InterfaceDocument(vpc_id=vpc, subnet_id="s", address=HERE, node_id=node))

    for vpc, address in (("vpc-a", "10.0.0.1"), ("vpc-b", "10.0.0.2")):
        known = (
            entry("vpc", vpc, VpcDocument(cidrs=("127.0.0.0/8",), resolver=HERE)),
            entry("zone", vpc, ZoneDocument(name="app.test", scope=vpc)),
            entry("name", vpc, NameDocument(name="web.app.test", scope=vpc, a=(address,))),
        )
        documents.take(m.HostDocumentsMessage(entries=known))
    documents.take(m.HostDocumentsMessage(entries=(interface("vpc-b"),)))
    resolver = host.resolver(documents, "node-1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(resolver.run())
        await resolver.servers()
        await host.until("10.0.0.2")
        documents.take(m.HostDocumentsMessage(entries=(interface("vpc-a"),)))
        await host.until("10.0.0.1")
        documents.take(m.HostDocumentsMessage(entries=(interface("vpc-b"),)))
        await host.until("10.0.0.2")
        # Now it is on another host; here the address means nothing but its range.
        documents.take(m.HostDocumentsMessage(entries=(interface("vpc-b", "node-2"),)))
        await host.until("10.0.0.1")
        await stopped(running)
    await resolver.leave()
    await host.gone()


async def test_names_are_answered_while_the_agent_restarts_and_the_next_one_takes_over(host: Host) -> None:
    documents = HostDocuments(None)
    told(documents, "10.0.0.1")
    first = host.resolver(documents, "node-1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(first.run())
        await first.servers()
        await host.until("10.0.0.1")
        process = host.process_id()
        await stopped(running)
        assert await host.ask() == ["10.0.0.1"]
        told(documents, "10.0.0.9")
        second = host.resolver(documents, "node-1")
        running = group.create_task(second.run())
        await host.until("10.0.0.9")
        assert host.process_id() == process
        await stopped(running)
    await second.leave()
    await host.gone()


async def test_agents_of_one_host_share_it_and_the_last_one_ends_it(host: Host) -> None:
    documents = HostDocuments(None)
    told(documents, "10.0.0.1")
    one, other = host.resolver(documents, "node-1"), host.resolver(documents, "node-2")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(resolver.run()) for resolver in (one, other)]
        assert await one.servers() == await other.servers() == (HERE,)
        await host.until("10.0.0.1")
        await stopped(tasks[0])
        await one.leave()
        assert await host.ask() == ["10.0.0.1"]
        await stopped(tasks[1])
        await other.leave()
        await host.gone()


async def test_a_resolver_that_was_killed_is_started_again(host: Host) -> None:
    documents = HostDocuments(None)
    told(documents, "10.0.0.1")
    resolver = host.resolver(documents, "node-1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(resolver.run())
        await resolver.servers()
        await host.until("10.0.0.1")
        first = host.process_id()
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while not host.socket.exists() or await _pid(host) in (None, first):
                await asyncio.sleep(0.01)
        await host.until("10.0.0.1")
        await stopped(running)
    await resolver.leave()
    await host.gone()


async def _pid(host: Host) -> int | None:
    try:
        return host.process_id()
    except OSError:
        return None


async def test_tasks_keep_the_hosts_servers_where_the_port_is_taken(host: Host) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HERE, host.port))
        resolver = host.resolver(HostDocuments(None), "node-1")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(resolver.run())
            assert await resolver.servers() == ()
            assert f"port {host.port} of {HERE}: Address already in use" in resolver.problem
            await stopped(running)
    await resolver.leave()
    await host.gone()


async def test_without_root_there_is_no_resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    resolver = HostResolver(HostDocuments(None), "node-1", tmp_path)
    await resolver.run()
    assert await resolver.servers("10.0.0.5") == ()
    assert "root" in resolver.problem


async def test_tasks_of_a_vpc_ask_at_its_own_address(tmp_path: Path) -> None:
    documents = HostDocuments(None)
    vpcs = {
        "vpc-a": VpcDocument(cidrs=("10.0.0.0/16",), resolver="10.0.0.2"),
        "vpc-b": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2", dns_support=False),
        "vpc-c": VpcDocument(cidrs=("10.2.0.0/16",), resolver="10.2.0.2"),
    }
    documents.take(m.HostDocumentsMessage(entries=tuple(entry("vpc", key, vpc) for key, vpc in vpcs.items())))
    resolver = HostResolver(documents, "node-1", tmp_path, needs_root=False)
    # Another region's VPC may have the same range, and other settings.
    twin = VpcDocument(cidrs=("10.0.0.0/16",), resolver="10.0.0.2", dns_support=False)
    own = InterfaceDocument(vpc_id="vpc-twin", subnet_id="s", address="10.0.0.6", node_id="node-1")
    documents.take(m.HostDocumentsMessage(entries=(entry("vpc", "vpc-twin", twin), entry("interface", "eni-1", own))))
    resolver._is("", ("169.254.169.253", "10.0.0.2"))
    assert await resolver.servers("10.0.0.6") == ()
    assert await resolver.servers("10.0.0.5") == ("10.0.0.2",)
    assert await resolver.servers("10.1.0.5") == ()  # DNS support is off.
    assert await resolver.servers("10.2.0.5") == ("169.254.169.253",)  # Not on this host yet.
    assert await resolver.servers() == ("169.254.169.253",)


# -- whose documents count -------------------------------------------------------------------------


def message(node: str, address: str, vpc: str = "vpc-a", network: str = "10.0", **more: object) -> Told:
    documents = (
        ("vpc", vpc, VpcDocument(cidrs=(f"{network}.0.0/16",), resolver=f"{network}.0.2")),
        ("zone", f"{vpc}/web", ZoneDocument(name="web", scope=vpc)),
        ("name", f"{vpc}/web", NameDocument(name="web", scope=vpc, a=(address,))),
        ("interface", f"eni-{address}", InterfaceDocument(vpc_id=vpc, subnet_id="subnet-1", address=address)),
    )
    entries = tuple(Entry(kind, key, msgspec.Raw(msgspec.json.encode(d))) for kind, key, d in documents)
    return Told(node=node, all=True, entries=entries, **more)


def found(feed: Feed) -> dict[str, tuple[str, ...]]:
    return {key: document.a for key, document in feed.documents()["name"].items()}


def fed(*messages: Told) -> Feed:
    feed = Feed()
    for one in messages:
        feed.connected(one.node)
        feed.take(one)
    return feed


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (lambda f: None, {"vpc-a/web": ("10.0.0.2",), "vpc-b/web": ("10.0.0.3",)}),
        # One that restarts is heard on only for networks that nobody else knows.
        (lambda f: f.disconnected("two"), {"vpc-a/web": ("10.0.0.1",), "vpc-b/web": ("10.0.0.3",)}),
        (lambda f: f.disconnected("three"), {"vpc-a/web": ("10.0.0.2",), "vpc-b/web": ("10.0.0.3",)}),
        (lambda f: f.take(Told(node="three", leave=True)), {"vpc-a/web": ("10.0.0.2",)}),
    ],
)
def test_what_connected_agents_say_counts_first(then: Callable[[Feed], None], expected: dict) -> None:
    feed = fed(message("one", "10.0.0.1"), message("two", "10.0.0.2"), message("three", "10.0.0.3", "vpc-b"))
    then(feed)
    assert found(feed) == expected


@pytest.mark.parametrize("away", [(), ("one",), ("two",), ("one", "two")])
def test_vpcs_of_one_id_in_two_installations_are_kept_apart(away: tuple[str, ...]) -> None:
    feed = fed(message("one", "10.0.0.5"), message("two", "10.1.0.5", network="10.1"))
    for node in away:
        feed.disconnected(node)
    documents = feed.documents()
    interfaces = {i.address: i.vpc_id for i in documents.pop("interface").values()}
    zones = Zones(documents)
    assert set(zones.resolvers.values()) == {"10.0.0.2", "10.1.0.2"}
    for address, vpc_id in interfaces.items():
        assert zones.scope(address) == vpc_id
        assert zones.find("web", vpc_id).name.a == (address,)


def test_a_feed_is_empty_when_all_have_left() -> None:
    feed = fed(message("one", "10.0.0.1"))
    feed.disconnected("one")
    assert not feed.empty
    feed.take(Told(node="one", leave=True))
    assert feed.empty


def test_documents_that_cannot_be_read_change_nothing() -> None:
    feed = fed(message("one", "10.0.0.1"))
    with pytest.raises(msgspec.DecodeError):
        feed.take(Told(node="one", all=True, entries=(Entry("name", "x", msgspec.Raw(b'{"name":3}')),)))
    assert found(feed) == {"vpc-a/web": ("10.0.0.1",)}


async def test_a_resolver_that_no_agent_comes_to_ends(host: Host) -> None:
    folder = resolver_folder(host.folder)
    folder.mkdir(parents=True)
    process = ResolverProcess(folder, address=HERE, port=host.port, expects_agent=0.01)
    async with asyncio.timeout(10):
        await process.run()
    assert not host.socket.exists()


async def test_a_host_that_itself_asks_at_the_resolvers_address_keeps_it(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {HERE}\n")
    monkeypatch.setattr("openecs.agent.dns.resolver.RESOLV_CONF", conf)
    resolver = host.resolver(HostDocuments(None), "node-1")
    await resolver.run()
    assert await resolver.servers() == ()
    assert resolver.problem == f"this host itself uses the name server {HERE}"
