"""How many GPUs a task asks for, and which ones its containers get."""

from __future__ import annotations

import pytest

from openecs.model.task import TaskContainer
from openecs.planning import gpus
from openecs.planning.reservation import task_reservation
from openecs.shapes import ecs


def gpu(count: int) -> tuple[ecs.ResourceRequirement, ...]:
    return (ecs.ResourceRequirement(type="GPU", value=str(count)),)


DEFINITION = ecs.TaskDefinition(
    container_definitions=(
        ecs.ContainerDefinition(name="train", resource_requirements=gpu(2)),
        ecs.ContainerDefinition(name="log"),
        ecs.ContainerDefinition(name="show", resource_requirements=gpu(1)),
    )
)


def override(name: str, requirements: tuple[ecs.ResourceRequirement, ...] | None) -> ecs.TaskOverride:
    one = ecs.ContainerOverride(name=name, resource_requirements=requirements)
    return ecs.TaskOverride(container_overrides=(one,))


@pytest.mark.parametrize(
    ("overrides", "counts"),
    [
        (None, {"train": 2, "show": 1}),
        (override("train", gpu(5)), {"train": 5, "show": 1}),
        (override("log", gpu(1)), {"train": 2, "log": 1, "show": 1}),
        # Saying nothing about it leaves it as it is.
        (override("train", None), {"train": 2, "show": 1}),
        (override("train", ()), {"train": 2, "show": 1}),
    ],
)
def test_a_task_holds_what_its_containers_ask_for(overrides: ecs.TaskOverride | None, counts: dict[str, int]) -> None:
    assert gpus.wanted(DEFINITION, overrides) == counts
    assert task_reservation(DEFINITION, overrides).gpus == sum(counts.values())


def test_each_container_gets_its_own() -> None:
    before = tuple(TaskContainer(arn=name, name=name, image="i", gpu_ids=("old",)) for name in ("train", "log", "show"))
    after = gpus.assign(before, {"train": 2, "show": 1}, ["a", "b", "c", "d"])
    assert [c.gpu_ids for c in after] == [("a", "b"), (), ("c",)]
    with pytest.raises(LookupError):
        gpus.assign(before, {"train": 2, "show": 1}, ["a", "b"])
