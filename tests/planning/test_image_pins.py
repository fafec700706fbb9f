"""Which digests a deployment keeps to, and what is started from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.resources import Resources
from openecs.model.service import Deployment, ImagePin
from openecs.model.task import Task, TaskContainer
from openecs.model.task_definition import TaskDefinition
from openecs.planning import image_pins
from openecs.planning.new_task import new_task
from openecs.shapes import ecs

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PIN_A = ImagePin(container="app", image="shop/web:1", digest=A)


def deployment(**changes: Any) -> Deployment:
    values: dict[str, Any] = {
        "id": "ecs-svc/1",
        "status": "PRIMARY",
        "task_definition_arn": "arn:td",
        "created_at": 1.0,
        "updated_at": 1.0,
        "rollout_state": "IN_PROGRESS",
        "rollout_state_reason": "",
        "launch_type": "EC2",
    }
    return Deployment(**(values | changes))


def container(name: str = "app", image: str = "shop/web:1", **changes: Any) -> TaskContainer:
    return TaskContainer(arn=f"arn:{name}", name=name, image=image, **({"keeps_version": True} | changes))


def task(number: int, *containers: TaskContainer, started: bool = True, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "arn": f"arn:task/{number}",
        "region": "us-east-1",
        "cluster_arn": "arn:cluster",
        "task_definition_arn": "arn:td",
        "launch_type": "EC2",
        "desired_status": "RUNNING",
        "last_status": "RUNNING",
        "created_at": float(number),
        "started_at": 100.0 - number if started else None,
        "group": "service:web",
        "containers": containers,
        "reservation": Resources(),
    }
    return Task(**(values | changes))


def test_the_oldest_task_that_was_running_decides() -> None:
    tasks = [
        task(3, container(image_digest=B)),
        task(2, container(image_digest=A)),
        task(1, container(image_digest=B), started=False, last_status="STOPPED"),
        task(0, container()),
    ]
    assert image_pins.resolve(deployment(), tasks) == (PIN_A,)
    assert image_pins.resolve(deployment(), reversed(tasks)) == (PIN_A,)


def test_thousands_of_tasks_without_digests_are_not_asked_one_by_one() -> None:
    asked = []

    def tasks() -> Iterator[Task]:
        for number in range(1000):
            asked.append(number)
            yield task(number, container(), started=number >= 3)

    assert image_pins.resolve(deployment(), tasks()) == ()
    assert len(asked) < 20


def test_what_is_settled_stays() -> None:
    settled = deployment(pins=(PIN_A,))
    assert image_pins.resolve(settled, [task(1, container(image_digest=B))]) is settled.pins


def test_nothing_is_settled_without_a_digest_or_against_the_definition() -> None:
    assert image_pins.resolve(deployment(), []) == ()
    only_here, free = container(), container("free", image_digest=B, keeps_version=False)
    assert image_pins.resolve(deployment(), [task(1, only_here, free)]) == ()
    assert image_pins.resolve(deployment(), [task(1, only_here, free, container("side", "x", image_digest=A))]) == (
        ImagePin(container="side", image="x", digest=A),
    )


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("busybox", f"busybox@{A}"),
        ("busybox:1.36", f"busybox@{A}"),
        ("docker.io/library/busybox:1", f"docker.io/library/busybox@{A}"),
        ("127.0.0.1:5000/shop/web", f"127.0.0.1:5000/shop/web@{A}"),
        ("127.0.0.1:5000/shop/web:1", f"127.0.0.1:5000/shop/web@{A}"),
        (f"shop/web@{B}", f"shop/web@{B}"),
        (f"shop/web:1@{B}", f"shop/web:1@{B}"),
    ],
)
def test_an_image_by_its_digest(image: str, pinned: str) -> None:
    assert image_pins.pinned_reference(image, A) == pinned
    assert image_pins.pinned_reference(image, None) == image


def definition(**members: Any) -> TaskDefinition:
    shape = ecs.TaskDefinition(
        family="web",
        container_definitions=(
            ecs.ContainerDefinition(name="app", image="shop/web:1", **members),
            ecs.ContainerDefinition(name="free", image="shop/web:1", version_consistency="disabled"),
        ),
    )
    return TaskDefinition(
        arn="arn:aws:ecs:us-east-1:111122223333:task-definition/web:1",
        region="us-east-1",
        family="web",
        revision=1,
        status="ACTIVE",
        definition=shape,
    )


def started_from(pins: tuple[ImagePin, ...], **members: Any) -> list[tuple[str, str | None, bool]]:
    made = new_task(
        cluster=Cluster(
            arn="arn:aws:ecs:us-east-1:111122223333:cluster/default",
            name="default",
            region="us-east-1",
            status="ACTIVE",
            created_at=1.0,
        ),
        definition=definition(**members),
        launch_type="EC2",
        group="service:web",
        reservation=Resources(),
        now=5.0,
        ids=SeededIds(),
        pins=pins,
    )
    return [(c.name, c.pinned_digest, c.keeps_version) for c in made.containers]


@pytest.mark.parametrize("said", [{}, {"version_consistency": "enabled"}])
def test_a_new_task_is_started_from_what_is_settled(said: dict[str, Any]) -> None:
    assert started_from((), **said) == [("app", None, True), ("free", None, False)]
    other = ImagePin(container="free", image="shop/web:1", digest=B)
    assert started_from((PIN_A, other), **said) == [("app", A, True), ("free", None, False)]


def test_pins_of_another_image_do_not_hold() -> None:
    other = ImagePin(container="app", image="shop/web:2", digest=B)
    assert started_from((other,))[0] == ("app", None, True)


def test_a_waiting_task_takes_what_was_settled_since() -> None:
    told = container("told", pinned_digest=B)
    free = container("free", keeps_version=False)
    pins = tuple(ImagePin(container=name, image="shop/web:1", digest=A) for name in ("app", "told", "free"))
    after = image_pins.settled((container(), told, free, container("other", "x")), pins)
    assert [c.pinned_digest for c in after] == [A, B, None, None]
    assert image_pins.settled((container(), told), ()) == (container(), told)
