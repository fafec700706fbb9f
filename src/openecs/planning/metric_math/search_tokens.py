"""How SEARCH compares a term without quotes: by the tokens of names.

``CustomCount1`` has the tokens ``custom``, ``count`` and ``1``, and ``customcount1`` for the whole:
a capital letter, a digit and anything that is neither letter nor digit begin a new one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W_a-zA-Z0-9]+")
_DELIMITER = re.compile(r"[\W_]")


class Tokens(NamedTuple):
    """A name in its pieces, as they stand and in lower case."""

    pieces: tuple[str, ...]
    lower: tuple[str, ...]

    @property
    def whole(self) -> str:
        return "".join(self.lower)


@lru_cache(maxsize=4096)
def tokens(text: str) -> Tokens:
    """The tokens of a name or value."""
    pieces = tuple(_PIECE.findall(text))
    return Tokens(pieces, tuple(piece.lower() for piece in pieces))


class Wanted:
    """A term to look for.

    One token is found in any case of letters.  Several must follow one another: as they stand
    (``Count1`` finds ``CustomCount1``, ``count1`` does not), or in any case where the term itself
    separates them (``network-errors`` finds ``NetworkErrors2``).
    """

    def __init__(self, text: str) -> None:
        self.pieces, self._lower = tokens(text)
        self._whole = "".join(self._lower)
        self._any_case = len(self.pieces) == 1 or _DELIMITER.search(text) is not None

    def found_in(self, text: str) -> bool:
        """Whether a name or value has the term's tokens."""
        there = tokens(text)
        if self._any_case:
            return _contains(there.lower, self._lower) or there.whole == self._whole
        return _contains(there.pieces, self.pieces) or there.whole == self._whole


def _contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
