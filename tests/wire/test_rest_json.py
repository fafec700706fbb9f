"""REST-JSON, with botocore as the other side."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.session
import msgspec
import pytest
from botocore.serialize import create_serializer

from openecs.errors import AWSError
from openecs.shapes import scheduler
from openecs.wire.generated.scheduler import SERVICE
from openecs.wire.operation import Bindings, Operation, ServiceModel
from openecs.wire.rest_json_codec import RestJsonCodec, RestRequest
from openecs.wire.rest_routes import RestRoutes

MODEL = botocore.session.get_session().get_service_model("scheduler")
GROUP = "arn:aws:scheduler:us-east-1:123456789012:schedule-group/jobs"
TARGET = {"Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/c", "RoleArn": "arn:aws:iam::123456789012:role/r"}


def received(operation: str, parameters: dict[str, Any]) -> Any:
    """What we make of the request that botocore writes."""
    request = create_serializer("rest-json").serialize_to_request(parameters, MODEL.operation_model(operation))
    routes = RestRoutes()
    routes.add(SERVICE)
    match = routes.find(request["method"], request["url_path"], "scheduler")
    assert match is not None
    assert match.operation.name == operation
    query = urlencode(request["query_string"], doseq=True)
    body = request["body"] if isinstance(request["body"], bytes) else str(request["body"] or "").encode()
    bound = RestRequest(RestJsonCodec("Message"), match.labels, query, {}, body)
    return bound.decode(match.operation, body or query.encode())


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("GetSchedule", {"Name": "a.b-c_d", "GroupName": "g"}),
        ("DeleteSchedule", {"Name": "n", "GroupName": "g", "ClientToken": "t"}),
        ("ListSchedules", {"GroupName": "g", "NamePrefix": "p", "State": "ENABLED", "MaxResults": 7}),
        ("ListScheduleGroups", {}),
        ("TagResource", {"ResourceArn": GROUP, "Tags": [{"Key": "k", "Value": "ä&="}]}),
        ("UntagResource", {"ResourceArn": GROUP, "TagKeys": ["a b", "c&d", "+"]}),
        (
            "CreateSchedule",
            {
                "Name": "n",
                "ScheduleExpression": "rate(1 minute)",
                "StartDate": 1_700_000_000,
                "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
                "Target": TARGET,
                "ClientToken": "t",
            },
        ),
    ],
)
def test_requests_of_botocore_are_read(operation: str, parameters: dict[str, Any]) -> None:
    found = received(operation, parameters)
    assert msgspec.convert(parameters, type(found)) == found


def test_replies_and_errors_are_read_by_botocore() -> None:
    codec, parser = RestJsonCodec("Message"), botocore.parsers.create_parser("rest-json")
    group = scheduler.GetScheduleGroupOutput(arn=GROUP, creation_date=1_700_000_000.5, state="ACTIVE")
    body = codec.encode(SERVICE.operations["GetScheduleGroup"], group, "id")
    shape = MODEL.operation_model("GetScheduleGroup").output_shape
    parsed = parser.parse({"status_code": 200, "headers": {}, "body": body}, shape)
    assert parsed["Arn"] == GROUP
    assert parsed["CreationDate"].timestamp() == 1_700_000_000.5
    error = codec.encode_error(AWSError("ResourceNotFoundException", "gone", status=404), "id")
    headers = {"x-amzn-errortype": "ResourceNotFoundException"}
    parsed = parser.parse({"status_code": 404, "headers": headers, "body": error}, shape)
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("ResourceNotFoundException", "gone")


@pytest.mark.parametrize(
    ("operation", "labels", "query", "body", "code"),
    [
        ("ListSchedules", {}, "MaxResults=seven", b"", "SerializationException"),
        ("ListSchedules", {}, "MaxResults=101", b"", "ValidationException"),
        ("ListSchedules", {}, "State=ON", b"", "ValidationException"),
        ("GetSchedule", {"Name": "a b"}, "", b"", "ValidationException"),
        ("CreateSchedule", {"Name": "n"}, "", b"{", "SerializationException"),
        ("CreateSchedule", {"Name": "n"}, "", b"[]", "SerializationException"),
        ("CreateSchedule", {"Name": "n"}, "", b"[" * 100_000, "SerializationException"),
        ("CreateSchedule", {"Name": "n"}, "", b"{}", "ValidationException"),
        ("CreateSchedule", {"Name": "n"}, "", b"\xff", "SerializationException"),
    ],
)
def test_what_does_not_fit_is_refused(
    operation: str, labels: dict[str, str], query: str, body: bytes, code: str
) -> None:
    request = RestRequest(RestJsonCodec(), labels, query, {}, body)
    with pytest.raises(AWSError) as caught:
        request.decode(SERVICE.operations[operation], body)
    assert caught.value.code == code


def test_a_member_with_a_place_of_its_own_is_not_taken_from_the_body() -> None:
    request = RestRequest(RestJsonCodec(), {"Name": "path"}, "", {}, b'{"Name": "body"}')
    found = request.decode(SERVICE.operations["CreateScheduleGroup"], b"")
    assert found == scheduler.CreateScheduleGroupInput(name="path")


def _toy(name: str, uri: str) -> Operation:
    return Operation("toy", name, None, None, (), "GET", uri, None, Bindings())


def test_greedy_labels_take_slashes_and_literals_win() -> None:
    operations = {name: _toy(name, uri) for name, uri in (("Deep", "/x/{Path+}"), ("One", "/x/{Name}/end"))}
    routes = RestRoutes()
    routes.add(ServiceModel("toy", "1", ("rest-json",), "toy", None, None, None, frozenset(operations), operations, {}))
    deep = routes.find("GET", "/x/a/b%2Fc", "toy")
    assert deep is not None
    assert (deep.operation.name, deep.labels) == ("Deep", {"Path": "a/b/c"})
    assert routes.find("POST", "/x/a", "toy") is None
    assert routes.find("GET", "/y", "toy") is None
