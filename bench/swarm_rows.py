"""Services of real tasks against Docker Swarm on the same engine, and against the engine alone.

Both run the same image on the engine's default bridge, without health checks; its process ends
at once when it is told to.  Both are asked and looked at in the same ways and take turns.  The
engine's own rows show its share: nobody can be faster than the calls that make the containers.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import engine
import swarm
from api_rows import container
from installation import Installation, installation
from load import LoadError
from swarm import Setting
from table import Row

MANY = 50
ROLLED = 20
ROUNDS = 2
SERVICE = "peer"
SETTINGS = (Setting(0, "start-first"), Setting(0, "stop-first"), Setting(5, "start-first"))
_PATIENCE = 180.0


def measure(folder: Path) -> list[Row]:
    """Scale 0 to 50, and a rolling update of 20."""
    with engine.image(), installation(folder, "--runtime", "docker") as ours, swarm.swarm():
        _register(ours, "1")
        ours.call("CreateService", serviceName=SERVICE, taskDefinition=engine.FAMILY, desiredCount=0)
        swarm.create("1", 0)
        try:
            return [*_scale_rows(ours), *_roll_rows(ours)]
        finally:
            swarm.remove()
            ours.call("DeleteService", service=SERVICE, force=True)


def _scale_rows(ours: Installation) -> list[Row]:
    floors: list[float] = []
    theirs: list[float] = []
    mine: list[float] = []
    for _ in range(ROUNDS):
        floors.append(engine.start_many(MANY, command=engine.STAYS, network="bridge"))
        engine.stop_started()
        theirs.append(swarm.scale("1", MANY))
        swarm.scale("1", 0)
        engine.wait_gone("1")
        mine.append(_scale(ours, MANY))
        _scale(ours, 0)
        engine.wait_gone("1")
    name = f"Service from 0 to {MANY} tasks RUNNING, bridge"
    return [
        _row(name, "Docker Swarm", theirs, mine, 1.0, inclusive=True),
        _share(name, f"{MANY} concurrent create+start", floors, mine),
    ]


def _roll_rows(ours: Installation) -> list[Row]:
    """Both sides have 20 tasks at a time, but not in the same seconds."""
    version = 1
    swarm.scale(str(version), ROLLED)
    best: dict[Setting, float] = {}
    for setting in SETTINGS:
        best[setting] = swarm.roll(str(version + 1), str(version), ROLLED, setting)
        version += 1
    swarm.scale(str(version), 0)
    engine.wait_gone(str(version))
    floors: list[float] = []
    mine: list[float] = []
    version = 1
    _scale(ours, ROLLED)
    for _ in range(ROUNDS):
        mine.append(_roll(ours, str(version + 1), str(version)))
        version += 1
    _scale(ours, 0)
    engine.wait_gone(str(version))
    for _ in range(ROUNDS):
        started = engine.start_many(ROLLED, command=engine.STAYS, network="bridge")
        floors.append(started + engine.stop_started())
    setting = min(best, key=lambda one: best[one])
    name = f"Rolling update of {ROLLED} tasks, bridge"
    others = ", ".join(f"{one}: {seconds:.1f} s" for one, seconds in best.items() if one != setting)
    print(f"Docker Swarm, rolling update of {ROLLED}: {setting}: {best[setting]:.1f} s, {others}")
    return [
        _row(name, f"Docker Swarm, best ({setting})", [best[setting]], mine, 1.0, inclusive=False),
        _share(name, f"{ROLLED} create+start, stop+remove", floors, mine),
    ]


def _register(ours: Installation, version: str) -> None:
    labels = {engine.VERSION: version}
    definition = container(image=engine.IMAGE, command=engine.STAYS, memory=16, stopTimeout=5, dockerLabels=labels)
    ours.call("RegisterTaskDefinition", family=engine.FAMILY, networkMode="bridge", containerDefinitions=[definition])


def _scale(ours: Installation, count: int) -> float:
    started = time.perf_counter()
    ours.call("UpdateService", service=SERVICE, desiredCount=count)
    _wait(ours, lambda service: service["runningCount"] == count)
    return time.perf_counter() - started


def _roll(ours: Installation, version: str, old: str) -> float:
    """Until every container is a new one and the deployment is complete."""
    _register(ours, version)
    started = time.perf_counter()
    ours.call("UpdateService", service=SERVICE, taskDefinition=engine.FAMILY)

    def done(service: dict[str, Any]) -> bool:
        newest = service["deployments"][0]
        return (
            newest["rolloutState"] == "COMPLETED"
            and newest["runningCount"] == ROLLED
            and engine.replaced(version, old, ROLLED)
        )

    _wait(ours, done)
    return time.perf_counter() - started


def _wait(ours: Installation, condition: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        (service,) = ours.call("DescribeServices", services=[SERVICE])["services"]
        if condition(service):
            return
        if time.monotonic() > deadline:
            raise LoadError(f"it did not come about: {[e['message'] for e in service['events'][:3]]}")
        time.sleep(engine.POLL)


def _row(measure: str, peer: str, theirs: list[float], ours: list[float], goal: float, *, inclusive: bool) -> Row:
    floor, mine = statistics.median(theirs), statistics.median(ours)
    ratio = mine / floor
    sign = "<=" if inclusive else "<"
    ok = ratio <= goal if inclusive else ratio < goal
    return Row(measure, peer, f"{floor:.2f} s", f"{mine:.2f} s", ratio, f"{sign} {goal}", ok)


def _share(measure: str, floor_name: str, floors: list[float], ours: list[float]) -> Row:
    """The engine's share of our time; reported, since it cannot be a goal of ours."""
    floor, mine = statistics.median(floors), statistics.median(ours)
    goal = f"engine's share {floor / mine * 100:.0f} %"
    return Row(measure, floor_name, f"{floor:.2f} s", f"{mine:.2f} s", mine / floor, goal, True)
