"""The life cycle of BLUE_GREEN, LINEAR and CANARY deployments.  Pure.

``begin`` and ``advance`` walk a ``TrafficShift`` through AWS's stages.  They say how much traffic
the new (green) revision is to get; whoever starts tasks and writes listener rules does it and
tells by ``ShiftFacts`` how far that is.  A deployment without an older (blue) revision has nothing to
protect: it passes the same stages, shifts all traffic at once and does not bake.

Pause hooks hold a stage up until they are continued or time out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from openecs.ids import Ids
from openecs.model.traffic_shift import DAY, HookRun, TrafficShift
from openecs.shapes import ecs

STAGES: tuple[ecs.ServiceDeploymentLifecycleStage, ...] = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
#: AWS's defaults: percent, and minutes between two steps.
STEP_PERCENT, STEP_BAKE = 10.0, 6
CANARY_PERCENT, CANARY_BAKE = 5.0, 10
_NOT_SCALED = "the new revision's tasks did not become healthy again"


#: What a deployment waits for in its stages.
_DOES: dict[str, str] = {
    "RECONCILE_SERVICE": "until only the revision that has the production traffic is left",
    "PRE_SCALE_UP": "before the new revision is started",
    "SCALE_UP": "until all tasks of the new revision are healthy",
    "POST_SCALE_UP": "after the new revision was started",
    "TEST_TRAFFIC_SHIFT": "until every load balancer sends the test traffic to the new revision",
    "POST_TEST_TRAFFIC_SHIFT": "after the test traffic was shifted",
    "PRODUCTION_TRAFFIC_SHIFT": "until every load balancer routes as the newest step says and its bake time is over",
    "POST_PRODUCTION_TRAFFIC_SHIFT": "after the production traffic was shifted",
    "BAKE_TIME": "until the bake time is over",
    "CLEAN_UP": "until all tasks of the older revision have stopped",
}


class ShiftFacts(NamedTuple):
    """What has come true so far."""

    #: An older revision serves, to which the deployment can go back.
    has_blue: bool
    #: There was more than one active revision when it began.
    reconciles: bool
    #: Every task that the new revision should have is healthy.
    scaled: bool
    #: All load balancers route as the shift says.
    applied: bool
    #: There is a rule for test traffic.
    tests: bool
    #: No task of an older revision is left.
    blue_gone: bool
    #: No revision is left but the one that has the production traffic.
    reconciled: bool = True


class Advanced(NamedTuple):
    """The shift as far as it can go now."""

    shift: TrafficShift
    #: When to look again although nothing happened (epoch seconds).
    wake_at: float | None = None
    #: Why the deployment is to be rolled back; ``None`` while it is well.
    failure: str | None = None
    finished: bool = False


def begin(facts: ShiftFacts, now: float) -> TrafficShift:
    """The shift of a deployment that has just been made."""
    return TrafficShift(stage="RECONCILE_SERVICE" if facts.reconciles else "PRE_SCALE_UP", stage_started_at=now)


def advance(
    shift: TrafficShift, configuration: ecs.DeploymentConfiguration, facts: ShiftFacts, now: float, ids: Ids
) -> Advanced:
    """Go through as many stages as are over."""
    while True:
        outcome = _stage(shift, configuration, facts, now, ids)
        if outcome.shift.stage == shift.stage:
            return outcome
        shift = outcome.shift


def keep(shift: TrafficShift, hook_id: str, action: ecs.DeploymentLifecycleHookAction) -> TrafficShift | None:
    """The shift after somebody continued it, or not: with ROLLBACK the hook FAILED.

    ``None``: no hook of that id waits.
    """
    if not any(hook.id == hook_id and hook.status == "AWAITING_ACTION" for hook in shift.hooks):
        return None
    status: ecs.DeploymentLifecycleHookStatus = "SUCCEEDED" if action == "CONTINUE" else "FAILED"
    return msgspec.structs.replace(shift, hooks=_with(shift.hooks, hook_id, status))


def give_up(shift: TrafficShift) -> TrafficShift:
    """The shift of a deployment that is rolled back: the new revision gets nothing any more."""
    return msgspec.structs.replace(shift, production=0.0, test=0.0)


def changes(old: TrafficShift, new: TrafficShift) -> Iterator[str]:
    """What happened between two moments of one shift, in words."""
    before = {run.id: run.status for run in old.hooks}
    for run in new.hooks:
        if before.get(run.id) != run.status:
            yield f"pause hook {run.id} at {run.stage} is {run.status}"
    if new.stage != old.stage:
        yield f"lifecycle stage {new.stage}"
    if new.test != old.test:
        yield f"{new.test:g} % of the test traffic goes to the new revision"
    if new.production != old.production:
        yield f"{new.production:g} % of the production traffic goes to the new revision"


def waits_for(shift: TrafficShift) -> str:
    """What a deployment does in its stage, or waits for, in words."""
    paused = next((run for run in shift.hooks if run.status == "AWAITING_ACTION"), None)
    if paused is not None:
        return f"paused at {paused.stage} by the hook {paused.id} until ContinueServiceDeployment"
    return _DOES[shift.stage]


def steps(configuration: ecs.DeploymentConfiguration, *, has_blue: bool) -> tuple[float, ...]:
    """The percentages that production traffic passes through; the last one is 100."""
    if not has_blue or configuration.strategy not in ("LINEAR", "CANARY"):
        return (100.0,)
    if configuration.strategy == "CANARY":
        canary = configuration.canary_configuration
        percent = canary.canary_percent if canary and canary.canary_percent is not None else CANARY_PERCENT
        return (percent, 100.0) if percent < 100.0 else (100.0,)
    linear = configuration.linear_configuration
    percent = linear.step_percent if linear and linear.step_percent is not None else STEP_PERCENT
    # In tenths, because that is what percentages are multiples of.
    tenths = round(percent * 10)
    return (*(number / 10 for number in range(tenths, 1000, tenths)), 100.0)


def weights(percent: float) -> tuple[int, int]:
    """Weights of a listener rule for the older and the newer target group: tenths of a percent, or all and nothing."""
    newer = round(percent * 10)
    if newer >= 1000:
        return 0, 100
    return (1000 - newer, newer) if newer > 0 else (100, 0)


def _stage(
    shift: TrafficShift, configuration: ecs.DeploymentConfiguration, facts: ShiftFacts, now: float, ids: Ids
) -> Advanced:
    """What the shift's stage comes to; with another stage than before when it is over."""
    held = _hooks(shift, configuration, now, ids)
    if held.failure is not None or held.wake_at is not None:
        return held
    shift = held.shift
    stage = shift.stage
    if stage == "RECONCILE_SERVICE" and not facts.reconciled:
        return _waits(shift, shift.stage_started_at, "other revisions could not be stopped", now)
    if stage == "SCALE_UP" and not facts.scaled:
        return _waits(shift, shift.stage_started_at, "the new revision's tasks did not become healthy", now)
    if stage == "TEST_TRAFFIC_SHIFT" and facts.tests:
        if shift.test < 100.0:
            if not facts.scaled:
                return _waits(shift, shift.stage_started_at, _NOT_SCALED, now)
            # Looked at again when the load balancers have it.
            return Advanced(msgspec.structs.replace(shift, test=100.0), wake_at=shift.stage_started_at + DAY)
        if not facts.applied:
            return _waits(shift, shift.stage_started_at, "test traffic could not be shifted", now)
    if stage == "PRODUCTION_TRAFFIC_SHIFT":
        return _production(shift, configuration, facts, now)
    if stage == "BAKE_TIME" and facts.has_blue:
        until = shift.stage_started_at + (configuration.bake_time_in_minutes or 0) * 60.0
        if now < until:
            return Advanced(shift, wake_at=until)
    if stage == "CLEAN_UP":
        return Advanced(shift, finished=facts.blue_gone)
    return _next(shift, now)


