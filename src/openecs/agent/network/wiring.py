"""The commands that connect an awsvpc task's namespace to the host.  Pure.

Each task has one veth pair: the host's end is routed to (``/32``), the task's end is ``eth0``
with the interface's address and a default route through the subnet's gateway, whose address
every host carries on ``lo``.  No bridge: all task traffic is forwarded, so one set of rules
sees it, and an address may be on any host.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import NamedTuple

from openecs.acs.task_payload import TaskPayload

NFT_TABLE = "openecs_agent"
#: All host ends begin so; firewall rules match on it.
PREFIX = "eni"
#: Docker's own interfaces: the default network, Swarm's, and those that users make.
DOCKER_BRIDGES = ("docker0", "docker_gwbridge", "br-+")


class InterfaceError(Exception):
    """The payload's network interface cannot be used; the text says why."""


class Wiring(NamedTuple):
    """One task's interface.  Addresses without prefix length."""

    address: str
    mac: str
    gateway: str
    subnet: str
    #: Name of the host's end of the veth pair.
    host_end: str
    dns: tuple[str, ...]
    search: tuple[str, ...]
    hostname: str
    #: Id of the network interface; empty when it is not told.
    interface_id: str = ""


def plan(task: TaskPayload) -> Wiring:
    """What the task's interface needs.  Raises ``InterfaceError``."""
    if not task.elastic_network_interfaces:
        raise InterfaceError("an awsvpc task came without an elastic network interface")
    eni = task.elastic_network_interfaces[0]
    primary = next((a for a in eni.ipv4_addresses if a.primary), None)
    if primary is None:
        raise InterfaceError("eni message validation: no primary address")
    wiring = interface(primary.private_address, eni.subnet_gateway_ipv4_address, eni.mac_address)
    return wiring._replace(
        dns=eni.domain_name_servers,
        search=eni.domain_name,
        hostname=eni.private_dns_name,
        interface_id=eni.ec2_id,
    )


def interface(address: str, gateway: str, mac: str) -> Wiring:
    """What an interface needs; ``gateway`` with the subnet's prefix length.  Raises ``InterfaceError``."""
    try:
        own = ipaddress.IPv4Address(address)
        router = ipaddress.IPv4Interface(gateway)
    except ValueError as error:
        raise InterfaceError(f"eni message validation: {error}") from None
    if "/" not in gateway or own not in router.network:
        raise InterfaceError("eni message validation: the address is not in the gateway's subnet")
    return Wiring(
        address=str(own),
        mac=mac,
        gateway=str(router.ip),
        subnet=str(router.network),
        host_end=host_end(str(own)),
        dns=(),
        search=(),
        hostname="",
    )


def host_end(address: str) -> str:
    """The name of the host's end of the veth pair of an address."""
    first, second, third, fourth = address.split(".")
    return f"{PREFIX}{int(first):02x}{int(second):02x}{int(third):02x}{int(fourth):02x}"


def make_pair(wiring: Wiring, namespace: int | Path, inside_name: str = "eth0", mtu: int | None = None) -> str:
    """``ip -batch`` lines: a veth pair whose far end is in a namespace: of a process, or at a path."""
    mac = f" address {wiring.mac}" if wiring.mac else ""
    size = f" mtu {mtu}" if mtu else ""
    return f"link add {wiring.host_end}{size} type veth peer name {inside_name}{mac}{size} netns {namespace}\n"


def mark(wiring: Wiring, task_arn: str) -> str:
    """``ip -batch`` lines that say on the host's end whose it is; agents look at it."""
    return f"link set {wiring.host_end} alias {task_arn}\n"


def connect_host(wiring: Wiring) -> str:
    """``ip -batch`` lines for the host's end; may be repeated."""
    return (
        f"link set {wiring.host_end} up\n"
        f"address replace {wiring.gateway}/32 dev lo\n"
        f"route replace {wiring.address}/32 dev {wiring.host_end}\n"
    )


