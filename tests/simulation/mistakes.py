"""Looks for the first seed that notices a mistake made on purpose."""

from __future__ import annotations

import re

import pytest
from simulation import Outcome, run_seed

#: Seeds within which a mistake must have been found.
ENOUGH = 400


def find(expected: str, theme: str | None = None) -> Outcome:
    """The first seed that breaks a rule; it must be one whose text matches ``expected``.

    ``theme`` is what all seeds are to be about, for mistakes that seldom show.
    """
    for seed in range(ENOUGH):
        outcome = run_seed(seed, theme=theme)
        if outcome.wrong is not None:
            assert re.search(expected, outcome.wrong), outcome.report()
            return outcome
    pytest.fail(f"{ENOUGH} seeds have found nothing")
