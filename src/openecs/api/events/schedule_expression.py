"""The schedule expressions of rules: ``rate(…)`` and ``cron(…)``."""

from __future__ import annotations

from openecs.api.events import errors
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.planning.schedules.expression import parse


def check_schedule(expression: str) -> None:
    """Refuse what is no schedule of a rule."""
    try:
        parse(expression, one_time=False, strict_units=True)
    except InvalidScheduleError:
        raise errors.invalid("Parameter ScheduleExpression is not valid.") from None
