"""Regular expressions that callers write.

RE2 matches in time that grows with the line alone, whatever the expression: no query can hold up the
process.  It has no look-around and no references, like CloudWatch's own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2


def compiled(pattern: str) -> Any:
    """The expression, for ``search``.  Raises ``ValueError`` with the reason when it cannot be used."""
    options = re2.Options()
    options.log_errors = False
    try:
        # RE2 reads (?<name>…) as well as (?P<name>…).
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"the regular expression cannot be read: {error}") from None


@lru_cache(maxsize=1024)
def literal(text: str) -> Any:
    """The expression for ``search`` in bytes that finds a text's UTF-8, many times faster than ``in`` does."""
    options = re2.Options()
    options.literal = True
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(text.encode(), options)


def glob(pattern: str) -> Any:
    """The pattern of ``parse``: each ``*`` stands for as little as possible, the last one for the rest."""
    parts = [re.escape(part) for part in pattern.split("*")]
    if len(parts) == 1:
        return compiled(parts[0])
    body = "(.*?)".join(parts[:-1])
    return compiled(f"(?s){body}(.*)" if parts[-1] == "" else f"(?s){body}(.*?){parts[-1]}")
