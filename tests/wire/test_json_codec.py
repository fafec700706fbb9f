"""The JSON codec against botocore's serializer and parser, and AWS's words for refusals."""

from __future__ import annotations

import json
from typing import Any

import botocore.parsers
import botocore.serialize
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_samples import OPERATIONS, SERVICES, as_boto, boto_operation, sample

from openecs.errors import AWSError
from openecs.shapes import ecs as shapes
from openecs.wire.json_codec import JsonCodec

ECS = SERVICES["ecs"].operations
LOGS = SERVICES["logs"].operations
JSON_OPERATIONS = [op for op in OPERATIONS if "json" in SERVICES[op.service].protocols]

seeds = st.integers(0, 2**32)


def refusal(operation: Any, body: Any) -> AWSError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(AWSError) as caught:
        JsonCodec().decode(operation, raw)
    assert caught.value.status == 400
    return caught.value


def refused(operation: Any, body: bytes) -> AWSError | None:
    try:
        JsonCodec().decode(operation, body)
    except AWSError as error:
        return error
    return None


def told(operation: Any, body: Any) -> tuple[str, str]:
    error = refusal(operation, body)
    return error.code, error.message


@pytest.mark.parametrize("operation", JSON_OPERATIONS, ids=lambda op: f"{op.service}-{op.name}")
@given(seed=seeds)
@settings(max_examples=8, deadline=None)
def test_requests_that_botocore_writes_are_read(operation, seed):
    wanted = sample(operation.input, seed)
    model = boto_operation(operation)
    params = as_boto(model.input_shape, msgspec.to_builtins(wanted))
    written = botocore.serialize.create_serializer("json", include_validation=False).serialize_to_request(params, model)
    got = JsonCodec().decode(operation, written["body"])
    assert_same(got, wanted)


def assert_same(got: Any, wanted: Any) -> None:
    """Equal, but for the fractions of timestamps, which botocore's serializer cuts off."""
    plain, expected = msgspec.to_builtins(got), msgspec.to_builtins(wanted)
    assert type(got) is type(wanted)
    assert _whole(plain) == _whole(expected)


