"""Listeners, rules and what they are made of."""

from __future__ import annotations

from typing import Any

import pytest
from elb_kit import World, forward


@pytest.fixture
def world() -> World:
    return World()


def test_a_listener_uses_its_target_group_until_it_is_gone(world: World) -> None:
    balancer, listener, group = world.serving()
    (shown,) = world("DescribeListeners", LoadBalancerArn=balancer)["Listeners"]
    action = {
        "Type": "forward",
        "TargetGroupArn": group,
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": group, "Weight": 1}],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
    assert shown == {
        "ListenerArn": listener,
        "LoadBalancerArn": balancer,
        "Port": 80,
        "Protocol": "HTTP",
        "DefaultActions": [action],
    }
    (found,) = world("DescribeTargetGroups", LoadBalancerArn=balancer)["TargetGroups"]
    assert (found["TargetGroupArn"], found["LoadBalancerArns"]) == (group, [balancer])
    world.refused("ResourceInUse", "currently in use", "DeleteTargetGroup", TargetGroupArn=group)
    world("DeleteListener", ListenerArn=listener)
    world("DeleteTargetGroup", TargetGroupArn=group)
    world.refused("ListenerNotFound", "listeners not found", "DescribeListeners", ListenerArns=[listener])


def test_a_target_group_belongs_to_one_load_balancer(world: World) -> None:
    _, _, group = world.serving()
    other = world.balancer("other")
    request = {"LoadBalancerArn": other, "Protocol": "HTTP", "Port": 80, "DefaultActions": [forward(group)]}
    world.refused("TargetGroupAssociationLimit", group, "CreateListener", **request)


def test_the_same_listener_is_made_once(world: World) -> None:
    balancer, listener, group = world.serving()
    request = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80, "DefaultActions": [forward(group)]}
    before = world.state.store.revision
    assert [x["ListenerArn"] for x in world("CreateListener", **request)["Listeners"]] == [listener]
    assert world.state.store.revision == before
    tagged = {**request, "Tags": [{"Key": "a", "Value": "b"}]}
    world.refused("DuplicateListener", "already exists on this port", "CreateListener", **tagged)
    other = {**request, "DefaultActions": [FIXED]}
    world.refused("DuplicateListener", "already exists on this port", "CreateListener", **other)


FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Port": 80}, "DuplicateListener", "already exists"),
        ({"Port": None}, "ValidationError", "port"),
        ({"Protocol": None}, "ValidationError", "protocol"),
        ({"Protocol": "TCP"}, "ValidationError", "[HTTPS, HTTP]"),
        ({"Protocol": "HTTPS"}, "ValidationError", "certificate"),
        ({"SslPolicy": "ELBSecurityPolicy-2016-08"}, "ValidationError", "security policy"),
        ({"Certificates": [{"CertificateArn": "arn:aws:acm:x:1:certificate/y"}]}, "CertificateNotFound", "not found"),
        ({"Certificates": [{"CertificateArn": "arn:aws:iam::1:server-certificate/y"}]}, None, "IAM"),
        ({"AlpnPolicy": ["HTTP2Only"]}, "ValidationError", "ALPN"),
        ({"MutualAuthentication": {"Mode": "verify"}}, None, "Mutual"),
        ({"DefaultActions": []}, "ValidationError", "action"),
        ({"DefaultActions": [FIXED, FIXED]}, "InvalidLoadBalancerAction", "one action"),
        ({"DefaultActions": [{"Type": "authenticate-oidc"}]}, None, "authenticate-oidc"),
        ({"DefaultActions": [{"Type": "forward"}]}, "ValidationError", "target group"),
        ({"DefaultActions": [{"Type": "redirect"}]}, "ValidationError", "redirect"),
        (
            {"DefaultActions": [{**FIXED, "RedirectConfig": {"StatusCode": "HTTP_301"}}]},
            "InvalidLoadBalancerAction",
            "of another type",
        ),
        (
            {"DefaultActions": [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}]},
            "InvalidLoadBalancerAction",
            "loop",
        ),
        (
            {"DefaultActions": [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "x"}}]},
            "ValidationError",
            "begin with",
        ),
        (
            {"DefaultActions": [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "#{path}"}}]},
            "ValidationError",
            "keyword",
        ),
        (
            {
                "DefaultActions": [
                    {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/a#{path}"}}
                ]
            },
            "ValidationError",
            "only behind a '/'",
        ),
        (
            {"DefaultActions": [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Port": "0"}}]},
            "ValidationError",
            "port",
        ),
        (
            {
                "DefaultActions": [
                    {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "a/b"}}
                ]
            },
            "ValidationError",
            "content type",
        ),
    ],
)
def test_listeners_that_cannot_be(world: World, change: dict[str, Any], code: str | None, words: str) -> None:
    balancer, _, _ = world.serving()
    request = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 81, "DefaultActions": [FIXED], **change}
    request = {key: value for key, value in request.items() if value is not None}
    world.refused(code or "InvalidConfigurationRequest", words, "CreateListener", **request)


