"""Regular expressions between percent signs, as filter patterns allow them.

A small part of the usual language: no groups, no look-around, ASCII only.  Expressions that
could keep Python's matcher busy for long are refused.
"""

from __future__ import annotations

import re
import string
import warnings

from openecs.logs.patterns.errors import PatternError
from openecs.planning.pattern_cost import takes_too_long

#: How many of them one pattern may have.
MOST_EXPRESSIONS = 2
_ALLOWED = frozenset(string.ascii_letters + string.digits + " _#=@/;,:-" + "^$?[]{}|\\*+.")
#: Characters that may follow a backslash: classes, hexadecimal codes and whatever is no letter.
_ESCAPES = frozenset("dDsSwWx" + string.punctuation + " ")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def compile_expression(text: str) -> re.Pattern[str]:
    """The expression between two percent signs; raises ``PatternError``."""
    if not text:
        raise PatternError("A regular expression cannot be empty.")
    for escape in _ESCAPE.finditer(text):
        if escape[1] not in _ESCAPES:
            raise PatternError(f"The regular expression %{text}% has the unsupported escape {escape[0]}.")
    strangers = set(_ESCAPE.sub("", text)) - _ALLOWED
    if strangers:
        raise PatternError(f"The regular expression %{text}% has the unsupported character {min(strangers)}.")
    # Python reads a sign behind a repetition in ways of its own.
    if re.search(r"(?<!\\)[*+?}][*+?]", text):
        raise PatternError(f"The regular expression %{text}% repeats a repetition.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(text, re.ASCII)
    except (re.error, OverflowError) as error:
        raise PatternError(f"The regular expression %{text}% is not valid: {error}.") from None
    if takes_too_long(text):
        raise PatternError(f"The regular expression %{text}% has too many repetitions.")
    return compiled
