"""Requests for fuzzing: Hypothesis strategies that read the generated shapes.

A request is either made from the shape (valid-ish: most values fit, names refer to the small
world) or a sound request of the world; then a few places of it are spoilt: another type, a
boundary, something huge or nested, removed, repeated, unknown.  Bodies are written by the
standard library, which unlike the product's own encoder writes NaN and lone surrogates too.
"""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from openecs.wire.shape_types import bare

Draw = Any
#: Beyond this depth optional members are left out.
DEEPEST = 5
#: What is longer than this is not repeated many times.
LONG = 500
PERCENT = st.integers(0, 99)
SMALL = st.integers(0, 3)


def _nested(depth: int, *, lists: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


#: Values that fit nowhere, or only just.
WILD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40,
    0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), float("-inf"),
    "", " ", "\0", "a\0b", "\n", "\x7f", "\u2028", "é✓", "😀", "\ud800", "\udfff\ud800", "²", "٣", "%s%n", "${x}",
    "../../etc/passwd", "a" * 256, "a" * 5000, "x" * 20_000, "true", "null", "NaN", "-1", "1e9", "arn:", "arn:aws:ecs",
    "arn:aws:ecs:us-east-1:123456789012:", "arn:aws:ecs:us-east-1:123456789012:cluster/", "arn:aws:ecs:::task///",
    [], [None], [[]], [{}], ["a"], ["a", "a"], [1], {}, {"": ""}, {"a": None}, {"a": {"a": 1}}, {"name": None},
    _nested(60, lists=True), _nested(60, lists=False), ["x"] * 1000, [{}] * 500, {str(n): "v" for n in range(500)},
]  # fmt: skip
#: Fresh copies: a value that was put into one request may be spoilt further there.
WILD_VALUES = st.sampled_from(WILD).map(copy.deepcopy)
TEXTS = st.one_of(
    st.sampled_from(["a", "abc", "web", "x" * 36, "key", "VALUE", "a-b_c", "1", "é✓", "/tmp/x", "10.0.0.1", "true"]),
    st.text(max_size=12),
)


def _scalar(draw: Draw, kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.LiteralType):
        return draw(st.sampled_from(sorted(kind.values, key=str)))
    if isinstance(kind, inspect.BoolType):
        return draw(st.booleans())
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        low = int(kind.ge) if kind.ge is not None else -(2**31)
        high = int(kind.le) if kind.le is not None else 2**31 - 1
        near = [n for n in (0, 1, 2, 5, 60, 80, 100, 512, 8080, low, high) if low <= n <= high]
        return draw(st.sampled_from(near)) if draw(PERCENT) < 85 else draw(st.integers(low, high))
    if isinstance(kind, inspect.BytesType):
        return base64.b64encode(draw(st.binary(max_size=8))).decode()
    assert isinstance(kind, inspect.StrType), kind
    text: str = draw(TEXTS)
    if kind.min_length is not None and len(text) < kind.min_length:
        text += "a" * (kind.min_length - len(text))
    return text[: kind.max_length] if kind.max_length is not None else text


def _value(draw: Draw, kind: inspect.Type, name: str, references: dict[str, list[Any]], depth: int) -> Any:
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        chance = 70 if depth == 0 else 45 - 7 * depth
        return {
            member.encode_name: _value(draw, member.type, member.encode_name, references, depth + 1)
            for member in kind.fields
            if draw(PERCENT) < (97 if member.required else chance if depth < DEEPEST else 0)
        }
    if isinstance(kind, inspect.VarTupleType):
        size = draw(SMALL) if kind.min_length is None else max(kind.min_length, draw(SMALL))
        return [_value(draw, kind.item_type, name, references, depth + 1) for _ in range(size)]
    if isinstance(kind, inspect.DictType):
        keys = [_value(draw, kind.key_type, "key", references, depth + 1) for _ in range(draw(SMALL))]
        return {str(key): _value(draw, kind.value_type, "value", references, depth + 1) for key in keys}
    known = references.get(name)
    if known and draw(PERCENT) < 85:
        fitting = [v for v in known if isinstance(v, str) == isinstance(kind, inspect.StrType | inspect.LiteralType)]
        if fitting and not isinstance(kind, inspect.LiteralType):
            return draw(st.sampled_from(fitting))
    return _scalar(draw, kind)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every member and item within a request."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.append((*at, key))
        found += _places(inner, (*at, key))
        if len(found) > 400:
            break
    return found


def _spoil(draw: Draw, request: dict[str, Any], references: dict[str, list[Any]]) -> None:
    """Change one place of a request for the worse."""
    places = _places(request)
    how = draw(st.sampled_from(["wild", "wild", "wild", "refer", "refer", "drop", "repeat", "unknown", "wrap"]))
    if not places or how == "unknown":
        request[
            draw(st.sampled_from(["Unknown", "cluster", "nextToken", "maxResults", "limit", "tags", "include"]))
        ] = draw(WILD_VALUES)
        return
    place = draw(st.sampled_from(places))
    holder: Any = request
    for key in place[:-1]:
        holder = holder[key]
    key = place[-1]
    names = [part for part in place if isinstance(part, str)]
    if how == "drop":
        del holder[key]
    elif how == "repeat" and isinstance(holder, list):
        times = draw(st.sampled_from([1, 2, 10, 101]))
        # Bodies beyond the gateway's limit have a test of their own.
        holder += [holder[key]] * (times if len(str(holder[key])) < LONG else 1)
    elif how == "wrap":
        holder[key] = [holder[key]]
    elif how == "refer" and names and names[-1] in references:
        holder[key] = draw(st.sampled_from(references[names[-1]]))
    else:
        holder[key] = draw(WILD_VALUES)


@st.composite
def bodies(draw: Draw, shape: type | None, sound: dict[str, Any], references: dict[str, list[Any]]) -> bytes:
    """The JSON body of one request for an operation with the input ``shape``."""
    if shape is not None and draw(PERCENT) < 45:
        request = _value(draw, inspect.type_info(shape), "", references, 0)
        times = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
    else:
        request = json.loads(json.dumps(sound))
        times = draw(st.sampled_from([0, 1, 1, 1, 2, 3]))
    for _ in range(times):
        _spoil(draw, request, references)
    return json.dumps(request).encode()


#: Bodies that are no request at all.
BROKEN: list[bytes] = [
    b"", b" ", b"{", b"}", b"[]", b"null", b"0", b'"x"', b"{}x", b"{,}", b'{"a"}', b'{"a":}', b"\xff\xfe",
    b'{"\xff":1}', b'{"cluster":"\xed\xa0\x80"}', b'{"cluster":"\\ud800"}', b'{"cluster":"\\u0000"}', b"\xef\xbb\xbf{}",
    b"[" * 100_000, b'{"a":' * 100_000, b'{"tags":' + b"[" * 5000 + b"]" * 5000 + b"}", b"NaN", b'{"count":NaN}',
    b'{"count":1e999}', b'{"count":' + b"9" * 5000 + b"}", b'{"cluster":"a","cluster":1}',
    b"a=b&c=d", b"<xml/>", b"\0" * 1000,
    b"{" * 1000,
]  # fmt: skip
