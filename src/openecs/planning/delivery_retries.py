"""When a delivery that failed is tried again, and when it is given up.  Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs.shapes import events

#: What holds for targets without a retry policy.
MAXIMUM_ATTEMPTS, MAXIMUM_AGE = 185, 86400
#: Seconds before the first repetition and at most; with these the 185 take about a day.
FIRST_DELAY, LONGEST_DELAY = 1.0, 600.0


class Again(NamedTuple):
    """Try again at a time (seconds since the epoch)."""

    at: float


class GiveUp(NamedTuple):
    """No more attempts; what was used up, or nothing when the error is not one to try again after."""

    exhausted: Literal["MaximumRetryAttempts", "MaximumEventAgeInSeconds", ""]


def next_attempt(
    policy: events.RetryPolicy | None, *, retries: int, created_at: float, now: float, retry: bool, jitter: float
) -> Again | GiveUp:
    """What follows a failed attempt.

    ``retries`` is how many repetitions there were before; ``jitter`` is in [0, 1).  Delays double,
    and lie between half and all of their full length.
    """
    if not retry:
        return GiveUp("")
    given = policy or events.RetryPolicy()
    attempts = MAXIMUM_ATTEMPTS if given.maximum_retry_attempts is None else given.maximum_retry_attempts
    age = given.maximum_event_age_in_seconds or MAXIMUM_AGE
    if retries >= attempts:
        return GiveUp("MaximumRetryAttempts")
    at = now + min(FIRST_DELAY * 2.0 ** min(retries, 30), LONGEST_DELAY) * (0.5 + jitter / 2)
    if at > created_at + age:
        return GiveUp("MaximumEventAgeInSeconds")
    return Again(at)
