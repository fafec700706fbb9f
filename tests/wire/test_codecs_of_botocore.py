"""Every served operation of EC2, ELB and Cloud Map in its own protocol, with botocore as the oracle.

Requests and replies with every member at every depth: what botocore's serializer writes is
read, and what is written botocore's parser reads as the same values.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import msgspec
import pytest
from shape_samples import SERVICES, as_boto, boto_operation, sample

from openecs.wire.cbor_codec import CborCodec
from openecs.wire.ec2_codec import Ec2Codec
from openecs.wire.operation import Operation
from openecs.wire.query_codec import QueryCodec

PROTOCOLS = {"ec2": "ec2", "elbv2": "query", "servicediscovery": "smithy-rpc-v2-cbor"}
CODECS: dict[str, Any] = {
    "ec2": Ec2Codec(SERVICES["ec2"].xml_namespace or "", SERVICES["ec2"].names),
    "elbv2": QueryCodec(SERVICES["elbv2"].xml_namespace),
    "servicediscovery": CborCodec("servicediscovery"),
}
OPERATIONS = [operation for name in PROTOCOLS for operation in SERVICES[name].operations.values()]
SEEDS = {"ec2": 1, "elbv2": 3, "servicediscovery": 4}


@functools.cache
def serializer(protocol: str) -> Any:
    return botocore.serialize.create_serializer(protocol, include_validation=False)


@functools.cache
def parser(protocol: str) -> Any:
    return botocore.parsers.create_parser(protocol)


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.input], ids=lambda op: f"{op.service}-{op.name}")
def test_requests_that_botocore_writes_are_read(operation: Operation) -> None:
    assert operation.input is not None
    model = boto_operation(operation)
    for seed in range(SEEDS[operation.service]):
        wanted = sample(operation.input, seed, full=True)
        params = as_boto(model.input_shape, msgspec.to_builtins(wanted))
        body = serializer(PROTOCOLS[operation.service]).serialize_to_request(params, model)["body"]
        if isinstance(body, dict):
            body = urlencode(body).encode()
        assert CODECS[operation.service].decode(operation, body) == wanted


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.output], ids=lambda op: f"{op.service}-{op.name}")
def test_replies_are_what_botocore_reads(operation: Operation) -> None:
    assert operation.output is not None
    model = boto_operation(operation)
    for seed in range(SEEDS[operation.service]):
        output = sample(operation.output, seed, model.output_shape, full=True)
        body = CODECS[operation.service].encode(operation, output, "the-id")
        reply = {"status_code": 200, "headers": {"smithy-protocol": "rpc-v2-cbor"}, "body": body}
        read = parser(PROTOCOLS[operation.service]).parse(reply, model.output_shape)
        del read["ResponseMetadata"]
        assert read == as_boto(model.output_shape, msgspec.to_builtins(output))


def test_every_member_of_the_samples_is_there() -> None:
    """The two tests above are worth what their samples hold."""
    output = sample(SERVICES["ec2"].operations["DescribeVpcs"].output, 0, full=True)
    assert output.vpcs
    assert all(getattr(vpc, field) is not None for vpc in output.vpcs for field in vpc.__struct_fields__)
