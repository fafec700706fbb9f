"""EC2 instances: the hosts that say themselves that they are one.

OpenECS starts no instances.  A host whose agent registered with an instance id, because it
runs on EC2, is shown with what its agent told of it; hosts of other kinds are not shown.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from openecs.api.ec2 import filter_names
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import missing
from openecs.api.ec2.filters import Fields, matching, one
from openecs.errors import AWSError
from openecs.model.node import ContainerInstance, Node
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

_FORM = re.compile(r"i-[0-9a-f]{8,17}")
_RUNNING = ec2.InstanceState(code=16, name="running")


class _Instance(NamedTuple):
    """One host as an instance; ``key`` is what lists are sorted by."""

    key: str
    record: ContainerInstance
    node: Node
    #: What the agent registered: ``ecs.instance-type`` and the like.
    attributes: dict[str, str]
    address: str | None

    @property
    def reservation_id(self) -> str:
        return f"r-0{hashlib.sha256(self.key.encode()).hexdigest()[:16]}"


class Instances:
    """DescribeInstances, DescribeInstanceStatus and DescribeInstanceAttribute."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "DescribeInstances": self.describe,
            "DescribeInstanceStatus": self.describe_status,
            "DescribeInstanceAttribute": self.describe_attribute,
        }

    def describe(self, call: Call, request: ec2.DescribeInstancesRequest) -> ec2.DescribeInstancesResult:
        """The instances, each in a reservation of its own."""
        found = matching(self._chosen(call, request.instance_ids), request.filters, _FIELDS, lambda _: ())
        page, token = self._describer.page(
            call,
            found,
            key=lambda each: each.key,
            scope=(request.instance_ids, request.filters),
            max_results=request.max_results,
            next_token=request.next_token,
        )
        reservations = tuple(
            ec2.Reservation(
                reservation_id=each.reservation_id, owner_id=call.account, groups=(), instances=(_shown(each),)
            )
            for each in page
        )
        return ec2.DescribeInstancesResult(reservations=reservations, next_token=token)

    def describe_status(
        self, call: Call, request: ec2.DescribeInstanceStatusRequest
    ) -> ec2.DescribeInstanceStatusResult:
        """Whether the instances are reached: ``ok`` while their agent is connected."""
        found = matching(self._chosen(call, request.instance_ids), request.filters, _STATUS_FIELDS, lambda _: ())
        page, token = self._describer.page(
            call,
            found,
            key=lambda each: each.key,
            scope=(request.instance_ids, request.filters),
            max_results=request.max_results,
            next_token=request.next_token,
        )
        statuses = tuple(
            ec2.InstanceStatus(
                availability_zone=each.node.availability_zone,
                events=(),
                instance_id=each.key,
                instance_state=_RUNNING,
                instance_status=ec2.InstanceStatusSummary(status=_health(each)),
                system_status=ec2.InstanceStatusSummary(status=_health(each)),
            )
            for each in page
        )
        return ec2.DescribeInstanceStatusResult(instance_statuses=statuses, next_token=token)

    def describe_attribute(self, call: Call, request: ec2.DescribeInstanceAttributeRequest) -> ec2.InstanceAttribute:
        """One attribute, where the host's agent told it."""
        (instance,) = self._chosen(call, (request.instance_id,))
        if not request.attribute:
            raise missing("attribute")
        if request.attribute == "instanceType":
            value = ec2.AttributeValue(value=instance.attributes.get("ecs.instance-type"))
            return ec2.InstanceAttribute(instance_id=instance.key, instance_type=value)
        message = f"OpenECS does not know the attribute {request.attribute} of instances, which it did not start."
        raise AWSError("UnsupportedOperation", message)

    def _chosen(self, call: Call, ids: Iterable[str] | None) -> list[_Instance]:
        known = self._all(call.region)
        for wanted in ids or ():
            if not _FORM.fullmatch(wanted):
                raise AWSError("InvalidInstanceID.Malformed", f'Invalid id: "{wanted[:256]}"')
            if wanted not in known:
                raise AWSError("InvalidInstanceID.NotFound", f"The instance ID '{wanted}' does not exist")
        return [known[wanted] for wanted in dict.fromkeys(ids)] if ids else list(known.values())

    def _all(self, region: str) -> dict[str, _Instance]:
        found: dict[str, _Instance] = {}
        for record in self._state.container_instances:
            at = record.ec2_instance_id
            node = self._state.nodes.get(record.node_id)
            if record.region != region or not at or record.status == "INACTIVE" or node is None:
                continue
            if at not in found:
                attributes = {each.name: each.value for each in record.attributes if each.value is not None}
                host = self._state.hosts.get(record.node_id)
                found[at] = _Instance(at, record, node, attributes, host.address or None if host else None)
        return found


def _shown(instance: _Instance) -> ec2.Instance:
    attributes = instance.attributes
    return ec2.Instance(
        instance_id=instance.key,
        image_id=attributes.get("ecs.ami-id"),
        instance_type=attributes.get("ecs.instance-type"),  # type: ignore[arg-type]
        architecture=instance.node.architecture,
        launch_time=instance.node.registered_at,
        placement=ec2.Placement(availability_zone=instance.node.availability_zone),
        private_ip_address=instance.address,
        vpc_id=attributes.get("ecs.vpc-id"),
        subnet_id=attributes.get("ecs.subnet-id"),
        state=_RUNNING,
        network_interfaces=(),
        security_groups=(),
        block_device_mappings=(),
        tags=(),
    )


def _health(instance: _Instance) -> ec2.SummaryStatus:
    return "ok" if instance.node.agent_connected else "insufficient-data"


_COMMON: Fields[_Instance] = {
    "availability-zone": lambda i: one(i.node.availability_zone),
    "instance-state-code": lambda _: one(16),
    "instance-state-name": lambda _: one("running"),
}
#: What OpenECS does not know of a host passes no filter.
_STATUS_FIELDS: Fields[_Instance] = {
    **{name: lambda _: () for name in filter_names.INSTANCE_STATUS},
    **_COMMON,
    "instance-status.status": lambda i: one(_health(i)),
    "system-status.status": lambda i: one(_health(i)),
}
_FIELDS: Fields[_Instance] = {
    **{name: lambda _: () for name in filter_names.INSTANCES},
    **_COMMON,
    "architecture": lambda i: one(i.node.architecture),
    "image-id": lambda i: one(i.attributes.get("ecs.ami-id")),
    "instance-id": lambda i: one(i.key),
    "instance-type": lambda i: one(i.attributes.get("ecs.instance-type")),
    "owner-id": lambda i: one(i.record.arn.split(":")[4]),
    "private-ip-address": lambda i: one(i.address),
    "reservation-id": lambda i: one(i.reservation_id),
    "subnet-id": lambda i: one(i.attributes.get("ecs.subnet-id")),
    "vpc-id": lambda i: one(i.attributes.get("ecs.vpc-id")),
}
