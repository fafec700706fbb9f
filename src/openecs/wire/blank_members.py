"""What ECS says when a required member is absent, where it has its own words for it.

The ECS front end checks most required members by hand and words each refusal, instead of the
general "1 validation error detected".  The lines here are the ones that public transcripts
show; every other member is refused in the general words of ``openecs.wire.explain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: (service, operation, member) → (error code, message).
BLANK: Mapping[tuple[str, str, str], tuple[str, str]] = MappingProxyType(
    {
        ("ecs", "RegisterTaskDefinition", "family"): ("ClientException", "Family can not be blank."),
        ("ecs", "RegisterTaskDefinition", "containerDefinitions"): (
            "ClientException",
            "Container list cannot be empty.",
        ),
        ("ecs", "RunTask", "taskDefinition"): ("InvalidParameterException", "TaskDefinition can not be blank."),
        ("ecs", "StartTask", "taskDefinition"): ("InvalidParameterException", "TaskDefinition can not be blank."),
        ("ecs", "DescribeTasks", "tasks"): ("InvalidParameterException", "Tasks cannot be empty."),
        ("ecs", "DescribeServices", "services"): ("InvalidParameterException", "Services cannot be empty."),
    }
)
