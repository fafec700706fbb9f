"""Which of several equal tasks is stopped first.  Pure and deterministic.

The order keeps what AWS keeps: the balance of availability zones first, then of instances.
Among tasks that are equal in that, the newest goes, so that the longest proven stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from openecs.model.task import Task


def choose(candidates: Sequence[Task], count: int, everyone: Sequence[Task]) -> list[Task]:
    """``count`` tasks out of ``candidates``, the first to stop first.

    ``everyone`` are the tasks of the service whose spread matters, the candidates among them.
    After each choice the spread is counted again, or the fullest zone would be emptied.
    """
    if count <= 0:
        return []
    if count >= len(candidates):
        return list(candidates)
    zones = Counter(task.availability_zone for task in everyone)
    nodes = Counter(task.node_id for task in everyone)
    # Tasks of one node are interchangeable but for their age: only the newest of each competes.
    by_node: dict[str | None, list[Task]] = {}
    for task in sorted(candidates, key=lambda task: (task.created_at, task.arn)):
        by_node.setdefault(task.node_id, []).append(task)
    chosen: list[Task] = []
    while len(chosen) < count:
        heads = [tasks[-1] for tasks in by_node.values() if tasks]
        victim = max(
            heads,
            key=lambda task: (zones[task.availability_zone], nodes[task.node_id], task.created_at, task.arn),
        )
        by_node[victim.node_id].pop()
        zones[victim.availability_zone] -= 1
        nodes[victim.node_id] -= 1
        chosen.append(victim)
    return chosen
