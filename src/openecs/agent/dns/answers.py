"""What a query gets: bytes to send back, or what to ask another server.  No I/O.

Most queries repeat: the reply to a message is kept, without its id, in as many variants as there
are orders of its records, until documents change.  So the hot path is two look-ups.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable
from typing import NamedTuple

from openecs.acs.host_documents import NameDocument, ZoneDocument
from openecs.agent.dns import packet
from openecs.agent.dns.packet import Query
from openecs.agent.dns.zones import Found, Zones

#: Values of a name in one answer, as of Route 53.
MAX_VALUES = 8
#: Replies that are kept, and orders of one reply.
KEPT_REPLIES, KEPT_ORDERS = 8192, 64
#: CNAMEs that are followed among our own names.
MAX_CHAIN = 8


class Forward(NamedTuple):
    """Somebody else knows: send ``message`` on as it is, or ask for ``target`` after ``chain``."""

    query: Query
    message: bytes
    #: Records of ours that come before what the other server answers.
    chain: tuple[bytes, ...] = ()
    #: The name to ask for instead, in wire form.
    target: bytes | None = None


class Answers:
    """Replies from the zones."""

    def __init__(self, zones: Zones, choose: random.Random | None = None) -> None:
        self._choose = choose or random.Random()  # noqa: S311 -- an order, no secret
        self._udp: dict[tuple[str, bytes], list[bytes]] = {}
        self._scopes: dict[str, str] = {}
        self.zones = zones
        self._turn = 0

    def replace(self, zones: Zones) -> None:
        """Answer from these zones from now on."""
        self.zones = zones
        self._udp.clear()
        self._scopes.clear()

    def udp(self, message: bytes, asker: str) -> bytes | Forward | None:
        """The reply to a UDP message; ``None`` for none."""
        scope = self._scopes.get(asker)
        if scope is None:
            scope = self._scope(asker)
        kept = self._udp.get((scope, message[2:]))
        if kept is not None:
            self._turn = turn = self._turn + 1
            return message[:2] + kept[turn % len(kept)]
        return self._look_up(message, scope)

    def tcp(self, message: bytes, asker: str) -> bytes | Forward | None:
        """The reply to a message that came over TCP, whatever its length."""
        query = packet.read_query(message)
        if not isinstance(query, Query):
            return query.reply if query is not None else None
        answered = self._answer(query, message, self._scope(asker))
        return answered if isinstance(answered, Forward) else packet.write(query, *answered[0])

    def _scope(self, asker: str) -> str:
        scope = self._scopes.get(asker)
        if scope is None:
            if len(self._scopes) >= KEPT_REPLIES:
                self._scopes.clear()
            scope = self._scopes[asker] = self.zones.scope(asker)
        return scope

    def _look_up(self, message: bytes, scope: str) -> bytes | Forward | None:
        query = packet.read_query(message)
        if not isinstance(query, Query):
            return query.reply if query is not None else None
        answered = self._answer(query, message, scope)
        if isinstance(answered, Forward):
            return answered
        limit = packet.udp_limit(query)
        replies = [packet.write(query, *variant, limit=limit) for variant in answered]
        if len(self._udp) >= KEPT_REPLIES:
            self._udp.clear()
        self._udp[scope, message[2:]] = [reply[2:] for reply in replies]
        return self._choose.choice(replies)

    def _answer(self, query: Query, message: bytes, scope: str) -> list[_Reply] | Forward:
        """All orders of the reply's records, at least one."""
        if query.cls != packet.IN:
            return [_Reply(packet.REFUSED)]
        chain: list[bytes] = []
        owner, name = packet.QUESTION_NAME, query.name
        for _ in range(MAX_CHAIN):
            found = self.zones.find(name, scope)
            if found is None:
                address = self.zones.host_name(name, scope) or self._reverse(query, name)
                if address is not None:
                    data = _reverse_data(address) if query.type == packet.PTR else ipaddress.IPv4Address(address).packed
                    kinds = (packet.PTR,) if query.type == packet.PTR else (packet.A, packet.ANY)
                    records = (packet.record(owner, kinds[0], 60, data),) if query.type in kinds else ()
                    return [_Reply(packet.NOERROR, (*chain, *records))]
                return Forward(query, message, tuple(chain), packet.name_bytes(name) if chain else None)
            if found.name is None or found.name.cname is None or query.type == packet.CNAME:
                return self._of_name(query, found, owner, chain, scope)
            target = packet.name_bytes(found.name.cname)
            chain.append(packet.record(owner, packet.CNAME, found.name.ttl, target))
            owner, name = target, found.name.cname.lower().rstrip(".")
        return [_Reply(packet.SERVFAIL)]

    def _of_name(self, query: Query, found: Found, owner: bytes, chain: list[bytes], scope: str) -> list[_Reply]:
        """The orders of a name's records, or that there are none."""
        sets = list(self._sets(query, found, owner, scope))
        if not sets:
            authority = (_soa(found.zone),) if found.zone else ()
            code = packet.NOERROR if found.exists or chain else packet.NXDOMAIN
            return [_Reply(code, tuple(chain), authority)]
        weighted = found.name is not None and found.name.routing == "weighted"
        longest = max(len(records) for records in sets)
        return [
            _Reply(packet.NOERROR, (*chain, *(r for records in sets for r in _turned(records, start, weighted))))
            for start in self._starts(longest)
        ]

    def _starts(self, count: int) -> Iterable[int]:
        if count <= KEPT_ORDERS:
            return range(count)
        return self._choose.sample(range(count), KEPT_ORDERS)

    def _sets(self, query: Query, found: Found, owner: bytes, scope: str) -> Iterable[list[bytes]]:
        """The records of each type that was asked for."""
        everything = query.type == packet.ANY
        zone, name = found.zone, found.name
        if zone is not None and zone.name.lower() == query.name:
            apex = packet.name_bytes(zone.name)
            if everything or query.type == packet.SOA:
                yield [packet.record(owner, packet.SOA, 900, packet.soa_data(apex, zone.soa_ttl))]
            if everything or query.type == packet.NS:
                yield [packet.record(owner, packet.NS, 900, b"\x02ns" + apex)]
        if name is None:
            return
        if everything or query.type == packet.A:
            addresses = (*name.a, *self._aliased(name, scope))
            if addresses:
                yield [packet.record(owner, packet.A, name.ttl, ipaddress.IPv4Address(a).packed) for a in addresses]
        if (everything or query.type == packet.AAAA) and name.aaaa:
            yield [packet.record(owner, packet.AAAA, name.ttl, ipaddress.IPv6Address(a).packed) for a in name.aaaa]
        if (everything or query.type == packet.SRV) and name.srv:
            yield [
                packet.record(
                    owner,
                    packet.SRV,
                    name.ttl,
                    packet.srv_data(s.priority, s.weight, s.port, packet.name_bytes(s.target)),
                )
                for s in name.srv
            ]
        if (everything or query.type == packet.CNAME) and name.cname is not None:
            yield [packet.record(owner, packet.CNAME, name.ttl, packet.name_bytes(name.cname))]

    def _aliased(self, name: NameDocument, scope: str) -> Iterable[str]:
        """The addresses of other names of ours that this one stands for."""
        for alias in name.aliases:
            found = self.zones.find(alias, scope)
            if found is not None and found.name is not None:
                yield from found.name.a

    def _reverse(self, query: Query, name: str) -> str | None:
        """The address that a reverse look-up asks for, when it is one of a VPC."""
        if query.type != packet.PTR or not name.endswith(".in-addr.arpa"):
            return None
        address = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
        return address if self.zones.scope(address) else None


class _Reply(NamedTuple):
    """The arguments of ``packet.write`` after the query."""

    code: int
    answers: tuple[bytes, ...] = ()
    authority: tuple[bytes, ...] = ()


def _turned(records: list[bytes], start: int, weighted: bool) -> list[bytes]:  # noqa: FBT001
    """One of the records, or up to eight of them, beginning with another one each time."""
    first = start % len(records)
    turned = records[first:] + records[:first]
    return turned[: 1 if weighted else MAX_VALUES]


def _soa(zone: ZoneDocument) -> bytes:
    """The SOA record that says how long "nothing there" may be remembered."""
    apex = packet.name_bytes(zone.name)
    return packet.record(apex, packet.SOA, zone.soa_ttl, packet.soa_data(apex, zone.soa_ttl))


def _reverse_data(address: str) -> bytes:
    return packet.name_bytes(f"ip-{address.replace('.', '-')}.ec2.internal")
