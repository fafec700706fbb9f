"""A filter pattern of any of the three kinds, made of its text."""

from __future__ import annotations

import functools
import re
from typing import Protocol

from openecs.logs.matching import Matcher
from openecs.logs.patterns.column_pattern import ColumnPattern
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.expressions import MOST_EXPRESSIONS
from openecs.logs.patterns.json_pattern import JsonPattern
from openecs.logs.patterns.term_pattern import TermPattern

#: Texts in quotes, and expressions outside of them.
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"|(%(?:[^%\\]|\\.)*%)', re.DOTALL)


class Pattern(Matcher, Protocol):
    """A matcher that also finds values in messages; without state, for any thread."""

    def columns(self, message: str, /) -> dict[str, str]:
        """``$name`` → value of the columns of a matching message, where the pattern names columns."""
        ...

    def value(self, message: str, name: str, /) -> str | None:
        """The value that ``$column`` or ``$.selector`` names in a matching message."""
        ...


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Pattern:
    """The pattern of a text; raises ``PatternError``."""
    bare = text.strip()
    kind: type[JsonPattern | ColumnPattern | TermPattern]
    if bare.startswith("{"):
        kind, inner = JsonPattern, _inside(bare, "}")
    elif bare.startswith("["):
        kind, inner = ColumnPattern, _inside(bare, "]")
    else:
        kind, inner = TermPattern, bare
    if kind is not TermPattern and expressions(inner) > MOST_EXPRESSIONS:
        raise PatternError(f"A filter pattern can have no more than {MOST_EXPRESSIONS} regular expressions.")
    return kind(inner)


def expressions(text: str) -> int:
    """How many regular expressions a pattern has."""
    return sum(match[1] is not None for match in _PARTS.finditer(text))


def _inside(text: str, closing: str) -> str:
    if not text.endswith(closing):
        raise PatternError(f"The filter pattern must end with {closing}")
    return text[1:-1]
