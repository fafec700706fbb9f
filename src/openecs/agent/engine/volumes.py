"""The engine volumes of a task: made before its containers, removed after them.

Host volumes are paths and need nothing.  Volumes of scope ``task`` belong to the task and go
with it; shared ones stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from openecs.acs.task_payload import DockerVolume, TaskPayload, VolumePayload
from openecs.agent.engine import names
from openecs.agent.runtime.protocol import EngineError, Runtime


class VolumeError(Exception):
    """A volume cannot be had; the text is the task's stop reason."""


def sources(task: TaskPayload) -> Mapping[str, str]:
    """Volume name in the task → what a bind mounts: a host path or an engine volume's name."""
    return {volume.name: _source(task, volume) for volume in task.volumes}


def check(task: TaskPayload) -> str | None:
    """What is wrong with the task's volumes and their use, ``None`` when nothing is."""
    for volume in task.volumes:
        if volume.type not in ("host", "docker"):
            return f'unrecognized volume type: "{volume.type}"'
        if volume.type == "host" and volume.host is None:
            return "invalid volume: empty volume configuration"
        if volume.type == "docker" and volume.docker_volume_configuration is None:
            return "invalid volume: empty volume configuration"
    known = {volume.name for volume in task.volumes}
    for container in task.containers:
        for mount in container.mount_points:
            if mount.source_volume not in known:
                return f"invalid volume referenced in container '{container.name}': '{mount.source_volume}'"
    return None


def needed(task: TaskPayload) -> bool:
    """Whether ``make`` has anything to do."""
    return any(_in_engine(volume) for volume in task.volumes)


async def make(task: TaskPayload, runtime: Runtime, labels: Mapping[str, str]) -> None:
    """Make the task's volumes; repeated calls are harmless.  Raises ``VolumeError``."""
    for volume in task.volumes:
        if not _in_engine(volume):
            continue
        name = _source(task, volume)
        wanted = volume.docker_volume_configuration or DockerVolume()
        if wanted.scope == "shared" and not wanted.autoprovision:
            if not await runtime.volume_exists(name):
                raise VolumeError(
                    f"initialize volume: volume detection failed, volume '{name}' does not exist and "
                    "autoprovision is set to false"
                )
            continue
        marks = dict(wanted.labels) if wanted.scope == "shared" else {**wanted.labels, **labels}
        try:
            await runtime.create_volume(name, wanted.driver or "local", wanted.driver_opts, marks)
        except EngineError as error:
            raise VolumeError(f"CannotCreateVolumeError: Error response from daemon: {error.message}") from None


async def remove(task: TaskPayload, runtime: Runtime) -> None:
    """Remove the volumes that belong to the task alone."""
    for volume in task.volumes:
        if _in_engine(volume) and (volume.docker_volume_configuration or DockerVolume()).scope == "task":
            await runtime.remove_volume(_source(task, volume))


def _in_engine(volume: VolumePayload) -> bool:
    return volume.type == "docker" or (volume.host is not None and not volume.host.source_path)


def _source(task: TaskPayload, volume: VolumePayload) -> str:
    if not _in_engine(volume):
        return volume.host.source_path if volume.host is not None else ""
    configuration = volume.docker_volume_configuration
    if configuration is not None and configuration.scope == "shared":
        return volume.name
    return names.volume_name(task, volume.name)