def _whole(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _whole(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_whole(value) for value in data]
    return int(data) if isinstance(data, float) else data


#: An answer that is a stream of events is not the codec's.
WHOLE_REPLIES = [op for op in JSON_OPERATIONS if op.output and not boto_operation(op).has_event_stream_output]


@pytest.mark.parametrize("operation", WHOLE_REPLIES, ids=lambda op: op.name)
@given(seed=seeds)
@settings(max_examples=8, deadline=None)
def test_replies_are_what_botocore_reads(operation, seed):
    model = boto_operation(operation)
    output = sample(operation.output, seed, model.output_shape)
    body = JsonCodec().encode(operation, output, "id")
    read = botocore.parsers.create_parser("json").parse(
        {"status_code": 200, "headers": {}, "body": body}, model.output_shape
    )
    del read["ResponseMetadata"]
    assert read == as_boto(model.output_shape, msgspec.to_builtins(output))


def test_null_is_absent_and_strangers_are_ignored():
    request = JsonCodec().decode(ECS["RunTask"], b'{"taskDefinition":"a:1","count":null,"cluster":null,"new":[{}]}')
    assert request == shapes.RunTaskRequest(task_definition="a:1")


def test_an_empty_body_is_an_empty_structure():
    assert JsonCodec().decode(ECS["ListClusters"], b"") == shapes.ListClustersRequest()


def test_an_absent_member_is_left_out_of_replies():
    body = JsonCodec().encode(ECS["ListClusters"], shapes.ListClustersResponse(cluster_arns=()), "id")
    assert body == b'{"clusterArns":[]}'


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("RunTask", {"taskDefinition": 5}, "NUMBER_VALUE can not be converted to a String"),
        ("RunTask", {"taskDefinition": True}, "TRUE_VALUE can not be converted to a String"),
        ("RunTask", {"taskDefinition": ["a"]}, "Start of list found where not expected"),
        ("RunTask", {"taskDefinition": {"a": 1}}, "Start of structure or map found where not expected."),
        ("RunTask", {"taskDefinition": "a", "count": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ("RunTask", {"taskDefinition": "a", "count": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ("RunTask", {"taskDefinition": "a", "count": False}, "FALSE_VALUE can not be converted to an Integer"),
        ("StopTask", {"task": 1}, "NUMBER_VALUE can not be converted to a String"),
        ("DeleteService", {"service": "a", "force": "y"}, "STRING_VALUE can not be converted to a Boolean"),
        ("DescribeTasks", {"tasks": "a"}, "Expected list or null"),
        ("DescribeTasks", {"tasks": [5]}, "NUMBER_VALUE can not be converted to a String"),
        ("RegisterTaskDefinition", {"family": "f", "containerDefinitions": ["a"]}, "Expected null"),
        ("RegisterTaskDefinition", {"containerDefinitions": [{"dockerLabels": "a"}]}, "Expected map or null"),
        ("RegisterTaskDefinition", {"volumes": [{"host": []}]}, "Start of list found where not expected"),
        ("RegisterTaskDefinition", {"containerDefinitions": {}}, "Start of structure or map found where not expected."),
        ("RunTask", [], "Start of list found where not expected"),
        ("RunTask", 7, "Expected null"),
        ("RunTask", b'{"taskDefinition":', "Unexpected end-of-input in the request body."),
        ("RunTask", b"{a}", "The request body is not valid JSON: object keys must be strings (byte 1)."),
        ("RunTask", b"\xff\xfe", "The request body is not valid JSON: invalid character (byte 0)."),
        ("RunTask", b"[" * 100_000, "The request body is nested too deeply."),
        ("RunTask", b'{"taskDefinition":"a","x":' + b"[" * 100_000, "The request body is nested too deeply."),
    ],
)  # fmt: skip
def test_bodies_of_the_wrong_structure(operation, body, message):
    assert told(ECS[operation], body) == ("SerializationException", message)


@pytest.mark.parametrize(
    ("operation", "body", "code", "message"),
    [
        (ECS["RegisterTaskDefinition"], {"containerDefinitions": []}, "ClientException", "Family can not be blank."),
        (ECS["DescribeTasks"], {"tasks": None}, "InvalidParameterException", "Tasks cannot be empty."),
        (
            ECS["StopTask"],
            {},
            "InvalidParameterException",
            "1 validation error detected: Value null at 'task' failed to satisfy constraint: Member must not be null",
        ),
        (
            LOGS["PutLogEvents"],
            {"logGroupName": "g", "logStreamName": "s", "logEvents": [{"message": "m"}]},
            "InvalidParameterException",
            (
                "1 validation error detected: Value null at 'logEvents.1.member.timestamp' failed to satisfy "
                "constraint: Member must not be null"
            ),
        ),
        (
            LOGS["PutLogEvents"],
            {"logGroupName": "g", "logStreamName": "a:b", "logEvents": []},
            "InvalidParameterException",
            (
                "2 validation errors detected: Value 'a:b' at 'logStreamName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [^:*]*; Value '[]' at 'logEvents' failed to satisfy "
                "constraint: Member must have length greater than or equal to 1"
            ),
        ),
        (
            ECS["RunTask"],
            {"taskDefinition": "a", "launchType": "MOON"},
            "InvalidParameterException",
            (
                "1 validation error detected: Value 'MOON' at 'launchType' failed to satisfy constraint: Member must "
                "satisfy enum value set: [EC2, EXTERNAL, FARGATE, MANAGED_INSTANCES]"
            ),
        ),
        (
            ECS["DescribeClusters"],
            {"include": ["TAGS", "MOON"]},
            "InvalidParameterException",
            (
                "1 validation error detected: Value '[TAGS, MOON]' at 'include' failed to satisfy constraint: "
                "Member must satisfy constraint: [Member must satisfy enum value set: [ATTACHMENTS, CONFIGURATIONS, "
                "SETTINGS, STATISTICS, TAGS]]"
            ),
        ),
        (
            ECS["RunTask"],
            {"taskDefinition": "a", "capacityProviderStrategy": [{"capacityProvider": "c", "weight": 1001}]},
            "InvalidParameterException",
            (
                "1 validation error detected: Value '1001' at 'capacityProviderStrategy.1.member.weight' failed to "
                "satisfy constraint: Member must have value less than or equal to 1000"
            ),
        ),
        (
            LOGS["FilterLogEvents"],
            {"logGroupName": "g", "logStreamNames": [None]},
            "InvalidParameterException",
            (
                "1 validation error detected: Value '[null]' at 'logStreamNames' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_broken_constraints(operation, body, code, message):
    assert told(operation, body) == (code, message)


def test_a_refused_value_is_not_repeated_at_length():
    error = refusal(ECS["RunTask"], {"taskDefinition": "a", "launchType": "x" * 100_000})
    assert len(error.message) < 2_000


def mutate(data: Any, rng: Any) -> Any:
    """The data with one random place replaced by something of another kind."""
    if isinstance(data, dict) and data and rng.random() < 0.8:
        key = rng.choice(sorted(data))
        return {**data, key: mutate(data[key], rng)}
    if isinstance(data, list | tuple) and data and rng.random() < 0.8:
        at = rng.randrange(len(data))
        return [*data[:at], mutate(data[at], rng), *data[at + 1 :]]
    return rng.choice([None, True, 0, -1, 2**40, 1.5, "", "x" * 3000, [], {}, [None], {"": None}, [[]], {"a": {}}])


@pytest.mark.parametrize("operation", JSON_OPERATIONS, ids=lambda op: f"{op.service}-{op.name}")
@given(seed=seeds, rng=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_whatever_is_refused_is_refused_in_words(operation, seed, rng):
    """The walker finds a reason for every refusal of the decoder, and never raises otherwise."""
    data = mutate(msgspec.to_builtins(sample(operation.input, seed)), rng)
    body = json.dumps(data).encode()
    error = refused(operation, body)
    if error is not None:
        assert error.status == 400
        assert "Expected `" not in error.message, "worded by the decoder, not by the walker"
        assert " - at `$" not in error.message


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_no_json(body):
    error = refused(ECS["RunTask"], body)
    assert error is None or error.code in ("SerializationException", "InvalidParameterException")


def test_errors_carry_their_members():
    error = AWSError("ConflictException", "Taken.", members={"resourceIds": ["a"]})
    assert json.loads(JsonCodec().encode_error(error, "id")) == {
        "__type": "ConflictException",
        "message": "Taken.",
        "resourceIds": ["a"],
    }
