"""What a reader needs of a filter: a protocol, no filter language.

The store asks a matcher about messages while it scans, in its reader threads, so that what
does not match is never made an ``Event``.  The filter-pattern language is the API's.
"""

from __future__ import annotations

from typing import Protocol


class Matcher(Protocol):
    """Decides about messages; called from several threads at once, so it keeps no state."""

    @property
    def needle(self) -> bytes | None:
        """Bytes (UTF-8) that every matching message contains, or ``None`` when there are none.

        A block of events without them is skipped before its messages are decoded; the longer
        and rarer they are, the faster is the scan.  Messages lie on disk as their UTF-8 bytes.
        """
        ...

    def matches(self, message: str) -> bool:
        """Whether the whole message matches; exact, also without regard to ``needle``."""
        ...