@pytest.mark.parametrize(
    ("group", "code"),
    [({"Protocol": "TCP"}, "IncompatibleProtocols"), ({"ProtocolVersion": "GRPC"}, "InvalidConfigurationRequest")],
)
def test_protocols_that_do_not_go_together(world: World, group: dict[str, str], code: str) -> None:
    balancer, arn = world.balancer(), world.group("other", **group)
    request = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80, "DefaultActions": [forward(arn)]}
    world.refused(code, "is not supported with a target group", "CreateListener", **request)


def test_a_redirect_is_completed(world: World) -> None:
    action = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
    listener = world.listener(world.balancer(), "", DefaultActions=[action])
    (shown,) = world("DescribeListeners", ListenerArns=[listener])["Listeners"]
    assert shown["DefaultActions"][0]["RedirectConfig"] == {
        "Protocol": "HTTPS",
        "Port": "#{port}",
        "Host": "#{host}",
        "Path": "/#{path}",
        "Query": "#{query}",
        "StatusCode": "HTTP_301",
    }


def test_rules_are_shown_in_their_order_with_the_default_one_last(world: World) -> None:
    _, listener, group = world.serving()
    late, early = world.rule(listener, 20), world.rule(listener, 10, Actions=[forward(group, world.group("green"))])
    rules = world("DescribeRules", ListenerArn=listener)["Rules"]
    assert [(rule["RuleArn"], rule["Priority"]) for rule in rules[:2]] == [(early, "10"), (late, "20")]
    assert (rules[2]["Priority"], rules[2]["IsDefault"]) == ("default", True)
    default = rules[2]["RuleArn"]
    assert world("DescribeRules", RuleArns=[default])["Rules"] == rules[2:]
    first = world("DescribeRules", ListenerArn=listener, PageSize=1)
    second = world("DescribeRules", ListenerArn=listener, PageSize=2, Marker=first["NextMarker"])
    assert [*first["Rules"], *second["Rules"]] == rules
    world.refused("OperationNotPermitted", "Default rule", "DeleteRule", RuleArn=default)
    world.refused("OperationNotPermitted", "Default rule", "ModifyRule", RuleArn=default, Conditions=[])
    request = {"Conditions": rules[1]["Conditions"], "Actions": [FIXED]}
    world.refused("PriorityInUse", "'10'", "CreateRule", ListenerArn=listener, Priority=10, **request)
    swapped = [{"RuleArn": early, "Priority": 20}, {"RuleArn": late, "Priority": 10}]
    world("SetRulePriorities", RulePriorities=swapped)
    assert [rule["RuleArn"] for rule in world("DescribeRules", ListenerArn=listener)["Rules"]][:2] == [late, early]
    world.refused("PriorityInUse", "'10'", "SetRulePriorities", RulePriorities=[{"RuleArn": early, "Priority": 10}])
    world("DeleteRule", RuleArn=early)
    world.refused("RuleNotFound", "rules not found", "DescribeRules", RuleArns=[early])


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"Field": "host-header", "Values": ["*.example.com"]},
        {
            "Field": "host-header",
            "Values": ["*.example.com"],
            "HostHeaderConfig": {"Values": ["*.example.com"]},
        },
    ),
    (
        {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/a+$"]}},
        {"Field": "path-pattern", "RegexValues": ["^/a+$"], "PathPatternConfig": {"RegexValues": ["^/a+$"]}},
    ),
    *(
        (condition, condition)
        for condition in (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "Values": ["*b?"]}},
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "PURGE_IT"]}},
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "k", "Value": "v*"}, {"Value": "w"}]}},
            {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8", "::/0"]}},
        )
    ),
]


