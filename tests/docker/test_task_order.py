"""dependsOn, health, restarts and time limits: what starts and ends when, by the engine's clock."""

from __future__ import annotations

from typing import Any

from docker_world import STAY, World, by_name, reasons

WAITS = "until test -e /tmp/go; do sleep 0.05; done; "


def started(world: World, task: str, name: str) -> str:
    result: str = world.inspect(task, name)["State"]["StartedAt"]
    return result


def ended(world: World, task: str, name: str) -> str:
    result: str = world.inspect(task, name)["State"]["FinishedAt"]
    return result


def check(script: str, **members: Any) -> dict[str, Any]:
    return {"command": ["CMD-SHELL", script], "interval": 5, "timeout": 2, "retries": 1, **members}


def test_every_condition_orders_the_start_and_the_stop_is_reversed(world: World) -> None:
    def after(name: str, condition: str) -> dict[str, Any]:
        return {"dependsOn": [{"containerName": name, "condition": condition}]}

    task = world.run(
        world.container("first", STAY, healthCheck=check("test -e /etc/passwd")),
        world.container("onstart", STAY, **after("first", "START")),
        world.container("init", "sleep 0.3; exit 0", essential=False, **after("onstart", "START")),
        world.container("fails", "sleep 0.2; exit 4", essential=False),
        world.container("onsuccess", STAY, **after("init", "SUCCESS")),
        world.container("oncomplete", STAY, **after("fails", "COMPLETE")),
        world.container("onhealthy", STAY, **after("first", "HEALTHY")),
    )
    running = world.reaches(task, "RUNNING", seconds=60)
    assert by_name(running)["first"]["healthStatus"] == "HEALTHY"
    assert started(world, task, "first") < started(world, task, "onstart")
    assert ended(world, task, "init") < started(world, task, "onsuccess")
    assert ended(world, task, "fails") < started(world, task, "oncomplete")
    probe = world.inspect(task, "first")["State"]["Health"]["Log"][0]
    assert probe["End"] < started(world, task, "onhealthy")
    world.stop(task)
    assert max(ended(world, task, "onstart"), ended(world, task, "onhealthy")) <= ended(world, task, "first")


def test_a_dependency_that_fails_keeps_the_others_from_starting(world: World) -> None:
    task = world.run(
        world.container("init", "exit 4", essential=False),
        world.container("main", STAY, dependsOn=[{"containerName": "init", "condition": "SUCCESS"}]),
    )
    stopped = world.reaches(task, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "did not exit successfully" in stopped["stoppedReason"]
    assert by_name(stopped)["init"]["exitCode"] == 4
    names = [c["Labels"]["com.amazonaws.ecs.container-name"] for c in world.engine.containers_of(task)]
    assert names == ["init"]


def test_a_start_timeout_gives_up(world: World) -> None:
    task = world.run(
        world.container("slow", STAY, essential=False, startTimeout=2),
        world.container("main", STAY, dependsOn=[{"containerName": "slow", "condition": "COMPLETE"}]),
    )
    stopped = world.reaches(task, "STOPPED")
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "has timed out" in stopped["stoppedReason"]
    assert "runtimeId" not in by_name(stopped)["main"]
    assert any("timed out" in reason for reason in reasons(stopped))
    assert world.inspect(task, "slow")["State"]["Running"] is False


def test_health_is_what_the_check_says(world: World) -> None:
    task = world.run(
        world.container("well", STAY, healthCheck=check("exit 0")),
        world.container("ill", STAY, healthCheck=check("echo no; exit 1")),
        world.container("plain", STAY),
    )
    world.reaches(task, "RUNNING")
    told = ["HEALTHY", "UNHEALTHY"]
    shown = world.until(task, lambda t: [by_name(t)[n]["healthStatus"] for n in ("well", "ill")] == told)
    containers = by_name(shown)
    assert containers["well"]["healthStatus"] == "HEALTHY"
    assert shown["healthStatus"] == "UNHEALTHY"
    # Only containers with a check of the definition have a health at all.
    assert containers["plain"]["healthStatus"] == "UNKNOWN"
    health = world.inspect(task, "ill")["Config"]["Healthcheck"]
    assert health["Test"] == ["CMD-SHELL", "echo no; exit 1"]
    assert (health["Interval"], health["Timeout"], health["Retries"]) == (5 * 10**9, 2 * 10**9, 1)
    # A standalone task is not stopped because of its health.
    assert world.describe(task)["lastStatus"] == "RUNNING"
    world.stop(task)


def test_a_restart_policy_leaves_short_runs_and_ignored_codes_alone(world: World) -> None:
    policy = {"enabled": True, "ignoredExitCodes": [42], "restartAttemptPeriod": 60}
    task = world.run(
        world.container("soon", "echo run; exit 1", essential=False, restartPolicy=policy),
        world.container("ignored", "echo run; exit 42", essential=False, restartPolicy=policy),
        world.container("main", STAY),
    )
    world.reaches(task, "RUNNING")
    for name, code in (("soon", 1), ("ignored", 42)):
        ended = world.until(task, lambda t, name=name: by_name(t)[name]["lastStatus"] == "STOPPED")
        assert by_name(ended)[name]["exitCode"] == code
        assert world.output(task, name).count("run") == 1
    assert world.describe(task)["lastStatus"] == "RUNNING"
    world.stop(task)


def test_a_restart_policy_starts_the_container_again(world: World, long_run: str) -> None:
    """The task of ``long_run`` runs from the beginning of the session on."""
    ended = world.until(long_run, lambda t: by_name(t)["again"]["lastStatus"] == "STOPPED", seconds=90)
    assert by_name(ended)["again"]["exitCode"] == 42
    assert world.output(long_run, "again").count("run") == 2
    assert ended["lastStatus"] == "RUNNING"
    assert world.inspect(long_run, "main")["State"]["Running"] is True
    world.stop(long_run)
