"""FireLens: the log router of a task, its configuration, and what other containers log to.  Pure.

The router is a container of the task with an image of the user's, Fluent Bit or Fluentd.  Docker's
fluentd driver of the other containers speaks to a socket in a folder of the host, which the router
has as ``/var/run``; what becomes of each container's lines stands in a file that is made here.
Facts of Amazon's agent; see its protocol's notes on log drivers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from openecs.acs.task_payload import ContainerPayload, FirelensPayload, TaskPayload

DRIVER = "awsfirelens"
#: Where routers read their configuration.
TARGETS = {"fluentbit": "/fluent-bit/etc/fluent-bit.conf", "fluentd": "/fluentd/etc/fluent.conf"}
SOCKET_FOLDER = "/var/run/"
PORT = 24224
#: What the router's health may be asked at.
_HEALTH_PORT, _HEALTH_TAG = 8877, "firelens-healthcheck"
_BUFFER_LIMIT = "log-driver-buffer-limit"
#: Options that are filters of OpenECS's making, not the output's own.
_INCLUDE, _EXCLUDE = "include-pattern", "exclude-pattern"


class FirelensError(ValueError):
    """The task's log routing cannot be done."""


class Place(NamedTuple):
    """The folder of one task's router on this host."""

    folder: Path

    @property
    def config(self) -> Path:
        """The file that the router reads."""
        return self.folder / "config" / "fluent.conf"

    @property
    def sockets(self) -> Path:
        """The folder in which the router makes its socket."""
        return self.folder / "socket"


class Record(NamedTuple):
    """What is added to every line."""

    cluster: str
    task_arn: str
    task_definition: str


def router(task: TaskPayload) -> ContainerPayload | None:
    """The container that routes the task's logs."""
    return next((one for one in task.containers if one.firelens_configuration is not None), None)


def options(container: ContainerPayload) -> dict[str, str] | None:
    """What a container says of its output; ``None`` for one that does not log to the router."""
    host = msgspec.json.decode(container.docker_config.host_config or "{}")
    log = host.get("LogConfig") if isinstance(host, dict) else None
    if not isinstance(log, dict) or log.get("Type") != DRIVER:
        return None
    return {str(name): str(value) for name, value in (log.get("Config") or {}).items()}


def log_config(container: ContainerPayload, given: Mapping[str, Any], task_id: str, place: Place) -> dict[str, Any]:
    """Docker's own log configuration for one that does."""
    found = {
        "fluentd-address": f"unix://{place.sockets}/fluent.sock",
        # Containers start and go on whether or not the router takes their lines.
        "fluentd-async": "true",
        "fluentd-sub-second-precision": "true",
        "tag": f"{container.name}-firelens-{task_id}",
    }
    if _BUFFER_LIMIT in given:
        found["fluentd-buffer-limit"] = str(given[_BUFFER_LIMIT])
    return {"Type": "fluentd", "Config": found}


def binds(configuration: FirelensPayload, place: Place) -> list[str]:
    """What the router has of the host."""
    return [f"{place.config}:{TARGETS[configuration.type]}:ro", f"{place.sockets}:{SOCKET_FOLDER}"]


def configuration(task: TaskPayload, record: Record) -> str:
    """The router's file.  Raises ``FirelensError``."""
    found = router(task)
    given = found.firelens_configuration if found is not None else None
    if given is None or given.type not in TARGETS:
        raise FirelensError("the task has no log router of the type fluentbit or fluentd")
    outputs = {one.name: said for one in task.containers if (said := options(one)) is not None}
    write = _fluentbit if given.type == "fluentbit" else _fluentd
    return "\n".join(write(task.network_mode, given.options, outputs, record)) + "\n"


def _bind(network_mode: str) -> str | None:
    """Where the router takes lines over TCP; not on the host's network, which is everybody's."""
    return {"awsvpc": "127.0.0.1", "bridge": "0.0.0.0"}.get(network_mode)  # noqa: S104 -- the container's own


