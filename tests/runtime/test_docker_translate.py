"""From the engine's JSON to the protocol's structs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openecs.agent.runtime.docker import translate
from openecs.agent.runtime.docker.messages import ContainerJson, InfoJson
from openecs.agent.runtime.protocol import ContainerInfo, HealthProbe, PortBinding

NEVER = "0001-01-01T00:00:00Z"


def _info(state: dict[str, Any], **members: Any) -> ContainerInfo:
    document = {
        "Id": "c1", "Name": "/web", "Image": "sha256:1", "Created": "2026-11-22T16:00:00.123456789Z",
        "State": {"StartedAt": NEVER, "FinishedAt": NEVER, **state}, "Config": {"Labels": None}, **members,
    }  # fmt: skip
    return translate.container_info(msgspec.json.decode(msgspec.json.encode(document), type=ContainerJson))


def test_times_are_seconds_in_every_zone() -> None:
    info = _info({"Status": "running", "Pid": 7, "StartedAt": "2026-11-22T17:00:01.5+01:00"})
    assert info.created_at == pytest.approx(1795363200.123456, abs=1e-5)
    assert info.started_at == 1795363201.5
    assert (info.name, info.finished_at, info.labels) == ("web", None, {})


@pytest.mark.parametrize(
    ("status", "translated", "exit_code"),
    [
        ("created", "created", None),
        ("configured", "created", None),
        ("initialized", "created", None),
        ("running", "running", None),
        ("stopping", "running", None),
        ("paused", "paused", None),
        ("restarting", "restarting", None),
        ("stopped", "exited", 3),
        ("exited", "exited", 3),
        ("dead", "dead", 3),
    ],
)
def test_an_exit_code_belongs_to_what_has_ended(status: str, translated: str, exit_code: int | None) -> None:
    started = NEVER if translated == "created" else "2026-11-22T16:00:01Z"
    info = _info({"Status": status, "ExitCode": 3, "StartedAt": started, "FinishedAt": "2026-11-22T16:00:02Z"})
    assert (info.status, info.exit_code) == (translated, exit_code)
    assert (info.finished_at is not None) == (exit_code is not None)


def test_a_failed_start_is_no_exit() -> None:
    info = _info({"Status": "created", "ExitCode": 127, "Error": "exec: not found"})
    assert (info.exit_code, info.error) == (None, "exec: not found")


def test_nothing_ends_before_it_began() -> None:
    times = {"StartedAt": "2026-11-22T16:00:01.000900Z", "FinishedAt": "2026-11-22T16:00:01.000100Z"}
    info = _info({"Status": "exited", **times})
    assert info.finished_at == info.started_at


def test_ports_are_listed_with_both_families() -> None:
    bindings = [{"HostIp": "::", "HostPort": "32768"}, {"HostIp": "0.0.0.0", "HostPort": "32768"}]
    settings = {
        "Ports": {"443/tcp": None, "80/tcp": bindings, "53/udp": [{"HostIp": "", "HostPort": "53"}]},
        "Networks": {"bridge": {"IPAddress": "172.17.0.2"}, "host": {"IPAddress": ""}, "gone": None},
    }
    state = {"Status": "running", "StartedAt": "2026-11-22T16:00:01Z"}
    info = _info(state, NetworkSettings=settings)
    assert info.ports == (
        PortBinding(container_port=80, protocol="tcp", host_ip="0.0.0.0", host_port=32768),
        PortBinding(container_port=80, protocol="tcp", host_ip="::", host_port=32768),
        PortBinding(container_port=53, protocol="udp", host_ip="0.0.0.0", host_port=53),
    )
    assert info.addresses == {"bridge": "172.17.0.2"}
    assert _info({"Status": "exited"}, NetworkSettings=settings).ports == ()


def test_health_is_the_newest_probes() -> None:
    probes = [
        {"End": "2026-11-22T16:00:03Z", "ExitCode": 0, "Output": ""},
        {"End": "2026-11-22T16:00:04.5Z", "ExitCode": 1, "Output": "no"},
    ]
    running = {"Status": "running", "StartedAt": "2026-11-22T16:00:01Z"}
    info = _info({**running, "Health": {"Status": "unhealthy", "Log": probes}})
    assert info.health == HealthProbe(status="unhealthy", exit_code=1, output="no", since=1795363204.5)
    assert _info({**running, "Health": {"Status": "starting", "Log": None}}).health == HealthProbe(status="starting")
    assert _info({**running, "Health": {"Status": "none"}}).health is None
    # An engine calls every stopped container unhealthy; that says nothing.
    assert _info({"Status": "exited", "Health": {"Status": "unhealthy", "Log": probes}}).health is None


@pytest.mark.parametrize(("machine", "named"), [("aarch64", "arm64"), ("x86_64", "x86_64"), ("amd64", "x86_64")])
def test_an_architecture_is_named_as_ecs_does(machine: str, named: str) -> None:
    info = translate.engine_info(InfoJson(architecture=machine, mem_total=3 * 2**20 + 5, cgroup_version="2"), (1, 44))
    assert (info.architecture, info.memory_mib, info.cgroup_version) == (named, 3, "2")
