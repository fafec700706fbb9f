"""How packets reach the interfaces of other hosts: VXLAN, or plain routes.  Pure.

Every address that lives elsewhere has a route of its own through its host.  With VXLAN that is one
device for the installation, and per host one neighbour and one forwarding entry, both of which
follow from the host's address: nothing is learned and nothing is flooded.  What a host itself sends
to interfaces elsewhere carries its tunnel address, to which the other hosts have a route.

A peer that is this very host (several agents may share one) needs no route.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from openecs.acs.host_documents import InterfaceDocument, PeerDocument
from openecs.agent.network.frame import VXLAN_PORT

#: Names of our VXLAN devices begin so; the VNI follows.
DEVICE_PREFIX = "openecs"
#: Bytes that VXLAN adds to every packet.
OVERHEAD = 50
#: Routes to other hosts: worse than those to interfaces of this host, which win while one moves.
METRIC = 4789
#: Marks our routes in the kernel.
PROTOCOL = 79


class Device(NamedTuple):
    """This host's end of the tunnel."""

    name: str
    vni: int
    address: str
    tunnel: str


class Overlay(NamedTuple):
    """What should be there."""

    device: Device | None
    #: Addresses of the hosts that are reached through the device.
    neighbours: frozenset[str]
    #: Destination → the rest of its route.
    routes: Mapping[str, str]
    hosts: frozenset[str]
    speakers: frozenset[str]


NOTHING = Overlay(None, frozenset(), {}, frozenset(), frozenset())


def plan(
    node_id: str,
    peers: Mapping[str, PeerDocument],
    interfaces: Mapping[str, InterfaceDocument],
    local_addresses: frozenset[str],
) -> Overlay:
    """What this host needs to reach the others' interfaces."""
    hosts = frozenset(peer.address for peer in peers.values() if peer.address)
    own = peers.get(node_id)
    # What the host itself sends to a public address of an interface here is translated on its way
    # out; it needs some route to set out at all.
    here = {i.public_address: "dev lo" for i in interfaces.values() if i.node_id == node_id and i.public_address}
    remote = {
        key: peer
        for key, peer in peers.items()
        if key != node_id and peer.address and peer.address not in local_addresses
    }
    if own is None or not remote or not interfaces:
        return NOTHING._replace(routes=here, hosts=hosts)
    device = None
    # Both ends of a pair decide the same way, so that what comes back takes the way that it went.
    tunnelled = {key for key, peer in remote.items() if own.vni and "vxlan" in (peer.overlay, own.overlay)}
    if tunnelled:
        device = Device(f"{DEVICE_PREFIX}{own.vni}", own.vni, own.address, own.tunnel)
    via = {}
    for key, peer in remote.items():
        if key in tunnelled and device is not None:
            source = f" src {device.tunnel}" if device.tunnel else ""
            via[key] = f"via {peer.address} dev {device.name} onlink{source}"
        else:
            via[key] = f"via {peer.address}"
    routes: dict[str, str] = dict(here)
    for key in tunnelled:
        if remote[key].tunnel:
            routes[remote[key].tunnel] = via[key]
    for interface in interfaces.values():
        if interface.node_id not in remote or not interface.address:
            continue
        routes[interface.address] = via[interface.node_id]
        if interface.public_address:
            routes[interface.public_address] = via[interface.node_id]
    speakers = {peer.tunnel if key in tunnelled else peer.address for key, peer in remote.items()} - {""}
    return Overlay(device, frozenset(remote[key].address for key in tunnelled), routes, hosts, frozenset(speakers))


def mac(address: str) -> str:
    """The MAC address of a host's end of the tunnel; every host can tell it from the address."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x6F, *ipaddress.IPv4Address(address).packed))


def make_device(device: Device, mtu: int, *, own_address: bool = True) -> str:
    """``ip -batch`` lines that make the device; ``own_address``: the host has its address itself, no NAT before it."""
    local = f"local {device.address} " if own_address else ""
    return (
        f"link add {device.name} mtu {mtu} address {mac(device.address)} type vxlan id {device.vni} "
        f"{local}dstport {VXLAN_PORT} nolearning\n"
    )


def set_device(device: Device) -> str:
    """``ip -batch`` lines for the device; may be repeated."""
    lines = f"link set {device.name} up\n"
    return lines + (f"address replace {device.tunnel}/32 dev {device.name}\n" if device.tunnel else "")


def neighbour_changes(device: Device, old: frozenset[str], new: frozenset[str]) -> tuple[str, str]:
    """``ip -batch`` and ``bridge -batch`` lines."""
    links = [f"neigh replace {host} lladdr {mac(host)} dev {device.name} nud permanent" for host in sorted(new - old)]
    links += [f"neigh delete {host} dev {device.name}" for host in sorted(old - new)]
    entries = [f"fdb replace {mac(host)} dev {device.name} dst {host} self permanent" for host in sorted(new - old)]
    entries += [f"fdb delete {mac(host)} dev {device.name} dst {host} self" for host in sorted(old - new)]
    return _lines(links), _lines(entries)


def route_changes(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """``ip -batch`` lines."""
    mark = f"metric {METRIC} proto {PROTOCOL}"
    lines = [f"route delete {to}/32 {mark}" for to in old if to not in new]
    lines += [f"route replace {to}/32 {via} {mark}" for to, via in new.items() if old.get(to) != via]
    return _lines(lines)


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
