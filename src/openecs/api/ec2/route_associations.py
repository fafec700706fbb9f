"""Which route table a subnet uses: one of its own, or else the VPC's main one."""

from __future__ import annotations

from openecs.api.ec2.errors import invalid_value, missing
from openecs.api.ec2.resources import ROUTE_TABLE, SUBNET, new_id
from openecs.api.ec2.unserved import refuse_set
from openecs.errors import AWSError
from openecs.model.record import changed
from openecs.model.route_table import RouteTable, RouteTableAssociation
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

_ASSOCIATED = ec2.RouteTableAssociationState(state="associated")


class RouteAssociations:
    """AssociateRouteTable, DisassociateRouteTable and ReplaceRouteTableAssociation."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "AssociateRouteTable": self.associate,
            "DisassociateRouteTable": self.disassociate,
            "ReplaceRouteTableAssociation": self.replace,
        }

    def associate(self, call: Call, request: ec2.AssociateRouteTableRequest) -> ec2.AssociateRouteTableResult:
        """Let a subnet use a table; the same again answers the same association."""
        refuse_set(request, "gateway_id", "public_ipv4_pool")
        table: RouteTable = ROUTE_TABLE.find(self._state, call.region, request.route_table_id)
        if not request.subnet_id:
            raise missing("subnetId")
        subnet = SUBNET.find(self._state, call.region, request.subnet_id)
        if subnet.vpc_id != table.vpc_id:
            raise invalid_value(f"Route table {table.id} and subnet {subnet.id} belong to different networks")
        for other in self._state.route_tables.by("vpc", subnet.vpc_id):
            for known in other.associations:
                if known.subnet_id != subnet.id:
                    continue
                if other.id == table.id:
                    return ec2.AssociateRouteTableResult(association_id=known.id, association_state=_ASSOCIATED)
                raise AWSError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {table.id} conflicts with an existing association",
                )
        association = RouteTableAssociation(id=new_id("rtbassoc", call.ids), subnet_id=subnet.id)
        with self._state.transaction() as tx:
            tx.put(changed(table, associations=(*table.associations, association)))
        return ec2.AssociateRouteTableResult(association_id=association.id, association_state=_ASSOCIATED)

    def disassociate(self, call: Call, request: ec2.DisassociateRouteTableRequest) -> None:
        """Let a subnet use the main table again."""
        table, known = self._find(call, request.association_id)
        if known.main:
            raise invalid_value(f"cannot disassociate the main route table association {known.id}")
        with self._state.transaction() as tx:
            tx.put(changed(table, associations=tuple(a for a in table.associations if a.id != known.id)))

    def replace(
        self, call: Call, request: ec2.ReplaceRouteTableAssociationRequest
    ) -> ec2.ReplaceRouteTableAssociationResult:
        """Let a subnet use another table, or make another table the VPC's main one, without a gap."""
        table, known = self._find(call, request.association_id)
        target: RouteTable = ROUTE_TABLE.find(self._state, call.region, request.route_table_id)
        if target.vpc_id != table.vpc_id:
            raise invalid_value(
                f"Route table {target.id} and {known.subnet_id or table.vpc_id} belong to different networks"
            )
        if target.id == table.id:
            return ec2.ReplaceRouteTableAssociationResult(new_association_id=known.id, association_state=_ASSOCIATED)
        fresh = changed(known, id=new_id("rtbassoc", call.ids))
        with self._state.transaction() as tx:
            tx.put(changed(table, associations=tuple(a for a in table.associations if a.id != known.id)))
            tx.put(changed(target, associations=(*target.associations, fresh)))
        return ec2.ReplaceRouteTableAssociationResult(new_association_id=fresh.id, association_state=_ASSOCIATED)

    def _find(self, call: Call, association_id: str) -> tuple[RouteTable, RouteTableAssociation]:
        for table in self._state.route_tables.by("region", call.region):
            for association in table.associations:
                if association.id == association_id:
                    return table, association
        message = f"The association ID '{association_id[:256]}' does not exist"
        raise AWSError("InvalidAssociationID.NotFound", message)
