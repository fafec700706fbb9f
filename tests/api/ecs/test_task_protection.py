"""UpdateTaskProtection and GetTaskProtection: who is protected until when, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from openecs.api.ecs.task_protection import TaskProtection
from openecs.errors import AWSError
from openecs.iam.policy import allowed
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal

ACCOUNT, REGION, NOW = "111122223333", "us-east-1", 1000.0
BASE = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
SERVICE = f"{BASE}:service/default/web"
ROOT = Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIAROOT")


class World:
    """A cluster with a service of two tasks (1, 2), an old third one (3), and a standalone task (9)."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.now = NOW
        self.principal = ROOT
        self._api = TaskProtection(self.state)
        cluster = Cluster(arn=f"{BASE}:cluster/default", name="default", region=REGION, status="ACTIVE", created_at=1.0)
        with self.state.transaction() as tx:
            tx.put(cluster)
            tx.put(
                Service(
                    arn=SERVICE,
                    name="web",
                    cluster_arn=cluster.arn,
                    region=REGION,
                    status="ACTIVE",
                    desired_count=2,
                    created_at=1.0,
                    deployments=(),
                    deployment_configuration=ecs.DeploymentConfiguration(),
                )
            )
        for number in (1, 2, 3, 4):
            self.add(number, service_arn=SERVICE)
        self.add(9)

    def add(self, number: int, **changes: Any) -> None:
        values: dict[str, Any] = {
            "arn": arn(number),
            "region": REGION,
            "cluster_arn": f"{BASE}:cluster/default",
            "task_definition_arn": f"{BASE}:task-definition/web:1",
            "launch_type": "EC2",
            "desired_status": "RUNNING",
            "last_status": "RUNNING",
            "created_at": 1.0,
            "group": "service:web",
            "containers": (),
            "reservation": Resources(cpu=1, memory=1),
        }
        with self.state.transaction() as tx:
            tx.put(Task(**(values | changes)))

    def change(self, number: int, **changes: Any) -> None:
        with self.state.transaction() as tx:
            tx.put(msgspec.structs.replace(self.task(number), **changes))

    def change_service(self, **changes: Any) -> None:
        service = self.state.services.get(SERVICE)
        assert service is not None
        with self.state.transaction() as tx:
            tx.put(msgspec.structs.replace(service, **changes))

    def task(self, number: int) -> Task:
        found = self.state.tasks.get(arn(number))
        assert found is not None
        return found

    def __call__(self, operation: str, request: Any) -> Any:
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=self.principal,
            now=self.now,
            ids=SeededIds(),
            endpoint="http://127.0.0.1:4566",
        )
        return self._api.handlers()[operation](call, request)

    def update(self, *tasks: str, enabled: bool = True, minutes: int | None = None) -> ecs.UpdateTaskProtectionResponse:
        reply: ecs.UpdateTaskProtectionResponse = self(
            "UpdateTaskProtection",
            ecs.UpdateTaskProtectionRequest(
                cluster="default", tasks=tasks, protection_enabled=enabled, expires_in_minutes=minutes
            ),
        )
        return reply

    def get(self, *tasks: str) -> ecs.GetTaskProtectionResponse:
        reply: ecs.GetTaskProtectionResponse = self(
            "GetTaskProtection", ecs.GetTaskProtectionRequest(cluster="default", tasks=tasks)
        )
        return reply


@pytest.fixture
def world() -> World:
    return World()


def arn(number: int) -> str:
    return f"{BASE}:task/default/{number:032x}"


def shown(tasks: Sequence[ecs.ProtectedTask] | None) -> list[tuple[str | None, bool | None, float | None]]:
    return [(task.task_arn, task.protection_enabled, task.expiration_date) for task in tasks or ()]


def reasons(failures: Sequence[ecs.Failure] | None) -> list[tuple[str | None, str | None]]:
    return [(failure.arn, failure.reason) for failure in failures or ()]


def test_protection_lasts_two_hours_unless_told(world: World) -> None:
    assert shown(world.update(arn(1)).protected_tasks) == [(arn(1), True, NOW + 7200)]
    assert shown(world.update(arn(1).rpartition("/")[2], minutes=1).protected_tasks) == [(arn(1), True, NOW + 60)]
    assert world.task(1).protected_until == NOW + 60


def test_it_ends_by_itself(world: World) -> None:
    world.update(arn(1), minutes=2880)
    world.now += 2880 * 60 - 1
    assert shown(world.get(arn(1)).protected_tasks) == [(arn(1), True, NOW + 172_800)]
    world.now += 1
    assert shown(world.get(arn(1)).protected_tasks) == [(arn(1), False, None)]


def test_it_can_be_renewed_and_ended(world: World) -> None:
    world.update(arn(1), minutes=10)
    world.now += 300
    assert shown(world.update(arn(1), minutes=10).protected_tasks) == [(arn(1), True, NOW + 900)]
    assert shown(world.update(arn(1), enabled=False).protected_tasks) == [(arn(1), False, None)]
    assert world.task(1).protected_until is None
    assert shown(world.get(arn(1), arn(2)).protected_tasks) == [(arn(1), False, None), (arn(2), False, None)]


