"""The EC2 protocol where botocore is no oracle: refusals, empty answers, its own XML."""

from __future__ import annotations

from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.errors import AWSError
from openecs.shapes import ec2 as shapes
from openecs.wire.ec2_codec import Ec2Codec
from openecs.wire.generated import ec2

OPERATIONS = ec2.SERVICE.operations
CODEC = Ec2Codec(ec2.SERVICE.xml_namespace or "", ec2.SERVICE.names)
HEAD = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15"'


def decode(operation: str, form: str) -> object:
    return CODEC.decode(OPERATIONS[operation], form.encode())


def test_a_request_as_the_aws_cli_writes_it() -> None:
    form = (
        "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.2=vpc-2"
        "&VpcId.2=b&VpcId.10=c&VpcId.1=a&DryRun=true&MaxResults=5"
    )
    assert decode("DescribeVpcs", form) == shapes.DescribeVpcsRequest(
        filters=(shapes.Filter(name="vpc-id", values=("vpc-1", "vpc-2")),),
        vpc_ids=("a", "b", "c"),
        dry_run=True,
        max_results=5,
    )


def test_a_reply_as_ec2_writes_it() -> None:
    vpc = shapes.Vpc(
        vpc_id="vpc-1", is_default=False, cidr_block="10.0.0.0/16", tags=(shapes.Tag(key="Name", value="<a&b>"),)
    )
    body = CODEC.encode(OPERATIONS["DescribeVpcs"], shapes.DescribeVpcsResult(vpcs=(vpc,)), "the-id")
    assert body.decode() == (
        f"<DescribeVpcsResponse {HEAD}><requestId>the-id</requestId><vpcSet><item>"
        "<isDefault>false</isDefault><tagSet><item><key>Name</key><value>&lt;a&amp;b&gt;</value></item></tagSet>"
        "<vpcId>vpc-1</vpcId><cidrBlock>10.0.0.0/16</cidrBlock></item></vpcSet></DescribeVpcsResponse>"
    )


def test_an_operation_without_output_answers_true() -> None:
    body = CODEC.encode(OPERATIONS["DeleteVpc"], None, "the-id")
    assert body.decode() == (
        f"<DeleteVpcResponse {HEAD}><requestId>the-id</requestId><return>true</return></DeleteVpcResponse>"
    )


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e300", "253402300800"])
def test_times_that_no_reply_could_tell_are_refused(text: str) -> None:
    valid_until = "LaunchTemplateData.InstanceMarketOptions.SpotOptions.ValidUntil"
    with pytest.raises(AWSError, match="Expected a timestamp") as refused:
        decode("CreateLaunchTemplate", f"LaunchTemplateName=web&{valid_until}={text}")
    assert refused.value.code == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("operation", "form", "code", "words"),
    [
        ("DeleteVpc", "", "MissingParameter", "The request must contain the parameter VpcId"),
        ("DescribeVpcs", "Vpc=1", "UnknownParameter", "The parameter Vpc is not recognized"),
        ("DescribeVpcs", "Filter.1.Nam=1", "UnknownParameter", "The parameter Filter.1.Nam is not recognized"),
        ("DescribeVpcs", "VpcId.x=1", "UnknownParameter", "The parameter VpcId.x is not recognized"),
        ("DescribeVpcs", "VpcId.1.x=1", "UnknownParameter", "The parameter VpcId.1.x is not recognized"),
        ("DescribeVpcs", "VpcId=vpc-1", "InvalidParameterValue", "Value (vpc-1) for parameter VpcId is invalid."),
        ("DescribeVpcs", "Filter.1=a", "InvalidParameterValue", "Value (a) for parameter Filter.1 is invalid."),
        ("DescribeVpcs", "DryRun=maybe", "InvalidParameterValue", "Value (maybe) for parameter DryRun is invalid."),
        ("DescribeVpcs", "MaxResults=x", "InvalidParameterValue", "Value (x) for parameter MaxResults is invalid."),
        ("DescribeVpcs", "MaxResults=1", "InvalidParameterValue", "Value ( 1 ) for parameter maxResults is invalid."),
        ("CreateVpc", "InstanceTenancy=a", "InvalidParameterValue", "Valid values: dedicated, default, host."),
        ("CreateRoute", "RouteTableId=rtb-1&VpcPeeringConnectionId.a=1", "UnknownParameter", "PeeringConnectionId.a"),
        ("DescribeVpcs", "a." * 50 + "b=1", "MalformedInput", "nested too deeply"),
    ],
)
def test_parameters_that_do_not_fit(operation: str, form: str, code: str, words: str) -> None:
    with pytest.raises(AWSError) as caught:
        decode(operation, form)
    assert (caught.value.code, caught.value.status) == (code, 400)
    assert words in caught.value.message


@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.dictionaries(
        st.lists(
            st.sampled_from(["Filter", "1", "2", "Name", "Value", "VpcId", "TagSpecification", "Tag", "IpPermissions",
                             "FromPort", "RouteTableId", "DryRun", "MaxResults", "", "X-Amz-Date"]),
            min_size=1, max_size=5,
        ).map(".".join),
        st.text(max_size=6) | st.sampled_from(["true", "5", "-1", "9" * 19, "2020-01-01T00:00:00Z"]),
        max_size=6,
    ),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_form_is_read_or_refused(name: str, form: dict[str, str]) -> None:
    operation = OPERATIONS[name]
    try:
        read: object = CODEC.decode(operation, urlencode(form).encode())
    except AWSError as error:
        read = error
    if isinstance(read, AWSError):
        assert read.status == 400
        assert read.code in ("InvalidParameterValue", "MissingParameter", "UnknownParameter", "MalformedInput")
    else:
        assert type(read) in (operation.input, type(None))


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_errors_are_well_formed_xml(message: str) -> None:
    root = ET.fromstring(CODEC.encode_error(AWSError("Some.Code", message), "the-id"))
    assert root.tag == "Response"
    assert root.findtext("Errors/Error/Code") == "Some.Code"
    assert root.findtext("RequestID") == "the-id"
