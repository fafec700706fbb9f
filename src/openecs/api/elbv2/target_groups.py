"""Target groups: create, describe, modify, delete."""

from __future__ import annotations

import ipaddress
from typing import Literal

from openecs.api.elbv2 import errors, limits, tag_store
from openecs.api.elbv2.lookup import Lookup, only_one, ordered
from openecs.api.elbv2.names import check_name
from openecs.api.elbv2.paging import Pages
from openecs.errors import AWSError
from openecs.model import balancer_arns
from openecs.model.record import changed
from openecs.model.target_group import HealthCheck, TargetGroup
from openecs.planning.health_checks import HealthCheckError, check_health_check, default_health_check, is_http
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

GroupProtocol = Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
GroupVersion = Literal["HTTP1", "HTTP2", "GRPC"]
_SERVED: tuple[GroupProtocol, ...] = ("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP")
_VERSIONS: tuple[GroupVersion, ...] = ("HTTP1", "HTTP2", "GRPC")


class TargetGroups:
    """The operations on target groups themselves."""

    def __init__(self, state: State, pages: Pages) -> None:
        self._state = state
        self._pages = pages
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateTargetGroup": self.create,
            "DescribeTargetGroups": self.describe,
            "ModifyTargetGroup": self.modify,
            "DeleteTargetGroup": self.delete,
        }

    def create(self, call: Call, request: elbv2.CreateTargetGroupInput) -> elbv2.CreateTargetGroupOutput:
        """Make a target group, or find the one that was made with the same settings."""
        state = self._state
        check_name("target group", request.name)
        kind, protocol, version = _kind(request), _protocol(request.protocol), _version(request)
        if request.port is None:
            raise errors.validation_error("A port must be specified")
        if not request.vpc_id:
            raise errors.validation_error("A VPC ID must be specified")
        vpc = state.vpcs.get(request.vpc_id)
        if vpc is None or vpc.region != call.region:
            raise errors.validation_error(f"The VPC ID '{request.vpc_id}' is not found")
        check = _health_check(request, protocol, version)
        tags = tag_store.checked(request.tags)
        group = TargetGroup(
            arn=balancer_arns.target_group(call.region, call.account, request.name, call.ids.hex32()[:16]),
            region=call.region,
            name=request.name,
            target_type=kind,
            protocol=protocol,
            port=request.port,
            vpc_id=vpc.id,
            health_check=check,
            created_at=call.now,
            protocol_version=version,
        )
        known = state.target_groups.by("region", call.region)
        same_name = next((each for each in known if each.name == request.name), None)
        if same_name is not None:
            as_made = changed(same_name, arn=group.arn, created_at=group.created_at, attributes={})
            if as_made != group or set(tag_store.tags_of(state, same_name.arn)) != set(tags):
                raise AWSError(
                    "DuplicateTargetGroupName",
                    f"A target group with the same name '{request.name}' exists, but with different settings",
                )
            return elbv2.CreateTargetGroupOutput(target_groups=(target_group_view(state, same_name),))
        if len(known) >= limits.TARGET_GROUPS:
            raise errors.too_many("TooManyTargetGroups", limits.TARGET_GROUPS, "target groups")
        with state.transaction() as tx:
            tx.put(group)
            tag_store.add(tx, state, group.arn, tags)
        return elbv2.CreateTargetGroupOutput(target_groups=(target_group_view(state, group),))

    def describe(self, call: Call, request: elbv2.DescribeTargetGroupsInput) -> elbv2.DescribeTargetGroupsOutput:
        """Target groups by ARN, by name, by load balancer, or all of them."""
        only_one(
            LoadBalancerArn=request.load_balancer_arn, TargetGroupArns=request.target_group_arns, Names=request.names
        )
        state = self._state
        known = state.target_groups.by("region", call.region)
        if request.load_balancer_arn:
            balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
            used = state.balancer_usage.target_groups(balancer.arn)
            found = [group for arn in used if (group := state.target_groups.get(arn)) is not None]
        elif request.target_group_arns:
            found = list({arn: self._lookup.target_group(call, arn) for arn in request.target_group_arns}.values())
        elif request.names:
            by_name = {group.name: group for group in known}
            if any(name not in by_name for name in request.names):
                raise errors.target_group_not_found()
            found = [by_name[name] for name in dict.fromkeys(request.names)]
        else:
            found = list(known)
        scope = f"target-groups/{call.region}/{request.load_balancer_arn or ''}"
        page, marker = self._pages.page(ordered(found), request.page_size, request.marker, scope, lambda g: g.arn)
        return elbv2.DescribeTargetGroupsOutput(
            target_groups=tuple(target_group_view(state, group) for group in page), next_marker=marker
        )

    def modify(self, call: Call, request: elbv2.ModifyTargetGroupInput) -> elbv2.ModifyTargetGroupOutput:
        """Change the health check; what is not given stays."""
        group = self._lookup.target_group(call, request.target_group_arn)
        check = _health_check(request, group.protocol, group.protocol_version, group.health_check)
        new = changed(group, health_check=check)
        with self._state.transaction() as tx:
            tx.put(new)
        return elbv2.ModifyTargetGroupOutput(target_groups=(target_group_view(self._state, new),))

    def delete(self, call: Call, request: elbv2.DeleteTargetGroupInput) -> elbv2.DeleteTargetGroupOutput:
        """Delete a target group with its targets; one that is gone already is no error."""
        state = self._state
        try:
            group = self._lookup.target_group(call, request.target_group_arn)
        except AWSError as error:
            if error.code != "TargetGroupNotFound":
                raise
            return elbv2.DeleteTargetGroupOutput()
        if state.balancer_usage.load_balancers(group.arn):
            raise errors.in_use(f"Target group '{group.arn}' is currently in use by a listener or a rule")
        with state.transaction() as tx:
            for target in state.targets.by("target_group", group.arn):
                tx.delete(target)
            for health in state.target_health.by("target_group", group.arn):
                tx.delete(health)
            tag_store.forget(tx, state, group.arn)
            tx.delete(group)
        return elbv2.DeleteTargetGroupOutput()


