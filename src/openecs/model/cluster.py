"""A cluster: a name under which services, tasks and container instances are grouped."""

from __future__ import annotations

import re
from typing import Literal

from openecs.model.record import Record
from openecs.shapes import ecs

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}", re.ASCII)

ClusterStatus = Literal["ACTIVE", "INACTIVE"]


class Cluster(Record, frozen=True, kw_only=True):
    """One cluster of one region.  INACTIVE clusters stay describable for a while."""

    arn: str
    name: str
    region: str
    status: ClusterStatus
    created_at: float
    settings: tuple[ecs.ClusterSetting, ...] = ()
    configuration: ecs.ClusterConfiguration | None = None
    capacity_providers: tuple[str, ...] = ()
    default_capacity_provider_strategy: tuple[ecs.CapacityProviderStrategyItem, ...] = ()
    #: ARN of the Cloud Map namespace of services with Service Connect that name none.
    connect_namespace_arn: str | None = None
    #: Set when the cluster became INACTIVE; the reaper forgets it later.
    deleted_at: float | None = None

    @property
    def key(self) -> str:
        return self.arn
