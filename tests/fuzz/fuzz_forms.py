"""Requests as the form bodies of the EC2 and Query protocols: what botocore's serializers do, for any data.

Botocore writes what fits its model only; here whatever a spoilt request holds is written too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from msgspec import inspect

from openecs.wire.operation import Operation, ServiceModel
from openecs.wire.shape_types import bare


def form_of(model: ServiceModel, operation: Operation, data: Any) -> bytes:
    """The body of a request with the members ``data``."""
    kind = inspect.type_info(operation.input) if operation.input is not None else None
    pairs = [("Action", operation.name), ("Version", model.api_version)]
    pairs += list(_pairs(model, kind, data, ""))
    return urlencode(pairs, errors="replace").encode()


def _pairs(model: ServiceModel, kind: Any, value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    kind = bare(kind) if kind is not None else None
    ec2 = "ec2" in model.protocols
    if isinstance(value, dict):
        if isinstance(kind, inspect.DictType):
            for number, (key, item) in enumerate(value.items(), 1):
                yield f"{prefix}.entry.{number}.key", str(key)
                yield from _pairs(model, kind.value_type, item, f"{prefix}.entry.{number}.value")
            return
        fields = {field.encode_name: field.type for field in getattr(kind, "fields", ())}
        for member, item in value.items():
            name = str(member)
            if fields and ec2:
                name = model.names.parameter(kind.cls.__name__, name)
            yield from _pairs(model, fields.get(member), item, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list):
        if not value:
            yield prefix, ""
        item_kind = getattr(kind, "item_type", None)
        for number, item in enumerate(value, 1):
            yield from _pairs(model, item_kind, item, f"{prefix}.{number}" if ec2 else f"{prefix}.member.{number}")
    elif value is not None:
        yield prefix, str(value).lower() if isinstance(value, bool) else str(value)
