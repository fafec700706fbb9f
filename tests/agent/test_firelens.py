"""The log router's configuration, and what the other containers log to."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openecs.acs.task_payload import ContainerPayload, DockerConfig, FirelensPayload, TaskPayload
from openecs.agent.engine import container_body, firelens, log_router
from openecs.agent.engine.firelens import FirelensError, Place, Record
from openecs.agent.engine.graph import Edge, Graph

ARN = "arn:aws:ecs:eu-west-1:1:task/prod/0123456789abcdef0123456789abcdef"
RECORD = Record("prod", ARN, "web:3")


def container(name: str, driver: str = "awsfirelens", **options: str) -> ContainerPayload:
    log = {"LogConfig": {"Type": driver, "Config": {key.replace("__", "-"): value for key, value in options.items()}}}
    return ContainerPayload(name, "i", docker_config=DockerConfig(host_config=msgspec.json.encode(log).decode()))


def router(kind: str = "fluentbit", **options: str) -> ContainerPayload:
    given = {key.replace("__", "-"): value for key, value in options.items()}
    return ContainerPayload("router", "fluent/fluent-bit", firelens_configuration=FirelensPayload(kind, given))


def task(*containers: ContainerPayload, mode: str = "awsvpc") -> TaskPayload:
    return TaskPayload(arn=ARN, family="web", version="3", network_mode=mode, containers=containers)


FLUENT_BIT = """[INPUT]
    Name tcp
    Tag firelens-healthcheck
    Listen 127.0.0.1
    Port 8877

[INPUT]
    Name forward
    unix_path /var/run/fluent.sock

[INPUT]
    Name forward
    Listen 127.0.0.1
    Port 24224

[FILTER]
    Name grep
    Match web-firelens*
    Regex log ^E

[FILTER]
    Name record_modifier
    Match *
    Record ecs_cluster prod
    Record ecs_task_arn arn:aws:ecs:eu-west-1:1:task/prod/0123456789abcdef0123456789abcdef
    Record ecs_task_definition web:3

@INCLUDE /extra.conf

[OUTPUT]
    Name null
    Match firelens-healthcheck

[OUTPUT]
    Name cloudwatch
    Match web-firelens*
    region eu-west-1
    log_group_name /web
"""

FLUENTD = """<source>
    @type unix
    path /var/run/fluent.sock
</source>

<source>
    @type forward
    bind 0.0.0.0
    port 24224
</source>

<filter web-firelens**>
    @type grep
    <exclude>
        key log
        pattern ^D
    </exclude>
</filter>

<match web-firelens**>
    @type stdout
</match>
"""


def test_fluent_bit() -> None:
    web = container(
        "web",
        Name="cloudwatch",
        region="eu-west-1",
        log_group_name="/web",
        **{"include-pattern": "^E", "log-driver-buffer-limit": "9"},
    )
    chosen = router(**{"config-file-type": "file", "config-file-value": "/extra.conf"})
    assert (
        firelens.configuration(task(chosen, web, container("other", "awslogs")), RECORD).strip() == FLUENT_BIT.strip()
    )


def test_fluentd() -> None:
    web = container("web", **{"@type": "stdout", "exclude-pattern": "^D"})
    chosen = router("fluentd", **{"enable-ecs-log-metadata": "false"})
    assert firelens.configuration(task(chosen, web, mode="bridge"), RECORD).strip() == FLUENTD.strip()


def test_the_network_of_the_host_is_not_listened_on() -> None:
    assert "24224" not in firelens.configuration(task(router(), container("web", Name="x"), mode="host"), RECORD)


def test_lines_without_an_output_go_where_the_users_file_says() -> None:
    text = firelens.configuration(task(router(), container("web")), RECORD)
    assert "web-firelens" not in text


@pytest.mark.parametrize(
    "containers",
    [
        (container("web", Name="x\n[OUTPUT]"),),
        (router(**{"config-file-type": "file", "config-file-value": "/a\n/b"}),),
        (router("syslog"),),
    ],
)
def test_what_is_no_configuration(containers: Any) -> None:
    given = containers if containers[0].firelens_configuration else (router(), *containers)
    with pytest.raises(FirelensError):
        firelens.configuration(task(*given), RECORD)


def test_who_logs_to_the_router_starts_after_it_and_ends_before() -> None:
    graph = Graph(task(container("web"), router(), container("other", "json-file")))
    assert graph.edges["web"] == (Edge("router", "START"),)
    assert graph.edges["other"] == graph.edges["router"] == ()
    assert graph.dependents["router"] == ("web",)


def body(one: ContainerPayload, payload: TaskPayload) -> dict[str, Any]:
    inputs = container_body.BodyInputs(labels={}, environment={}, router=Place(Path("/run/x")))
    found: dict[str, Any] = container_body.build(payload, one, inputs)["HostConfig"]
    return found


def test_what_the_engine_is_told() -> None:
    web, chosen = container("web", Name="x", **{"log-driver-buffer-limit": "9"}), router()
    payload = task(web, chosen)
    assert body(web, payload)["LogConfig"] == {
        "Type": "fluentd",
        "Config": {
            "fluentd-address": "unix:///run/x/socket/fluent.sock",
            "fluentd-async": "true",
            "fluentd-sub-second-precision": "true",
            "fluentd-buffer-limit": "9",
            "tag": "web-firelens-0123456789abcdef0123456789abcdef",
        },
    }
    assert body(chosen, payload)["Binds"] == [
        "/run/x/config/fluent.conf:/fluent-bit/etc/fluent-bit.conf:ro",
        "/run/x/socket:/var/run/",
    ]
    fluentd = router("fluentd")
    assert body(fluentd, task(fluentd))["Binds"][0].endswith(":/fluentd/etc/fluent.conf:ro")


def test_the_files_of_a_task(tmp_path: Path) -> None:
    payload = task(router(), container("web", Name="x"))
    log_router.make(payload, tmp_path, "arn:aws:ecs:eu-west-1:1:cluster/prod")
    place = log_router.place_of(tmp_path, ARN)
    assert "Record ecs_cluster prod" in place.config.read_text()
    assert place.sockets.is_dir()
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    # The path of a socket has 108 bytes at the most.
    assert len(str(log_router.place_of(Path("/run/openecs"), ARN).sockets / "fluent.sock")) < 80
    log_router.make(payload, tmp_path, "prod")
    log_router.remove(payload, tmp_path)
    assert list((tmp_path / "firelens").iterdir()) == []
    log_router.make(task(container("web", "json-file")), tmp_path / "none", "prod")
    assert not (tmp_path / "none").exists()
