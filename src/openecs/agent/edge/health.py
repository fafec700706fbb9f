"""The health of one target, from the outcomes of its probes.  Pure: time is an input.

A new target is healthy after its first passed probe and unhealthy after ``unhealthy_threshold``
failed ones; from then on it takes ``healthy_threshold`` passes in a row to come back, and
``unhealthy_threshold`` failures in a row to go.  States, reasons and texts are those of
DescribeTargetHealth.

With fast probes a target that has never passed is probed every second, so that a deployment does
not wait for half a minute.  That must not make targets unhealthy sooner than on AWS: failures
of that time count once per interval only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openecs.acs.host_documents import HealthCheckDocument, TargetView
from openecs.shapes import elbv2

#: Seconds between the probes of a target that has never passed, with fast probes.
FAST_INTERVAL = 1.0
#: How many different codes a description names.
CODES_SHOWN = 5

State = Literal["initial", "healthy", "unhealthy"]


class Passed(msgspec.Struct, frozen=True):
    """The target answered as it should."""


class Failed(msgspec.Struct, frozen=True):
    """The target did not; ``code`` is the one that it answered with, if it did."""

    reason: elbv2.TargetHealthReasonEnum
    code: int | None = None


Outcome = Passed | Failed
PASSED = Passed()
TIMED_OUT = Failed("Target.Timeout")
FAILED = Failed("Target.FailedHealthChecks")


def mismatch(code: int) -> Failed:
    """The outcome of an answer with another code than those that pass."""
    return Failed("Target.ResponseCodeMismatch", code)


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one target.  Times in seconds since the epoch."""

    #: Of which registration this is the health: a target that comes back begins anew.
    registered_at: float
    state: State = "initial"
    #: Whether it has passed a probe since it was registered.
    ever_passed: bool = False
    #: Probes in a row with the same outcome; failures of the fast beginning as the module says.
    passes: int = 0
    failures: int = 0
    #: Since when probes have been failing without a pass in between.
    failing_since: float | None = None
    #: The last failure of an unhealthy target, and the codes of its series.
    reason: elbv2.TargetHealthReasonEnum | None = None
    codes: tuple[int, ...] = ()
    #: Since when it has been healthy.
    healthy_since: float | None = None


def after(health: Health, outcome: Outcome, check: HealthCheckDocument, *, fast: bool, started_at: float) -> Health:
    """The health after a probe that began at ``started_at``."""
    if isinstance(outcome, Passed):
        return _after_pass(health, check, started_at)
    since = started_at if health.failing_since is None else health.failing_since
    failures = health.failures + 1
    if fast and not health.ever_passed:
        # As many as there would have been at the configured pace, beginning with the first.
        failures = min(failures, int((started_at - since) / check.interval + 1e-6) + 1)
    changed = msgspec.structs.replace(
        health,
        passes=0,
        failures=failures,
        failing_since=since,
        reason=outcome.reason,
        codes=_codes(health.codes, outcome),
    )
    if failures >= check.unhealthy_threshold:
        return msgspec.structs.replace(changed, state="unhealthy", healthy_since=None)
    return changed


def pause(health: Health, check: HealthCheckDocument, *, fast: bool) -> float:
    """Seconds from the beginning of one probe to that of the next."""
    return min(FAST_INTERVAL, check.interval) if fast and not health.ever_passed else check.interval


def view(health: Health, target_id: str, port: int, *, probed: bool) -> TargetView:
    """What is reported of a target that is not draining; ``probed``: probes can begin, or have begun."""
    if health.state == "healthy":
        return TargetView(id=target_id, port=port, state="healthy")
    if health.state == "initial":
        if not probed:
            return TargetView(
                id=target_id,
                port=port,
                state="initial",
                reason="Elb.RegistrationInProgress",
                description="Target registration is in progress",
            )
        return TargetView(
            id=target_id,
            port=port,
            state="initial",
            reason="Elb.InitialHealthChecking",
            description="Initial health checks in progress",
        )
    return TargetView(
        id=target_id, port=port, state="unhealthy", reason=health.reason, description=_description(health)
    )


def draining_view(target_id: str, port: int, *, drained: bool) -> TargetView:
    """What is reported of a target that is being deregistered."""
    return TargetView(
        id=target_id,
        port=port,
        state="draining",
        reason="Target.DeregistrationInProgress",
        description="Target deregistration is in progress",
        drained=drained,
    )


def unprobed_view(target_id: str, port: int) -> TargetView:
    """What is reported of a target of a group without health checks."""
    return TargetView(
        id=target_id,
        port=port,
        state="unavailable",
        reason="Target.HealthCheckDisabled",
        description="Health checks are disabled for this target",
    )


def _after_pass(health: Health, check: HealthCheckDocument, started_at: float) -> Health:
    passes = health.passes + 1
    changed = msgspec.structs.replace(health, ever_passed=True, passes=passes, failures=0, failing_since=None)
    if health.state == "unhealthy" and passes < check.healthy_threshold:
        return changed
    since = started_at if health.state != "healthy" else health.healthy_since
    return msgspec.structs.replace(changed, state="healthy", reason=None, codes=(), healthy_since=since)


def _codes(codes: tuple[int, ...], outcome: Failed) -> tuple[int, ...]:
    if outcome.code is None:
        return ()
    # The newest last; a series of equal answers names its code once.
    return (*(code for code in codes if code != outcome.code), outcome.code)[-CODES_SHOWN:]


def _description(health: Health) -> str:
    if health.reason == "Target.ResponseCodeMismatch":
        return f"Health checks failed with these codes: [{', '.join(str(code) for code in health.codes)}]"
    if health.reason == "Target.Timeout":
        return "Request timed out"
    return "Health checks failed"
