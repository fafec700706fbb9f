"""Services on the real engine: nobody notices a good deployment, a bad one goes back by itself."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed_service import DeployedService, deployed, waiting
from docker_world import World, by_name
from following_client import FollowingClient
from tiny_registry import Registry, serving

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
#: Serves its revision on port 80 and ends at once when it is asked to.
SERVE = "mkdir /tmp/www; echo {} > /tmp/www/index.html; httpd -f -p 80 -h /tmp/www & trap 'exit 0' TERM; wait"
CHECK = {"command": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1/"], "interval": 5, "timeout": 2, "retries": 2}
STARTED = re.compile(r"has started (\d+) tasks: (\(task [0-9a-f]{32}\) ?)+\.")


@pytest.fixture(scope="module")
def lasting_bridge() -> None:
    """The engine's bridge keeps its hardware address, as one does that Docker made itself.

    A bridge that was made otherwise takes the lowest address of its ports: with containers that
    come and go it changes, and then connections to others of them stall for seconds.
    """
    bridge = Path("/sys/class/net/docker0")
    if bridge.exists() and (bridge / "addr_assign_type").read_text().strip() != "3":
        subprocess.run(["ip", "link", "set", "docker0", "address", "02:42:ac:11:00:01"], check=True)


@pytest.fixture(scope="module")
def web(world: World, lasting_bridge: None) -> Iterator[DeployedService]:
    """Five tasks with a health check on dynamic host ports, up and steady."""
    with deployed(world) as service:
        service.create(revision(service, "first"), 5, availabilityZoneRebalancing="DISABLED")
        service.stable()
        yield service


@pytest.fixture
def service(world: World) -> Iterator[DeployedService]:
    with deployed(world) as service:
        yield service


@pytest.fixture
def registry(world: World) -> Iterator[Registry]:
    registry = Registry(world.engine.get(f"/images/{world.image}/get"))
    with serving(registry):
        yield registry


def revision(service: DeployedService, says: str) -> str:
    ports = [{"containerPort": 80}]
    return service.register(SERVE.format(says), healthCheck=CHECK, portMappings=ports)


@pytest.mark.parametrize(("minimum", "maximum", "floor"), [(100, 200, 5), (50, 100, 3)])
def test_a_rolling_update_keeps_its_floor_for_a_client_that_never_stops(
    web: DeployedService, minimum: int, maximum: int, floor: int
) -> None:
    web.update(deploymentConfiguration={"minimumHealthyPercent": minimum, "maximumPercent": maximum})
    before = {task["taskArn"] for task in web.tasks()}
    says = f"revision-{minimum}"
    with FollowingClient(web.world.ecs, web.name) as client:
        deployment = web.update(taskDefinition=revision(web, says))
        web.ends(deployment, "SUCCESSFUL")
        web.stable()
    assert client.wrong == []
    assert client.fewest_healthy >= floor
    assert client.fewest_answers >= floor
    # It saw both revisions, and often enough to have seen what was between.
    assert client.answers.keys() > {says}
    assert client.rounds > 20
    after = web.tasks()
    assert not before & {task["taskArn"] for task in after}
    assert [task["healthStatus"] for task in after] == ["HEALTHY"] * 5
    web.nothing_stray()


def test_killed_containers_are_replaced_and_tell_how_they_ended(web: DeployedService) -> None:
    chance = random.Random(5)
    web.stable()
    victims = chance.sample(sorted(web.containers()), 2)
    kill(web, victims)
    for victim in victims:
        task = web.world.reaches(victim, "STOPPED")
        assert (task["stopCode"], task["stoppedReason"]) == (
            "EssentialContainerExited",
            "Essential container in task exited",
        )
        assert by_name(task)["main"]["exitCode"] == 137
    web.until(lambda: len(healthy(web)) == 5, "five healthy tasks")
    web.nothing_stray()

    deployment = web.update(taskDefinition=revision(web, "through-kills"))
    killed: set[str] = set()
    for _ in range(4):
        # Of either revision, as they come.
        running = web.until(lambda: sorted(web.containers().keys() - killed), "a container to kill")
        victim = chance.choice(running)
        kill(web, [victim])
        killed.add(victim)
        web.world.reaches(victim, "STOPPED")
    web.ends(deployment, "SUCCESSFUL")
    web.stable()
    # The last of them may have ended after the deployment did; its replacement needs a moment.
    web.until(lambda: [task["healthStatus"] for task in web.tasks()] == ["HEALTHY"] * 5, "five healthy tasks")
    assert not killed & {task["taskArn"] for task in web.tasks()}
    web.nothing_stray()


def test_a_missing_image_rolls_back_and_leaves_what_runs_alone(service: DeployedService, registry: Registry) -> None:
    service.create(service.register(), 2)
    service.stable()
    good = service.describe()["deployments"][0]["id"]
    before = service.containers()
    assert len(before) == 2
    since = service.newest_event()
    bad = service.register(image=f"{registry.repository}:no-such-tag")
    deployment = service.update(taskDefinition=bad, deploymentConfiguration=BREAKER)
    failed = service.describe()["deployments"][0]["id"]
    with waiting(service.world, "services-stable", "--services", service.name) as waiter:
        shown = service.ends(deployment, "ROLLBACK_SUCCESSFUL")
        breaker = shown["deploymentCircuitBreaker"]
        assert (breaker["status"], breaker["threshold"]) == ("TRIGGERED", 3)
        # Two fail at a time.
        assert breaker["failureCount"] in (3, 4)
        assert shown["rollback"]["serviceRevisionArn"] == shown["sourceServiceRevisions"][0]["arn"]
        assert service.containers() == before
        said = service.until(lambda: steady(service, since), "the steady state after the rollback")
        assert STARTED.fullmatch(said[0])
        started = [message for message in said if STARTED.fullmatch(message)]
        stopped = [message for message in said if re.fullmatch("stopped [0-9]+ pending tasks.", message)]
        assert [message for message in said if message not in (*started, *stopped)] == [
            f"(deployment {failed}) deployment failed: tasks failed to start.",
            f"rolling back to deployment {good}.",
            f"(deployment {good}) deployment completed.",
            "has reached a steady state.",
        ]
        (only,) = service.describe()["deployments"]
        assert (only["id"], only["status"], only["rolloutState"]) == (good, "PRIMARY", "COMPLETED")
        ended = service.stopped()
        assert {task["startedBy"] for task in ended} == {failed}
        failures = [task for task in ended if task["stopCode"] == "TaskFailedToStart"]
        assert len(failures) >= 3
        assert all(task["stoppedReason"].startswith("CannotPullContainerError: ") for task in failures)
        # The other one of the second pair may still have been on its way when the deployment failed.
        others = [task for task in ended if task not in failures]
        assert len(others) <= 1
        assert {task["stopCode"] for task in others} <= {"ServiceSchedulerInitiated"}
        assert waiter.wait(timeout=60) == 0
    service.nothing_stray()


def test_a_crash_after_the_start_rolls_back_while_the_old_revision_serves(service: DeployedService) -> None:
    ports = [{"containerPort": 80}]
    good = service.register(SERVE.format("good"), portMappings=ports)
    service.create(good, 2)
    service.stable()
    before = service.containers()
    bad = service.register("sleep 2; exit 1")
    deployment = service.update(taskDefinition=bad, deploymentConfiguration=BREAKER)
    failed = service.describe()["deployments"][0]["id"]
    with FollowingClient(service.world.ecs, service.name, of_definition=good) as client:
        shown = service.ends(deployment, "ROLLBACK_SUCCESSFUL")
        service.stable()
    assert shown["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert client.wrong == []
    assert min(client.fewest_healthy, client.fewest_answers) == 2
    assert client.answers.keys() == {"good"}
    assert service.describe()["taskDefinition"] == good
    service.nothing_stray()
    assert service.containers() == before
    crashed = [task for task in service.stopped() if task["stopCode"] == "EssentialContainerExited"]
    assert len(crashed) >= 3
    for task in crashed:
        assert task["startedBy"] == failed
        assert by_name(task)["main"]["exitCode"] == 1
        assert "startedAt" in task


def test_a_crash_loop_is_slowed_down_and_says_so(service: DeployedService) -> None:
    service.create(service.register("exit 3"), 1)
    first = service.describe()["deployments"][0]["id"]
    service.until(lambda: len(delays(service, first)) >= 3, "a growing delay")
    assert delays(service, first)[:3] == [1, 2, 4]
    # The first exit may be one of those that happen; nothing of a loop is called steady.
    assert service.messages().count("has reached a steady state.") <= 2
    said = f"back-off: the next start of {first} is in "
    (back_off,) = service.until(
        lambda: [line["text"] for line in service.why()["now"] if line["what"] == "back-off"], "the back-off"
    )
    assert back_off.startswith(said)
    assert back_off.endswith("tasks in a row ended soon after they ran")
    (failure,) = service.why()["failures"]
    assert failure["cause"] == "essential container main exited with code 3"
    assert failure["count"] >= 4

    service.update(forceNewDeployment=True)
    second = service.describe()["deployments"][0]["id"]
    service.until(lambda: delays(service, second), "the delays to begin anew")
    assert delays(service, second)[0] == 1
    service.update(taskDefinition=service.register())
    service.stable()
    assert not any(line["what"] == "back-off" for line in service.why()["now"])


def delays(service: DeployedService, deployment: str) -> list[int]:
    """The delays that the service told of a deployment, in seconds."""
    slowed = re.compile(
        rf"\(deployment {deployment}\) tasks exit or fail their health checks soon after they start\. "
        r"The next task is started (\d+) seconds? after the last one ended\."
    )
    return [int(match[1]) for message in service.messages() if (match := slowed.fullmatch(message))]


def healthy(service: DeployedService) -> list[dict[str, Any]]:
    return [task for task in service.tasks() if task["healthStatus"] == "HEALTHY"]


def steady(service: DeployedService, since: Any) -> list[str]:
    """What was said since then once the last of it is that all is well."""
    said = service.messages(after=since)
    return said if said[-1:] == ["has reached a steady state."] else []


def kill(service: DeployedService, tasks: list[str]) -> None:
    """What ``docker kill -s KILL`` does, for all containers of the tasks."""
    running = service.containers()
    for task in tasks:
        for container in running[task]:
            status, said = service.world.engine.call("POST", f"/containers/{container}/kill?signal=KILL")
            assert status in (204, 409), said
