"""The packet filter and the interfaces of a host, in a network namespace of their own.

Rules: 200 security groups with 13 rules each, 2,000 interfaces, 100 of them on this host.  The peer of
an edit is what a host without differences would do, loading everything; that of the full load is
the compile alone.  Interfaces: one ``ip -batch`` on the host and one in the namespace is the floor.
Needs root; everything that is made goes away with the namespace.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import Row

from openecs.acs.host_documents import (
    AclRule,
    GroupRule,
    InterfaceDocument,
    NetworkAclDocument,
    SecurityGroupDocument,
    SubnetDocument,
    VpcDocument,
)
from openecs.agent.network import ruleset
from openecs.agent.network.frame import Documents, Surroundings
from openecs.agent.network.nftables import open_nftables
from openecs.agent.network.rules import Compiler

GROUPS, INTERFACES, LOCAL = 200, 2_000, 100
EDITS, PAIRS = 40, 20
GOAL_EDIT, GOAL_LOAD, GOAL_ATTACH = 20.0, 1_000.0, 15.0
TABLE = "openecs_bench"
NAMESPACE = "oecs-bench"


def measure(_: Path) -> list[Row]:
    """The rows; measured in a child process inside a new network namespace."""
    subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True)
        done = subprocess.run(
            ["ip", "netns", "exec", NAMESPACE, sys.executable, __file__], check=True, capture_output=True, text=True
        )
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False)
    load, compiled, edit, attach, floor = (float(word) for word in done.stdout.split()[-5:])
    size = f"{GROUPS} security groups, {INTERFACES:,} addresses"
    return [
        Row(
            f"{size}: full load on a host",
            "compiling alone",
            f"{compiled:.1f} ms",
            f"{load:.1f} ms",
            load / compiled,
            f"< {GOAL_LOAD:.0f} ms",
            load < GOAL_LOAD,
        ),
        Row(
            f"{size}: rule edit applied on a host",
            "loading everything",
            f"{load:.1f} ms",
            f"{edit:.1f} ms",
            edit / load,
            f"< {GOAL_EDIT:.0f} ms",
            edit < GOAL_EDIT,
        ),
        Row(
            "awsvpc plumbing of one interface, its rules in force",
            "two ip -batch processes",
            f"{floor:.1f} ms",
            f"{attach:.1f} ms",
            attach / floor,
            f"< {GOAL_ATTACH:.0f} ms",
            attach < GOAL_ATTACH,
        ),
    ]


def documents() -> Documents:
    """The installation that is measured."""

    def group(number: int) -> str:
        return f"sg-{number % GROUPS:017x}"

    def rules(number: int) -> tuple[GroupRule, ...]:
        by_group = (GroupRule(protocol="tcp", from_port=p, to_port=p + 9, group=group(number + p)) for p in range(5))
        by_block = (GroupRule(protocol="tcp", from_port=p, to_port=p, cidr=f"10.{p}.0.0/16") for p in range(5))
        return (*by_group, *by_block)

    everywhere = "0.0.0.0/0"
    egress = (
        GroupRule(protocol="-1", cidr=everywhere),
        GroupRule(protocol="tcp", from_port=443, to_port=443, cidr=everywhere),
        GroupRule(protocol="udp", from_port=53, to_port=53, cidr=everywhere),
    )
    allow = (AclRule(number=100, allow=True, protocol="-1", cidr=everywhere),)
    return Documents(
        {"vpc-1": VpcDocument(cidrs=("10.60.0.0/16",), resolver="10.60.0.2")},
        {"subnet-1": SubnetDocument(vpc_id="vpc-1", cidr="10.60.0.0/17", gateway="10.60.0.1/17", egress="internet")},
        {
            f"eni-{n}": InterfaceDocument(
                vpc_id="vpc-1",
                subnet_id="subnet-1",
                address=f"10.60.{n // 200}.{10 + n % 200}",
                node_id="here" if n < LOCAL else "there",
                security_groups=(group(n),),
            )
            for n in range(INTERFACES)
        },
        {group(n): SecurityGroupDocument(vpc_id="vpc-1", ingress=rules(n), egress=egress) for n in range(GROUPS)},
        {"acl-1": NetworkAclDocument(vpc_id="vpc-1", subnets=("subnet-1",), ingress=allow, egress=allow)},
    )


async def _figures() -> None:
    """Print full load, compile, edit, attach and its floor, in milliseconds."""
    nft, world, around = open_nftables(), documents(), Surroundings(hosts=frozenset({"192.168.1.1"}))
    loads, compiles, edits = [], [], []
    for _ in range(5):
        compiler = Compiler("here")
        begin = time.perf_counter()
        rules = compiler.compile(world, around)
        compiles.append(time.perf_counter() - begin)
        await nft.run(ruleset.load(TABLE, rules))
        loads.append(time.perf_counter() - begin)
    key = next(iter(world.groups))
    for number in range(EDITS):
        rule = GroupRule(protocol="tcp", from_port=1000 + number, to_port=1000 + number, cidr="10.0.0.0/8")
        world.groups[key] = SecurityGroupDocument(vpc_id="vpc-1", ingress=(rule,))  # type: ignore[index]
        begin = time.perf_counter()
        edited = compiler.compile(world, around)
        await nft.run(ruleset.change(TABLE, rules, edited))
        edits.append(time.perf_counter() - begin)
        rules = edited
    attach, floor = await _interfaces()
    figures = (statistics.median(loads), statistics.median(compiles), statistics.median(edits), attach, floor)
    sys.stdout.write(" ".join(f"{1000 * figure:.3f}" for figure in figures))


async def _interfaces() -> tuple[float, float]:
    import msgspec

    from openecs.acs import messages as m
    from openecs.agent.host.documents import HostDocuments
    from openecs.agent.network import wiring
    from openecs.agent.network.commands import run
    from openecs.agent.network.dataplane import DataPlane
    from openecs.agent.network.host import HostNetwork
    from openecs.agent.network.interfaces import Interfaces, inside

    told, host = HostDocuments(None), HostNetwork(Path(tempfile.mkdtemp()))
    plane = DataPlane("here", told, host, open_nftables())
    interfaces = Interfaces(host, plane)

    def tell(kind: str, entries: dict[str, object]) -> None:
        bodies = (m.HostEntry(kind, key, msgspec.Raw(msgspec.json.encode(body))) for key, body in entries.items())
        told.take(m.HostDocumentsMessage(entries=tuple(bodies)))

    world = documents()
    for kind, entries in (
        ("vpc", world.vpcs),
        ("subnet", world.subnets),
        ("security-group", world.groups),
        ("network-acl", world.acls),
    ):
        tell(kind, dict(entries))
    running = asyncio.get_running_loop().create_task(plane.run())
    times, floors = [], []
    for number in range(2 * PAIRS):
        name = f"{NAMESPACE}-{number}"
        subprocess.run(["ip", "netns", "add", name], check=True)  # noqa: ASYNC221
        try:
            address, space = f"10.60.100.{10 + number}", Path("/run/netns") / name
            begin = time.perf_counter()
            if number % 2:
                plan = wiring.interface(address, "10.60.0.1/17", "")
                await run(("ip", "-batch", "-"), wiring.make_pair(plan, space) + wiring.connect_host(plan))
                await run(inside(space, "ip", "-batch", "-"), wiring.connect_inside(plan))
                floors.append(time.perf_counter() - begin)
            else:
                document = InterfaceDocument(
                    vpc_id="vpc-1",
                    subnet_id="subnet-1",
                    address=address,
                    node_id="here",
                    security_groups=(next(iter(world.groups)),),
                )
                tell("interface", {f"eni-{number}": document})
                await interfaces.connect(space, address=address, gateway="10.60.0.1/17", alias=name)
                times.append(time.perf_counter() - begin)
        finally:
            subprocess.run(["ip", "netns", "delete", name], check=True)  # noqa: ASYNC221
    running.cancel()
    return statistics.median(times), statistics.median(floors)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("needs root")
    # What the agent logs is not part of the figures.
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_figures())
