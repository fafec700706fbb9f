"""Patterns of terms: ``ERROR -Exiting``, ``?ERROR ?WARN``, ``"two words"``, ``%[45][0-9]{2}%``.

A term matches wherever its text occurs in the message, in the same case.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.expressions import compile_expression

_TERM = re.compile(r'\s*([?-]?)\s*(?:"((?:[^"\\]|\\.)*)"|%((?:[^%\\]|\\.)*)%|([^\s"%]+))', re.DOTALL)
_WORD = re.compile(r"[\w\u0080-\U0010ffff]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class TermPattern:
    """A pattern without brackets; an empty one matches everything."""

    def __init__(self, text: str) -> None:
        """Raises ``PatternError``."""
        required: list[str] = []
        optional: list[Callable[[str], bool]] = []
        tests: list[Callable[[str], bool]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TERM.match(text, place)
            if match is None:
                raise PatternError(
                    f"There is an unexpected character in the filter pattern: {text[place:].lstrip()[0]}"
                )
            place = match.end()
            sign, literal = match[1], _literal(match)
            test = _contains(literal) if literal is not None else _found(match[3])
            if sign == "?":
                optional.append(test)
            elif sign == "-":
                tests.append(_not(test))
            elif literal is not None:
                required.append(literal)
            else:
                tests.append(test)
        # Terms with a question mark mean something only among themselves.
        self._optional = optional if not (required or tests) else []
        self._tests = tests
        self._required = sorted(set(required), key=len, reverse=True)

    @property
    def needle(self) -> bytes | None:
        """The longest term that must occur."""
        return self._required[0].encode() or None if self._required else None

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


def _contains(text: str) -> Callable[[str], bool]:
    return lambda message: text in message


def _found(expression: str) -> Callable[[str], bool]:
    search = compile_expression(expression).search
    return lambda message: search(message) is not None


def _not(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda message: not test(message)
