"""Finding members of a request by their wire path: ``containerDefinitions[].secrets``.

``[]`` stands for every element of a list.  Only members that were given are found, so a
caller sees what the client wrote and where.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from openecs.shapes.base import Shape


def find(shape: Shape, path: str) -> list[tuple[str, Any]]:
    """The concrete path (``containerDefinitions[0].secrets``) and value of each given member."""
    found: list[tuple[str, Any]] = [("", shape)]
    for name, many in _steps(path):
        deeper: list[tuple[str, Any]] = []
        for prefix, value in found:
            kind: Any = type(value)
            member = getattr(value, _attributes(kind)[name])
            if member is None:
                continue
            here = f"{prefix}.{name}" if prefix else name
            if many:
                deeper += [(f"{here}[{index}]", element) for index, element in enumerate(member)]
            else:
                deeper.append((here, member))
        if not deeper:
            return deeper
        found = deeper
    return found


def leaf(path: str) -> str:
    """The member's own name: ``secrets``."""
    return path.rsplit(".", 1)[-1].removesuffix("[]")


@cache
def _steps(path: str) -> tuple[tuple[str, bool], ...]:
    """The wire names of a path, and whether every element of a list is meant."""
    return tuple((step.removesuffix("[]"), step.endswith("[]")) for step in path.split("."))


@cache
def _attributes(shape: type[Shape]) -> dict[str, str]:
    """Wire name → attribute name of a shape's members."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(shape)}
