"""Application Auto Scaling: what is scaled, by which rules, and what scaling has done.

The records hold what callers asked for, and of a policy what its cooldowns count from.  Alarms of
target tracking policies are records of their own (``model.alarm``), owned by the policy.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import application_autoscaling as aas

#: The only thing that is scaled here.
NAMESPACE: Literal["ecs"] = "ecs"
DIMENSION: Literal["ecs:service:DesiredCount"] = "ecs:service:DesiredCount"


class ScalableTarget(Record, frozen=True, kw_only=True):
    """A service whose desired count is scaled; ``resource_id`` is ``service/CLUSTER/SERVICE``."""

    arn: str
    region: str
    resource_id: str
    service_arn: str
    min_capacity: int
    max_capacity: int
    role_arn: str
    created_at: float
    suspended: aas.SuspendedState

    @property
    def key(self) -> str:
        return target_key(self.region, self.resource_id)


class ScalingPolicy(Record, frozen=True, kw_only=True):
    """One policy of a target: exactly one of ``step`` and ``tracking`` is set."""

    arn: str
    name: str
    region: str
    target_key: str
    created_at: float
    step: aas.StepScalingPolicyConfiguration | None = None
    tracking: aas.TargetTrackingScalingPolicyConfiguration | None = None
    #: Names of the alarms that the policy made; empty for what it has not.
    high_alarm: str = ""
    low_alarm: str = ""
    #: When it last added capacity, and how much there was before; likewise for removing.
    out_at: float = 0.0
    out_from: int = 0
    in_at: float = 0.0
    #: The newest change of an alarm's state to something other than ALARM that it has acted on.
    acted_on: float = 0.0

    @property
    def key(self) -> str:
        return self.arn


class ScheduledScaling(Record, frozen=True, kw_only=True):
    """One scheduled action of a target; times are seconds since the epoch."""

    arn: str
    name: str
    region: str
    target_key: str
    created_at: float
    schedule: str
    timezone: str | None = None
    start_time: float | None = None
    end_time: float | None = None
    action: aas.ScalableTargetAction
    #: Up to where its times have been looked at: they are never acted on twice.
    done_until: float

    @property
    def key(self) -> str:
        return self.arn


class ScalingActivity(Record, frozen=True, kw_only=True):
    """One thing that scaling did, or decided not to do (``reasons``)."""

    id: str
    region: str
    target_key: str
    resource_id: str
    description: str
    cause: str
    started_at: float
    status: aas.ScalingActivityStatusCode
    status_message: str
    ended_at: float | None = None
    #: The desired count that it set.
    capacity: int | None = None
    reasons: tuple[aas.NotScaledReason, ...] = ()

    @property
    def key(self) -> str:
        return self.id


def target_key(region: str, resource_id: str) -> str:
    """The key of a scalable target."""
    return f"{region}:{resource_id}"
