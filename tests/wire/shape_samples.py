"""Random values of the generated shapes, and their form in botocore's terms."""

from __future__ import annotations

import base64
import random
import re
from datetime import UTC, datetime
from typing import Any

import botocore.session
import msgspec
from botocore.model import OperationModel, Shape
from msgspec import inspect

from openecs.wire.generated import acm, ec2, ecs, elbv2, logs, servicediscovery, sts
from openecs.wire.operation import Operation

SERVICES = {
    model.name: model
    for model in (
        ecs.SERVICE,
        logs.SERVICE,
        sts.SERVICE,
        ec2.SERVICE,
        elbv2.SERVICE,
        servicediscovery.SERVICE,
        acm.SERVICE,
    )
}
OPERATIONS = [op for model in SERVICES.values() for op in model.operations.values()]

_session = botocore.session.get_session()
BOTO_MODELS = {name: _session.get_service_model(name) for name in SERVICES}

#: One line of base64 between the two lines of a certificate.
PEM = "-----BEGIN CERTIFICATE-----\n" + "QUJD" * 16 + "\n-----END CERTIFICATE-----\n"
TEXTS = [
    "a",
    "abc",
    "",
    "héé ✓ <&>\"'\r\n",
    "aaaaaaaaaaaa",
    "123456789012",
    "x" * 40,
    "a" * 36,
    "\x7f\u2028😀",
    # What only some patterns take.
    "www.example.com",
    "HTTPS",
    "404",
    "ipam-pool-1",
    "ipv4pool-coip-1",
    "arn:aws:acm:us-east-1:123456789012:certificate/a",
    PEM,
]


def boto_operation(operation: Operation) -> OperationModel:
    return BOTO_MODELS[operation.service].operation_model(operation.name)


def sample(shape: type, seed: int, boto_shape: Shape | None = None, *, full: bool = False) -> Any:
    """A random instance of a shape; ``boto_shape`` makes its unions hold one member each.

    ``full`` gives every member at every depth, and items to every list.
    """
    rng = random.Random(seed)
    data = _value(inspect.type_info(shape), rng, 0, full=full)
    return msgspec.convert(_unions(boto_shape, data), shape)


def _unions(shape: Shape | None, data: Any) -> Any:
    if shape is None:
        return data
    if shape.type_name == "structure":
        kept = {name: _unions(shape.members[name], value) for name, value in data.items()}
        kept = {name: value for name, value in kept.items() if value is not None}
        if getattr(shape, "is_tagged_union", False):
            kept = dict(list(kept.items())[:1])
            return kept or None
        return kept
    if shape.type_name == "list":
        return [value for item in data if (value := _unions(shape.member, item)) is not None]
    return data


def _value(kind: inspect.Type, rng: random.Random, depth: int, *, full: bool = False) -> Any:
    if isinstance(kind, inspect.UnionType):
        kind = next(inner for inner in kind.types if not isinstance(inner, inspect.NoneType))
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.StructType):
        share = 0.8 / (depth + 1)
        return {
            member.encode_name: _value(member.type, rng, depth + 1, full=full)
            for member in kind.fields
            if full or member.required or rng.random() < share
        }
    if isinstance(kind, inspect.VarTupleType):
        low = max(kind.min_length or 0, int(full))
        high = min(kind.max_length or 3, low + 2)
        return [_value(kind.item_type, rng, depth + 1, full=full) for _ in range(rng.randint(low, high))]
    if isinstance(kind, inspect.DictType):
        data: dict[str, Any] = {}
        count = rng.randint(max(kind.min_length or 0, int(full)), 3)
        while len(data) < count:
            key = _value(kind.key_type, rng, depth)
            if key in data and not isinstance(kind.key_type, inspect.LiteralType):
                # Few texts may fit the key's constraints, so a key that is taken gets a number.
                key = f"{key}{len(data)}"
            data[key] = _value(kind.value_type, rng, depth + 1, full=full)
        return data
    if isinstance(kind, inspect.LiteralType):
        return rng.choice(kind.values)
    if isinstance(kind, inspect.BoolType):
        return rng.random() < 0.5
    if isinstance(kind, inspect.IntType):
        return rng.randint(kind.ge if kind.ge is not None else -(2**31), kind.le if kind.le is not None else 2**31 - 1)
    if isinstance(kind, inspect.FloatType):
        return rng.randint(int(kind.ge or 0), int(kind.le or 2_000_000_000)) + 0.125
    if isinstance(kind, inspect.BytesType):
        return base64.b64encode(rng.randbytes(rng.randint(0, 5))).decode()
    assert isinstance(kind, inspect.StrType)
    fitting = [
        text
        for text in TEXTS
        if (kind.min_length or 0) <= len(text) <= (kind.max_length or 1000)
        and (kind.pattern is None or re.search(kind.pattern, text))
    ]
    return rng.choice(fitting)


def as_boto(shape: Shape | None, data: Any) -> Any:
    """Plain data of a shape as botocore's callers pass it and its parsers return it."""
    if shape is None:
        return data
    if shape.type_name == "structure":
        return {name: as_boto(shape.members[name], value) for name, value in data.items()}
    if shape.type_name == "list":
        return [as_boto(shape.member, item) for item in data]
    if shape.type_name == "map":
        return {key: as_boto(shape.value, item) for key, item in data.items()}
    if shape.type_name == "timestamp":
        return datetime.fromtimestamp(data, UTC)
    if shape.type_name == "blob":
        return base64.b64decode(data)
    return data
