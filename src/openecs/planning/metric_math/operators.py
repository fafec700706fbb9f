"""What stands between two operands: arithmetic, comparisons, AND and OR.

A missing data point counts as 0 where the other operand has one.  A data point whose result
is no finite number (a division by zero, a root of a negative number) is dropped.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat

from openecs.planning.metric_math.series import MetricMathError, Series, Value, aligned, type_names, with_values

_Binary = Callable[[float, float], float]


def _divided(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else math.nan


def _power(base: float, exponent: float) -> float:
    try:
        result = float(base) ** exponent
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return result if isinstance(result, float) else math.nan


_ARITHMETIC: dict[str, _Binary] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "^": _power,
}
_LOGIC: dict[str, _Binary] = {
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "AND": lambda a, b: float(a != 0 and b != 0),
    "OR": lambda a, b: float(a != 0 or b != 0),
}


def operate(symbol: str, left: Value | str, right: Value | str) -> Value:
    """``left symbol right``; raises ``MetricMathError`` for types that do not go together."""
    function = _ARITHMETIC.get(symbol) or _LOGIC[symbol]
    match left, right:
        case (float(), float()):
            return function(left, right)
        case (float() | Series(), float() | Series()):
            return _pair(function, left, right)
        case (tuple(), float() | Series()) if symbol in _ARITHMETIC:
            return tuple(_pair(function, member, right) for member in left)
        case (float() | Series(), tuple()) if symbol in _ARITHMETIC:
            return tuple(replace(_pair(function, left, member), label=member.label) for member in right)
    raise MetricMathError(f"Unsupported operand type(s) for {symbol}: '{type_names(left, right)}'")


def negative(value: Value | str) -> Value:
    """``-value``."""
    match value:
        case str():
            raise MetricMathError(f"Unsupported operand type(s) for -: '{type_names(value)}'")
        case tuple():
            return tuple(with_values(member, list(map(operator.neg, member.values))) for member in value)
        case Series():
            return with_values(value, list(map(operator.neg, value.values)))
    return -value


def _pair(function: _Binary, left: Series | float, right: Series | float) -> Series:
    """The function of two operands of which one at least is a series; labelled as the first series is."""
    if isinstance(left, Series) and isinstance(right, Series):
        timestamps, (a, b) = aligned((left, right), 0.0)
        points = replace(left, timestamps=timestamps, period=min(left.period, right.period))
        return with_values(points, list(map(function, a, b)))
    if isinstance(left, Series):
        return with_values(left, list(map(function, left.values, repeat(right))))  # type: ignore[arg-type]
    assert isinstance(right, Series)  # noqa: S101
    return with_values(right, list(map(function, repeat(left), right.values)))
