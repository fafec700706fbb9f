"""Which codes of an answer let a probe pass: ``200``, ``200-299``, ``200,301-302``.  Pure."""

from __future__ import annotations


class MatcherError(ValueError):
    """The text is no list of codes."""


class Matcher:
    """A set of codes.  Raises ``MatcherError``."""

    def __init__(self, text: str) -> None:
        self._ranges: list[range] = []
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdigit() or (dash and not last.isdigit()):
                raise MatcherError(f"{text!r} is no list of codes; write 200, 200-299 or 200,301")
            self._ranges.append(range(int(first), int(last or first) + 1))

    def __contains__(self, code: int) -> bool:
        return any(code in codes for codes in self._ranges)
