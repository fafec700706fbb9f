"""Looking at the types of the generated shapes: what stands behind ``| None`` and metadata."""

from __future__ import annotations

from msgspec import inspect


def bare(kind: inspect.Type) -> inspect.Type:
    """The type without ``| None`` and without metadata."""
    while True:
        if isinstance(kind, inspect.UnionType):
            kind = next(inner for inner in kind.types if not isinstance(inner, inspect.NoneType))
        elif isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            return kind


def is_timestamp(kind: inspect.Type) -> bool:
    """Whether a number is seconds since the epoch, which most protocols write in another way."""
    while isinstance(kind, inspect.UnionType | inspect.Metadata):
        if isinstance(kind, inspect.Metadata):
            if (kind.extra or {}).get("timestamp"):
                return True
            kind = kind.type
        else:
            kind = next(inner for inner in kind.types if not isinstance(inner, inspect.NoneType))
    return False
