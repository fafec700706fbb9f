"""Comparing one value of an event (a JSON value or a column) with what a pattern says.

Values that are no single value (objects, arrays, null) match no comparison.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from openecs.logs.patterns.condition import Condition
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.expressions import expression_needles, expression_test
from openecs.logs.patterns.lexer import Tokens

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
SIGNS = ("=", "!=", *_ORDERS)


def number(text: str) -> float | None:
    """The number that a text is, in one of the forms that patterns know."""
    return float(text) if _NUMBER.fullmatch(text) else None


def number_of(value: object) -> float | None:
    """The number that a value is; booleans are none."""
    if isinstance(value, str):
        return number(value.strip())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def text_of(value: object) -> str | None:
    """A single value as text, ``None`` for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def comparison(sign: str, tokens: Tokens) -> Condition:
    """The condition that ``sign`` and the value behind it are; takes the value's token.

    Its needles are what the text of a value contains.
    """
    token = tokens.next
    if sign not in SIGNS or token.kind not in ("quoted", "expression", "word"):
        raise tokens.unexpected("a value")
    tokens.take()
    amount = number(token.text) if token.kind == "word" else None
    if sign in _ORDERS:
        if amount is None:
            raise PatternError(f"The operator {sign} in the filter pattern needs a number, not {token.text}.")
        return Condition(_ordered(_ORDERS[sign], amount))
    same = sign == "="
    if token.kind == "expression":
        test = _textual(expression_test(token.text), same=same)
        return Condition(test, expression_needles(token.text) if same else ())
    if amount is not None:
        return Condition(_equal_number(amount, token.text, same=same))
    core = token.text.strip("*")
    return Condition(_textual(wildcard(token.text), same=same), ((core,),) if same and core else ())


def wildcard(text: str) -> Callable[[str], bool]:
    """Equality, where an asterisk at the beginning or end stands for anything; within it is itself."""
    if text == "*":
        return lambda _: True
    before, after = text.startswith("*"), text.endswith("*")
    core = text[1 if before else 0 : -1 if after else None]
    if before and after:
        return lambda value: core in value
    if before:
        return lambda value: value.endswith(core)
    if after:
        return lambda value: value.startswith(core)
    return lambda value: value == core


def _ordered(compare: Callable[[float, float], bool], amount: float) -> Callable[[object], bool]:
    def test(value: object) -> bool:
        found = number_of(value)
        return found is not None and compare(found, amount)

    return test


def _equal_number(amount: float, written: str, *, same: bool) -> Callable[[object], bool]:
    def test(value: object) -> bool:
        found = number_of(value)
        if found is not None:
            return (found == amount) is same
        text = text_of(value)
        return text is not None and (text == written) is same

    return test


def _textual(test: Callable[[str], bool], *, same: bool) -> Callable[[object], bool]:
    def applied(value: object) -> bool:
        text = text_of(value)
        return text is not None and test(text) is same

    return applied
