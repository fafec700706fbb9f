"""What tasks can ask of their agent: routes of the metadata and credentials endpoint.

The unguessable token in the path says which container asks.  Without the address (no root, or
another agent has it) tasks run without this endpoint, and the log says so.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Self
from urllib.parse import parse_qs

import msgspec
import structlog

from openecs.agent.config import AgentConfig, bind_address
from openecs.agent.credentials import CredentialStore
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.engine.task_state import ContainerState
from openecs.agent.engine.worker import TaskWorker
from openecs.agent.membership import Membership
from openecs.agent.metadata import stats, views
from openecs.agent.metadata.http import Answer, MetadataServer, Request
from openecs.agent.runtime.protocol import ContainerInfo, EngineUnavailable, NoSuchContainer, Runtime
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")
LINK_LOCAL = "169.254.170.2"


class MetadataEndpoint:
    """``async with`` it to serve; ``url`` is ``None`` when this node serves none."""

    def __init__(self, config: AgentConfig, credentials: CredentialStore, runtime: Runtime, clock: Clock) -> None:
        self._config = config
        self._credentials = credentials
        self._runtime = runtime
        self._clock = clock
        self._server = MetadataServer(self._answer)
        self._engine: TaskEngine | None = None
        self._membership: Membership | None = None
        self._samples: dict[str, dict[str, Any]] = {}
        self.url: str | None = None

    async def __aenter__(self) -> Self:
        if self._config.metadata_bind is None:
            return self
        host, port = bind_address(self._config.metadata_bind)
        try:
            if host == LINK_LOCAL:
                await _add_address(host)
            host, port = await self._server.start(host, port)
        except OSError as error:
            _log.warning(
                "tasks run without metadata and credentials endpoint", bind=self._config.metadata_bind, error=str(error)
            )
            return self
        self.url = f"http://{host}" if port == 80 else f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def serve_tasks(self, engine: TaskEngine, membership: Membership) -> None:
        """Where the answers come from."""
        self._engine = engine
        self._membership = membership

    # -- routes ---------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Answer:
        parts = [part for part in request.path.split("/") if part]
        match parts:
            case ["v2", "credentials", *rest]:
                return self._role_credentials("/".join(rest), request, version=2)
            case ["v1", "credentials"]:
                return self._role_credentials(parse_qs(request.query).get("id", [""])[0], request, version=1)
            case [("v3" | "v4") as version, token, *rest] if rest in ([], ["task"], ["stats"], ["task", "stats"]):
                return await self._metadata(int(version[1]), token, rest)
        return Answer(404, b'"404 page not found"')

    def _role_credentials(self, credentials_id: str, request: Request, *, version: int) -> Answer:
        prefix = f"CredentialsV{version}Request: "
        if not credentials_id:
            return _refusal(400, "NoIdInRequest", prefix + "No Credential ID in the request")
        task = self._credentials.task_of(credentials_id)
        if task is None:
            return _refusal(400, "InvalidIdInRequest", prefix + "Credentials not found")
        keys = self._credentials.get(credentials_id)
        if keys is None:
            text = prefix + "Credentials uninitialized for ID"
            return _refusal(503, "CredentialsUninitialized", text)
        _log.info("credentials given", task=task, client=request.client, version=version)
        return _json(
            {
                "RoleArn": keys.role_arn,
                "AccessKeyId": keys.access_key_id,
                "SecretAccessKey": keys.secret_access_key,
                "Token": keys.session_token,
                "Expiration": keys.expiration,
            }
        )

    async def _metadata(self, version: int, token: str, rest: list[str]) -> Answer:
        found = self._find(token)
        if found is None:
            what, where = ("task", "task Arn") if rest[:1] == ["task"] else ("container", "docker ID")
            noun = "task arn" if what == "task" else "container ID"
            return _json(
                f"V{version} {what} metadata handler: unable to get {noun} from request: "
                f"unable to get {where} from v3 endpoint ID: {token}",
                404,
            )
        worker, own = found
        try:
            if rest == ["task"]:
                return _json(await self._task(worker, version))
            if rest == ["stats"]:
                return _json(await self._stats(own))
            if rest == ["task", "stats"]:
                return _json({c.container_id: await self._stats(c) for c in worker.state.containers if c.container_id})
            return _json(await self._container(worker, own, version))
        except EngineUnavailable as error:
            return _json(f"the container engine does not answer: {error}", 503)

    def _find(self, token: str) -> tuple[TaskWorker, ContainerState] | None:
        for worker in self._engine.workers if self._engine is not None else ():
            for container in worker.state.containers:
                if container.token == token:
                    return worker, container
        return None

    async def _task(self, worker: TaskWorker, version: int) -> dict[str, Any]:
        # Containers appear once their image is there.
        containers = [
            await self._container(worker, own, version) for own in worker.state.containers if own.status != "NONE"
        ]
        zone = self._membership.availability_zone if self._membership is not None else ""
        return views.task(
            worker.payload, worker.state, containers, cluster=worker.cluster, availability_zone=zone, version=version
        )

    async def _container(self, worker: TaskWorker, own: ContainerState, version: int) -> dict[str, Any]:
        return views.container(
            worker.payload,
            worker.state,
            own,
            await self._inspect(own),
            worker.actions.labels(own.name),
            version=version,
        )

    async def _inspect(self, own: ContainerState) -> ContainerInfo | None:
        if own.container_id is None:
            return None
        try:
            return await self._runtime.inspect(own.container_id)
        except NoSuchContainer:
            return None

    async def _stats(self, own: ContainerState) -> dict[str, Any] | None:
        """A sample in Docker's form, with the previous one in ``precpu_stats``; ``None`` when it does not run."""
        info = await self._inspect(own)
        if info is None or not info.pid:
            return None
        try:
            sample = await asyncio.to_thread(stats.read, info.pid)
        except (OSError, KeyError, ValueError):
            return None
        before = self._samples.get(info.id, {})
        sample |= {"id": info.id, "name": f"/{info.name}", "read": views.timestamp(self._clock.now())}
        self._samples[info.id] = sample
        return {**sample, "precpu_stats": before.get("cpu_stats", {}), "preread": before.get("read")}


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(value))


def _refusal(status: int, code: str, message: str) -> Answer:
    return _json({"code": code, "message": message, "HTTPErrorCode": status}, status)


async def _add_address(address: str) -> None:
    """Put the link-local address on ``lo``; ``OSError`` when that is not allowed."""
    if os.geteuid() != 0:
        raise PermissionError(f"adding {address} to the loopback interface needs root")
    process = await asyncio.create_subprocess_exec(
        "ip", "address", "replace", f"{address}/32", "dev", "lo", stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    if process.returncode:
        raise OSError(stderr.decode(errors="replace").strip())
