"""A journal with many tasks in it, written by the product's own state and journal."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from openecs import arn as arns
from openecs.ids import RandomIds
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition, TaskDefinitionFamily
from openecs.planning.new_task import new_task
from openecs.shapes import ecs
from openecs.state.journal.sqlite import SqliteJournal
from openecs.state.state import State

ACCOUNT, REGION = "000000000000", "us-east-1"
CLUSTER = "full"
_BATCH = 1000


def fill(journal_file: Path, count: int) -> list[str]:
    """Add ``count`` RUNNING tasks of one node to the journal; the ARNs of a hundred of them."""
    return asyncio.run(_fill(journal_file, count))


async def _fill(journal_file: Path, count: int) -> list[str]:
    journal = SqliteJournal(journal_file)
    state = State(journal)
    state.store.load()
    journal.start(state.store.journal_reached, state.store.journal_failed)
    cluster, definition, instance = _surroundings(state)
    tasks: list[str] = []
    for start in range(0, count, _BATCH):
        with state.transaction() as tx:
            for _ in range(min(_BATCH, count - start)):
                task = _running(cluster, definition, instance)
                tx.put(task)
                tasks.append(task.arn)
        await state.store.durable()
    journal.close()
    return tasks[:: max(1, count // 100)][:100]


def _surroundings(state: State) -> tuple[Cluster, TaskDefinition, ContainerInstance]:
    now = time.time()  # noqa: TID251 -- the records of this moment
    container = ecs.ContainerDefinition(name="main", image="openecs-bench:1", cpu=1, memory=8, essential=True)
    arn = arns.ecs(REGION, ACCOUNT, "task-definition/full:1")
    shape = ecs.TaskDefinition(
        task_definition_arn=arn,
        family="full",
        revision=1,
        network_mode="host",
        container_definitions=(container,),
        status="ACTIVE",
        compatibilities=("EC2",),
    )
    definition = TaskDefinition(arn=arn, family="full", revision=1, region=REGION, status="ACTIVE", definition=shape)
    cluster = Cluster(
        arn=arns.ecs(REGION, ACCOUNT, f"cluster/{CLUSTER}"),
        name=CLUSTER,
        region=REGION,
        status="ACTIVE",
        created_at=now,
    )
    node = Node(id="full-node", capacity=Resources(cpu=10**8, memory=10**8), registered_at=now)
    instance = ContainerInstance(
        arn=arns.ecs(REGION, ACCOUNT, f"container-instance/{CLUSTER}/{RandomIds().hex32()}"),
        cluster_arn=cluster.arn,
        region=REGION,
        node_id=node.id,
        status="ACTIVE",
        registered_at=now,
    )
    with state.transaction() as tx:
        for record in (cluster, node, instance, definition):
            tx.put(record)
        tx.put(TaskDefinitionFamily(region=REGION, family="full", latest_revision=1))
    return cluster, definition, instance


def _running(cluster: Cluster, definition: TaskDefinition, instance: ContainerInstance) -> Task:
    now = time.time()  # noqa: TID251 -- the records of this moment
    task = new_task(
        cluster=cluster,
        definition=definition,
        launch_type="EC2",
        group="family:full",
        reservation=Resources(cpu=1, memory=8),
        now=now,
        ids=RandomIds(),
    )
    (only,) = task.containers
    only = msgspec.structs.replace(only, last_status="RUNNING", runtime_id=RandomIds().hex32() * 2)
    return msgspec.structs.replace(
        task,
        containers=(only,),
        node_id=instance.node_id,
        container_instance_arn=instance.arn,
        last_status="RUNNING",
        connectivity="CONNECTED",
        connectivity_at=now,
        pull_started_at=now,
        pull_stopped_at=now,
        started_at=now,
    )
