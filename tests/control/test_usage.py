"""From agents' messages to metrics: AWS's names, dimensions, units and values."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, REGION, World, new_service

from openecs.acs.telemetry_messages import PublishMetricsRequest, decode
from openecs.control.usage import UsageMetrics
from openecs.control.virtual_time import VirtualTime
from openecs.metrics.metric import Datum
from openecs.model.resources import Resources
from openecs.model.task import Task, TaskContainer
from openecs.shapes import ecs

MINUTE = 1_700_000_040.0


def stats(*values: float) -> dict[str, float]:
    return {"min": min(values), "max": max(values), "sampleCount": len(values), "sum": sum(values)}


class Used:
    """A node of 4 vCPU and 1000 MiB with tasks, whose messages go through the agent's frame."""

    def __init__(self, world: World, time: VirtualTime) -> None:
        self.world = world
        self.published: list[Datum] = []
        self.usage = UsageMetrics(world.state, time, self.published.extend)
        self.instance = world.add_node("n1")
        world.put(new_service(world, 2))
        self.service = world.service()

    def task(self, name: str, *, service: bool = True, cpu: int = 512, memory: int = 200) -> Task:
        container = TaskContainer(arn=f"{PREFIX}:container/{name}", name="web", image="web", cpu="512", memory="200")
        task = Task(
            arn=f"{PREFIX}:task/default/{name}",
            region=REGION,
            cluster_arn=CLUSTER,
            task_definition_arn=f"{PREFIX}:task-definition/web:1",
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="RUNNING",
            created_at=1.0,
            group="service:web",
            containers=(container,),
            reservation=Resources(cpu=cpu, memory=memory),
            service_arn=self.service.arn if service else None,
            deployment_id=self.service.deployments[0].id,
            node_id="n1",
            container_instance_arn=self.instance.arn,
        )
        self.world.put(task)
        return task

    def say(self, at: float, *tasks: Task, cpu: tuple[float, ...] = (10.0,), node: str = "n1", cores: int = 4) -> None:
        container = {
            "containerName": "web",
            "cpuStatsSet": stats(*cpu),
            "memoryStatsSet": stats(50.0),
            "networkStatsSet": {"rxBytesPerSecond": stats(100.0), "txBytesPerSecond": stats(10.0)},
            "storageStatsSet": {"readSizeBytes": stats(7.0), "writeSizeBytes": stats(3.0)},
            "restartStatsSet": {"restartCount": 2},
        }
        message = {
            "type": "PublishMetricsRequest",
            "message": {
                "metadata": {"cluster": "default", "openecsCores": cores},
                "timestamp": at,
                "taskMetrics": [{"taskArn": task.arn, "containerMetrics": [container]} for task in tasks],
            },
        }
        decoded = decode(msgspec.json.encode(message))
        assert isinstance(decoded, PublishMetricsRequest)
        self.usage.take(node, decoded)

    def metrics(self, name: str, **dims: str) -> list[Datum]:
        wanted = tuple(sorted(dims.items()))
        return [d for d in self.published if d.key.name == name and d.key.dimensions == wanted]

    def value(self, name: str, **dims: str) -> float:
        (datum,) = self.metrics(name, **dims)
        return datum.values[0]


@pytest.fixture
def used(world: World, time: VirtualTime) -> Used:
    return Used(world, time)


SERVICE = {"ClusterName": "default", "ServiceName": "web"}


def test_utilisation_of_a_service_has_one_sample_for_each_task(used: Used) -> None:
    one, two = used.task("1"), used.task("2")
    for second in (20, 40, 60):
        used.say(MINUTE + second, one, cpu=(5.0, 10.0, 15.0))
        used.say(MINUTE + second, two, cpu=(20.0,))
    used.usage.publish(MINUTE + 66)
    found = used.metrics("CPUUtilization", **SERVICE)
    # 10 % of 4 vCPU are 409.6 units; each task has reserved 512.
    assert [(d.timestamp, d.sample_count, d.unit) for d in found] == [(MINUTE, 1.0, "Percent")] * 2
    shown = sorted((d.minimum, round(d.sum, 6), d.maximum) for d in found)
    assert shown == [(40.0, 80.0, 120.0), (160.0, 160.0, 160.0)]
    assert [d.sum for d in used.metrics("MemoryUtilization", **SERVICE)] == [25.0, 25.0]


def test_a_cluster_s_utilisation_is_of_its_container_instances(used: Used) -> None:
    used.say(MINUTE + 20, used.task("1"), used.task("alone", service=False))
    used.usage.publish(MINUTE + 66)
    assert used.value("CPUUtilization", ClusterName="default") == pytest.approx(20.0)
    assert used.value("MemoryUtilization", ClusterName="default") == pytest.approx(10.0)
    assert used.value("CPUReservation", ClusterName="default") == pytest.approx(25.0)
    assert used.value("MemoryReservation", ClusterName="default") == pytest.approx(40.0)
    assert used.metrics("GPUReservation", ClusterName="default") == []


