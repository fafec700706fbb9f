"""What a task needs around its containers on this host: volumes, limits, log router, network.

Made before them, removed after.  No decisions: each method does its part and answers with a fact;
``EngineUnavailable`` passes through.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from openecs.acs.task_payload import TaskPayload
from openecs.agent.engine import facts as f
from openecs.agent.engine import firelens, log_router, names, volumes
from openecs.agent.engine.limits import LimitsError
from openecs.agent.engine.settings import EngineParts
from openecs.agent.engine.task_state import TaskState
from openecs.agent.network.driver import AddressInUseError, NetworkError
from openecs.agent.runtime.protocol import EngineError

_log = structlog.get_logger("openecs.agent")


class Surroundings:
    """Those of one task; ``pause_labels`` are for the container that holds its network."""

    def __init__(self, payload: TaskPayload, parts: EngineParts, cluster: str, pause_labels: Mapping[str, str]) -> None:
        self._payload = payload
        self._cluster = cluster
        self._parts = parts
        self._pause_labels = pause_labels
        self._awsvpc = payload.network_mode == "awsvpc"

    @property
    def needed(self) -> bool:
        """Whether anything must be made before the first container."""
        limits = self._parts.limits.parent(self._payload) is not None
        routed = firelens.router(self._payload) is not None
        return self._awsvpc or limits or routed or volumes.needed(self._payload)

    async def prepare(self) -> f.Fact:
        """Make them."""
        parts = self._parts
        try:
            await volumes.make(self._payload, parts.runtime, {names.LABEL_TASK_ARN: self._payload.arn})
            await parts.limits.make(self._payload)
            log_router.make(self._payload, parts.settings.run_dir, self._cluster)
            mode = await parts.network.attach(self._payload, self._pause_labels) if self._awsvpc else None
        except (OSError, firelens.FirelensError) as error:
            return f.PrepareFailed(reason=f"ResourceInitializationError: the log router cannot be configured: {error}")
        except (volumes.VolumeError, LimitsError, AddressInUseError) as error:
            return f.PrepareFailed(reason=f"ResourceInitializationError: {error}")
        except NetworkError as error:
            return f.PrepareFailed(reason=f"ContainerNetworkingError: {error}")
        return f.Prepared(network_mode=mode)

    async def release(self) -> f.Fact:
        """Give back what others may need, when the last container has ended."""
        if self._awsvpc:
            await self._parts.network.detach(self._payload)
        await self._parts.limits.remove(self._payload)
        return f.Released()

    async def clean_up(self, state: TaskState) -> f.Fact:
        """Remove the containers and everything around them."""
        runtime = self._parts.runtime
        if self._parts.evidence is not None:
            await self._parts.evidence.settled(self._payload.arn)
        for container in state.containers:
            if container.container_id is not None:
                await runtime.remove(container.container_id)
        # The engine may have kept the network's container, and needed the task's group, for the sake of these.
        await self.release()
        log_router.remove(self._payload, self._parts.settings.run_dir)
        try:
            await volumes.remove(self._payload, runtime)
        except EngineError as error:
            # Somebody else uses it now; it is theirs.
            _log.warning("volume left behind", task=self._payload.arn, error=error.message)
        return f.Cleaned()
