"""Dashboards through boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation

BODY = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "Grüße"}}]})


@pytest.fixture
def cloudwatch(fake: Installation) -> Iterator[Any]:
    client = fake.client("cloudwatch")
    yield client
    names = [entry["DashboardName"] for entry in client.list_dashboards()["DashboardEntries"]]
    if names:
        client.delete_dashboards(DashboardNames=names)


def names(client: Any, **filters: str) -> list[str]:
    return [entry["DashboardName"] for entry in client.list_dashboards(**filters)["DashboardEntries"]]


def test_a_dashboard_comes_back_as_it_was_put_in_every_region(fake: Installation, cloudwatch: Any) -> None:
    assert cloudwatch.put_dashboard(DashboardName="web", DashboardBody=BODY)["DashboardValidationMessages"] == []
    account = fake.client("sts").get_caller_identity()["Account"]
    found = fake.client("cloudwatch", "eu-west-1").get_dashboard(DashboardName="web")
    assert found["DashboardArn"] == f"arn:aws:cloudwatch::{account}:dashboard/web"
    assert found["DashboardBody"] == BODY
    (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
    assert (entry["DashboardName"], entry["Size"]) == ("web", len(BODY.encode()))
    assert abs(entry["LastModified"].timestamp() * 1000 - fake.now()) < 60_000


def test_putting_again_replaces_and_prefixes_select(cloudwatch: Any) -> None:
    for name in ("b-1", "a-2", "a-1"):
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=BODY)
    cloudwatch.put_dashboard(DashboardName="a-1", DashboardBody='{"widgets": []}')
    assert names(cloudwatch) == ["a-1", "a-2", "b-1"]
    assert names(cloudwatch, DashboardNamePrefix="a-") == ["a-1", "a-2"]
    assert cloudwatch.get_dashboard(DashboardName="a-1")["DashboardBody"] == '{"widgets": []}'
    cloudwatch.delete_dashboards(DashboardNames=["a-1", "b-1", "nothing"])
    assert names(cloudwatch) == ["a-2"]
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_dashboard(DashboardName="a-1")
    error = caught.value.response["Error"]
    # The code is that of the Query protocol, whatever the client speaks.
    assert (error["Code"], error["QueryErrorCode"]) == ("ResourceNotFound", "DashboardNotFoundError")
    assert error["Message"] == "Dashboard a-1 does not exist"


def test_mistakes_are_refused_and_leave_what_was(cloudwatch: Any) -> None:
    cloudwatch.put_dashboard(DashboardName="web", DashboardBody=BODY)
    wrong = json.dumps({"widgets": [{"type": "metric", "x": 0, "y": 0, "properties": {"region": "us-east-1"}}]})
    with pytest.raises(cloudwatch.exceptions.DashboardInvalidInputError) as caught:
        cloudwatch.put_dashboard(DashboardName="web", DashboardBody=wrong)
    message = caught.value.response["Error"]["Message"]
    assert message.startswith("The dashboard body is invalid, there are 3 validation errors:\n[\n  {\n")
    assert json.loads(message.partition("\n")[2])[0] == {
        "dataPath": "/widgets/0/properties",
        "message": "Should have required property 'metrics'",
    }
    for body, name in (("{", "web"), (BODY, "not a name"), (BODY, "a" * 256)):
        with pytest.raises(cloudwatch.exceptions.DashboardInvalidInputError):
            cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)
    assert cloudwatch.get_dashboard(DashboardName="web")["DashboardBody"] == BODY


def test_unknown_members_are_warned_of(cloudwatch: Any) -> None:
    body = json.dumps({"widgets": [{"type": "text", "shape": "round", "properties": {"markdown": "x"}}]})
    told = cloudwatch.put_dashboard(DashboardName="web", DashboardBody=body)["DashboardValidationMessages"]
    assert told == [
        {
            "DataPath": "/widgets/0",
            "Message": 'The "shape" property is not expected to be part of a widget definition, will be ignored',
        }
    ]
    assert names(cloudwatch) == ["web"]


def test_tags_count_for_a_new_dashboard_and_go_with_it(cloudwatch: Any) -> None:
    cloudwatch.put_dashboard(DashboardName="web", DashboardBody=BODY, Tags=[{"Key": "team", "Value": "a"}])
    cloudwatch.put_dashboard(DashboardName="web", DashboardBody=BODY, Tags=[{"Key": "team", "Value": "b"}])
    arn = cloudwatch.get_dashboard(DashboardName="web")["DashboardArn"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    cloudwatch.delete_dashboards(DashboardNames=["web"])
    cloudwatch.put_dashboard(DashboardName="web", DashboardBody=BODY)
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == []
    with pytest.raises(cloudwatch.exceptions.DashboardInvalidInputError):
        cloudwatch.put_dashboard(DashboardName="new", DashboardBody=BODY, Tags=[{"Key": "aws:x", "Value": ""}])
    assert names(cloudwatch) == ["web"]


def test_other_refusals(cloudwatch: Any) -> None:
    for call in (
        lambda: cloudwatch.list_dashboards(DashboardNamePrefix="a b"),
        lambda: cloudwatch.list_dashboards(NextToken="made up"),
        lambda: cloudwatch.delete_dashboards(DashboardNames=[f"d{number}" for number in range(101)]),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"
