"""JSON as patterns see it: numbers keep their spelling, because ``300`` and ``300.0`` are not the same to them."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class Number(str):
    """A JSON number as it is spelt.  Equal to other numbers of that spelling; not to be mixed with strings."""

    __slots__ = ()

    @property
    def value(self) -> float:
        """What it counts."""
        return float(self)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"Unexpected token {name}")


def read(text: str) -> Any:
    """The JSON value of a text; raises ``ValueError`` (``RecursionError`` for too many levels)."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_constant)
