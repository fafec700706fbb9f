"""Services with tasks that found no place, and which changes may help them.

A change of a node helps only services that may use that node, and only if it has the CPU and
memory for one of their tasks.  So what happens in a full cluster costs next to nothing, however
many services wait in it and in others.  Nothing here is stored: it only says whom to wake, and
after a restart every service is looked at anyway.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.control.node_room import has_room
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.state.state import State

#: What the nodes of the Fargate pool, which clusters share, are found under.
_POOL = "FARGATE"


class Shortage(NamedTuple):
    """What a task lacked that could not be started."""

    fargate: bool
    #: CPU units and MiB that one task needs.
    cpu: int = 0
    memory: int = 0
    #: It lacked something that the end of a task anywhere in the region may give: an address of
    #: its subnets, or a place among the tasks that wait for capacity.
    elsewhere: bool = False


class WaitingServices:
    """Whom to look at again, and when."""

    def __init__(self, state: State) -> None:
        self._state = state
        #: Service → what its tasks lacked.
        self._shortages: dict[str, tuple[Shortage, ...]] = {}
        #: Cluster or pool → services that look for nodes there.
        self._by_pool: dict[str, dict[str, None]] = {}
        #: Service → its region, of those that lack something that does not come with a node.
        self._elsewhere: dict[str, str] = {}
        #: Service → the pools in which it looks for nodes.
        self._pools: dict[str, tuple[str, ...]] = {}

    def __contains__(self, service_arn: str) -> bool:
        return service_arn in self._shortages

    def put(self, service: Service, shortages: tuple[Shortage, ...]) -> None:
        """Remember what a service's last look found lacking; nothing: it waits no more."""
        self.discard(service.arn)
        if not shortages:
            return
        pools = tuple(dict.fromkeys(_POOL if lacks.fargate else service.cluster_arn for lacks in shortages))
        self._shortages[service.arn] = shortages
        self._pools[service.arn] = pools
        for pool in pools:
            self._by_pool.setdefault(pool, {})[service.arn] = None
        if any(lacks.elsewhere for lacks in shortages):
            self._elsewhere[service.arn] = service.region

    def discard(self, service_arn: str) -> None:
        """The service waits for nothing any more."""
        self._shortages.pop(service_arn, None)
        self._elsewhere.pop(service_arn, None)
        for pool in self._pools.pop(service_arn, ()):
            services = self._by_pool[pool]
            del services[service_arn]
            if not services:
                del self._by_pool[pool]

    def node_changed(self, node_id: str) -> list[str]:
        """The services for whose tasks a node, which has changed, may have room."""
        if not self._by_pool:
            return []
        node = self._state.nodes.get(node_id)
        pools = [_POOL] if node is not None and node.fargate_pool else []
        pools += dict.fromkeys(i.cluster_arn for i in self._state.container_instances.by("node", node_id))
        return [
            service
            for pool in pools
            for service in self._by_pool.get(pool, ())
            if any(
                (lacks.elsewhere or has_room(self._state, node_id, lacks.cpu, lacks.memory))
                and (pool == _POOL) == lacks.fargate
                for lacks in self._shortages[service]
            )
        ]

    def task_changed(self, old: Task | None, new: Task | None) -> list[str]:
        """The services that may use what a task gave back that ended, or that waits no more."""
        if not self._shortages or old is None or old.stopped:
            return []
        ended = new is None or new.stopped
        keys: list[str] = []
        if ended and old.node_id is not None:
            keys += self.node_changed(old.node_id)
        if self._elsewhere and (ended or (old.waiting is not None and new is not None and new.waiting is None)):
            keys += [service for service, region in self._elsewhere.items() if region == old.region]
        return keys
