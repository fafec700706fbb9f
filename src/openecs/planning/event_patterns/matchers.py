"""Tests of one value: what stands in the array at the end of a pattern's path.

A matcher is a function of a scalar of the event (text, ``Number``, ``True``, ``False``, ``None``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from openecs.planning.event_patterns.errors import InvalidPatternError
from openecs.planning.event_patterns.json_text import Number

Matcher = Callable[[Any], bool]

#: The largest amount that numeric tests take.
_BOUND = 5_000_000_000.0


def matcher(item: Any) -> Matcher:
    """The test that one item of a pattern's array stands for; raises ``InvalidPatternError``.

    ``exists`` is not here: it is a test of a field, not of a value.
    """
    if not isinstance(item, dict):
        return exact(item)
    kind, argument = single(item)
    make = _KINDS.get(kind)
    if make is None:
        raise InvalidPatternError(f"Unrecognized match type {kind}")
    return make(argument)


def single(item: dict[str, Any]) -> tuple[str, Any]:
    """The one member that a match expression has."""
    if len(item) != 1:
        wrong = "Only one key allowed in match expression" if item else "Empty objects are not allowed"
        raise InvalidPatternError(wrong)
    return next(iter(item.items()))


def exact(wanted: Any) -> Matcher:
    """The very value: of the same type, and a number of the same spelling."""
    if isinstance(wanted, list):
        raise InvalidPatternError("Match value must be String, number, true, false, or null")
    kind = type(wanted)
    return lambda value: type(value) is kind and value == wanted


def _text(kind: str, argument: Any) -> str:
    if type(argument) is not str:
        raise InvalidPatternError(f"{kind} match pattern must be a string")
    return argument


def _folded(kind: str, argument: Any) -> tuple[str, bool]:
    """The text of a prefix or suffix, and whether case counts."""
    if not isinstance(argument, dict):
        return _text(kind, argument), True
    inner, text = single(argument)
    if inner != "equals-ignore-case":
        raise InvalidPatternError(f"Unrecognized match type {inner}")
    return _text("equals-ignore-case", text).casefold(), False


def _prefix(argument: Any) -> Matcher:
    text, exactly = _folded("prefix", argument)
    if exactly:
        return lambda value: type(value) is str and value.startswith(text)
    return lambda value: type(value) is str and value.casefold().startswith(text)


def _suffix(argument: Any) -> Matcher:
    text, exactly = _folded("suffix", argument)
    if exactly:
        return lambda value: type(value) is str and value.endswith(text)
    return lambda value: type(value) is str and value.casefold().endswith(text)


def _ignoring_case(argument: Any) -> Matcher:
    text = _text("equals-ignore-case", argument).casefold()
    return lambda value: type(value) is str and value.casefold() == text


def _wildcard(argument: Any) -> Matcher:
    parts = _wildcard_parts(_text("wildcard", argument))
    if len(parts) == 1:
        return exact(parts[0])
    first, *middle, last = parts

    def matches(value: Any) -> bool:
        # Each part is sought as early as it can be, so this never goes back.
        if type(value) is not str or not value.startswith(first) or len(value) < len(first) + len(last):
            return False
        at, end = len(first), len(value) - len(last)
        for part in middle:
            at = value.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return value.endswith(last)

    return matches


def _wildcard_parts(text: str) -> list[str]:
    """The literal parts between the stars; ``\\*`` and ``\\\\`` stand for themselves."""
    parts, at = [""], 0
    while at < len(text):
        if text[at] == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\"):
                raise InvalidPatternError(f"Invalid escape character at pos {at}")
            parts[-1] += text[at + 1]
            at += 2
            continue
        if text[at] != "*":
            parts[-1] += text[at]
        elif text[at + 1 : at + 2] == "*":
            raise InvalidPatternError(f"Consecutive wildcard characters at pos {at}")
        else:
            parts.append("")
        at += 1
    return parts


def _anything_but(argument: Any) -> Matcher:
    if isinstance(argument, dict):
        kind, inner = single(argument)
        if kind not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise InvalidPatternError(f"Unsupported anything-but pattern: {kind}")
        texts = inner if isinstance(inner, list) else [inner]
        if not texts:
            raise InvalidPatternError("Empty arrays are not allowed")
        return _none_of([_KINDS[kind](_text(kind, text)) for text in texts])
    values = argument if isinstance(argument, list) else [argument]
    if not values:
        raise InvalidPatternError("Empty arrays are not allowed")
    if not (all(type(value) is str for value in values) or all(type(value) is Number for value in values)):
        raise InvalidPatternError(
            "Inside anything-but list, either all values are number or string, mixed type is not supported"
        )
    return _none_of([exact(value) for value in values])


def _none_of(unwanted: Sequence[Matcher]) -> Matcher:
    return lambda value: not any(test(value) for test in unwanted)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
    ">=": lambda value, bound: value >= bound,
    ">": lambda value, bound: value > bound,
}


def _numeric(argument: Any) -> Matcher:
    if not isinstance(argument, list):
        raise InvalidPatternError("Value of numeric must be an array.")
    if not argument:
        raise InvalidPatternError("Invalid member in numeric match: ]")
    if len(argument) > 4:
        raise InvalidPatternError("Too many elements in numeric expression")
    tests = []
    for at in range(0, len(argument), 2):
        sign = argument[at]
        if type(sign) is not str or sign not in _COMPARE:
            raise InvalidPatternError(f"Unrecognized numeric range operator: {sign}")
        if at + 1 == len(argument) or type(argument[at + 1]) is not Number:
            raise InvalidPatternError(f"Value of {sign} must be numeric")
        bound = argument[at + 1].value
        if not -_BOUND <= bound <= _BOUND:
            raise InvalidPatternError("Value must be between -5.0E9 and 5.0E9, inclusive")
        tests.append((sign, bound))
    _check_range(tests)
    compared = [(_COMPARE[sign], bound) for sign, bound in tests]

    def matches(value: Any) -> bool:
        if type(value) is not Number:
            return False
        amount = value.value
        return all(compare(amount, bound) for compare, bound in compared)

    return matches


def _check_range(tests: Sequence[tuple[str, float]]) -> None:
    """Two bounds are a lower and an upper one, in that order."""
    if len(tests) == 1:
        return
    (low, bottom), (high, top) = tests
    if low not in (">", ">=") or high not in ("<", "<="):
        raise InvalidPatternError("Too many terms in numeric range")
    if bottom > top or (bottom == top and (low, high) != (">=", "<=")):
        raise InvalidPatternError("Bottom must be less than top")


def _cidr(argument: Any) -> Matcher:
    text = _text("cidr", argument)
    if not re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]+", text, re.ASCII):
        raise InvalidPatternError("Malformed CIDR, one '/' required")
    try:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError:
        raise InvalidPatternError(f"Malformed CIDR, IP address and number of bits must be valid: {text}") from None

    def matches(value: Any) -> bool:
        if type(value) is not str:
            return False
        try:
            return ip_address(value) in network
        except ValueError:
            return False

    return matches


_KINDS: dict[str, Callable[[Any], Matcher]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}
