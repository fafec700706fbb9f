"""Patterns for JSON messages: ``{ ($.level = "ERROR" || $.ms > 500) && $.user NOT EXISTS }``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from operator import is_

import msgspec

from openecs.logs.matching import Needles
from openecs.logs.patterns.comparison import comparison, text_of
from openecs.logs.patterns.condition import Condition, condition
from openecs.logs.patterns.lexer import Tokens
from openecs.logs.patterns.selector import Selector

#: What a message that is no JSON object or array gives.
_NOTHING = object()
#: How JSON may write any character, with its number behind it.
_ANY_CHARACTER = "\\u"
#: Characters that JSON also writes in another way, or in no other.
_ESCAPED = re.compile(r'["\\/\x00-\x1f]')
#: All that numbers are written with.
_NUMERIC = frozenset("0123456789+-.einf")
_decode = msgspec.json.Decoder().decode


class JsonPattern:
    """A pattern in braces."""

    def __init__(self, text: str) -> None:
        """``text`` is what stands between the braces; raises ``PatternError``."""
        tokens = Tokens(text)
        self._matches, self._needles = condition(tokens, _single)
        if tokens.next.kind != "end":
            raise tokens.unexpected("&& or ||")

    @property
    def needles(self) -> Needles:
        """Names of properties and texts of values, as far as JSON can write them in one way only."""
        return self._needles

    def matches(self, message: str) -> bool:
        """Whether the message is JSON that meets the conditions."""
        document = document_of(message)
        return document is not _NOTHING and self._matches(document)

    def columns(self, _message: str) -> dict[str, str]:
        """Named columns: only space-delimited patterns have some."""
        return {}

    def value(self, message: str, name: str) -> str | None:
        """The single value that a selector (``$.latency``) finds in a message."""
        return next(filter(None, map(text_of, Selector(name).find(document_of(message)))), None)


def document_of(message: str) -> object:
    """The JSON object or array that a message is."""
    stripped = message.lstrip()
    if not stripped or stripped[0] not in "{[":
        return _NOTHING
    try:
        return _decode(stripped)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _NOTHING


def _single(tokens: Tokens) -> Condition:
    if tokens.next.kind != "word":
        raise tokens.unexpected("a property selector")
    selector = Selector(tokens.take().text)
    find = selector.find
    if tokens.take_word("NOT"):
        if not tokens.take_word("EXISTS"):
            raise tokens.unexpected("EXISTS")
        return Condition(lambda document: not any(True for _ in find(document)))
    names = _names(selector)
    if tokens.take_word("IS"):
        for word, wanted in (("TRUE", True), ("FALSE", False), ("NULL", None)):
            if tokens.take_word(word):
                return _meeting(find, partial(is_, wanted), names)
        raise tokens.unexpected("TRUE, FALSE or NULL")
    sign = tokens.next
    if sign.kind != "sign":
        raise tokens.unexpected("an operator")
    test, needles = comparison(tokens.take().text, tokens)
    # Values come first: they are rarer than names.
    return _meeting(find, test, _values(needles) + names)


def _meeting(find: Callable[[object], Iterable[object]], test: Callable[[object], bool], needles: Needles) -> Condition:
    return Condition(lambda document: any(map(test, find(document))), needles)


def _names(selector: Selector) -> Needles:
    """What JSON contains that has the properties that a selector names."""
    pieces = [(name, _plain_piece(name)) for name in selector.names]
    return tuple((f'"{name}"' if piece == name else piece, _ANY_CHARACTER) for name, piece in pieces)


def _values(needles: Needles) -> Needles:
    """The same of JSON as ``needles`` are of a value's text; numbers may be written in ways that share no digit."""
    pieces = [_plain_piece(text) for group in needles for text in group]
    return tuple((piece, _ANY_CHARACTER) for piece in pieces if not _NUMERIC.issuperset(piece))


def _plain_piece(text: str) -> str:
    """The longest part of a text that JSON has as it is, unless it has ``_ANY_CHARACTER``."""
    return max(_ESCAPED.split(text), key=len)
