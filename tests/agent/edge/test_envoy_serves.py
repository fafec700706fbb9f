"""The real Envoy with rendered configuration, on loopback: what requests come to."""

from __future__ import annotations

import asyncio
import os
import signal
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from envoy_world import World, forward, free_port, header, host, method, path, query, rule, source

from openecs.agent.edge.envoy import Envoy
from openecs.shapes import elbv2


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


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


def test_a_safe_request_whose_target_is_lost_goes_to_another_one(world: World) -> None:
    asked: list[str] = []

    class Lost(socketserver.StreamRequestHandler):
        """Reads the request, then is gone like a process that was killed."""

        def handle(self) -> None:
            line = self.rfile.readline().decode()
            while self.rfile.readline().strip():
                pass
            asked.append(line.split()[0])

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lost) as lost:
        threading.Thread(target=lost.serve_forever, args=(0.05,), daemon=True).start()
        both = [lost.server_address[1], world.servers["default"].server_port]

        def answers(method: str) -> set[int]:
            return {world.ask(method=method)[0] for _ in range(8)}

        world.serve(targets={"default": both})
        assert answers("GET") == {200}
        assert "GET" in asked
        assert answers("POST") == {200, 502}
        _, body, _ = world.ask(headers={"x-envoy-retry-on": "5xx"})
        assert "x-envoy" not in body.lower()
        world.serve(targets={"default": both}, balancer={"retries_safe": False})
        assert answers("GET") == {200, 502}
        lost.shutdown()


def test_a_refused_connection_is_502(world: World) -> None:
    port = world.servers["default"].server_port
    world.servers["default"].server_port = free_port()
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