def _production(
    shift: TrafficShift, configuration: ecs.DeploymentConfiguration, facts: ShiftFacts, now: float
) -> Advanced:
    """One step of production traffic, or what the newest one still waits for."""
    percents = steps(configuration, has_blue=facts.has_blue)
    if shift.steps:
        began = shift.step_at if shift.step_at is not None else shift.stage_started_at
        if not facts.applied:
            return _waits(shift, began, "production traffic could not be shifted", now)
        if shift.steps >= len(percents):
            return _next(shift, now)
        until = began + _bake(configuration) * 60.0
        if now < until:
            return Advanced(shift, wake_at=until)
    if not facts.scaled:
        # Tasks were lost since they all were healthy: traffic waits for those that take their place.
        return _waits(shift, shift.step_at or shift.stage_started_at, _NOT_SCALED, now)
    percent = percents[shift.steps]
    stepped = msgspec.structs.replace(shift, production=percent, steps=shift.steps + 1, step_at=now)
    return Advanced(stepped, wake_at=now + DAY)


def _bake(configuration: ecs.DeploymentConfiguration) -> int:
    """Minutes between two steps of production traffic."""
    if configuration.strategy == "CANARY":
        canary = configuration.canary_configuration
        known = canary.canary_bake_time_in_minutes if canary else None
        return CANARY_BAKE if known is None else known
    linear = configuration.linear_configuration
    known = linear.step_bake_time_in_minutes if linear else None
    return STEP_BAKE if known is None else known


