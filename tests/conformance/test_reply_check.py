"""The check that all replies of these tests pass: it must see what it is there for."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from reply_check import error_differences, reply_differences
from reply_proxy import SERVICES
from reply_proxy import differences as proxy_differences
from xml_reply_check import xml_differences, xml_error_differences


def model(operation: str) -> Any:
    return botocore.session.get_session().get_service_model("ecs").operation_model(operation)


CLUSTER = {"clusterName": "web", "runningTasksCount": 0, "settings": [{"name": "containerInsights", "value": "on"}]}


def differences(**change: Any) -> list[str]:
    body = json.dumps({"clusters": [{**CLUSTER, **change}], "failures": []}).encode()
    return reply_differences(model("DescribeClusters"), body)


def test_a_reply_of_the_models_shape_passes() -> None:
    assert differences() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"colour": "red"}, "$.clusters[0].colour is not in the model"),
        ({"clusterName": None}, "$.clusters[0].clusterName is null"),
        ({"clusterName": 1}, "$.clusters[0].clusterName should be of the type string: 1"),
        ({"runningTasksCount": "0"}, "$.clusters[0].runningTasksCount should be of the type integer: '0'"),
        ({"runningTasksCount": True}, "$.clusters[0].runningTasksCount should be of the type integer: True"),
        ({"settings": {}}, "$.clusters[0].settings is no list"),
        ({"settings": [{"name": "other"}]}, "$.clusters[0].settings[0].name is none of the model's values: 'other'"),
        ({"configuration": []}, "$.clusters[0].configuration is no object"),
    ],
)
def test_what_the_model_does_not_have_is_told(change: dict[str, Any], told: str) -> None:
    assert differences(**change) == [told]


def test_errors_must_be_modelled_and_have_a_message() -> None:
    operation = model("RunTask")

    def told(status: int, **body: Any) -> list[str]:
        return error_differences(operation, status, json.dumps(body).encode())

    assert told(400, __type="ClientException", message="no") == []
    assert told(400, __type="ConflictException", message="no", resourceIds=["a"]) == []
    assert told(400, __type="ClientException", message="") == ["the error has no message"]
    assert told(400, __type="ClientException", message="no", extra=1) == [
        "ClientException has members that the model does not have: ['extra']"
    ]
    assert told(400, __type="Oops", message="no") == ["the code 'Oops' is neither modelled nor common to all services"]
    assert told(500, __type="ServerException", message="no") == ["status 500"]


def test_the_proxy_knows_the_operation_by_its_target() -> None:
    ecs, _ = SERVICES
    assert proxy_differences(f"{ecs}.ListClusters", 200, b'{"clusterArns": []}') == ""
    assert proxy_differences(f"{ecs}.ListClusters", 200, b'{"clusters": []}') == "$.clusters is not in the model"
    assert proxy_differences(f"{ecs}.ListClusters", 400, b'{"__type": "Oops", "message": "m"}')


def xml(service: str, operation: str, content: str) -> list[str]:
    of_it = botocore.session.get_session().get_service_model(service).operation_model(operation)
    body = f'<{operation}Response xmlns="http://x/">{content}</{operation}Response>'
    return xml_differences(of_it, body.encode())


@pytest.mark.parametrize(
    ("vpc", "told"),
    [
        ("<vpcId>vpc-1</vpcId><isDefault>true</isDefault><tagSet><item><key>a</key></item></tagSet>", []),
        ("<VpcId>vpc-1</VpcId>", ["$.vpcSet[0].VpcId is not in the model"]),
        ("<isDefault>True</isDefault>", ["$.vpcSet[0].isDefault should be of the type boolean: 'True'"]),
        ("<state>fine</state>", ["$.vpcSet[0].state is none of the model's values: 'fine'"]),
        ("<vpcId><a/></vpcId>", ["$.vpcSet[0].vpcId should hold text only"]),
        ("<tagSet><member/></tagSet>", ["$.vpcSet[0].tagSet.member: items of the list are named item"]),
        ('<vpcId xmlns="">v</vpcId>', ["vpcId is of another namespace"]),
    ],
)
def test_an_ec2_reply_is_looked_at(vpc: str, told: list[str]) -> None:
    assert xml("ec2", "DescribeVpcs", f"<requestId>1</requestId><vpcSet><item>{vpc}</item></vpcSet>") == told
    assert xml("ec2", "DescribeVpcs", "") == ["there is no requestId"]
    assert xml("ec2", "DeleteVpc", "<requestId>1</requestId><return>true</return>") == []


def test_a_query_reply_is_looked_at() -> None:
    def told(content: str) -> list[str]:
        more = "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
        return xml("elbv2", "DescribeRules", f"<DescribeRulesResult>{content}</DescribeRulesResult>{more}")

    assert told("<Rules><member><Priority>1</Priority><IsDefault>false</IsDefault></member></Rules>") == []
    assert told("<Rules><item/></Rules>") == ["$.Rules.item: items of the list are named member"]
    assert told("<Rule/>") == ["$.Rule is not in the model"]
    assert xml("elbv2", "DescribeRules", "<Other/>") == [
        "Other is not of the protocol",
        "there is no ResponseMetadata",
    ]
    error = b"<ErrorResponse><Error><Code>a</Code></Error></ErrorResponse>"
    assert xml_error_differences(None, 500, error) == ["the error has no code or no message", "status 500"]
