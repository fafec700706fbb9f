"""Which of several equal tasks is stopped first.  Pure and deterministic.

The order keeps what AWS keeps: the balance of availability zones first.  Within a zone, a service
whose strategy packs bins gives up the task whose instance then has the most left, so that instances
become empty; others keep the balance of instances.  Among tasks that are equal in that, the newest
goes, so that the longest proven stay.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from openecs.model.service import Service
from openecs.model.task import Task

#: Tasks that one step stops at most: others get their turn before the next step, which the
#: step's own changes bring about.
MAX_STOPS = 250

#: How much of the resource that is packed would be left on a task's instance without the task,
#: other stops aside, and how much the task itself holds of it.
Spare = Callable[[Task], tuple[int, int]]


def packing(service: Service) -> str | None:
    """What the service's strategy packs, ``cpu`` or ``memory``; ``None`` when it does not pack bins.

    A spread over instances that comes before it decides instead, as it does for placement.
    """
    for strategy in service.placement_strategy:
        field = (strategy.field or "").lower()
        if strategy.type == "binpack":
            return field
        if strategy.type == "spread" and field in ("instanceid", "host"):
            return None
    return None


def spare_by(service: Service, room_left: Mapping[str, int]) -> Spare | None:
    """How to weigh tasks of a service that packs bins; ``room_left`` is by node id."""
    field = packing(service)
    if field is None:
        return None

    def spare(task: Task) -> tuple[int, int]:
        held = task.reservation.cpu if field == "cpu" else task.reservation.memory
        return room_left.get(task.node_id or "", 0) + held, held

    return spare


def choose(candidates: Sequence[Task], count: int, everyone: Sequence[Task], spare: Spare | None = None) -> list[Task]:
    """``count`` tasks out of ``candidates``, the first to stop first.

    ``everyone`` are the tasks of the service whose spread matters, the candidates among them.
    After each choice the spread is counted again, or the fullest zone would be emptied.
    """
    if count <= 0:
        return []
    if count >= len(candidates):
        return list(candidates)
    return _Choice(candidates, everyone, spare).take(count)


class _Choice:
    """Every zone has a heap of its nodes, the node that gives up its next task on top.

    A task of a zone costs the logarithm of its nodes, however many there are.
    """

    def __init__(self, candidates: Sequence[Task], everyone: Sequence[Task], spare: Spare | None) -> None:
        self._spare = spare
        self._zones = Counter(task.availability_zone for task in everyone)
        self._nodes = Counter(task.node_id for task in everyone)
        #: What the choice has given back of the packed resource, by node.
        self._freed: Counter[str | None] = Counter()
        #: Tasks by place, the newest last: only it competes with those of other places.
        self._places: dict[tuple[str | None, str | None], list[tuple[int, Task]]] = {}
        for rank, task in enumerate(sorted(candidates, key=lambda task: (task.created_at, task.arn))):
            self._places.setdefault((task.availability_zone, task.node_id), []).append((rank, task))
        self._heaps: dict[str | None, list[tuple[int, int, str | None]]] = {}
        for zone, node in self._places:
            self._heaps.setdefault(zone, []).append(self._entry(zone, node))
        for heap in self._heaps.values():
            heapq.heapify(heap)

    def take(self, count: int) -> list[Task]:
        """The next ``count`` tasks; there are more."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Task:
        zone = min(self._heaps, key=lambda zone: (-self._zones[zone], self._head(zone)[:2]))
        _, _, node = heapq.heappop(self._heaps[zone])
        place = self._places[zone, node]
        _, victim = place.pop()
        self._zones[zone] -= 1
        self._nodes[node] -= 1
        if self._spare is not None:
            self._freed[node] += self._spare(victim)[1]
        if place:
            heapq.heappush(self._heaps[zone], self._entry(zone, node))
        elif not self._heaps[zone]:
            del self._heaps[zone]
        return victim

    def _head(self, zone: str | None) -> tuple[int, int, str | None]:
        """The top of a zone's heap, put right if the node has given up a task of another zone."""
        heap = self._heaps[zone]
        while heap[0] != (entry := self._entry(zone, heap[0][2])):
            heapq.heapreplace(heap, entry)
        return heap[0]

    def _entry(self, zone: str | None, node: str | None) -> tuple[int, int, str | None]:
        rank, task = self._places[zone, node][-1]
        weight = self._nodes[node] if self._spare is None else self._spare(task)[0] + self._freed[node]
        return -weight, -rank, node
