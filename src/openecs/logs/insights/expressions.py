"""From tokens to expressions: closures that take a row and give a value.

Precedence, loosest first: ``or``, ``and``, ``not``, comparisons, sums, products, powers, signs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from openecs.logs.insights.aggregates import Expression
from openecs.logs.insights.functions import FUNCTIONS, ceil_to, floor_to, period
from openecs.logs.insights.lexer import MalformedQueryError, Token
from openecs.logs.insights.row import Row
from openecs.logs.insights.values import Value, equal, number, order, text, truth
from openecs.logs.regexes import compiled

_COMPARE: dict[str, Callable[[tuple[int, object], tuple[int, object]], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[..., float | int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "^": operator.pow,
}
#: Results of powers that have more digits are nothing: they would take for ever.
_LARGEST_EXPONENT = 1024


class Tokens:
    """The tokens of a query and how far they have been read."""

    def __init__(self, query: str, tokens: list[Token]) -> None:
        self.query = query
        self._tokens = tokens
        self._place = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._place]

    def take(self) -> Token:
        token = self._tokens[self._place]
        if token.kind != "end":
            self._place += 1
        return token

    def after(self) -> Token:
        """The token behind the next one."""
        return self._tokens[min(self._place + 1, len(self._tokens) - 1)]

    def sign(self, value: str) -> bool:
        """Take the sign if it is next."""
        if self.next.kind == "sign" and self.next.value == value:
            self.take()
            return True
        return False

    def word(self, *words: str) -> str:
        """Take one of these words, in any case, if it is next; the word in lower case, or nothing."""
        if self.next.kind == "name" and self.next.value.lower() in words:
            return self.take().value.lower()
        return ""

    def expect(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.unexpected(f"expected {sign}")

    def unexpected(self, wanted: str = "") -> MalformedQueryError:
        """What is wrong with the next token."""
        token = self.next
        found = "the end of the query" if token.kind == "end" else self.query[token.start : token.end]
        return MalformedQueryError(
            f"unexpected symbol found {found}" + (f", {wanted}" if wanted else ""), token.start, token.end
        )

    def written(self, start: int) -> str:
        """The text from ``start`` up to the last token that was taken."""
        return self.query[start : self._tokens[self._place - 1].end]


@dataclass(frozen=True, slots=True)
class Column:
    """An expression and the name under which its value is kept."""

    name: str
    of: Expression
    #: A field as it is, so that nothing has to be computed.
    is_field: bool = False


def field_name(tokens: Tokens) -> str:
    """The name of a field."""
    if tokens.next.kind not in ("name", "quoted"):
        raise tokens.unexpected("expected the name of a field")
    return tokens.take().value


def column(tokens: Tokens) -> Column:
    """An expression with or without ``as NAME``."""
    start = tokens.next.start
    is_field = tokens.next.kind in ("name", "quoted") and tokens.after().value in (",", "|", "", "as")
    name = tokens.next.value
    of = condition(tokens)
    written = name if is_field else tokens.written(start)
    if tokens.word("as"):
        return Column(field_name(tokens), of)
    return Column(written, of, is_field)


def condition(tokens: Tokens) -> Expression:
    """An expression of any kind."""
    left = _conjunction(tokens)
    while tokens.word("or"):
        left = _either(left, _conjunction(tokens))
    return left


def _conjunction(tokens: Tokens) -> Expression:
    left = _negation(tokens)
    while tokens.word("and"):
        left = _both(left, _negation(tokens))
    return left


def _negation(tokens: Tokens) -> Expression:
    if tokens.word("not"):
        of = _negation(tokens)
        return lambda row: not truth(of(row))
    return _comparison(tokens)


def _comparison(tokens: Tokens) -> Expression:
    left = _sum(tokens)
    token = tokens.next
    if token.kind == "sign" and token.value in ("=", "!="):
        tokens.take()
        right = _sum(tokens)
        if token.value == "=":
            return lambda row: equal(left(row), right(row))
        return lambda row: not equal(left(row), right(row))
    if token.kind == "sign" and token.value in _COMPARE:
        tokens.take()
        return _ordered(left, _COMPARE[token.value], _sum(tokens))
    if token.kind == "sign" and token.value == "=~":
        tokens.take()
        return _like(tokens, left)
    negative = bool(
        tokens.next.value.lower() == "not" and tokens.after().value.lower() in ("like", "in") and tokens.take()
    )
    if tokens.word("like"):
        found = _like(tokens, left)
    elif tokens.word("in"):
        found = _among(tokens, left)
    else:
        return left
    return (lambda row: not found(row)) if negative else found


def _sum(tokens: Tokens) -> Expression:
    left = _product(tokens)
    while tokens.next.kind == "sign" and tokens.next.value in ("+", "-"):
        left = _computed(left, tokens.take().value, _product(tokens))
    return left


def _product(tokens: Tokens) -> Expression:
    left = _power(tokens)
    while tokens.next.kind == "sign" and tokens.next.value in ("*", "/", "%"):
        left = _computed(left, tokens.take().value, _power(tokens))
    return left


def _power(tokens: Tokens) -> Expression:
    left = _signed(tokens)
    if tokens.sign("^"):
        return _computed(left, "^", _power(tokens))
    return left


def _signed(tokens: Tokens) -> Expression:
    if tokens.sign("-"):
        of = _signed(tokens)

        def negated(row: Row) -> Value:
            found = number(of(row))
            return None if found is None else -found

        return negated
    return _operand(tokens)


def _operand(tokens: Tokens) -> Expression:
    token = tokens.next
    if token.kind == "number":
        tokens.take()
        value = number(token.value)
        return lambda _: value
    if token.kind == "text":
        tokens.take()
        words = token.value
        return lambda _: words
    if tokens.sign("("):
        inner = condition(tokens)
        tokens.expect(")")
        return inner
    if token.kind == "name" and token.value.lower() in ("true", "false") and tokens.after().value != "(":
        tokens.take()
        known = token.value.lower() == "true"
        return lambda _: known
    if token.kind == "name" and tokens.after().value == "(":
        return _call(tokens)
    name = field_name(tokens)
    return lambda row: row.get(name)


def _call(tokens: Tokens) -> Expression:
    token = tokens.take()
    name = token.value.lower()
    tokens.expect("(")
    if name == "bin":
        length = _period(tokens)
        tokens.expect(")")
        return lambda row: floor_to(row.get("@timestamp"), length)
    if name in ("datefloor", "dateceil"):
        moment = condition(tokens)
        tokens.expect(",")
        length = _period(tokens)
        tokens.expect(")")
        to = floor_to if name == "datefloor" else ceil_to
        return lambda row: to(moment(row), length)
    if name == "now":
        raise MalformedQueryError("the function now() is not supported", token.start, token.end)
    found = FUNCTIONS.get(name)
    if found is None:
        raise MalformedQueryError(f"unknown function {token.value}", token.start, token.end)
    function, fewest, most = found
    arguments = call_arguments(tokens)
    if len(arguments) < fewest or (most is not None and len(arguments) > most):
        raise MalformedQueryError(f"wrong number of arguments for {token.value}", token.start, token.end)
    return lambda row: function(*(argument(row) for argument in arguments))


def call_arguments(tokens: Tokens) -> list[Expression]:
    """The arguments of a call up to and with its closing parenthesis."""
    arguments: list[Expression] = []
    if tokens.sign(")"):
        return arguments
    while True:
        arguments.append(condition(tokens))
        if tokens.sign(")"):
            return arguments
        tokens.expect(",")


def _period(tokens: Tokens) -> int:
    """A number and its unit, with or without a space between them."""
    first = tokens.next
    if first.kind != "number":
        raise tokens.unexpected("expected a period such as 5m")
    tokens.take()
    unit = tokens.take() if tokens.next.kind == "name" else None
    found = period(first.value + (unit.value if unit is not None else ""))
    if found is None:
        raise MalformedQueryError("a period is a whole number with ms, s, m, h, d or w", first.start, first.end)
    return found


def _like(tokens: Tokens, left: Expression) -> Expression:
    token = tokens.next
    if token.kind == "regex":
        tokens.take()
        try:
            search = compiled(token.value).search
        except ValueError as error:
            raise MalformedQueryError(str(error), token.start, token.end) from None
        return lambda row: search(text(left(row))) is not None
    right = _sum(tokens)

    def contains(row: Row) -> bool:
        value = left(row)
        return value is not None and text(right(row)) in text(value)

    return contains


def _among(tokens: Tokens, left: Expression) -> Expression:
    tokens.expect("[")
    choices = [_sum(tokens)]
    while tokens.sign(","):
        choices.append(_sum(tokens))
    tokens.expect("]")

    def among(row: Row) -> bool:
        value = left(row)
        return any(equal(value, choice(row)) for choice in choices)

    return among


def _either(left: Expression, right: Expression) -> Expression:
    return lambda row: truth(left(row)) or truth(right(row))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda row: truth(left(row)) and truth(right(row))


def _ordered(
    left: Expression, compare: Callable[[tuple[int, object], tuple[int, object]], bool], right: Expression
) -> Expression:
    def ordered(row: Row) -> bool:
        first, second = order(left(row)), order(right(row))
        # A number and a text have no order, and nothing has none with anything.
        return first[0] == second[0] != 0 and compare(first, second)

    return ordered


def _computed(left: Expression, sign: str, right: Expression) -> Expression:
    apply = _ARITHMETIC[sign]

    def computed(row: Row) -> Value:
        first, second = number(left(row)), number(right(row))
        if first is None or second is None or (sign == "^" and abs(second) > _LARGEST_EXPONENT):
            return None
        try:
            found = apply(first, second)
        except ArithmeticError:
            return None
        return None if isinstance(found, complex) else found

    return computed
