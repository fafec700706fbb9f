from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.acs.payload import Surroundings, render_stop, render_task
from openecs.acs.payload_logs import LogTarget
from openecs.model.resources import Resources
from openecs.model.task import NetworkInterface, Task, TaskContainer
from openecs.shapes import ecs

ARN = "arn:aws:ecs:us-east-1:111122223333:task/default/0123456789abcdef0123456789abcdef"
TASK_ID = "0123456789abcdef0123456789abcdef"
AROUND = Surroundings(LogTarget("http://10.0.0.1:4566"))


def definition(*containers: ecs.ContainerDefinition, **members: Any) -> ecs.TaskDefinition:
    return ecs.TaskDefinition(**({"family": "web", "revision": 3, "container_definitions": containers} | members))


def task(shape: ecs.TaskDefinition, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "arn": ARN,
        "region": "us-east-1",
        "cluster_arn": "arn:aws:ecs:us-east-1:111122223333:cluster/default",
        "task_definition_arn": "arn:aws:ecs:us-east-1:111122223333:task-definition/web:3",
        "launch_type": "EC2",
        "desired_status": "RUNNING",
        "last_status": "PENDING",
        "created_at": 1.0,
        "group": "service:web",
        "containers": tuple(
            TaskContainer(arn=f"{ARN}/{c.name}", name=c.name or "", image=c.image or "")
            for c in shape.container_definitions or ()
        ),
        "reservation": Resources(),
        "network_mode": shape.network_mode,
    }
    return Task(**(values | changes))


def docker(payload: Any, index: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    texts = payload.containers[index].docker_config
    return json.loads(texts.config), json.loads(texts.host_config)


def test_a_plain_container() -> None:
    shape = definition(
        ecs.ContainerDefinition(
            name="app",
            image="busybox",
            command=("sleep", "60"),
            cpu=10,
            memory=64,
            environment=(ecs.KeyValuePair(name="A", value="1"),),
            port_mappings=(ecs.PortMapping(container_port=80, host_port=0, protocol="tcp"),),
        )
    )
    payload = render_task(task(shape), shape, AROUND)
    assert (payload.arn, payload.family, payload.version, payload.desired_status) == (ARN, "web", "3", "RUNNING")
    assert (payload.network_mode, payload.cpu, payload.memory, payload.service_name) == ("bridge", 0.0, 0, "web")
    [app] = payload.containers
    assert (app.name, app.image, app.command, app.cpu, app.memory) == ("app", "busybox", ("sleep", "60"), 10, 64)
    assert app.environment == {"AWS_EXECUTION_ENV": "AWS_ECS_EC2", "A": "1"}
    assert [(p.container_port, p.host_port, p.protocol) for p in app.port_mappings] == [(80, 0, "tcp")]
    assert docker(payload) == ({}, {"NetworkMode": "bridge"})


def test_a_container_is_started_from_the_digest_that_its_deployment_keeps_to() -> None:
    digest = "sha256:" + "a" * 64
    shape = definition(
        ecs.ContainerDefinition(name="app", image="10.0.0.1:5000/shop/web:1"),
        ecs.ContainerDefinition(name="side", image="busybox:1"),
    )
    record = TaskContainer(arn=f"{ARN}/app", name="app", image="10.0.0.1:5000/shop/web:1", pinned_digest=digest)
    side = TaskContainer(arn=f"{ARN}/side", name="side", image="busybox:1")
    app, other = render_task(task(shape, containers=(record, side)), shape, AROUND).containers
    assert (app.image, app.requested_image) == (f"10.0.0.1:5000/shop/web@{digest}", "10.0.0.1:5000/shop/web:1")
    assert (other.image, other.requested_image) == ("busybox:1", None)


def test_everything_docker_specific() -> None:
    shape = definition(
        ecs.ContainerDefinition(
            name="app",
            image="busybox",
            memory=128,
            memory_reservation=64,
            user="1000:1000",
            working_directory="/srv",
            hostname="h",
            pseudo_terminal=True,
            interactive=True,
            docker_labels={"a": "b"},
            privileged=True,
            readonly_root_filesystem=True,
            dns_servers=("10.0.0.2",),
            dns_search_domains=("example.com",),
            extra_hosts=(ecs.HostEntry(hostname="db", ip_address="10.0.0.3"),),
            docker_security_options=("no-new-privileges",),
            ulimits=(ecs.Ulimit(name="nofile", soft_limit=1, hard_limit=2),),
            system_controls=(ecs.SystemControl(namespace="net.core.somaxconn", value="100"),),
            health_check=ecs.HealthCheck(command=("CMD", "true"), interval=5, start_period=7),
            linux_parameters=ecs.LinuxParameters(
                capabilities=ecs.KernelCapabilities(add=("NET_ADMIN",), drop=("MKNOD",)),
                devices=(ecs.Device(host_path="/dev/null", permissions=("read",)),),
                init_process_enabled=True,
                shared_memory_size=32,
                tmpfs=(ecs.Tmpfs(container_path="/run", size=16, mount_options=("noexec",)),),
                max_swap=0,
                swappiness=0,
            ),
            log_configuration=ecs.LogConfiguration(log_driver="json-file", options={"max-size": "1m"}),
        ),
        pid_mode="host",
        ipc_mode="none",
        network_mode="host",
    )
    payload = render_task(task(shape), shape, AROUND)
    config, host = docker(payload)
    assert config == {
        "User": "1000:1000",
        "WorkingDir": "/srv",
        "Hostname": "h",
        "Tty": True,
        "OpenStdin": True,
        "Labels": {"a": "b"},
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 5_000_000_000,
            "Timeout": 5_000_000_000,
            "Retries": 3,
            "StartPeriod": 7_000_000_000,
        },
    }
    assert host == {
        "NetworkMode": "host",
        "Privileged": True,
        "ReadonlyRootfs": True,
        "Dns": ["10.0.0.2"],
        "DnsSearch": ["example.com"],
        "ExtraHosts": ["db:10.0.0.3"],
        "SecurityOpt": ["no-new-privileges"],
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        "Sysctls": {"net.core.somaxconn": "100"},
        "MemoryReservation": 64 * 1024 * 1024,
        "CapAdd": ["NET_ADMIN"],
        "CapDrop": ["MKNOD"],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "r"}],
        "Init": True,
        "ShmSize": 32 * 1024 * 1024,
        "Tmpfs": {"/run": "size=16m,noexec"},
        "MemorySwap": 128 * 1024 * 1024,
        "MemorySwappiness": 0,
        "PidMode": "host",
        "IpcMode": "none",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }
    assert payload.containers[0].health_check_type == "docker"
    assert (payload.pid_mode, payload.ipc_mode) == ("host", "none")


