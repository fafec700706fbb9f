"""Access logs: AWS's lines in AWS's files, from requests to the real Envoy."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from envoy_world import LISTENER, World, forward, group_arn, path, rule

from openecs.acs.host_documents import CertificateDocument
from openecs.agent.edge.access_lines import Raw, line
from openecs.agent.edge.access_logs import AccessLogs
from openecs.agent.edge.envoy_listeners import Log
from openecs.agent.edge.envoy_render import Place
from openecs.clock import ManualClock
from openecs.shapes import elbv2

FIELDS = (
    *("type", "time", "elb", "client", "target", "request_time", "target_time", "response_time", "status"),
    *("target_status", "received", "sent", "request", "agent", "cipher", "protocol", "group", "trace", "domain"),
    *("certificate", "priority", "created", "actions", "redirect", "error", "targets", "target_statuses"),
    *("classification", "reason", "connection"),
)
#: Of Athena's table for these logs: what every parser expects.
SHAPE = re.compile(
    r'\S+ \S+ \S+ \S+:\d+ (\S+:\d+|-) [-.\d]+ [-.\d]+ [-.\d]+ (\d+|-) (\d+|-) \d+ \d+ "\S+ \S+ [^"]*" "[^"]*" '
    r'[A-Z0-9_-]+ [A-Za-z0-9.-]* \S+ "[^"]*" "[^"]*" "[^"]*" [-.\d]+ \S+ "[^"]*" "[^"]*" "[^ ]*" "[^ ]+?" "[^ ]+" '
    r'"[^ ]*" "[^ ]*" \S+'
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def logs(world: World, clock: ManualClock) -> AccessLogs:
    spool = world.folder / "spool"
    spool.mkdir(exist_ok=True)
    return AccessLogs(spool, world.folder / "access-logs", world.envoy.reopen_logs, clock, token="0a1b2c3d")


def files(world: World) -> list[Path]:
    return sorted((world.folder / "access-logs").rglob("*.log*"))


async def collected(log: AccessLogs, world: World, lines: int) -> list[str]:
    """The lines, when Envoy has written that many down."""
    async with asyncio.timeout(10):
        while True:
            await log.collect()
            found = [text for file in files(world) for text in file.read_text().splitlines()]
            if len(found) >= lines:
                return found
            await asyncio.sleep(0.05)


def test_requests_are_logged_in_awss_form(world: World) -> None:
    clock = ManualClock(1_700_000_100.0)
    log = logs(world, clock)
    redirect = elbv2.RedirectActionConfig(path="/new", status_code="HTTP_302")
    moved = rule(elbv2.Action(type="redirect", redirect_config=redirect), path("/old"))
    place = Place(log=Log(str(log.spool / "web.json"), "bucket/prefix"))
    world.serve(msgspec.structs.replace(moved, priority=7), routes={"a": "out"}, place=place)
    world.ask("/x?y=1", headers={"Host": "web.test:1234", "User-Agent": 'a "quoted" \\ thing'})
    world.ask("/old")
    world.serve(rule(forward("a"), path("/a")), routes={"a": "out"}, place=place)
    world.ask("/a")
    found = world.loop.run_until_complete(collected(log, world, 3))
    assert all(SHAPE.fullmatch(text) for text in found), found
    ok, away, none = (dict(zip(FIELDS, shlex.split(text), strict=True)) for text in found)
    port = world.servers["default"].server_port
    assert ok["type"] == "http"
    assert ok["elb"] == "app/web/50dc6c495c0c9188"
    assert ok["target"] == ok["targets"] == f"127.0.0.1:{port}"
    assert (ok["status"], ok["target_status"], ok["target_statuses"]) == ("200", "200", "200")
    assert ok["request"] == f"GET http://web.test:{world.port}/x?y=1 HTTP/1.1"
    assert '"a \\x22quoted\\x22 \\x5C thing"' in found[0]
    assert ok["group"] == group_arn("default")
    assert ok["trace"].startswith("Root=1-")
    assert (ok["priority"], ok["actions"], ok["redirect"]) == ("0", "forward", "-")
    assert all(float(ok[name]) >= 0 for name in ("request_time", "target_time", "response_time"))
    assert int(ok["sent"]) > 100
    assert ok["created"] <= ok["time"]
    assert (away["priority"], away["actions"], away["status"], away["target"]) == ("7", "redirect", "302", "-")
    assert away["redirect"].endswith("/new")
    assert (none["status"], none["target_status"], none["request_time"]) == ("503", "-", "-1")
    (file,) = files(world)
    assert str(file.relative_to(world.folder / "access-logs")) == (
        "bucket/prefix/AWSLogs/000000000000/elasticloadbalancing/us-east-1/2023/11/14/"
        "000000000000_elasticloadbalancing_us-east-1_app.web.50dc6c495c0c9188_20231114T2220Z_127.0.0.1_0a1b2c3d.log"
    )
    clock.advance(300)
    world.loop.run_until_complete(log.collect())
    (packed,) = files(world)
    assert packed.name == file.name + ".gz"
    assert gzip.decompress(packed.read_bytes()).decode().splitlines() == found


def test_what_an_ended_agent_took_is_written_by_the_next(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    raw = {"listener": LISTENER, "folder": "b", "port": 80, "start": "1700000000.000001", "status": 200}
    (spool / "x.taken").write_bytes(json.dumps(raw).encode() + b"\nnonsense\n")

    async def reopen() -> None:
        raise AssertionError("nothing to open anew")

    log = AccessLogs(spool, tmp_path / "logs", reopen, ManualClock(), token="t")
    asyncio.run(log.collect())
    (file,) = (tmp_path / "logs").rglob("*.log")
    assert len(file.read_text().splitlines()) == 1
    assert list(spool.iterdir()) == []
    # One that an earlier agent left growing is compressed too.
    later = AccessLogs(spool, tmp_path / "logs", reopen, ManualClock(1_700_001_000.0), token="u")
    asyncio.run(later.collect())
    assert [found.suffix for found in (tmp_path / "logs").rglob("*.log*")] == [".gz"]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "http"),
        ({"upgrade": "websocket"}, "ws"),
        ({"tls_version": "TLSv1.3"}, "https"),
        ({"tls_version": "TLSv1.3", "upgrade": "WebSocket"}, "wss"),
        ({"tls_version": "TLSv1.3", "protocol": "HTTP/2"}, "h2"),
        ({"tls_version": "TLSv1.3", "protocol": "HTTP/2", "content_type": "application/grpc+proto"}, "grpcs"),
    ],
)
def test_kinds_of_requests(more: dict[str, str], kind: str) -> None:
    raw = msgspec.convert({"listener": LISTENER, "folder": "", "port": 443, **more}, Raw)
    assert line(raw, lambda arns, _: arns[0]).split()[0] == kind


def test_the_client_that_left_is_460() -> None:
    raw = Raw(listener=LISTENER, folder="", port=80, status=0, flags="DC", client="1.2.3.4:5")
    assert line(raw, lambda arns, _: arns[0]).split()[8] == "460"


def test_a_tls_connection_of_a_network_load_balancer() -> None:
    raw = Raw(
        listener=LISTENER.replace("/app/", "/net/"),
        folder="",
        port=443,
        certificates="arn:one arn:two",
        names="two.test",
        start="1700000000.500000",
        connection_ms=1500,
        client="1.2.3.4:5",
        local="10.0.0.1:443",
        received=3,
        sent=4,
        tls_version="TLSv1.2",
        tls_cipher="ECDHE-RSA-AES128-GCM-SHA256",
        sni="two.test",
    )
    assert line(raw, lambda arns, _: arns[1]) == (
        "tls 2.0 2023-11-14T22:13:22 net/web/50dc6c495c0c9188 f2f7dc8efc522ab2 1.2.3.4:5 10.0.0.1:443 1500 - 3 4 - "
        "arn:two - ECDHE-RSA-AES128-GCM-SHA256 tlsv12 - two.test - - - 2023-11-14T22:13:20\n"
    )


def test_the_certificate_that_was_shown(tmp_path: Path) -> None:
    async def nothing() -> None:
        pass

    log = AccessLogs(tmp_path, tmp_path, nothing, ManualClock(), token="t")
    log.know({"one": CertificateDocument(chain="", private_key="", names=("one.test",))})
    assert log._choose(("two", "one"), "one.test") == "one"
    assert log._choose(("two", "one"), "unknown.test") == "two"
