"""From agents' messages to metrics: AWS's names, dimensions, units and values."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from control_kit import CLUSTER, PREFIX, REGION, World, new_service

from openecs.acs.telemetry_messages import PublishMetricsRequest, decode
from openecs.clock import SystemClock
from openecs.control.performance_events import PerformanceEvent
from openecs.control.performance_log import PerformanceLog, group_name
from openecs.control.usage import UsageMetrics
from openecs.control.virtual_time import VirtualTime
from openecs.logs.event import Range
from openecs.logs.store import LogStore
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
        self.logged: list[PerformanceEvent] = []
        self.usage = UsageMetrics(world.state, time, self.published.extend, self.logged.extend)
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
        self.take(
            {
                "metadata": {"cluster": "default", "openecsCores": cores},
                "timestamp": at,
                "taskMetrics": [{"taskArn": task.arn, "containerMetrics": [container]} for task in tasks],
            },
            node,
        )

    def host(self, at: float, cpu: tuple[float, ...]) -> None:
        self.take(
            {
                "metadata": {"openecsCores": 4},
                "timestamp": at,
                "openecsHost": {
                    "memoryLimit": 2000.0,
                    "cpuStatsSet": stats(*cpu),
                    "memoryStatsSet": stats(500.0),
                    "networkStatsSet": stats(70.0),
                    "filesystemStatsSet": stats(33.0),
                },
            },
            "n1",
        )

    def take(self, members: dict[str, object], node: str) -> None:
        message = {
            "type": "PublishMetricsRequest",
            "message": members,
        }
        decoded = decode(msgspec.json.encode(message))
        assert isinstance(decoded, PublishMetricsRequest)
        self.usage.take(node, decoded)

    def metrics(self, name: str, **dims: str) -> list[Datum]:
        wanted = tuple(sorted(dims.items()))
        return [d for d in self.published if d.key.name == name and d.key.dimensions == wanted]

    def value(self, name: str, **dims: str) -> float:
        (datum,) = self.metrics(name, **dims)
        return datum.values[0] if datum.values else datum.sum


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


def test_least_and_most_of_a_cluster(used: Used) -> None:
    used.say(MINUTE + 20, used.task("1"), cpu=(5.0, 15.0))
    used.usage.publish(MINUTE + 66)
    (found,) = used.metrics("CPUUtilization", ClusterName="default")
    assert (found.minimum, found.sum, found.maximum) == (pytest.approx(5.0), pytest.approx(10.0), pytest.approx(15.0))


def test_what_hosts_use_is_of_their_container_instances(used: Used) -> None:
    task = used.task("1")
    used.host(MINUTE + 20, (10.0, 30.0))
    used.host(MINUTE + 40, (20.0,))
    used.usage.publish(MINUTE + 66)
    assert used.metrics("instance_cpu_utilization", ClusterName="default") == []
    set_insights(used, "enabled")
    used.host(MINUTE + 80, (10.0, 30.0))
    used.host(MINUTE + 100, (20.0,))
    used.usage.publish(MINUTE + 126)
    short = used.instance.arn.rpartition("/")[2]
    for dims in ({}, {"ContainerInstanceId": short, "InstanceId": used.instance.ec2_instance_id or short}):
        names = {"ClusterName": "default", **dims}
        for name, value in (
            ("instance_cpu_utilization", 20.0),
            ("instance_cpu_reserved_capacity", 100 * task.reservation.cpu / 4096),
            ("instance_memory_utilization", 25.0),
            ("instance_memory_reserved_capacity", 100 * task.reservation.memory / 2000),
            ("instance_network_total_bytes", 70.0),
            ("instance_filesystem_utilization", 33.0),
            ("instance_number_of_running_tasks", 1.0),
        ):
            assert used.value(name, **names) == pytest.approx(value), name
    for name, value in (
        ("instance_cpu_limit", 4096.0),
        ("instance_cpu_usage_total", 819.2),
        ("instance_memory_limit", 2000.0 * 2**20),
        ("instance_memory_working_set", 500.0 * 2**20),
    ):
        assert used.value(name, ClusterName="default") == pytest.approx(value), name
    assert used.metrics("instance_cpu_limit", ClusterName="default")[0].timestamp == MINUTE + 60
    # What comes when the minute has been published is too late.
    used.host(MINUTE + 120, (90.0,))
    used.usage.publish(MINUTE + 186)
    assert used.value("instance_cpu_utilization", ClusterName="default") == pytest.approx(20.0)


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


def test_performance_log_events(used: Used) -> None:
    used.say(MINUTE + 20, used.task("1"), cpu=(10.0,))
    used.usage.publish(MINUTE + 66)
    assert used.logged == []
    set_insights(used, "enabled")
    used.say(MINUTE + 80, used.task("2"), cpu=(10.0,))
    used.usage.publish(MINUTE + 126)
    short = used.instance.arn.rpartition("/")[2]
    found = {event.members["Type"]: event for event in used.logged}
    assert {name: event.stream for name, event in found.items()} == {
        "Container": f"AgentTelemetry-{short}",
        "Task": f"AgentTelemetry-{short}",
        "Cluster": "ClusterTelemetry-default",
        "Service": "ServiceTelemetry-default",
    }
    common = {
        "Version": "0",
        "TaskId": "2",
        "TaskDefinitionFamily": "web",
        "TaskDefinitionRevision": "1",
        "ContainerInstanceId": short,
        "ServiceName": "web",
        "ClusterName": "default",
        "Timestamp": int(MINUTE + 60) * 1000,
    }
    measured = {
        "CpuUtilized": pytest.approx(409.6),
        "MemoryUtilized": 50,
        "StorageReadBytes": 7,
        "StorageWriteBytes": 3,
        "NetworkRxBytes": 100,
        "NetworkTxBytes": 10,
    }
    container = found["Container"].members
    assert container.items() >= {**common, "ContainerName": "web", "Image": "web", "CpuReserved": 512.0}.items()
    assert {name: container[name] for name in measured} == measured
    task = found["Task"].members
    assert task.items() >= {**common, "KnownStatus": "RUNNING", "LaunchType": "EC2", "MemoryReserved": 200}.items()
    assert {name: task[name] for name in measured} == measured
    assert "StartedAt" not in task
    assert (
        found["Service"].members.items() >= {"ServiceName": "web", "DesiredTaskCount": 2, "RunningTaskCount": 2}.items()
    )
    assert found["Cluster"].members["ServiceCount"] == 1


async def test_performance_log_events_are_kept_a_day(used: Used, tmp_path: Path) -> None:
    store = LogStore(tmp_path, SystemClock())
    await store.open()
    log = PerformanceLog(store)
    now = int(SystemClock().now() * 1000)
    late, early = ({"Timestamp": at, "Type": "Task"} for at in (now, now - 60_000))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(log.run())
        log.put(PerformanceEvent(REGION, "c", "AgentTelemetry-1", members) for members in (late, early))
        while not (group := store.groups(REGION).get(group_name("c"))) or not group.streams:
            await asyncio.sleep(0.01)
        stream = group.streams["AgentTelemetry-1"]
        while len(events := (await store.read([stream], Range(), 10)).events) < 2:
            await asyncio.sleep(0.01)
        running.cancel()
    assert [event.timestamp for event in events] == [now - 60_000, now]
    assert msgspec.json.decode(events[0].message) == early
    assert (group.name, group.retention_days) == ("/aws/ecs/containerinsights/c/performance", 1)
    await store.close()