def test_awslogs_go_to_the_control_plane() -> None:
    options = {"awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web"}
    shape = definition(
        ecs.ContainerDefinition(
            name="app",
            image="busybox",
            log_configuration=ecs.LogConfiguration(log_driver="awslogs", options=options),
        )
    )
    payload = render_task(task(shape), shape, AROUND)
    assert docker(payload)[1]["LogConfig"]["Config"] == {
        "awslogs-group": "/g",
        "awslogs-region": "us-east-1",
        "awslogs-stream": f"web/app/{TASK_ID}",
        "awslogs-endpoint": "http://10.0.0.1:4566",
        "mode": "non-blocking",
        "max-buffer-size": "10m",
    }
    assert payload.containers[0].logs_auth_strategy == "ExecutionRole"


@pytest.mark.parametrize(
    ("options", "default", "expected"),
    [
        ({}, "blocking", {"mode": "blocking"}),
        ({"mode": "blocking"}, "non-blocking", {"mode": "blocking"}),
        (
            {"max-buffer-size": "1m", "mode": "non-blocking"},
            "blocking",
            {"mode": "non-blocking", "max-buffer-size": "1m"},
        ),
    ],
)
def test_the_definition_then_the_account_decides_how_awslogs_deliver(
    options: dict[str, str], default: str, expected: dict[str, str]
) -> None:
    logs = ecs.LogConfiguration(log_driver="awslogs", options={"awslogs-group": "/g", **options})
    shape = definition(ecs.ContainerDefinition(name="app", image="busybox", log_configuration=logs))
    payload = render_task(task(shape), shape, Surroundings(LogTarget("http://h", default)))
    assert docker(payload)[1]["LogConfig"]["Config"] == {
        "awslogs-group": "/g",
        "awslogs-endpoint": "http://h",
        **expected,
    }


def test_overrides_are_merged() -> None:
    shape = definition(
        ecs.ContainerDefinition(
            name="app",
            image="busybox",
            command=("a",),
            cpu=1,
            memory=64,
            memory_reservation=32,
            environment=(ecs.KeyValuePair(name="A", value="1"), ecs.KeyValuePair(name="B", value="1")),
        ),
        ecs.ContainerDefinition(name="side", image="busybox", command=("b",)),
        cpu="256",
        memory="512",
    )
    overrides = ecs.TaskOverride(
        cpu="512",
        memory="1024",
        container_overrides=(
            ecs.ContainerOverride(
                name="app",
                command=("c",),
                cpu=2,
                memory=128,
                memory_reservation=100,
                environment=(ecs.KeyValuePair(name="B", value="2"), ecs.KeyValuePair(name="C", value="3")),
            ),
        ),
    )
    payload = render_task(task(shape, overrides=overrides), shape, AROUND)
    app, side = payload.containers
    assert (payload.cpu, payload.memory) == (0.5, 1024)
    assert (app.command, app.cpu, app.memory) == (("c",), 2, 128)
    assert {k: app.environment[k] for k in "ABC"} == {"A": "1", "B": "2", "C": "3"}
    assert docker(payload)[1]["MemoryReservation"] == 100 * 1024 * 1024
    assert side.command == ("b",)


