"""Scalable targets: register, describe, deregister."""

from __future__ import annotations

import msgspec

from openecs.api.application_autoscaling.lookup import (
    check_kind,
    check_scope,
    find_target,
    page,
    service_of,
    validation,
)
from openecs.api.application_autoscaling.tags import checked_tags
from openecs.control.scaling_records import forget_target, keep_within
from openecs.errors import AWSError
from openecs.model.scaling import DIMENSION, NAMESPACE, ScalableTarget, target_key
from openecs.model.tags import ResourceTags
from openecs.shapes import application_autoscaling as aas
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_TARGETS = 3000
_ROLE = "arn:aws:iam::{}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/{}"
_NOT_SUSPENDED = aas.SuspendedState(
    dynamic_scaling_in_suspended=False, dynamic_scaling_out_suspended=False, scheduled_scaling_suspended=False
)


class ScalableTargets:
    """The operations on scalable targets."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "RegisterScalableTarget": self.register,
            "DescribeScalableTargets": self.describe,
            "DeregisterScalableTarget": self.deregister,
        }

    def register(self, call: Call, request: aas.RegisterScalableTargetRequest) -> aas.RegisterScalableTargetResponse:
        """Register a service, or change its bounds; the desired count is brought within them at once."""
        check_kind(request.service_namespace, request.scalable_dimension)
        service = service_of(self._state, call, request.resource_id)
        if service.scheduling_strategy != "REPLICA" or service.deployment_controller != "ECS":
            raise validation(
                "Only services with the scheduling strategy REPLICA and the deployment controller ECS can be scaled."
            )
        old = self._state.scalable_targets.get(target_key(call.region, request.resource_id))
        tags = checked_tags(request.tags)
        target = self._new(call, request, service.arn) if old is None else self._updated(old, request)
        if target.min_capacity < 0:
            raise validation("Minimum capacity must be greater than or equal to 0")
        if target.min_capacity > target.max_capacity:
            raise validation("Minimum capacity cannot be greater than maximum capacity")
        if old is not None and tags:
            raise validation("Tags can be given only when a scalable target is registered. Use TagResource.")
        with self._state.transaction() as tx:
            tx.put(target)
            if tags:
                tx.put(ResourceTags(arn=target.arn, tags=tags))
            keep_within(self._state, tx, target, ids=call.ids, now=call.now)
        return aas.RegisterScalableTargetResponse(scalable_target_arn=target.arn)

    def describe(self, call: Call, request: aas.DescribeScalableTargetsRequest) -> aas.DescribeScalableTargetsResponse:
        """The targets of the region, or those of the resources that are named."""
        check_scope(request, request.resource_ids)
        wanted = set(request.resource_ids or ())
        found = sorted(
            (
                t
                for t in self._state.scalable_targets.by("region", call.region)
                if not wanted or t.resource_id in wanted
            ),
            key=_resource,
        )
        shown, token = page(
            self._pagination, found, request, scope=f"targets:{call.region}:{sorted(wanted)}", key=_resource
        )
        return aas.DescribeScalableTargetsResponse(scalable_targets=tuple(map(_view, shown)), next_token=token)

    def deregister(
        self, call: Call, request: aas.DeregisterScalableTargetRequest
    ) -> aas.DeregisterScalableTargetResponse:
        """Forget a target with its policies, their alarms and its scheduled actions."""
        target = find_target(self._state, call, request)
        with self._state.transaction() as tx:
            forget_target(self._state, tx, target)
        return aas.DeregisterScalableTargetResponse()

    def _new(self, call: Call, request: aas.RegisterScalableTargetRequest, service_arn: str) -> ScalableTarget:
        if request.min_capacity is None or request.max_capacity is None:
            raise validation("MinCapacity and MaxCapacity are required to register a new scalable target.")
        if self._state.scalable_targets.count("region", call.region) >= MAX_TARGETS:
            raise AWSError("LimitExceededException", f"A region can have {MAX_TARGETS} scalable targets.")
        return ScalableTarget(
            arn=f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/{call.ids.hex32()}",
            region=call.region,
            resource_id=request.resource_id,
            service_arn=service_arn,
            min_capacity=request.min_capacity,
            max_capacity=request.max_capacity,
            role_arn=_ROLE.format(call.account, "AWSServiceRoleForApplicationAutoScaling_ECSService"),
            created_at=call.now,
            suspended=_suspended(_NOT_SUSPENDED, request.suspended_state),
        )

    def _updated(self, old: ScalableTarget, request: aas.RegisterScalableTargetRequest) -> ScalableTarget:
        return msgspec.structs.replace(
            old,
            min_capacity=old.min_capacity if request.min_capacity is None else request.min_capacity,
            max_capacity=old.max_capacity if request.max_capacity is None else request.max_capacity,
            suspended=_suspended(old.suspended, request.suspended_state),
        )


def _suspended(old: aas.SuspendedState, asked: aas.SuspendedState | None) -> aas.SuspendedState:
    """``old`` with what was asked laid over it."""
    if asked is None:
        return old
    return aas.SuspendedState(
        **{
            name: bool(getattr(old, name) if getattr(asked, name) is None else getattr(asked, name))
            for name in old.__struct_fields__
        }
    )


def _resource(target: ScalableTarget) -> str:
    return target.resource_id


def _view(target: ScalableTarget) -> aas.ScalableTarget:
    return aas.ScalableTarget(
        service_namespace=NAMESPACE,
        resource_id=target.resource_id,
        scalable_dimension=DIMENSION,
        min_capacity=target.min_capacity,
        max_capacity=target.max_capacity,
        role_arn=target.role_arn,
        creation_time=target.created_at,
        suspended_state=target.suspended,
        scalable_target_arn=target.arn,
    )