@pytest.mark.parametrize(("given", "shown"), CONDITIONS, ids=lambda each: each["Field"])
def test_conditions_are_kept_in_one_form(world: World, given: dict[str, Any], shown: dict[str, Any]) -> None:
    _, listener, _ = world.serving()
    rule = world.rule(listener, Conditions=[given])
    (found,) = world("DescribeRules", RuleArns=[rule])["Rules"]
    assert found["Conditions"] == [shown]
    world("ModifyRule", RuleArn=rule, Conditions=[shown])
    assert world("DescribeRules", RuleArns=[rule])["Rules"] == [found]


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"Field": "cookie", "Values": ["a"]},
        {"Field": "host-header"},
        {"Field": "host-header", "Values": ["a b"]},
        {"Field": "host-header", "Values": ["a", "b", "c", "d", "e", "f"]},
        {"Field": "host-header", "Values": ["a"], "HostHeaderConfig": {"Values": ["b"]}},
        {"Field": "host-header", "Values": ["a"], "PathPatternConfig": {"Values": ["/a"]}},
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["a"], "RegexValues": ["b"]}},
        {"Field": "path-pattern", "Values": ["*a*b*c*d*e*f*"]},
        {"Field": "path-pattern", "Values": ["/" + "x" * 128]},
        {"Field": "path-pattern", "Values": ["/\n"]},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "Host", "Values": ["a"]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "a b", "Values": ["a"]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["get"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a"}]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1"]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/016"]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/255.0.0.0"]}},
        {"Field": "source-ip", "Values": ["10.0.0.0/8"]},
    ],
)
def test_conditions_that_cannot_be(world: World, condition: dict[str, Any]) -> None:
    _, listener, _ = world.serving()
    request = {"ListenerArn": listener, "Priority": 1, "Conditions": [condition], "Actions": [FIXED]}
    world.refused("ValidationError", "", "CreateRule", **request)
    request["Conditions"] = [CONDITIONS[0][0], CONDITIONS[0][0]]
    world.refused("ValidationError", "at most one", "CreateRule", **request)


def test_transforms_are_kept_and_checked(world: World) -> None:
    _, listener, _ = world.serving()
    rewrite = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a/(.*)$", "Replace": "/$1"}]}}
    rule = world.rule(listener, Transforms=[rewrite])
    assert world("DescribeRules", RuleArns=[rule])["Rules"][0]["Transforms"] == [rewrite]
    world("ModifyRule", RuleArn=rule, ResetTransforms=True)
    assert world("DescribeRules", RuleArns=[rule])["Rules"][0]["Transforms"] == []
    for wrong in (
        [rewrite, rewrite],
        [{"Type": "url-rewrite"}],
        [{"Type": "host-header-rewrite", "UrlRewriteConfig": rewrite["UrlRewriteConfig"]}],
        [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "a", "Replace": "$1"}]}}],
    ):
        world.refused("ValidationError", "", "ModifyRule", RuleArn=rule, Transforms=wrong)
    look = [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "(?=a)", "Replace": ""}]}}]
    world.refused("InvalidConfigurationRequest", "look-around", "ModifyRule", RuleArn=rule, Transforms=look)


def test_weights_and_stickiness(world: World) -> None:
    _, listener, group = world.serving()
    green = world.group("green")

    def action(**config: Any) -> list[dict[str, Any]]:
        groups = [{"TargetGroupArn": group, "Weight": 90}, {"TargetGroupArn": green, "Weight": 10}]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups, **config}}]

    sticky = {"Enabled": True, "DurationSeconds": 60}
    wanted = action(TargetGroupStickinessConfig=sticky)
    assert (
        world("ModifyListener", ListenerArn=listener, DefaultActions=wanted)["Listeners"][0]["DefaultActions"] == wanted
    )
    for wrong in (
        action(TargetGroupStickinessConfig={"Enabled": True}),
        action(TargetGroups=[{"TargetGroupArn": group, "Weight": 1000}]),
        action(TargetGroups=[{"TargetGroupArn": group}, {"TargetGroupArn": green}]),
        action(TargetGroups=[{"TargetGroupArn": group, "Weight": 1}] * 2),
    ):
        world.refused("ValidationError", "", "ModifyListener", ListenerArn=listener, DefaultActions=wrong)
    one = [{"TargetGroupArn": world.group(f"g{n}"), "Weight": 1} for n in range(6)]
    world.refused(
        "TooManyTargetGroups", "5", "ModifyListener", ListenerArn=listener, DefaultActions=action(TargetGroups=one)
    )


