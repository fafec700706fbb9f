"""A container's log configuration as Docker's LogConfig.  Pure.

Options are Docker's own and pass through, save for awslogs: its stream prefix is ECS's
invention and becomes the stream's name, and the driver is pointed at OpenECS's log service.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from openecs.shapes import ecs

DEFAULT_MODE = "non-blocking"
#: What AWS gives the non-blocking mode when the definition names no size.
BUFFER_SIZE = "10m"


class LogTarget(NamedTuple):
    """Where awslogs events go, and how when the definition does not say."""

    #: The control plane's URL as the agent reached it.
    endpoint: str
    #: The account's ``defaultLogDriverMode``: ``blocking`` or ``non-blocking``.
    default_mode: str = DEFAULT_MODE


def log_config(
    configuration: ecs.LogConfiguration, *, container: str, task_id: str, target: LogTarget
) -> dict[str, Any]:
    """``Type`` and ``Config`` for one container of one task.

    Without a prefix the stream is named by the driver: after the container's engine id.
    """
    options = dict(configuration.options or {})
    if configuration.log_driver == "awslogs":
        prefix = options.pop("awslogs-stream-prefix", None)
        if prefix:
            options["awslogs-stream"] = f"{prefix}/{container}/{task_id}"
        options.setdefault("awslogs-endpoint", target.endpoint)
        if options.setdefault("mode", target.default_mode) == "non-blocking":
            options.setdefault("max-buffer-size", BUFFER_SIZE)
    return {"Type": configuration.log_driver, "Config": options}
