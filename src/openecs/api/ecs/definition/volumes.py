"""Volumes of a task and where its containers mount them."""

from __future__ import annotations

import re

from msgspec.structs import replace

from openecs.api.ecs.definition import names
from openecs.api.ecs.definition.refusals import invalid_field
from openecs.errors import client_error
from openecs.shapes import ecs

#: A path inside a container; a colon would end it in Docker's own notation.
_PATH = re.compile(r"/[^:\x00]{0,4095}")

_KINDS = (
    ("host", "host"),
    ("dockerVolumeConfiguration", "docker_volume_configuration"),
    ("efsVolumeConfiguration", "efs_volume_configuration"),
    ("s3filesVolumeConfiguration", "s3files_volume_configuration"),
    ("fsxWindowsFileServerVolumeConfiguration", "fsx_windows_file_server_volume_configuration"),
)


def is_path(text: str | None) -> bool:
    """Whether a text is an absolute path that every engine accepts as a mount."""
    return bool(text and _PATH.fullmatch(text))


def completed(volumes: tuple[ecs.Volume, ...]) -> tuple[ecs.Volume, ...]:
    """The volumes with what AWS fills in: an empty ``host``, the scope of Docker volumes."""
    names.check_volume_names([volume.name for volume in volumes])
    return tuple(_completed(volume) for volume in volumes)


def _completed(volume: ecs.Volume) -> ecs.Volume:
    given = [field for field, attribute in _KINDS if getattr(volume, attribute) is not None]
    if len(given) > 1:
        raise client_error(f"Volume '{volume.name}' must have only one of {', '.join(given)}.")
    if not given:
        return replace(volume, host=ecs.HostVolumeProperties())
    if volume.host is not None:
        source = volume.host.source_path
        if source and not is_path(source):
            raise client_error(f"Invalid 'sourcePath' setting for volume '{volume.name}'. It must be an absolute path.")
        return volume
    docker = volume.docker_volume_configuration
    if docker is None:
        return volume
    docker = replace(docker, scope=docker.scope or "task")
    if docker.autoprovision and docker.scope != "shared":
        raise client_error(
            f"Invalid 'autoprovision' setting for volume '{volume.name}'. It requires the scope 'shared'."
        )
    if docker.driver == "":
        raise client_error(f"Invalid 'driver' setting for volume '{volume.name}'.")
    return replace(volume, docker_volume_configuration=docker)


def check_mounts(container: ecs.ContainerDefinition, volumes: tuple[ecs.Volume, ...]) -> None:
    """Every mount point names a volume of the task and has a path of its own."""
    known = {volume.name for volume in volumes}
    seen: set[str] = set()
    for mount in container.mount_points or ():
        if mount.source_volume not in known:
            raise client_error(f"Unknown volume '{mount.source_volume}' (mountPoints of container '{container.name}').")
        path = mount.container_path
        if path is None or not is_path(path):
            raise invalid_field("containerPath", container.name or "", "It must be an absolute path.")
        if path in seen:
            raise invalid_field("containerPath", container.name or "", f"'{path}' is mounted more than once.")
        seen.add(path)
