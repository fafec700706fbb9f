"""The resolver over real sockets on loopback, with name servers of our own behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from openecs.acs.host_documents import NameDocument, ZoneDocument
from openecs.agent.dns.answers import Answers
from openecs.agent.dns.server import DnsServer
from openecs.agent.dns.upstream import Upstream, name_servers
from openecs.agent.dns.zones import Zones
from openecs.agent.network import vicinity

HERE = "127.0.0.1"


def free_port() -> int:
    """A port that is free for TCP, and most likely for UDP."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port: int = probe.getsockname()[1]
        return port


class Elsewhere(asyncio.DatagramProtocol):
    """Another name server: answers as its script says; silent for what is not in it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.script: dict[str, Callable[[dns.message.Message, bool], bytes | None]] = {}

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        reply = self._reply(data, tcp=False)
        if reply is not None:
            self._transport.sendto(reply, addr)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        reply = self._reply(data, tcp=True)
        if reply is not None:
            writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()

    def _reply(self, data: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        return self.script.get(name, lambda *_: None)(query, tcp)

    def answers(self, name: str, *addresses: str, cut: bool = False) -> None:
        def script(query: dns.message.Message, tcp: bool) -> bytes:
            reply = dns.message.make_response(query)
            if cut and not tcp:
                reply.flags |= dns.flags.TC
            else:
                rrset = reply.find_rrset(reply.answer, query.question[0].name, 1, 1, create=True)
                for address in addresses:
                    rrset.add(dns.rdata.from_text("IN", "A", address), 30)
            return reply.to_wire()

        self.script[name] = script


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    server = Elsewhere()
    server.port = free_port()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=(HERE, server.port))
    stream = await asyncio.start_server(server.serve_stream, HERE, server.port)
    yield server
    transport.close()
    stream.close()


Ask = Callable[..., Awaitable[dns.message.Message]]


@pytest.fixture
async def ask(elsewhere: Elsewhere, tmp_path: Path) -> AsyncIterator[Ask]:
    documents = {
        "zone": {"z": ZoneDocument(name="app.test", scope="*")},
        "name": {
            "n": NameDocument(name="web.app.test", scope="*", a=("10.0.0.5",)),
            "c": NameDocument(name="out.app.test", scope="*", cnames=("www.example.org",)),
        },
    }
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"search example.org\nnameserver 127.0.0.9\nnameserver {HERE}\n")
    upstream = Upstream(lambda: frozenset({"127.0.0.9"}), resolv_conf=conf, port=elsewhere.port, patience=0.5)
    server = DnsServer(Answers(Zones(documents), vicinity.is_here), upstream, port=free_port())
    assert await server.listen({HERE}) == {}

    async def query(name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
        how = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await how(dns.message.make_query(name, kind), HERE, timeout=5, port=server._port)

    query.server = server
    query.conf = conf
    yield query
    server.close()


def values(reply: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in reply.answer for rdata in rrset]


@pytest.mark.parametrize("tcp", [False, True])
async def test_own_names_over_udp_and_tcp(ask: Ask, elsewhere: Elsewhere, tcp: bool) -> None:
    assert values(await ask("web.app.test", tcp=tcp)) == ["10.0.0.5"]
    assert (await ask("nope.app.test", tcp=tcp)).rcode() == dns.rcode.NXDOMAIN
    assert elsewhere.asked == []


@pytest.mark.parametrize("tcp", [False, True])
async def test_everything_else_is_asked_of_the_hosts_servers(ask: Ask, elsewhere: Elsewhere, tcp: bool) -> None:
    elsewhere.answers("www.example.org", "192.0.2.1", "192.0.2.2")
    assert sorted(values(await ask("www.example.org", tcp=tcp))) == ["192.0.2.1", "192.0.2.2"]


async def test_a_cname_that_leads_elsewhere_is_followed(ask: Ask, elsewhere: Elsewhere) -> None:
    elsewhere.answers("www.example.org", "192.0.2.1")
    assert values(await ask("out.app.test")) == ["www.example.org.", "192.0.2.1"]


async def test_a_cut_off_answer_is_fetched_whole_behind_a_cname(ask: Ask, elsewhere: Elsewhere) -> None:
    elsewhere.answers("www.example.org", "192.0.2.1", cut=True)
    assert values(await ask("out.app.test")) == ["www.example.org.", "192.0.2.1"]


async def test_a_cut_off_answer_is_told_to_the_asker_who_comes_again(ask: Ask, elsewhere: Elsewhere) -> None:
    elsewhere.answers("www.example.org", "192.0.2.1", cut=True)
    assert (await ask("www.example.org")).flags & dns.flags.TC
    assert values(await ask("www.example.org", tcp=True)) == ["192.0.2.1"]


async def test_a_server_that_is_silent_is_no_answer(ask: Ask) -> None:
    assert (await ask("silent.example.org")).rcode() == dns.rcode.SERVFAIL


async def test_the_next_server_is_asked_when_one_does_not_answer(ask: Ask, elsewhere: Elsewhere) -> None:
    # Nothing listens on 127.0.0.7; the file is read again when it changes.
    ask.conf.write_text(f"nameserver 127.0.0.7\nnameserver {HERE}\n# longer\n")
    elsewhere.answers("www.example.org", "192.0.2.1")
    assert values(await ask("www.example.org")) == ["192.0.2.1"]


async def test_nobody_left_to_ask(ask: Ask) -> None:
    ask.conf.write_text("nameserver 127.0.0.9\n# only this resolver itself\n")
    assert (await ask("www.example.org")).rcode() == dns.rcode.SERVFAIL


async def test_answers_to_other_questions_are_not_believed(ask: Ask, elsewhere: Elsewhere) -> None:
    def forged(query: dns.message.Message, tcp: bool) -> bytes:
        return dns.message.make_response(dns.message.make_query("bank.example.org", "A", id=query.id)).to_wire()

    elsewhere.script["www.example.org"] = forged
    assert (await ask("www.example.org")).rcode() == dns.rcode.SERVFAIL


async def test_rubbish_is_answered_or_dropped_and_the_next_query_gets_its_answer(ask: Ask) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rude:
        for message in (b"", b"\0", b"\0" * 12, b"\xff" * 600, struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c"):
            rude.sendto(message, (HERE, ask.server._port))
    assert values(await ask("web.app.test")) == ["10.0.0.5"]


async def test_several_queries_on_one_connection_and_one_cut_short(ask: Ask) -> None:
    port = ask.server._port
    reader, writer = await asyncio.open_connection(HERE, port)
    wire = dns.message.make_query("web.app.test", "A").to_wire()
    writer.write((len(wire).to_bytes(2, "big") + wire) * 2)
    for _ in range(2):
        length = int.from_bytes(await reader.readexactly(2), "big")
        assert values(dns.message.from_wire(await reader.readexactly(length))) == ["10.0.0.5"]
    writer.write(b"\0\x20abc")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert values(await ask("web.app.test", tcp=True)) == ["10.0.0.5"]


async def test_addresses_come_and_go(ask: Ask) -> None:
    server: DnsServer = ask.server
    assert await server.listen({HERE, "127.0.0.2"}) == {}
    assert server.addresses == {HERE, "127.0.0.2"}
    await server.listen({HERE})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.3", server._port))
        problems = await server.listen({HERE, "127.0.0.3"})
    assert problems == {"127.0.0.3": f"port {server._port} of 127.0.0.3: Address already in use"}
    assert server.addresses == {HERE}


def test_the_hosts_configuration() -> None:
    text = "# x\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver 10.0.0.1\nsearch a\n"
    assert name_servers(text) == ("10.0.0.1", "fe80::1%eth0")
    assert name_servers("") == ("127.0.0.1",)
