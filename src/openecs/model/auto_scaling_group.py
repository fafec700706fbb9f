"""EC2 Auto Scaling groups: how many machines there shall be, those that there are, and what was done.

A machine of a group is started and stopped by the operator's provisioner.  Its agent joins with a
key of its own, whose principal names the machine, so that node and machine are known to be one.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import autoscaling

#: Processes that can be suspended and mean something here.
PROCESSES = ("Launch", "Terminate", "ReplaceUnhealthy")


class AutoScalingGroup(Record, frozen=True, kw_only=True):
    """One group; sizes are numbers of machines."""

    arn: str
    name: str
    region: str
    created_at: float
    min_size: int
    max_size: int
    desired: int
    default_cooldown: int = 300
    zones: tuple[str, ...] = ()
    #: Comma-separated ids of subnets, as they were given.
    subnets: str = ""
    launch_template: autoscaling.LaunchTemplateSpecification | None = None
    mixed_instances_policy: autoscaling.MixedInstancesPolicy | None = None
    health_check_grace_period: int = 0
    protect_new_instances: bool = False
    suspended: tuple[str, ...] = ()
    tags: tuple[autoscaling.TagDescription, ...] = ()
    #: Set when the group goes as soon as its machines have gone.
    deleting: bool = False

    @property
    def key(self) -> str:
        return self.arn


class GroupInstance(Record, frozen=True, kw_only=True):
    """One machine of a group, from the moment in which it was decided on."""

    id: str
    group_arn: str
    region: str
    zone: str
    created_at: float
    state: Literal["Pending", "InService", "Terminating"] = "Pending"
    healthy: bool = True
    protected: bool = False
    #: Set when the provisioner has said that the machine was started.
    started: bool = False
    #: The activity that tells of what is happening to it.
    activity_id: str = ""
    terminating_since: float | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def session(self) -> str:
        """The name of the principal as which the machine's agent joins."""
        return f"agent-{self.id}"


class GroupActivity(Record, frozen=True, kw_only=True):
    """One thing done to a group's machines."""

    id: str
    group_arn: str
    group_name: str
    region: str
    description: str
    cause: str
    started_at: float
    status: autoscaling.ScalingActivityStatusCode = "InProgress"
    message: str = ""
    ended_at: float | None = None

    @property
    def key(self) -> str:
        return self.id


def instance_of(principal_arn: str) -> str | None:
    """The id of the machine that a principal speaks for; ``None`` for everybody else."""
    session = principal_arn.rpartition("/")[2]
    return session.removeprefix("agent-") if session.startswith("agent-i-") else None
