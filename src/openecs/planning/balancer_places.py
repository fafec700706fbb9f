"""On which hosts the interfaces of a load balancer live.  Pure.

An interface stays where it is for as long as its host is there.  A new place is a host of the
subnet's zone where there is one, and otherwise the host that has the fewest of this load
balancer's interfaces, then the fewest of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class BalancerPlace(NamedTuple):
    """A host as a place for load balancers."""

    node_id: str
    availability_zone: str
    #: Why it runs none; empty when it does.
    problem: str = ""
    #: Its agent is connected, or has been away for a short time only.
    present: bool = True
    #: Its agent is connected: only then it hears of something new.
    connected: bool = True
    #: Interfaces of other load balancers that live on it.
    others: int = 0


class BalancerSeat(NamedTuple):
    """An interface of the load balancer and where it lives now."""

    interface_id: str
    availability_zone: str
    node_id: str | None


def place(seats: Iterable[BalancerSeat], places: Iterable[BalancerPlace]) -> dict[str, str | None]:
    """Interface id → node, for those whose node is to be another one; ``None``: no host can have it."""
    by_node = {each.node_id: each for each in places}
    able = [each for each in by_node.values() if not each.problem and each.connected]
    seats = sorted(seats)
    staying = {seat.interface_id: seat.node_id for seat in seats if _stays(seat, by_node)}
    own = Counter(node for node in staying.values() if node is not None)
    moves: dict[str, str | None] = {}
    for seat in seats:
        if seat.interface_id in staying:
            continue
        best = min(able, key=lambda each: _cost(each, seat, own), default=None)
        # Without any other place it waits where it is: its host may come back.
        node = best.node_id if best is not None else (seat.node_id if seat.node_id in by_node else None)
        if node is not None:
            own[node] += 1
        if node != seat.node_id:
            moves[seat.interface_id] = node
    return moves


def _stays(seat: BalancerSeat, by_node: dict[str, BalancerPlace]) -> bool:
    host = by_node.get(seat.node_id) if seat.node_id is not None else None
    return host is not None and host.present and not host.problem


def _cost(host: BalancerPlace, seat: BalancerSeat, own: Counter[str]) -> tuple[bool, int, int, str]:
    return (
        host.availability_zone != seat.availability_zone,
        own[host.node_id],
        host.others + own[host.node_id],
        host.node_id,
    )


def why_nowhere(places: Iterable[BalancerPlace]) -> str:
    """Why no host runs load balancers, in a sentence."""
    places = sorted(places)
    if not places:
        return "No host has joined this installation."
    problems = sorted({each.problem for each in places if each.problem})
    if problems:
        return f"No host of this installation can run load balancers: {'; '.join(problems)}."
    return "No host that can run load balancers is connected."