def connect_inside(wiring: Wiring, name: str = "eth0", table: int = 100) -> str:
    """``ip -batch`` lines for the far end, run in its namespace; may be repeated.

    ``table``: the routing table of what is sent from this interface's address, for namespaces
    with several; the first interface needs none beside the main one.
    """
    gateway, address = wiring.gateway, wiring.address
    lines = (
        "link set lo up\n"
        f"address replace {address}/32 dev {name}\n"
        f"link set {name} up\n"
        f"route replace {gateway}/32 dev {name} src {address}\n"
    )
    if name == "eth0":
        return lines + f"route replace default via {gateway} dev eth0 src {address}\n"
    return (
        lines
        + f"route replace default via {gateway} dev {name} src {address} metric {table}\n"
        + f"route replace {gateway}/32 dev {name} table {table}\n"
        + f"route replace default via {gateway} dev {name} src {address} table {table}\n"
    )


def source_rule(wiring: Wiring, table: int) -> str:
    """``ip -batch`` line: what is sent from the address goes by that table.  It fails when it is so already."""
    return f"rule add from {wiring.address} table {table} priority {table}\n"


def masquerade(subnet: str) -> str:
    """An nftables script: what leaves the subnet for elsewhere gets the host's address; may be repeated."""
    return (
        f"table ip {NFT_TABLE} {{\n"
        "  set subnets { type ipv4_addr; flags interval; }\n"
        "  chain postrouting { type nat hook postrouting priority srcnat; policy accept; }\n"
        "}\n"
        f"add element ip {NFT_TABLE} subnets {{ {subnet} }}\n"
        f"flush chain ip {NFT_TABLE} postrouting\n"
        f'add rule ip {NFT_TABLE} postrouting oifname != "{PREFIX}*" ip saddr @subnets ip daddr != @subnets '
        'oifname != "lo" masquerade\n'
    )


def disconnect_gateway(gateway: str) -> str:
    """``ip -batch`` lines that take a gateway's address off the host."""
    return f"address delete {gateway}/32 dev lo\n"


def stop_masquerading(subnet: str) -> str:
    """An nftables script that undoes ``masquerade``; it fails when that was not done."""
    return f"delete element ip {NFT_TABLE} subnets {{ {subnet} }}\n"


def drop_table() -> str:
    """An nftables script that removes our table; it fails when there is none."""
    return f"delete table ip {NFT_TABLE}\n"


def docker_user(listing: str, *, wanted: bool) -> str:
    """An ``iptables-restore --noflush`` script that makes our rules in DOCKER-USER whole, or takes all of them away.

    ``listing`` is what ``iptables -S DOCKER-USER`` says; the script is empty when nothing is to be
    done.  Docker's policy drops what Docker does not forward itself, so tasks' traffic is accepted
    here.  Not between tasks and Docker's networks: what is internal or not published there is for
    Docker's own rules to decide, which come after this chain.
    """
    tasks = f"{PREFIX}+"
    pairs = [pair for bridge in DOCKER_BRIDGES for pair in ((tasks, bridge), (bridge, tasks))]
    rules = [f"DOCKER-USER -i {source} -o {target} -j RETURN" for source, target in pairs]
    rules += [f"DOCKER-USER {direction} {tasks} -j ACCEPT" for direction in ("-i", "-o")]
    ours = [rule for rule in (line.removeprefix("-A ").strip() for line in listing.splitlines()) if rule in rules]
    if ours == (rules if wanted else []):
        return ""
    changes = [f"-D {rule}" for rule in ours]
    if wanted:
        # Each goes to the front, so the last one comes first.
        changes += [f"-I {rule}" for rule in reversed(rules)]
    return "\n".join(("*filter", *changes, "COMMIT", ""))


def resolvers(resolv_conf: str) -> tuple[str, ...]:
    """The name servers of a resolv.conf that a task can reach: loopback ones it cannot."""
    servers = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1].split("%", 1)[0])
        except ValueError:
            continue
        if address.version == 4 and not address.is_loopback:
            servers.append(str(address))
    return tuple(servers)
