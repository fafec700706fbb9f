"""Every operation of the models through boto3, with the least that the model asks for.

An operation is served, and answers with its model's shape or a modelled error; or it is in the
list of those that are not, and is refused by its name.  Nothing ends in an error of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation

from openecs.wire.generated import (
    acm,
    application_autoscaling,
    autoscaling,
    cloudwatch,
    ec2,
    elbv2,
    events,
    scheduler,
    servicediscovery,
)
from openecs.wire.operation import ServiceModel

NOT_SERVED = "UnsupportedOperationException"
#: Operations of ECS that are not built yet.
ECS_NOT_YET = frozenset(
    {
        "ExecuteCommand",
        *("CreateExpressGatewayService", "DescribeExpressGatewayService", "UpdateExpressGatewayService"),
        *("DeleteExpressGatewayService", "CreateDaemon", "DescribeDaemon", "UpdateDaemon", "DeleteDaemon"),
        *("ListDaemons", "RegisterDaemonTaskDefinition", "DescribeDaemonTaskDefinition"),
        *("ListDaemonTaskDefinitions", "DeleteDaemonTaskDefinition", "ListDaemonDeployments"),
        *("DescribeDaemonDeployments", "DescribeDaemonRevisions", "AssociateGatewayWithCluster", "CreateGateway"),
        *("DeleteGateway", "DescribeGateway", "DescribeGatewayResources", "DescribeGatewayRoute"),
        *("DisassociateGatewayFromCluster", "ListGatewayClusterAssociations", "ListGatewayRoutes", "ListGateways"),
        "UpdateGateway",
    }
)
#: Operations of CloudWatch Logs and STS that are built.
LOGS_SERVED = frozenset(
    {
        *("CreateLogGroup", "DescribeLogGroups", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy"),
        *("CreateLogStream", "DescribeLogStreams", "DeleteLogStream"),
        *("PutLogEvents", "GetLogEvents", "FilterLogEvents"),
        *("TagResource", "UntagResource", "ListTagsForResource", "TagLogGroup", "UntagLogGroup", "ListTagsLogGroup"),
        *("PutMetricFilter", "DescribeMetricFilters", "DeleteMetricFilter", "TestMetricFilter"),
        *("PutSubscriptionFilter", "DescribeSubscriptionFilters", "DeleteSubscriptionFilter", "StartLiveTail"),
        *("PutResourcePolicy", "DescribeResourcePolicies", "DeleteResourcePolicy", "ListLogGroups"),
        *("PutLogGroupDeletionProtection", "AssociateKmsKey", "DisassociateKmsKey"),
        *("StartQuery", "StopQuery", "DescribeQueries", "GetQueryResults", "GetLogRecord", "GetLogGroupFields"),
        *("PutQueryDefinition", "DescribeQueryDefinitions", "DeleteQueryDefinition"),
    }
)
STS_SERVED = frozenset({"GetCallerIdentity"})
#: Models of the services beside ECS, and what of their operations is not built yet.
NETWORK_SERVICES: dict[str, tuple[ServiceModel, frozenset[str]]] = {
    "acm": (acm.SERVICE, frozenset()),
    "cloudwatch": (cloudwatch.SERVICE, frozenset()),
    "application-autoscaling": (application_autoscaling.SERVICE, frozenset()),
    "autoscaling": (autoscaling.SERVICE, frozenset()),
    "ec2": (ec2.SERVICE, frozenset()),
    "elbv2": (elbv2.SERVICE, frozenset()),
    "events": (events.SERVICE, frozenset()),
    "scheduler": (scheduler.SERVICE, frozenset()),
    "servicediscovery": (servicediscovery.SERVICE, frozenset()),
}
#: Good only for a value of that kind; the API may refuse it, but by a modelled error.
_SAMPLES: dict[str, Any] = {
    "string": "sample",
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "boolean": False,
    "timestamp": 0,
    "blob": b"sample",
}


def least(shape: Any) -> Any:
    """The smallest value that a shape's model allows."""
    if getattr(shape, "is_tagged_union", False):
        name, member = next(iter(shape.members.items()))
        return {name: least(member)}
    if shape.type_name == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [least(shape.member)] * max(shape.metadata.get("min", 1), 1)
    if shape.type_name == "map":
        return {"key": least(shape.value)}
    if shape.type_name == "string" and shape.enum:
        return shape.enum[0]
    if shape.type_name == "string":
        return "sample".ljust(shape.metadata.get("min", 1), "0")
    return _SAMPLES[shape.type_name]


def operations(service: str) -> list[str]:
    return sorted(botocore.session.get_session().get_service_model(service).operation_names)


def outcome(client: Any, operation: str) -> tuple[str, str]:
    """The error's code and message; empty ones for a good reply."""
    model = client.meta.service_model.operation_model(operation)
    parameters = least(model.input_shape) if model.input_shape else {}
    try:
        client._make_api_call(operation, parameters)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", ""


@pytest.fixture(scope="module")
def client_of(fake: Installation) -> Callable[[str], Any]:
    """Clients in a region of their own.

    Some operations of the logs service would go to a host of their own, "stream-" and ours.
    """
    return lambda service: fake.client(service, "every-operation", inject_host_prefix=False)


@pytest.fixture(scope="module")
def ecs_apart(client_of: Callable[[str], Any]) -> Any:
    return client_of("ecs")


@pytest.mark.parametrize("operation", operations("ecs"))
def test_an_ecs_operation_is_served_or_refused_by_name(ecs_apart: Any, operation: str) -> None:
    code, message = outcome(ecs_apart, operation)
    assert (code == NOT_SERVED) == (operation in ECS_NOT_YET), f"{code}: {message}"
    assert code != NOT_SERVED or f" {operation} " in message


def test_logs_operations_are_served_or_refused_by_name(client_of: Callable[[str], Any]) -> None:
    client = client_of("logs")
    for operation in operations("logs"):
        code, message = outcome(client, operation)
        assert (code == NOT_SERVED) == (operation not in LOGS_SERVED), f"{operation}: {code}: {message}"
        assert code != NOT_SERVED or f" {operation} " in message


def test_sts_operations_are_served_or_refused_by_name(client_of: Callable[[str], Any]) -> None:
    client = client_of("sts")
    for operation in operations("sts"):
        code, message = outcome(client, operation)
        assert (code == "") == (operation in STS_SERVED), f"{operation}: {code}: {message}"
        assert code == "" or operation in message


@pytest.mark.parametrize("service", sorted(NETWORK_SERVICES))
def test_operations_of_network_services_are_served_or_refused_by_name(
    client_of: Callable[[str], Any], service: str
) -> None:
    """Of the many operations of EC2 that are not served only some are asked for."""
    client, model, not_yet = client_of(service), *NETWORK_SERVICES[service]
    served = set(model.operations) - not_yet
    others = [operation for operation in operations(service) if operation not in served]
    for operation in sorted(served | set(others[:: 20 if service == "ec2" else 1])):
        code, message = outcome(client, operation)
        refused = code.startswith("UnsupportedOperation") and "does not serve the operation" in message
        assert refused == (operation not in served), f"{operation}: {code}: {message}"
        assert not refused or f" {operation} " in message


@pytest.mark.parametrize(("service", "call"), [("sqs", "list_queues"), ("rds", "describe_db_instances")])
def test_a_service_that_is_not_there_says_so(fake: Installation, service: str, call: str) -> None:
    with pytest.raises(ClientError, match="OpenECS does not serve"):
        getattr(fake.client(service), call)()