def _hooks(shift: TrafficShift, configuration: ecs.DeploymentConfiguration, now: float, ids: Ids) -> Advanced:
    """The shift with the pause hooks of its stage reached; with ``wake_at`` while one of them waits."""
    stage: str = shift.stage
    step = 0
    if stage == "PRODUCTION_TRAFFIC_SHIFT":
        # PAUSE hooks stand before the step that comes next, never within one.
        stage, step = "PRE_PRODUCTION_TRAFFIC_SHIFT", shift.steps
    wanted = [
        (index, hook, named)
        for index, hook in enumerate(configuration.lifecycle_hooks or ())
        for named in dict.fromkeys(hook.lifecycle_stages or ())
        if hook.target_type == "PAUSE" and named == stage
    ]
    if stage == "PRE_PRODUCTION_TRAFFIC_SHIFT" and not _step_is_next(shift, configuration, now):
        wanted = []
    runs = list(shift.hooks)
    for index, hook, named in wanted:
        if not any((run.stage, run.step, run.index) == (stage, step, index) for run in runs):
            runs.append(_reached(hook, named, step, index, now, ids))
    wake_at: float | None = None
    failure: str | None = None
    for number, run in enumerate(runs):
        if (run.stage, run.step) != (stage, step):
            continue
        if run.status == "AWAITING_ACTION" and run.expires_at <= now:
            run = runs[number] = msgspec.structs.replace(run, status="TIMED_OUT")
        if run.status == "AWAITING_ACTION":
            wake_at = min(wake_at or run.expires_at, run.expires_at)
        elif run.status == "FAILED":
            failure = f"the pause hook at {stage} was rolled back"
        elif run.status == "TIMED_OUT" and run.timeout_action == "ROLLBACK":
            failure = f"the pause hook at {stage} timed out"
    if tuple(runs) != shift.hooks:
        shift = msgspec.structs.replace(shift, hooks=tuple(runs))
    return Advanced(shift, wake_at=wake_at, failure=failure)


def _step_is_next(shift: TrafficShift, configuration: ecs.DeploymentConfiguration, now: float) -> bool:
    """Whether a step of production traffic is to be taken now, as far as time decides it."""
    if shift.steps == 0:
        return True
    if shift.production >= 100.0:
        return False
    return now >= (shift.step_at or shift.stage_started_at) + _bake(configuration) * 60.0


def _reached(
    hook: ecs.DeploymentLifecycleHook,
    stage: ecs.DeploymentLifecycleHookStage,
    step: int,
    index: int,
    now: float,
    ids: Ids,
) -> HookRun:
    timeout = hook.timeout_configuration
    minutes = timeout.timeout_in_minutes if timeout and timeout.timeout_in_minutes is not None else None
    return HookRun(
        id=f"ecs-pause-{ids.hex32()}",
        stage=stage,
        step=step,
        index=index,
        status="AWAITING_ACTION",
        expires_at=now + (DAY if minutes is None else minutes * 60.0),
        timeout_action=(timeout.action if timeout else None) or "ROLLBACK",
    )


def _with(hooks: tuple[HookRun, ...], hook_id: str, status: ecs.DeploymentLifecycleHookStatus) -> tuple[HookRun, ...]:
    return tuple(msgspec.structs.replace(run, status=status) if run.id == hook_id else run for run in hooks)


def _waits(shift: TrafficShift, since: float, what: str, now: float) -> Advanced:
    """Nothing to do but wait, for a day at most."""
    if now >= since + DAY:
        return Advanced(shift, failure=f"{what} within 24 hours")
    return Advanced(shift, wake_at=since + DAY)


def _next(shift: TrafficShift, now: float) -> Advanced:
    following = STAGES[STAGES.index(shift.stage) + 1]
    return Advanced(msgspec.structs.replace(shift, stage=following, stage_started_at=now))
