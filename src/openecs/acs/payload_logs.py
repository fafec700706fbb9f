"""A container's log configuration as Docker's LogConfig.  Pure.

Options are Docker's own and pass through, save for awslogs: its stream prefix is ECS's
invention and becomes the stream's name, and the driver is pointed at OpenECS's log service.
"""

from __future__ import annotations

from typing import Any

from openecs.shapes import ecs


def log_config(configuration: ecs.LogConfiguration, *, container: str, task_id: str, endpoint: str) -> dict[str, Any]:
    """``Type`` and ``Config`` for one container of one task.

    Without a prefix the stream is named by the driver: after the container's engine id.
    """
    options = dict(configuration.options or {})
    if configuration.log_driver == "awslogs":
        prefix = options.pop("awslogs-stream-prefix", None)
        if prefix:
            options["awslogs-stream"] = f"{prefix}/{container}/{task_id}"
        options.setdefault("awslogs-endpoint", endpoint)
    return {"Type": configuration.log_driver, "Config": options}
