"""Whether a regular expression is one that RE2 surely reads.  Pure.

Envoy, which evaluates the expressions of listener rules, has RE2: no look-around, no references
back, repetitions up to 1,000.  What both RE2 and Python read is accepted; anything else is said
to be wrong before a host has to find out.
"""

from __future__ import annotations

import re
import warnings

#: The highest count in a repetition.
MOST_REPETITIONS = 1000
_GROUP = re.compile(r"\(\?(?!:|P<[A-Za-z_]\w*>|[ims]+(?:-[ims]+)?[:)])")
_ESCAPES = "\\dDwWsSbBAntrfva.^$|?*+()[]{}-/@#%&=!<>,:;\"'~`_ "


def re2_problem(pattern: str) -> str | None:
    """Why the pattern is not accepted, in words that follow "the regular expression"; ``None``: it is."""
    for place, character in _escapes(pattern):
        if character not in _ESCAPES and not (character == "x" and re.match(r"[0-9A-Fa-f]{2}", pattern[place + 1 :])):
            return f"uses '\\{character}', which is not supported"
    bare = re.sub(r"\\.", "..", pattern)
    if _GROUP.search(re.sub(r"\[[^\]]*\]", "", bare)):
        return "uses a look-around, a comment or another kind of group that is not supported"
    if re.search(r"[*+?}]\+", bare):
        return "uses a possessive repetition, which is not supported"
    if any(int(number) > MOST_REPETITIONS for number in re.findall(r"\d{1,9}", " ".join(_counts(bare)))):
        return f"repeats more than {MOST_REPETITIONS} times"
    try:
        with warnings.catch_warnings():
            # Python warns of sets within sets, which RE2 reads in its own way.
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        return f"is not valid: {error}"
    return None


def _escapes(pattern: str) -> list[tuple[int, str]]:
    """Place and character of everything behind a backslash."""
    found, place = [], 0
    while place < len(pattern):
        if pattern[place] == "\\" and place + 1 < len(pattern):
            found.append((place + 1, pattern[place + 1]))
            place += 1
        place += 1
    return found


def _counts(bare: str) -> list[str]:
    return re.findall(r"\{([0-9,]*)\}", bare)