def test_network_load_balancers_forward_streams(world: World) -> None:
    arn = world.balancer("net", Type="network")
    group = world.group("stream", Protocol="TCP")
    listener = world.listener(arn, group, Protocol="TCP")
    attributes = world("DescribeListenerAttributes", ListenerArn=listener)["Attributes"]
    assert attributes == [{"Key": "tcp.idle_timeout.seconds", "Value": "350"}]
    request = {"LoadBalancerArn": arn, "Port": 81, "DefaultActions": [forward(group)]}
    world.refused("ValidationError", "HTTP", "CreateListener", Protocol="HTTP", **request)
    world.refused("InvalidConfigurationRequest", "not supported", "CreateListener", Protocol="QUIC", **request)
    fixed = {**request, "DefaultActions": [FIXED]}
    world.refused("InvalidLoadBalancerAction", "forward", "CreateListener", Protocol="TCP", **fixed)


@pytest.mark.parametrize(
    ("listener", "group", "fits"),
    [
        ("UDP", "UDP", True),
        ("UDP", "TCP_UDP", True),
        ("TCP_UDP", "TCP_UDP", True),
        ("TCP", "TCP_UDP", True),
        ("TCP", "UDP", False),
        ("UDP", "TCP", False),
        ("UDP", "HTTP", False),
        ("TCP_UDP", "UDP", False),
        ("TCP_UDP", "TCP", False),
    ],
)
def test_protocols_of_listeners_and_target_groups(world: World, listener: str, group: str, fits: bool) -> None:
    request: dict[str, Any] = {
        "LoadBalancerArn": world.balancer("net", Type="network"),
        "Protocol": listener,
        "Port": 53,
        "DefaultActions": [forward(world.group("datagrams", Protocol=group))],
    }
    if fits:
        (made,) = world("CreateListener", **request)["Listeners"]
        assert made["Protocol"] == listener
        # What AWS has for both protocols on one port is TCP_UDP.
        other = {**request, "Protocol": "TCP" if listener == "UDP" else "UDP"}
        if group == "TCP_UDP":
            world.refused("DuplicateListener", "already exists on this port", "CreateListener", **other)
    else:
        world.refused("IncompatibleProtocols", group, "CreateListener", **request)


def test_datagrams_have_no_settings_of_connections(world: World) -> None:
    arn = world.balancer("net", Type="network")
    group = world.group("datagrams", Protocol="UDP")
    listener = world.listener(arn, group, Protocol="UDP")
    assert world("DescribeListenerAttributes", ListenerArn=listener)["Attributes"] == []
    idle = [{"Key": "tcp.idle_timeout.seconds", "Value": "60"}]
    world.refused(
        "ValidationError", "not recognized", "ModifyListenerAttributes", ListenerArn=listener, Attributes=idle
    )
    shown = world("DescribeTargetGroupAttributes", TargetGroupArn=group)["Attributes"]
    values = {attribute["Key"]: attribute["Value"] for attribute in shown}
    assert values["deregistration_delay.connection_termination.enabled"] == "true"
    assert values["target_health_state.unhealthy.connection_termination.enabled"] == "false"
    for key, code in (
        ("preserve_client_ip.enabled", "InvalidConfigurationRequest"),
        ("proxy_protocol_v2.enabled", "InvalidConfigurationRequest"),
        ("target_health_state.unhealthy.connection_termination.enabled", "ValidationError"),
    ):
        change = [{"Key": key, "Value": "true"}]
        world.refused(code, key, "ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=change)
