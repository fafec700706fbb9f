"""The functions of the query language, by name.  Each takes values and gives one.

What has no sensible result for its values gives nothing instead of an error, as everywhere in
queries: a log has all sorts of lines.
"""

from __future__ import annotations

import ipaddress
import math
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from hashlib import md5, sha1, sha256
from urllib.parse import quote, unquote

from openecs.logs.insights.values import Moment, Value, number, order, text

Function = Callable[..., Value]
_PERIOD = re.compile(r"(\d+)(ms|mo|[smhdwqy]|months?|minutes?|min|hours?|hr|days?|weeks?|seconds?|sec|milliseconds?)")
_MILLISECONDS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400_000),
}


def period(written: str) -> int | None:
    """The milliseconds of ``5m``, ``1hour`` and the like; ``None`` for what is no period."""
    match = _PERIOD.fullmatch(written.lower())
    if match is None or match[2] not in _MILLISECONDS or int(match[1]) == 0:
        return None
    return int(match[1]) * _MILLISECONDS[match[2]]


def floor_to(value: Value, milliseconds: int) -> Value:
    """The beginning of the period in which a moment lies."""
    found = number(value)
    return None if found is None else Moment(int(found // milliseconds * milliseconds))


def ceil_to(value: Value, milliseconds: int) -> Value:
    """The beginning of the next period, unless one begins exactly then."""
    found = number(value)
    return None if found is None else Moment(int(-(-found // milliseconds) * milliseconds))


def _numeric(function: Callable[..., float | int]) -> Function:
    def applied(*values: Value) -> Value:
        found = [number(value) for value in values]
        if any(value is None for value in found):
            return None
        try:
            return function(*found)
        except (ArithmeticError, ValueError):
            return None

    return applied


def _textual(function: Callable[..., Value]) -> Function:
    def applied(*values: Value) -> Value:
        if values[0] is None:
            return None
        return function(*(text(value) for value in values))

    return applied


def _substr(value: str, start: str, length: str | None = None) -> Value:
    first, count = number(start), None if length is None else number(length)
    if first is None:
        return None
    return value[int(first) :] if count is None else value[int(first) : int(first) + int(count)]


def _extreme(choose: Callable[..., Value]) -> Function:
    def applied(*values: Value) -> Value:
        there = [value for value in values if value is not None]
        return choose(there, key=order) if there else None

    return applied


def _address(version: int | None) -> Function:
    def applied(value: Value) -> Value:
        try:
            found = ipaddress.ip_address(text(value))
        except ValueError:
            return False
        return version in (None, found.version)

    return applied


def _in_subnet(version: int | None) -> Function:
    def applied(value: Value, subnet: Value) -> Value:
        try:
            found = ipaddress.ip_address(text(value))
            network = ipaddress.ip_network(text(subnet), strict=False)
        except ValueError:
            return False
        return version in (None, found.version) and found.version == network.version and found in network

    return applied


def _decoded(value: str) -> Value:
    try:
        return b64decode(value, validate=True).decode()
    except (Base64Error, ValueError):
        return None


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


def _from_millis(value: Value) -> Value:
    found = number(value)
    return None if found is None else Moment(int(found))


#: Name → function, fewest and most arguments (``None``: any number).
FUNCTIONS: dict[str, tuple[Function, int, int | None]] = {
    "abs": (_numeric(abs), 1, 1),
    "ceil": (_numeric(math.ceil), 1, 1),
    "floor": (_numeric(math.floor), 1, 1),
    "log": (_numeric(math.log), 1, 1),
    "sqrt": (_numeric(math.sqrt), 1, 1),
    "greatest": (_extreme(max), 1, None),
    "least": (_extreme(min), 1, None),
    "ispresent": (lambda value: value is not None, 1, 1),
    "isempty": (lambda value: value is None or text(value) == "", 1, 1),
    "isblank": (lambda value: value is None or not text(value).strip(), 1, 1),
    "coalesce": (_coalesce, 1, None),
    "concat": (lambda *values: "".join(map(text, values)), 1, None),
    "trim": (_textual(lambda value, chars=None: value.strip(chars)), 1, 2),
    "ltrim": (_textual(lambda value, chars=None: value.lstrip(chars)), 1, 2),
    "rtrim": (_textual(lambda value, chars=None: value.rstrip(chars)), 1, 2),
    "strlen": (_textual(len), 1, 1),
    "toupper": (_textual(str.upper), 1, 1),
    "tolower": (_textual(str.lower), 1, 1),
    "substr": (_textual(_substr), 2, 3),
    "replace": (_textual(str.replace), 3, 3),
    "strcontains": (lambda value, part: int(value is not None and text(part) in text(value)), 2, 2),
    "frommillis": (_from_millis, 1, 1),
    "tomillis": (lambda value: None if number(value) is None else int(number(value) or 0), 1, 1),
    "isvalidip": (_address(None), 1, 1),
    "isvalidipv4": (_address(4), 1, 1),
    "isvalidipv6": (_address(6), 1, 1),
    "isipinsubnet": (_in_subnet(None), 2, 2),
    "isipv4insubnet": (_in_subnet(4), 2, 2),
    "isipv6insubnet": (_in_subnet(6), 2, 2),
    "base64encode": (_textual(lambda value: b64encode(value.encode()).decode()), 1, 1),
    "base64decode": (_textual(_decoded), 1, 1),
    "urlencode": (_textual(lambda value: quote(value, safe="")), 1, 1),
    "urldecode": (_textual(unquote), 1, 1),
    "md5": (_textual(lambda value: md5(value.encode(), usedforsecurity=False).hexdigest()), 1, 1),
    "sha1": (_textual(lambda value: sha1(value.encode(), usedforsecurity=False).hexdigest()), 1, 1),
    "sha256": (_textual(lambda value: sha256(value.encode()).hexdigest()), 1, 1),
}
