"""Resetting an ephemeral installation: afterwards it is as after a fresh ``openecs up``.

Machines whose agents are connected stay, each with the container instances that it would have
had it just registered; so their agents notice nothing.  Root's and the agents' keys stay too.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from openecs.api.ecs.registered_resources import RESERVED_PREFIXES
from openecs.clock import Clock
from openecs.control.launch import Launcher
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.metrics.store import MetricStore
from openecs.model.node import ContainerInstance
from openecs.server.first_clusters import FirstClusters
from openecs.server.stopping import all_stopped, stop_all
from openecs.state.state import State
from openecs.state.store import Transaction

#: Seconds that a reset waits for containers to stop.
TIMEOUT = 120.0


class Reset:
    """The action behind ``POST /_openecs/reset``."""

    def __init__(
        self,
        state: State,
        *,
        logs: LogStore,
        log_queries: Runner,
        metrics: MetricStore,
        launcher: Launcher,
        clusters: FirstClusters,
        networks: RegionNetworks,
        home: str,
        clock: Clock,
    ) -> None:
        self._state = state
        self._logs = logs
        self._log_queries = log_queries
        self._metrics = metrics
        self._launcher = launcher
        self._clusters = clusters
        self._networks = networks
        self._home = home
        self._clock = clock

    async def run(self) -> None:
        """Stop all tasks, then forget everything; nothing is forgotten when a task does not stop."""
        now = self._clock.now()
        # Longer than the waiting can last, because the wiping that follows takes a moment too.
        self._launcher.pause(until=now + 2 * TIMEOUT)
        try:
            stop_all(self._state, now=now, reason="The installation is being reset.")
            async with asyncio.timeout(TIMEOUT):
                await all_stopped(self._state)
            self._log_queries.forget()
            await self._logs.wipe()
            await self._metrics.wipe()
            self._forget()
            # What the wiping itself left in history goes, too.
            await self._state.store.prune_history(float("inf"), sys.maxsize)
        except TimeoutError:
            raise AWSError(
                "ServerException", "Some tasks have not stopped; nothing was wiped. Try again.", status=500
            ) from None
        finally:
            self._launcher.resume()

    def _forget(self) -> None:
        state = self._state
        with state.transaction() as tx:
            # What belongs to machines that are there, and keys, are looked at one by one.
            kept = (state.clusters, state.nodes, state.container_instances, state.hosts, state.access_keys)
            for table in state.tables:
                if table not in kept:
                    for record in list(table):
                        tx.delete(record)
            for key in [key for key in state.access_keys if key.task_arn is not None]:
                tx.delete(key)
            self._networks.make(tx, self._home)
            self._machines(tx)

    def _machines(self, tx: Transaction) -> None:
        """Machines that are here now as if they had just registered; the others are forgotten."""
        state = self._state
        for node in [node for node in state.nodes if not node.agent_connected]:
            tx.delete(node)
        for host in [host for host in state.hosts if host.node_id not in state.nodes]:
            tx.delete(host)
        # What a node is lent to follows from the clusters; what it registered as is its agent's name.
        for instance in list(state.container_instances):
            its = state.nodes.get(instance.node_id)
            if its is None or instance.arn != its.instance_arn:
                tx.delete(instance)
            else:
                tx.put(self._fresh(instance))
        homes = [state.clusters.get(instance.cluster_arn) for instance in state.container_instances]
        self._clusters.only(tx, [cluster for cluster in homes if cluster is not None], now=self._clock.now())

    def _fresh(self, instance: ContainerInstance) -> ContainerInstance:
        given = [a for a in instance.attributes if a.name.startswith(RESERVED_PREFIXES)]
        return msgspec.structs.replace(
            instance,
            status="ACTIVE",
            taken_back=False,
            attributes=(*given, *instance.registered_attributes),
            registered_at=self._clock.now(),
            version=1,
        )
