"""States of targets, and which of them get requests."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.acs.host_documents import HealthCheckDocument
from openecs.agent.edge.health import (
    FAILED,
    PASSED,
    TIMED_OUT,
    Health,
    Outcome,
    after,
    draining_view,
    mismatch,
    pause,
    unprobed_view,
    view,
)
from openecs.agent.edge.matcher import Matcher, MatcherError
from openecs.agent.edge.routing import routes

CHECK = HealthCheckDocument(protocol="HTTP", interval=30.0, healthy_threshold=3, unhealthy_threshold=2, matcher="200")
P, F, T = PASSED, FAILED, TIMED_OUT


def run(outcomes: list[Outcome], *, fast: bool = False, check: HealthCheckDocument = CHECK) -> list[Health]:
    """The health after each outcome; every probe begins when the pace says so."""
    health, now, seen = Health(registered_at=0.0), 100.0, []
    for outcome in outcomes:
        started = now
        now += pause(health, check, fast=fast)
        health = after(health, outcome, check, fast=fast, started_at=started)
        seen.append(health)
    return seen


@pytest.mark.parametrize(
    ("outcomes", "states"),
    [
        ([P], "h"),
        ([F], "i"),
        ([F, F], "iu"),
        ([F, P], "ih"),
        ([P, F, P, F, F], "hhhhu"),
        ([F, F, P, P, P], "iuuuh"),
        ([F, F, P, P, F, P, P, P], "iuuuuuuh"),
        ([P, F, F, P, P, P, F], "hhuuuhh"),
    ],
)
def test_thresholds(outcomes: list[Outcome], states: str) -> None:
    assert "".join(health.state[0] for health in run(outcomes)) == states


@pytest.mark.parametrize(
    ("outcomes", "reason", "description"),
    [
        ([mismatch(503)] * 2, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]"),
        (
            [mismatch(503), mismatch(404)],
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [503, 404]",
        ),
        ([T, T], "Target.Timeout", "Request timed out"),
        ([F, F], "Target.FailedHealthChecks", "Health checks failed"),
        ([F, T], "Target.Timeout", "Request timed out"),
        (
            [mismatch(500), T, mismatch(502)],
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [502]",
        ),
        (
            [P, mismatch(500), P, mismatch(502), mismatch(502)],
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [502]",
        ),
    ],
)
def test_what_is_said_of_an_unhealthy_target(outcomes: list[Outcome], reason: str, description: str) -> None:
    shown = view(run(outcomes)[-1], "10.0.0.1", 80, probed=True)
    assert (shown.state, shown.reason, shown.description) == ("unhealthy", reason, description)


def test_a_pass_that_is_not_enough_leaves_the_reason() -> None:
    shown = view(run([T, T, P])[-1], "10.0.0.1", 80, probed=True)
    assert (shown.state, shown.reason) == ("unhealthy", "Target.Timeout")


def test_what_is_said_of_other_targets() -> None:
    new = Health(registered_at=0.0)
    assert [
        (shown.state, shown.reason, shown.description, shown.drained)
        for shown in (
            view(new, "a", 1, probed=False),
            view(new, "a", 1, probed=True),
            view(run([P])[-1], "a", 1, probed=True),
            draining_view("a", 1, drained=True),
            unprobed_view("a", 1),
        )
    ] == [
        ("initial", "Elb.RegistrationInProgress", "Target registration is in progress", False),
        ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress", False),
        ("healthy", None, None, False),
        ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress", True),
        ("unavailable", "Target.HealthCheckDisabled", "Health checks are disabled for this target", False),
    ]


def test_fast_probes_find_a_healthy_target_soon_and_an_unhealthy_one_not_sooner_than_without() -> None:
    # Refused every second while it starts, answering in the 20th second: never unhealthy.
    seen = run([F] * 20 + [P], fast=True)
    assert {health.state for health in seen[:-1]} == {"initial"}
    assert seen[-1].state == "healthy"
    # Unhealthy with the second failure of the configured pace, 30 s after the first.
    states = [health.state for health in run([F] * 40, fast=True)]
    assert states.index("unhealthy") == 30


@pytest.mark.parametrize("fast", [True, False])
def test_pace(fast: bool) -> None:
    new, passed, failed = Health(registered_at=0.0), run([P])[-1], run([P, F, F])[-1]
    assert [pause(health, CHECK, fast=fast) for health in (new, passed, failed)] == [1.0 if fast else 30.0, 30.0, 30.0]


OUTCOMES = st.lists(st.sampled_from([P, F, T, mismatch(503)]), max_size=60)


@given(
    outcomes=OUTCOMES,
    fast=st.booleans(),
    healthy=st.integers(2, 10),
    unhealthy=st.integers(2, 10),
    interval=st.sampled_from([5.0, 30.0, 300.0]),
)
def test_invariants(outcomes: list[Outcome], fast: bool, healthy: int, unhealthy: int, interval: float) -> None:
    check = HealthCheckDocument(
        protocol="HTTP", interval=interval, healthy_threshold=healthy, unhealthy_threshold=unhealthy
    )
    before = Health(registered_at=0.0)
    for position, health in enumerate(run(outcomes, fast=fast, check=check)):
        recent = outcomes[: position + 1]
        if health.state == "healthy" and before.state == "unhealthy":
            assert recent[-healthy:] == [P] * healthy
        if health.state == "unhealthy" and before.state != "unhealthy":
            assert len(recent) >= unhealthy
            assert P not in recent[-unhealthy:]
        if before.state != "initial":
            assert health.state != "initial"
        if recent[-1] == P and before.state == "initial":
            assert health.state == "healthy"
        assert (health.state == "unhealthy") == (view(health, "a", 1, probed=True).reason is not None) or (
            health.state == "initial"
        )
        assert msgspec.json.decode(msgspec.json.encode(health), type=Health) == health
        before = health


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("200", {200}, {199, 201}),
        ("200-299,301", {200, 299, 301}, {300, 302}),
        (" 0 , 12", {0, 12}, {1}),
    ],
)
def test_matcher(text: str, inside: set[int], outside: set[int]) -> None:
    matcher = Matcher(text)
    assert all(code in matcher for code in inside)
    assert not any(code in matcher for code in outside)


@pytest.mark.parametrize("text", ["", "abc", "200-", "-200", "200,,201"])
def test_no_matcher(text: str) -> None:
    with pytest.raises(MatcherError):
        Matcher(text)


COUNT = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
PERCENTAGE = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"


@pytest.mark.parametrize(
    ("states", "attributes", "expected"),
    [
        ("", {}, ""),
        ("hhi", {}, "rro"),
        ("hui", {}, "roo"),
        ("uui", {}, "rrr"),
        ("uud", {}, "rrd"),
        ("hd", {}, "rd"),
        ("dd", {}, "dd"),
        ("a", {}, "r"),
        ("hu", {COUNT: "2"}, "rr"),
        ("hhu", {COUNT: "2"}, "rro"),
        ("huuu", {COUNT: "1", PERCENTAGE: "25"}, "rooo"),
        ("huuu", {COUNT: "1", PERCENTAGE: "26"}, "rrrr"),
        ("huuu", {COUNT: "1", PERCENTAGE: "off"}, "rooo"),
    ],
)
def test_routes(states: str, attributes: dict[str, str], expected: str) -> None:
    names = {"h": "healthy", "u": "unhealthy", "i": "initial", "d": "draining", "a": "unavailable"}
    given_states = {(f"10.0.0.{number}", 80): names[state] for number, state in enumerate(states)}
    assert "".join(route[0] for route in routes(given_states, attributes).values()) == expected
