"""What tasks can ask of their agent: the routes of the metadata and credentials endpoint.

The unguessable token in the path says which container asks; for awsvpc tasks the address from
which it asks must fit as well, and version 2 of the metadata goes by the address alone.  Only
this agent's own tasks are known here; answers say so with ``known``.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog

from openecs import arn as arns
from openecs.agent.credentials import CredentialStore
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.engine.task_state import ContainerState
from openecs.agent.engine.worker import TaskWorker
from openecs.agent.membership import Membership
from openecs.agent.metadata import tags, task_protection, views
from openecs.agent.metadata.http import Answer, Request
from openecs.agent.metadata.samples import Samples
from openecs.agent.metadata.task_protection import CallAsTask, TaskProtectionRoute
from openecs.agent.runtime.protocol import ContainerInfo, EngineUnavailable, NoSuchContainer, Runtime
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")
#: Source of what comes from the host itself: log drivers, tasks in network mode ``host``.
LINK_LOCAL = "169.254.170.2"
#: The routes below ``/v3/<token>`` and ``/v4/<token>``, and what their refusals are called.
_KINDS = {
    (): "container metadata",
    ("task",): "task metadata",
    ("taskWithTags",): "task metadata",
    ("stats",): "container stats",
    ("task", "stats"): "task stats",
}

ListTags = Callable[[str], Awaitable[Mapping[str, str]]]


class MetadataRoutes:
    """Answers for this agent's tasks.

    ``list_tags`` gives the tags of an ARN, or raises as calls do; ``call_as_task`` calls the
    control plane with a task's keys.
    """

    def __init__(
        self,
        credentials: CredentialStore,
        runtime: Runtime,
        clock: Clock,
        list_tags: ListTags,
        call_as_task: CallAsTask,
    ) -> None:
        self._credentials = credentials
        self._runtime = runtime
        self._list_tags = list_tags
        self._samples = Samples(clock)
        self._protection = TaskProtectionRoute(credentials, call_as_task, clock)
        self._tasks: asyncio.Future[tuple[TaskEngine, Membership]] = asyncio.get_running_loop().create_future()

    def serve_tasks(self, engine: TaskEngine, membership: Membership) -> None:
        """Where the answers come from."""
        self._tasks.set_result((engine, membership))

    async def answer(self, request: Request) -> Answer:
        """The answer to one request, ``known=False`` when another agent may know better."""
        # Requests that come while the agent starts wait until it knows its tasks again.
        engine, membership = await asyncio.shield(self._tasks)
        await engine.recovered.wait()
        parts = [part for part in request.path.split("/") if part]
        try:
            match parts:
                case ["api", token, "task-protection", "v1", "state"]:
                    return await self._task_protection(engine, request, token)
                case ["v2", "credentials", *rest]:
                    return self._role_credentials(engine, "/".join(rest), request, version=2)
                case ["v1", "credentials"]:
                    credentials_id = parse_qs(request.query).get("id", [""])[0]
                    return self._role_credentials(engine, credentials_id, request, version=1)
                case ["v2", ("metadata" | "metadataWithTags" | "stats") as what, *rest]:
                    return await self._by_address(engine, membership, request, what, "/".join(rest))
                case [("v3" | "v4") as version, token, "associations", kind, *rest]:
                    slash = request.path.endswith("/")
                    return self._association(engine, request, int(version[1]), token, kind, rest, slash=slash)
                case [("v3" | "v4") as version, token, *rest] if tuple(rest) in _KINDS:
                    return await self._by_token(engine, membership, request, int(version[1]), token, tuple(rest))
        except EngineUnavailable as error:
            return _json(f"the container engine does not answer: {error}", 503)
        return Answer(404, b'"404 page not found"')

    # -- credentials ----------------------------------------------------------------------

    def _role_credentials(self, engine: TaskEngine, credentials_id: str, request: Request, *, version: int) -> Answer:
        prefix = f"CredentialsV{version}Request: "
        if not credentials_id:
            return _refusal(400, "NoIdInRequest", prefix + "No Credential ID in the request")
        task = self._credentials.task_of(credentials_id)
        if task is None:
            return _refusal(400, "InvalidIdInRequest", prefix + "Credentials not found")._replace(known=False)
        worker = engine.worker(task)
        if worker is not None and not permitted(engine, worker, request.client):
            _log.warning("credentials refused: asked from another address", task=task, client=request.client)
            return _refusal(403, "AccessDenied", prefix + "Credentials are given to the task itself only")
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

    # -- task protection ------------------------------------------------------------------

    async def _task_protection(self, engine: TaskEngine, request: Request, token: str) -> Answer:
        wish = task_protection.read_wish(request.body) if request.method == "PUT" else None
        if request.method == "PUT" and wish is None:
            return task_protection.error(400, task_protection.INVALID, task_protection.UNREADABLE)
        found = find(engine, token)
        if found is None:
            text = task_protection.UNKNOWN_TASK
            return task_protection.error(404, "ResourceNotFoundException", text)._replace(known=False)
        worker, _ = found
        if not permitted(engine, worker, request.client):
            _log.warning("task protection refused: asked from another address", client=request.client)
            text = "the request comes from another task's address"
            return task_protection.error(403, task_protection.DENIED, text)
        refusal = self._protection.refused()
        if refusal is not None:
            return refusal
        return await (self._protection.get(worker) if wish is None else self._protection.put(worker, wish))

    # -- metadata by token ----------------------------------------------------------------

    async def _by_token(
        self,
        engine: TaskEngine,
        membership: Membership,
        request: Request,
        version: int,
        token: str,
        rest: tuple[str, ...],
    ) -> Answer:
        handler = f"V{version} {_KINDS[rest]} handler: "
        found = find(engine, token)
        if found is None:
            # Version 3 answers 500 where version 4 says 404.
            status = 500 if version == 3 else 404
            if rest == ():
                text = f"unable to get container ID from request: {_no('docker ID', token)}"
            else:
                text = f"unable to get task arn from request: {_no('task Arn', token)}"
            return _json(handler + text, status)._replace(known=False)
        worker, own = found
        if not permitted(engine, worker, request.client):
            _log.warning("metadata refused: asked from another address", client=request.client)
            return _json(handler + "the request comes from another task's address", 403)
        match rest:
            case ("task" | "taskWithTags" as what,):
                return _json(await self._task(worker, membership, version, with_tags=what != "task"))
            case ("stats",):
                return _json(await self._stats(engine, own))
            case ("task", "stats"):
                return _json(await self._task_stats(engine, worker))
        return _json(await self._container(worker, own, version))

    def _association(
        self, engine: TaskEngine, request: Request, version: int, token: str, kind: str, rest: list[str], *, slash: bool
    ) -> Answer:
        """The container's devices of one kind (GPUs are the only one), or what is known of one of them."""
        handler = f"V{version} container associations handler: "
        found = find(engine, token)
        if found is None:
            what = ("task arn", "task Arn") if rest or slash else ("container id", "docker ID")
            text = f"{handler}unable to get {what[0]} from request: {_no(what[1], token)}"
            return _json(text, 400)._replace(known=False)
        if not permitted(engine, found[0], request.client):
            return _json(handler + "the request comes from another task's address", 403)
        worker, own = found
        there = {a.name: a for a in worker.payload.associations if a.type == kind and own.name in a.containers}
        if not rest and not slash:
            return _json({"Associations": [*there]})
        if not rest:
            return _json(handler + "unable to get association name from request", 400)
        device = there.get("/".join(rest))
        if device is not None:
            return Answer(200, base64.b64decode(device.content.value))
        return _json(
            "Unable to write container association response: unable to get association from association type "
            f"{kind} and association name {'/'.join(rest)}",
            400,
        )

    # -- metadata by address --------------------------------------------------------------

    async def _by_address(
        self, engine: TaskEngine, membership: Membership, request: Request, what: str, container_id: str
    ) -> Answer:
        worker = at_address(engine, request.client)
        if worker is None:
            text = f"Unable to get task arn from request: unable to associate '{request.client}' with task"
            return _json(text, 400)._replace(known=False)
        if not container_id:
            if what == "stats":
                return _json(await self._task_stats(engine, worker))
            return _json(await self._task(worker, membership, 2, with_tags=what == "metadataWithTags"))
        own = next((c for c in worker.state.containers if c.container_id == container_id), None)
        if own is None:
            if what == "stats":
                return _json(f"Unable to get container stats for: {container_id}", 400)
            return _json(f"Unable to generate metadata for container '{container_id}'", 400)
        return _json(await (self._stats(engine, own) if what == "stats" else self._container(worker, own, 2)))

    # -- what is shown --------------------------------------------------------------------

    async def _task(
        self, worker: TaskWorker, membership: Membership, version: int, *, with_tags: bool
    ) -> dict[str, Any]:
        # Containers appear once their image is there.
        containers = [
            await self._container(worker, own, version) for own in worker.state.containers if own.status != "NONE"
        ]
        mode = worker.state.network_mode or ""
        if mode.startswith("container:") and worker.payload.launch_type != "FARGATE":
            pause = await self._inspect(mode.removeprefix("container:"))
            if pause is not None:
                containers.append(views.pause(worker.payload, worker.state, pause, version=version))
        shown = tags.Tags()
        if with_tags:
            shown = await tags.fetch(self._list_tags, worker.payload.arn, _instance_of(worker, membership))
        return views.task(
            worker.payload,
            worker.state,
            containers,
            cluster=worker.cluster,
            availability_zone=worker.payload.zone or membership.availability_zone,
            tags=shown,
            version=version,
        )

    async def _container(self, worker: TaskWorker, own: ContainerState, version: int) -> dict[str, Any]:
        info = None if own.container_id is None else await self._inspect(own.container_id)
        labels = worker.actions.labels(own.name)
        return views.container(worker.payload, worker.state, own, info, labels, version=version)

    async def _task_stats(self, engine: TaskEngine, worker: TaskWorker) -> dict[str, Any]:
        return {c.container_id: await self._stats(engine, c) for c in worker.state.containers if c.container_id}

    async def _stats(self, engine: TaskEngine, own: ContainerState) -> dict[str, Any] | None:
        """A sample in Docker's form; ``None`` when the container does not run."""
        info = None if own.container_id is None else await self._inspect(own.container_id)
        if info is None or not info.pid:
            return None
        alive = {c.container_id for worker in engine.workers for c in worker.state.containers}
        return await self._samples.take(info, keep=alive)

    async def _inspect(self, container_id: str) -> ContainerInfo | None:
        try:
            return await self._runtime.inspect(container_id)
        except NoSuchContainer:
            return None


