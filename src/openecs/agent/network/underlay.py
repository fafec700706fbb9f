"""The network under the tasks': this host's own address, and what it knows of its interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from openecs.agent.network import kernel

#: Somewhere that only a default route leads to (RFC 5737).  Nothing is ever sent there.
ELSEWHERE = "192.0.2.1"
_SIOCGIFADDR = 0x8915
#: Bytes of the largest packet where it cannot be found out.
MTU = 1500


def host_address(control_plane: Iterable[str]) -> str | None:
    """The address of this host that others reach: the one that speaks to the control plane's addresses.

    With the control plane on this very host, the one of the default route; ``None`` when the
    host has no network at all.
    """
    for target in (*control_plane, ELSEWHERE):
        found = _source(target)
        if found is not None and not ipaddress.IPv4Address(found).is_loopback:
            return found
    return None


def mtu(address: str) -> int | None:
    """Bytes of the largest packet of the interface that has the address; ``None`` when none has."""
    for _, name in socket.if_nameindex():
        if _address_of(name) == address:
            with contextlib.suppress(OSError, ValueError):
                return int(Path(f"/sys/class/net/{name}/mtu").read_text())
    return None


def local_addresses() -> frozenset[str]:
    """All addresses of this host; none when the kernel does not tell."""
    try:
        return kernel.addresses()
    except OSError:
        return frozenset()


def routes() -> list[kernel.Route]:
    """All routes of this host."""
    try:
        return kernel.routes(Path(kernel.ROUTES).read_text())
    except OSError:
        return []


async def endpoints(url: str) -> frozenset[tuple[str, int]]:
    """Addresses and port of the control plane, as far as containers could reach them."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(parts.hostname, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(
        (str(address[0]), port) for *_, address in found if not ipaddress.ip_address(address[0]).is_loopback
    )


def _source(target: str) -> str | None:
    """The address from which this host would speak to a target."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((target, 9))
        return str(probe.getsockname()[0])
    return None


def _address_of(name: str) -> str | None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(reply[20:24])
    return None
