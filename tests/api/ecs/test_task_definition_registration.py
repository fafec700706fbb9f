"""What RegisterTaskDefinition accepts, what it refuses in which words, and what it fills in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from task_definition_kit import ROLE, body, complete, container, fargate_body, first

from openecs.api.ecs.definition.attributes import AGENT_API_VERSIONS
from openecs.errors import AWSError
from openecs.model import fargate


def refusal(data: dict[str, Any]) -> str:
    with pytest.raises(AWSError) as caught:
        complete(data)
    assert caught.value.code in ("ClientException", "InvalidParameterException")
    return caught.value.message


def wire(shape: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(shape))


def test_smallest_definition_is_echoed_with_exactly_the_members_that_aws_adds() -> None:
    assert wire(complete(body())) == {
        "family": "web",
        "containerDefinitions": [
            {
                "name": "web",
                "image": "busybox",
                "cpu": 0,
                "memory": 64,
                "essential": True,
                "portMappings": [],
                "environment": [],
                "mountPoints": [],
                "volumesFrom": [],
                "systemControls": [],
            }
        ],
        "volumes": [],
        "placementConstraints": [],
        "compatibilities": ["EXTERNAL", "EC2"],
        "requiresAttributes": [],
    }


def test_an_empty_role_is_no_role() -> None:
    """Deploy tools send empty strings where there is no role."""
    assert wire(complete(body(taskRoleArn="", executionRoleArn=""))) == wire(complete(body()))


def test_what_was_given_is_echoed_as_it_was_given() -> None:
    given = container(
        cpu=10,
        essential=True,
        entryPoint=["sh", "-c"],
        command=["true"],
        environment=[{"name": "A", "value": "1"}],
        dockerLabels={"a": "b"},
        ulimits=[{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
        linuxParameters={"initProcessEnabled": True, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}},
        restartPolicy={"enabled": True, "ignoredExitCodes": [0], "restartAttemptPeriod": 60},
        systemControls=[{"namespace": "net.core.somaxconn", "value": "1024"}],
        user="1000:1000",
        workingDirectory="/srv",
        stopTimeout=2,
        privileged=False,
    )
    echoed = wire(first(body(given)))
    assert {name: echoed[name] for name in given} == given


@pytest.mark.parametrize(
    ("mode", "given", "echoed"),
    [
        (None, {"containerPort": 80}, {"containerPort": 80, "hostPort": 0, "protocol": "tcp"}),
        ("bridge", {"containerPort": 80, "hostPort": 8080}, {"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}),
        ("host", {"containerPort": 80}, {"containerPort": 80, "hostPort": 80, "protocol": "tcp"}),
        ("awsvpc", {"containerPort": 53, "protocol": "udp"}, {"containerPort": 53, "hostPort": 53, "protocol": "udp"}),
        ("awsvpc", {"containerPortRange": "80-90"}, {"containerPortRange": "80-90", "protocol": "tcp"}),
        ("bridge", {"containerPortRange": "80-90"}, {"containerPortRange": "80-90", "protocol": "tcp"}),
        (
            "awsvpc",
            {"containerPort": 80, "name": "http", "appProtocol": "http2"},
            {"containerPort": 80, "hostPort": 80, "protocol": "tcp", "name": "http", "appProtocol": "http2"},
        ),
    ],
)
def test_port_mappings_are_filled_in_by_network_mode(mode: str | None, given: Any, echoed: Any) -> None:
    assert wire(first(body(container(portMappings=[given]), networkMode=mode)))["portMappings"] == [echoed]


def test_health_check_gets_the_default_interval_timeout_and_retries() -> None:
    check = {"command": ["CMD-SHELL", "true"]}
    assert wire(first(body(container(healthCheck=check))))["healthCheck"] == {
        **check,
        "interval": 30,
        "timeout": 5,
        "retries": 3,
    }


def test_volumes_are_filled_in() -> None:
    volumes = [{"name": "a"}, {"name": "b", "dockerVolumeConfiguration": {"driver": "local"}}]
    assert wire(complete(body(volumes=volumes)))["volumes"] == [
        {"name": "a", "host": {}},
        {"name": "b", "dockerVolumeConfiguration": {"driver": "local", "scope": "task"}},
    ]


@pytest.mark.parametrize(
    ("cpu", "memory", "units", "mib"),
    [
        ("1 vcpu", "2GB", "1024", "2048"),
        (".25 vCPU", ".5 gb", "256", "512"),
        ("0.5vCPU", "1 GB", "512", "1024"),
        ("2 vCPUs", "4096", "2048", "4096"),
    ],
)
def test_task_sizes_are_kept_as_units_and_mebibytes(cpu: str, memory: str, units: str, mib: str) -> None:
    kept = complete(fargate_body(cpu=cpu, memory=memory))
    assert (kept.cpu, kept.memory) == (units, mib)


@pytest.mark.parametrize("field", ["cpu", "memory"])
@pytest.mark.parametrize("text", ["", "abc", "0", "-1", "1.5", "1 TB", "0.3333 vCPU", "0.1 gb", "9" * 40, "٣", "1e9"])
def test_task_sizes_that_are_no_amounts_are_refused(field: str, text: str) -> None:
    assert refusal(body(**{field: text})) == f"Invalid '{field}' setting for task."


@pytest.mark.parametrize("cpu", ["127", "196609"])
def test_task_cpu_on_instances_has_a_range(cpu: str) -> None:
    assert "between 128 and 196608" in refusal(body(cpu=cpu))


def test_every_fargate_size_is_registered_and_its_neighbours_are_not() -> None:
    for cpu, memories in fargate.SIZES.items():
        for memory in memories:
            assert complete(fargate_body(cpu=str(cpu), memory=str(memory))).compatibilities == ("EC2", "FARGATE")
        assert "No Fargate configuration exists" in refusal(fargate_body(cpu=str(cpu), memory=str(memories[0] - 1)))
        assert "No Fargate configuration exists" in refusal(fargate_body(cpu=str(cpu), memory=str(memories[-1] + 1024)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (body(family=""), "Family can not be blank."),
        (body(family="a b"), "Family contains invalid characters."),
        (body(family="a" * 256), "Family contains invalid characters."),
        (body(containerDefinitions=[]), "Container list cannot be empty."),
        (body(*(container(name=f"c{n}") for n in range(11))), "at most 10 containers"),
        (body(container(name="")), "Container.name should not be null or empty."),
        (body(container(name="a.b")), "Container.name contains invalid characters."),
        (body(container(), container()), "'web' is used more than once"),
        (body(container(image=None)), "Container.image should not be null or empty."),
        (body(container(image="a b")), "Container.image contains invalid characters."),
        (body(container(image="a@sha256:123")), "Container.image contains invalid characters."),
        (body(container(essential=False)), "does not have any essential container"),
        (body(container(memory=None)), "At least one of 'memory' or 'memoryReservation' must be specified."),
        (body(container(memory=5)), "Invalid 'memory' setting for container 'web'."),
        (body(container(memoryReservation=128)), "'memory' must be greater than or equal to 'memoryReservation'."),
        (body(container(memory=600), memory="512"), "The 'memory' setting for container 'web' is greater than"),
        (
            body(container(memory=300), container(name="b", memory=300), memory="512"),
            "The sum of all container 'memory'",
        ),
        (body(container(cpu=300), cpu="256"), "The sum of all container 'cpu' values cannot be greater than the value"),
        (body(container(cpu=-1)), "Invalid 'cpu' setting for container 'web'."),
        (body(taskRoleArn="not a role"), "Role is not valid: taskRoleArn"),
        (body(executionRoleArn="arn:aws:iam::1:role/x"), "Role is not valid: executionRoleArn"),
        (body(container(command=["a\0b"])), "NUL"),
        (body(container(command=["x" * 70_000])), "Max allowed length is '65536' bytes."),
        (body(container(environment=[{"name": "", "value": "x"}])), "Invalid 'environment' setting"),
        (body(container(portMappings=[{}])), "Invalid 'containerPort' setting for container 'web'."),
        (body(container(portMappings=[{"containerPort": 65536}])), "Invalid 'containerPort' setting"),
        (body(container(portMappings=[{"containerPort": 80, "hostPort": -1}])), "Invalid 'hostPort' setting"),
        (
            body(container(portMappings=[{"containerPort": 80, "hostPort": 81}]), networkMode="awsvpc"),
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ),
        (
            body(container(portMappings=[{"containerPort": 80, "hostPort": 81}]), networkMode="host"),
            "When networkMode=host, the host ports and container ports in port mappings must match.",
        ),
        (body(container(portMappings=[{"containerPort": 80}]), networkMode="none"), "networkMode=none"),
        (body(container(portMappings=[{"containerPortRange": "80"}])), "containerPortRange"),
        (body(container(portMappings=[{"containerPortRange": "90-80"}])), "containerPortRange"),
        (body(container(portMappings=[{"containerPortRange": "80-90"}]), networkMode="host"), "containerPortRange"),
        (body(container(portMappings=[{"containerPortRange": "80-90", "hostPort": 80}])), "containerPortRange"),
        (
            body(container(portMappings=[{"containerPortRange": "80-90"}, {"containerPort": 85}])),
            "Port 85 is mapped twice.",
        ),
        (
            body(
                container(portMappings=[{"containerPort": 80, "hostPort": 80}]),
                container(name="b", portMappings=[{"containerPort": 81, "hostPort": 80}]),
            ),
            "Port 80 is mapped twice.",
        ),
        (body(container(portMappings=[{"containerPort": 80, "name": "-x"}])), "portMappings.name"),
        (body(container(portMappings=[{"containerPort": 80, "appProtocol": "http"}])), "appProtocol"),
        (body(container(hostname="h"), networkMode="awsvpc"), "hostname is not supported on container when"),
        (body(container(links=["b"]), container(name="b"), networkMode="host"), "links is not supported on container"),
        (body(container(dnsServers=["1.1.1.1"]), networkMode="awsvpc"), "dnsServers is not supported on container"),
        (body(container(dnsServers=["one"])), "'one' is not an IP address."),
        (body(container(extraHosts=[{"hostname": "a", "ipAddress": "b"}])), "extraHosts"),
        (body(container(links=["nobody"])), "There is no container 'nobody'."),
        (body(container(volumesFrom=[{"sourceContainer": "nobody"}])), "There is no container 'nobody'."),
        (
            body(container(dependsOn=[{"containerName": "nobody", "condition": "START"}])),
            "Cannot depend on container + 'nobody' because it does not exist",
        ),
        (
            body(container(dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]), container(name="b")),
            "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
        ),
        (
            body(container(dependsOn=[{"containerName": "b", "condition": "HEALTHY"}]), container(name="b")),
            "must have a healthCheck",
        ),
        (body(container(dependsOn=[{"containerName": "web", "condition": "START"}])), "form a cycle: web -> web"),
        (
            body(container(links=["b"]), container(name="b", volumesFrom=[{"sourceContainer": "web"}])),
            "form a cycle",
        ),
        (body(container(healthCheck={"command": ["true"]})), "must start with CMD or CMD-SHELL"),
        (body(container(healthCheck={"command": ["CMD"]})), "healthCheck"),
        (body(container(healthCheck={"command": ["CMD", "x"], "interval": 4})), "healthCheck.interval"),
        (body(container(healthCheck={"command": ["CMD", "x"], "timeout": 61})), "healthCheck.timeout"),
        (body(container(healthCheck={"command": ["CMD", "x"], "retries": 11})), "healthCheck.retries"),
        (body(container(healthCheck={"command": ["CMD", "x"], "startPeriod": 301})), "healthCheck.startPeriod"),
        (body(container(startTimeout=1)), "Granular start timeout on container 'web' must be at least 2 seconds."),
        (body(container(stopTimeout=1)), "Granular stop timeout on container 'web' must be at least 2 seconds."),
        (body(container(restartPolicy={"enabled": True, "restartAttemptPeriod": 59})), "restartAttemptPeriod"),
        (body(container(restartPolicy={"enabled": True, "ignoredExitCodes": [*range(51)]})), "ignoredExitCodes"),
        (body(container(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}])), "Unknown volume 'v'"),
        (
            body(container(mountPoints=[{"sourceVolume": "v", "containerPath": "v"}]), volumes=[{"name": "v"}]),
            "containerPath",
        ),
        (body(volumes=[{"name": "v"}, {"name": "v"}]), "Volume names must be unique"),
        (body(volumes=[{"name": "v", "host": {"sourcePath": "relative"}}]), "sourcePath"),
        (body(volumes=[{"name": "v", "host": {}, "dockerVolumeConfiguration": {}}]), "must have only one of"),
        (body(volumes=[{"name": "v", "dockerVolumeConfiguration": {"autoprovision": True}}]), "autoprovision"),
        (body(container(ulimits=[{"name": "nofile", "softLimit": 2, "hardLimit": 1}])), "ulimits"),
        (body(container(systemControls=[{"namespace": "vm.swappiness", "value": "1"}])), "'vm.swappiness' is not"),
        (
            body(container(systemControls=[{"namespace": "net.x", "value": "1"}]), networkMode="host"),
            "not supported when networkMode=host",
        ),
        (body(container(linuxParameters={"capabilities": {"add": ["CAP_CHOWN"]}})), "'CAP_CHOWN' is not"),
        (body(container(linuxParameters={"maxSwap": 10}, memory=None, memoryReservation=64)), "maxSwap"),
        (body(container(linuxParameters={"swappiness": 10})), "swappiness"),
        (body(container(linuxParameters={"tmpfs": [{"containerPath": "/t", "size": 0}]})), "tmpfs"),
        (body(container(user="a b")), "Invalid 'user' setting"),
        (body(container(workingDirectory="srv")), "workingDirectory"),
        (body(container(dockerSecurityOptions=["seccomp:x"])), "dockerSecurityOptions"),
        (
            body(container(logConfiguration={"logDriver": "awslogs"})),
            "Log driver awslogs requires options: awslogs-region, awslogs-group",
        ),
        (
            body(container(logConfiguration={"logDriver": "json-file", "options": {"max-sise": "1m"}})),
            "Log driver json-file disallows options: max-sise",
        ),
        (body(placementConstraints=[{"type": "memberOf"}]), "placementConstraints.expression"),
        (body(placementConstraints=[{"type": "memberOf", "expression": "attribute:x =="}]), "placementConstraints"),
        (body(networkMode="awsvpc", requiresCompatibilities=["EXTERNAL"]), "networkMode awsvpc"),
        (body(requiresCompatibilities=["FARGATE"]), "Fargate only supports network mode \u2018awsvpc\u2019."),
        (fargate_body(cpu=None), "Fargate requires that 'cpu' be defined at the task level."),
        (fargate_body(memory=None), "Fargate requires that 'memory' be defined at the task level."),
        (fargate_body(ipcMode="host"), "Tasks using the Fargate launch type do not support ipcMode."),
        (fargate_body(pidMode="host"), "pidMode 'host'"),
        (fargate_body(container(memory=None, privileged=True)), "do not support privileged"),
        (fargate_body(volumes=[{"name": "v", "host": {"sourcePath": "/x"}}]), "do not support sourcePath"),
        (fargate_body(container(memory=None, stopTimeout=121)), "container stop timeout of less than 120 seconds."),
        (fargate_body(container(memory=None, logConfiguration={"logDriver": "json-file"})), "logDriver json-file"),
        (
            fargate_body(container(image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/a"), executionRoleArn=None),
            "to have execution role ARN (executionRoleArn) to support ECR images.",
        ),
    ],
)
def test_refusals(data: dict[str, Any], words: str) -> None:
    assert words in refusal(data)


def test_a_definition_that_fargate_refuses_still_suits_instances() -> None:
    on_instances = fargate_body(container(privileged=True), requiresCompatibilities=["EC2"])
    assert complete(on_instances).compatibilities == ("EC2",)


def attribute_names(data: dict[str, Any]) -> list[str]:
    return [attribute.name for attribute in complete(data).requires_attributes or ()]


def test_required_attributes_of_a_usual_fargate_task() -> None:
    log = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs"},
    }
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1"
    given = fargate_body(container(memory=None, image=image, logConfiguration=log), taskRoleArn=ROLE)
    assert set(attribute_names(given)) == {
        "com.amazonaws.ecs.capability.logging-driver.awslogs",
        "ecs.capability.execution-role-awslogs",
        "com.amazonaws.ecs.capability.ecr-auth",
        "com.amazonaws.ecs.capability.docker-remote-api.1.19",
        "com.amazonaws.ecs.capability.task-iam-role",
        "ecs.capability.execution-role-ecr-pull",
        "com.amazonaws.ecs.capability.docker-remote-api.1.18",
        "ecs.capability.task-eni",
        "ecs.capability.task-cpu-mem-limit",
    }


@pytest.mark.parametrize(("sizes", "needed"), [({}, False), ({"cpu": "256"}, True), ({"memory": "512"}, True)])
def test_a_task_size_needs_an_agent_that_limits_whole_tasks(sizes: dict[str, str], *, needed: bool) -> None:
    assert ("ecs.capability.task-cpu-mem-limit" in attribute_names(body(**sizes))) is needed


def test_required_attributes_by_feature() -> None:
    log = {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": "g",
            "awslogs-region": "r",
            "awslogs-create-group": "true",
            "mode": "non-blocking",
        },
    }
    given = body(
        container(healthCheck={"command": ["CMD", "x"]}, logConfiguration=log, memoryReservation=32, privileged=True),
        container(
            name="b",
            dependsOn=[{"containerName": "web", "condition": "HEALTHY"}],
            restartPolicy={"enabled": True},
            portMappings=[{"containerPortRange": "80-90"}],
            linuxParameters={"initProcessEnabled": True, "sharedMemorySize": 1},
        ),
        taskRoleArn="worker",
        volumes=[{"name": "v", "dockerVolumeConfiguration": {}}],
    )
    names = attribute_names(given)
    assert len(names) == len(set(names))
    api = "com.amazonaws.ecs.capability.docker-remote-api."
    assert {name.removeprefix(api) for name in names if name.startswith(api)} == {
        "1.17", "1.19", "1.21", "1.22", "1.24", "1.25", "1.28", "1.29",
    }  # fmt: skip
    assert {name for name in names if not name.startswith(api)} == {
        "com.amazonaws.ecs.capability.task-iam-role",
        "com.amazonaws.ecs.capability.privileged-container",
        "com.amazonaws.ecs.capability.logging-driver.awslogs",
        "ecs.capability.container-health-check",
        "ecs.capability.container-ordering",
        "ecs.capability.container-restart-policy",
        "ecs.capability.network.container-port-range",
        "ecs.capability.docker-plugin.local",
    }
    assert {name.removeprefix(api) for name in names if name.startswith(api)} <= set(AGENT_API_VERSIONS)


@pytest.mark.parametrize(
    ("wanted", "version"),
    [(None, "1.4.0"), ("LATEST", "1.4.0"), ("1.4.0", "1.4.0"), ("1.3.0", "1.3.0"), ("9", None)],
)
def test_platform_versions(wanted: str | None, version: str | None) -> None:
    assert fargate.platform_version(wanted) == version
