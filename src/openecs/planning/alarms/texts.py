"""Numbers and times as CloudWatch writes them about alarms.  Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def number(value: float) -> str:
    """A number as Java prints it: ``70.0``, ``1.5E7``, ``2.0E-4``."""
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e7:
        text = repr(float(value))
        if "e" not in text:
            return text
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits = f"{value:.17e}"
        exponent = digits.partition("e")[2]
        mantissa = repr(value / 10.0 ** int(exponent))
    elif "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}E{int(exponent)}"


def short_time(seconds: float) -> str:
    """The start of a period within a reason: ``15/05/25 15:29:00``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%m/%y %H:%M:%S")


def iso_time(seconds: float) -> str:
    """A time in JSON: ``2025-05-15T15:29:00.000+0000``."""
    return datetime.fromtimestamp(round(seconds, 3), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def long_time(seconds: float) -> str:
    """A time within the reason of a composite alarm: ``Friday 22 July, 2022 15:57:45 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%A %d %B, %Y %H:%M:%S UTC")


def counted(count: int, noun: str) -> str:
    """``1 datapoint``, ``3 datapoints``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
