"""Values in queries: what fields hold, how they compare, and how results show them.

A value is a text, a number, a boolean, a ``Moment`` or nothing.  Texts that look like numbers count
as numbers where numbers are wanted, because ``parse`` finds nothing but texts.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any


class Moment(int):
    """A time in milliseconds since the epoch; shown as a date."""

    __slots__ = ()


Value = str | float | int | bool | Moment | None


def number(value: Value) -> float | int | None:
    """The number that a value is or spells; ``None`` for everything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    try:
        found = float(value)
    except ValueError:
        return None
    if not math.isfinite(found):
        return None
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def text(value: Value) -> str:
    """How a result shows a value; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Moment):
        seconds, thousandths = divmod(value, 1000)
        try:
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{thousandths:03}"
        except (OverflowError, ValueError, OSError):
            return str(int(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        shown = f"{value:.4f}".rstrip("0").rstrip(".")
        return "0" if shown in ("-0", "") else shown
    return str(value)


def truth(value: Value) -> bool:
    """Whether a condition holds; nothing, 0 and false do not."""
    if isinstance(value, str):
        return value.lower() not in ("", "false", "0")
    return bool(value)


def order(value: Value) -> tuple[int, Any]:
    """A key that sorts numbers by size, then texts; nothing comes first."""
    if value is None:
        return (0, 0)
    found = number(value)
    if found is not None:
        return (1, found)
    return (2, text(value))


def equal(left: Value, right: Value) -> bool:
    """As numbers where both are, else as texts; nothing equals nothing else."""
    if left is None or right is None:
        return left is None and right is None
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return first == second
    return text(left) == text(right)
