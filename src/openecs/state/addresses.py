"""Private addresses of awsvpc tasks: which are taken, and the next free one of a subnet.

Derived from the task table and never stored.  An address is taken until its task is STOPPED.
"""

from __future__ import annotations

import ipaddress

from openecs.model.network import RESERVED_ADDRESSES, Subnet
from openecs.model.task import Task


class Addresses:
    """The taken addresses; ``task_changed`` is the task table's watcher."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        #: Subnet CIDR → the number of the address that was handed out last.
        self._last: dict[str, int] = {}

    def __contains__(self, address: str) -> bool:
        return address in self._taken

    def task_changed(self, old: Task | None, new: Task | None) -> None:
        """Take one replacement of a task record into account."""
        if old is not None and old.eni is not None and not old.stopped:
            self._taken.discard(old.eni.private_ipv4_address)
        if new is not None and new.eni is not None and not new.stopped:
            self._taken.add(new.eni.private_ipv4_address)

    def next_free(self, subnet: Subnet) -> str | None:
        """A free address of the subnet, ``None`` when it is full.

        Goes on from the last one given, so that an address rests before it is used again.
        The address counts as taken when the task that gets it is put.
        """
        network = ipaddress.IPv4Network(subnet.cidr)
        usable = network.num_addresses - RESERVED_ADDRESSES - 1
        start = self._last.get(subnet.cidr, -1)
        for step in range(1, usable + 1):
            number = (start + step) % usable
            address = str(network.network_address + RESERVED_ADDRESSES + number)
            if address not in self._taken:
                self._last[subnet.cidr] = number
                return address
        return None
