"""Host ports for mappings that leave the choice to the agent.

Ports rotate after the last one given, so that a port just freed is not reused at once.  A
port is taken from here until ``release``; that it is free on the host is checked by binding
it for a moment.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from openecs.acs.task_payload import PortMapping
from openecs.shapes import ecs

FALLBACK_RANGE = (32768, 60999)
BIND_IP = "0.0.0.0"  # noqa: S104 -- published ports are reachable from outside, as on ECS


#: How engines say that a host port is taken, and the port in it: ``0.0.0.0:32768``, ``[::]:32768``.
_TAKEN = ("port is already allocated", "address already in use")
_PORT = re.compile(r"(?:\d\.\d+|::\]?):(\d{1,5})\b")


class PortsError(Exception):
    """No (contiguous) host ports are left; the text is the one the ECS agent uses."""


class PortPool:
    """The dynamic host ports of this node."""

    def __init__(
        self,
        port_range: tuple[int, int] = FALLBACK_RANGE,
        reserved: Sequence[int] = (),
        is_free: Callable[[int, str], bool] | None = None,
        first: int = 0,
    ) -> None:
        self._low, self._high = port_range
        # Several agents on one host begin at different places, so that they rarely meet.
        self._next = self._low + first % (self._high - self._low + 1)
        self._reserved = frozenset(reserved)
        self._taken: dict[tuple[int, str], str] = {}
        self._is_free = is_free or bindable

    def assign(self, owner: str, mappings: Sequence[PortMapping]) -> tuple[ecs.NetworkBinding, ...]:
        """Host ports for all mappings of a container; ``owner`` is the task's ARN.

        Raises ``PortsError``, then nothing is taken for this call.
        """
        taken: list[tuple[int, str]] = []
        try:
            return tuple([self._assign_one(owner, mapping, taken) for mapping in mappings])
        except PortsError:
            for key in taken:
                self._taken.pop(key, None)
            raise

    def adopt(self, owner: str, bindings: Sequence[ecs.NetworkBinding]) -> None:
        """Remember ports that a task holds already (after a restart of the agent)."""
        for binding in bindings:
            protocol = binding.protocol or "tcp"
            if binding.host_port is not None:
                self._taken[binding.host_port, protocol] = owner
            elif binding.host_port_range is not None:
                first, last = parse_range(binding.host_port_range)
                for port in range(first, last + 1):
                    self._taken[port, protocol] = owner

    def release(self, owner: str) -> None:
        """The task holds no ports any more."""
        for key in [key for key, holder in self._taken.items() if holder == owner]:
            del self._taken[key]

    def _assign_one(self, owner: str, mapping: PortMapping, taken: list[tuple[int, str]]) -> ecs.NetworkBinding:
        protocol: ecs.TransportProtocol = "udp" if mapping.protocol == "udp" else "tcp"
        if mapping.container_port_range is not None:
            first, last = parse_range(mapping.container_port_range)
            start = self._find(last - first + 1, protocol)
            self._take(owner, range(start, start + last - first + 1), protocol, taken)
            return ecs.NetworkBinding(
                bind_ip=BIND_IP,
                container_port_range=mapping.container_port_range,
                host_port_range=f"{start}-{start + last - first}",
                protocol=protocol,
            )
        port = mapping.host_port or self._find(1, protocol)
        self._take(owner, range(port, port + 1), protocol, taken)
        return ecs.NetworkBinding(
            bind_ip=BIND_IP, container_port=mapping.container_port, host_port=port, protocol=protocol
        )

    def _take(self, owner: str, ports: range, protocol: str, taken: list[tuple[int, str]]) -> None:
        for port in ports:
            if (port, protocol) not in self._taken:
                self._taken[port, protocol] = owner
                taken.append((port, protocol))

    def _find(self, count: int, protocol: str) -> int:
        """The first port of ``count`` contiguous free ones, searching once around."""
        size = self._high - self._low + 1
        run = 0
        for offset in range(size + count):
            port = self._low + (self._next - self._low + offset) % size
            if port == self._low:
                run = 0  # A block does not go around the end of the range.
            run = run + 1 if self._usable(port, protocol) else 0
            if run == count:
                self._next = port + 1 if port < self._high else self._low
                return port - count + 1
        if count == 1:
            raise PortsError("a host port is unavailable")
        raise PortsError(f"{count} contiguous host ports are unavailable")

    def _usable(self, port: int, protocol: str) -> bool:
        return (port, protocol) not in self._taken and port not in self._reserved and self._is_free(port, protocol)


def conflict(message: str, mappings: Sequence[PortMapping], bindings: Sequence[ecs.NetworkBinding]) -> bool:
    """Whether an engine's refusal says that a host port is taken which the agent had chosen.

    A port that the task definition names is not the agent's to change.  Without ``bindings`` an
    earlier agent made the choice: it chose every port that the definition does not name.
    """
    if not any(text in message for text in _TAKEN):
        return False
    named = {(m.host_port, m.protocol) for m in mappings if m.host_port and m.container_port_range is None}
    chosen: set[int] = set()
    for binding in bindings:
        if binding.host_port is not None and (binding.host_port, binding.protocol or "tcp") not in named:
            chosen.add(binding.host_port)
        elif binding.host_port_range is not None:
            first, last = parse_range(binding.host_port_range)
            chosen |= set(range(first, last + 1))
    told = [int(port) for port in _PORT.findall(message)]
    if not bindings:
        left_open = any(not m.host_port or m.container_port_range is not None for m in mappings)
        named_ports = {port for port, _ in named}
        return left_open and (named_ports.isdisjoint(told) if told else not named)
    return bool(chosen.intersection(told)) if told else bool(chosen) and not named


def bindable(port: int, protocol: str) -> bool:
    """Whether a socket can be bound to the port on all of the host's addresses right now."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((BIND_IP, port))
        except OSError:
            return False
    return True


def parse_range(text: str) -> tuple[int, int]:
    """``"8000-8010"`` → ``(8000, 8010)``; raises ``ValueError``."""
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def host_range(path: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")) -> tuple[int, int]:
    """The kernel's range of ephemeral ports, or the usual one when it cannot be read."""
    try:
        low, high = path.read_text().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return FALLBACK_RANGE
