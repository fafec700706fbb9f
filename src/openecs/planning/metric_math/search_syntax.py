"""The query language of SEARCH: ``{AWS/ECS,ClusterName} MetricName="CPUUtilization" NOT (web OR api)``.

A schema in braces (namespace, then the names of all dimensions), terms, or both.  A term in
double quotes must be equal to a whole name or value; one without is compared token by token
(``search_tokens``).  ``Property=term`` looks at one property only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from openecs.planning.metric_math.search_tokens import Wanted

MAX_LENGTH = 1024
#: How deep parentheses and NOT may be nested.
MAX_DEPTH = 60

_TOKENS = re.compile(
    r"""[\s,]*(?:
        "(?P<exact>(?:[^"\\]|\\.)*)"
      | (?P<sign>[(){}=])
      | (?P<word>[^\s,"(){}=]+)
      | (?P<end>\Z)
    )""",
    re.DOTALL | re.VERBOSE,
)


class SearchSyntaxError(ValueError):
    """The query is wrong; the text says how."""


@dataclass(frozen=True)
class Term:
    """One thing to look for."""

    text: str
    exact: bool
    #: ``MetricName``, ``Namespace`` or the name of a dimension; ``None`` looks everywhere.
    of: str | None = None

    @cached_property
    def wanted(self) -> Wanted:
        """How ``text`` is compared where it need not be exact."""
        return Wanted(self.text)


@dataclass(frozen=True, slots=True)
class Not:
    """What must not match."""

    operand: Condition


@dataclass(frozen=True, slots=True)
class All:
    """What must match all together."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """What must match in one place at least."""

    operands: tuple[Condition, ...]


Condition = Term | Not | All | Any


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.  Without dimension names the schema takes metrics with any dimensions."""

    condition: Condition
    namespace: str | None = None
    dimension_names: tuple[str, ...] = ()


def parse_search(text: str) -> Query:
    """The query of a text; raises ``SearchSyntaxError`` for what is none."""
    if len(text) > MAX_LENGTH:
        raise SearchSyntaxError(f"The search query has more than {MAX_LENGTH} characters.")
    return _Parser(text).whole()


class _Token(NamedTuple):
    kind: str
    text: str


_OPEN, _CLOSE, _EQUALS = _Token("sign", "("), _Token("sign", ")"), _Token("sign", "=")
_BRACE, _BRACE_END = _Token("sign", "{"), _Token("sign", "}")
_AND, _OR, _NOT = _Token("word", "AND"), _Token("word", "OR"), _Token("word", "NOT")
_END = _Token("end", "")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._next = self._scan()

    def whole(self) -> Query:
        names = self._schema()
        condition = All(()) if names and self._next == _END else self._any()
        if self._next != _END:
            raise SearchSyntaxError(f"Unexpected '{self._next.text}' in the search query.")
        return Query(condition, names[0] if names else None, names[1:])

    def _schema(self) -> tuple[str, ...]:
        if self._next != _BRACE:
            return ()
        self._take()
        names: list[str] = []
        while self._next != _BRACE_END:
            token = self._take()
            if token.kind not in {"word", "exact"}:
                raise SearchSyntaxError("The schema of the search query must be {Namespace, DimensionName, ...}.")
            names.append(token.text)
        self._take()
        if not names:
            raise SearchSyntaxError("The schema of the search query must have a namespace.")
        return tuple(names)

    def _any(self) -> Condition:
        operands = [self._all()]
        while self._next == _OR:
            self._take()
            operands.append(self._all())
        return operands[0] if len(operands) == 1 else Any(tuple(operands))

    def _all(self) -> Condition:
        operands = [self._one()]
        while self._next not in {_OR, _CLOSE, _END}:
            if self._next == _AND:
                self._take()
            operands.append(self._one())
        return operands[0] if len(operands) == 1 else All(tuple(operands))

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SearchSyntaxError("The search query is nested too deeply.")
        token = self._take()
        if token == _NOT:
            condition: Condition = Not(self._one())
        elif token == _OPEN:
            condition = self._any()
            if self._take() != _CLOSE:
                raise SearchSyntaxError("A parenthesis of the search query is not closed.")
        else:
            condition = self._term(token)
        self._depth -= 1
        return condition

    def _term(self, token: _Token) -> Term:
        if token.kind not in {"word", "exact"} or token in {_AND, _OR}:
            raise SearchSyntaxError(
                f"Unexpected '{token.text}' in the search query." if token.text else "The search query ends too early."
            )
        if self._next != _EQUALS:
            return _checked(Term(token.text, token.kind == "exact"))
        if token.text.lower() == ":aws.accountid":
            raise SearchSyntaxError("Searching other accounts (:aws.AccountId) is not supported by OpenECS.")
        self._take()
        value = self._take()
        if value.kind not in {"word", "exact"}:
            raise SearchSyntaxError(f"'{token.text}=' must be followed by a term.")
        return _checked(Term(value.text, value.kind == "exact", token.text))

    def _take(self) -> _Token:
        token = self._next
        if token != _END:
            self._next = self._scan()
        return token

    def _scan(self) -> _Token:
        found = _TOKENS.match(self._text, self._at)
        if found is None or found.lastgroup is None:
            raise SearchSyntaxError("A quotation mark of the search query is not closed.")
        self._at = found.end()
        kind = found.lastgroup
        return _Token(kind, re.sub(r"\\(.)", r"\1", found[kind], flags=re.DOTALL) if kind == "exact" else found[kind])


def _checked(term: Term) -> Term:
    if not term.exact and not term.wanted.pieces:
        raise SearchSyntaxError(f"The term '{term.text}' has neither letters nor digits.")
    return term