def test_a_minute_is_published_once_and_only_when_it_has_ended(used: Used) -> None:
    used.say(MINUTE + 60, used.task("1"))
    used.usage.publish(MINUTE + 64)
    assert used.metrics("CPUUtilization", **SERVICE) == []
    used.usage.publish(MINUTE + 65)
    used.usage.publish(MINUTE + 125)
    assert len(used.metrics("CPUUtilization", **SERVICE)) == 1


def test_what_comes_late_is_published_unless_the_task_was_told_of(used: Used) -> None:
    one, two = used.task("1"), used.task("2")
    used.say(MINUTE + 20, one)
    used.usage.publish(MINUTE + 65)
    used.say(MINUTE + 40, one)
    used.say(MINUTE + 40, two)
    used.usage.publish(MINUTE + 125)
    assert [d.timestamp for d in used.metrics("CPUUtilization", **SERVICE)] == [MINUTE, MINUTE]


def test_what_was_not_measured_is_not_published(used: Used) -> None:
    used.say(MINUTE + 20, used.task("1", cpu=0))
    # Of another node, and of no time that can be right.
    used.say(MINUTE + 20, used.task("2"), node="n2")
    used.say(MINUTE - 86_400, used.task("3"))
    used.usage.publish(MINUTE + 66)
    assert used.metrics("CPUUtilization", **SERVICE) == []
    assert len(used.metrics("MemoryUtilization", **SERVICE)) == 1
    assert {d.key.namespace for d in used.published} == {"AWS/ECS"}


def test_services_may_ask_for_twenty_seconds(used: Used) -> None:
    wanted = ecs.MetricConfiguration(metric_names=("CPUUtilization",), resolution_seconds=20)
    deployment = msgspec.structs.replace(
        used.service.deployments[0], monitoring=ecs.MonitoringConfiguration(metric_configurations=(wanted,))
    )
    used.world.put(msgspec.structs.replace(used.service, deployments=(deployment,)))
    task = used.task("1")
    used.say(MINUTE + 20, task)
    used.say(MINUTE + 40, task)
    assert [(d.timestamp, d.resolution) for d in used.metrics("CPUUtilization", **SERVICE)] == [
        (MINUTE, 1),
        (MINUTE + 20, 1),
    ]
    used.usage.publish(MINUTE + 66)
    assert len(used.metrics("CPUUtilization", **SERVICE)) == 2
    assert [d.resolution for d in used.metrics("MemoryUtilization", **SERVICE)] == [60]


def set_insights(used: Used, level: str) -> None:
    cluster = used.world.state.clusters.get(CLUSTER)
    setting = ecs.ClusterSetting(name="containerInsights", value=level)
    used.world.put(msgspec.structs.replace(cluster, settings=(setting,)))


def test_container_insights(used: Used) -> None:
    set_insights(used, "enabled")
    used.say(MINUTE + 20, used.task("1"))
    used.usage.publish(MINUTE + 66)
    expected = {
        "CpuUtilized": (409.6, "None"),
        "CpuReserved": (512.0, "None"),
        "MemoryUtilized": (50.0, "Megabytes"),
        "MemoryReserved": (200.0, "Megabytes"),
        "NetworkRxBytes": (100.0, "Bytes/Second"),
        "NetworkTxBytes": (10.0, "Bytes/Second"),
        "StorageReadBytes": (7.0, "Bytes"),
        "StorageWriteBytes": (3.0, "Bytes"),
    }
    for dims in ({"ClusterName": "default"}, SERVICE, {"ClusterName": "default", "TaskDefinitionFamily": "web"}):
        for name, (value, unit) in expected.items():
            (datum,) = used.metrics(name, **dims)
            assert (datum.values[0], datum.unit) == (pytest.approx(value), unit)
    assert used.value("DesiredTaskCount", **SERVICE) == 2.0
    assert used.value("RunningTaskCount", **SERVICE) == 1.0
    assert used.value("PendingTaskCount", **SERVICE) == 0.0
    assert used.value("DeploymentCount", **SERVICE) == 1.0
    assert used.value("TaskCount", ClusterName="default") == 1.0
    assert used.value("ServiceCount", ClusterName="default") == 1.0
    assert used.value("ContainerInstanceCount", ClusterName="default") == 1.0
    assert not [d for d in used.published if d.key.name.startswith(("Task", "Container")) and "Util" in d.key.name]


def test_enhanced_observability_goes_down_to_containers(used: Used) -> None:
    set_insights(used, "enhanced")
    used.say(MINUTE + 20, used.task("1"))
    used.usage.publish(MINUTE + 66)
    assert used.value("TaskCpuUtilization", **SERVICE, TaskId="1") == pytest.approx(80.0)
    assert used.value("TaskMemoryUtilization", **SERVICE) == pytest.approx(25.0)
    container = {**SERVICE, "TaskId": "1", "ContainerName": "web"}
    assert used.value("ContainerCpuUtilized", **container) == pytest.approx(409.6)
    assert used.value("ContainerCpuUtilization", **container) == pytest.approx(80.0)
    assert used.value("ContainerNetworkRxBytes", **container) == 100.0
    assert used.value("RestartCount", **container) == 2.0
    assert used.metrics("UnHealthyContainerHealthStatus", **container) == []