def target_group_view(state: State, group: TargetGroup) -> elbv2.TargetGroup:
    """One target group as the API shows it."""
    check = group.health_check
    matcher = None
    if check.matcher is not None:
        grpc = group.protocol_version == "GRPC"
        matcher = elbv2.Matcher(grpc_code=check.matcher) if grpc else elbv2.Matcher(http_code=check.matcher)
    return elbv2.TargetGroup(
        target_group_arn=group.arn,
        target_group_name=group.name,
        protocol=group.protocol,
        port=group.port,
        vpc_id=group.vpc_id,
        health_check_protocol=check.protocol,
        health_check_port=check.port,
        health_check_enabled=check.enabled,
        health_check_interval_seconds=check.interval,
        health_check_timeout_seconds=check.timeout,
        healthy_threshold_count=check.healthy_threshold,
        unhealthy_threshold_count=check.unhealthy_threshold,
        health_check_path=check.path,
        matcher=matcher,
        load_balancer_arns=state.balancer_usage.load_balancers(group.arn),
        target_type=group.target_type,
        protocol_version=group.protocol_version,
        ip_address_type="ipv4",
    )


def _kind(request: elbv2.CreateTargetGroupInput) -> Literal["ip", "instance"]:
    kind = request.target_type or "instance"
    if kind not in ("ip", "instance"):
        raise errors.not_supported(f"The target type '{kind}' is")
    if request.ip_address_type not in (None, "ipv4"):
        raise errors.not_supported(f"The IP address type '{request.ip_address_type}' is")
    if request.target_control_port is not None:
        raise errors.not_supported("The target optimizer (TargetControlPort) is")
    return kind


def _protocol(protocol: str | None) -> GroupProtocol:
    if protocol is None:
        raise errors.validation_error("A protocol must be specified")
    for served in _SERVED:
        if served == protocol:
            return served
    raise errors.not_supported(f"The target group protocol '{protocol}' is")


def _version(request: elbv2.CreateTargetGroupInput) -> GroupVersion | None:
    version = request.protocol_version
    if not is_http(request.protocol or ""):
        if version is not None:
            raise errors.validation_error(
                f"You cannot specify a protocol version for a target group with the protocol '{request.protocol}'"
            )
        return None
    for served in _VERSIONS:
        if served == (version or "HTTP1"):
            return served
    raise errors.validation_error(f"Protocol version '{version}' must be one of '[{', '.join(_VERSIONS)}]'")


def _health_check(
    request: elbv2.CreateTargetGroupInput | elbv2.ModifyTargetGroupInput,
    protocol: str,
    version: str | None,
    old: HealthCheck | None = None,
) -> HealthCheck:
    """The health check that was asked for, over ``old`` or AWS's defaults."""
    asked = request.health_check_protocol
    try:
        if old is None or (asked is not None and asked != old.protocol):
            fresh = default_health_check(protocol, version, asked)
            if old is not None and old.protocol != "TCP" and fresh.protocol != "TCP":
                fresh = changed(fresh, path=old.path, matcher=old.matcher)
            base = (
                fresh
                if old is None
                else changed(
                    fresh,
                    port=old.port,
                    interval=old.interval,
                    timeout=old.timeout,
                    healthy_threshold=old.healthy_threshold,
                    unhealthy_threshold=old.unhealthy_threshold,
                )
            )
        else:
            base = old
        given = {
            "port": request.health_check_port,
            "path": request.health_check_path,
            "enabled": request.health_check_enabled,
            "interval": request.health_check_interval_seconds,
            "timeout": request.health_check_timeout_seconds,
            "healthy_threshold": request.healthy_threshold_count,
            "unhealthy_threshold": request.unhealthy_threshold_count,
            "matcher": _matcher(request.matcher, version),
        }
        check = changed(base, **{name: value for name, value in given.items() if value is not None})
        if check.protocol == "TCP" and (check.path is not None or check.matcher is not None):
            raise HealthCheckError("Health check path and matcher are for HTTP and HTTPS health checks only")
        check_health_check(check, protocol, version)
    except HealthCheckError as wrong:
        raise errors.validation_error(str(wrong)) from None
    return check


def _matcher(matcher: elbv2.Matcher | None, version: str | None) -> str | None:
    if matcher is None:
        return None
    wanted, other = matcher.http_code, matcher.grpc_code
    if version == "GRPC":
        wanted, other = other, wanted
    if other is not None or wanted is None:
        raise HealthCheckError(f"A matcher must have {'gRPC' if version == 'GRPC' else 'HTTP'} codes")
    return wanted


def is_address(text: str) -> bool:
    """Whether a target's id is an IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
