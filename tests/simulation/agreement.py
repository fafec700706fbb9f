"""When everything is quiet, all parts must tell the same story.

What the API shows of running tasks against what the engines have; what the control plane has
counted against its tasks; what is in its memory against what is on its disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from openecs.agent.engine import names
from openecs.agent.runtime.fake.container import FakeContainer
from openecs.model.task import Task

if TYPE_CHECKING:
    from simulation import World

MOST_EVENTS = 100
_HEALTH = {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}


def disagreements(world: World, restless: set[str]) -> Iterator[str]:
    """Every contradiction; tasks of the services ``restless`` may be on their way."""
    state = world.start_control_plane().state
    containers = {
        (c.labels.get(names.LABEL_TASK_ARN, ""), c.labels.get(names.LABEL_CONTAINER, "")): c
        for node in world.nodes
        for c in node.engine.containers
        if c.status == "running"
    }
    for task in state.tasks:
        if not task.stopped and task.node_id is not None and task.service_arn not in restless:
            yield from _task(task, containers)
    yield from _counts(world)
    yield from _events(world)
    if not restless:
        yield from _disk(world)


def _task(task: Task, containers: dict[tuple[str, str], FakeContainer]) -> Iterator[str]:
    if task.connectivity != "CONNECTED":
        yield f"{task.arn} runs on a connected node and is {task.connectivity}"
    for container in task.containers:
        real = containers.get((task.arn, container.name))
        if real is None:
            continue
        if container.runtime_id != real.id:
            yield f"{task.arn}: {container.name} is shown as {container.runtime_id} and is {real.id}"
        shown = {(b.host_port, b.container_port) for b in container.network_bindings}
        published = {(p.host_port, p.container_port) for p in real.ports}
        if shown != published:
            yield f"{task.arn}: {container.name} is shown with ports {shown} and has {published}"
        if real.health in _HEALTH and container.health_status != _HEALTH[real.health]:
            yield f"{task.arn}: {container.name} is shown as {container.health_status} and is {real.health}"


def _counts(world: World) -> Iterator[str]:
    """What is derived from the task table as it changes, against the task table."""
    state = world.start_control_plane().state
    for node in state.nodes:
        used = state.usage.node(node.id)
        held = [t.reservation for t in state.tasks.by("live_on_node", node.id)]
        if (used.cpu, used.memory, used.tasks) != (
            sum(r.cpu for r in held),
            sum(r.memory for r in held),
            len(held),
        ):
            yield f"{node.id} counts {used} and holds {held}"
        if sorted(used.ports) != sorted({port for r in held for port in r.ports}):
            yield f"{node.id} counts the ports {sorted(used.ports)} and holds {held}"
    for task in state.tasks:
        if task.eni is not None and not task.stopped and task.eni.private_ipv4_address not in state.addresses:
            yield f"the address of {task.arn} counts as free"


def _events(world: World) -> Iterator[str]:
    for record in world.start_control_plane().state.service_events:
        if len(record.events) > MOST_EVENTS:
            yield f"{record.service_arn} keeps {len(record.events)} events"
        times = [event.created_at or 0.0 for event in record.events]
        if any(newer <= older for newer, older in pairwise(times)):
            yield f"events of {record.service_arn} are not in their order: {times}"


def _disk(world: World) -> Iterator[str]:
    """What a restart would load."""
    state = world.start_control_plane().state
    tables = [state.tasks, state.services, state.nodes, state.container_instances, state.clusters]
    tables += [state.service_deployments, state.service_revisions, state.capacity_providers, state.families]
    tables += [state.task_definitions, state.service_events, state.tags, state.client_tokens, state.access_keys]
    for table in tables:
        memory = {record.key: msgspec.json.encode(record) for record in table}
        disk = {key: body for (name, key), body in world.disk.records.items() if name == table.name}
        if memory != disk:
            different = sorted(key for key in memory.keys() | disk.keys() if memory.get(key) != disk.get(key))
            yield f"memory and disk differ in {table.name}: {different[:3]}"
