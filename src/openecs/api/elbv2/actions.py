"""Actions of listeners and rules: checked and brought into the form that is kept and shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from openecs.api.elbv2 import errors, limits
from openecs.api.elbv2.lookup import Lookup
from openecs.errors import AWSError
from openecs.model import network_text
from openecs.model.load_balancer import LoadBalancer
from openecs.shapes import elbv2
from openecs.state.balancer_usage import named_groups
from openecs.wire.call import Call

CONTENT_TYPES = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
#: Listener protocol → protocols that its target groups may have.
GROUP_PROTOCOLS = {
    "HTTP": ("HTTP", "HTTPS"),
    "HTTPS": ("HTTP", "HTTPS"),
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}
_ENDING = ("forward", "redirect", "fixed-response")
#: Type of actions → the members that only it has.
_OWN = {
    "forward": ("target_group_arn", "forward_config"),
    "redirect": ("redirect_config",),
    "fixed-response": ("fixed_response_config",),
    "authenticate-oidc": ("authenticate_oidc_config",),
    "authenticate-cognito": ("authenticate_cognito_config",),
    "jwt-validation": ("jwt_validation_config",),
}
_LONGEST_STICKINESS = 604800
_REUSED = re.compile(r"#\{(.*?)\}")


def checked_actions(
    lookup: Lookup,
    call: Call,
    balancer: LoadBalancer,
    protocol: str,
    actions: Iterable[elbv2.Action],
) -> tuple[elbv2.Action, ...]:
    """The actions as they are kept.  Raises AWS's refusals."""
    given = tuple(actions)
    if not given:
        raise errors.validation_error("At least one action must be specified")
    for action in given:
        if action.type not in _ENDING:
            raise errors.not_supported(f"Actions of the type '{action.type}' are")
    if len(given) > 1:
        # The others that could come before it are refused.
        raise AWSError("InvalidLoadBalancerAction", "You can only specify one action that ends the rule")
    action = given[0]
    if any(getattr(action, name) is not None for kind, names in _OWN.items() if kind != action.type for name in names):
        raise AWSError(
            "InvalidLoadBalancerAction",
            f"An action of the type '{action.type}' has settings of actions of another type",
        )
    if balancer.type == "network" and action.type != "forward":
        raise AWSError("InvalidLoadBalancerAction", "You can only specify forward actions for network load balancers")
    match action.type:
        case "forward":
            kept = _forward(lookup, call, balancer, protocol, action)
        case "redirect":
            kept = _redirect(action, protocol)
        case _:
            kept = _fixed_response(action)
    _check_unique_groups(lookup, balancer, kept)
    return (kept,)


def _forward(lookup: Lookup, call: Call, balancer: LoadBalancer, protocol: str, action: elbv2.Action) -> elbv2.Action:
    config = action.forward_config
    groups = tuple((config.target_groups if config else None) or ())
    if not groups:
        if not action.target_group_arn:
            raise errors.validation_error("A target group must be specified for a forward action")
        groups = (elbv2.TargetGroupTuple(target_group_arn=action.target_group_arn),)
    elif action.target_group_arn and {action.target_group_arn} != {g.target_group_arn for g in groups}:
        raise errors.validation_error("You cannot specify both a target group and a different forward configuration")
    if len(groups) > limits.GROUPS_PER_ACTION:
        raise errors.too_many("TooManyTargetGroups", limits.GROUPS_PER_ACTION, "target groups of an action")
    if len({group.target_group_arn for group in groups}) < len(groups):
        raise errors.validation_error("A target group can be specified once in a forward action only")
    for group in groups:
        _check_group(lookup, call, balancer, protocol, group.target_group_arn or "")
        if group.weight is not None and not 0 <= group.weight <= 999:
            raise errors.validation_error(f"Target group weight '{group.weight}' must be within 0 and 999")
        if len(groups) > 1 and group.weight is None:
            raise errors.validation_error("A weight must be specified for each of several target groups")
    stickiness = _stickiness(config.target_group_stickiness_config if config else None, balancer)
    return elbv2.Action(
        type="forward",
        target_group_arn=groups[0].target_group_arn if len(groups) == 1 else None,
        order=action.order,
        forward_config=elbv2.ForwardActionConfig(
            target_groups=tuple(
                elbv2.TargetGroupTuple(
                    target_group_arn=group.target_group_arn, weight=1 if group.weight is None else group.weight
                )
                for group in groups
            ),
            target_group_stickiness_config=stickiness,
        ),
    )


