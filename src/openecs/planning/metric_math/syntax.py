"""The syntax of metric math: from a text to a tree.  Knows no data and no types.

Operators by how tightly they bind, loosest first: ``OR ||``, ``AND &&``, comparisons, ``+ -``,
``* /``, unary ``-``, ``^``.  All but ``^`` go from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from openecs.planning.metric_math.search import Search
from openecs.planning.metric_math.search_syntax import SearchSyntaxError, parse_search
from openecs.planning.metric_math.series import MetricMathError

#: How deep parentheses, calls and minus signs may be nested.
MAX_DEPTH = 60

_BINDING = {
    "OR": 1, "||": 1, "AND": 2, "&&": 2,
    "==": 3, "!=": 3, "<=": 3, ">=": 3, "<": 3, ">": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "^": 7,
}  # fmt: skip
_UNARY = 6
_SAME = {"||": "OR", "&&": "AND"}

#: Functions of CloudWatch that need a service which is not here.
REFUSED = {
    "ANOMALY_DETECTION_BAND": "there are no anomaly detection models",
    "DB_PERF_INSIGHTS": "there is no Performance Insights",
    "INSIGHT_RULE_METRIC": "there is no Contributor Insights",
    "LAMBDA": "there is no Lambda",
    "SERVICE_QUOTA": "there are no service quotas",
}

_TOKENS = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<sign>&&|\|\||[=!<>]=|[-+*/^<>(),\[\]])
      | (?P<end>\Z)
    )""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in the expression."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text, as it stands between the quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """The id of another query, or a keyword like ``REPEAT``."""

    name: str


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Operation:
    """Two operands and what is between them; ``&&`` is ``AND`` here and ``||`` is ``OR``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Listing:
    """``[m1, m2]``."""

    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node = Number | Text | Name | Negation | Operation | Listing | Call | Search


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; equal to every other of the same text."""

    text: str
    root: Node = field(compare=False, repr=False)

    def names(self) -> frozenset[str]:
        """The ids that it refers to (they begin with a lowercase letter, keywords do not)."""
        return frozenset(node.name for node in self._nodes() if isinstance(node, Name) and node.name[0].islower())

    def searches(self) -> tuple[Search, ...]:
        """What it searches for."""
        return tuple(node for node in self._nodes() if isinstance(node, Search))

    def calls(self, function: str) -> bool:
        """Whether it calls a function anywhere: ``calls("METRICS")``."""
        return any(isinstance(node, Call) and node.function == function for node in self._nodes())

    def _nodes(self) -> Iterator[Node]:
        waiting: list[Node] = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            match node:
                case Negation():
                    waiting.append(node.operand)
                case Operation():
                    waiting += (node.left, node.right)
                case Listing():
                    waiting += node.members
                case Call():
                    waiting += node.arguments


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """The expression of a text; raises ``MetricMathError`` for what is none."""
    if re.match(r"\s*SELECT\s", text):
        raise MetricMathError("Metrics Insights queries (SELECT …) are not supported by OpenECS.")
    return Expression(text, _Parser(text).whole())


class _Token(NamedTuple):
    kind: str
    text: str


class _Parser:
    """Recursive descent by binding power; one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._next = self._scan()

    def whole(self) -> Node:
        node = self._expression(0)
        if self._next.kind != "end":
            raise self._unexpected()
        return node

    def _expression(self, binding: int) -> Node:
        """An expression whose operators all bind more tightly than ``binding``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MetricMathError("The expression is nested too deeply.")
        node = self._operand()
        while (power := _BINDING.get(self._next.text, 0)) > binding:
            operator = self._take().text
            # ``^`` goes from right to left: what follows may hold another one.
            right = self._expression(power - 1 if operator == "^" else power)
            node = Operation(_SAME.get(operator, operator), node, right)
        self._depth -= 1
        return node

    def _operand(self) -> Node:
        token = self._take()
        match token.kind, token.text:
            case "number", _:
                return Number(float(token.text))
            case "text", _:
                return Text(token.text[1:-1])
            case "name", name if name not in _BINDING:
                return self._call(name) if self._next.text == "(" else Name(name)
            case "sign", "-":
                return Negation(self._expression(_UNARY - 1))
            case "sign", "(":
                node = self._expression(0)
                self._expect(")")
                return node
            case "sign", "[":
                return Listing(self._list("]"))
        raise self._unexpected(token)

    def _call(self, function: str) -> Node:
        if function in REFUSED:
            raise MetricMathError(f"{function} is not supported by OpenECS: {REFUSED[function]}.")
        self._expect("(")
        arguments = self._list(")")
        return _search(arguments) if function == "SEARCH" else Call(function, arguments)

    def _list(self, end: str) -> tuple[Node, ...]:
        members: list[Node] = []
        while self._next != ("sign", end):
            if members:
                self._expect(",")
            members.append(self._expression(0))
        self._take()
        return tuple(members)

    def _expect(self, sign: str) -> None:
        if self._next != ("sign", sign):
            raise self._unexpected()
        self._take()

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._next = self._scan()
        return token

    def _scan(self) -> _Token:
        found = _TOKENS.match(self._text, self._at)
        if found is None or found.lastgroup is None:
            raise MetricMathError(f"Unexpected character at position {self._at + 1} of the expression.")
        self._at = found.end()
        return _Token(found.lastgroup, found[found.lastgroup])

    def _unexpected(self, token: _Token | None = None) -> MetricMathError:
        token = token or self._next
        if token.kind == "end":
            return MetricMathError("Unexpected end of the expression.")
        return MetricMathError(f"Unexpected '{token.text}' before position {self._at + 1} of the expression.")


def _search(arguments: tuple[Node, ...]) -> Search:
    """``SEARCH('query', 'Statistic')``, or with a period in seconds at the end."""
    match arguments:
        case (Text(query), Text(statistic)):
            period = None
        case (Text(query), Text(statistic), Number(seconds)) if seconds.is_integer() and 1 <= seconds <= 86_400:
            period = int(seconds)
        case _:
            raise MetricMathError("SEARCH takes a query and a statistic in quotes, and a period in seconds if any.")
    try:
        return Search(parse_search(query), statistic, period)
    except SearchSyntaxError as error:
        raise MetricMathError(f"SEARCH: {error}") from None
