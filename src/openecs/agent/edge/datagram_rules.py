"""UDP of a network load balancer as nftables rules for its namespace.  Pure.

The kernel carries datagrams, not Envoy: Envoy sends those of clients on from the network namespace
of its own process, whatever namespace their listener is in, so that targets would see the host's
address and the security groups of the load balancer would not apply.

A new flow gets its target at random among those that may be used, first by the weights of the
target groups; the kernel remembers it, and the flow keeps it.  Targets see the load balancer's
address.  The mark of a flow says which target group it belongs to.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from openecs.acs.host_documents import BalancerDocument, BalancerListener, TargetEntry, TargetGroupDocument
from openecs.agent.edge.envoy_actions import weighted_groups
from openecs.agent.edge.routing import Route, Target
from openecs.agent.edge.zones import crosses_zones, in_zone

TABLE = "openecs_udp"
#: Removes the rules; no error when there are none.
REMOVE = f"add table ip {TABLE}\ndelete table ip {TABLE}\n"
#: Clients that stay with their target are divided among so many slots, and the slots among the targets.
_SLOTS = 251
_SEED = 0x6F656373
#: Address and port.
Place = tuple[str, int]


class MarkedGroup(NamedTuple):
    """The target group behind a mark."""

    arn: str
    #: Every target that is registered, draining ones too.
    targets: frozenset[Place]
    #: Flows end when their target is not registered any more.
    ends: bool


class DatagramRules(NamedTuple):
    """What a namespace needs."""

    #: For ``nft``; makes the table exactly this, whatever it was.
    script: str
    #: Mark of flows → their target group.
    groups: Mapping[int, MarkedGroup]
    #: Where clients reach listeners.
    listens: frozenset[Place]
    #: The load balancer's addresses in this namespace.
    addresses: tuple[str, ...]


NONE = DatagramRules(REMOVE, {}, frozenset(), ())


def has_udp(listener: BalancerListener) -> bool:
    """Whether a listener takes datagrams."""
    return listener.protocol in ("UDP", "TCP_UDP")


def datagram_rules(
    balancer: BalancerDocument,
    groups: Mapping[str, TargetGroupDocument],
    routes: Mapping[str, Mapping[Target, Route]],
) -> DatagramRules:
    """The rules of a load balancer, whose document names the interfaces of this host only."""
    listeners = [listener for listener in balancer.listeners if has_udp(listener)]
    if not listeners or not balancer.interfaces:
        return NONE
    table = _Table(balancer, groups, routes)
    for listener in listeners:
        table.add(listener)
    addresses = tuple(interface.address for interface in balancer.interfaces)
    used = dict.fromkeys(arn for listener in listeners for arn, _ in weighted_groups(listener.rules))
    return DatagramRules(
        script=REMOVE + table.text(addresses),
        groups={group_mark(arn): _marked(arn, groups[arn]) for arn in used if arn in groups},
        listens=frozenset((address, listener.port) for address in addresses for listener in listeners),
        addresses=addresses,
    )


def group_mark(arn: str) -> int:
    """The mark of flows to a target group: from 1 to 2^31."""
    return int.from_bytes(hashlib.sha256(arn.encode()).digest()[:4]) // 2 + 1


def _marked(arn: str, group: TargetGroupDocument) -> MarkedGroup:
    targets = frozenset((target.address, target.port) for target in group.targets if target.address)
    ends = group.attributes.get("deregistration_delay.connection_termination.enabled", "true") == "true"
    return MarkedGroup(arn, targets, ends)


@dataclass
class _Table:
    balancer: BalancerDocument
    groups: Mapping[str, TargetGroupDocument]
    routes: Mapping[str, Mapping[Target, Route]]
    #: The only rule of a chain that gives a flow its target → the chain.
    chains: dict[str, str] = field(default_factory=dict)
    #: Rules that choose one of these chains.
    choices: list[str] = field(default_factory=list)

    def add(self, listener: BalancerListener) -> None:
        """What becomes of new flows to a listener."""
        for interface in self.balancer.interfaces:
            here = f"ip daddr {interface.address} udp dport {listener.port}"
            chosen: list[tuple[str, int]] = []
            for arn, weight in weighted_groups(listener.rules):
                group = self.groups.get(arn)
                places = self._places(arn, group, interface.availability_zone) if group is not None else ()
                if group is not None and places and weight > 0:
                    chosen.append((self._chain(arn, group, places), weight))
            self.choices.append(f"{here} {_choice(chosen)}")

    def text(self, addresses: Iterable[str]) -> str:
        """The table as ``nft`` reads it."""
        marks, answers = [], []
        for address in addresses:
            own = f"ct original ip daddr {address}"
            # Both directions leave by the interface of the address that the client knows.
            marks.append(f"meta l4proto udp {own} meta mark set {address_mark(address):#x}")
            answers.append(f"ct status dnat {own} snat to {address}")
        # Connections of Envoy need no looking after.
        untracked = ["meta l4proto tcp notrack"]
        chains = [
            *(_chain_text(name, "", [rule]) for rule, name in self.chains.items()),
            _chain_text("untracked_in", "type filter hook prerouting priority raw; policy accept;", untracked),
            _chain_text("untracked_out", "type filter hook output priority raw; policy accept;", untracked),
            _chain_text("marked", "type filter hook prerouting priority mangle; policy accept;", marks),
            _chain_text("balanced", "type nat hook prerouting priority dstnat; policy accept;", self.choices),
            _chain_text("passed", "type filter hook forward priority filter; policy drop;", ["ct status dnat accept"]),
            _chain_text("answered", "type nat hook postrouting priority srcnat; policy accept;", answers),
        ]
        return f"table ip {TABLE} {{\n{''.join(chains)}}}\n"

    def _places(self, arn: str, group: TargetGroupDocument, zone: str) -> tuple[Place, ...]:
        """Where new flows of a zone may go."""
        routes = self.routes.get(arn, {})

        def usable(target: TargetEntry) -> bool:
            return bool(target.address) and routes.get((target.id, target.port), "out") == "routable"

        targets: Sequence[TargetEntry] = group.targets
        if not crosses_zones(group, self.balancer):
            targets = in_zone(targets, zone, usable)
        return tuple(sorted({(target.address, target.port) for target in targets if usable(target)}))

    def _chain(self, arn: str, group: TargetGroupDocument, places: tuple[Place, ...]) -> str:
        sticky = group.attributes.get("stickiness.enabled") == "true"
        choice = _by_client(places) if sticky else _by_chance(places)
        rule = f"meta l4proto udp ct mark set {group_mark(arn):#x} dnat ip to {choice}"
        return self.chains.setdefault(rule, f"to_{len(self.chains)}")


def address_mark(address: str) -> int:
    """The mark of packets that belong to an address of the load balancer: routes are chosen by it."""
    return int(ipaddress.IPv4Address(address))


def _choice(chosen: Sequence[tuple[str, int]]) -> str:
    match chosen:
        case []:
            # As on AWS nobody is told.
            return "drop"
        case [(chain, _)]:
            return f"goto {chain}"
    parts, first = [], 0
    for chain, weight in chosen:
        parts.append(f"{_range(first, first + weight - 1)} : goto {chain}")
        first += weight
    return f"numgen random mod {first} vmap {{ {', '.join(parts)} }}"


def _by_chance(places: Sequence[Place]) -> str:
    entries = ", ".join(f"{n} : {address} . {port}" for n, (address, port) in enumerate(places))
    return f"numgen random mod {len(places)} map {{ {entries} }}"


# Rules are worked out whenever something changes on this host, for each address: mostly for the same targets.
@lru_cache(maxsize=64)
def _by_client(places: tuple[Place, ...]) -> str:
    """The same client comes to the same target, and most do so still when targets come and go."""
    slots = [max(places, key=lambda place: _score(slot, place)) for slot in range(_SLOTS)]
    parts = [f"{_range(first, last)} : {address} . {port}" for first, last, (address, port) in _runs(slots)]
    return f"jhash ip saddr mod {_SLOTS} seed {_SEED:#x} map {{ {', '.join(parts)} }}"


def _score(slot: int, place: Place) -> bytes:
    return hashlib.sha256(f"{slot} {place}".encode()).digest()


def _runs(slots: Sequence[Place]) -> Iterator[tuple[int, int, Place]]:
    first = 0
    for number, place in enumerate(slots):
        if number + 1 == len(slots) or slots[number + 1] != place:
            yield first, number, place
            first = number + 1


def _range(first: int, last: int) -> str:
    return f"{first}-{last}" if last > first else str(first)


def _chain_text(name: str, hook: str, rules: Iterable[str]) -> str:
    lines = [hook, *rules] if hook else list(rules)
    return f" chain {name} {{\n" + "".join(f"  {line}\n" for line in lines) + " }\n"