def _stickiness(
    given: elbv2.TargetGroupStickinessConfig | None, balancer: LoadBalancer
) -> elbv2.TargetGroupStickinessConfig:
    if given is None or not given.enabled:
        return elbv2.TargetGroupStickinessConfig(enabled=False)
    if balancer.type == "network":
        raise errors.not_supported("Stickiness to target groups of network load balancers is")
    if given.duration_seconds is None or not 1 <= given.duration_seconds <= _LONGEST_STICKINESS:
        raise errors.validation_error(
            f"Target group stickiness duration must be within 1 and {_LONGEST_STICKINESS} seconds"
        )
    return given


def _check_group(lookup: Lookup, call: Call, balancer: LoadBalancer, protocol: str, arn: str) -> None:
    group = lookup.target_group(call, arn)
    if group.protocol not in GROUP_PROTOCOLS[protocol]:
        raise AWSError(
            "IncompatibleProtocols",
            f"Listener protocol '{protocol}' is not supported with a target group with the protocol '{group.protocol}'",
        )
    if group.protocol_version == "GRPC" and protocol != "HTTPS":
        raise errors.invalid_configuration(
            f"Listener protocol '{protocol}' is not supported with a target group with the protocol-version 'GRPC'"
        )
    if group.vpc_id != balancer.vpc_id:
        raise errors.invalid_configuration(
            f"The following target groups are not in the VPC '{balancer.vpc_id}' of the load balancer: {arn}"
        )
    if any(user != balancer.arn for user in lookup.state.balancer_usage.load_balancers(arn)):
        raise AWSError(
            "TargetGroupAssociationLimit",
            f"The following target groups cannot be associated with more than one load balancer: {arn}",
        )


def _check_unique_groups(lookup: Lookup, balancer: LoadBalancer, action: elbv2.Action) -> None:
    known = lookup.state.balancer_usage.target_groups(balancer.arn)
    if len({*known, *named_groups([action])}) > limits.GROUPS_PER_BALANCER:
        raise errors.too_many(
            "TooManyUniqueTargetGroupsPerLoadBalancer", limits.GROUPS_PER_BALANCER, "target groups of a load balancer"
        )


def _redirect(action: elbv2.Action, protocol: str) -> elbv2.Action:
    given = action.redirect_config
    if given is None:
        raise errors.validation_error("A redirect configuration must be specified for a redirect action")
    config = elbv2.RedirectActionConfig(
        protocol=given.protocol or "#{protocol}",
        port=given.port or "#{port}",
        host=given.host or "#{host}",
        path=given.path or "/#{path}",
        query="#{query}" if given.query is None else given.query,
        status_code=given.status_code,
    )
    if protocol == "HTTPS" and config.protocol == "HTTP":
        raise AWSError("InvalidLoadBalancerAction", "You cannot redirect HTTPS to HTTP")
    port = config.port or ""
    if port != "#{port}" and network_text.port(port) is None:
        raise errors.validation_error(f"The redirect port '{port}' must be within 1 and 65535 or '#{{port}}'")
    if not (config.path or "").startswith("/"):
        raise errors.validation_error(f"The redirect path '{config.path}' must begin with '/'")
    for name, allowed in (
        ("host", ("host",)),
        ("path", ("host", "path", "port")),
        ("query", ("protocol", "host", "port", "path", "query")),
    ):
        value = getattr(config, name) or ""
        if any(keyword not in allowed for keyword in _REUSED.findall(value)):
            raise errors.validation_error(f"The redirect {name} '{value}' contains a keyword that is not allowed in it")
        if any(not " " < character < "\x7f" for character in value):
            raise errors.validation_error(f"The redirect {name} '{value}' contains characters that are not allowed")
        if "#{path}" in value.replace("/#{path}", ""):
            # AWS has the path without its slash there, which the proxies cannot say.
            raise errors.validation_error(
                f"In the redirect {name} '{value}', OpenECS serves #{{path}} only behind a '/'"
            )
    same = (config.protocol in ("#{protocol}", protocol), config.port, config.host, config.path)
    if same == (True, "#{port}", "#{host}", "/#{path}"):
        raise AWSError("InvalidLoadBalancerAction", "The redirect configuration is not valid because it creates a loop")
    return elbv2.Action(type="redirect", order=action.order, redirect_config=config)


def _fixed_response(action: elbv2.Action) -> elbv2.Action:
    config = action.fixed_response_config
    if config is None:
        raise errors.validation_error("A fixed response configuration must be specified for a fixed-response action")
    if config.content_type is not None and config.content_type not in CONTENT_TYPES:
        raise errors.validation_error(
            f"The content type '{config.content_type}' must be one of: {', '.join(CONTENT_TYPES)}"
        )
    return elbv2.Action(type="fixed-response", order=action.order, fixed_response_config=config)
