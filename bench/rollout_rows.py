"""Rolling deployments of one real task: a good revision, one that cannot start, one that crashes.

The clock runs from UpdateService to the answer that shows the deployment (or the rollback) as
COMPLETED.  The floors are what the engine alone needs for the containers of it: a container that becomes
healthy, and as many failures as the circuit breaker counts by default for one task.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine
from api_rows import container
from installation import Installation, installation
from load import LoadError
from table import Row

SERVICE = "rollout"
#: The shortest interval that ECS accepts; the engine probes for the first time after one interval.
HEALTH_CHECK = {"command": ["CMD", "/bin/busybox", "true"], "interval": 5, "timeout": 2, "retries": 1}
#: Nobody listens there, so a pull is refused at once.
NO_IMAGE = "127.0.0.1:9/openecs-bench/none:1"
CRASH = ["/bin/busybox", "sh", "-c", "exit 7"]
ROUNDS = 3
#: What the circuit breaker counts at least before it fails a deployment.
FAILURES = 3
ROLLOUT_GOAL, ROLLBACK_GOAL = 6.0, 30.0
_PATIENCE = 120.0


def measure(folder: Path) -> list[Row]:
    """All three rows."""
    with engine.image(), installation(folder, "--runtime", "docker") as ours:
        _register(ours, "good", image=engine.IMAGE, command=engine.STAYS, healthCheck=HEALTH_CHECK)
        _register(ours, "no-image", image=NO_IMAGE)
        _register(ours, "crash", image=engine.IMAGE, command=CRASH)
        ours.call(
            "CreateService",
            serviceName=SERVICE,
            taskDefinition=_family("good"),
            desiredCount=1,
            deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        )
        _wait(ours, lambda service: _completed(service, 0.0))
        try:
            return [
                _row(
                    "Rolling deployment, one task, health check every 5 s",
                    "the engine: start until healthy",
                    [_until_healthy() for _ in range(ROUNDS)],
                    [_deploy(ours) for _ in range(ROUNDS)],
                    ROLLOUT_GOAL,
                ),
                _row(
                    "Rollback, image that cannot be pulled",
                    f"the engine: {FAILURES} pulls",
                    [_fail_to_pull()],
                    [_roll_back(ours, "no-image")],
                    ROLLBACK_GOAL,
                ),
                _row(
                    "Rollback, container that exits at once",
                    f"the engine: {FAILURES} starts",
                    [_crash()],
                    [_roll_back(ours, "crash")],
                    ROLLBACK_GOAL,
                ),
            ]
        finally:
            ours.call("DeleteService", service=SERVICE, force=True)


def _family(kind: str) -> str:
    return f"{engine.FAMILY}-{kind}"


def _register(ours: Installation, kind: str, **more: Any) -> None:
    definition = container(memory=16, stopTimeout=2, **more)
    ours.call("RegisterTaskDefinition", family=_family(kind), networkMode="host", containerDefinitions=[definition])


def _deploy(ours: Installation) -> float:
    """A new deployment of the same definition."""
    started = time.perf_counter()
    reply = ours.call("UpdateService", service=SERVICE, forceNewDeployment=True)
    begun = reply["service"]["deployments"][0]["createdAt"]
    _wait(ours, lambda service: _completed(service, begun))
    return time.perf_counter() - started


def _roll_back(ours: Installation, kind: str) -> float:
    """Until the last good revision is the one that is deployed, and complete."""
    good = ours.call("DescribeServices", services=[SERVICE])["services"][0]["taskDefinition"]
    started = time.perf_counter()
    reply = ours.call("UpdateService", service=SERVICE, taskDefinition=_family(kind))
    if reply["service"]["taskDefinition"] == good:
        raise LoadError("the update changed nothing")
    _wait(ours, lambda service: service["taskDefinition"] == good and _completed(service, 0.0))
    return time.perf_counter() - started


def _completed(service: dict[str, Any], begun: float) -> bool:
    """Whether the newest deployment, begun then or later, is complete and its task runs."""
    newest = next(d for d in service["deployments"] if d["status"] == "PRIMARY")
    return newest["createdAt"] >= begun and newest["rolloutState"] == "COMPLETED" and newest["runningCount"] == 1


def _wait(ours: Installation, condition: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        (service,) = ours.call("DescribeServices", services=[SERVICE])["services"]
        if condition(service):
            return
        if time.monotonic() > deadline:
            raise LoadError(f"it did not come about: {[e['message'] for e in service['events'][:3]]}")
        time.sleep(0.01)


def _until_healthy() -> float:
    seconds = 1_000_000_000
    probe = {"Test": HEALTH_CHECK["command"], "Interval": 5 * seconds, "Timeout": 2 * seconds, "Retries": 1}
    started = time.perf_counter()
    made = engine.start_one(command=engine.STAYS, network="host", Healthcheck=probe)
    while engine.api("GET", f"/containers/{made}/json")["State"]["Health"]["Status"] != "healthy":
        time.sleep(0.01)
    taken = time.perf_counter() - started
    engine.remove_started()
    return taken


def _fail_to_pull() -> float:
    started = time.perf_counter()
    for _ in range(FAILURES):
        try:
            engine.api("POST", f"/images/create?fromImage={NO_IMAGE}")
        except RuntimeError:
            continue
        raise LoadError(f"{NO_IMAGE} can be pulled")
    return time.perf_counter() - started


def _crash() -> float:
    started = time.perf_counter()
    for _ in range(FAILURES):
        made = engine.start_one(command=CRASH, network="host")
        engine.api("POST", f"/containers/{made}/wait")
    taken = time.perf_counter() - started
    engine.remove_started()
    return taken


def _row(measure: str, peer: str, theirs: list[float], ours: list[float], goal: float) -> Row:
    floor, mine = statistics.median(theirs), statistics.median(ours)
    return Row(measure, peer, f"{floor:.2f} s", f"{mine:.2f} s", mine / floor, f"< {goal:.0f} s", mine < goal)
