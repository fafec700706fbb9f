"""Which container of a task waits for which, at start and at stop.  Pure.

Besides ``dependsOn``, ``links`` mean START and ``volumesFrom`` means that the other container
must exist; who logs to the task's log router waits for its START.  At stop the order is reversed
for all but the existence.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs.acs.task_payload import ContainerPayload, TaskPayload
from openecs.agent.engine import firelens
from openecs.agent.engine.task_state import ContainerState

Verdict = Literal["ready", "wait"]


class Edge(NamedTuple):
    """``target`` (the owner of the edge) waits until ``name`` satisfies ``condition``."""

    name: str
    #: START, COMPLETE, SUCCESS, HEALTHY, or CREATE for volumesFrom.
    condition: str


class Graph:
    """The dependencies among a task's containers."""

    def __init__(self, payload: TaskPayload) -> None:
        self.containers: dict[str, ContainerPayload] = {c.name: c for c in payload.containers}
        found = firelens.router(payload)
        router = found.name if found is not None else ""
        self.edges: dict[str, tuple[Edge, ...]] = {c.name: _edges(c, router) for c in payload.containers}
        dependents: dict[str, list[str]] = {name: [] for name in self.containers}
        for name, edges in self.edges.items():
            for edge in edges:
                if edge.condition != "CREATE" and edge.name in dependents:
                    dependents[edge.name].append(name)
        self.dependents: dict[str, tuple[str, ...]] = {name: tuple(names) for name, names in dependents.items()}

    def resolvable(self) -> bool:
        """Whether every dependency exists and none goes in a circle."""
        done: set[str] = set()
        path: set[str] = set()

        def visit(name: str) -> bool:
            if name in done:
                return True
            if name in path or name not in self.containers:
                return False
            path.add(name)
            if not all(visit(edge.name) for edge in self.edges[name]):
                return False
            path.discard(name)
            done.add(name)
            return True

        return all(visit(name) for name in self.containers)

    def deadline(self, name: str, states: dict[str, ContainerState]) -> float | None:
        """When the first of the container's unmet dependencies runs out of its startTimeout."""
        times = []
        for edge in self.edges[name]:
            limit = self._limit(edge, states)
            if limit is not None and not _met(edge, states[edge.name]):
                times.append(limit)
        return min(times, default=None)

    def judge(self, name: str, states: dict[str, ContainerState], now: float) -> tuple[Verdict, str | None]:
        """``("ready", None)``, ``("wait", None)``, or ``("wait", reason)`` when it can never start."""
        ready = True
        for edge in self.edges[name]:
            dependency = states[edge.name]
            if _met(edge, dependency):
                continue
            ready = False
            complaint = self._hopeless(edge, dependency)
            limit = self._limit(edge, states)
            if complaint is None and limit is not None and now >= limit:
                complaint = "{prefix} has timed out."
            if complaint is not None:
                return "wait", self._word(complaint, dependency, states[name])
        return ("ready" if ready else "wait"), None

    def _limit(self, edge: Edge, states: dict[str, ContainerState]) -> float | None:
        if edge.condition not in ("COMPLETE", "SUCCESS", "HEALTHY"):
            return None
        timeout = self.containers[edge.name].start_timeout
        started = states[edge.name].started_at
        return None if timeout is None or started is None else started + timeout

    @staticmethod
    def _hopeless(edge: Edge, dependency: ContainerState) -> str | None:
        if not dependency.stopped:
            return None
        if edge.condition == "SUCCESS" and dependency.has_run:
            return "failed to resolve {prefix} as dependency did not exit successfully."
        return "failed to resolve {prefix} because dependency will never start"

    def _word(self, complaint: str, dependency: ContainerState, target: ContainerState) -> str:
        prefix = f"container ordering dependency [{self._describe(dependency)}] for target [{self._describe(target)}]"
        return "dependency graph: " + complaint.format(prefix=prefix)

    def _describe(self, state: ContainerState) -> str:
        text = f"{state.name}({self.containers[state.name].image}) ({state.status}->RUNNING)"
        return text if state.exit_code is None else f"{text} - Exit: {state.exit_code}"


def _edges(container: ContainerPayload, router: str) -> tuple[Edge, ...]:
    edges = [Edge(d.container_name, d.condition.upper()) for d in container.depends_on]
    edges += [Edge(link.split(":", 1)[0], "START") for link in container.links]
    edges += [Edge(v.source_container, "CREATE") for v in container.volumes_from]
    if router and firelens.options(container) is not None:
        edges.append(Edge(router, "START"))
    return tuple(edges)


def _met(edge: Edge, dependency: ContainerState) -> bool:
    match edge.condition:
        case "START":
            return dependency.status == "RUNNING" or (dependency.stopped and dependency.has_run)
        case "HEALTHY":
            return dependency.status == "RUNNING" and dependency.health == "HEALTHY"
        case "COMPLETE":
            return dependency.stopped and dependency.has_run
        case "SUCCESS":
            return dependency.stopped and dependency.has_run and dependency.exit_code == 0
        case "CREATE":
            return dependency.container_id is not None
        case _:
            return False