def test_each_task_that_cannot_be_protected_is_a_failure(world: World) -> None:
    world.change(2, desired_status="STOPPED")
    world.change(3, last_status="STOPPED", desired_status="STOPPED")
    reply = world.update(arn(1), arn(1), "0" * 32, arn(9), arn(2), arn(3))
    assert shown(reply.protected_tasks) == [(arn(1), True, NOW + 7200)]
    assert reasons(reply.failures) == [
        (f"{BASE}:task/default/{'0' * 32}", "MISSING"),
        (arn(9), "TASK_NOT_VALID"),
        (arn(2), "TASK_NOT_VALID"),
        (arn(3), "TASK_NOT_VALID"),
    ]
    assert all(world.task(number).protected_until is None for number in (2, 3, 9))
    reply = world.get("0" * 32, arn(9), arn(2))
    assert reasons(reply.failures) == [(f"{BASE}:task/default/{'0' * 32}", "MISSING"), (arn(9), "TASK_NOT_VALID")]
    assert shown(reply.protected_tasks) == [(arn(2), False, None)]


def test_more_protected_tasks_than_wanted_block(world: World) -> None:
    reply = world.update(arn(1), arn(2), arn(3), arn(4))
    assert [task.task_arn for task in reply.protected_tasks or ()] == [arn(1), arn(2), arn(3)]
    assert reasons(reply.failures) == [(arn(4), "DEPLOYMENT_BLOCKED")]
    assert reasons(world.update(arn(1), minutes=5).failures) == [(arn(1), "DEPLOYMENT_BLOCKED")]
    assert world.task(1).protected_until == NOW + 7200
    assert reasons(world.update(arn(1), enabled=False).failures) == []
    assert reasons(world.update(arn(4)).failures) == []


def test_what_does_not_count_as_protected(world: World) -> None:
    world.update(arn(1), arn(2), arn(3), minutes=1)
    world.change(3, desired_status="STOPPED")
    assert reasons(world.update(arn(4)).failures) == []
    world.now += 60
    assert reasons(world.update(arn(1), arn(2)).failures) == []


def test_a_daemon_service_wants_no_number_of_tasks(world: World) -> None:
    world.change_service(scheduling_strategy="DAEMON", desired_count=0)
    assert reasons(world.update(arn(1), arn(2), arn(3)).failures) == []


@pytest.mark.parametrize("minutes", [0, -1, 2881])
@pytest.mark.parametrize("enabled", [True, False])
def test_periods_have_bounds(world: World, minutes: int, enabled: bool) -> None:
    world.update(arn(1), minutes=5)
    with pytest.raises(AWSError) as refused:
        world.update(arn(1), enabled=enabled, minutes=minutes)
    assert refused.value.code == "InvalidParameterException"
    assert world.task(1).protected_until == NOW + 300


@pytest.mark.parametrize(("operation", "most"), [("UpdateTaskProtection", 10), ("GetTaskProtection", 100)])
def test_numbers_of_tasks_have_bounds(world: World, operation: str, most: int) -> None:
    ask = world.update if operation == "UpdateTaskProtection" else world.get
    for tasks in ((), tuple(arn(100 + n) for n in range(most + 1))):
        with pytest.raises(AWSError) as refused:
            ask(*tasks)
        assert refused.value.code == "InvalidParameterException"
    assert len(ask(*(arn(100 + n) for n in range(most))).failures or ()) == most


def test_a_reference_to_another_cluster_changes_nothing(world: World) -> None:
    with pytest.raises(AWSError):
        world.update(arn(1), arn(2).replace("/default/", "/other/"))
    assert world.task(1).protected_until is None


def test_a_tasks_keys_speak_for_that_task_only(world: World) -> None:
    world.principal = Principal(
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/r/1", kind="task", access_key_id="ASIA1", task_arn=arn(1)
    )
    assert shown(world.update(arn(1)).protected_tasks) == [(arn(1), True, NOW + 7200)]
    assert shown(world.get(arn(1).rpartition("/")[2]).protected_tasks) == [(arn(1), True, NOW + 7200)]
    for ask in (world.update, world.get):
        for others in ((arn(2),), (arn(1), arn(2)), ("0" * 32,)):
            with pytest.raises(AWSError) as refused:
                ask(*others)
            assert refused.value.code == "AccessDeniedException"
    assert world.task(1).protected_until == NOW + 7200
    assert world.task(2).protected_until is None


@pytest.mark.parametrize("kind", ["agent", "execution"])
def test_other_temporary_keys_may_not_ask(kind: Any) -> None:
    for operation in ("GetTaskProtection", "UpdateTaskProtection"):
        assert allowed("task", "ecs", operation)
        assert not allowed(kind, "ecs", operation)
    assert not allowed("task", "ecs", "ListClusters")
