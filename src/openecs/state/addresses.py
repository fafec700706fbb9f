"""Addresses of interfaces: which are taken, and the next free one of a subnet or of the public pool.

Derived from the tables and never stored.  The address of a task is taken until it is STOPPED,
that of any other interface until the interface is deleted, an elastic one until it is released.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import NamedTuple

from openecs.model.network_interface import Interface
from openecs.model.route_table import ElasticAddress
from openecs.model.task import Task
from openecs.model.vpc import RESERVED_ADDRESSES, VpcSubnet


class _Held(NamedTuple):
    """What one record takes."""

    private: str | None
    subnet_id: str
    public: str | None


class Addresses:
    """The taken addresses; the ``…_changed`` functions are the tables' watchers."""

    def __init__(self) -> None:
        #: How many records hold an address: a public one is held by its elastic address and by
        #: the interface that it is associated with.
        self._taken: dict[str, int] = {}
        self._in_subnet: Counter[str] = Counter()
        #: First address of a block → the number of the address that was handed out last.
        self._last: dict[int, int] = {}
        #: CIDR of a subnet → its first usable address as a number, and how many there are.
        self._blocks: dict[str, tuple[int, int]] = {}

    def __contains__(self, address: str) -> bool:
        return address in self._taken

    def taken(self) -> dict[str, int]:
        """All addresses that are taken, and by how many records."""
        return dict(self._taken)

    def used(self, subnet_id: str) -> int:
        """How many interfaces have an address of that subnet."""
        return self._in_subnet[subnet_id]

    def task_changed(self, old: Task | None, new: Task | None) -> None:
        """Take one replacement of a task record into account."""
        if (old is None or old.eni is None) and (new is None or new.eni is None):
            return
        before = old.eni if old is not None and not old.stopped else None
        after = new.eni if new is not None and not new.stopped else None
        if before is after:
            return
        if before is not None:
            self._release(_Held(before.private_ipv4_address, before.subnet_id, before.public_ip))
        if after is not None:
            self._take(_Held(after.private_ipv4_address, after.subnet_id, after.public_ip))

    def interface_changed(self, old: Interface | None, new: Interface | None) -> None:
        """Take one replacement of an interface's record into account."""
        if old is not None:
            self._release(_Held(old.private_ip, old.subnet_id, old.public_ip))
        if new is not None:
            self._take(_Held(new.private_ip, new.subnet_id, new.public_ip))

    def elastic_changed(self, old: ElasticAddress | None, new: ElasticAddress | None) -> None:
        """Take one replacement of an elastic address's record into account."""
        if old is not None:
            self._release(_Held(None, "", old.public_ip))
        if new is not None:
            self._take(_Held(None, "", new.public_ip))

    def next_free(self, subnet: VpcSubnet) -> str | None:
        """A free address of the subnet, ``None`` when it is full.

        Goes on from the last one given, so that an address rests before it is used again.
        The address counts as taken when the record that gets it is put.
        """
        block = self._blocks.get(subnet.cidr)
        if block is None:
            network = ipaddress.IPv4Network(subnet.cidr)
            usable = network.num_addresses - RESERVED_ADDRESSES - 1
            block = self._blocks[subnet.cidr] = (int(network.network_address) + RESERVED_ADDRESSES, usable)
        return self._next(*block)

    def next_public(self, pool: ipaddress.IPv4Network) -> str | None:
        """A free public address, ``None`` when the pool has no more."""
        return self._next(int(pool.network_address) + 1, pool.num_addresses - 2)

    def _next(self, first: int, usable: int) -> str | None:
        start = self._last.get(first, -1)
        for step in range(1, usable + 1):
            number = (start + step) % usable
            value = first + number
            address = f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
            if address not in self._taken:
                self._last[first] = number
                return address
        return None

    def _take(self, held: _Held) -> None:
        for address in (held.private, held.public):
            if address is not None:
                self._taken[address] = self._taken.get(address, 0) + 1
        if held.private is not None:
            self._in_subnet[held.subnet_id] += 1

    def _release(self, held: _Held) -> None:
        for address in (held.private, held.public):
            if address is not None:
                left = self._taken[address] - 1
                if left:
                    self._taken[address] = left
                else:
                    del self._taken[address]
        if held.private is not None:
            self._in_subnet[held.subnet_id] -= 1
            if not self._in_subnet[held.subnet_id]:
                del self._in_subnet[held.subnet_id]
