"""Keeps this host's packet filter, tunnel and routes as the control plane's documents say.

One loop: documents change, everything is worked out anew, and what differs from what is in force
is changed.  Networks of containers on this host are told by the kernel.  A look every half minute
puts back what somebody else removed.  Nothing is taken down when the agent ends: connections go on,
and the next agent takes over.  Without documents (an older control plane) nothing is done at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json

import structlog

from openecs.acs.host_documents import InterfaceDocument
from openecs.agent.host.documents import HostDocuments
from openecs.agent.network import kernel, overlay, ruleset, underlay, vicinity
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.frame import Documents, Surroundings
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.nftables import Nftables
from openecs.agent.network.published import PublishedPorts
from openecs.agent.network.rules import Compiler, table_name
from openecs.agent.network.wiring import NFT_TABLE, Wiring

_log = structlog.get_logger("openecs.agent")
KINDS = ("peer", "vpc", "subnet", "interface", "security-group", "network-acl")
#: Seconds between looks at whether the rules and routes are still there.
LOOK = 30.0
#: Seconds for which a new interface waits for what its rules are made of.
PATIENCE = 15.0
#: Seconds after something went wrong; doubled each time up to ``LOOK``.
RETRY = 1.0


class DataPlane:
    """The loop, and what it has put in force."""

    def __init__(
        self,
        node_id: str,
        documents: HostDocuments,
        host: HostNetwork,
        nft: Nftables,
        *,
        endpoint: str = "",
        metadata_port: int = 80,
    ) -> None:
        self._node_id = node_id
        self._documents = documents
        self._host = host
        self._nft = nft
        self._endpoint = endpoint
        self._metadata_port = metadata_port
        self._table = table_name(node_id)
        self._compiler = Compiler(node_id)
        self.published = PublishedPorts()
        #: Rules in force; ``None`` when that is not known.
        self._rules: ruleset.Ruleset | None = None
        self._overlay: overlay.Overlay | None = None
        self._endpoints: frozenset[tuple[str, int]] = frozenset()
        self._bridges: frozenset[str] = frozenset()
        #: Address → id of the interface whose rules are in force.
        self._in_force: dict[str, str] = {}
        self._news = asyncio.Event()
        self._applied = asyncio.Condition()
        #: What is wrong with it; empty when nothing is.
        self.problem = ""
        documents.watch(KINDS, lambda _: self._news.set())
        host.translates = lambda: not documents.known

    def __repr__(self) -> str:
        return f"<DataPlane {self._table}: {len(self._in_force)} interfaces>"

    def changed(self) -> None:
        """Something beside documents changed: published ports."""
        self._news.set()

    async def run(self) -> None:
        """Keep everything as it should be until cancelled."""
        with vicinity.watching(self._look_around):
            self._look_around()
            await self._keep()

    def _look_around(self) -> None:
        """Notice networks of containers that came or went."""
        bridges = vicinity.container_bridges()
        if bridges != self._bridges:
            self._bridges = bridges
            self._news.set()

    async def _keep(self) -> None:
        pause = RETRY
        first = True
        while True:
            self._news.clear()
            if not self._documents.known:
                await self._news.wait()
                continue
            if first:
                self._endpoints = await underlay.endpoints(self._endpoint) if self._endpoint else frozenset()
            try:
                await self.apply()
                if first:
                    await self._take_over_translation()
                    first = False
                self.problem, pause = "", RETRY
            except NetworkError as error:
                self.problem = str(error)
                _log.error("the network's rules or routes could not be set", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if self.problem else LOOK):
                    await self._news.wait()
                    continue
            if self.problem:
                pause = min(2 * pause, LOOK)
            else:
                await self._look()

    async def _take_over_translation(self) -> None:
        """Take our subnets out of the table of agents that had no documents: our own says what is translated."""
        if NFT_TABLE in await self._nft.run("list tables ip\n"):
            for subnet in self._documents.all("subnet").values():
                await self._host.stop_translating(subnet.cidr)

    async def apply(self) -> None:
        """Put in force what the documents say now.  Raises ``NetworkError``."""
        peers, interfaces = self._documents.all("peer"), self._documents.all("interface")
        plan = overlay.plan(self._node_id, peers, interfaces, underlay.local_addresses())
        around = Surroundings(
            hosts=plan.hosts,
            speakers=plan.speakers,
            device=plan.device.name if plan.device else "",
            vni=plan.device.vni if plan.device else 0,
            bridges=self._bridges,
            endpoints=self._endpoints,
            published=self.published.all,
            metadata_port=self._metadata_port,
        )
        documents = Documents(
            self._documents.all("vpc"),
            self._documents.all("subnet"),
            interfaces,
            self._documents.all("security-group"),
            self._documents.all("network-acl"),
        )
        in_force = {
            i.address: key for key, i in interfaces.items() if i.node_id == self._node_id and not self._missing(key)
        }
        await self._set_rules(self._compiler.compile(documents, around))
        async with self._applied:
            self._in_force = in_force
            self._applied.notify_all()
        await self._set_overlay(plan)

    async def gate(self, wiring: Wiring) -> None:
        """Wait until the rules for an interface are in force.  Raises ``NetworkError`` after a while."""
        if not self._documents.known:
            return
        try:
            async with asyncio.timeout(PATIENCE), self._applied:
                await self._applied.wait_for(lambda: self._guards(wiring))
        except TimeoutError:
            missing = self._missing(wiring.interface_id or self._key_of(wiring.address))
            what = f"the control plane has not told {', '.join(missing)}" if missing else self.problem
            raise NetworkError(
                f"the rules of its security groups are not in force: {what or 'no reason known'}"
            ) from None

    async def remove(self) -> None:
        """Take down rules, routes and tunnel: the installation leaves this host.  Raises ``NetworkError``."""
        await self._set_rules(ruleset.EMPTY)
        if "openecs_" in await self._nft.run("list tables inet\n"):
            return  # Another agent of this host may use the tunnel.
        await self._set_overlay(overlay.NOTHING)

    def mtu(self) -> int | None:
        """Bytes of the largest packet of an interface; ``None`` for the kernel's choice."""
        own = self._documents.all("peer").get(self._node_id)
        if own is None or own.overlay != "vxlan":
            return None
        return (underlay.mtu(own.address) or underlay.MTU) - overlay.OVERHEAD

    def interface(self, wiring: Wiring) -> InterfaceDocument | None:
        """The document of an interface of this host."""
        found: InterfaceDocument | None = self._documents.all("interface").get(
            wiring.interface_id or self._key_of(wiring.address)
        )
        return found

    def _guards(self, wiring: Wiring) -> bool:
        found = self._in_force.get(wiring.address)
        return found is not None and wiring.interface_id in ("", found)

    def _key_of(self, address: str) -> str:
        return next((key for key, i in self._documents.all("interface").items() if i.address == address), "")

    def _missing(self, interface_id: str) -> list[str]:
        """What the rules of an interface are made of and has not come yet."""
        interface = self._documents.all("interface").get(interface_id)
        if interface is None:
            return ["the interface"]
        missing = []
        subnet = self._documents.all("subnet").get(interface.subnet_id)
        if subnet is None:
            missing.append(f"the subnet {interface.subnet_id}")
        elif subnet.vpc_id not in self._documents.all("vpc"):
            missing.append(f"the VPC {subnet.vpc_id}")
        if not any(interface.subnet_id in acl.subnets for acl in self._documents.all("network-acl").values()):
            missing.append(f"the network ACL of {interface.subnet_id}")
        groups = self._documents.all("security-group")
        missing += [f"the security group {group}" for group in interface.security_groups if group not in groups]
        return missing

    async def _set_rules(self, wanted: ruleset.Ruleset) -> None:
        script = ruleset.load(self._table, wanted) if self._rules is None else ""
        if self._rules is not None:
            script = ruleset.change(self._table, self._rules, wanted)
        if script:
            before, self._rules = self._rules, None
            try:
                await self._nft.run(script)
            except NetworkError as error:
                if before is None:
                    raise
                # Somebody changed our table, or flushed everything: nothing of it is known any more.
                _log.warning("rules are loaded anew", error=str(error))
                await self._nft.run(ruleset.load(self._table, wanted))
        self._rules = wanted

    async def _set_overlay(self, wanted: overlay.Overlay) -> None:
        old = self._overlay
        if old is None:
            old = await self._found(wanted)
        if old.device == wanted.device and old.neighbours == wanted.neighbours and old.routes == wanted.routes:
            self._overlay = wanted
            return
        self._overlay = None
        async with self._host.locked():
            if wanted.device is not None and old.device != wanted.device:
                await self._make_device(wanted.device)
                old = old._replace(neighbours=frozenset(), routes={})
            if wanted.device is not None:
                links, entries = overlay.neighbour_changes(wanted.device, old.neighbours, wanted.neighbours)
                if entries:
                    await run(("ip", "-batch", "-"), links)
                    await run(("bridge", "-batch", "-"), entries)
            elif old.device is not None:
                # Its routes and neighbours go with it.
                await _delete_device(old.device.name)
                old = old._replace(routes={to: via for to, via in old.routes.items() if " dev " not in via})
            if routes := overlay.route_changes(old.routes, wanted.routes):
                await _set_routes(routes)
        self._overlay = wanted

    async def _make_device(self, device: overlay.Device) -> None:
        with contextlib.suppress(NetworkError):
            await run(("ip", "link", "delete", device.name), "")
        size = (underlay.mtu(device.address) or underlay.MTU) - overlay.OVERHEAD
        own = kernel.is_local(device.address)
        await run(
            ("ip", "-batch", "-"), overlay.make_device(device, size, own_address=own) + overlay.set_device(device)
        )

    async def _found(self, wanted: overlay.Overlay) -> overlay.Overlay:
        """What an earlier agent has left, as far as it is as wanted; what is not goes."""
        device = wanted.device
        links = json.loads(await run(("ip", "-json", "-details", "link", "show", "type", "vxlan"), "") or "[]")
        there = {link["ifname"]: link["linkinfo"]["info_data"].get("local", "") for link in links if "ifname" in link}
        routes = await self._kernel_routes(wanted)
        own = self._documents.all("peer").get(self._node_id)
        name = f"{overlay.DEVICE_PREFIX}{own.vni}" if own is not None else ""
        if name not in there:
            return overlay.NOTHING._replace(routes=routes)
        if device is None or there[name] != device.address:
            return overlay.NOTHING._replace(device=overlay.Device(name, 0, "", ""), routes=routes)
        # Neighbours cost nothing to set again.
        await run(("ip", "-batch", "-"), overlay.set_device(device))
        return overlay.NOTHING._replace(device=device, routes=routes)

    async def _kernel_routes(self, wanted: overlay.Overlay) -> dict[str, str]:
        """Our routes that are in the kernel, of this installation only."""
        text = await run(("ip", "-json", "route", "show", "proto", str(overlay.PROTOCOL)), "")
        vpcs = [ipaddress.IPv4Network(cidr) for vpc in self._documents.all("vpc").values() for cidr in vpc.cidrs]
        found = {}
        for route in json.loads(text or "[]"):
            to, device, source = route["dst"], route.get("dev", ""), route.get("prefsrc")
            gateway = f"via {route['gateway']}" if "gateway" in route else ""
            if wanted.device is not None and device == wanted.device.name:
                found[to] = f"{gateway} dev {device} onlink" + (f" src {source}" if source else "")
            elif not device.startswith(overlay.DEVICE_PREFIX) and any(ipaddress.IPv4Address(to) in v for v in vpcs):
                found[to] = gateway or f"dev {device}"
        return found

    async def _look(self) -> None:
        """Notice what somebody else changed."""
        self._look_around()
        self._endpoints = await underlay.endpoints(self._endpoint) if self._endpoint else frozenset()
        if self._rules is not None and not self._rules.empty:
            try:
                await self._nft.run(f"list chain inet {self._table} forwarded\n")
            except NetworkError:
                _log.warning("somebody removed the packet filter of this host's tasks; it is loaded again")
                self._rules = None
        if self._overlay is not None and self._overlay.routes:
            there = {
                str(route.network.network_address) for route in underlay.routes() if route.metric == overlay.METRIC
            }
            if not self._overlay.routes.keys() <= there:
                _log.warning("somebody removed routes to other hosts' tasks; they are set again")
                self._overlay = None


async def _set_routes(script: str) -> None:
    """Set all routes that can be set.  Raises ``NetworkError`` for the others."""
    try:
        await run(("ip", "-force", "-batch", "-"), script)
    except NetworkError as error:
        # A route that is to go may have gone with its device.
        wrong = [
            line
            for line in str(error).splitlines()
            if "No such process" not in line and not line.startswith("Command failed")
        ]
        if wrong:
            raise NetworkError("; ".join(wrong[:5])) from None


async def _delete_device(name: str) -> None:
    with contextlib.suppress(NetworkError):
        await run(("ip", "link", "delete", name), "")
