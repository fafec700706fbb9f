"""Whether Envoy took what was written: it shows the version of every resource that it serves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openecs.agent.edge.envoy_admin import AdminError, EnvoyAdmin
from openecs.agent.edge.envoy_resources import XdsFile

#: Envoy has this long to take a change, in seconds.
_PATIENCE = 10.0
#: After a refusal, how long the rest may still take.
_GRACE = 0.3

_REFUSED = re.compile(r"config update rejected: (.*)")


@dataclass(frozen=True)
class Confirmation:
    """Resources that were not taken, and the files that they are in."""

    rejected: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def joined(self, other: Confirmation) -> Confirmation:
        """Both together."""
        return Confirmation({**self.rejected, **other.rejected}, (*self.files, *other.files))


async def confirm(admin: EnvoyAdmin, log_file: Path, files: Iterable[XdsFile], *, mark: int = 0) -> Confirmation:
    """Wait until Envoy serves these files or has refused some; ``mark`` is where its log ended before.

    An Envoy that does not answer has refused everything.
    """
    waiting = {_statistic(file): file for file in files}
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    pause = 0.001
    refusals: tuple[str, ...] = ()
    while True:
        try:
            versions = await _versions(admin)
        except AdminError as error:
            return _refused(waiting.values(), {}, str(error))
        waiting = {key: file for key, file in waiting.items() if not _shown(key, file, versions)}
        if not waiting:
            warming = await _warming(admin)
            if not warming or loop.time() > until:
                return Confirmation()
        elif not refusals:
            refusals = _refusals(log_file, mark)
            if refusals:
                until = min(until, loop.time() + _GRACE)
        if loop.time() > until:
            text = "; ".join(refusals) or f"Envoy did not take it within {_PATIENCE:.0f} s"
            return _refused(waiting.values(), await _listener_errors(admin), text)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.05)


def _statistic(file: XdsFile) -> str:
    """The end of the name of the statistic that shows the file's version."""
    name = file.name.replace(":", "_")
    return {
        "listeners": "listener_manager.lds.version_text",
        "clusters": "cluster_manager.cds.version_text",
        "endpoints": f"cluster.{name}.version_text",
        "routes": f".rds.{name}.version_text",
        "secrets": f"sds.{name}.version_text",
    }[file.kind]


async def _versions(admin: EnvoyAdmin) -> dict[str, str]:
    page = await admin.json("/stats?type=TextReadouts&format=json")
    found: dict[str, str] = {}
    for stat in page["stats"]:
        name, value = stat["name"], stat["value"]
        found[name] = value
        _, separator, route = name.partition(".rds.")
        if separator:
            found[f".rds.{route}"] = value
        _, separator, secret = name.rpartition("sds.")
        if separator and name.startswith(("sds.", "listener.", "cluster.")):
            found[f"sds.{secret}"] = value
    return found


def _shown(key: str, file: XdsFile, versions: Mapping[str, str]) -> bool:
    return versions.get(key) == file.version


async def _warming(admin: EnvoyAdmin) -> bool:
    page = await admin.json(
        "/stats?filter=^(cluster_manager.warming_clusters|listener_manager.total_listeners_warming)$&format=json"
    )
    return any(stat.get("value") for stat in page["stats"])


def _refusals(log_file: Path, mark: int) -> tuple[str, ...]:
    try:
        with log_file.open("rb") as stream:
            stream.seek(mark)
            text = stream.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(dict.fromkeys(match[1].strip() for match in _REFUSED.finditer(text)))


def _refused(files: Iterable[XdsFile], listeners: Mapping[str, str], text: str) -> Confirmation:
    rejected: dict[str, str] = {}
    paths = []
    for file in files:
        paths.append(file.path)
        if file.kind == "listeners" and listeners:
            rejected |= listeners
        else:
            rejected[file.name or file.kind] = text
    return Confirmation(rejected, tuple(paths))


async def _listener_errors(admin: EnvoyAdmin) -> dict[str, str]:
    """Name of each listener that Envoy does not serve as it should → why."""
    try:
        page = await admin.json("/config_dump?resource=dynamic_listeners")
    except AdminError:
        return {}
    found = {}
    for listener in page.get("configs", ()):
        error = listener.get("error_state")
        if error is not None:
            name = listener.get("name") or error.get("failed_configuration", {}).get("name", "")
            found[name] = error.get("details", "refused")
    return found
