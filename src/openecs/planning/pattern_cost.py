"""How long a regular expression may take, at worst, to say no.  Pure.

Patterns of placement constraints come from callers and run inside the control plane, on the
values of every instance's attributes.  Python's matcher tries one way after the other, and some
patterns have more ways than there is time: ``(a+)+b`` needs 2^30 steps for thirty letters.  Such
patterns are refused before they are used.  The estimate errs to the high side: it also refuses
some that would do no harm, namely repetitions of what is itself repeated or optional, and more
than two repetitions without a limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

#: Characters that the value of an attribute has at most.
LENGTH = 128
#: Ways to match one value; they take a fraction of a millisecond, because the values of thousands of
#: instances are matched in one go.  Enough for two ``.*``.
MOST_WAYS = 20_000.0

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
#: What matches in one way or not at all.  The parser is private to Python: what it may come to
#: say besides is refused.
_SINGLE = frozenset({op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN, op.AT, op.GROUPREF, op.FAILURE})


def takes_too_long(pattern: str) -> bool:
    """Whether a valid pattern may keep the matcher busy.  Raises as ``re.compile`` does."""
    return _ways(_parser.parse(pattern)) > MOST_WAYS


def _ways(items: Iterable[tuple[Any, Any]]) -> float:
    """In how many ways the items, one after the other, can match parts of one value."""
    total, unbounded = 1.0, 0
    for kind, argument in items:
        if kind in _REPEATS and argument[1] is op.MAXREPEAT and _ways(argument[2]) <= 1.0:
            unbounded += 1
        else:
            total = min(total * _ways_of(kind, argument), math.inf)
    # They share the characters of one value between them.
    return total * math.comb(LENGTH + unbounded, unbounded)


def _ways_of(kind: Any, argument: Any) -> float:
    if kind in _REPEATS:
        least, most, repeated = argument
        inner = _ways(repeated)
        # No more than the value has characters, unless it may be repeated without taking any.
        times = min(int(most), LENGTH)
        choices = float(max(1, times - int(least) + 1))
        return choices if inner <= 1.0 else choices * _power(inner, times)
    if kind is op.SUBPATTERN:
        return _ways(argument[3])
    if kind is op.ATOMIC_GROUP:
        return _ways(argument)
    if kind is op.BRANCH:
        ways = [_ways(alternative) for alternative in argument[1]]
        return max(ways) if _told_apart(argument[1]) else sum(ways)
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return _ways(argument[1])
    if kind is op.GROUPREF_EXISTS:
        return _ways(argument[1]) + _ways(argument[2] or ())
    return 1.0 if kind in _SINGLE else math.inf


def _told_apart(alternatives: list[Any]) -> bool:
    """Whether the first character says which alternative it is."""
    firsts = [alternative[0] for alternative in alternatives if len(alternative)]
    letters = {argument for kind, argument in firsts if kind is op.LITERAL}
    return len(letters) == len(alternatives)


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return math.inf
