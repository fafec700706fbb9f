"""``FakeRuntime``: the engine itself, moving fake containers through Docker's lifecycle.

Creating and starting take microseconds and no timer.  Besides the contract it has a few
methods, all named after what befalls an engine, with which tests bring about what cannot be
asked of a runtime: a process that ends, a failing probe, an engine that goes away.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from openecs.agent.runtime.fake.container import FakeContainer, volumes
from openecs.agent.runtime.fake.events import EventFeed
from openecs.agent.runtime.fake.images import ImageStore
from openecs.agent.runtime.fake.network import HostNetwork, PortTakenError
from openecs.agent.runtime.fake.timers import After, loop_after
from openecs.agent.runtime.protocol import (
    ContainerInfo,
    EngineError,
    EngineInfo,
    EngineUnavailable,
    Event,
    ImageInfo,
    NoSuchContainer,
    ProbeResult,
    RegistryAuth,
)
from openecs.clock import Clock
from openecs.ids import Ids

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
#: Above the kernel's largest process id (2**22), so that a fake pid never names a real process.
_FIRST_PID = 5_000_000


class FakeRuntime:
    """An engine in memory that keeps the ``Runtime`` contract.

    ``cpus`` and ``memory_mib`` are what it claims to have; nothing is consumed, so the defaults
    are generous.  ``after`` sets timers: the event loop's, or ``ManualTimers.after``.
    """

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        *,
        after: After = loop_after,
        cpus: int = 64,
        memory_mib: int = 262_144,
        architecture: str = "x86_64",
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._after = after
        self._info = EngineInfo(
            name="fake",
            version="20.10.24-fake",
            api_version=(1, 41),
            cpus=cpus,
            memory_mib=memory_mib,
            architecture=architecture,
            cgroup_version="2",
            cgroup_driver="cgroupfs",
            log_drivers=("awslogs", "fluentd", "gelf", "journald", "json-file", "local", "splunk", "syslog"),
            storage_driver="fake",
            hands_out_gpus=True,
        )
        self._images = ImageStore()
        self._network = HostNetwork()
        self._feed = EventFeed()
        self._containers: dict[str, FakeContainer] = {}
        self._names: dict[str, FakeContainer] = {}
        self._volumes: dict[str, Mapping[str, str]] = {}
        self._next_pid = _FIRST_PID
        self._down = False

    def __repr__(self) -> str:
        running = sum(container.status == "running" for container in self._containers.values())
        return f"FakeRuntime(containers={len(self._containers)}, running={running}, down={self._down})"

    # The contract

    async def info(self) -> EngineInfo:
        self._check_up()
        return self._info

    async def inspect_image(self, reference: str) -> ImageInfo | None:
        self._check_up()
        return self._images.find(reference)

    async def pull(self, reference: str, auth: RegistryAuth | None = None) -> None:  # noqa: ARG002 -- any will do
        self._check_up()
        self._images.pull(reference)

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        self._check_up()
        image = self._images.find(str(body.get("Image") or ""))
        if image is None:
            raise NoSuchContainer(f"No such image: {body.get('Image') or ''}", 404)
        if not _NAME.fullmatch(name):
            raise EngineError(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", status=400
            )
        existing = self._names.get(name)
        if existing is not None:
            if existing.labels == dict(body.get("Labels") or {}):
                return existing.id
            raise EngineError(
                f'Conflict. The container name "/{name}" is already in use by container "{existing.id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
                409,
            )
        container = FakeContainer(self._ids.hex32() + self._ids.hex32(), name, image.id, body, self._clock.now())
        _check_host_config(container)
        for volume in volumes(container.host_config):
            self._volumes.setdefault(volume, {})
        self._containers[container.id] = self._names[name] = container
        self._announce(container, "create")
        return container.id

    async def start(self, container_id: str) -> None:
        self._check_up()
        container = self._get(container_id)
        if container.status == "running":
            return
        try:
            self._attach(container)
        except EngineError as error:
            container.error = error.message
            raise
        if container.program.missing_executable:
            self._detach(container)
            container.error = (
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
                f'container process: exec: "{container.program.missing_executable}": executable file not found '
                "in $PATH: unknown"
            )
            raise EngineError(container.error, 400)
        self._run(container)

    async def stop(self, container_id: str, timeout: int) -> None:  # noqa: ASYNC109 -- the engine's grace period
        self._check_up()
        container = self._get(container_id)
        if container.status != "running":
            return
        code = container.program.code_on_term
        if code is not None:
            self._end(container, code)
            return
        if timeout <= 0:
            self._end(container, 137)
            return
        ended = container.ended = container.ended or asyncio.Event()
        container.timers.append(self._after(timeout, lambda: self._end(container, 137)))
        await ended.wait()
        self._check_up()

    async def remove(self, container_id: str) -> None:
        self._check_up()
        container = self._containers.get(container_id) or self._names.get(container_id)
        if container is None:
            return
        if container.status == "running":
            self._end(container, 137)
        del self._containers[container.id]
        del self._names[container.name]
        self._announce(container, "destroy")

    async def inspect(self, container_id: str) -> ContainerInfo:
        self._check_up()
        return self._get(container_id).info()

    async def list(self, labels: Sequence[str] = ()) -> list[str]:
        self._check_up()
        wanted = [label.partition("=") for label in labels]
        return [
            container.id
            for container in self._containers.values()
            if all(
                key in container.labels and (not equals or container.labels[key] == value)
                for key, equals, value in wanted
            )
        ]

    def events(self, since: float | None = None) -> AsyncGenerator[Event, None]:
        self._check_up()
        return self._feed.listen(since)

    async def create_volume(
        self,
        name: str,
        driver: str,
        options: Mapping[str, str],  # noqa: ARG002 -- nothing is ever mounted
        labels: Mapping[str, str],
    ) -> None:
        self._check_up()
        if driver not in {"", "local"}:
            raise EngineError(
                f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found', 404
            )
        self._volumes.setdefault(name, dict(labels))

    async def volume_exists(self, name: str) -> bool:
        self._check_up()
        return name in self._volumes

    async def remove_volume(self, name: str) -> None:
        self._check_up()
        users = [container.id for container in self._containers.values() if name in volumes(container.host_config)]
        if users:
            raise EngineError(f"remove {name}: volume is in use - [{', '.join(users)}]", 409)
        self._volumes.pop(name, None)

    async def tail(self, container_id: str, lines: int) -> str | None:
        self._check_up()
        container = self._get(container_id)
        if (container.host_config.get("LogConfig") or {}).get("Type") == "none":
            return None
        printed = container.prints if container.started_at is not None else ()
        return "".join(f"{line}\n" for line in printed[-lines:]) if lines > 0 else ""

    async def top(self, container_id: str) -> tuple[int, ...]:
        self._check_up()
        container = self._get(container_id)
        return (container.pid,) if container.pid else ()

    async def close(self) -> None:
        for container in self._containers.values():
            container.cancel_timers()

    def gpus(self, container_id: str) -> tuple[str, ...]:
        """Ids of the GPUs that the container was created with."""
        requests = self._get(container_id).host_config.get("DeviceRequests") or ()
        return tuple(gpu for request in requests for gpu in request.get("DeviceIDs") or ())

    # What befalls an engine

    def add_image(self, reference: str) -> ImageInfo:
        """Make an image local, as if it had been pulled or built before."""
        return self._images.add(reference)

    def exit(self, container_id: str, code: int) -> None:
        """The container's process ends by itself."""
        container = self._get(container_id)
        if container.status == "running":
            self._end(container, code)

    def oom_kill(self, container_id: str) -> None:
        """The kernel kills the container for its memory use."""
        container = self._get(container_id)
        if container.status == "running":
            self._end(container, 137, oom_killed=True)

    def set_health(self, container_id: str, status: Literal["healthy", "unhealthy"]) -> None:
        """The container's health check comes to this result."""
        container = self._get(container_id)
        if container.status == "running" and container.health != status:
            container.health = status
            container.health_since = self._clock.now()
            result = ProbeResult(exit_code=int(status == "unhealthy"), output=f"fake: {status}")
            container.probes = (*container.probes, result)[-5:]
            self._announce(container, "health_status", health=status)

    def go_down(self, *, killing_containers: bool) -> None:
        """The engine stops answering; without live restore its containers die with it."""
        self._down = True
        if killing_containers:
            for container in self._containers.values():
                if container.status == "running":
                    self._end(container, 137)
        self._feed.hang_up()

    def come_back(self) -> None:
        """The engine answers again."""
        self._down = False

    # Inside

    def _check_up(self) -> None:
        if self._down:
            raise EngineUnavailable("the fake engine does not answer")

    def _get(self, container_id: str) -> FakeContainer:
        container = self._containers.get(container_id) or self._names.get(container_id)
        if container is None:
            raise NoSuchContainer(f"No such container: {container_id}", 404)
        return container

    def _attach(self, container: FakeContainer) -> None:
        mode = container.network_mode
        if mode.startswith("container:"):
            target = self._get(mode.partition(":")[2])
            if target.status != "running":
                raise EngineError(f"cannot join network of a non running container: {target.id}", 409)
        elif mode == "bridge":
            try:
                container.ports = self._network.publish(container.host_config, container.body.get("ExposedPorts") or {})
            except PortTakenError as error:
                raise EngineError(
                    f"driver failed programming external connectivity on endpoint {container.name} "
                    f"({self._ids.hex32()}{self._ids.hex32()}): {error}"
                ) from error
            container.address = self._network.take_address()
        elif mode not in {"host", "none"}:
            raise NoSuchContainer(f"network {mode} not found", 404)

    def _detach(self, container: FakeContainer) -> None:
        self._network.release(container.ports)
        container.ports = ()
        if container.address:
            self._network.release_address(container.address)
            container.address = ""

    def _run(self, container: FakeContainer) -> None:
        program = container.program
        container.pid = self._next_pid
        self._next_pid += 1
        container.status = "running"
        container.started_at = self._clock.now()
        container.finished_at = container.exit_code = None
        container.oom_killed = False
        container.error = ""
        self._announce(container, "start")
        if program.runs_for == 0:
            self._end(container, program.exit_code, oom_killed=program.oom_killed)
            return
        if program.runs_for is not None:
            container.timers.append(
                self._after(
                    program.runs_for, lambda: self._end(container, program.exit_code, oom_killed=program.oom_killed)
                )
            )
        script = container.health_script
        if script is not None:
            container.health, container.health_since = "starting", None
            if script.healthy_at is not None:
                timer = self._after(script.healthy_at, lambda: self.set_health(container.id, "healthy"))
                container.timers.append(timer)
            if script.unhealthy_at is not None:
                timer = self._after(script.unhealthy_at, lambda: self.set_health(container.id, "unhealthy"))
                container.timers.append(timer)

    def _end(self, container: FakeContainer, code: int, *, oom_killed: bool = False) -> None:
        container.cancel_timers()
        self._detach(container)
        container.status = "exited"
        container.pid = 0
        container.exit_code = code
        container.oom_killed = oom_killed
        container.finished_at = self._clock.now()
        if oom_killed:
            self._announce(container, "oom")
        self._announce(container, "die", exit_code=code)
        if container.ended is not None:
            container.ended.set()
            container.ended = None

    def _announce(
        self, container: FakeContainer, action: str, *, exit_code: int | None = None, health: str | None = None
    ) -> None:
        self._feed.publish(
            Event(
                action=action,
                container_id=container.id,
                time=self._clock.now(),
                labels=container.labels,
                exit_code=exit_code,
                health=health,
            )
        )


def _check_host_config(container: FakeContainer) -> None:
    """Refuse what Docker refuses at creation, and what the fake would otherwise not honour."""
    host = container.host_config
    if container.network_mode.startswith("container:") and (host.get("PortBindings") or host.get("PublishAllPorts")):
        raise EngineError("conflicting options: port publishing and the container type network mode", 400)
    if (host.get("RestartPolicy") or {}).get("Name") not in {None, "", "no"}:
        raise EngineError("the fake engine restarts no containers: RestartPolicy must be no", 400)
    if any(request.get("Driver") != "nvidia" or request.get("Count") for request in host.get("DeviceRequests") or ()):
        raise EngineError("the fake engine has NVIDIA's GPUs only, by their ids", 400)
    if host.get("AutoRemove"):
        raise EngineError("the fake engine removes no containers by itself: AutoRemove must be false", 400)