def test_awsvpc_gets_the_interface_and_publishes_nothing() -> None:
    shape = definition(
        ecs.ContainerDefinition(name="app", image="busybox", port_mappings=(ecs.PortMapping(container_port=80),)),
        network_mode="awsvpc",
        cpu="256",
        memory="512",
    )
    eni = NetworkInterface(
        attachment_id="a-1",
        eni_id="eni-1",
        mac_address="0a:58:0a:00:00:09",
        private_ipv4_address="10.0.0.9",
        private_dns_name="ip-10-0-0-9.ec2.internal",
        subnet_id="subnet-1",
    )
    payload = render_task(
        task(shape, eni=eni, launch_type="FARGATE"), shape, AROUND._replace(subnet_gateway="10.0.0.1/24")
    )
    [interface] = payload.elastic_network_interfaces
    assert interface.attachment_arn == "arn:aws:ecs:us-east-1:111122223333:attachment/a-1"
    assert (interface.subnet_gateway_ipv4_address, interface.mac_address) == ("10.0.0.1/24", "0a:58:0a:00:00:09")
    assert [a.private_address for a in interface.ipv4_addresses] == ["10.0.0.9"]
    assert payload.containers[0].port_mappings == ()
    assert "NetworkMode" not in docker(payload)[1]
    assert payload.containers[0].environment["AWS_EXECUTION_ENV"] == "AWS_ECS_FARGATE"


def test_volumes() -> None:
    shape = definition(
        volumes=(
            ecs.Volume(name="scratch"),
            ecs.Volume(name="data", host=ecs.HostVolumeProperties(source_path="/data")),
            ecs.Volume(
                name="shared",
                docker_volume_configuration=ecs.DockerVolumeConfiguration(
                    scope="shared", autoprovision=True, driver="local", driver_opts={"type": "tmpfs"}
                ),
            ),
        )
    )
    scratch, data, shared = render_task(task(shape), shape, AROUND).volumes
    assert scratch.host is not None
    assert (scratch.type, scratch.host.source_path) == ("host", "")
    assert data.host is not None
    assert data.host.source_path == "/data"
    assert shared.docker_volume_configuration is not None
    assert (shared.type, shared.docker_volume_configuration.scope) == ("docker", "shared")
    assert shared.docker_volume_configuration.driver_opts == {"type": "tmpfs"}


def test_a_stop_needs_only_the_arn() -> None:
    stop = render_stop(ARN)
    assert (stop.arn, stop.desired_status, stop.containers) == (ARN, "STOPPED", ())


_text = st.text(max_size=12)
_number = st.integers(0, 1 << 20)
_logs = st.builds(
    ecs.LogConfiguration,
    log_driver=st.sampled_from(get_args(ecs.LogDriver)),
    options=st.dictionaries(st.sampled_from(["awslogs-stream-prefix", "tag"]), _text) | st.none(),
)
_linux = st.builds(
    ecs.LinuxParameters,
    shared_memory_size=_number | st.none(),
    max_swap=_number | st.none(),
    swappiness=st.integers(0, 100) | st.none(),
    devices=st.lists(st.builds(ecs.Device, host_path=_text, container_path=_text | st.none()), max_size=2).map(tuple),
    tmpfs=st.lists(st.builds(ecs.Tmpfs, container_path=_text, size=_number), max_size=2).map(tuple),
)
_pairs = st.lists(st.builds(ecs.KeyValuePair, name=_text, value=_text | st.none()), max_size=3).map(tuple) | st.none()
_containers = st.lists(
    st.builds(
        ecs.ContainerDefinition,
        name=_text,
        image=_text,
        cpu=_number | st.none(),
        memory=_number | st.none(),
        memory_reservation=_number | st.none(),
        command=st.lists(_text).map(tuple) | st.none(),
        environment=_pairs,
        user=_text | st.none(),
        docker_labels=st.dictionaries(_text, _text) | st.none(),
        privileged=st.booleans() | st.none(),
        log_configuration=_logs | st.none(),
        linux_parameters=_linux | st.none(),
        health_check=st.builds(ecs.HealthCheck, command=st.just(("CMD", "x")), interval=_number) | st.none(),
    ),
    max_size=4,
)


@given(_containers, st.sampled_from(["bridge", "host", "none", "awsvpc", None]))
def test_any_definition_renders_to_valid_json(containers: list[ecs.ContainerDefinition], mode: Any) -> None:
    shape = definition(*containers, network_mode=mode)
    payload = render_task(task(shape), shape, AROUND)
    assert [c.name for c in payload.containers] == [c.name for c in containers]
    for index, rendered in enumerate(payload.containers):
        config, host = docker(payload, index)
        assert isinstance(config, dict)
        assert host.get("NetworkMode") == (None if mode == "awsvpc" else mode or "bridge")
        assert rendered.environment["AWS_EXECUTION_ENV"]
