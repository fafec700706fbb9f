"""What is free on nodes of the resource that a service's placement strategy packs.

Looked up when it is asked for: a service that takes no tasks away asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from openecs.model.service import Service
from openecs.planning.service_victims import packing
from openecs.state.state import State


def room_left(state: State, service: Service) -> Mapping[str, int]:
    """Node id → free CPU units or MiB of memory; empty for services that do not pack bins."""
    field = packing(service)
    return {} if field is None else _RoomLeft(state, field)


class _RoomLeft(Mapping[str, int]):
    def __init__(self, state: State, field: str) -> None:
        self._state = state
        self._field = field

    def __getitem__(self, node_id: str) -> int:
        node = self._state.nodes.get(node_id)
        if node is None:
            raise KeyError(node_id)
        used = self._state.usage.node(node_id)
        return node.capacity.cpu - used.cpu if self._field == "cpu" else node.capacity.memory - used.memory

    def __iter__(self) -> Iterator[str]:
        return (node.id for node in self._state.nodes)

    def __len__(self) -> int:
        return len(self._state.nodes)
