"""Scalars in forms: their text as plain data, for the Query and the EC2 protocol alike.

Each function gives ``None`` for a text that is no such value; the protocols refuse it in their own
words.  Numbers have one spelling: no blanks, no plus sign, no leading zeros.
"""

from __future__ import annotations

import calendar
import math
import re
import time

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_DOUBLE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TIMESTAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?(?:Z|\+00:?00)")
#: Seconds since the epoch of the first second of the year 1 and of the year 10000: what lies
#: outside could be stored, but no reply could be written of it.
_FIRST, _END = -62_135_596_800.0, 253_402_300_800.0


def integer(text: str) -> int | None:
    """A whole number."""
    return int(text) if _INTEGER.fullmatch(text) else None


def double(text: str) -> float | None:
    """A finite number."""
    value = float(text) if _DOUBLE.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def timestamp(text: str) -> float | None:
    """Seconds since the epoch, of an ISO 8601 time in UTC or of a number of seconds."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        seconds = double(text)
    else:
        try:
            seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) + float(match[2] or 0)
        except ValueError:
            return None
    return seconds if seconds is not None and _FIRST <= seconds < _END else None
