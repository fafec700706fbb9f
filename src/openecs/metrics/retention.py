"""In which detail measurements are kept for how long.  Numbers only, as CloudWatch documents them.

Data of a metric stands in exactly one tier at a time: in that of its resolution first, and when it
has grown too old for a tier, added up in the next.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple


class Tier(NamedTuple):
    """One grade of detail; all members in seconds."""

    #: Distance of two rows.
    step: int
    #: How long rows of this step can be asked for.
    keep: int
    #: Time that one stored chunk spans; a chunk lies within one chunk of the next tier.
    window: int


HOUR = 3600
DAY = 24 * HOUR

TIERS = (
    Tier(step=1, keep=3 * HOUR, window=HOUR),
    Tier(step=60, keep=15 * DAY, window=6 * HOUR),
    Tier(step=300, keep=63 * DAY, window=2 * DAY),
    Tier(step=HOUR, keep=455 * DAY, window=30 * DAY),
)
BY_STEP = {tier.step: tier for tier in TIERS}
#: What is rolled up into what; the last tier is deleted at its end.
NEXT = dict(pairwise(TIERS))


def readable_since(period: int, now: float) -> float:
    """The time before which nothing is given out for ``period``: finer data than that is gone."""
    return now - max((tier.keep for tier in TIERS if period % tier.step == 0), default=0)
