"""From the text of a query to tokens."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["name", "quoted", "number", "text", "regex", "sign", "end"]


class MalformedQueryError(Exception):
    """A query that cannot be read; ``start`` and ``end`` count characters."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end


class Token(NamedTuple):
    """``value`` without quotes; ``start`` and ``end`` are where it stands."""

    kind: Kind
    value: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_@][\w@]*(?:\.[\w@]+)*)
  | `(?P<quoted>[^`]+)`
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<sign>=~|!=|<=|>=|[=<>|,()\[\]+\-*/%^])
    """,
    re.VERBOSE,
)
#: A slash begins a regular expression where no operand can end.
_REGEX = re.compile(r"/((?:[^/\\\n]|\\.)*)/([a-z]*)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ENDS_OPERAND = frozenset({"name", "quoted", "number", "text", "regex"})
#: Words after which an operand begins.
_WORDS = frozenset({"like", "in", "and", "or", "not", "parse", "filter", "by"})


def tokens(query: str) -> list[Token]:
    """All tokens and one that says ``end``.  Raises ``MalformedQueryError``."""
    found: list[Token] = []
    place = 0
    while place < len(query):
        if query[place] == "/" and not _after_operand(found):
            match = _REGEX.match(query, place)
            if match is None:
                raise MalformedQueryError("the regular expression has no end", place, len(query))
            flags = f"(?{match[2]})" if match[2] else ""
            found.append(Token("regex", flags + match[1], place, match.end()))
            place = match.end()
            continue
        match = _TOKEN.match(query, place)
        if match is None:
            raise MalformedQueryError(f"unexpected symbol found {query[place]}", place, place + 1)
        kind = match.lastgroup or ""
        if kind != "space":
            value = match[kind]
            if kind == "text":
                value = _ESCAPED.sub(_unescaped, value[1:-1])
            found.append(Token(kind, value, place, match.end()))  # type: ignore[arg-type]
        place = match.end()
    found.append(Token("end", "", len(query), len(query)))
    return found


def _after_operand(found: list[Token]) -> bool:
    if not found:
        return False
    last = found[-1]
    if len(found) > 1 and found[-2].value.lower() == "parse":
        # ``parse FIELD /…/``: nobody divides there.
        return False
    if last.kind == "name":
        return last.value.lower() not in _WORDS
    return last.kind in _ENDS_OPERAND or last.value in (")", "]")


def _unescaped(match: re.Match[str]) -> str:
    """Only quotes and backslashes are escaped; ``\\d`` and the like stay what they are."""
    return match[1] if match[1] in "\"'\\" else match[0]
