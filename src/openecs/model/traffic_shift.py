"""How far a BLUE_GREEN, LINEAR or CANARY deployment is: part of its service deployment's record."""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import ecs

#: Seconds that a pause hook waits when it does not say, and that any other stage may take.
DAY = 86_400.0


class HookRun(Record, frozen=True, kw_only=True):
    """A pause hook that was reached."""

    id: str
    stage: ecs.DeploymentLifecycleHookStage
    #: Of the production traffic's steps, the one that it stands before; 0 at other stages.
    step: int
    #: Its place in the deployment configuration.
    index: int
    status: ecs.DeploymentLifecycleHookStatus
    expires_at: float
    timeout_action: ecs.DeploymentLifecycleHookAction


class TrafficShift(Record, frozen=True, kw_only=True):
    """Where the deployment is in its life cycle, and the traffic that its revision is to get."""

    stage: ecs.ServiceDeploymentLifecycleStage
    stage_started_at: float
    #: Percent of the traffic that the new revision is to get.
    production: float = 0.0
    test: float = 0.0
    #: Steps of production traffic that were taken, and when the newest one was.
    steps: int = 0
    step_at: float | None = None
    hooks: tuple[HookRun, ...] = ()
