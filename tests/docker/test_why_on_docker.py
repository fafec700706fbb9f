"""``openecs why`` on a real engine: what ended a task, what keeps it from starting, and who asked."""

from __future__ import annotations

import json
import uuid
from typing import Any

from docker_world import STAY, World
from waiting import wait_for


def why(world: World, reference: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(world.installation.openecs("why", reference, "--json"))
    return answer


def line(world: World, reference: str, what: str) -> dict[str, Any]:
    """The timeline's line of that kind, once it is there: agents send evidence without anybody waiting for it."""

    def look() -> dict[str, Any] | None:
        return next((found for found in why(world, reference)["timeline"] if found["what"] == what), None)

    result: dict[str, Any] = wait_for(look, seconds=20, what=f"a line {what} of {reference}")
    return result


def test_an_exit_tells_its_code_and_the_last_output(world: World) -> None:
    task = world.run(world.container("main", "echo first; echo the last words >&2; exit 3"))
    world.reaches(task, "STOPPED")
    evidence = line(world, task, "evidence")
    assert evidence["text"] == "container main ended by itself with exit code 3"
    assert set(evidence["details"]) == {"last output:", "| first", "| the last words"}
    answer = why(world, task.rsplit("/", 1)[-1])
    assert answer["summary"] == "stopped: essential container main exited with code 3"
    assert answer["timeline"][0]["what"] == "placed"
    assert "root with RunTask" in answer["timeline"][0]["text"]
    assert "container main exited with code 3" in answer["timeline"][-1]["details"]
    text = world.installation.openecs("why", task)
    assert "stopped: essential container main exited with code 3" in text
    assert "      | the last words" in text


def test_a_kill_for_memory_tells_the_limit(world: World) -> None:
    eat = "tail -c 200m /dev/zero > /dev/null"
    task = world.run(world.container("main", f"x=$(dd if=/dev/zero bs=1M count=200 | tr '\\0' x); {eat}", memory=16))
    world.reaches(task, "STOPPED")
    evidence = line(world, task, "evidence")
    assert "killed for want of memory (limit 16 MiB)" in evidence["text"]
    assert why(world, task)["summary"] == (
        "stopped: essential container main exited with code 137, killed for want of memory (limit 16 MiB)"
    )


def test_an_image_that_is_not_to_be_had_tells_the_engines_words(world: World) -> None:
    image = f"127.0.0.1:1/none:{uuid.uuid4().hex}"
    task = world.run(world.container("main", image=image))
    world.reaches(task, "STOPPED")
    answer = why(world, task)
    assert answer["summary"].startswith("stopped: it never ran: CannotPullContainerError: ")
    assert line(world, task, "pull")["text"].startswith("pulling an image failed: CannotPullContainerError")
    assert line(world, task, "evidence")["text"].startswith("container main could not be started: CannotPull")


def test_who_stopped_a_task_is_told(world: World) -> None:
    task = world.run(world.container("main", STAY))
    world.reaches(task, "RUNNING")
    assert why(world, task)["summary"].startswith("running on container instance ")
    world.ecs.stop_task(task=task, reason="enough")
    world.reaches(task, "STOPPED")
    account = task.split(":")[4]
    answer = why(world, task)
    assert answer["summary"] == f"stopped by arn:aws:iam::{account}:root with StopTask: enough"
    assert "evidence" not in [found["what"] for found in answer["timeline"]]


def test_a_failing_health_check_and_a_task_that_fits_nowhere_are_told_of_their_services(world: World) -> None:
    check = {"command": ["CMD-SHELL", "echo no answer from the app; exit 9"], "interval": 5, "retries": 1}
    sick = "s" + uuid.uuid4().hex[:12]
    large = "l" + uuid.uuid4().hex[:12]
    definition = world.register(world.container("main", STAY, healthCheck=check), family=sick)
    world.ecs.create_service(serviceName=sick, taskDefinition=definition, desiredCount=1)
    huge = world.register(world.container("main", STAY, memory=900_000), family=large)
    world.ecs.create_service(serviceName=large, taskDefinition=huge, desiredCount=1)
    try:

        def stopped() -> str | None:
            arns = world.ecs.list_tasks(serviceName=sick, desiredStatus="STOPPED")["taskArns"]
            return arns[0] if arns else None

        task = wait_for(stopped, seconds=60, what="a task to be stopped for its health")
        evidence = line(world, task, "evidence")
        assert evidence["text"] == "container main turned UNHEALTHY: its health check fails"
        assert "health check exited with code 9: no answer from the app" in evidence["details"]
        assert "Task failed container health checks" in why(world, task)["summary"]
        assert line(world, large, "not-placed")["details"][0].endswith("900000 needed)")
        answer = why(world, large)
        assert answer["summary"].startswith("0 of 1 tasks run; waiting: no node for 1 task: the closest of 1 is ")
        assert "RESOURCE:MEMORY" in answer["summary"]
        failures = why(world, sick)["failures"]
        assert [group["cause"] for group in failures] == ["Task failed container health checks"]
        assert task.rsplit("/", 1)[-1] in failures[0]["tasks"]
        (service,) = world.ecs.describe_services(services=[sick])["services"]
        deployment = why(world, service["deployments"][0]["id"])
        assert deployment["status"] == "IN_PROGRESS"
        assert deployment["failures"][0]["cause"] == "Task failed container health checks"
    finally:
        for service in (sick, large):
            world.ecs.delete_service(service=service, force=True)
