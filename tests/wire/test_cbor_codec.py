"""smithy-rpc-v2-cbor: the reader against a general CBOR library, refusals, errors."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.errors import AWSError
from openecs.shapes import cloudwatch as cloudwatch_shapes
from openecs.shapes import servicediscovery as shapes
from openecs.wire.cbor_codec import CborCodec
from openecs.wire.cbor_reader import CborError, read_cbor
from openecs.wire.generated import cloudwatch, servicediscovery

OPERATIONS = servicediscovery.SERVICE.operations
CODEC = CborCodec("servicediscovery", servicediscovery.SERVICE.message_member)

numbers = st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.floats(width=16, allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=30) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_a_cbor_library_writes_is_read(value: Any, canonical: bool) -> None:
    assert read_cbor(cbor2.dumps(value, canonical=canonical)) == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("9f01 9f02ff 80ff", [1, [2], []]),
        ("bf 61 61 01 61 62 bfff ff", {"a": 1, "b": {}}),
        ("7f 61 61 63 626364 ff", "abcd"),
        ("5f 41 01 42 0203 ff", b"\1\2\3"),
        ("f7", None),
        ("f97c00", math.inf),
        ("c1 1b 0000000065000000", 1694498816.0),
        ("c1 fb 3ff8000000000000", 1.5),
        ("3b ffffffffffffffff", -(2**64)),
    ],
)
def test_forms_that_the_library_does_not_write(body: str, value: Any) -> None:
    assert read_cbor(bytes.fromhex(body)) == value


@pytest.mark.parametrize(
    "body",
    ["", "18", "1c", "1f", "ff", "81", "9b ffffffffffffffff", "bb 7fffffffffffffff", "a1 01 02", "81 ff", "a1 61 61 ff",
     "61 ff", "7f 41 61 ff", "7f 7f 61 61 ff ff", "5f 1f ff", "7b ffffffffffffffff 61", "f8 20", "fc", "c0 6120",
     "c1 6120", "c1 f5", "c2 41 01", "d81c 80", "d9 0102 80", "00 00", "81" * 100 + "00", "bf 61 61 ff"],
)  # fmt: skip
def test_bytes_that_are_refused(body: str) -> None:
    raw = bytes.fromhex(body)
    with pytest.raises(CborError):
        read_cbor(raw)
    if raw:
        with pytest.raises(AWSError) as caught:
            CODEC.decode(OPERATIONS["ListServices"], raw)
        assert (caught.value.code, caught.value.status) == ("SerializationException", 400)


@given(st.binary(max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(CborError):
        read_cbor(body)


@given(st.sampled_from(sorted(OPERATIONS)), values)
@settings(max_examples=200, deadline=None)
def test_any_value_is_decoded_or_refused(name: str, value: Any) -> None:
    operation = OPERATIONS[name]
    try:
        read: Any = CODEC.decode(operation, cbor2.dumps(value))
    except AWSError as error:
        read = error
    assert read.status == 400 if isinstance(read, AWSError) else type(read) in (operation.input, type(None))


def test_constraints_are_refused_in_the_words_of_the_json_protocol() -> None:
    with pytest.raises(AWSError) as caught:
        CODEC.decode(OPERATIONS["GetNamespace"], cbor2.dumps({}))
    assert caught.value.message == (
        "1 validation error detected: Value null at 'id' failed to satisfy constraint: Member must not be null"
    )


def test_timestamps_are_tagged() -> None:
    namespace = shapes.Namespace(id="ns-1", create_date=1_700_000_000.5)
    body = CODEC.encode(OPERATIONS["GetNamespace"], shapes.GetNamespaceResponse(namespace=namespace), "the-id")
    when = dt.datetime.fromtimestamp(1_700_000_000.5, dt.UTC)
    assert cbor2.loads(body) == {"Namespace": {"Id": "ns-1", "CreateDate": when}}


@given(st.lists(st.integers(0, 2**40) | st.floats(0, 2.0**40), max_size=70))
def test_lists_of_timestamps_are_tagged_one_by_one(moments: list[float]) -> None:
    result = cloudwatch_shapes.MetricDataResult(id="m", timestamps=tuple(moments), values=(1.0,))
    output = cloudwatch_shapes.GetMetricDataOutput(metric_data_results=(result,), messages=())
    body = CborCodec("monitoring").encode(cloudwatch.SERVICE.operations["GetMetricData"], output, "the-id")
    assert read_cbor(body)["MetricDataResults"] == [{"Id": "m", "Timestamps": moments, "Values": [1.0]}]
    # Not numbers alone: each has its tag.
    assert body.count(b"\xc1\xfb") >= len(moments)


def test_an_operation_without_output_has_no_body() -> None:
    assert CODEC.encode(OPERATIONS["UpdateInstanceCustomHealthStatus"], None, "the-id") == b""


def test_errors_are_named_by_the_shape_and_told_as_the_model_spells_it() -> None:
    error = AWSError("DuplicateRequest", "It is there.", members={"DuplicateOperationId": "op-1"})
    assert cbor2.loads(CODEC.encode_error(error, "the-id")) == {
        "__type": "com.amazonaws.servicediscovery#DuplicateRequest",
        "Message": "It is there.",
        "DuplicateOperationId": "op-1",
    }
