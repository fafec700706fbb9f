"""The real Envoy with rendered configuration, on loopback: targets, one load balancer, conditions and actions."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    CertificateDocument,
    HealthCheckDocument,
    TargetEntry,
    TargetGroupDocument,
)
from openecs.agent.edge.envoy import Envoy
from openecs.agent.edge.envoy_render import Place, Rendered, render
from openecs.shapes import elbv2

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
BALANCER = f"{ARN}:loadbalancer/app/web/50dc6c495c0c9188"
LISTENER = f"{ARN}:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2"


def group_arn(name: str) -> str:
    return f"{ARN}:targetgroup/{name}/{name:0<16.16}"


class _Target(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: Head and body leave in one packet.
    wbufsize = 65536

    def do_GET(self) -> None:
        body = f"{self.server.name} {self.command} {self.path}\n{self.headers}".encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PURGE = do_GET

    def log_message(self, *args: Any) -> None:
        pass


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Documents(NamedTuple):
    """One load balancer with what it uses."""

    balancer: BalancerDocument
    groups: dict[str, TargetGroupDocument]
    certificates: dict[str, CertificateDocument]
    states: Any
    place: Place


class World:
    """One Envoy, three targets, one load balancer whose rules each test sets."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oecs-", dir="/tmp"))
        self.loop = asyncio.new_event_loop()
        self.envoy = Envoy(Path(sys.executable).with_name("envoy"), self.folder, concurrency=1)
        self.port = free_port()
        self.servers: dict[str, ThreadingHTTPServer] = {}
        for name in ("default", "a", "b"):
            server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
            server.daemon_threads = True
            server.name = name  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self.servers[name] = server
        self.problems: tuple[str, ...] = ()

    def close(self) -> None:
        self.loop.run_until_complete(self.envoy.stop())
        for server in self.servers.values():
            server.shutdown()
            server.server_close()
        self.loop.close()
        shutil.rmtree(self.folder)

    def serve(
        self,
        *rules: BalancerRule,
        attributes: dict[str, str] | None = None,
        group_attributes: dict[str, str] | None = None,
        routes: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        """Serve these rules before the default one; ``more`` is for ``documents``."""
        rendered = self.rendered(
            *rules, attributes=attributes, group_attributes=group_attributes, routes=routes, **more
        )
        self.problems = rendered.problems.get(BALANCER, ())
        applied = self.loop.run_until_complete(self.envoy.apply(rendered.resources))
        assert applied.rejected == {}

    def documents(
        self,
        *rules: BalancerRule,
        attributes: dict[str, str] | None = None,
        group_attributes: dict[str, str] | None = None,
        routes: dict[str, str] | None = None,
        targets: Mapping[str, list[int]] | None = None,
        group: Mapping[str, Any] | None = None,
        listener: Mapping[str, Any] | None = None,
        balancer: Mapping[str, Any] | None = None,
        certificates: Mapping[str, CertificateDocument] | None = None,
        place: Place | None = None,
    ) -> Documents:
        """``targets`` of each group by their ports, and changes to the documents."""
        default = BalancerRule(arn="default", priority=0, actions=(forward("default"),))
        one = BalancerListener(arn=LISTENER, port=self.port, protocol="HTTP", rules=(*rules, default))
        interface = BalancerInterface(
            interface_id="eni-1", subnet_id="subnet-1", availability_zone="a", address="127.0.0.1"
        )
        document = BalancerDocument(
            name="web",
            type="application",
            scheme="internal",
            vpc_id="vpc-1",
            dns_name="web.elb.openecs.internal",
            interfaces=(interface,),
            addresses=("127.0.0.1",),
            listeners=(msgspec.structs.replace(one, **(listener or {})),),
            attributes=attributes or {},
        )
        document = msgspec.structs.replace(document, **(balancer or {}))
        ports = {name: [server.server_port] for name, server in self.servers.items()} | dict(targets or {})
        groups = {
            group_arn(name): msgspec.structs.replace(
                TargetGroupDocument(
                    name=name,
                    protocol="HTTP",
                    port=80,
                    target_type="ip",
                    load_balancer_arn=BALANCER,
                    health_check=HealthCheckDocument(protocol="HTTP"),
                    targets=tuple(TargetEntry(id=name, port=port, address="127.0.0.1") for port in found),
                    attributes=group_attributes or {},
                ),
                **(group or {}),
            )
            for name, found in ports.items()
        }
        states: Any = {
            arn: {(target.id, target.port): (routes or {}).get(target.id, "routable") for target in found.targets}
            for arn, found in groups.items()
        }
        return Documents(document, groups, dict(certificates or {}), states, place or Place())

    def rendered(
        self, *rules: BalancerRule, weights: Mapping[str, Mapping[int, int]] | None = None, **more: Any
    ) -> Rendered:
        """What Envoy is to be told; ``weights`` of targets by group and port, ``more`` is for ``documents``."""
        found = self.documents(*rules, **more)
        own = {group_arn(g): {(g, port): n for port, n in ports.items()} for g, ports in (weights or {}).items()}
        return render(
            {BALANCER: found.balancer},
            found.groups,
            found.certificates,
            found.states,
            {BALANCER: found.place},
            xds=self.envoy.xds,
            weights=own,
        )

    def ask(
        self, path: str = "/", method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, answer.headers


def forward(*groups: str | tuple[str, int], sticky: int = 0) -> elbv2.Action:
    tuples = tuple(
        elbv2.TargetGroupTuple(target_group_arn=group_arn(name), weight=weight)
        for name, weight in ((found, 1) if isinstance(found, str) else found for found in groups)
    )
    stickiness = elbv2.TargetGroupStickinessConfig(enabled=True, duration_seconds=sticky) if sticky else None
    config = elbv2.ForwardActionConfig(target_groups=tuples, target_group_stickiness_config=stickiness)
    return elbv2.Action(type="forward", forward_config=config)


def host(*values: str) -> elbv2.RuleCondition:
    return elbv2.RuleCondition(field="host-header", host_header_config=elbv2.HostHeaderConditionConfig(values=values))


def path(*values: str) -> elbv2.RuleCondition:
    return elbv2.RuleCondition(field="path-pattern", values=values)


def header(name: str, *values: str) -> elbv2.RuleCondition:
    config = elbv2.HttpHeaderConditionConfig(http_header_name=name, values=values)
    return elbv2.RuleCondition(field="http-header", http_header_config=config)


def method(*values: str) -> elbv2.RuleCondition:
    config = elbv2.HttpRequestMethodConditionConfig(values=values)
    return elbv2.RuleCondition(field="http-request-method", http_request_method_config=config)


def query(*pairs: tuple[str | None, str]) -> elbv2.RuleCondition:
    values = tuple(elbv2.QueryStringKeyValuePair(key=key, value=value) for key, value in pairs)
    return elbv2.RuleCondition(
        field="query-string", query_string_config=elbv2.QueryStringConditionConfig(values=values)
    )


def source(*values: str) -> elbv2.RuleCondition:
    return elbv2.RuleCondition(field="source-ip", source_ip_config=elbv2.SourceIpConditionConfig(values=values))


def rule(action: elbv2.Action, *conditions: elbv2.RuleCondition, **more: Any) -> BalancerRule:
    return BalancerRule(arn="rule", priority=1, conditions=conditions, actions=(action,), **more)
