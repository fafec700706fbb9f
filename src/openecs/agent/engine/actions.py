"""Carrying out one task's actions on the container engine, and turning outcomes into facts.

No decisions: each method does what its action says and answers with facts.  Refusals become
``Failed`` facts in ECS's words; ``EngineUnavailable`` passes through, the worker waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from openecs import arn as arns
from openecs.acs.task_payload import ContainerPayload, TaskPayload
from openecs.agent.engine import container_body, firelens, kernel_log, log_router, names, volumes
from openecs.agent.engine import facts as f
from openecs.agent.engine.images import LocalImage, PullError
from openecs.agent.engine.oom import OomWatch
from openecs.agent.engine.ports import BIND_IP, PortsError, conflict
from openecs.agent.engine.settings import EngineParts
from openecs.agent.engine.surroundings import Surroundings
from openecs.agent.engine.task_state import ContainerState, TaskState
from openecs.agent.runtime.protocol import ContainerInfo, EngineError, EngineUnavailable, NoSuchContainer
from openecs.shapes import ecs

_log = structlog.get_logger("openecs.agent")
NO_CREDENTIALS_ENDPOINT = (
    "CannotCreateContainerError: the container's log driver signs with the execution role, but this node does not "
    "serve the credentials endpoint 169.254.170.2"
)


class Actions:
    """One task's hands."""

    def __init__(self, payload: TaskPayload, parts: EngineParts, cluster: str) -> None:
        self._payload = payload
        self._parts = parts
        self._cluster = cluster
        self._by_name = {c.name: c for c in payload.containers}
        self.surroundings = Surroundings(payload, parts, cluster, self.labels(names.PAUSE))
        #: What was fetched for each container; creating it must not pull again.
        self._fetched: dict[str, LocalImage] = {}
        #: What the engine's events said about memory.
        self.oom = OomWatch(kernel=kernel_log.oom_killed if parts.settings.kernel_log else None)
        #: Containers that the engine may have started, though its answer never came.
        self._perhaps_started: set[str] = set()
        #: Containers that the engine may have made before, with other host ports than the last choice.
        self._perhaps_created: set[str] = set()

    async def perform(self, action: f.Action, state: TaskState) -> list[f.Fact]:
        """Carry out one action.  Raises ``EngineUnavailable``."""
        match action:
            case f.Prepare():
                return [await self.surroundings.prepare()]
            case f.Release():
                return [await self.surroundings.release()]
            case f.Fetch(name=name):
                return [await self._fetch(name)]
            case f.Create(name=name):
                return [await self._create(state, name)]
            case f.Start(name=name):
                return await self._start(state.container(name))
            case f.Stop(name=name, timeout=timeout):
                return await self._stop(state.container(name), timeout)
            case f.Cleanup():
                return [await self.surroundings.clean_up(state)]
            case f.CancelFetch():
                return []

    async def look(self, container: ContainerState) -> list[f.Fact]:
        """What the engine says of a container; nothing when it was never made."""
        container_id = container.container_id
        if container_id is None:
            marks = self.labels(container.name)
            wanted = [f"{key}={marks[key]}" for key in (names.LABEL_TASK_ARN, names.LABEL_CONTAINER)]
            found = await self._parts.runtime.list(wanted)
            if not found:
                return []
            container_id = found[0]
        try:
            info = await self._parts.runtime.inspect(container_id)
        except NoSuchContainer:
            return [f.Vanished(name=container.name, container_id=container_id)]
        if info.status in ("exited", "dead") and await self.oom.killed(info, stopping=container.doing == "stop"):
            info = msgspec.structs.replace(info, oom_killed=True)
        facts: list[f.Fact] = [self._observed(container.name, info)]
        if info.health is not None and info.status == "running" and info.health.status != "starting":
            facts.append(
                f.HealthChanged(
                    name=container.name,
                    health="HEALTHY" if info.health.status == "healthy" else "UNHEALTHY",
                    at=info.health.since if info.health.since is not None else self._parts.clock.now(),
                    exit_code=info.health.exit_code,
                    output=info.health.output,
                )
            )
        return facts

    async def sandbox_loss(self, state: TaskState) -> str | None:
        """Why the task's network is no longer there, ``None`` while it is."""
        mode = state.network_mode
        if mode is None or not mode.startswith("container:"):
            return None
        try:
            info = await self._parts.runtime.inspect(mode.removeprefix("container:"))
        except NoSuchContainer:
            return "ContainerNetworkingError: the container that holds the task's network is gone"
        if info.status == "running":
            return None
        return "ContainerNetworkingError: the container that holds the task's network has ended"

    def adopt_ports(self, state: TaskState) -> None:
        """Keep what the task holds from being given away, after a restart of the agent."""
        # The last agent may have died while it had them created.
        self._perhaps_created.update(self._by_name)
        for container in state.containers:
            if not container.stopped:
                self._parts.ports.adopt(self._payload.arn, container.bindings)

    async def _fetch(self, name: str) -> f.Fact:
        try:
            image = await self._parts.images.ensure(self._by_name[name].image)
        except PullError as error:
            return _not_pulled(name, error)
        self._fetched[name] = image
        return f.Fetched(
            name=name,
            image_id=image.id,
            digest=image.digest,
            pull_started_at=image.pull_started_at,
            pull_stopped_at=image.pull_stopped_at,
        )

    async def _create(self, state: TaskState, name: str) -> f.Fact:
        container = self._by_name[name]
        settings = self._parts.settings
        log_credentials = None
        if container.logs_auth_strategy == "ExecutionRole" and self._payload.execution_role_credentials is not None:
            log_credentials = f"/v2/credentials/{self._payload.execution_role_credentials.credentials_id}"
            if settings.metadata_url is None and settings.log_drivers_sign:
                return f.Failed(name=name, reason=NO_CREDENTIALS_ENDPOINT)
        try:
            image = self._fetched.get(name) or await self._parts.images.local(container.image)
            if image is None:
                image = await self._parts.images.ensure(container.image)
            bindings = self._bindings(name)
            servers: tuple[str, ...] = ()
            if self._payload.network_mode in ("bridge", "host"):
                servers = await self._parts.name_servers(None)
            body = container_body.build(
                self._payload,
                container,
                container_body.BodyInputs(
                    labels=self.labels(name),
                    environment={
                        **self._environment(state.container(name)),
                        **await self._router_address(state, container),
                    },
                    router=log_router.place_of(settings.run_dir, self._payload.arn),
                    image_env=image.env,
                    bindings=bindings if self._payload.network_mode == "bridge" else (),
                    network_mode=state.network_mode,
                    cgroup_parent=self._parts.limits.parent(self._payload),
                    volumes=volumes.sources(self._payload),
                    log_credentials=log_credentials,
                    name_servers=servers,
                ),
            )
            async with asyncio.timeout(settings.create_deadline):
                container_id = await self._create_from(container.image, names.container_name(self._payload, name), body)
        except EngineUnavailable:
            self._perhaps_created.add(name)
            raise
        except PullError as error:
            return _not_pulled(name, error)
        except (PortsError, container_body.DockerConfigError) as error:
            return f.Failed(name=name, reason=f"CannotCreateContainerError: {error}")
        except EngineError as error:
            return f.Failed(
                name=name, reason=f"CannotCreateContainerError: Error response from daemon: {error.message}"
            )
        except TimeoutError:
            return f.Failed(name=name, reason=_timed_out("created", settings.create_deadline))
        if self._payload.network_mode == "bridge" and name in self._perhaps_created:
            bindings = ()  # The engine tells the real ones once it runs.
        return f.Created(name=name, container_id=container_id, bindings=bindings)

    async def _create_from(self, image: str, name: str, body: Mapping[str, object]) -> str:
        try:
            return await self._parts.runtime.create(name, body)
        except NoSuchContainer:
            # The image was removed since it was last seen.
            self._parts.images.forget(image)
            await self._parts.images.ensure(image)
            return await self._parts.runtime.create(name, body)

    async def _start(self, container: ContainerState) -> list[f.Fact]:
        if container.doing != "start":
            return []  # While the engine did not answer, events told what has become of it.
        facts = await self._started_before(container) if container.name in self._perhaps_started else []
        # The mark stays when the engine does not answer.
        self._perhaps_started.add(container.name)
        facts = facts or await self._start_now(container)
        self._perhaps_started.discard(container.name)
        return facts

    async def _start_now(self, container: ContainerState) -> list[f.Fact]:
        settings = self._parts.settings
        container_id = container.container_id or ""
        mappings = self._by_name[container.name].port_mappings
        try:
            async with asyncio.timeout(settings.start_deadline):
                await self._parts.runtime.start(container_id)
        except NoSuchContainer:
            return [f.Failed(name=container.name, reason="NoSuchContainerError: the container was removed")]
        except EngineError as error:
            reason = f"CannotStartContainerError: Error response from daemon: {error.message}"
            if container.has_run or not conflict(error.message, mappings, container.bindings):
                return [f.Failed(name=container.name, reason=reason)]
            _log.info("host port taken meanwhile", task=self._payload.arn, container=container.name, error=reason)
            # The ports stay this task's, so the next choice falls on others.
            await self._parts.runtime.remove(container_id)
            self._perhaps_created.discard(container.name)
            return [f.PortTaken(name=container.name, reason=reason)]
        except TimeoutError:
            # It must not start later, when it counts as stopped.
            await self._parts.runtime.remove(container_id)
            return [f.Failed(name=container.name, reason=_timed_out("started", settings.start_deadline))]
        if self._ports_unknown(container):
            facts = await self.look(container)
            self._adopt(facts)
            return facts
        return [f.Started(name=container.name, at=self._parts.clock.now())]

    async def _started_before(self, container: ContainerState) -> list[f.Fact]:
        """What has come of a start whose answer was lost; nothing when it never happened.

        A container that has run and ended meanwhile must not run a second time.
        """
        facts = await self.look(container)
        for seen in facts:
            if not isinstance(seen, f.Observed) or seen.status == "created":
                continue
            if seen.status == "exited" and (seen.finished_at is None or seen.finished_at == container.exit_seen):
                continue  # The end of an earlier run, or of none.
            at = seen.started_at if seen.started_at is not None else self._parts.clock.now()
            if self._ports_unknown(container):
                self._adopt(facts)
            return [f.Started(name=container.name, at=at), *facts]
        return []

    def _ports_unknown(self, container: ContainerState) -> bool:
        """Whether the ports are forgotten that were chosen for it: it was made by an earlier agent, or unanswered."""
        mapped = bool(self._by_name[container.name].port_mappings)
        return self._payload.network_mode == "bridge" and mapped and not container.bindings

    def _adopt(self, facts: list[f.Fact]) -> None:
        """Keep the ports that the engine has published for this task."""
        for seen in facts:
            if isinstance(seen, f.Observed):
                self._parts.ports.adopt(self._payload.arn, seen.bindings or ())

    async def _stop(self, container: ContainerState, grace: int) -> list[f.Fact]:
        container_id = container.container_id or ""
        try:
            await self._parts.runtime.stop(container_id, grace)
        except NoSuchContainer:
            return [f.Vanished(name=container.name, container_id=container_id)]
        except EngineError as error:
            # Never say STOPPED of what may run: ask the engine again.
            raise EngineUnavailable(f"stop refused: {error.message}") from error
        facts = await self.look(container)
        if any(isinstance(fact, f.Observed) and fact.status == "running" for fact in facts):
            raise EngineUnavailable("the container still runs after its stop")
        return facts

    def _bindings(self, name: str) -> tuple[ecs.NetworkBinding, ...]:
        mappings = self._by_name[name].port_mappings
        if not mappings:
            return ()
        if self._payload.network_mode == "bridge":
            return self._parts.ports.assign(self._payload.arn, mappings)
        if self._payload.network_mode == "host":
            return tuple(
                ecs.NetworkBinding(
                    bind_ip=BIND_IP,
                    container_port=m.container_port,
                    host_port=m.container_port,
                    container_port_range=m.container_port_range,
                    host_port_range=m.container_port_range,
                    protocol="udp" if m.protocol == "udp" else "tcp",
                )
                for m in mappings
            )
        return ()

    def _environment(self, container: ContainerState) -> Mapping[str, str]:
        settings = self._parts.settings
        # The machine may be lent to clusters of other regions than its own.
        arn = arns.parse(self._payload.arn)
        region = (arn.region if arn else "") or settings.region
        environment = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        if settings.metadata_url is not None:
            base, token = settings.metadata_url, container.token
            environment["ECS_CONTAINER_METADATA_URI"] = f"{base}/v3/{token}"
            environment["ECS_CONTAINER_METADATA_URI_V4"] = f"{base}/v4/{token}"
            environment["ECS_AGENT_URI"] = f"{base}/api/{token}"
            role = self._payload.role_credentials
            if role is not None:
                environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = f"/v2/credentials/{role.credentials_id}"
        return environment

    async def _router_address(self, state: TaskState, container: ContainerPayload) -> Mapping[str, str]:
        """Where a container that logs to the task's log router finds it over TCP."""
        router = firelens.router(self._payload)
        if router is None or firelens.options(container) is None:
            return {}
        mode, address = self._payload.network_mode, "127.0.0.1"
        if mode == "bridge":
            info = await self._parts.runtime.inspect(state.container(router.name).container_id or "")
            address = next(iter(info.addresses.values()), "")
        known = address and mode in ("awsvpc", "bridge")
        return {"FLUENT_HOST": address, "FLUENT_PORT": str(firelens.PORT)} if known else {}

    def labels(self, name: str) -> dict[str, str]:
        """The labels of a container of this task."""
        return names.labels(self._payload, name, self._cluster, self._parts.settings.node_id)

    def _observed(self, name: str, info: ContainerInfo) -> f.Observed:
        status: str = {"created": "created", "exited": "exited", "dead": "exited", "removing": "exited"}.get(
            info.status, "running"
        )
        ended = status == "exited"
        bindings = tuple(
            ecs.NetworkBinding(
                bind_ip=p.host_ip,
                container_port=p.container_port,
                host_port=p.host_port,
                protocol="udp" if p.protocol == "udp" else "tcp",
            )
            for p in info.ports
            if ":" not in p.host_ip
        )
        return f.Observed(
            name=name,
            container_id=info.id,
            status="exited" if ended else "created" if status == "created" else "running",
            started_at=info.started_at,
            finished_at=info.finished_at if ended else None,
            exit_code=info.exit_code if ended else None,
            error=info.error if ended else "",
            oom_killed=info.oom_killed if ended else False,
            bindings=bindings or None,
        )


def _not_pulled(name: str, error: PullError) -> f.Failed:
    return f.Failed(name=name, reason=str(error), pull_started_at=error.started_at, pull_stopped_at=error.stopped_at)


def _timed_out(what: str, seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"DockerTimeoutError: Could not transition to {what}; timed out after waiting {minutes}m{rest}s"
