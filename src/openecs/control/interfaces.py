"""Making network interfaces that are not of tasks: of load balancers, gateways and users.

Nothing is written here: the caller puts the record into its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.ids import Ids
from openecs.model.network_interface import Interface, InterfaceType
from openecs.model.vpc import VpcSubnet
from openecs.planning.new_task import mac_address
from openecs.planning.new_vpc import DEFAULT_GROUP
from openecs.state.state import State


def make_interface(
    state: State,
    subnet: VpcSubnet,
    *,
    groups: Iterable[str] = (),
    description: str = "",
    ids: Ids,
    owner_arn: str | None = None,
    requester: str | None = None,
    now: float = 0.0,
    address: str | None = None,
    interface_type: InterfaceType = "interface",
    default_group: bool = True,
) -> Interface | None:
    """An interface in the subnet; ``None`` when it has no free address, or when ``address`` is taken.

    Without ``groups`` it gets the VPC's default group, unless ``default_group`` is off (NAT
    gateways and network load balancers may have none).  ``requester`` says that a service of
    ours made it; nobody else may delete it then.
    """
    if address is None:
        address = state.addresses.next_free(subnet)
        if address is None:
            return None
    elif address in state.addresses:
        return None
    chosen = tuple(groups)
    if not chosen and default_group:
        chosen = tuple(g.id for g in state.security_groups.by("vpc", subnet.vpc_id) if g.name == DEFAULT_GROUP)
    return Interface(
        id=f"eni-0{ids.hex32()[:16]}",
        region=subnet.region,
        owner=subnet.owner,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        availability_zone=subnet.availability_zone,
        private_ip=address,
        mac_address=mac_address(address),
        security_groups=chosen,
        description=description,
        interface_type=interface_type,
        requester_id=requester,
        owner_arn=owner_arn,
        status="in-use" if owner_arn is not None else "available",
        created_at=now,
    )
