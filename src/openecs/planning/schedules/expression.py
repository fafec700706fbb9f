"""Schedule expressions: from text to what they say.  Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from openecs.planning.schedules.cron import Cron, parse_cron
from openecs.planning.schedules.errors import InvalidScheduleError

_FORM = re.compile(r"(rate|cron|at)\((.*)\)")
_RATE = re.compile(r"([1-9][0-9]{0,8})\s+(minute|hour|day)(s?)")
_AT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


class Rate(NamedTuple):
    """Every so many seconds of elapsed time."""

    seconds: int


class At(NamedTuple):
    """Once, at a wall time."""

    time: datetime


Expression = Rate | Cron | At


def parse(text: str, *, one_time: bool = True, strict_units: bool = False) -> Expression:
    """What an expression says.

    ``one_time``: whether ``at(…)`` is one; ``strict_units``: whether 1 needs ``minute`` and other
    numbers ``minutes``, as rules have it.  Raises ``InvalidScheduleError``.
    """
    found = _FORM.fullmatch(text)
    if found is None or (found[1] == "at" and not one_time):
        forms = "rate(…), cron(…) or at(…)" if one_time else "rate(…) or cron(…)"
        raise InvalidScheduleError(f"{text!r} is none of {forms}.")
    kind, inner = found[1], found[2]
    if kind == "cron":
        return parse_cron(inner)
    if kind == "at":
        return At(_wall_time(inner))
    rate = _RATE.fullmatch(inner.strip())
    if rate is None:
        raise InvalidScheduleError(f"{inner!r} is no rate: a positive number and minutes, hours or days.")
    if strict_units and (rate[1] == "1") != (rate[3] == ""):
        raise InvalidScheduleError("The unit of a rate is singular with 1 and plural with other numbers.")
    return Rate(int(rate[1]) * _SECONDS[rate[2]])


def _wall_time(text: str) -> datetime:
    if not _AT.fullmatch(text):
        raise InvalidScheduleError(f"{text!r} is no time of the form yyyy-mm-ddThh:mm:ss.")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidScheduleError(f"{text!r} is no time: {error}.") from None


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; raises ``InvalidScheduleError``."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidScheduleError(f"{name!r} is no time zone.") from None
