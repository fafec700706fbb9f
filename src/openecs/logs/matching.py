"""What a reader needs of a filter: a protocol, no filter language.

The store asks a matcher about messages while it scans, in its reader threads, so that what
does not match is never made an ``Event``.  The filter-pattern language is the API's.
"""

from __future__ import annotations

from typing import Protocol

#: Groups of texts, of each of which a message must contain at least one.
Needles = tuple[tuple[str, ...], ...]


class Matcher(Protocol):
    """Decides about messages; called from several threads at once, so it keeps no state."""

    @property
    def needles(self) -> Needles:
        """What every matching message contains: one text of each group; no groups when nothing is known.

        A block of events that lacks a whole group is skipped before its messages are decoded; the
        longer and rarer the texts, the faster is the scan.  Messages lie on disk as their UTF-8 bytes.
        """
        ...

    def matches(self, message: str) -> bool:
        """Whether the whole message matches; exact, also without regard to ``needles``."""
        ...
