"""The schedule expressions of rules: ``rate(…)`` and ``cron(…)``."""

from __future__ import annotations

import re

from openecs.api.events import errors

_FORM = re.compile(r"(rate|cron)\([^()]+\)")


def check_schedule(expression: str) -> None:
    """Refuse what is no schedule of a rule."""
    if not _FORM.fullmatch(expression):
        raise errors.invalid("Parameter ScheduleExpression is not valid.")
