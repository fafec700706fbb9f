"""Policies of VPC endpoints: only a policy is kept, and kept as it was given."""

from __future__ import annotations

import json

import pytest
from ec2_kit import DEFAULT, Api

SERVICE = "com.amazonaws.eu-west-1.s3"
ALLOW = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
POLICY = {
    "Version": "2012-10-17",
    "Id": "mine",
    "Statement": [
        {
            "Sid": "one",
            "Effect": "Deny",
            "NotPrincipal": {"AWS": ["arn:aws:iam::123456789012:root"]},
            "NotAction": ["s3:GetObject"],
            "NotResource": "arn:aws:s3:::a/*",
            "Condition": {"StringEquals": {"aws:SourceVpc": ["vpc-1"]}, "Bool": {"aws:SecureTransport": True}},
        },
        ALLOW,
    ],
}


@pytest.mark.parametrize("policy", [json.dumps(POLICY), json.dumps({"Statement": ALLOW}, indent=2)])
def test_a_policy_comes_back_as_it_was_given(api: Api, policy: str) -> None:
    made = api("CreateVpcEndpoint", VpcId=DEFAULT.vpc_id, ServiceName=SERVICE, PolicyDocument=policy)["VpcEndpoint"]
    assert made["PolicyDocument"] == policy


def test_a_blank_policy_is_none(api: Api) -> None:
    made = api("CreateVpcEndpoint", VpcId=DEFAULT.vpc_id, ServiceName=SERVICE, PolicyDocument="")["VpcEndpoint"]
    assert json.loads(made["PolicyDocument"])["Statement"][0] == ALLOW


def statement(**changes: object) -> str:
    return json.dumps({"Statement": {name: v for name, v in {**ALLOW, **changes}.items() if v is not None}})


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ("{", "Syntax error at position (1,2)"),
        ('{\n "Statement": }', "Syntax error at position (2,15)"),
        ("[" * 10_000, "nested too deeply"),
        (" " * 20_481, "more than 20480 characters"),
        ("[]", "a JSON object"),
        ('"Allow"', "a JSON object"),
        ("{}", "at least one statement"),
        ('{"Statement": []}', "at least one statement"),
        ('{"Statement": [1]}', "A statement must be a JSON object"),
        ('{"Statement": NaN}', "NaN is no JSON"),
        ('{"Statement": [], "Statement": []}', "given more than once"),
        (json.dumps({"Version": "2020-01-01", "Statement": ALLOW}), "Version must be one of"),
        (json.dumps({"Version": [], "Statement": ALLOW}), "Version must be one of"),
        (json.dumps({"Id": 1, "Statement": ALLOW}), "Id must be a string"),
        (json.dumps({"Statements": ALLOW}), "Statements is no member of the policy"),
        (statement(Effect="allow"), "Effect must be Allow or Deny"),
        (statement(Effect=["Allow"]), "Effect must be Allow or Deny"),
        (statement(Effect=None), "must have Effect"),
        (statement(Action=None), "either Action or NotAction"),
        (statement(NotAction="*"), "either Action or NotAction"),
        (statement(Principal=None), "either Principal or NotPrincipal"),
        (statement(Principal="somebody"), "Principal must be"),
        (statement(Principal={"AWS": 1}), "Principal must be"),
        (statement(Resource=None), "either Resource or NotResource"),
        (statement(Resource=[]), "Resource must be a string or a list of strings"),
        (statement(Action=[1]), "Action must be a string or a list of strings"),
        (statement(Condition={"test": "StringEquals", "values": ["a"]}), "Condition must be"),
        (statement(Condition=[]), "Condition must be"),
        (statement(Actions="*"), "Actions is no member of a statement"),
        (statement(Sid=1), "Sid must be a string"),
    ],
)
def test_what_is_no_policy_is_refused(api: Api, policy: str, why: str) -> None:
    made = api("CreateVpcEndpoint", VpcId=DEFAULT.vpc_id, ServiceName=SERVICE)["VpcEndpoint"]
    request = {"VpcId": DEFAULT.vpc_id, "ServiceName": "com.amazonaws.eu-west-1.dynamodb", "PolicyDocument": policy}
    for operation, members in (
        ("CreateVpcEndpoint", request),
        ("ModifyVpcEndpoint", {"VpcEndpointId": made["VpcEndpointId"], "PolicyDocument": policy}),
    ):
        text = api.refused(operation, "InvalidPolicyDocument", why, **members)
        assert text.startswith("The Policy Document is not valid. ")