def find(engine: TaskEngine, token: str) -> tuple[TaskWorker, ContainerState] | None:
    """The container that was given the token, and its task."""
    for worker in engine.workers:
        for container in worker.state.containers:
            if container.token == token:
                return worker, container
    return None


def at_address(engine: TaskEngine, address: str) -> TaskWorker | None:
    """The running awsvpc task with that address."""
    for worker in engine.workers:
        if worker.state.status != "STOPPED" and address in worker.addresses:
            return worker
    return None


def permitted(engine: TaskEngine, worker: TaskWorker, client: str) -> bool:
    """Whether the address may speak for the task: its own, or the host's on behalf of any task.

    A task without an address of its own can only be told from those that have one.
    """
    if client == LINK_LOCAL or client.startswith("127."):
        return True
    if worker.addresses:
        return client in worker.addresses
    return at_address(engine, client) is None


def _instance_of(worker: TaskWorker, membership: Membership) -> str | None:
    """The task's container instance: none on Fargate, and this agent knows its own cluster's only."""
    mark = f":container-instance/{arns.short(worker.cluster)}/"
    known = worker.payload.launch_type != "FARGATE" and mark in membership.container_instance
    return membership.container_instance if known else None


def _no(what: str, token: str) -> str:
    return f"unable to get {what} from v3 endpoint ID: {token}"


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(value))


def _refusal(status: int, code: str, message: str) -> Answer:
    return _json({"code": code, "message": message, "HTTPErrorCode": status}, status)
