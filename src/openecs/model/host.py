"""What a host says of itself as a place for networks and load balancers.  Written by its reports alone."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record


class Host(Record, frozen=True, kw_only=True):
    """One node's abilities beside running tasks."""

    node_id: str
    #: The address at which the other hosts reach it.
    address: str = ""
    #: How packets for its interfaces get there: ``vxlan`` or ``direct``.
    overlay: Literal["vxlan", "direct"] = "vxlan"
    #: Its number among the hosts, from 1; its tunnel address follows from it.  0 while it has no address.
    number: int = 0
    #: Why it cannot run awsvpc interfaces; empty when it can.
    network_problem: str = ""
    #: Why it cannot run load balancers; empty when it can.
    balancer_problem: str = "unknown"
    #: The host's address at which its load balancers are reached from outside the VPC.
    edge_address: str = "127.0.0.1"

    @property
    def key(self) -> str:
        return self.node_id
