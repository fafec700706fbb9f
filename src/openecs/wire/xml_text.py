"""Text in XML: what can be told in it at all, and how."""

from __future__ import annotations

import re

#: Characters that XML 1.0 cannot carry, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_tellable(text: str) -> bool:
    """Whether a reply in XML can show the text."""
    return _FORBIDDEN.search(text) is None


def escape(text: str) -> str:
    """``text`` as the content of an element; what XML cannot carry becomes U+FFFD."""
    if text.isalnum():
        return text
    text = _FORBIDDEN.sub("\ufffd", text)
    # A bare carriage return would be read back as a line feed.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
