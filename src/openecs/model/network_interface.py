"""Network interfaces that do not belong to tasks: of load balancers, NAT gateways and users.

The interface of an awsvpc task is part of the task (``model.task.NetworkInterface``).
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record

#: Whose it is, as DescribeNetworkInterfaces says it.
InterfaceType = Literal["interface", "nat_gateway", "network_load_balancer"]


class Interface(Record, frozen=True, kw_only=True):
    """One elastic network interface."""

    id: str
    region: str
    owner: str
    vpc_id: str
    subnet_id: str
    availability_zone: str
    private_ip: str
    mac_address: str
    security_groups: tuple[str, ...] = ()
    description: str = ""
    interface_type: InterfaceType = "interface"
    source_dest_check: bool = True
    #: Set for interfaces that a service of ours made: nobody else may delete them.
    requester_id: str | None = None
    #: ARN of what it belongs to: a load balancer.
    owner_arn: str | None = None
    #: The host on which it lives; ``None`` while it lives on none.
    node_id: str | None = None
    status: Literal["available", "in-use"] = "available"
    public_ip: str | None = None
    allocation_id: str | None = None
    association_id: str | None = None
    created_at: float = 0.0
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id
