"""The attributes of load balancers, target groups and listeners: describe and modify."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openecs.api.elbv2.errors import invalid_configuration, validation_error
from openecs.api.elbv2.lookup import Lookup
from openecs.model.load_balancer import Listener, LoadBalancer
from openecs.model.record import changed
from openecs.model.target_group import TargetGroup
from openecs.planning import balancer_attributes as known
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class Attributes:
    """The six operations on attributes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "DescribeLoadBalancerAttributes": self.describe_load_balancer,
            "ModifyLoadBalancerAttributes": self.modify_load_balancer,
            "DescribeTargetGroupAttributes": self.describe_target_group,
            "ModifyTargetGroupAttributes": self.modify_target_group,
            "DescribeListenerAttributes": self.describe_listener,
            "ModifyListenerAttributes": self.modify_listener,
        }

    def describe_load_balancer(
        self, call: Call, request: elbv2.DescribeLoadBalancerAttributesInput
    ) -> elbv2.DescribeLoadBalancerAttributesOutput:
        """All attributes of a load balancer."""
        shown = of_load_balancer(self._lookup.load_balancer(call, request.load_balancer_arn))
        return elbv2.DescribeLoadBalancerAttributesOutput(attributes=_balancer_shapes(shown))

    def modify_load_balancer(
        self, call: Call, request: elbv2.ModifyLoadBalancerAttributesInput
    ) -> elbv2.ModifyLoadBalancerAttributesOutput:
        """Change attributes of a load balancer."""
        balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
        allowed = known.of_load_balancer(balancer.type, balancer.scheme)
        new = changed(balancer, attributes=_merged(allowed, balancer.attributes, _given(request.attributes)))
        shown = of_load_balancer(new)
        if shown["access_logs.s3.enabled"] == "true" and not shown["access_logs.s3.bucket"]:
            raise invalid_configuration("The value of 'access_logs.s3.bucket' cannot be empty")
        with self._state.transaction() as tx:
            tx.put(new)
        return elbv2.ModifyLoadBalancerAttributesOutput(attributes=_balancer_shapes(shown))

    def describe_target_group(
        self, call: Call, request: elbv2.DescribeTargetGroupAttributesInput
    ) -> elbv2.DescribeTargetGroupAttributesOutput:
        """All attributes of a target group."""
        shown = of_target_group(self._lookup.target_group(call, request.target_group_arn))
        return elbv2.DescribeTargetGroupAttributesOutput(attributes=_group_shapes(shown))

    def modify_target_group(
        self, call: Call, request: elbv2.ModifyTargetGroupAttributesInput
    ) -> elbv2.ModifyTargetGroupAttributesOutput:
        """Change attributes of a target group."""
        group = self._lookup.target_group(call, request.target_group_arn)
        allowed = known.of_target_group(group.protocol)
        new = changed(group, attributes=_merged(allowed, group.attributes, _given(request.attributes)))
        shown = of_target_group(new)
        _check_together(shown)
        with self._state.transaction() as tx:
            tx.put(new)
        return elbv2.ModifyTargetGroupAttributesOutput(attributes=_group_shapes(shown))

    def describe_listener(
        self, call: Call, request: elbv2.DescribeListenerAttributesInput
    ) -> elbv2.DescribeListenerAttributesOutput:
        """All attributes of a listener."""
        shown = of_listener(self._lookup.listener(call, request.listener_arn))
        return elbv2.DescribeListenerAttributesOutput(attributes=_listener_shapes(shown))

    def modify_listener(
        self, call: Call, request: elbv2.ModifyListenerAttributesInput
    ) -> elbv2.ModifyListenerAttributesOutput:
        """Change attributes of a listener."""
        listener = self._lookup.listener(call, request.listener_arn)
        allowed = known.of_listener(listener.protocol)
        new = changed(listener, attributes=_merged(allowed, listener.attributes, _given(request.attributes)))
        with self._state.transaction() as tx:
            tx.put(new)
        return elbv2.ModifyListenerAttributesOutput(attributes=_listener_shapes(of_listener(new)))


def of_load_balancer(balancer: LoadBalancer) -> dict[str, str]:
    """All attributes of a load balancer with their values."""
    return known.effective(known.of_load_balancer(balancer.type, balancer.scheme), balancer.attributes)


def of_target_group(group: TargetGroup) -> dict[str, str]:
    """All attributes of a target group with their values."""
    return known.effective(known.of_target_group(group.protocol), group.attributes)


def of_listener(listener: Listener) -> dict[str, str]:
    """All attributes of a listener with their values."""
    return known.effective(known.of_listener(listener.protocol), listener.attributes)


def _check_together(shown: Mapping[str, str]) -> None:
    """Raise for attributes of a target group that contradict each other."""
    sticky_to_cookie = (shown["stickiness.enabled"], shown["stickiness.type"]) == ("true", "app_cookie")
    if sticky_to_cookie and not shown["stickiness.app_cookie.cookie_name"]:
        raise invalid_configuration("'stickiness.app_cookie.cookie_name' is required for app_cookie stickiness")
    starts_slowly = shown.get("slow_start.duration_seconds", "0") != "0"
    if starts_slowly and shown["load_balancing.algorithm.type"] != "round_robin":
        raise invalid_configuration("Slow start is only supported with the load balancing algorithm 'round_robin'")


def _given(
    attributes: Iterable[elbv2.LoadBalancerAttribute | elbv2.TargetGroupAttribute | elbv2.ListenerAttribute],
) -> dict[str, str]:
    found: dict[str, str] = {}
    for attribute in attributes:
        if not attribute.key:
            raise validation_error("The key of an attribute cannot be empty")
        if attribute.key in found:
            raise validation_error(f"The attribute '{attribute.key}' is specified more than once")
        found[attribute.key] = attribute.value or ""
    if not found:
        raise validation_error("At least one attribute must be specified")
    return found


def _merged(allowed: Iterable[known.Attribute], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    try:
        return known.updated(allowed, old, new)
    except known.UnknownAttributeError as unknown:
        raise validation_error(f"Attribute key '{unknown}' is not recognized") from None
    except known.AttributeValueError as wrong:
        raise validation_error(str(wrong)) from None
    except known.UnsupportedAttributeError as unsupported:
        raise invalid_configuration(str(unsupported)) from None


def _balancer_shapes(values: Mapping[str, str]) -> tuple[elbv2.LoadBalancerAttribute, ...]:
    return tuple(elbv2.LoadBalancerAttribute(key=key, value=value) for key, value in values.items())


def _group_shapes(values: Mapping[str, str]) -> tuple[elbv2.TargetGroupAttribute, ...]:
    return tuple(elbv2.TargetGroupAttribute(key=key, value=value) for key, value in values.items())


def _listener_shapes(values: Mapping[str, str]) -> tuple[elbv2.ListenerAttribute, ...]:
    return tuple(elbv2.ListenerAttribute(key=key, value=value) for key, value in values.items())
