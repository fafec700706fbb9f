"""EC2, ELB and Cloud Map (JSON and CBOR) through the gateway, called with botocore."""

from __future__ import annotations

import botocore.session
import cbor2
import pytest
from botocore.exceptions import ClientError
from test_gateway import client, raw, refusal
from toy_gateway import ROOT, Toy, serving

from openecs.errors import AWSError
from openecs.shapes import ec2, elbv2
from openecs.shapes import servicediscovery as discovery
from openecs.wire.call import Call
from openecs.wire.gateway import ServedService
from openecs.wire.generated import ec2 as ec2_model
from openecs.wire.generated import elbv2 as elbv2_model
from openecs.wire.generated import servicediscovery as discovery_model


def describe_vpcs(call: Call, request: ec2.DescribeVpcsRequest) -> ec2.DescribeVpcsResult:
    if request.vpc_ids == ("vpc-0",):
        raise AWSError("InvalidVpcID.NotFound", "The vpc ID 'vpc-0' does not exist")
    if request.vpc_ids == ("bug",):
        raise KeyError
    return ec2.DescribeVpcsResult(vpcs=(ec2.Vpc(vpc_id="vpc-1", state="available"),))


def describe_target_groups(call: Call, request: elbv2.DescribeTargetGroupsInput) -> elbv2.DescribeTargetGroupsOutput:
    return elbv2.DescribeTargetGroupsOutput(target_groups=(elbv2.TargetGroup(target_group_name="a", port=80),))


def get_namespace(call: Call, request: discovery.GetNamespaceRequest) -> discovery.GetNamespaceResponse:
    if request.id == "ns-0":
        raise AWSError("NamespaceNotFound", "There is none.")
    return discovery.GetNamespaceResponse(namespace=discovery.Namespace(id=request.id, create_date=1.5))


@pytest.fixture(scope="module")
def url():
    services = {
        "ec2": ServedService(ec2_model.SERVICE, {"DescribeVpcs": describe_vpcs}),
        "elbv2": ServedService(elbv2_model.SERVICE, {"DescribeTargetGroups": describe_target_groups}),
        "servicediscovery": ServedService(discovery_model.SERVICE, {"GetNamespace": get_namespace}),
    }
    with serving(Toy().gateway(services=services, authorize=lambda who, service, operation: who is ROOT)) as url:
        yield url


def test_ec2(url):
    answer = client(url, "ec2").describe_vpcs(Filters=[{"Name": "vpc-id", "Values": ["vpc-1"]}])
    assert answer["Vpcs"] == [{"VpcId": "vpc-1", "State": "available"}]
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "text/xml;charset=UTF-8"


@pytest.mark.parametrize(
    ("vpc", "code", "status"), [("vpc-0", "InvalidVpcID.NotFound", 400), ("bug", "InternalError", 500)]
)
def test_errors_of_ec2(url, vpc, code, status):
    got, http, message = refusal(lambda: client(url, "ec2").describe_vpcs(VpcIds=[vpc]))
    assert (got, http) == (code, status)
    assert message


def test_ec2_operations_that_are_not_served(url):
    code, status, message = refusal(client(url, "ec2").describe_volumes)
    assert (code, status) == ("UnsupportedOperation", 400)
    assert message == "OpenECS does not serve the operation DescribeVolumes of ec2 yet."


def test_an_action_and_a_version_that_ec2_has_not(url):
    scope = f"Credential={ROOT.access_key_id}/20200101/us-east-1/ec2/aws4_request"
    for body, code in ((b"Action=Nothing&Version=2016-11-15", b"InvalidAction"),
                       (b"Action=DescribeVpcs&Version=2001-01-01", b"UnsupportedOperation")):  # fmt: skip
        status, _, answer = raw(url, body=body, signed=False, Authorization=f"AWS4-HMAC-SHA256 {scope}")
        assert status == 400
        assert answer.startswith(b"<Response><Errors><Error><Code>" + code)


def test_who_is_not_known_to_ec2_and_who_may_not(url):
    stranger = client(url, "ec2", key="AKIANOBODY")
    assert refusal(stranger.describe_vpcs) == (
        "AuthFailure",
        401,
        "AWS was not able to validate the provided access credentials",
    )
    guest = client(url, "ec2", key="AKIAGUEST", secret="guest-secret")
    code, status, message = refusal(guest.describe_vpcs)
    assert (code, status) == ("UnauthorizedOperation", 403)
    assert message.startswith("You are not authorized to perform this operation. User: arn:aws:iam::")


def test_elb(url):
    answer = client(url, "elbv2").describe_target_groups()
    assert answer["TargetGroups"] == [{"TargetGroupName": "a", "Port": 80}]
    with pytest.raises(ClientError, match="ValidationError"):
        client(url, "elbv2").describe_target_groups(PageSize=100_000)


def test_cloud_map_over_json(url):
    map_client = client(url, "servicediscovery")
    assert map_client.get_namespace(Id="ns-1")["Namespace"]["Id"] == "ns-1"
    with pytest.raises(map_client.exceptions.NamespaceNotFound):
        map_client.get_namespace(Id="ns-0")


def cbor(url, operation, request, shape="Route53AutoNaming_v20170314"):
    return raw(
        url,
        path=f"/service/{shape}/operation/{operation}",
        body=request,
        Smithy_Protocol="rpc-v2-cbor",
        Content_Type="application/cbor",
        service="servicediscovery",
    )


def test_cloud_map_over_cbor(url):
    status, headers, body = cbor(url, "GetNamespace", cbor2.dumps({"Id": "ns-1"}))
    assert (status, headers["content-type"], headers["smithy-protocol"]) == (200, "application/cbor", "rpc-v2-cbor")
    assert cbor2.loads(body)["Namespace"]["Id"] == "ns-1"


@pytest.mark.parametrize(
    ("operation", "request_", "service", "status", "code"),
    [
        ("GetNamespace", {"Id": "ns-0"}, "Route53AutoNaming_v20170314", 400, "NamespaceNotFound"),
        ("GetNamespace", {}, "Route53AutoNaming_v20170314", 400, "ValidationException"),
        ("ListServices", {}, "Route53AutoNaming_v20170314", 400, "UnsupportedOperationException"),
        ("Nothing", {}, "Route53AutoNaming_v20170314", 400, "UnknownOperationException"),
        ("GetNamespace", {}, "Nothing", 400, "UnsupportedOperationException"),
    ],
)
def test_cbor_refusals(url, operation, request_, service, status, code):
    got, headers, body = cbor(url, operation, cbor2.dumps(request_), service)
    answer = cbor2.loads(body)
    assert (got, answer["__type"].rpartition("#")[2], headers["x-amzn-errortype"]) == (status, code, code)
    assert headers["smithy-protocol"] == "rpc-v2-cbor"
    assert {"message", "Message"} & answer.keys()


def test_botocore_speaking_cbor(url):
    """botocore itself prefers JSON; told that the service has CBOR only, it uses that."""
    session = botocore.session.get_session()
    loader = session.get_component("data_loader")
    model = loader.load_service_model("servicediscovery", "service-2")
    model["metadata"] |= {"protocol": "smithy-rpc-v2-cbor", "protocols": ["smithy-rpc-v2-cbor"]}
    map_client = session.create_client(
        "servicediscovery",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="AKIAROOT",
        aws_secret_access_key="root-secret",
    )
    answer = map_client.get_namespace(Id="ns-1")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/cbor"
    assert answer["Namespace"]["CreateDate"].timestamp() == 1.5
    with pytest.raises(map_client.exceptions.NamespaceNotFound, match=r"There is none\."):
        map_client.get_namespace(Id="ns-0")
