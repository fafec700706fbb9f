"""Scaling policies: put, describe, delete.  Target tracking policies come with their alarms."""

from __future__ import annotations

import msgspec

from openecs.api.application_autoscaling.lookup import check_scope, find_target, page, validation
from openecs.api.application_autoscaling.policy_rules import checked_step, checked_tracking
from openecs.control.scaling_records import forget_policy_alarms
from openecs.errors import AWSError
from openecs.model.alarm import alarm_arn
from openecs.model.balancer_arns import full_name
from openecs.model.scaling import DIMENSION, NAMESPACE, ScalableTarget, ScalingPolicy
from openecs.planning.scaling import tracking_alarms
from openecs.shapes import application_autoscaling as aas
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_POLICIES = 50


class ScalingPolicies:
    """The operations on scaling policies."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutScalingPolicy": self.put,
            "DescribeScalingPolicies": self.describe,
            "DeleteScalingPolicy": self.delete,
        }

    def put(self, call: Call, request: aas.PutScalingPolicyRequest) -> aas.PutScalingPolicyResponse:
        """Make or change a policy, and the alarms of a target tracking one."""
        target = find_target(self._state, call, request)
        existing = self._state.scaling_policies.by("target", target.key)
        old = next((policy for policy in existing if policy.name == request.policy_name), None)
        if old is None and len(existing) >= MAX_POLICIES:
            raise AWSError("LimitExceededException", f"A scalable target can have {MAX_POLICIES} scaling policies.")
        policy = self._configured(call, target, old, request)
        alarms = tuple(tracking_alarms.alarms(target, policy, account=call.account, now=call.now))
        with self._state.transaction() as tx:
            tx.put(policy)
            kept = {alarm.arn for alarm in alarms}
            for alarm in self._state.metric_alarms.by("owner", policy.arn):
                if alarm.arn not in kept:
                    tx.delete(alarm)
            for alarm in alarms:
                known = self._state.metric_alarms.get(alarm.arn)
                if known is None:
                    tx.put(alarm)
                elif known.settings != alarm.settings:
                    tx.put(msgspec.structs.replace(known, settings=alarm.settings, configured_at=call.now))
        return aas.PutScalingPolicyResponse(policy_arn=policy.arn, alarms=_made(call, policy))

    def describe(self, call: Call, request: aas.DescribeScalingPoliciesRequest) -> aas.DescribeScalingPoliciesResponse:
        """The policies of the region, of one resource, or of some names."""
        check_scope(request, request.resource_id)
        names = set(request.policy_names or ())
        targets = self._state.scalable_targets
        found = []
        for policy in self._state.scaling_policies.by("region", call.region):
            target = targets.get(policy.target_key)
            if target is None or request.resource_id not in (None, target.resource_id):
                continue
            if not names or policy.name in names or policy.arn in names:
                found.append((target.resource_id, policy.name, policy))
        found.sort(key=_place)
        scope = f"policies:{call.region}:{request.resource_id}:{sorted(names)}"
        shown, token = page(self._pagination, found, request, scope=scope, key=_place)
        return aas.DescribeScalingPoliciesResponse(
            scaling_policies=tuple(self._view(call, resource, policy) for resource, _, policy in shown),
            next_token=token,
        )

    def delete(self, call: Call, request: aas.DeleteScalingPolicyRequest) -> aas.DeleteScalingPolicyResponse:
        """Forget a policy and the alarms that it made; those of users stay."""
        target = find_target(self._state, call, request)
        for policy in self._state.scaling_policies.by("target", target.key):
            if policy.name == request.policy_name:
                with self._state.transaction() as tx:
                    forget_policy_alarms(self._state, tx, policy.arn)
                    tx.delete(policy)
                return aas.DeleteScalingPolicyResponse()
        raise AWSError(
            "ObjectNotFoundException",
            f"No scaling policy found for service namespace: {request.service_namespace}, resource ID: "
            f"{request.resource_id}, scalable dimension: {request.scalable_dimension}, "
            f"policy name: {request.policy_name}",
        )

    def _configured(
        self, call: Call, target: ScalableTarget, old: ScalingPolicy | None, request: aas.PutScalingPolicyRequest
    ) -> ScalingPolicy:
        step, tracking = request.step_scaling_policy_configuration, request.target_tracking_scaling_policy_configuration
        if request.policy_type == "PredictiveScaling" or request.predictive_scaling_policy_configuration is not None:
            raise validation("OpenECS does not serve predictive scaling. Use TargetTrackingScaling or StepScaling.")
        kind = request.policy_type or (_kind(old) if old is not None else "StepScaling")
        if old is not None and kind != _kind(old):
            raise validation("The type of a scaling policy cannot be changed. Delete the policy and make a new one.")
        if kind == "StepScaling":
            if tracking is not None:
                raise validation("TargetTrackingScalingPolicyConfiguration does not belong to the type StepScaling.")
            if step is None:
                raise validation("StepScalingPolicyConfiguration is required for the type StepScaling.")
            step = checked_step(step)
        else:
            if step is not None:
                raise validation("StepScalingPolicyConfiguration does not belong to the type TargetTrackingScaling.")
            if tracking is None:
                raise validation(
                    "TargetTrackingScalingPolicyConfiguration is required for the type TargetTrackingScaling."
                )
            tracking = checked_tracking(tracking)
            self._check_resolution(target, tracking)
            self._check_label(target, tracking)
        policy = old or self._new(call, target, request.policy_name)
        if tracking is None:
            return msgspec.structs.replace(policy, step=step)
        return msgspec.structs.replace(
            policy,
            tracking=tracking,
            high_alarm=policy.high_alarm or tracking_alarms.alarm_name(target, "High", call.ids.uuid()),
            low_alarm=""
            if tracking.disable_scale_in
            else policy.low_alarm or tracking_alarms.alarm_name(target, "Low", call.ids.uuid()),
        )

    def _new(self, call: Call, target: ScalableTarget, name: str) -> ScalingPolicy:
        arn = (
            f"arn:aws:autoscaling:{call.region}:{call.account}:scalingPolicy:{call.ids.uuid()}"
            f":resource/{NAMESPACE}/{target.resource_id}:policyName/{name}"
        )
        return ScalingPolicy(arn=arn, name=name, region=call.region, target_key=target.key, created_at=call.now)

    def _check_resolution(self, target: ScalableTarget, tracking: aas.TargetTrackingScalingPolicyConfiguration) -> None:
        """High-resolution metrics have to be asked for at the service first, as on AWS."""
        metric = tracking.predefined_metric_specification
        if metric is None or not metric.predefined_metric_type.endswith("HighResolution"):
            return
        name = "CPUUtilization" if "CPU" in metric.predefined_metric_type else "MemoryUtilization"
        service = self._state.services.get(target.service_arn)
        monitoring = service.primary.monitoring if service is not None and service.primary is not None else None
        if not any(
            name in one.metric_names and one.resolution_seconds == 20
            for one in (monitoring.metric_configurations or () if monitoring is not None else ())
        ):
            raise validation(
                f"The service does not publish {name} every 20 seconds. Enable that with its monitoring configuration "
                "before you create a scaling policy on the high-resolution metric."
            )

    def _check_label(self, target: ScalableTarget, tracking: aas.TargetTrackingScalingPolicyConfiguration) -> None:
        """A resource label names a target group of the service and its load balancer."""
        metric = tracking.predefined_metric_specification
        if metric is None or metric.resource_label is None:
            return
        label = tracking_alarms.resource_label(metric.resource_label)
        service = self._state.services.get(target.service_arn)
        used = {
            arn
            for deployment in (service.deployments if service is not None else ())
            for balancer in deployment.load_balancers
            for arn in _target_groups(balancer)
        }
        named = {arn for arn in used if label is not None and arn.endswith(f":{label.target_group}")}
        owners = {full_name(self._state.balancer_usage.load_balancer(arn) or "") for arn in named}
        if label is None or label.load_balancer not in owners:
            raise validation(
                f"The resource label {metric.resource_label} does not name a load balancer and a target group "
                "of the service, in the form app/NAME/ID/targetgroup/NAME/ID."
            )

    def _view(self, call: Call, resource: str, policy: ScalingPolicy) -> aas.ScalingPolicy:
        used = _made(call, policy) if policy.tracking is not None else self._using(policy)
        return aas.ScalingPolicy(
            policy_arn=policy.arn,
            policy_name=policy.name,
            service_namespace=NAMESPACE,
            resource_id=resource,
            scalable_dimension=DIMENSION,
            policy_type=_kind(policy),
            step_scaling_policy_configuration=policy.step,
            target_tracking_scaling_policy_configuration=policy.tracking,
            alarms=used,
            creation_time=policy.created_at,
        )

    def _using(self, policy: ScalingPolicy) -> tuple[aas.Alarm, ...]:
        """The users' alarms that act on a policy."""
        return tuple(
            aas.Alarm(alarm_name=arn.partition(":alarm:")[2], alarm_arn=arn)
            for arn in self._state.alarm_actions.alarms(policy.arn)
        )


def _kind(policy: ScalingPolicy) -> aas.PolicyType:
    return "StepScaling" if policy.step is not None else "TargetTrackingScaling"


def _place(found: tuple[str, str, ScalingPolicy]) -> tuple[str, str]:
    return found[:2]


def _made(call: Call, policy: ScalingPolicy) -> tuple[aas.Alarm, ...]:
    return tuple(
        aas.Alarm(alarm_name=name, alarm_arn=alarm_arn(policy.region, call.account, name))
        for name in (policy.high_alarm, policy.low_alarm)
        if name
    )


def _target_groups(balancer: ecs.LoadBalancer) -> tuple[str, ...]:
    """The target groups of a service's load balancer; two where traffic shifts between them."""
    advanced = balancer.advanced_configuration
    found = (balancer.target_group_arn, advanced.alternate_target_group_arn if advanced is not None else None)
    return tuple(arn for arn in found if arn)
