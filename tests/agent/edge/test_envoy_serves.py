"""The real Envoy with rendered configuration, on loopback: what requests come to."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    HealthCheckDocument,
    TargetEntry,
    TargetGroupDocument,
)
from openecs.agent.edge.envoy import Envoy
from openecs.agent.edge.envoy_render import Place, render
from openecs.shapes import elbv2

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
BALANCER = f"{ARN}:loadbalancer/app/web/50dc6c495c0c9188"
LISTENER = f"{ARN}:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2"


def group_arn(name: str) -> str:
    return f"{ARN}:targetgroup/{name}/{name:0<16.16}"


class _Target(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.server.name} {self.command} {self.path}\n{self.headers}".encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PURGE = do_GET

    def log_message(self, *args: Any) -> None:
        pass


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class World:
    """One Envoy, three targets, one load balancer whose rules each test sets."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oecs-", dir="/tmp"))
        self.loop = asyncio.new_event_loop()
        self.envoy = Envoy(Path(sys.executable).with_name("envoy"), self.folder, concurrency=1)
        self.port = _free_port()
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
    ) -> None:
        default = BalancerRule(arn="default", priority=0, actions=(forward("default"),))
        listener = BalancerListener(arn=LISTENER, port=self.port, protocol="HTTP", rules=(*rules, default))
        interface = BalancerInterface(
            interface_id="eni-1", subnet_id="subnet-1", availability_zone="a", address="127.0.0.1"
        )
        balancer = BalancerDocument(
            name="web",
            type="application",
            scheme="internal",
            vpc_id="vpc-1",
            dns_name="web.elb.openecs.internal",
            interfaces=(interface,),
            addresses=("127.0.0.1",),
            listeners=(listener,),
            attributes=attributes or {},
        )
        groups = {
            group_arn(name): TargetGroupDocument(
                name=name,
                protocol="HTTP",
                port=80,
                target_type="ip",
                load_balancer_arn=BALANCER,
                health_check=HealthCheckDocument(protocol="HTTP"),
                targets=(TargetEntry(id=name, port=server.server_port, address="127.0.0.1"),),
                attributes=group_attributes or {},
            )
            for name, server in self.servers.items()
        }
        states = {
            group_arn(name): {(name, server.server_port): (routes or {}).get(name, "routable")}
            for name, server in self.servers.items()
        }
        rendered = render(
            {BALANCER: balancer},
            groups,
            {},
            states,
            {BALANCER: Place()},
            xds=self.envoy.xds,  # type: ignore[arg-type]
        )
        self.problems = rendered.problems.get(BALANCER, ())
        applied = self.loop.run_until_complete(self.envoy.apply(rendered.resources))
        assert applied.rejected == {}

    def ask(
        self, path: str = "/", method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, answer.headers


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


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


@pytest.mark.parametrize(
    ("conditions", "request_", "hit"),
    [
        ((host("*.example.com"),), {"headers": {"Host": "API.Example.com:8080"}}, True),
        ((host("*.example.com"),), {"headers": {"Host": "example.com"}}, False),
        ((host("a.example.com"),), {"headers": {"Host": "aXexample.com"}}, False),
        ((path("/img/*"),), {"path": "/img/x.png?y=1"}, True),
        ((path("/img/*"),), {"path": "/IMG/x.png"}, False),
        ((path("/a?c"),), {"path": "/abc"}, True),
        ((path("/a?c"),), {"path": "/ac"}, False),
        ((path("/x", "/y"),), {"path": "/y"}, True),
        ((header("X-Kind", "*beta*"),), {"headers": {"x-kind": "a BETA b"}}, True),
        ((header("X-Kind", "beta"),), {"headers": {"x-kind": "betas"}}, False),
        ((method("PURGE"),), {"method": "PURGE"}, True),
        ((method("PURGE"),), {"method": "POST"}, False),
        ((query(("version", "v1"), (None, "*example*")),), {"path": "/?a=1&Version=V1"}, True),
        ((query(("version", "v1"), (None, "*example*")),), {"path": "/?q=an-example-x"}, True),
        (
            (
                query(
                    ("version", "v1"),
                ),
            ),
            {"path": "/?xversion=v1"},
            False,
        ),
        (
            (
                query(
                    ("version", "v1"),
                ),
            ),
            {"path": "/?version=v12"},
            False,
        ),
        (
            (
                query(
                    ("k", r"\*"),
                ),
            ),
            {"path": "/?k=x"},
            False,
        ),
        (
            (
                query(
                    ("k", "a b"),
                ),
            ),
            {"path": "/?k=a%20b"},
            True,
        ),
        ((source("127.0.0.0/8"),), {}, True),
        ((source("10.0.0.0/8", "::/0"),), {}, False),
        ((path("/x"), method("GET")), {"path": "/x"}, True),
        ((path("/x"), method("POST")), {"path": "/x"}, False),
        ((query(("a", "1")), query(("b", "2"))), {"path": "/?b=2&a=1"}, True),
        ((query(("a", "1")), query(("b", "2"))), {"path": "/?a=1"}, False),
    ],
)
def test_a_rule_takes_what_its_conditions_say(world: World, conditions: Any, request_: Any, hit: bool) -> None:
    world.serve(rule(forward("a"), *conditions))
    status, body, _ = world.ask(**request_)
    assert (status, body.split()[0]) == (200, "a" if hit else "default")


def test_targets_are_told_who_asked_and_nothing_of_envoy(world: World) -> None:
    world.serve()
    _, body, _ = world.ask(headers={"X-Forwarded-For": "9.9.9.9", "x-envoy-retry-on": "5xx", "Host": "h"})
    told = body.lower()
    assert "x-forwarded-for: 9.9.9.9,127.0.0.1" in told.replace(", ", ",")
    assert "x-forwarded-proto: http\n" in told.replace("\r", "")
    assert f"x-forwarded-port: {world.port}" in told
    assert "x-amzn-trace-id: root=1-" in told
    assert f"host: h:{world.port}" in told
    assert "x-envoy" not in told


def test_redirects_are_worded_as_aws_words_them(world: World) -> None:
    redirect = elbv2.RedirectActionConfig(
        protocol="HTTPS",
        port="443",
        host="new.#{host}",
        path="/v2/#{path}",
        query="#{query}&x=1%",
        status_code="HTTP_301",
    )
    world.serve(rule(elbv2.Action(type="redirect", redirect_config=redirect)))
    status, body, headers = world.ask("/a/b?c=d", headers={"Host": "old.example"})
    assert status == 301
    assert headers["location"] == "https://new.old.example:443/v2/a/b?c=d&x=1%"
    assert "<h1>301 Moved Permanently</h1>" in body


def test_a_fixed_response_is_given_as_it_was_written(world: World) -> None:
    config = elbv2.FixedResponseActionConfig(message_body="100% {x}", status_code="404", content_type="text/css")
    world.serve(rule(elbv2.Action(type="fixed-response", fixed_response_config=config)))
    status, body, headers = world.ask()
    assert (status, body, headers["content-type"], headers["server"]) == (404, "100% {x}", "text/css", "awselb/2.0")


def test_without_a_target_that_may_be_used_the_answer_is_503(world: World) -> None:
    world.serve(routes={"default": "out"})
    status, body, headers = world.ask()
    assert (status, headers["server"]) == (503, "awselb/2.0")
    assert "503 Service Temporarily Unavailable" in body


def test_a_cookie_keeps_a_client_with_its_target_group(world: World) -> None:
    world.serve(rule(forward(("a", 50), ("b", 50), sticky=60)))
    _, body, headers = world.ask()
    cookie = next(value for value in headers.get_all("set-cookie") if value.startswith("AWSALBTG="))
    seen = {world.ask(headers={"Cookie": cookie.split(";")[0]})[1].split()[0] for _ in range(8)}
    assert seen == {body.split()[0]}


@pytest.mark.parametrize("kind", ["lb_cookie"])
def test_targets_keep_their_clients(world: World, kind: str) -> None:
    world.serve(group_attributes={"stickiness.enabled": "true", "stickiness.type": kind})
    _, _, headers = world.ask()
    assert {value.split("=")[0] for value in headers.get_all("set-cookie")} == {"AWSALB", "AWSALBCORS"}


def test_an_application_cookie_decides(world: World) -> None:
    world.serve(
        group_attributes={
            "stickiness.enabled": "true",
            "stickiness.type": "app_cookie",
            "stickiness.app_cookie.cookie_name": "SESSION",
        }
    )
    _, _, headers = world.ask()
    assert headers.get_all("set-cookie") is None


def test_hosts_and_urls_are_rewritten(world: World) -> None:
    transforms = (
        elbv2.RuleTransform(
            type="url-rewrite",
            url_rewrite_config=elbv2.UrlRewriteConfig(
                rewrites=(elbv2.RewriteConfig(regex=r"^/old/([a-z]+)\?x=(\d+)", replace="/new/$2?y=$1"),)
            ),
        ),
        elbv2.RuleTransform(
            type="host-header-rewrite",
            host_header_rewrite_config=elbv2.HostHeaderRewriteConfig(
                rewrites=(elbv2.RewriteConfig(regex="^(.+)[.]com$", replace="$1.internal"),)
            ),
        ),
    )
    world.serve(rule(forward("a"), path("/*"), transforms=transforms))
    _, body, _ = world.ask("/old/abc?x=12", headers={"Host": "site.com"})
    assert body.startswith("a GET /new/12?y=abc\n")
    assert "host: site.internal" in body.lower()


def test_a_refused_connection_is_502(world: World) -> None:
    port = world.servers["default"].server_port
    world.servers["default"].server_port = _free_port()
    try:
        world.serve()
        assert world.ask()[0] == 502
    finally:
        world.servers["default"].server_port = port


def test_an_envoy_that_is_killed_comes_back_with_its_configuration(world: World) -> None:
    world.serve(rule(forward("a")))
    before = world.envoy.pid()
    assert before is not None

    async def kill() -> None:
        watcher = asyncio.get_running_loop().create_task(world.envoy.supervise())
        await asyncio.sleep(0)
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while world.envoy.pid() in {None, before} or not await world.envoy.ready():
                await asyncio.sleep(0.01)
        watcher.cancel()

    world.loop.run_until_complete(kill())
    assert world.ask()[1].split()[0] == "a"


def test_the_next_agent_adopts_the_same_process(world: World) -> None:
    world.serve()
    before = world.envoy.pid()
    world.envoy = Envoy(Path(sys.executable).with_name("envoy"), world.folder, concurrency=1)
    assert world.loop.run_until_complete(world.envoy.adopt())
    world.serve(rule(forward("b")))
    assert (world.envoy.pid(), world.ask()[1].split()[0]) == (before, "b")


def test_a_rule_that_cannot_be_done_is_a_problem_and_not_passed_over(world: World) -> None:
    redirect = elbv2.RedirectActionConfig(path="/x#{path}", status_code="HTTP_302")
    world.serve(rule(elbv2.Action(type="redirect", redirect_config=redirect), path("/r")))
    assert (world.ask("/r")[0], world.ask("/")[0]) == (503, 200)
    assert world.problems == ("Rule rule: In a redirect, #{path} must follow a slash.",)
