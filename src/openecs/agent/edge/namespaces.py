"""The network namespaces of load balancers on this host: one each, with an interface per address.

They have names (``ip netns list`` shows them), so that they outlive the agent: Envoy holds them
by their path, and the next agent finds them.  The name says whose it is, by node and by ARN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from openecs.acs.host_documents import BalancerInterface, SubnetDocument
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.interfaces import inside

FOLDER = Path("/run/netns")
_PREFIX = "oecs-lb-"


class Connector(Protocol):
    """What connects namespaces to the host: ``agent.network.interfaces``."""

    async def connect(
        self, namespace: int | Path, *, address: str, gateway: str, alias: str, mac: str, inside_name: str
    ) -> None: ...

    async def disconnect(self, address: str, alias: str) -> None: ...


class _Address(msgspec.Struct):
    local: str


class _Link(msgspec.Struct):
    """One interface as ``ip -json address`` shows it."""

    ifname: str
    ifalias: str = ""
    addr_info: list[_Address] = []


class Namespaces:
    """Those of one node.  Not for several tasks with the same load balancer at once."""

    def __init__(self, node_id: str, connector: Connector) -> None:
        self._prefix = prefix(node_id)
        self._connector = connector

    def path(self, arn: str) -> Path:
        """Where the load balancer's namespace is, or would be."""
        return FOLDER / f"{self._prefix}{hashlib.sha256(arn.encode()).hexdigest()[:12]}"

    async def present(self, arn: str) -> frozenset[str]:
        """The addresses that an earlier agent left connected.  Raises ``NetworkError``."""
        path = self.path(arn)
        return frozenset((await _addresses(path)).values()) if await _exists(path) else frozenset()

    async def ensure(
        self, arn: str, interfaces: Iterable[BalancerInterface], subnets: Mapping[str, SubnetDocument]
    ) -> Path:
        """The load balancer's namespace with exactly those interfaces.  Raises ``NetworkError``."""
        path = self.path(arn)
        wanted = {interface.address: interface for interface in interfaces}
        for interface in wanted.values():
            if interface.subnet_id not in subnets:
                raise NetworkError(f"the host has not been told of the subnet {interface.subnet_id} yet")
        if not await _exists(path):
            for address in wanted:
                # One that somebody removed may live on in sockets of Envoy, and have the addresses still.
                await self._connector.disconnect(address, arn)
            await run(("ip", "netns", "add", path.name), "")
        there = await _addresses(path)
        for name, address in there.items():
            if address not in wanted:
                await self._remove(path, name, address, arn)
        names = {address: name for name, address in there.items() if address in wanted}
        free = (
            f"eth{number}" for number in range(len(wanted) + len(names) + 1) if f"eth{number}" not in names.values()
        )
        for address, interface in wanted.items():
            await self._connector.connect(
                path,
                address=address,
                gateway=subnets[interface.subnet_id].gateway,
                alias=arn,
                mac=interface.mac_address,
                inside_name=names.get(address) or next(free),
            )
        return path

    async def remove(self, path: Path) -> None:
        """Take a namespace away, with its interfaces; no error when it is gone.  Raises ``NetworkError``."""
        if await _exists(path):
            for name, address in (await _addresses(path)).items():
                await self._remove(path, name, address, "")
        if _named(path):
            await run(("ip", "netns", "delete", path.name), "")

    def identity(self, arn: str) -> tuple[int, int] | None:
        """Which namespace it is, whatever its name; ``None`` when there is none of that name."""
        try:
            status = self.path(arn).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def found(self) -> list[Path]:
        """All namespaces of this node's load balancers, those of earlier agents too."""
        return sorted(FOLDER.glob(f"{self._prefix}*"))

    async def _remove(self, path: Path, name: str, address: str, arn: str) -> None:
        # The pair goes even while Envoy keeps the namespace alive for connections that it ends.
        await run(inside(path, "ip", "link", "delete", name), "")
        if address:
            await self._connector.disconnect(address, arn)


def prefix(node_id: str) -> str:
    """How the names of a node's namespaces begin."""
    return f"{_PREFIX}{node_id[:8]}-"


async def _exists(path: Path) -> bool:
    """Whether there is a namespace: a file of that name that is none (any more) is removed."""
    if not _named(path):
        return False
    try:
        await run(inside(path, "true"), "")
    except NetworkError:
        _forget(path)
        return False
    return True


def _named(path: Path) -> bool:
    return path.exists()


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise NetworkError(f"{path} is no namespace and cannot be removed: {error.strerror}") from None


async def _addresses(path: Path) -> dict[str, str]:
    """Interface → its IPv4 address, empty when it has none; without the loopback."""
    listing = await run(inside(path, "ip", "-json", "-4", "address", "show"), "")
    links = msgspec.json.decode(listing or "[]", type=list[_Link], strict=False)
    everything = await run(inside(path, "ip", "-json", "link", "show"), "")
    names = [link.ifname for link in msgspec.json.decode(everything or "[]", type=list[_Link], strict=False)]
    addresses = {link.ifname: link.addr_info[0].local for link in links if link.addr_info}
    return {name: addresses.get(name, "") for name in names if name != "lo"}
