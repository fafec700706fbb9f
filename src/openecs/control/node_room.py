"""Whether a node has the CPU and memory for a task: a cheap look before placement is asked.

Placement has the last word; it looks at ports, GPUs, attributes and constraints as well.
"""

from __future__ import annotations

from openecs.state.state import State


def has_room(state: State, node_id: str, cpu: int, memory: int) -> bool:
    """Whether at least so many CPU units and MiB are free on a node; an unknown one has none."""
    node = state.nodes.get(node_id)
    if node is None:
        return False
    used = state.usage.node(node_id)
    return node.capacity.cpu - used.cpu >= cpu and node.capacity.memory - used.memory >= memory
