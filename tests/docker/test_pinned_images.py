"""One image for all tasks of a deployment, whatever becomes of its tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from docker_world import World, by_name
from tiny_registry import Registry, serving
from waiting import wait_for


@pytest.fixture
def registry(world: World) -> Iterator[Registry]:
    registry = Registry(world.engine.get(f"/images/{world.image}/get"))
    with serving(registry):
        yield registry
    for reference in (f"{registry.repository}:1", *(f"{registry.repository}@{d}" for d in registry.manifests)):
        world.engine.call("DELETE", f"/images/{quote(reference, safe='')}?force=1")


@pytest.fixture
def service(world: World, registry: Registry, request: pytest.FixtureRequest) -> Iterator[str]:
    """A service of one task from ``registry:1``; ``param`` is its containers' versionConsistency."""
    name = f"pinned-{getattr(request, 'param', None) or 'default'}"
    container = world.container(image=f"{registry.repository}:1", versionConsistency=getattr(request, "param", None))
    world.ecs.create_service(serviceName=name, taskDefinition=world.register(container), desiredCount=1)
    yield name
    world.ecs.delete_service(service=name, force=True)
    for arn in world.ecs.list_tasks(serviceName=name)["taskArns"]:
        world.stop(arn)


def running(world: World, service: str, count: int, *, without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The service's tasks as soon as so many run and nothing else is left of it."""

    def look() -> list[dict[str, Any]] | None:
        arns = world.ecs.list_tasks(serviceName=service)["taskArns"]
        if len(arns) != count or set(arns) & set(without):
            return None
        tasks: list[dict[str, Any]] = world.ecs.describe_tasks(tasks=arns)["tasks"]
        return tasks if all(task["lastStatus"] == "RUNNING" for task in tasks) else None

    result: list[dict[str, Any]] = wait_for(look, seconds=60, what=f"{count} running tasks of {service}")
    return result


def digests(tasks: list[dict[str, Any]]) -> list[str]:
    return [by_name(task)["main"]["imageDigest"] for task in tasks]


def image_id(world: World, task: dict[str, Any]) -> str:
    found: str = world.inspect(task["taskArn"])["Image"]
    return found


def resolved(world: World, service: str) -> list[list[dict[str, str]]]:
    """What the service's revisions say of their images, newest first."""
    deployments = world.ecs.list_service_deployments(service=service)["serviceDeployments"]
    newest_first = sorted(deployments, key=lambda d: d["createdAt"], reverse=True)
    arns = [deployment["targetServiceRevisionArn"] for deployment in newest_first]
    shown = world.ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    by_arn = {revision["serviceRevisionArn"]: revision["containerImages"] for revision in shown}
    return [by_arn[arn] for arn in arns]


def test_a_deployment_keeps_to_its_image_and_the_next_one_takes_the_new(
    world: World, registry: Registry, service: str
) -> None:
    old = registry.digest
    (first,) = running(world, service, 1)
    assert digests([first]) == [old]
    new = registry.move("2")
    # The host's own copy of the tag moves too: neither may decide.
    world.engine.call("POST", f"/images/create?fromImage={quote(registry.repository, safe='')}&tag=1")

    world.ecs.update_service(service=service, desiredCount=3)
    tasks = running(world, service, 3)
    assert digests(tasks) == [old] * 3
    assert {image_id(world, task) for task in tasks} == {image_id(world, first)}
    # What is shown is what the task definition says; what the engine was given is the digest.
    assert {by_name(task)["main"]["image"] for task in tasks} == {f"{registry.repository}:1"}
    later = [task for task in tasks if task["taskArn"] != first["taskArn"]]
    for task in later:
        assert world.inspect(task["taskArn"])["Config"]["Image"] == f"{registry.repository}@{old}"

    world.ecs.update_service(service=service, forceNewDeployment=True, desiredCount=2)
    tasks = running(world, service, 2, without=tuple(task["taskArn"] for task in tasks))
    assert digests(tasks) == [new] * 2
    assert {image_id(world, task) for task in tasks} != {image_id(world, first)}
    image = {"containerName": "main", "image": f"{registry.repository}:1"}
    assert resolved(world, service) == [[{**image, "imageDigest": new}], [{**image, "imageDigest": old}]]


def test_an_old_image_is_pulled_again_where_it_is_gone(world: World, registry: Registry, service: str) -> None:
    old = registry.digest
    (first,) = running(world, service, 1)
    registry.move("2")
    for reference in (f"{registry.repository}:1", f"{registry.repository}@{old}"):
        world.engine.call("DELETE", f"/images/{quote(reference, safe='')}?force=1")
    world.ecs.stop_task(task=first["taskArn"])
    (second,) = running(world, service, 1, without=(first["taskArn"],))
    assert digests([second]) == [old]


@pytest.mark.parametrize("service", ["disabled"], indirect=True)
def test_a_container_may_be_left_to_its_tag(world: World, registry: Registry, service: str) -> None:
    old = registry.digest
    (first,) = running(world, service, 1)
    new = registry.move("2")
    world.ecs.update_service(service=service, desiredCount=2)
    tasks = running(world, service, 2)
    assert {task["taskArn"]: digests([task])[0] for task in tasks}[first["taskArn"]] == old
    assert sorted(digests(tasks)) == sorted([old, new])
