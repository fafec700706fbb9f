"""The state of a target from what the hosts of its load balancer see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.target_group import HostView, Target, TargetHealth
from openecs.planning.target_state import condition, drained

TARGET = Target(target_group_arn="tg", id="10.0.0.1", port=80, registered_at=1.0)
HEALTHY = HostView(state="healthy")
INITIAL = HostView(state="initial", reason="Elb.InitialHealthChecking", description="Initial health checks in progress")
FAILED = HostView(
    state="unhealthy", reason="Target.ResponseCodeMismatch", description="Health checks failed with these codes: [503]"
)
TIMED_OUT = HostView(state="unhealthy", reason="Target.Timeout", description="Request timed out")
DRAINING = HostView(state="draining", drained=True)


def health(healthy_at: float | None = None, **views: HostView) -> TargetHealth:
    return TargetHealth(target_group_arn="tg", id="10.0.0.1", port=80, views=views, healthy_at=healthy_at)


@pytest.mark.parametrize(
    ("views", "hosts", "healthy_at", "state", "reason"),
    [
        ({}, "a", None, "initial", "Elb.RegistrationInProgress"),
        ({"a": HEALTHY}, "", None, "initial", "Elb.RegistrationInProgress"),
        ({"a": HEALTHY}, "a", None, "healthy", None),
        ({"a": HEALTHY, "b": FAILED}, "a", None, "healthy", None),
        ({"a": HEALTHY, "b": FAILED}, "ab", 1.0, "unhealthy", "Target.ResponseCodeMismatch"),
        ({"a": INITIAL, "b": TIMED_OUT}, "ab", None, "unhealthy", "Target.Timeout"),
        ({"a": HEALTHY, "b": INITIAL}, "ab", None, "initial", "Elb.InitialHealthChecking"),
        # It has to be healthy everywhere once; a host that came later does not take that back.
        ({"a": HEALTHY}, "ab", None, "initial", "Elb.RegistrationInProgress"),
        ({"a": HEALTHY}, "ab", 1.0, "healthy", None),
        # It was healthy, and nobody knows how it is now.
        ({"a": HEALTHY}, "", 1.0, "unavailable", "Elb.InternalError"),
        ({}, "", 1.0, "unavailable", "Elb.InternalError"),
        # A host serves, and has not looked yet.
        ({}, "a", 1.0, "initial", "Elb.RegistrationInProgress"),
        # What a host still says of its draining is no view of a target that was registered again.
        ({"a": DRAINING}, "a", 1.0, "initial", "Elb.RegistrationInProgress"),
    ],
)
def test_the_worst_view_of_a_serving_host_counts(
    views: dict[str, HostView], hosts: str, healthy_at: float | None, state: str, reason: str | None
) -> None:
    found = condition(TARGET, health(healthy_at, **views), in_use=True, hosts=set(hosts))
    assert (found.state, found.reason) == (state, reason)
    assert (found.description is None) == (state == "healthy")


def test_what_is_not_served_says_so_before_any_health() -> None:
    seen = health(1.0, a=HEALTHY)
    leaving = Target(target_group_arn="tg", id="10.0.0.1", port=80, registered_at=1.0, draining_since=2.0)
    assert condition(TARGET, seen, in_use=False, hosts={"a"}).reason == "Target.NotInUse"
    assert condition(TARGET, seen, in_use=True, usable=False, hosts={"a"}).reason == "Target.InvalidState"
    found = condition(leaving, seen, in_use=True, hosts={"a"})
    assert (found.state, found.reason) == ("draining", "Target.DeregistrationInProgress")
    assert found.description == "Target deregistration is in progress"


@pytest.mark.parametrize(
    ("views", "hosts", "done"),
    [
        ({}, "", True),
        ({}, "a", False),
        ({"a": HEALTHY}, "a", False),
        ({"a": HostView(state="draining")}, "a", False),
        ({"a": DRAINING}, "a", True),
        ({"a": DRAINING}, "ab", False),
        ({"a": DRAINING, "b": DRAINING}, "ab", True),
    ],
)
def test_draining_is_over_when_every_host_says_so(views: dict[str, HostView], hosts: str, done: bool) -> None:
    assert drained(health(**views), set(hosts)) is done


VIEWS = st.sampled_from([HEALTHY, INITIAL, FAILED, TIMED_OUT, DRAINING])


@given(st.dictionaries(st.sampled_from("abc"), VIEWS), st.sets(st.sampled_from("abc")), st.sampled_from([None, 1.0]))
def test_healthy_means_that_no_serving_host_sees_anything_else(
    views: dict[str, HostView], hosts: set[str], healthy_at: float | None
) -> None:
    found = condition(TARGET, health(healthy_at, **views), in_use=True, hosts=hosts)
    seen = {views[host].state for host in hosts if host in views} - {"draining"}
    assert (found.state == "healthy") <= (seen == {"healthy"})
    if "unhealthy" in seen:
        assert found.state == "unhealthy"
