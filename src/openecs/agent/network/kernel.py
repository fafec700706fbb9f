"""What the kernel says of this host's interfaces, addresses and routes, and word of what changes there.

It is asked over its routing socket, which takes microseconds and no privileges, where a call of
``ip`` takes milliseconds.  Everything is about the network namespace of the calling thread.  All
functions but ``routes`` raise ``OSError``.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from typing import NamedTuple

from openecs.agent.network import netlink
from openecs.agent.network.netlink import DUMP, REQUEST

ROUTES = "/proc/net/route"
_GET_LINK, _GET_ADDRESS, _GET_ROUTE = 18, 22, 26
#: Attributes of links and of their kind, of addresses, of routes.
_NAME, _MASTER, _LINK_INFO, _KIND = 3, 10, 18, 1
_OWN = 2
_DESTINATION, _DEVICE, _GATEWAY, _METRIC = 1, 4, 5, 6
#: The type of routes to the host itself, and the wish to see the route itself.
_LOCAL, _FIB_MATCH = 2, 0x2000
#: Groups of messages: changed IPv4 addresses and routes.
_ADDRESSES, _ROUTES = 0x10, 0x40
_LINK, _NUMBER = struct.Struct("=BxHiII"), struct.Struct("=I")
#: Bytes before the attributes of addresses and routes.
_ADDRESS_BODY, _ROUTE_BODY = 8, 12


class Route(NamedTuple):
    """One route of the main table."""

    network: ipaddress.IPv4Network
    interface: str
    metric: int = 0


class Way(NamedTuple):
    """Where the host would send a packet, and by which route."""

    #: To itself.
    local: bool
    #: Number of the interface by which it leaves; 0 without.
    device: int
    #: Whether somebody else hands it on.
    handed_on: bool
    #: Whether the route is for this one address.
    exact: bool
    metric: int


class Link(NamedTuple):
    """A network interface."""

    number: int
    name: str
    #: Like ``bridge`` or ``veth``; empty for what is no virtual device of the kernel.
    kind: str


def routes(text: str) -> list[Route]:
    """The routes in ``/proc/net/route``: numbers there are in the byte order of the host."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (struct.pack("=I", int(fields[column], 16)) for column in (1, 7))
        prefix = int.from_bytes(mask, "big").bit_count()
        found.append(Route(ipaddress.IPv4Network((address, prefix)), fields[0], int(fields[6])))
    return found


def way_to(address: str) -> Way:
    """Where this host would send a packet for an IPv4 address.  ``OSError`` when nowhere."""
    question = struct.pack("=8BI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, _FIB_MATCH)
    body = _one(_GET_ROUTE, question + netlink.attribute(_DESTINATION, socket.inet_aton(address)))
    found = dict(netlink.attributes(body[_ROUTE_BODY:]))
    return Way(
        local=body[7] == _LOCAL,
        device=_number(found.get(_DEVICE)),
        handed_on=_GATEWAY in found,
        exact=body[1] == 32,
        metric=_number(found.get(_METRIC)),
    )


def is_local(address: str) -> bool:
    """Whether an IPv4 address is this host's own."""
    try:
        return way_to(address).local
    except OSError:
        return False


def addresses() -> frozenset[str]:
    """All IPv4 addresses of this host."""
    question = struct.pack("=4BI", socket.AF_INET, 0, 0, 0, 0)
    found = (dict(netlink.attributes(body[_ADDRESS_BODY:])) for body in _all(_GET_ADDRESS, question))
    return frozenset(socket.inet_ntoa(one[_OWN]) for one in found if _OWN in one)


def link(number: int) -> Link:
    """The interface with that number."""
    return _link(_one(_GET_LINK, _LINK.pack(socket.AF_UNSPEC, 0, number, 0, 0)))[0]


def links(kind: str = "", master: int = 0) -> list[Link]:
    """The interfaces of a kind, or those that are ports of a bridge."""
    question = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    # The kernel sends fewer when it is told; one that cannot sends all.
    if kind:
        question += netlink.attribute(_LINK_INFO, netlink.attribute(_KIND, kind.encode()))
    if master:
        question += netlink.attribute(_MASTER, _NUMBER.pack(master))
    found = [_link(body) for body in _all(_GET_LINK, question)]
    return [one for one, above in found if kind in ("", one.kind) and master in (0, above)]


def changes() -> socket.socket:
    """A socket that becomes readable when IPv4 addresses or routes change.  Not blocking."""
    listener = netlink.connect(socket.NETLINK_ROUTE, _ADDRESSES | _ROUTES)
    listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    return listener


def drain(listener: socket.socket) -> None:
    """Throw away what has been told; also that more was to be told than there was room for."""
    while True:
        try:
            listener.recv(netlink.BUFFER)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return


def _one(kind: int, question: bytes) -> bytes:
    """The answer to a question that has one."""
    with netlink.connect(socket.NETLINK_ROUTE) as kernel:
        kernel.send(netlink.message(kind, REQUEST, question))
        return next(netlink.answers(kernel))


def _all(kind: int, question: bytes) -> list[bytes]:
    """The answers to a question that has many."""
    with netlink.connect(socket.NETLINK_ROUTE) as kernel:
        kernel.send(netlink.message(kind, REQUEST | DUMP, question))
        return list(netlink.answers(kernel))


def _link(body: bytes) -> tuple[Link, int]:
    """The interface that a message is about, and the number of the one that it is a port of."""
    found = dict(netlink.attributes(body[_LINK.size :]))
    kind = dict(netlink.attributes(found.get(_LINK_INFO, b""))).get(_KIND, b"")
    return Link(_LINK.unpack_from(body)[2], _text(found.get(_NAME, b"")), _text(kind)), _number(found.get(_MASTER))


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(_NUMBER.unpack(value)[0])


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
