"""Finding members of a request by their wire path: ``containerDefinitions[].secrets``.

``[]`` stands for every element of a list.  Only members that were given are found, so a
caller sees what the client wrote and where.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from openecs.shapes.base import Shape


def find(shape: Shape, path: str) -> Iterator[tuple[str, Any]]:
    """The concrete path (``containerDefinitions[0].secrets``) and value of each given member."""
    yield from _walk(shape, _steps(path), "")


def leaf(path: str) -> str:
    """The member's own name: ``secrets``."""
    return path.rsplit(".", 1)[-1].removesuffix("[]")


@cache
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


@cache
def _attributes(shape: type[Shape]) -> dict[str, str]:
    """Wire name → attribute name of a shape's members."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(shape)}


def _walk(value: Any, steps: tuple[str, ...], prefix: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield prefix, value
        return
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[]")
    kind: Any = type(value)
    member = getattr(value, _attributes(kind)[name])
    if member is None:
        return
    here = f"{prefix}.{name}" if prefix else name
    if step.endswith("[]"):
        for index, element in enumerate(member):
            yield from _walk(element, rest, f"{here}[{index}]")
    else:
        yield from _walk(member, rest, here)