def _fluentbit(
    network_mode: str, given: Mapping[str, str], outputs: Mapping[str, dict[str, str]], record: Record
) -> Iterator[str]:
    health = {"Name": "tcp", "Tag": _HEALTH_TAG, "Listen": "127.0.0.1", "Port": str(_HEALTH_PORT)}
    yield from _section("INPUT", health)
    yield from _section("INPUT", {"Name": "forward", "unix_path": f"{SOCKET_FOLDER}fluent.sock"})
    address = _bind(network_mode)
    if address is not None:
        yield from _section("INPUT", {"Name": "forward", "Listen": address, "Port": str(PORT)})
    for name, said in outputs.items():
        for option, verb in ((_INCLUDE, "Regex"), (_EXCLUDE, "Exclude")):
            if option in said:
                grep = {"Name": "grep", "Match": f"{name}-firelens*", verb: f"log {said[option]}"}
                yield from _section("FILTER", grep)
    if _adds_metadata(given):
        yield "[FILTER]"
        yield "    Name record_modifier"
        yield "    Match *"
        yield from (f"    Record {key} {value}" for key, value in _metadata(record))
        yield ""
    if given.get("config-file-type") == "file":
        yield f"@INCLUDE {_line(given['config-file-value'])}"
        yield ""
    yield from _section("OUTPUT", {"Name": "null", "Match": _HEALTH_TAG})
    for name, said in outputs.items():
        # Without an output of its own, a container's lines go where the user's file sends them.
        own = _own(said)
        if "Name" in own:
            yield from _section("OUTPUT", {"Name": own.pop("Name"), "Match": f"{name}-firelens*", **own})


def _fluentd(
    network_mode: str, given: Mapping[str, str], outputs: Mapping[str, dict[str, str]], record: Record
) -> Iterator[str]:
    yield from _element("source", {"@type": "unix", "path": f"{SOCKET_FOLDER}fluent.sock"})
    address = _bind(network_mode)
    if address is not None:
        yield from _element("source", {"@type": "forward", "bind": address, "port": str(PORT)})
    for name, said in outputs.items():
        for option, verb in ((_INCLUDE, "regexp"), (_EXCLUDE, "exclude")):
            if option in said:
                yield f"<filter {name}-firelens**>"
                yield "    @type grep"
                yield f"    <{verb}>"
                yield "        key log"
                yield f"        pattern {_line(said[option])}"
                yield f"    </{verb}>"
                yield "</filter>"
                yield ""
    if _adds_metadata(given):
        yield "<filter **>"
        yield "    @type record_transformer"
        yield "    <record>"
        yield from (f"        {key} {value}" for key, value in _metadata(record))
        yield "    </record>"
        yield "</filter>"
        yield ""
    if given.get("config-file-type") == "file":
        yield f"@include {_line(given['config-file-value'])}"
        yield ""
    for name, said in outputs.items():
        own = _own(said)
        if "@type" in own:
            yield from _element(f"match {name}-firelens**", own)


def _own(said: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in said.items() if name not in (_BUFFER_LIMIT, _INCLUDE, _EXCLUDE)}


def _adds_metadata(given: Mapping[str, str]) -> bool:
    return given.get("enable-ecs-log-metadata", "true") == "true"


def _metadata(record: Record) -> tuple[tuple[str, str], ...]:
    return (
        ("ecs_cluster", record.cluster),
        ("ecs_task_arn", record.task_arn),
        ("ecs_task_definition", record.task_definition),
    )


def _section(name: str, members: Mapping[str, str]) -> Iterator[str]:
    yield f"[{name}]"
    yield from (f"    {key} {_line(value)}" for key, value in members.items())
    yield ""


def _element(name: str, members: Mapping[str, str]) -> Iterator[str]:
    yield f"<{name}>"
    yield from (f"    {key} {_line(value)}" for key, value in members.items())
    yield f"</{name.partition(' ')[0]}>"
    yield ""


def _line(value: str) -> str:
    """A value must not become a line, and so a section, of its own."""
    if "\n" in value or "\r" in value:
        raise FirelensError("an option of a log configuration has more than one line")
    return value
