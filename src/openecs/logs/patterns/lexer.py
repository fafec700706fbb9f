"""Cutting the text of JSON and space-delimited patterns into tokens."""

from __future__ import annotations

import re
from typing import NamedTuple

from openecs.logs.patterns.errors import PatternError

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<expression>%(?:[^%\\]|\\.)*%)
      | (?P<sign>&&|\|\||!=|>=|<=|[=<>(),])
      | (?P<word>(?:\[\s*(?:\d+|\*|'[^']*'|"[^"]*")\s*\]|[^\s"%&|=<>(),!\[\]])+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Token(NamedTuple):
    """``kind`` is quoted, expression, sign, word or end; ``text`` is without quotes and percent signs."""

    kind: str
    text: str


class Tokens:
    """The tokens of a pattern, looked at one by one."""

    def __init__(self, text: str) -> None:
        self._tokens: list[Token] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise PatternError(
                    f"There is an unexpected character in the filter pattern: {text[place:].lstrip()[0]}"
                )
            kind, value = match.lastgroup, match[match.lastgroup]
            self._tokens.append(Token(kind, _bare(kind, value)))
            place = match.end()
        self._place = 0

    @property
    def next(self) -> Token:
        """The token that was not taken yet; of kind ``end`` behind the last."""
        return self.peek(0)

    def peek(self, further: int) -> Token:
        """The token that stands so many places behind the next."""
        place = self._place + further
        return self._tokens[place] if place < len(self._tokens) else Token("end", "")

    def take(self) -> Token:
        """Go on behind the next token."""
        token = self.next
        self._place += 1
        return token

    def take_sign(self, *signs: str) -> str | None:
        """Take the next token if it is one of these signs."""
        if self.next.kind == "sign" and self.next.text in signs:
            return self.take().text
        return None

    def take_word(self, word: str) -> bool:
        """Take the next token if it is this word, in any case."""
        if self.next.kind == "word" and self.next.text.upper() == word:
            self.take()
            return True
        return False

    def unexpected(self, wanted: str) -> PatternError:
        """The error of a next token that is not what is ``wanted``."""
        token = self.next
        found = "the end" if token.kind == "end" else token.text
        return PatternError(f"Expected {wanted} in the filter pattern, found {found}.")


def _bare(kind: str, value: str) -> str:
    if kind == "quoted":
        return _ESCAPE.sub(r"\1", value[1:-1])
    return value[1:-1] if kind == "expression" else value
