"""``DockerRuntime``: the runtime protocol as calls of the engine's API."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from openecs.agent.runtime.docker import output, translate
from openecs.agent.runtime.docker.discarded import discarded_limit
from openecs.agent.runtime.docker.engine import EngineApi
from openecs.agent.runtime.docker.messages import (
    ContainerIdJson,
    ContainerJson,
    EventJson,
    ImageJson,
    InfoJson,
    ProgressJson,
    TopJson,
)
from openecs.agent.runtime.protocol import (
    ContainerInfo,
    EngineError,
    EngineInfo,
    EngineUnavailable,
    Event,
    ImageInfo,
    NoSuchContainer,
    RegistryAuth,
)
from openecs.agent.runtime.reference import parse_reference
from openecs.http import HttpClient

#: Making and starting containers can take minutes on a busy host, with slow storage drivers;
#: callers with less patience set their own limits.
_SLOW = 300.0
#: What the engine may need beyond a container's grace period.
_BEYOND_GRACE = 120.0

#: Seconds between looks at a name that is taken by a container which cannot be seen yet.
_CREATION_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

#: All processes, as their host numbers them.
_PS = {"ps_args": "-eo pid"}
#: Of a log driver that only sends lines away; newer engines say it with a 501 besides.
_UNREADABLE = "does not support reading"
_PODMAN_NAME_TAKEN = "that name is already in use"
#: Where Podman's timers come from; without systemd none of its health checks ever runs.
_SYSTEMD = Path("/run/systemd/system")

_log = structlog.get_logger("openecs.agent.runtime.docker")

_container = msgspec.json.Decoder(ContainerJson)
_container_id = msgspec.json.Decoder(ContainerIdJson)
_container_ids = msgspec.json.Decoder(list[ContainerIdJson])
_event = msgspec.json.Decoder(EventJson)
_image = msgspec.json.Decoder(ImageJson)
_info = msgspec.json.Decoder(InfoJson)
_progress = msgspec.json.Decoder(ProgressJson)
_top = msgspec.json.Decoder(TopJson)


class DockerRuntime:
    """A Docker Engine, or Podman's compatible service, at the other end of ``client``."""

    def __init__(
        self, client: HttpClient, *, creation_pauses: Sequence[float] = _CREATION_PAUSES, systemd: Path = _SYSTEMD
    ) -> None:
        self._api = EngineApi(client)
        self._creation_pauses = creation_pauses
        self._systemd = systemd

    def __repr__(self) -> str:
        return f"DockerRuntime({self._api.address!r})"

    async def info(self) -> EngineInfo:
        version = await self._api.version()
        response = await self._api.call("GET", "/info")
        return translate.engine_info(
            self._api.decode(_info, response.body, "itself"),
            version,
            runs_health_checks=not self._api.is_podman or self._systemd.is_dir(),
            shares_name_servers=not self._api.is_podman,
            hands_out_gpus=not self._api.is_podman,
        )

    async def inspect_image(self, reference: str) -> ImageInfo | None:
        try:
            response = await self._api.call("GET", f"/images/{quote(reference, safe='/:@')}/json")
        except NoSuchContainer:
            return None
        return translate.image_info(self._api.decode(_image, response.body, reference))

    async def pull(self, reference: str, auth: RegistryAuth | None = None) -> None:
        name = parse_reference(reference)
        # Without a tag the engine would fetch every tag of the repository.
        query = {"fromImage": name.repository, "tag": name.digest or name.tag or "latest"}
        headers = () if auth is None else (("X-Registry-Auth", _registry_auth(auth)),)
        # The engine begins its answer when the registry has answered, which may take minutes.
        async with self._api.stream("POST", "/images/create", query=query, headers=headers, within=_SLOW) as response:
            async for line in response.lines():
                progress = self._api.decode(_progress, line, f"the pull of {reference}")
                if progress.error or progress.error_detail:
                    detail = progress.error_detail.message if progress.error_detail else ""
                    raise EngineError(detail or progress.error)

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        if self._api.is_podman and (body.get("HostConfig") or {}).get("DeviceRequests"):
            # Its compatible API would leave them out without a word.
            raise EngineError("Podman cannot give GPUs to containers by Docker's API", 400)
        for pause in (*self._creation_pauses, None):
            # Podman says with a 500 that a name is taken.
            response = await self._api.call(
                "POST", "/containers/create", query={"name": name}, body=body, within=_SLOW, fine=(409, 500)
            )
            if response.status < 400:
                created = self._api.decode(_container_id, response.body, name)
                warnings = created.warnings or ()
                for warning in warnings:
                    _log.warning("engine_warning", container=name, warning=warning)
                if missing := discarded_limit(warnings, body.get("HostConfig") or {}):
                    # It must not run without a limit that was asked for.
                    try:
                        await self.remove(created.id)
                    except (EngineError, EngineUnavailable) as error:
                        _log.warning("container left behind", container=name, error=str(error))
                    raise EngineError(missing, 400)
                return created.id
            refusal = self._api.refusal(response)
            if response.status == 500:
                if _PODMAN_NAME_TAKEN not in refusal.message:
                    raise refusal
                refusal = EngineError(refusal.message, 409)
            try:
                existing = await self.inspect(name)
            except NoSuchContainer:
                # The engine takes a name before there is a container to show for it, and gives it
                # up last: an earlier call is still at work, or a removal.
                if pause is None:
                    break
                await asyncio.sleep(pause)
                continue
            labels: Mapping[str, str] = body.get("Labels") or {}
            # The image's own labels come on top of those that were asked for.
            if existing.name == name and all(existing.labels.get(key) == value for key, value in labels.items()):
                return existing.id
            break
        raise refusal

    async def start(self, container_id: str) -> None:
        await self._api.call("POST", _path(container_id, "start"), within=_SLOW)

    async def stop(self, container_id: str, timeout: int) -> None:  # noqa: ASYNC109 -- the engine's grace period
        await self._api.call(
            "POST", _path(container_id, "stop"), query={"t": str(timeout)}, within=timeout + _BEYOND_GRACE
        )

    async def remove(self, container_id: str) -> None:
        query = {"v": "1", "force": "1"}
        response = await self._api.call("DELETE", _path(container_id), query=query, within=_SLOW, fine=(404, 409))
        if response.status == 409:
            refusal = self._api.refusal(response)
            if "already in progress" not in refusal.message:
                raise refusal
            # Somebody else removes it; gone is gone, whoever did it.
            await self._api.call(
                "POST", _path(container_id, "wait"), query={"condition": "removed"}, within=_SLOW, fine=(404,)
            )

    async def inspect(self, container_id: str) -> ContainerInfo:
        response = await self._api.call("GET", _path(container_id, "json"))
        return translate.container_info(self._api.decode(_container, response.body, container_id))

    async def list(self, labels: Sequence[str] = ()) -> list[str]:
        query = {"all": "1"}
        if labels:
            query["filters"] = _filters(label=labels)
        response = await self._api.call("GET", "/containers/json", query=query)
        return [entry.id for entry in self._api.decode(_container_ids, response.body, "its containers")]

    async def events(self, since: float | None = None) -> AsyncGenerator[Event, None]:
        await self._api.version()
        if self._api.is_podman:
            # Podman wants every filter to match and has names of its own: we choose ourselves.
            query = {"filters": _filters(type=["container"])}
        else:
            # Every probe of a health check would otherwise come as three events about an exec.
            query = {"filters": _filters(type=["container"], event=translate.ANNOUNCED)}
        if since is not None:
            query["since"] = f"{since:.9f}"
        async with self._api.stream("GET", "/events", query=query) as response:
            async for line in response.lines():
                event = translate.event(self._api.decode(_event, line, "an event"))
                if event is not None:
                    yield event
        raise EngineUnavailable("the container engine ended its stream of events")

    async def create_volume(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        body = {"Name": name, "Driver": driver or "local", "DriverOpts": dict(options), "Labels": dict(labels)}
        await self._api.call("POST", "/volumes/create", body=body)

    async def volume_exists(self, name: str) -> bool:
        response = await self._api.call("GET", f"/volumes/{quote(name, safe='')}", fine=(404,))
        return response.status != 404

    async def remove_volume(self, name: str) -> None:
        await self._api.call("DELETE", f"/volumes/{quote(name, safe='')}", fine=(404,))

    async def tail(self, container_id: str, lines: int) -> str | None:
        response = await self._api.call("GET", _path(container_id, "json"))
        config = self._api.decode(_container, response.body, container_id).config
        query = {"stdout": "1", "stderr": "1", "tail": str(lines)}
        end = output.End(terminal=config is not None and config.tty)
        try:
            async with self._api.stream("GET", _path(container_id, "logs"), query=query) as stream:
                async for chunk in stream.chunks():
                    end.feed(chunk)
        except EngineError as error:
            if error.status == 501 or _UNREADABLE in error.message:
                return None
            raise
        return output.newest(end.text(), lines)

    async def top(self, container_id: str) -> tuple[int, ...]:
        await self._api.version()
        # Podman's own descriptor for what Docker's ps shows; it would go on telling for ever.
        title, query = ("HPID", {"ps_args": "hpid", "stream": "false"}) if self._api.is_podman else ("PID", _PS)
        try:
            response = await self._api.call("GET", _path(container_id, "top"), query=query)
        except EngineError as error:
            # 409 since Docker 20.10; other engines say it with a 500.
            if "is not running" in error.message or "running containers" in error.message:
                return ()
            raise
        if not response.body.strip():
            return ()  # Podman's words for a container that is not running.
        table = self._api.decode(_top, response.body, container_id)
        column = (table.titles or []).index(title)
        return tuple(int(row[column]) for row in table.processes or ())

    async def close(self) -> None:
        await self._api.close()


def _path(container_id: str, call: str = "") -> str:
    path = f"/containers/{quote(container_id, safe='')}"
    return f"{path}/{call}" if call else path


def _filters(**filters: Sequence[str]) -> str:
    return msgspec.json.encode(filters).decode()


def _registry_auth(auth: RegistryAuth) -> str:
    document = msgspec.json.encode({"username": auth.username, "password": auth.password})
    return base64.urlsafe_b64encode(document).decode()
