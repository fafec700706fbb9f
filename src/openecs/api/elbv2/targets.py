"""Targets: register, deregister, and their health."""

from __future__ import annotations

import ipaddress
import re

from openecs.api.elbv2 import errors, limits
from openecs.api.elbv2.lookup import Lookup
from openecs.api.elbv2.target_groups import is_address
from openecs.control.target_lookup import TargetLookup, within
from openecs.errors import AWSError
from openecs.model.record import changed
from openecs.model.target_group import Target, TargetGroup, target_key
from openecs.planning.target_state import TargetCondition
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

_PRIVATE = tuple(
    ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}|[0-9a-f]{32}")


class Targets:
    """The operations on targets."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lookup = Lookup(state)
        self._targets = TargetLookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "RegisterTargets": self.register,
            "DeregisterTargets": self.deregister,
            "DescribeTargetHealth": self.describe_health,
        }

    def register(self, call: Call, request: elbv2.RegisterTargetsInput) -> elbv2.RegisterTargetsOutput:
        """Register targets; those that are registered already stay as they are."""
        state = self._state
        group = self._lookup.target_group(call, request.target_group_arn)
        wanted = [self._wanted(call, group, description) for description in _some(request.targets)]
        known = {target.key for target in state.targets.by("target_group", group.arn)}
        if len(known | {target.key for target in wanted}) > limits.TARGETS_PER_GROUP:
            raise errors.too_many("TooManyTargets", limits.TARGETS_PER_GROUP, "targets of a target group")
        with state.transaction() as tx:
            for target in wanted:
                old = state.targets.get(target.key)
                if old is not None and old.draining_since is None:
                    continue
                health = state.target_health.get(target.key)
                if health is not None:
                    # It begins anew: what was seen while it drained says nothing of it.
                    tx.delete(health)
                # A task's target stays the task's: it drains again before the task stops.
                tx.put(changed(target, task_arn=old.task_arn) if old is not None else target)
        return elbv2.RegisterTargetsOutput()

    def deregister(self, call: Call, request: elbv2.DeregisterTargetsInput) -> elbv2.DeregisterTargetsOutput:
        """Have targets drain; those that are not registered are no error."""
        state = self._state
        group = self._lookup.target_group(call, request.target_group_arn)
        with state.transaction() as tx:
            for description in _some(request.targets):
                key = target_key(group.arn, description.id, description.port or group.port)
                target = state.targets.get(key)
                if target is not None and target.draining_since is None:
                    tx.put(changed(target, draining_since=call.now))
        return elbv2.DeregisterTargetsOutput()

    def describe_health(self, call: Call, request: elbv2.DescribeTargetHealthInput) -> elbv2.DescribeTargetHealthOutput:
        """The state of all targets of a group, or of those that are named."""
        group = self._lookup.target_group(call, request.target_group_arn)
        if request.targets is None:
            found = list(self._state.targets.by("target_group", group.arn))
        else:
            found = [self._asked(call, group, each) for each in request.targets]
        return elbv2.DescribeTargetHealthOutput(
            target_health_descriptions=tuple(self._view(group, target, request.include or ()) for target in found)
        )

    def _wanted(self, call: Call, group: TargetGroup, description: elbv2.TargetDescription) -> Target:
        if description.quic_server_id is not None:
            raise errors.validation_error("A QUIC server ID cannot be specified for this target group")
        if group.target_type == "ip":
            self._check_address(group, description)
        else:
            self._check_instance(call, description)
        return Target(
            target_group_arn=group.arn,
            id=description.id,
            port=description.port or group.port,
            registered_at=call.now,
            availability_zone=description.availability_zone,
        )

    def _check_address(self, group: TargetGroup, description: elbv2.TargetDescription) -> None:
        if not is_address(description.id):
            raise errors.validation_error(f"The IP address '{description.id}' is not a valid IPv4 address")
        vpc = self._state.vpcs.get(group.vpc_id)
        inside = vpc is not None and any(within(description.id, block.cidr) for block in vpc.cidrs)
        address = ipaddress.IPv4Address(description.id)
        if not inside and not any(address in network for network in _PRIVATE):
            raise AWSError(
                "InvalidTarget",
                f"The IP address '{description.id}' must be in a subnet of the VPC '{group.vpc_id}' or in one of the "
                "ranges 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and 100.64.0.0/10",
            )
        for interface in self._state.interfaces.by("vpc", group.vpc_id):
            if interface.private_ip == description.id and interface.requester_id == "amazon-elb":
                raise AWSError("InvalidTarget", f"The IP address '{description.id}' is reserved for a load balancer")
        self._check_zone(group, description)

    def _check_zone(self, group: TargetGroup, description: elbv2.TargetDescription) -> None:
        """An address of a subnet has its subnet's zone; for others it has to be said."""
        zone, subnet = description.availability_zone, self._targets.subnet(group, description.id)
        if subnet is not None:
            if zone not in (None, subnet.availability_zone):
                raise errors.validation_error(
                    f"The IP address '{description.id}' is within the VPC, and cannot have its Availability Zone "
                    f"overridden to '{zone}' from '{subnet.availability_zone}'"
                )
        elif zone is None:
            raise errors.validation_error(
                f"The Availability Zone is required for IP address '{description.id}' because it is not in the VPC"
            )
        elif zone not in {"all", *(each.availability_zone for each in self._state.subnets.by("vpc", group.vpc_id))}:
            raise errors.validation_error(
                "You must specify a valid Availability Zone or select 'all' for all enabled Availability zones, since "
                f"the IP address '{description.id}' is outside the VPC"
            )

    def _check_instance(self, call: Call, description: elbv2.TargetDescription) -> None:
        if not _INSTANCE_ID.fullmatch(description.id):
            raise errors.validation_error(f"Instance ID '{description.id}' is not valid")
        if description.availability_zone is not None:
            raise errors.validation_error("An Availability Zone cannot be specified for instance targets")
        if self._targets.instance(call.region, description.id) is None:
            raise AWSError(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{description.id}'",
            )

    def _asked(self, call: Call, group: TargetGroup, description: elbv2.TargetDescription) -> Target:
        """The registered target that a description means, or one that nobody registered where it is not there.

        Without a port it is the one at the group's port, as on AWS, also when there are others.
        """
        if group.target_type == "ip" and not is_address(description.id):
            raise errors.validation_error(f"The IP address '{description.id}' is not a valid IPv4 address")
        if group.target_type == "instance" and not _INSTANCE_ID.fullmatch(description.id):
            raise errors.validation_error(f"Instance ID '{description.id}' is not valid")
        asked = Target(
            target_group_arn=group.arn,
            id=description.id,
            port=description.port or group.port,
            registered_at=call.now,
        )
        return self._state.targets.get(asked.key) or asked

    def _view(self, group: TargetGroup, target: Target, include: tuple[str, ...]) -> elbv2.TargetHealthDescription:
        verdict: TargetCondition = self._targets.condition(target)
        port = group.health_check.port
        anomaly = None
        if {"AnomalyDetection", "All"} & set(include):
            # There is no detection, so nothing is an anomaly and nothing is done about it.
            anomaly = elbv2.AnomalyDetection(result="normal", mitigation_in_effect="no")
        return elbv2.TargetHealthDescription(
            target=elbv2.TargetDescription(
                id=target.id, port=target.port, availability_zone=self._targets.zone(group, target) or None
            ),
            health_check_port=str(target.port) if port == "traffic-port" else port,
            target_health=elbv2.TargetHealth(
                state=verdict.state, reason=verdict.reason, description=verdict.description
            ),
            anomaly_detection=anomaly,
        )


def _some(targets: tuple[elbv2.TargetDescription, ...]) -> tuple[elbv2.TargetDescription, ...]:
    if not targets:
        raise errors.validation_error("At least one target must be specified")
    return targets
