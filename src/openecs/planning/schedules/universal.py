"""Universal targets: ``arn:aws:scheduler:::aws-sdk:ecs:updateService`` names an operation.  Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"arn:aws[a-z-]*:scheduler:::aws-sdk:([a-z0-9]+):([a-z][A-Za-z0-9]*)")
#: Services as the ARN names them → as OpenECS does.
_SERVICES = {
    "applicationautoscaling": "application_autoscaling",
    "autoscaling": "autoscaling",
    "cloudwatch": "cloudwatch",
    "cloudwatchlogs": "logs",
    "ec2": "ec2",
    "ecs": "ecs",
    "elasticloadbalancingv2": "elbv2",
    "eventbridge": "events",
    "scheduler": "scheduler",
    "servicediscovery": "servicediscovery",
}


class UniversalTarget(NamedTuple):
    """A service by OpenECS's name, or the ARN's where it has none, and an operation."""

    service: str
    operation: str


def universal_target(arn: str) -> UniversalTarget | None:
    """The operation of a universal target's ARN; ``None`` for other ARNs."""
    found = _FORM.fullmatch(arn)
    if found is None:
        return None
    return UniversalTarget(_SERVICES.get(found[1], found[1]), found[2][:1].upper() + found[2][1:])
