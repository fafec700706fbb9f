"""What a load balancer's listeners and rules do with real requests, made by boto3 and asked from outside.

One task answers for all target groups, at a port each.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from docker_world import World
from self_signed import self_signed
from waiting import wait_for
from web_tasks import web_task

PORTS = {"plain": 8001, "blue": 8002, "green": 8003}
GRPC_PORT = 9000
QUICK = {"Delay": 1, "MaxAttempts": 60}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def told(self) -> dict[str, Any]:
        """What the program says of the request."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def cookies(self) -> str:
        """What a browser would send back."""
        return "; ".join(value.split(";")[0] for value in self.headers.get_all("Set-Cookie") or ())


class Site:
    """The load balancer, its listeners and target groups."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.elb: Any = world.installation.client("elbv2")
        self.acm: Any = world.installation.client("acm")
        subnets = world.installation.client("ec2").describe_subnets()["Subnets"]
        self.vpc = subnets[0]["VpcId"]
        self.name = "r" + uuid.uuid4().hex[:12]
        words = [*(f"{version}={port}" for version, port in PORTS.items()), f"grpc={GRPC_PORT}"]
        definition = world.ecs.register_task_definition(family=self.name, **web_task(world.image, *words))
        network = {"awsvpcConfiguration": {"subnets": [subnets[0]["SubnetId"]]}}
        (task,) = world.ecs.run_task(
            taskDefinition=definition["taskDefinition"]["taskDefinitionArn"], networkConfiguration=network
        )["tasks"]
        self.task = task["taskArn"]
        (balancer,) = self.elb.create_load_balancer(Name=self.name, Subnets=[s["SubnetId"] for s in subnets])[
            "LoadBalancers"
        ]
        self.arn, self.dns_name = balancer["LoadBalancerArn"], balancer["DNSName"]
        shown = world.reaches(self.task, "RUNNING")
        self.address = shown["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
        self.groups = {version: self.group(version, port) for version, port in PORTS.items()}
        self.both = self.group("both", PORTS["blue"], PORTS["green"])
        self.listener = self.listen(18100, "HTTP", forward(self.groups["plain"]))
        self.endpoint = self.endpoint_of(self.listener)
        self.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[self.arn], WaiterConfig=QUICK)
        self._priority = 0

    def group(self, name: str, *ports: int, **settings: Any) -> str:
        (made,) = self.elb.create_target_group(
            Name=f"{self.name}-{name}",
            Protocol="HTTP",
            Port=ports[0],
            VpcId=self.vpc,
            TargetType="ip",
            **{"HealthCheckPath": "/health", **settings},
        )["TargetGroups"]
        arn: str = made["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": self.address, "Port": port} for port in ports])
        return arn

    def healthy(self, *groups: str) -> None:
        for group in groups:
            self.elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig=QUICK)

    def listen(self, port: int, protocol: str, action: dict[str, Any], **settings: Any) -> str:
        (made,) = self.elb.create_listener(
            LoadBalancerArn=self.arn, Protocol=protocol, Port=port, DefaultActions=[action], **settings
        )["Listeners"]
        arn: str = made["ListenerArn"]
        return arn

    def endpoint_of(self, listener: str) -> tuple[str, int]:
        def look() -> str | None:
            (tags,) = self.elb.describe_tags(ResourceArns=[listener])["TagDescriptions"]
            return {tag["Key"]: tag["Value"] for tag in tags["Tags"]}.get("aws:openecs:endpoint")

        host, _, port = wait_for(look, seconds=20, what="the listener's endpoint").rpartition(":")
        return host, int(port)

    def rule(self, action: dict[str, Any], *conditions: dict[str, Any]) -> str:
        """A rule below all earlier ones.  Targets are looked at as soon as a rule leads to them."""
        self._priority += 1
        (made,) = self.elb.create_rule(
            ListenerArn=self.listener, Priority=self._priority, Conditions=list(conditions), Actions=[action]
        )["Rules"]
        self.healthy(*(one["TargetGroupArn"] for one in action.get("ForwardConfig", {}).get("TargetGroups", ())))
        arn: str = made["RuleArn"]
        return arn

    def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        at: tuple[str, int] | None = None,
        **headers: str,
    ) -> Answer:
        connection = http.client.HTTPConnection(*(at or self.endpoint), timeout=10)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()


def forward(*groups: str | tuple[str, int], sticky: int = 0) -> dict[str, Any]:
    pairs = [group if isinstance(group, tuple) else (group, 1) for group in groups]
    config: dict[str, Any] = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in pairs]}
    if sticky:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky}
    return {"Type": "forward", "ForwardConfig": config}


def condition(field: str, **config: Any) -> dict[str, Any]:
    name = "".join(word.capitalize() for word in field.split("-")) + "Config"
    return {"Field": field, name: config}


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Site]:
    made = Site(world)
    made.healthy(made.groups["plain"])
    yield made
    made.elb.delete_load_balancer(LoadBalancerArn=made.arn)
    world.stop(made.task)


def test_conditions_choose_the_target_group(site: Site) -> None:
    blue, green = forward(site.groups["blue"]), forward(site.groups["green"])
    site.rule(blue, condition("host-header", Values=["*.blue.example"]))
    site.rule(green, condition("path-pattern", Values=["/green/*"]))
    site.rule(blue, condition("http-header", HttpHeaderName="X-Colour", Values=["bl?e"]))
    site.rule(green, condition("query-string", Values=[{"Key": "colour", "Value": "green"}]))
    site.rule(blue, condition("http-request-method", Values=["DELETE"]))
    site.rule(
        green,
        condition("source-ip", Values=["127.0.0.0/8"]),
        condition("path-pattern", Values=["/from-here"]),
    )
    wait_for(lambda: site.ask("/from-here").told["version"] == "green", seconds=20, what="the rules on the host")
    for expected, path, method, headers in (
        ("plain", "/", "GET", {}),
        ("blue", "/", "GET", {"Host": "www.blue.example"}),
        ("plain", "/", "GET", {"Host": "blue.example"}),
        ("green", "/green/x", "GET", {}),
        ("plain", "/green", "GET", {}),
        ("blue", "/green/x", "GET", {"Host": "www.blue.example"}),
        ("blue", "/", "GET", {"X-Colour": "blue"}),
        ("plain", "/", "GET", {"X-Colour": "bleu"}),
        ("green", "/?colour=green", "GET", {}),
        ("plain", "/?colour=blue", "GET", {}),
        ("blue", "/", "DELETE", {}),
    ):
        assert site.ask(path, method=method, **headers).told["version"] == expected, (path, method, headers)
    # Who comes by the load balancer's own address has another address, which the task is told.
    inside = site.ask("/from-here", at=(own_address(site), 18100)).told
    assert inside["version"] == "plain"
    assert site.ask("/").told["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert not inside["headers"]["x-forwarded-for"].startswith("127.")


def test_answers_that_need_no_target(site: Site) -> None:
    fixed = {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": "no coffee"}
    site.rule({"Type": "fixed-response", "FixedResponseConfig": fixed}, condition("path-pattern", Values=["/coffee"]))
    redirect = {"StatusCode": "HTTP_302", "Host": "else.example", "Port": "444", "Path": "/to/#{path}"}
    site.rule(
        {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", **redirect}},
        condition("path-pattern", Values=["/moved*"]),
    )
    answer = wait_for(lambda: _not_plain(site.ask("/moved/x?y=1")), seconds=20, what="the rules on the host")
    assert (answer.status, answer.headers["Location"]) == (302, "https://else.example:444/to/moved/x?y=1")
    answer = site.ask("/coffee")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (418, "no coffee", "text/plain")


def test_weights_and_cookies(site: Site) -> None:
    blue, green = site.groups["blue"], site.groups["green"]
    rule = site.rule(forward((blue, 50), (green, 50), sticky=60), condition("path-pattern", Values=["/mixed"]))
    first = wait_for(lambda: _not_plain(site.ask("/mixed")), seconds=20, what="the rule on the host")
    # One of two, hundred times: never is 2 to the power of -99.
    assert set(versions(site, "/mixed", 100)) == {"blue", "green"}
    assert "AWSALBTG=" in first.cookies
    assert set(versions(site, "/mixed", 20, Cookie=first.cookies)) == {first.told["version"]}
    site.elb.modify_rule(RuleArn=rule, Actions=[forward((blue, 0), (green, 1))])
    wait_for(lambda: set(versions(site, "/mixed", 20)) == {"green"}, seconds=20, what="all the weight on one group")


def test_a_cookie_keeps_a_client_with_its_target(site: Site) -> None:
    sticky = {
        "stickiness.enabled": "true",
        "stickiness.type": "lb_cookie",
        "stickiness.lb_cookie.duration_seconds": "60",
    }
    site.elb.modify_target_group_attributes(
        TargetGroupArn=site.both, Attributes=[{"Key": key, "Value": value} for key, value in sticky.items()]
    )
    site.rule(forward(site.both), condition("path-pattern", Values=["/sticky"]))
    first = wait_for(lambda: _not_plain(site.ask("/sticky")), seconds=20, what="the rule on the host")
    assert "AWSALB=" in first.cookies
    assert set(versions(site, "/sticky", 20, Cookie=first.cookies)) == {first.told["version"]}
    assert set(versions(site, "/sticky", 40)) == {"blue", "green"}


def test_a_websocket_echoes(site: Site) -> None:
    with socket.create_connection(site.endpoint, timeout=10) as sock:
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        stream = sock.makefile("rb")
        assert stream.readline().split()[1] == b"101"
        while stream.readline().strip():
            pass
        for text in (b"hello", b"again"):
            mask = os.urandom(4)
            sock.sendall(
                bytes([0x81, 0x80 | len(text)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
            )
            assert stream.read(2 + len(text)) == bytes([0x81, len(text)]) + text


def test_https_shows_the_certificate_of_the_name_and_carries_grpc(site: Site) -> None:
    certificates = {name: self_signed(name) for name in ("one.example", "two.example")}
    arns = {
        name: site.acm.import_certificate(Certificate=cert, PrivateKey=key)["CertificateArn"]
        for name, (cert, key) in certificates.items()
    }
    echo = site.group(
        "grpc", GRPC_PORT, ProtocolVersion="GRPC", HealthCheckPath="/test.Echo/Say", Matcher={"GrpcCode": "0-99"}
    )
    listener = site.listen(
        18143, "HTTPS", forward(site.groups["plain"]), Certificates=[{"CertificateArn": arns["one.example"]}]
    )
    site.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": arns["two.example"]}])
    grpc_condition = condition("path-pattern", Values=["/test.Echo/*"])
    site.elb.create_rule(ListenerArn=listener, Priority=1, Conditions=[grpc_condition], Actions=[forward(echo)])
    site.healthy(echo)
    host, port = site.endpoint_of(listener)
    everything = "".join(cert.decode() for cert, _ in certificates.values())

    def told_to(name: str) -> dict[str, Any]:
        context = ssl.create_default_context(cadata=everything)
        # The handshake fails for a certificate that is not for the name.
        with (
            socket.create_connection((host, port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            secured.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            said = secured.makefile("rb").read()
        told: dict[str, Any] = json.loads(said.partition(b"\r\n\r\n")[2])
        return told

    wait_for(lambda: _trusted(told_to, "two.example"), seconds=20, what="the second certificate on the host")
    for name in certificates:
        headers = told_to(name)["headers"]
        assert (headers["host"].partition(":")[0], headers["x-forwarded-proto"]) == (name, "https")
    credentials = grpc.ssl_channel_credentials(certificates["one.example"][0])
    with grpc.secure_channel(
        f"{host}:{port}", credentials, options=[("grpc.ssl_target_name_override", "one.example")]
    ) as channel:
        say = channel.unary_unary("/test.Echo/Say")
        assert [say(text, timeout=10, wait_for_ready=True) for text in (b"hello", b"again")] == [b"hello", b"again"]


def versions(site: Site, path: str, count: int, **headers: str) -> Counter[str]:
    return Counter(site.ask(path, **headers).told["version"] for _ in range(count))


def own_address(site: Site) -> str:
    """One of the load balancer's addresses in the VPC."""
    interfaces = site.world.installation.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    address: str = next(i["PrivateIpAddress"] for i in interfaces if site.name in i.get("Description", ""))
    return address


def _trusted(told_to: Any, name: str) -> bool:
    try:
        told_to(name)
    except ssl.SSLCertVerificationError:
        return False
    return True


def _not_plain(answer: Answer) -> Answer | None:
    """The answer of the rule that is waited for, and not that of the listener's default."""
    return None if '"version": "plain"' in answer.body else answer
