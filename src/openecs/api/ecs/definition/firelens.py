"""FireLens: a task's log router, and the containers that log to it."""

from __future__ import annotations

from collections.abc import Sequence

from openecs.api.ecs.definition.refusals import invalid_field
from openecs.errors import client_error
from openecs.shapes import ecs

DRIVER = "awsfirelens"
_METADATA, _TYPE, _VALUE = "enable-ecs-log-metadata", "config-file-type", "config-file-value"


def check(containers: Sequence[ecs.ContainerDefinition]) -> None:
    """One router at the most, one for whoever logs to it, and options that it knows."""
    routers = [one for one in containers if one.firelens_configuration is not None]
    if len(routers) > 1:
        raise client_error("A task definition can have only one container with a firelensConfiguration.")
    for router in routers:
        _check_router(router)
    for container in containers:
        log = container.log_configuration
        if log is None or log.log_driver != DRIVER:
            continue
        name = container.name or ""
        if not routers:
            raise client_error(
                f"The log driver {DRIVER} of container '{name}' requires a container with a firelensConfiguration."
            )
        if container.firelens_configuration is not None:
            raise invalid_field("logDriver", name, f"The log router cannot log to itself by {DRIVER}.")
        if any("\n" in value or "\r" in value for pair in (log.options or {}).items() for value in pair):
            raise invalid_field("options", name, f"Options of {DRIVER} must have one line each.")
        limit = (log.options or {}).get("log-driver-buffer-limit")
        if limit is not None and not (limit.isascii() and limit.isdecimal()):
            raise invalid_field("log-driver-buffer-limit", name, "It must be a number of bytes.")


def _check_router(container: ecs.ContainerDefinition) -> None:
    configuration, name = container.firelens_configuration, container.name or ""
    options = (configuration.options if configuration is not None else None) or {}
    if unknown := sorted(options.keys() - {_METADATA, _TYPE, _VALUE}):
        raise invalid_field("firelensConfiguration", name, f"Unknown options: {', '.join(unknown)}.")
    if options.get(_METADATA, "true") not in ("true", "false"):
        raise invalid_field(_METADATA, name, "It must be 'true' or 'false'.")
    if (_TYPE in options) != (_VALUE in options):
        raise invalid_field(_TYPE, name, f"It must be specified together with {_VALUE}.")
    kind = options.get(_TYPE, "file")
    if kind == "s3":
        raise invalid_field(_TYPE, name, "OpenECS has no object store. Put the file into the image and use 'file'.")
    if kind != "file":
        raise invalid_field(_TYPE, name, "It must be 'file' or 's3'.")
    value = options.get(_VALUE, "/")
    if not value.startswith("/") or "\n" in value or "\r" in value:
        raise invalid_field(_VALUE, name, "It must be an absolute path in the image.")
