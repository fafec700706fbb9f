"""The ports at which this host serves listeners to those who are not in the VPC.

Each listener has one on the edge address (by default the loopback: for the browser of a laptop).
It is the listener's own port where that is free, else the next free one from 20,000 up.  A port
that was given stays the listener's as long as it can, over restarts of everything.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from openecs.acs.host_documents import BalancerDocument
from openecs.agent.edge.datagram_rules import has_udp

FIRST_PORT, LAST_PORT = 20_000, 32_000


class Wish(NamedTuple):
    """A listener that is to have an endpoint."""

    arn: str
    port: int
    udp: bool
    tcp: bool = True


def wishes(balancer: BalancerDocument, edge_address: str) -> list[Wish]:
    """The listeners that are served on the edge address.

    On an address that others reach, only those of load balancers that face the internet.
    """
    if balancer.scheme == "internal" and not ipaddress.ip_address(edge_address).is_loopback:
        return []
    return [
        Wish(listener.arn, listener.port, udp=has_udp(listener), tcp=listener.protocol != "UDP")
        for listener in balancer.listeners
    ]


class Endpoints:
    """Listener → port.  ``held`` in ``choose`` are those at which our own Envoy listens now."""

    def __init__(
        self, file: Path, edge_address: str, *, is_free: Callable[[str, int, bool], bool] | None = None
    ) -> None:
        self.edge_address = edge_address
        self._file = file
        self._is_free = is_free or port_is_free
        self._ports: dict[str, int] = {}
        self._wishes: dict[str, Wish] = {}
        with contextlib.suppress(OSError, msgspec.DecodeError):
            # Without what was remembered the ports are chosen anew.
            self._ports = msgspec.json.decode(file.read_bytes(), type=dict[str, int])

    @property
    def remembered(self) -> Mapping[str, int]:
        """Listener → the port that it was given last."""
        return self._ports

    def choose(self, wanted: Iterable[Wish], held: Iterable[int]) -> dict[str, int]:
        """The port of each listener; a listener for which none is free has none.  Remembers them.

        Raises ``OSError`` when they cannot be written down.
        """
        wanted = list(wanted)
        held = frozenset(held)
        chosen: dict[str, int] = {}
        taken: set[int] = set()
        for wish in wanted:
            port = self._ports.get(wish.arn)
            before = self._wishes.get(wish.arn, wish)
            if wish.port != before.port and self._free(wish.port, wish):
                # The listener has another port of its own now.
                continue
            # For other protocols than before it may be taken.
            ours = port in held and before[2:] == wish[2:]
            if port is not None and port not in taken and (ours or self._free(port, wish)):
                chosen[wish.arn] = port
                taken.add(port)
        for wish in wanted:
            if wish.arn in chosen:
                continue
            # What Envoy still holds for another listener may be given up any moment, and is not free now.
            candidates = itertools.chain((wish.port,), range(FIRST_PORT, LAST_PORT))
            port = next((port for port in candidates if port not in taken and self._free(port, wish)), None)
            if port is not None:
                chosen[wish.arn] = port
                taken.add(port)
        self._wishes = {wish.arn: wish for wish in wanted}
        if chosen != self._ports:
            self._ports = chosen
            self._write()
        return dict(chosen)

    def _free(self, port: int, wish: Wish) -> bool:
        kinds = [udp for udp, wanted in ((False, wish.tcp), (True, wish.udp)) if wanted]
        return all(self._is_free(self.edge_address, port, udp) for udp in kinds)

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self._ports))
        os.replace(temporary, self._file)  # noqa: PTH105 -- the atomic one by name


def port_is_free(address: str, port: int, udp: bool) -> bool:  # noqa: FBT001 -- the listener's kind
    """Whether nobody listens there: on the address itself, or on all of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        if not udp:
            # Connections that ended a moment ago do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
