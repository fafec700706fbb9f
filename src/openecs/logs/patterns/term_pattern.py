"""Patterns of terms: ``ERROR -Exiting``, ``?ERROR ?WARN``, ``"two words"``, ``%[45][0-9]{2}%``.

A term matches wherever its text occurs in the message, in the same case.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from openecs.logs.matching import Needles
from openecs.logs.patterns.condition import Condition, one_of
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.expressions import expression_needles, expression_test

_TERM = re.compile(r'\s*([?-]?)\s*(?:"((?:[^"\\]|\\.)*)"|%((?:[^%\\]|\\.)*)%|([^\s"%]+))', re.DOTALL)
_WORD = re.compile(r"[\w\u0080-\U0010ffff]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class TermPattern:
    """A pattern without brackets; an empty one matches everything."""

    def __init__(self, text: str) -> None:
        """Raises ``PatternError``."""
        required: list[str] = []
        optional: list[Condition] = []
        more: list[Condition] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TERM.match(text, place)
            if match is None:
                raise PatternError(
                    f"There is an unexpected character in the filter pattern: {text[place:].lstrip()[0]}"
                )
            place = match.end()
            sign, literal = match[1], _literal(match)
            term = _contains(literal) if literal is not None else _found(match[3])
            if sign == "?":
                optional.append(term)
            elif sign == "-":
                more.append(Condition(_not(term.test)))
            elif literal is not None:
                required.append(literal)
            else:
                more.append(term)
        self._required = sorted(set(required), key=len, reverse=True)
        self._tests = [term.test for term in more]
        self._needles: Needles = tuple((term,) for term in self._required)
        self._needles += tuple(group for term in more for group in term.needles)
        # Terms with a question mark mean something only among themselves.
        self._optional = [term.test for term in optional] if not (required or more) else []
        if self._optional:
            self._needles = one_of([term.needles for term in optional])

    @property
    def needles(self) -> Needles:
        """The terms, and plain parts of expressions."""
        return self._needles

    def matches(self, message: str) -> bool:
        """Whether the message has the terms."""
        if self._optional:
            return any(test(message) for test in self._optional)
        # A loop, because this runs for every event of a scan and a generator takes thrice as long.
        for term in self._required:
            if term not in message:
                return False
        return not self._tests or all(test(message) for test in self._tests)

    def columns(self, _message: str) -> dict[str, str]:
        """Named columns: only space-delimited patterns have some."""
        return {}

    def value(self, _message: str, _name: str) -> str | None:
        """Terms name no values."""
        return None


def _literal(match: re.Match[str]) -> str | None:
    """The text of a term or phrase; ``None`` for a regular expression."""
    if match[2] is not None:
        return _ESCAPE.sub(r"\1", match[2])
    word = match[4]
    if word is not None and not _WORD.fullmatch(word):
        raise PatternError(f"Invalid character(s) in term '{word}'")
    return word


def _contains(text: str) -> Condition:
    return Condition(lambda message: text in message, ((text,),))


def _found(expression: str) -> Condition:
    return Condition(expression_test(expression), expression_needles(expression))


def _not(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda message: not test(message)
