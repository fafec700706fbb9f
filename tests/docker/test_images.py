"""Images from a registry: pulls and their times, digests, pinning, and what a failed pull is called."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from docker_world import World, by_name, reasons
from tiny_registry import Registry, serving


@pytest.fixture(scope="module")
def registry(world: World) -> Iterator[Registry]:
    registry = Registry(world.engine.get(f"/images/{world.image}/get"))
    with serving(registry):
        yield registry
        for reference in (f"{registry.repository}:1", f"{registry.repository}@{registry.digest}"):
            world.engine.call("DELETE", f"/images/{quote(reference, safe='')}?force=1")


def test_a_pull_is_timed_and_its_digest_reported(world: World, registry: Registry) -> None:
    task = world.run(world.container(image=f"{registry.repository}:1"))
    running = world.reaches(task, "RUNNING")
    assert registry.asked > 0
    assert by_name(running)["main"]["imageDigest"] == registry.digest
    assert by_name(running)["main"]["image"].startswith(registry.repository)
    times = [running[name] for name in ("createdAt", "pullStartedAt", "pullStoppedAt", "startedAt")]
    assert times == sorted(times)
    world.stop(task)


def test_an_image_can_be_pinned_to_a_digest(world: World, registry: Registry) -> None:
    pinned = f"{registry.repository}@{registry.digest}"
    task = world.run(world.container(image=pinned))
    running = world.reaches(task, "RUNNING")
    assert by_name(running)["main"]["imageDigest"] == registry.digest
    assert world.inspect(task)["Config"]["Image"] == pinned
    world.stop(task)


def test_a_tag_that_does_not_exist(world: World, registry: Registry) -> None:
    task = world.run(world.container(image=f"{registry.repository}:2"))
    stopped = world.reaches(task, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    (reason,) = reasons(stopped)
    assert reason.startswith("CannotPullContainerError: ")
    assert "manifest unknown" in reason
    assert stopped["stoppedReason"] == reason


def test_an_image_that_is_there_runs_while_its_registry_is_gone(world: World) -> None:
    registry = Registry(world.engine.get(f"/images/{world.image}/get"))
    with serving(registry):
        image = f"{registry.repository}:1"
        first = world.run(world.container(image=image))
        world.reaches(first, "RUNNING")
    second = world.run(world.container(image=image))
    assert by_name(world.reaches(second, "RUNNING"))["main"]["imageDigest"] == registry.digest
    world.stop(first, second)
    world.engine.call("DELETE", f"/images/{quote(image, safe='')}?force=1")
