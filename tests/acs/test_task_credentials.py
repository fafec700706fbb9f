from __future__ import annotations

import asyncio
from typing import Any

from openecs.clock import ManualClock
from openecs.control.task_credentials import LIFETIME, RENEW_AFTER, TaskCredentials
from openecs.iam.keyring import KeyRing
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.model.task_state import declare_stopped
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

ACCOUNT = "111122223333"
ARN = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/default/0123456789abcdef0123456789abcdef"
DEFINITION = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/web:1"


LOGGING = (
    ecs.ContainerDefinition(
        name="app", image="busybox", log_configuration=ecs.LogConfiguration(log_driver="awslogs", options={})
    ),
)


class World:
    def __init__(self, **definition: Any) -> None:
        self.clock = ManualClock()
        self.state = State(MemoryJournal())
        self.keyring = KeyRing(KeyRing.new_master_key())
        self.service = self.new_service()
        shape = ecs.TaskDefinition(**{"family": "web", "revision": 1, "container_definitions": LOGGING, **definition})
        self.task = Task(
            arn=ARN,
            region="us-east-1",
            cluster_arn=f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/default",
            task_definition_arn=DEFINITION,
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="PENDING",
            created_at=1.0,
            group="family:web",
            containers=(),
            reservation=Resources(),
            node_id="n1",
        )
        with self.state.transaction() as tx:
            tx.put(Node(id="n1", capacity=Resources(), owner=f"arn:aws:iam::{ACCOUNT}:user/host-7"))
            tx.put(
                TaskDefinition(
                    arn=DEFINITION, family="web", revision=1, region="us-east-1", status="ACTIVE", definition=shape
                )
            )
            tx.put(self.task)

    def new_service(self) -> TaskCredentials:
        return TaskCredentials(self.state, self.keyring, account=ACCOUNT, clock=self.clock, secret=b"s" * 32)

    def ensure(self) -> None:
        with self.state.transaction() as tx:
            self.service.ensure(tx, self.task)


def test_a_task_that_needs_no_keys_gets_none() -> None:
    world = World(container_definitions=(ecs.ContainerDefinition(name="app", image="busybox"),))
    world.ensure()
    assert world.service.current(world.task) == ()
    assert len(world.state.access_keys) == 0


def test_without_roles_the_log_driver_has_a_key_of_the_instance_role() -> None:
    world = World()
    world.ensure()
    [issued] = world.service.current(world.task)
    assert issued.kind == "execution"
    [key] = world.state.access_keys
    assert key.kind == "execution"
    assert key.principal_arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/host-7/0123456789abcdef0123456789abcdef"
    assert issued.credentials.role_arn == f"arn:aws:iam::{ACCOUNT}:role/host-7"
    assert issued.credentials.role_type == "TaskExecution"
    assert world.keyring.open(key.sealed_secret) == issued.credentials.secret_access_key
    assert issued.credentials.secret_access_key not in repr(key)
    assert issued.credentials.session_token == key.session_token
    assert issued.access_key_id.startswith("ASIA")


def test_roles_of_definition_and_override() -> None:
    world = World(
        task_role_arn=f"arn:aws:iam::{ACCOUNT}:role/app", execution_role_arn=f"arn:aws:iam::{ACCOUNT}:role/path/exec"
    )
    world.ensure()
    issued = {i.kind: i.credentials for i in world.service.current(world.task)}
    assert issued["task"].role_arn == f"arn:aws:iam::{ACCOUNT}:role/app"
    assert issued["execution"].role_arn == f"arn:aws:iam::{ACCOUNT}:role/path/exec"
    assert issued["task"].credentials_id != issued["execution"].credentials_id
    principals = {k.principal_arn.split("/")[1] for k in world.state.access_keys}
    assert principals == {"app", "exec"}


def test_asking_twice_issues_once() -> None:
    world = World()
    world.ensure()
    revision = world.state.store.revision
    world.ensure()
    assert world.state.store.revision == revision


def test_keys_are_renewed_in_time_under_the_same_id_and_the_old_one_lives_on() -> None:
    world = World()
    world.ensure()
    [before] = world.service.current(world.task)
    world.clock.advance(LIFETIME * RENEW_AFTER - 1)
    world.service.sweep()
    assert len(world.state.access_keys) == 1
    world.clock.advance(1)
    world.service.sweep()
    [after] = world.service.current(world.task)
    assert after.access_key_id != before.access_key_id
    assert after.credentials.credentials_id == before.credentials.credentials_id
    assert after.credentials.expiration > before.credentials.expiration
    assert world.state.access_keys.get(before.access_key_id) is not None
    world.clock.advance(LIFETIME * (1 - RENEW_AFTER) + 1)
    world.service.sweep()
    assert world.state.access_keys.get(before.access_key_id) is None
    assert [i.access_key_id for i in world.service.current(world.task)] == [after.access_key_id]


def test_the_end_of_a_task_revokes_its_keys() -> None:
    world = World()
    world.ensure()
    with world.state.transaction() as tx:
        tx.put(declare_stopped(world.task, now=2.0, stop_code="UserInitiated", reason="x"))
    world.service.sweep()
    assert len(world.state.access_keys) == 0


async def test_the_loop_takes_over_what_an_earlier_process_left() -> None:
    world = World()
    world.ensure()
    with world.state.transaction() as tx:
        tx.put(declare_stopped(world.task, now=2.0, stop_code="UserInitiated", reason="x"))
    service = world.new_service()
    revoked = asyncio.Event()
    world.state.store.subscribe("access_key", lambda notice: revoked.set() if notice.new is None else None)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(service.run())
        async with asyncio.timeout(5):
            await revoked.wait()
        loop.cancel()
    assert len(world.state.access_keys) == 0
