"""Regular expressions between percent signs, as filter patterns allow them.

A small part of the usual language: no groups, ASCII only.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from openecs.logs.matching import Needles
from openecs.logs.patterns.errors import PatternError
from openecs.logs.regexes import compiled

#: How many of them one pattern may have.
MOST_EXPRESSIONS = 2
_ALLOWED = frozenset(string.ascii_letters + string.digits + " _#=@/;,:-" + "^$?[]{}|\\*+.")
#: Characters that may follow a backslash: classes, hexadecimal codes and whatever is no letter.
_ESCAPES = frozenset("dDsSwWx" + string.punctuation + " ")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
#: What stands for no text or for several, with what is repeated; brackets within brackets are left over.
_VARYING = re.compile(r"\\x..|\\.|\[[^][\\]+\]|.?\{[0-9,]*\}|.[?*]|[.^$+?*]")


def expression_test(text: str) -> Callable[[str], bool]:
    """Whether a message has what the expression between two percent signs finds; raises ``PatternError``."""
    if not text:
        raise PatternError("A regular expression cannot be empty.")
    for escape in _ESCAPE.finditer(text):
        if escape[1] not in _ESCAPES:
            raise PatternError(f"The regular expression %{text}% has the unsupported escape {escape[0]}.")
    strangers = set(_ESCAPE.sub("", text)) - _ALLOWED
    if strangers:
        raise PatternError(f"The regular expression %{text}% has the unsupported character {min(strangers)}.")
    # Engines read a sign behind a repetition in ways of their own.
    if re.search(r"(?<!\\)[*+?}][*+?]", text):
        raise PatternError(f"The regular expression %{text}% repeats a repetition.")
    try:
        search = compiled(text).search
    except ValueError:
        raise PatternError(f"The regular expression %{text}% is not valid.") from None
    return lambda message: search(message) is not None


def expression_needles(text: str) -> Needles:
    """The longest text that whatever the expression finds contains, where one is plain to see."""
    pieces = _VARYING.split(text)
    longest = max(pieces, key=len)
    unclear = not frozenset("[]{}|\\").isdisjoint("".join(pieces))
    return () if unclear or not longest else ((longest,),)
