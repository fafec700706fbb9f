"""Capacity providers: where a cluster's tasks may get their capacity from.

FARGATE and FARGATE_SPOT are always there and have no record.  A provider of the Auto Scaling
group kind stands for the nodes that joined under that group's name.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import ecs

FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
#: Attribute of a container instance whose node joined under a group's name.
GROUP_ATTRIBUTE = "openecs.auto-scaling-group"


class CapacityProvider(Record, frozen=True, kw_only=True):
    """One capacity provider of the Auto Scaling group kind, of one region."""

    arn: str
    name: str
    region: str
    status: Literal["ACTIVE", "INACTIVE"]
    created_at: float
    auto_scaling_group_provider: ecs.AutoScalingGroupProvider
    #: Name of the group: the last part of its ARN, or the name that was given instead.
    group_name: str
    update_status: ecs.CapacityProviderUpdateStatus | None = None
    update_status_reason: str | None = None
    deleted_at: float | None = None

    @property
    def key(self) -> str:
        return self.arn
