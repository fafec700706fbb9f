"""The kernel's memory of UDP flows that it sends to targets: read it, and make it forget some.

Speaks ctnetlink with the namespace of the calling thread.  Only flows with a mark are ours.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import NamedTuple

from openecs.agent.network import netlink
from openecs.agent.network.netlink import ACK, DUMP, REQUEST

_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102
#: Attributes of a flow, and of the tuples in it.
_ORIGINAL, _REPLY, _TIMEOUT, _MARK, _ID = 1, 2, 7, 8, 12
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SOURCE, _IP_DESTINATION = 1, 2
_PROTO_NUMBER, _PROTO_SOURCE, _PROTO_DESTINATION = 1, 2, 3
_NESTED = 0x8000
#: Family, version and a number that is not used.
_IPV4 = bytes((socket.AF_INET, 0, 0, 0))
#: What errors of the kernel are about.
_ABOUT = "the kernel's memory of flows"
#: Seconds for an answer of the kernel: whoever waits holds up others.
_PATIENCE = 5.0


class Flow(NamedTuple):
    """One flow of datagrams between a client and a target."""

    mark: int
    #: Where the client sends to: address and port.
    listener: tuple[str, int]
    #: Where it is sent.
    target: tuple[str, int]
    #: Seconds until it is forgotten unless another datagram comes.
    left: int
    #: What names it to the kernel.
    name: bytes


def flows() -> list[Flow]:
    """The UDP flows with a mark.  Raises ``OSError``."""
    with _open() as kernel:
        kernel.send(netlink.message(_GET, REQUEST | DUMP, _IPV4))
        return [flow for body in netlink.answers(kernel, _ABOUT) if (flow := parse(body)) is not None]


def forget(gone: Iterable[Flow]) -> None:
    """Have the kernel forget flows; one that it has forgotten by itself is no error.  Raises ``OSError``."""
    with _open() as kernel:
        for flow in gone:
            kernel.send(netlink.message(_DELETE, REQUEST | ACK, _IPV4 + flow.name))
            try:
                for _ in netlink.answers(kernel, _ABOUT):
                    pass
            except FileNotFoundError:
                continue


def parse(body: bytes) -> Flow | None:
    """A flow as ctnetlink tells it, without its header; ``None``: not UDP over IPv4, or not ours."""
    found = dict(netlink.attributes(body[4:]))
    mark = int.from_bytes(found.get(_MARK, b""))
    original, reply = found.get(_ORIGINAL), found.get(_REPLY)
    if body[0] != socket.AF_INET or not mark or original is None or reply is None:
        return None
    there, back = _ends(original), _ends(reply)
    if there is None or back is None:
        return None
    name = netlink.attribute(_ORIGINAL | _NESTED, original)
    if _ID in found:
        # Without it another flow of the same client could be meant, which came in the meantime.
        name += netlink.attribute(_ID, found[_ID])
    # What answers is where it was sent.
    return Flow(mark, there[1], back[0], int.from_bytes(found.get(_TIMEOUT, b"")), name)


def _ends(content: bytes) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """Source and destination of a tuple of UDP."""
    parts = dict(netlink.attributes(content))
    addresses = dict(netlink.attributes(parts.get(_TUPLE_IP, b"")))
    ports = dict(netlink.attributes(parts.get(_TUPLE_PROTO, b"")))
    if ports.get(_PROTO_NUMBER, b"")[:1] != bytes((socket.IPPROTO_UDP,)):
        return None
    source, destination = addresses.get(_IP_SOURCE), addresses.get(_IP_DESTINATION)
    if source is None or destination is None:
        return None
    return (
        (socket.inet_ntoa(source), int.from_bytes(ports.get(_PROTO_SOURCE, b""))),
        (socket.inet_ntoa(destination), int.from_bytes(ports.get(_PROTO_DESTINATION, b""))),
    )


def _open() -> socket.socket:
    kernel = netlink.connect(_NETFILTER)
    kernel.settimeout(_PATIENCE)
    return kernel
