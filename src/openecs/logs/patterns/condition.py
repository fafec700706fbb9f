"""Conditions joined by ``&&``, ``||`` and parentheses, as patterns in braces and in brackets have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from openecs.logs.matching import Needles
from openecs.logs.patterns.lexer import Tokens

#: How deep parentheses may be.
DEEPEST = 64


class Condition(NamedTuple):
    """A test of something in a message, and what a message must contain for it to be met."""

    test: Callable[[Any], bool]
    needles: Needles = ()


def condition(tokens: Tokens, single: Callable[[Tokens], Condition], depth: int = DEEPEST) -> Condition:
    """What the next tokens say, where ``single`` takes those of one comparison; raises ``PatternError``."""
    parts = [_all_of(tokens, single, depth)]
    while tokens.take_sign("||"):
        parts.append(_all_of(tokens, single, depth))
    if len(parts) == 1:
        return parts[0]
    tests = [part.test for part in parts]
    return Condition(lambda value: any(test(value) for test in tests), one_of([part.needles for part in parts]))


def _all_of(tokens: Tokens, single: Callable[[Tokens], Condition], depth: int) -> Condition:
    parts = [_part(tokens, single, depth)]
    while tokens.take_sign("&&"):
        parts.append(_part(tokens, single, depth))
    if len(parts) == 1:
        return parts[0]
    tests = [part.test for part in parts]
    needles = tuple(group for part in parts for group in part.needles)
    return Condition(lambda value: all(test(value) for test in tests), needles)


def _part(tokens: Tokens, single: Callable[[Tokens], Condition], depth: int) -> Condition:
    if not tokens.take_sign("("):
        return single(tokens)
    if depth == 0:
        raise tokens.unexpected("fewer parentheses")
    inner = condition(tokens, single, depth - 1)
    if not tokens.take_sign(")"):
        raise tokens.unexpected("a closing parenthesis")
    return inner


def one_of(alternatives: Sequence[Needles]) -> Needles:
    """What a message contains that meets one of several conditions: a text of the first group of each."""
    if not all(alternatives):
        return ()
    return (tuple(dict.fromkeys(text for needles in alternatives for text in needles[0])),)
