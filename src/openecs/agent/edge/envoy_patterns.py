"""AWS's wildcards as regular expressions of RE2, which always match a whole value.  Pure."""

from __future__ import annotations

_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
#: One character of a query string, percent-encoded or not.
_QUERY_CHARACTER = r"(?:%[0-9A-Fa-f]{2}|[^&%])"
_KEY_CHARACTER = r"(?:%[0-9A-Fa-f]{2}|[^&=%])"


def literal(text: str) -> str:
    """A regular expression for exactly this text."""
    return "".join(
        character if character in _ALNUM or ord(character) > 127 else f"\\x{ord(character):02x}" for character in text
    )


def wildcard(pattern: str) -> str:
    """``*`` is any text, ``?`` one character."""
    parts = {"*": ".*", "?": "."}
    return "".join(parts.get(character) or literal(character) for character in pattern)


def any_of(expressions: list[str], *, ignore_case: bool = False) -> str:
    """One of them, as a whole."""
    flags = "(?is)" if ignore_case else "(?s)"
    return flags + (expressions[0] if len(expressions) == 1 else "(?:" + "|".join(expressions) + ")")


def found_in(expression: str) -> str:
    """A user's expression found anywhere in a value; its own anchors hold."""
    return f".*(?:{expression}).*"


def query_pair(key: str | None, value: str) -> str:
    """A parameter of a query string with this key, or any, and this value.

    Characters may be percent-encoded in the request; ``\\*`` and ``\\?`` stand for themselves.
    """
    name = f"{_KEY_CHARACTER}*" if key is None else _query_wildcard(key, _KEY_CHARACTER)
    content = _query_wildcard(value, _QUERY_CHARACTER)
    bare = f"|{name}" if not value.strip("*") else ""
    return f"(?:{name}={content}{bare})"


def in_query(pairs: list[str]) -> str:
    """A request's path and query string in which one of the pairs occurs."""
    return any_of([rf"[^?]*\?(?:.*&)?(?:{'|'.join(pairs)})(?:[&#].*)?"], ignore_case=True)


def _query_wildcard(pattern: str, one: str) -> str:
    parts = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and pattern[at + 1 : at + 2] in {"*", "?", "\\"}:
            at += 1
            parts.append(_query_literal(pattern[at]))
        elif character == "*":
            parts.append(f"{one}*")
        elif character == "?":
            parts.append(one)
        else:
            parts.append(_query_literal(character))
        at += 1
    return "".join(parts)


def _query_literal(character: str) -> str:
    # Case is ignored, also of a letter that is percent-encoded.
    spellings = sorted({character, character.lower(), character.upper()})
    encoded = ["".join(f"%{byte:02x}" for byte in spelling.encode()) for spelling in spellings if len(spelling) == 1]
    if character == "&":
        return encoded[0]
    plus = [r"\+"] if character == " " else []
    return f"(?:{'|'.join([literal(character), *(literal(text) for text in encoded), *plus])})"
