"""What hosts hold of documents against what they should: asked once everything is quiet.

The documents are made anew by a control plane that starts from the disk.  So nothing that changed
may have been missed by the one that runs, and nothing may be known to its memory alone.  What the
documents say of endpoints and of ports is compared with the tasks and engines themselves.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulated_control_plane import board_of
from simulated_journal import SimulatedJournal
from simulated_registry import NAMESPACE, PORTS

from openecs.acs.host_documents import ConnectDocument
from openecs.model.task import Task
from openecs.state.state import State

if TYPE_CHECKING:
    from simulated_node import Node
    from simulation import World


def untold(world: World) -> Iterator[str]:
    """Every contradiction."""
    state = State(SimulatedJournal(world.disk, random.Random(0), lambda changes: None, lambda: 0.0))
    state.store.load()
    board = board_of(state)
    board.settle()
    wanted = {key: kept for key in tuple(board.keys()) if (kept := board.get(key)) is not None}
    for node in world.nodes:
        record = state.nodes.get(node.node_id)
        if node.lost or record is None or not record.agent_connected:
            continue
        mine = {k: d.body for k, d in wanted.items() if d.audience is None or node.node_id in d.audience}
        held = node.documents._bodies
        different = sorted(key for key in mine.keys() | held.keys() if mine.get(key) != held.get(key))
        if different:
            key = different[0]
            yield f"{node.name} holds {held.get(key)!r} as {key} and should hold {mine.get(key)!r}"
        yield from _endpoints(world, node)
    yield from _places(world, state)


def _endpoints(world: World, node: Node) -> Iterator[str]:
    """Behind every name are the tasks that serve it, and nobody else."""
    for service in world.checker.services.values():
        document = node.documents.get("connect", f"{NAMESPACE}/{service.name}")
        if not isinstance(document, ConnectDocument):
            continue
        serving = {
            task.eni.private_ipv4_address
            for task in world.checker.tasks.values()
            if task.service_arn == service.arn
            and task.connect is not None
            and task.last_status == task.desired_status == "RUNNING"
            and task.eni is not None
        }
        named = {target.address for target in document.targets}
        if named != serving or any(target.draining for target in document.targets):
            yield f"{node.name} finds {sorted(named)} behind {service.name}, whose tasks are at {sorted(serving)}"


def _places(world: World, state: State) -> Iterator[str]:
    """Targets and instances of Cloud Map are where engines have published the containers."""
    for target in state.targets:
        task = state.tasks.get(target.task_arn or "")
        if task is None or (target.id, target.port) in _published(world, task, of_instance=True):
            continue
        yield f"{task.arn} is the target {target.id}:{target.port} and is not there"
    for instance in state.discovery_instances:
        task = state.tasks.get(instance.task_arn or "")
        if task is None:
            continue
        address, port = instance.attributes.get("AWS_INSTANCE_IPV4", ""), instance.attributes.get("AWS_INSTANCE_PORT")
        if instance.service_id == PORTS:
            right = port is not None and (address, int(port)) in _published(world, task, of_instance=False)
        else:
            right = task.eni is not None and address == task.eni.private_ipv4_address
        if not right:
            yield f"{task.arn} is found at {address}:{port} and is not there"


def _published(world: World, task: Task, *, of_instance: bool) -> set[tuple[str, int]]:
    """Where the port 80 of a task's container is reached, by its engine."""
    if task.eni is not None:
        return {(task.eni.private_ipv4_address, 80)}
    for node in world.nodes:
        if node.node_id == task.node_id:
            name = (task.container_instance_arn or "").rsplit("/", 1)[-1] if of_instance else node.address
            running = world.checker.running.get((task.arn, "app"), set())
            return {
                (name, port.host_port)
                for container in node.engine.containers
                if container.id in running
                for port in container.ports
                if port.container_port == 80
            }
    return set()
