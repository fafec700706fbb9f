"""Connecting a network namespace to the host: one routed veth pair per address.

Awsvpc tasks and load balancers are connected in the same way.  What others call:

* ``await interfaces.connect(namespace, address=…, gateway=…, alias=…, mac=…, inside_name=…)``:
  ``namespace`` is a process id or the path of a namespace (``/run/netns/x``); ``gateway`` has the
  subnet's prefix length (``10.0.1.1/24``); ``alias`` is the ARN of what the interface belongs to
  and stays the same for it.  Idempotent.  Returns when the interface is up *and* the rules of its
  security groups are in force.  Raises ``NetworkError``, or ``AddressInUseError``.
* ``await interfaces.disconnect(address, alias)``: takes it away; no error when it is gone.

A namespace may get several interfaces (``eth0``, ``eth1``, …): what is sent from the address of
one leaves by that one, whatever the default route says.  Anti-spoofing would drop it otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path

from openecs.agent.network import wiring
from openecs.agent.network.commands import run, sysctl
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.driver import AddressInUseError, NetworkError
from openecs.agent.network.host import HostNetwork, interface_alias, remove_interface

#: Routing tables of a namespace's interfaces: ``eth0`` has 100, ``eth1`` 101.
FIRST_TABLE = 100


class Interfaces:
    """The interfaces of this host."""

    def __init__(self, host: HostNetwork, plane: DataPlane | None = None) -> None:
        self.host = host
        #: What filters and routes their packets; without it nothing is filtered.
        self.plane = plane

    async def connect(
        self,
        namespace: int | Path,
        *,
        address: str,
        gateway: str,
        alias: str,
        mac: str = "",
        inside_name: str = "eth0",
    ) -> None:
        """Connect the namespace to the host with an address; see the module."""
        try:
            plan = wiring.interface(address, gateway, mac)
        except wiring.InterfaceError as error:
            raise NetworkError(str(error)) from None
        await self.attach(plan, namespace, alias, inside_name)

    async def attach(self, plan: wiring.Wiring, namespace: int | Path, alias: str, inside_name: str = "eth0") -> None:
        """``connect`` for an interface that is planned already."""
        async with self.host.locked():
            await self._refuse_foreign(plan, alias, namespace, inside_name)
            await self.host.ensure(plan)
            pair = ""
            if interface_alias(plan.host_end) is None:
                pair = wiring.make_pair(plan, namespace, inside_name, self.plane.mtu() if self.plane else None)
            await run(("ip", "-batch", "-"), pair + wiring.mark(plan, alias) + wiring.connect_host(plan))
        table = FIRST_TABLE + _number(inside_name)
        await run(inside(namespace, "ip", "-batch", "-"), wiring.connect_inside(plan, inside_name, table))
        if inside_name != "eth0":
            await _source_rule(plan, namespace, table)
        sysctl(f"net/ipv4/conf/{plan.host_end}/rp_filter", "1")
        if self.plane is not None:
            # The rules are made while the pair is; nothing runs in the namespace until both are there.
            await self.plane.gate(plan)

    async def disconnect(self, address: str, alias: str) -> None:
        """Take an interface of that owner away, and what no interface of the host uses any more."""
        plan = wiring.interface(address, f"{address}/32", "")
        await remove_interface(plan, alias)
        async with self.host.locked():
            await self.host.tidy()

    async def _refuse_foreign(self, plan: wiring.Wiring, alias: str, namespace: int | Path, inside_name: str) -> None:
        """Raise ``AddressInUseError`` when the address has another owner on this host."""
        occupant = self.host.occupant(plan, alias)
        if occupant is None and interface_alias(plan.host_end) == "":
            # An agent was killed before it could write down whose this is: look at the other end.
            try:
                await run(inside(namespace, "ip", "link", "show", inside_name), "")
            except NetworkError:
                occupant = f"the interface {plan.host_end}"
        if occupant is not None:
            raise AddressInUseError(
                f"the address {plan.address} is in use on this host by {occupant}; "
                "start the task again, or give the installations different address ranges"
            )


def inside(namespace: int | Path, *command: str) -> tuple[str, ...]:
    """A command that runs in a network namespace."""
    path = f"/proc/{namespace}/ns/net" if isinstance(namespace, int) else str(namespace)
    return ("nsenter", f"--net={path}", *command)


async def _source_rule(plan: wiring.Wiring, namespace: int | Path, table: int) -> None:
    try:
        await run(inside(namespace, "ip", "-batch", "-"), wiring.source_rule(plan, table))
    except NetworkError as error:
        if "File exists" not in str(error):
            raise


def _number(name: str) -> int:
    digits = re.search(r"\d+$", name)
    return int(digits.group()) if digits else 0
