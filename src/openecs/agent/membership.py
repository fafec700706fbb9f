"""Who this node is to the control plane: its registration as a container instance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
import structlog

from openecs import arn as arns
from openecs.agent.attributes import resources
from openecs.agent.config import AgentConfig
from openecs.agent.control_plane import ControlPlane
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.runtime.protocol import EngineInfo
from openecs.errors import AWSError, OperatorError, Retryable
from openecs.shapes import ecs

_log = structlog.get_logger("openecs.agent")
INSTANCE_ARN = "container-instance-arn"
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.25, 1.5, 10.0


class Membership:
    """Registers, remembers the container instance's ARN, and registers anew when it is void."""

    def __init__(self, config: AgentConfig, api: ControlPlane, store: TaskStore) -> None:
        self._config = config
        self._api = api
        self._store = store
        self._request = ecs.RegisterContainerInstanceRequest()
        self.container_instance = store.get(INSTANCE_ARN) or ""
        self.availability_zone = config.availability_zone or ""

    @property
    def cluster(self) -> str:
        """The cluster as configured."""
        return self._config.cluster

    def describe(self, attributes: tuple[ecs.Attribute, ...], info: EngineInfo, gpus: Iterable[str] = ()) -> None:
        """What registering tells of this node."""
        self._request = ecs.RegisterContainerInstanceRequest(
            cluster=self._config.cluster,
            instance_identity_document="",
            instance_identity_document_signature="",
            attributes=attributes,
            total_resources=resources(self._config, info),
            platform_devices=tuple(ecs.PlatformDevice(id=gpu, type="GPU") for gpu in gpus) or None,
        )

    def forget(self) -> None:
        """The control plane does not know the instance: the next registration is a new one."""
        self.container_instance = ""
        self._store.put(INSTANCE_ARN, None)

    async def register(self) -> None:
        """Register, waiting for a control plane that does not answer yet.

        Raises ``OperatorError`` when the control plane refuses this node.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._register_once()
            except Retryable as error:
                _log.info("control plane not reached", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    async def _register_once(self) -> None:
        known = self.container_instance
        if known and arns.parse(known) is None:
            known = ""
        request = self._request
        if known:
            request = msgspec.structs.replace(request, container_instance_arn=known)
        try:
            instance = await self._api.register(request)
        except AWSError as error:
            if error.code == "ClusterNotFoundException":
                raise Retryable(f"cluster {self._config.cluster} does not exist yet") from None
            if known and error.code in ("ClientException", "InvalidParameterException"):
                _log.warning("registration is void, registering anew", code=error.code, error=error.message)
                self.forget()
                return await self._register_once()
            raise OperatorError(
                f"The control plane at {self._config.endpoint} refused this node: {error.code}: {error.message} "
                "Check the agent's key pair and cluster."
            ) from None
        arn = instance.container_instance_arn or ""
        for attribute in instance.attributes or ():
            if attribute.name == "ecs.availability-zone" and attribute.value:
                self.availability_zone = attribute.value
        if arn != self.container_instance:
            self.container_instance = arn
            self._store.put(INSTANCE_ARN, arn)
        _log.info("registered", container_instance=arn, cluster=self._config.cluster)
        return None
