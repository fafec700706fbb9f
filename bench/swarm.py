"""Docker Swarm on the same engine, as its own API drives it: the peer of services.

``swarm()`` makes the engine a manager of one and takes everything away again.  Services have no
networks of their own, so their tasks are on the engine's default bridge, and no task is restarted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import engine
from load import LoadError

NAME = "openecs-bench"
_PATIENCE = 180.0


class Setting(NamedTuple):
    """How a rolling update goes; a ``parallelism`` of 0 replaces all tasks at once."""

    parallelism: int
    order: str

    def __str__(self) -> str:
        return f"parallelism {self.parallelism or 'all'}, {self.order}"


@contextmanager
def swarm() -> Iterator[None]:
    """The engine is a swarm of one; at the end it is none, and what swarms leave behind is gone."""
    if engine.api("GET", "/info")["Swarm"]["LocalNodeState"] != "inactive":
        raise SystemExit("bench: the engine is in a swarm already. Leave it with: docker swarm leave --force")
    engine.api("POST", "/swarm/init", {"ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1"})
    try:
        yield
    finally:
        engine.api("POST", "/swarm/leave?force=1")
        for network in engine.api("GET", "/networks"):
            if network["Name"] == "docker_gwbridge":
                engine.api("DELETE", f"/networks/{network['Id']}")


def create(version: str, replicas: int) -> None:
    """A service whose containers have the label ``engine.VERSION`` with that value."""
    engine.api("POST", "/services/create", _spec(version, replicas, Setting(1, "stop-first")))


def scale(version: str, replicas: int) -> float:
    """Seconds from the call until so many tasks run, as the swarm itself says."""
    started = time.perf_counter()
    _update(_spec(version, replicas, Setting(1, "stop-first")))
    _wait(lambda: _running_tasks() == replicas)
    return time.perf_counter() - started


def roll(version: str, old: str, replicas: int, setting: Setting) -> float:
    """Seconds of an update until every container is a new one and the swarm says that all run."""
    started = time.perf_counter()
    _update(_spec(version, replicas, setting))
    _wait(lambda: engine.replaced(version, old, replicas) and _running_tasks() == replicas)
    return time.perf_counter() - started


def remove() -> None:
    """Remove the service; returns when its containers are gone."""
    engine.api("DELETE", f"/services/{NAME}")
    _wait(lambda: not engine.running(f"com.docker.swarm.service.name={NAME}"))


def _spec(version: str, replicas: int, setting: Setting) -> dict[str, Any]:
    return {
        "Name": NAME,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": engine.IMAGE,
                "Command": engine.STAYS,
                "Labels": {engine.VERSION: version},
                "StopGracePeriod": 5_000_000_000,
            },
            "RestartPolicy": {"Condition": "none"},
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": setting.parallelism, "Order": setting.order, "Monitor": 1_000_000},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def _update(spec: dict[str, Any]) -> None:
    version = engine.api("GET", f"/services/{NAME}")["Version"]["Index"]
    engine.api("POST", f"/services/{NAME}/update?version={version}", spec)


def _running_tasks() -> int:
    filters = quote(f'{{"service":["{NAME}"],"desired-state":["running"]}}')
    return sum(task["Status"]["State"] == "running" for task in engine.api("GET", f"/tasks?filters={filters}"))


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise LoadError("the swarm does not get there")
        time.sleep(engine.POLL)
