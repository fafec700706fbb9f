"""Internet gateways: what leads a subnet to the outside where a route names it."""

from __future__ import annotations

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import in_use, invalid_value
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.resources import INTERNET_GATEWAY, VPC, new_id
from openecs.errors import AWSError
from openecs.model.record import changed
from openecs.model.route_table import InternetGateway
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

_FIELDS: Fields[InternetGateway] = {
    "attachment.state": lambda g: one("available" if g.vpc_id else None),
    "attachment.vpc-id": lambda g: one(g.vpc_id),
    "internet-gateway-id": lambda g: one(g.id),
    "owner-id": lambda g: one(g.owner),
}


class InternetGateways:
    """The operations on internet gateways."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateInternetGateway": self.create,
            "DescribeInternetGateways": self.describe,
            "AttachInternetGateway": self.attach,
            "DetachInternetGateway": self.detach,
            "DeleteInternetGateway": self.delete,
        }

    def create(self, call: Call, request: ec2.CreateInternetGatewayRequest) -> ec2.CreateInternetGatewayResult:
        """Make a gateway that belongs to no VPC yet."""
        tags = tagging.at_creation(request.tag_specifications, INTERNET_GATEWAY)
        gateway = InternetGateway(id=new_id(INTERNET_GATEWAY.prefix, call.ids), region=call.region, owner=call.account)
        with self._state.transaction() as tx:
            tx.put(gateway)
            tagging.give(tx, self._state, gateway.id, tags.get(INTERNET_GATEWAY.resource_type, ()))
        return ec2.CreateInternetGatewayResult(internet_gateway=self._shown(gateway))

    def describe(self, call: Call, request: ec2.DescribeInternetGatewaysRequest) -> ec2.DescribeInternetGatewaysResult:
        """The gateways of the region."""
        page, token = self._describer.select(
            call,
            INTERNET_GATEWAY,
            self._state.internet_gateways.by("region", call.region),
            _FIELDS,
            ids=request.internet_gateway_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeInternetGatewaysResult(internet_gateways=tuple(map(self._shown, page)), next_token=token)

    def attach(self, call: Call, request: ec2.AttachInternetGatewayRequest) -> None:
        """Give a gateway to a VPC that has none."""
        gateway: InternetGateway = INTERNET_GATEWAY.find(self._state, call.region, request.internet_gateway_id)
        vpc = VPC.find(self._state, call.region, request.vpc_id)
        if gateway.vpc_id is not None:
            message = f"resource {gateway.id} is already attached to network {gateway.vpc_id}"
            raise AWSError("Resource.AlreadyAssociated", message)
        if self._state.internet_gateways.by("vpc", vpc.id):
            raise invalid_value(f"Network {vpc.id} already has an internet gateway attached")
        with self._state.transaction() as tx:
            tx.put(changed(gateway, vpc_id=vpc.id))

    def detach(self, call: Call, request: ec2.DetachInternetGatewayRequest) -> None:
        """Take a gateway from its VPC, unless public addresses need it."""
        gateway: InternetGateway = INTERNET_GATEWAY.find(self._state, call.region, request.internet_gateway_id)
        vpc = VPC.find(self._state, call.region, request.vpc_id)
        if gateway.vpc_id != vpc.id:
            message = f"resource {gateway.id} is not attached to network {vpc.id}"
            raise AWSError("Gateway.NotAttached", message)
        if self._has_public_addresses(vpc.id):
            raise in_use(
                f"Network {vpc.id} has some mapped public address(es). Please unmap those public address(es) "
                "before detaching the gateway."
            )
        with self._state.transaction() as tx:
            tx.put(changed(gateway, vpc_id=None))

    def delete(self, call: Call, request: ec2.DeleteInternetGatewayRequest) -> None:
        """Delete a gateway that is detached."""
        gateway: InternetGateway = INTERNET_GATEWAY.find(self._state, call.region, request.internet_gateway_id)
        if gateway.vpc_id is not None:
            raise in_use(f"The internetGateway '{gateway.id}' has dependencies and cannot be deleted.")
        with self._state.transaction() as tx:
            tx.delete(gateway)
            tagging.forget(tx, self._state, gateway.id)

    def _has_public_addresses(self, vpc_id: str) -> bool:
        if any(interface.public_ip for interface in self._state.interfaces.by("vpc", vpc_id)):
            return True
        return any(
            task.eni is not None and task.eni.vpc_id == vpc_id and task.eni.public_ip and not task.stopped
            for task in self._state.tasks
        )

    def _shown(self, gateway: InternetGateway) -> ec2.InternetGateway:
        attachments: tuple[ec2.InternetGatewayAttachment, ...] = ()
        if gateway.vpc_id is not None:
            attachments = (ec2.InternetGatewayAttachment(state="available", vpc_id=gateway.vpc_id),)
        return ec2.InternetGateway(
            attachments=attachments,
            internet_gateway_id=gateway.id,
            owner_id=gateway.owner,
            tags=tagging.shown(self._state, gateway.id),
        )
