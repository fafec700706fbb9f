"""Patterns for messages in columns: ``[ip, user, ..., status = 4*, bytes > 1000]``.

Blanks separate the columns of a message; what stands in double quotes or square brackets is one.
"""

from __future__ import annotations

import re
from functools import partial

from openecs.logs.matching import Needles
from openecs.logs.patterns.comparison import comparison
from openecs.logs.patterns.condition import Condition, condition
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.lexer import Tokens

ELLIPSIS = "..."
_COLUMN = re.compile(r'\\?"((?:[^"\\]|\\[^"])*)\\?"(?=\s|$)|\[([^\]]*)\](?=\s|$)|(\S+)')
_NAME = re.compile(r"[A-Za-z_][\w-]*")


class ColumnPattern:
    """A pattern in square brackets."""

    def __init__(self, text: str) -> None:
        """``text`` is what stands between the brackets; raises ``PatternError``."""
        self._names: list[str] = []
        self._conditions: list[tuple[int, Condition]] = []
        #: How many columns stand before the ellipsis; ``None`` without one.
        self._gap: int | None = None
        tokens = Tokens(text)
        while True:
            self._column(tokens)
            if not tokens.take_sign(","):
                break
        if tokens.next.kind != "end":
            raise tokens.unexpected("a comma")
        named = [name for name in self._names if name]
        if len(named) != len(set(named)):
            raise PatternError("Two columns of the filter pattern have the same name.")

    @property
    def needles(self) -> Needles:
        """The texts that columns must have."""
        return tuple(group for _, wanted in self._conditions for group in wanted.needles)

    def matches(self, message: str) -> bool:
        """Whether the message has these columns and they meet the conditions."""
        return self._placed(message) is not None

    def columns(self, message: str) -> dict[str, str]:
        """``$name`` → value of every column of a message that matches; without a name, ``$3`` of the third."""
        placed = self._placed(message)
        if placed is None:
            return {}
        first, values = placed
        return {f"${name or first[number]}": values[number] for number, name in enumerate(self._all(len(values)))}

    def value(self, message: str, name: str) -> str | None:
        """The value of one column, ``$name``."""
        return self.columns(message).get(name)

    def has(self, name: str) -> bool:
        """Whether a matching message can have a column of that name (``$bytes``, ``$7``)."""
        if not name[1:].isdigit():
            return name[1:] in self._names
        place = int(name[1:]) - 1
        return place >= 0 and (self._gap is not None or (place < len(self._names) and not self._names[place]))

    def _placed(self, message: str) -> tuple[list[int], list[str]] | None:
        values = [quoted or bracketed or bare for quoted, bracketed, bare in _COLUMN.findall(message)]
        missing = len(values) - len(self._names)
        if missing < 0 or (missing and self._gap is None):
            return None
        for place, wanted in self._conditions:
            behind_gap = self._gap is not None and place >= self._gap
            if not wanted.test(values[place + missing if behind_gap else place]):
                return None
        return list(range(1, len(values) + 1)), values

    def _all(self, count: int) -> list[str]:
        """The names of that many columns, empty for those without one."""
        if self._gap is None:
            return self._names
        return [*self._names[: self._gap], *[""] * (count - len(self._names)), *self._names[self._gap :]]

    def _column(self, tokens: Tokens) -> None:
        token = tokens.next
        if token.kind == "word" and token.text in (ELLIPSIS, "\N{HORIZONTAL ELLIPSIS}"):
            if self._gap is not None:
                raise PatternError("A filter pattern can have only one ellipsis.")
            tokens.take()
            self._gap = len(self._names)
        elif token.kind == "end" or (token.kind == "sign" and token.text == ","):
            self._names.append("")
        else:
            self._named(tokens)

    def _named(self, tokens: Tokens) -> None:
        names: set[str] = set()
        if tokens.next.kind == "word" and not _is_condition(tokens):
            names.add(tokens.take().text)
        else:
            self._conditions.append((len(self._names), condition(tokens, partial(_single, names=names))))
        if len(names) != 1 or not _NAME.fullmatch(min(names)):
            raise PatternError("Every column of the filter pattern needs one name of letters, digits and _.")
        self._names.append(min(names))


def _is_condition(tokens: Tokens) -> bool:
    return tokens.peek(1).kind == "sign" and tokens.peek(1).text != ","


def _single(tokens: Tokens, names: set[str]) -> Condition:
    if tokens.next.kind != "word":
        raise tokens.unexpected("the name of a column")
    names.add(tokens.take().text)
    if tokens.next.kind != "sign":
        raise tokens.unexpected("an operator")
    return comparison(tokens.take().text, tokens)
