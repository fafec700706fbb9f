"""Patterns for JSON messages: ``{ ($.level = "ERROR" || $.ms > 500) && $.user NOT EXISTS }``."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openecs.logs.patterns.comparison import comparison, text_of
from openecs.logs.patterns.lexer import Tokens
from openecs.logs.patterns.selector import Selector

Condition = Callable[[object], bool]

#: How deep parentheses may be.
DEEPEST = 64
#: What a message that is no JSON object or array gives.
_NOTHING = object()
_decode = msgspec.json.Decoder().decode


class JsonPattern:
    """A pattern in braces."""

    def __init__(self, text: str) -> None:
        """``text`` is what stands between the braces; raises ``PatternError``."""
        tokens = Tokens(text)
        self._condition = _any_of(tokens, DEEPEST)
        if tokens.next.kind != "end":
            raise tokens.unexpected("&& or ||")

    @property
    def needle(self) -> bytes | None:
        """JSON may write one text in several ways: there is none."""
        return None

    def matches(self, message: str) -> bool:
        """Whether the message is JSON that meets the conditions."""
        document = document_of(message)
        return document is not _NOTHING and self._condition(document)

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


def _any_of(tokens: Tokens, depth: int) -> Condition:
    parts = [_all_of(tokens, depth)]
    while tokens.take_sign("||"):
        parts.append(_all_of(tokens, depth))
    return parts[0] if len(parts) == 1 else lambda document: any(part(document) for part in parts)


def _all_of(tokens: Tokens, depth: int) -> Condition:
    parts = [_single(tokens, depth)]
    while tokens.take_sign("&&"):
        parts.append(_single(tokens, depth))
    return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)


def _single(tokens: Tokens, depth: int) -> Condition:
    if tokens.take_sign("("):
        if depth == 0:
            raise tokens.unexpected("fewer parentheses")
        inner = _any_of(tokens, depth - 1)
        if not tokens.take_sign(")"):
            raise tokens.unexpected("a closing parenthesis")
        return inner
    if tokens.next.kind != "word":
        raise tokens.unexpected("a property selector")
    find = Selector(tokens.take().text).find
    if tokens.take_word("NOT"):
        if not tokens.take_word("EXISTS"):
            raise tokens.unexpected("EXISTS")
        return lambda document: next(find(document), _NOTHING) is _NOTHING
    if tokens.take_word("IS"):
        for word, wanted in (("TRUE", True), ("FALSE", False), ("NULL", None)):
            if tokens.take_word(word):
                return lambda document, wanted=wanted: any(  # type: ignore[misc]
                    value is wanted for value in find(document)
                )
        raise tokens.unexpected("TRUE, FALSE or NULL")
    sign = tokens.next
    if sign.kind != "sign":
        raise tokens.unexpected("an operator")
    test = comparison(tokens.take().text, tokens)
    return lambda document: any(test(value) for value in find(document))
