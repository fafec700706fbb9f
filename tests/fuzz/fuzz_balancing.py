"""A small world of load balancers for fuzzing, and one sound request for each of their operations."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from fuzz_networks import HOME, send
from fuzz_plane import Plane

SUBNETS = [subnet.id for subnet in HOME.subnets]
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}
PATH = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a*"]}}
REWRITE = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a/(.*)$", "Replace": "/$1"}]}}
TAG = {"Key": "k", "Value": "v"}
#: Operations that answer no sound request with 200: nothing of the world fits them.
REFUSED = frozenset({"AddListenerCertificates", "RemoveListenerCertificates"})


class Balancing:
    """Things of Elastic Load Balancing that requests can name."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.balancer = self.made("CreateLoadBalancer", "LoadBalancerArn", Name="web", Subnets=SUBNETS[:2])
        self.network = self.made(
            "CreateLoadBalancer", "LoadBalancerArn", Name="net", Type="network", Subnets=SUBNETS[:1]
        )
        self.group = self.made("CreateTargetGroup", "TargetGroupArn", **self._group("blue"))
        self.spare = self.made("CreateTargetGroup", "TargetGroupArn", **self._group("spare"))
        self.stream = self.made("CreateTargetGroup", "TargetGroupArn", **{**self._group("tcp"), "Protocol": "TCP"})
        forward = {"Type": "forward", "TargetGroupArn": self.group}
        self.listener = self.made(
            "CreateListener",
            "ListenerArn",
            LoadBalancerArn=self.balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[forward],
        )
        self.rule = self.made(
            "CreateRule", "RuleArn", ListenerArn=self.listener, Priority=1, Conditions=[PATH], Actions=[FIXED]
        )
        self.address = HOME.subnets[0].cidr.rpartition(".")[0] + ".77"
        self.made("RegisterTargets", None, TargetGroupArn=self.group, Targets=[{"Id": self.address}])

    @staticmethod
    def _group(name: str) -> dict[str, Any]:
        return {"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": HOME.vpc_id, "TargetType": "ip"}

    def made(self, operation: str, element: str | None, **members: Any) -> str:
        """The text of an element of the answer to a call that has to succeed."""
        reply = send(self.plane, "elbv2", operation, members)
        assert reply.status == 200, (operation, members, reply)
        return ET.fromstring(reply.body).findtext(f".//{{*}}{element}") or "" if element else ""

    @property
    def references(self) -> dict[str, list[Any]]:
        """Values that fit where members of these names stand."""
        arns = [self.balancer, self.network, self.listener, self.rule, self.group, self.spare]
        return {
            "LoadBalancerArn": [self.balancer, self.network],
            "LoadBalancerArns": [self.balancer, self.network],
            "ListenerArn": [self.listener],
            "ListenerArns": [self.listener],
            "RuleArn": [self.rule, self.rule.rpartition("/")[0] + "/" + self.listener.rpartition("/")[2]],
            "RuleArns": [self.rule],
            "TargetGroupArn": [self.group, self.spare, self.stream],
            "TargetGroupArns": [self.group, self.spare],
            "ResourceArns": arns,
            "Names": ["web", "blue", "ELBSecurityPolicy-2016-08"],
            "Field": [
                *("host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip"),
            ],
            "Id": [self.address],
        }

    def sound(self) -> dict[str, dict[str, Any]]:
        """Operation → a request that this world answers with 200."""
        balancer, listener = {"LoadBalancerArn": self.balancer}, {"ListenerArn": self.listener}
        group, rule, targets = {"TargetGroupArn": self.group}, {"RuleArn": self.rule}, [{"Id": self.address}]
        weights = [{"TargetGroupArn": self.group, "Weight": 9}, {"TargetGroupArn": self.spare, "Weight": 1}]
        split = {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": weights,
                "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
            },
        }
        conditions = [
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b"}]}},
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "RegexValues": ["^b+$"]}},
            {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}},
        ]
        redirect = {
            "Type": "redirect",
            "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
        }
        certificate = {**listener, "Certificates": [{"CertificateArn": "arn:aws:acm:us-east-1:1:certificate/x"}]}
        return {
            "AddListenerCertificates": certificate,
            "RemoveListenerCertificates": certificate,
            "AddTags": {"ResourceArns": [self.balancer, self.rule], "Tags": [TAG]},
            "RemoveTags": {"ResourceArns": [self.group], "TagKeys": ["k"]},
            "DescribeTags": {"ResourceArns": [self.balancer, self.group]},
            "CreateLoadBalancer": {
                "Name": "new",
                "SubnetMappings": [{"SubnetId": SUBNETS[0], "PrivateIPv4Address": self.address}],
                "Scheme": "internal",
                "Type": "network",
                "IpAddressType": "ipv4",
                "SecurityGroups": [HOME.security_group_id],
                "Tags": [TAG],
            },
            "DescribeLoadBalancers": {"LoadBalancerArns": [self.balancer], "PageSize": 1},
            "DeleteLoadBalancer": balancer,
            "DescribeLoadBalancerAttributes": balancer,
            "ModifyLoadBalancerAttributes": {
                **balancer,
                "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "30"}],
            },
            "SetSecurityGroups": {**balancer, "SecurityGroups": [HOME.security_group_id]},
            "SetSubnets": {**balancer, "Subnets": SUBNETS},
            "SetIpAddressType": {**balancer, "IpAddressType": "ipv4"},
            "DescribeCapacityReservation": balancer,
            "DescribeAccountLimits": {"PageSize": 3},
            "DescribeSSLPolicies": {"Names": ["ELBSecurityPolicy-2016-08"], "LoadBalancerType": "application"},
            "CreateListener": {**balancer, "Protocol": "HTTP", "Port": 81, "DefaultActions": [redirect], "Tags": [TAG]},
            "DescribeListeners": {**balancer, "PageSize": 1},
            "ModifyListener": {**listener, "Port": 82, "DefaultActions": [split]},
            "DeleteListener": listener,
            "DescribeListenerAttributes": listener,
            "ModifyListenerAttributes": {
                **listener,
                "Attributes": [{"Key": "routing.http.response.server.enabled", "Value": "false"}],
            },
            "DescribeListenerCertificates": listener,
            "CreateRule": {
                **listener,
                "Priority": 2,
                "Conditions": conditions,
                "Actions": [split],
                "Transforms": [REWRITE],
                "Tags": [TAG],
            },
            "DescribeRules": {**listener, "PageSize": 1},
            "ModifyRule": {**rule, "Conditions": [PATH], "Actions": [FIXED], "Transforms": [REWRITE]},
            "DeleteRule": rule,
            "SetRulePriorities": {"RulePriorities": [{**rule, "Priority": 9}]},
            "CreateTargetGroup": {
                **self._group("new"),
                "HealthCheckPath": "/health",
                "HealthCheckIntervalSeconds": 10,
                "HealthCheckTimeoutSeconds": 3,
                "HealthyThresholdCount": 2,
                "Matcher": {"HttpCode": "200-299"},
                "ProtocolVersion": "HTTP2",
                "Tags": [TAG],
            },
            "DescribeTargetGroups": {"Names": ["blue"]},
            "ModifyTargetGroup": {**group, "HealthCheckPath": "/x", "Matcher": {"HttpCode": "200,301-302"}},
            "DeleteTargetGroup": {"TargetGroupArn": self.spare},
            "DescribeTargetGroupAttributes": group,
            "ModifyTargetGroupAttributes": {
                **group,
                "Attributes": [{"Key": "stickiness.enabled", "Value": "true"}],
            },
            "RegisterTargets": {**group, "Targets": [{"Id": "192.168.0.77", "Port": 81, "AvailabilityZone": "all"}]},
            "DeregisterTargets": {**group, "Targets": targets},
            "DescribeTargetHealth": {**group, "Targets": targets, "Include": ["All"]},
        }
