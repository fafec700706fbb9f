"""Ports and addresses of the fake engine's host: who holds what, and Docker's refusals."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from openecs.agent.runtime.protocol import PortBinding

_FIRST_DYNAMIC, _LAST_DYNAMIC = 32768, 60999
_WILDCARDS = {"", "0.0.0.0"}  # noqa: S104 -- an address to compare with, nothing listens here


class PortTakenError(Exception):
    """A host port that somebody holds; the text is the engine's."""


class HostNetwork:
    """The published ports of one host and the addresses of its bridge."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], set[str]] = {}
        self._next_port = _FIRST_DYNAMIC
        self._addresses: set[int] = set()
        self._next_address = 0

    def publish(self, host_config: Mapping[str, Any], exposed: Mapping[str, Any]) -> tuple[PortBinding, ...]:
        """Take every host port that a ``HostConfig`` asks for, all or none.

        Raises ``PortTakenError``.
        """
        port_bindings: Mapping[str, list[dict[str, str]] | None] = host_config.get("PortBindings") or {}
        wanted: list[tuple[str, str, str]] = [
            (port, binding.get("HostIp") or "", str(binding.get("HostPort") or ""))
            for port, bindings in port_bindings.items()
            for binding in bindings or [{}]
        ]
        if host_config.get("PublishAllPorts"):
            named = {port for port, _, _ in wanted}
            wanted += [(port, "", "") for port in exposed if port not in named]
        taken: list[PortBinding] = []
        try:
            for port, ip, host_port in wanted:
                number, _, protocol = port.partition("/")
                taken.append(self._take(int(number), protocol or "tcp", ip, host_port))
        except PortTakenError:
            self.release(taken)
            raise
        return tuple(taken)

    def release(self, bindings: tuple[PortBinding, ...] | list[PortBinding]) -> None:
        """Give ports back."""
        for binding in bindings:
            key = (binding.protocol, binding.host_port)
            holders = self._held[key]
            holders.discard(binding.host_ip)
            if not holders:
                del self._held[key]

    def take_address(self) -> str:
        """A free address of the bridge, 172.17.0.2 upwards."""
        size = 2**16 - 3
        if len(self._addresses) >= size:
            raise PortTakenError("no available IPv4 addresses on this network's address pools: bridge")
        while self._next_address in self._addresses:
            self._next_address = (self._next_address + 1) % size
        self._addresses.add(self._next_address)
        return str(ipaddress.IPv4Address("172.17.0.2") + self._next_address)

    def release_address(self, address: str) -> None:
        """Give an address back."""
        self._addresses.discard(int(ipaddress.IPv4Address(address)) - int(ipaddress.IPv4Address("172.17.0.2")))

    def _take(self, container_port: int, protocol: str, ip: str, host_port: str) -> PortBinding:
        ip = ip or "0.0.0.0"  # noqa: S104 -- what the engine reports for every address of the host
        first, _, last = host_port.partition("-")
        if first in {"", "0"}:
            number = self._dynamic(protocol, ip)
        else:
            candidates = range(int(first), int(last or first) + 1)
            free = (port for port in candidates if not self._is_held(protocol, port, ip))
            if (found := next(free, None)) is None:
                raise PortTakenError(f"Bind for {ip}:{candidates[-1]} failed: port is already allocated")
            number = found
        self._held.setdefault((protocol, number), set()).add(ip)
        return PortBinding(container_port=container_port, protocol=protocol, host_ip=ip, host_port=number)

    def _dynamic(self, protocol: str, ip: str) -> int:
        size = _LAST_DYNAMIC - _FIRST_DYNAMIC + 1
        for _ in range(size):
            number = self._next_port
            self._next_port = _FIRST_DYNAMIC + (number + 1 - _FIRST_DYNAMIC) % size
            if not self._is_held(protocol, number, ip):
                return number
        raise PortTakenError("all ports are allocated")

    def _is_held(self, protocol: str, port: int, ip: str) -> bool:
        holders = self._held.get((protocol, port))
        if not holders:
            return False
        return ip in _WILDCARDS or ip in holders or not _WILDCARDS.isdisjoint(holders)
