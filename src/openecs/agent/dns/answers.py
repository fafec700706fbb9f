"""What a query gets: bytes to send back, or what to ask another server.  No I/O.

Only who is on this host is answered; to others everything is REFUSED, also what another server
would know.  Most queries repeat: the reply to a message is kept, without its id, in as many variants
as there are orders of its records, until documents change.  So the hot path is two look-ups.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from openecs.acs.host_documents import NameDocument, ZoneDocument
from openecs.agent.dns import packet
from openecs.agent.dns.packet import Query
from openecs.agent.dns.zones import Found, Zones

#: Values of a name in one answer, as of Route 53.
MAX_VALUES = 8
#: Replies that are kept, and orders of one reply.
KEPT_REPLIES, KEPT_ORDERS = 8192, 64
#: Bytes of all kept queries with their replies, and of one with its orders.
KEPT_BYTES, LARGEST_KEPT = 16 * 1024 * 1024, 256 * 1024
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
    """Replies from the zones.  ``is_here`` tells of an asker's address whether it is on this host."""

    def __init__(self, zones: Zones, is_here: Callable[[str], bool], choose: random.Random | None = None) -> None:
        self._is_here = is_here
        self._choose = choose or random.Random()  # noqa: S311 -- an order, no secret
        self._udp: dict[tuple[str, bytes], list[bytes]] = {}
        #: Asker on this host → scope.  Nobody else fills it.
        self._scopes: dict[str, str] = {}
        #: Bytes of queries and replies in ``_udp``.
        self._kept_bytes = 0
        self.zones = zones
        #: Address of an interface of this host → its VPC.  VPCs may have the same addresses.
        self._interfaces: Mapping[str, str] = {}
        self._turn = 0

    def replace(self, zones: Zones, interfaces: Mapping[str, str]) -> None:
        """Answer from these zones from now on; ``interfaces``: address of each interface of this host → its VPC."""
        if zones is not self.zones:
            self.zones = zones
            self._udp.clear()
            self._kept_bytes = 0
        self._interfaces = interfaces
        self._scopes.clear()

    def forget_askers(self) -> None:
        """Who is on this host may have changed."""
        self._scopes.clear()

    def udp(self, message: bytes, asker: str) -> bytes | Forward | None:
        """The reply to a UDP message; ``None`` for none."""
        scope = self._scopes.get(asker)
        if scope is None:
            scope = self._scope(asker)
            if scope is None:
                return _refusal(message)
        kept = self._udp.get((scope, message[2:]))
        if kept is not None:
            self._turn = turn = self._turn + 1
            return message[:2] + kept[turn % len(kept)]
        return self._look_up(message, scope)

    def tcp(self, message: bytes, asker: str) -> bytes | Forward | None:
        """The reply to a message that came over TCP, whatever its length."""
        scope = self._scope(asker)
        if scope is None:
            return _refusal(message)
        query = packet.read_query(message)
        if not isinstance(query, Query):
            return query.reply if query is not None else None
        answered = self._answer(query, message, scope)
        return answered if isinstance(answered, Forward) else packet.write(query, *answered[0])

    def _scope(self, asker: str) -> str | None:
        """What an asker sees; ``None`` for those who are not on this host."""
        scope = self._scopes.get(asker)
        if scope is None and self._is_here(asker):
            if len(self._scopes) >= KEPT_REPLIES:
                self._scopes.clear()
            scope = self._scopes[asker] = self._interfaces.get(asker) or self.zones.scope(asker)
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
        self._keep(scope, message, replies)
        return self._choose.choice(replies)

    def _keep(self, scope: str, message: bytes, replies: list[bytes]) -> None:
        size = len(message) + sum(map(len, replies))
        if size > LARGEST_KEPT:
            return
        if len(self._udp) >= KEPT_REPLIES or self._kept_bytes + size > KEPT_BYTES:
            self._udp.clear()
            self._kept_bytes = 0
        self._kept_bytes += size
        self._udp[scope, message[2:]] = [reply[2:] for reply in replies]

    def _answer(self, query: Query, message: bytes, scope: str) -> list[_Reply] | Forward:
        """All orders of the reply's records, at least one."""
        if query.cls != packet.IN:
            return [_Reply(packet.REFUSED)]
        try:
            return self._at(query, message, scope, packet.QUESTION_NAME, query.name, ())
        except packet.PacketError:
            # A record whose name cannot be written spoils its own name only.
            return [_Reply(packet.SERVFAIL)]

    def _at(
        self, query: Query, message: bytes, scope: str, owner: bytes, name: str, chain: tuple[bytes, ...]
    ) -> list[_Reply] | Forward:
        """The same for a name that ``chain`` has led to; ``owner`` is the name in wire form."""
        found = self.zones.find(name, scope)
        if found is None:
            made_up = self._made_up(query, owner, name, scope)
            if made_up is not None:
                return [_Reply(packet.NOERROR, (*chain, *made_up))]
            return Forward(query, message, chain, owner if chain else None)
        if found.name is None or not found.name.cnames or query.type == packet.CNAME:
            return self._of_name(query, found, owner, chain, scope)
        if len(chain) >= MAX_CHAIN:
            return [_Reply(packet.SERVFAIL)]
        variants: list[_Reply] = []
        # Only the first name's are all followed: names that lead to each other would multiply.
        followed = min(len(found.name.cnames), 1 if chain else KEPT_ORDERS)
        for other in self._choose.sample(found.name.cnames, followed):
            target = packet.name_bytes(other)
            link = packet.record(owner, packet.CNAME, found.name.ttl, target)
            answered = self._at(query, message, scope, target, other.lower().rstrip("."), (*chain, link))
            if isinstance(answered, Forward):
                return answered
            variants += answered
        return variants

    def _made_up(self, query: Query, owner: bytes, name: str, scope: str) -> tuple[bytes, ...] | None:
        """The records of a name that says an address, or of an address; ``None`` for other names."""
        address = self.zones.host_name(name, scope)
        if address is not None:
            wanted = query.type in (packet.A, packet.ANY)
            return (packet.record(owner, packet.A, 60, ipaddress.IPv4Address(address).packed),) if wanted else ()
        address = self._reverse(query, name)
        return None if address is None else (packet.record(owner, packet.PTR, 60, _reverse_data(address)),)

    def _of_name(self, query: Query, found: Found, owner: bytes, chain: tuple[bytes, ...], scope: str) -> list[_Reply]:
        """The orders of a name's records, or that there are none."""
        sets = list(self._sets(query, found, owner, scope))
        if not sets:
            authority = (_soa(found.zone),) if found.zone else ()
            code = packet.NOERROR if found.exists or chain else packet.NXDOMAIN
            return [_Reply(code, chain, authority)]
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
        if (everything or query.type == packet.CNAME) and name.cnames:
            yield [packet.record(owner, packet.CNAME, name.ttl, packet.name_bytes(other)) for other in name.cnames]

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


def _refusal(message: bytes) -> bytes | None:
    query = packet.read_query(message)
    return packet.write(query, packet.REFUSED) if isinstance(query, Query) else None


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
