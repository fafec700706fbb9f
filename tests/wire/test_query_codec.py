"""The Query codec against botocore's serializer and parser, on STS and on shapes made for it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import botocore.parsers
import botocore.serialize
import msgspec
import pytest
from botocore.model import DenormalizedStructureBuilder, OperationModel, ServiceModel
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, field

from openecs.errors import AWSError
from openecs.shapes import sts as sts_shapes
from openecs.shapes.base import Shape
from openecs.wire.generated import sts
from openecs.wire.operation import Operation
from openecs.wire.query_codec import QueryCodec
from openecs.wire.xml_writer import iso_timestamp

Timestamp = Annotated[float, Meta(extra={"timestamp": True})]
NAMESPACE = "https://example.test/doc/2020-01-01/"


class Leaf(Shape, kw_only=True, rename="pascal"):
    """A structure with every kind of scalar."""

    name: Annotated[str, Meta(max_length=64)] | None = None
    port: int | None = None
    ratio: float | None = None
    ready: bool | None = None
    when: Timestamp | None = None
    secret: bytes | None = None


class Tree(Shape, kw_only=True, rename="pascal"):
    """A structure with lists and maps of the others, itself included."""

    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] | None = None
    names: tuple[str, ...] | None = None
    tags: dict[str, str] | None = None
    ports: dict[str, Leaf] | None = None
    deeper: "Tree | None" = None  # noqa: UP037 -- the class names itself
    required: str = field(name="Required")


GROW = Operation("forest", "Grow", Tree, Tree, (), "POST", "/", "GrowResult")

LEAF = {
    "type": "structure",
    "members": {
        "Name": {"type": "string"},
        "Port": {"type": "integer"},
        "Ratio": {"type": "double"},
        "Ready": {"type": "boolean"},
        "When": {"type": "timestamp"},
        "Secret": {"type": "blob"},
    },
}


def tree_shape(depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {
        "Leaf": LEAF,
        "Leaves": {"type": "list", "member": LEAF},
        "Names": {"type": "list", "member": {"type": "string"}},
        "Tags": {"type": "map", "key": {"type": "string"}, "value": {"type": "string"}},
        "Ports": {"type": "map", "key": {"type": "string"}, "value": LEAF},
        "Required": {"type": "string"},
    }
    if depth:
        members["Deeper"] = tree_shape(depth - 1)
    return {"type": "structure", "members": members}


BOTO_TREE = DenormalizedStructureBuilder().with_members(tree_shape(2)["members"]).build_model()


class BotoGrow(OperationModel):
    """botocore's view of the operation, without a model file."""

    input_shape = BOTO_TREE
    output_shape = BOTO_TREE

    def __init__(self) -> None:
        metadata = {"apiVersion": "2020-01-01", "protocol": "query", "endpointPrefix": "forest"}
        service = ServiceModel({"metadata": metadata, "operations": {}, "shapes": {}})
        super().__init__({"name": "Grow", "http": {"method": "POST", "requestUri": "/"}}, service, "Grow")


texts = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], include_characters="\n\r\t"), max_size=8
)
keys = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=6)
leaves = st.builds(
    Leaf,
    name=st.none() | texts,
    port=st.none() | st.integers(-(2**31), 2**31 - 1),
    ratio=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ready=st.none() | st.booleans(),
    when=st.none() | st.integers(0, 4_000_000_000).map(float),
    secret=st.none() | st.binary(max_size=6),
)
trees = st.recursive(
    st.builds(
        Tree,
        leaf=st.none() | leaves,
        leaves=st.none() | st.lists(leaves, max_size=3).map(tuple),
        names=st.none() | st.lists(texts, max_size=12).map(tuple),
        tags=st.none() | st.dictionaries(keys, texts, min_size=1, max_size=3),
        ports=st.none() | st.dictionaries(keys, leaves, min_size=1, max_size=3),
        required=texts,
    ),
    lambda inner: st.builds(Tree, deeper=inner, required=texts),
    max_leaves=2,
)


def plain(value: Any) -> Any:
    """A struct as botocore's callers write it."""
    if isinstance(value, Shape):
        names = {item.name: item.encode_name for item in msgspec.structs.fields(value)}
        return {names[at]: plain(got) for at in names if (got := getattr(value, at)) is not None}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@given(trees)
@settings(max_examples=150, deadline=None)
def test_requests_that_botocore_writes_are_read(tree):
    serializer = botocore.serialize.create_serializer("query", include_validation=False)
    written = serializer.serialize_to_request(plain(tree), BotoGrow())["body"]
    got = QueryCodec(NAMESPACE).decode(GROW, urlencode(written).encode())
    assert drop_empty_leaves(plain(got)) == drop_empty_leaves(plain(tree))


def drop_empty_leaves(value: Any) -> Any:
    """Structures without members vanish on the wire, in lists and maps too."""
    if isinstance(value, dict):
        kept = {key: drop_empty_leaves(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for each in value if (item := drop_empty_leaves(each)) != {}]
    return value


@given(trees)
@settings(max_examples=150, deadline=None)
def test_replies_are_what_botocore_reads(tree):
    body = QueryCodec(NAMESPACE).encode(GROW, tree, "the-id")
    shape = BOTO_TREE
    shape.serialization["resultWrapper"] = "GrowResult"
    read = botocore.parsers.create_parser("query").parse({"status_code": 200, "headers": {}, "body": body}, shape)
    assert read.pop("ResponseMetadata")["RequestId"] == "the-id"
    assert dated(read) == plain(tree)


def dated(value: Any) -> Any:
    """botocore's dates as seconds."""
    if isinstance(value, dict):
        return {key: dated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [dated(item) for item in value]
    return value.timestamp() if hasattr(value, "timestamp") else value


def test_sts_answers_as_aws_writes_it():
    operation = sts.SERVICE.operations["GetCallerIdentity"]
    output = sts_shapes.GetCallerIdentityResponse(account="123456789012", arn="arn:aws:iam::123456789012:root")
    body = QueryCodec(sts.SERVICE.xml_namespace).encode(operation, output, "01234567-89ab")
    assert body == (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        b"<Account>123456789012</Account><Arn>arn:aws:iam::123456789012:root</Arn></GetCallerIdentityResult>"
        b"<ResponseMetadata><RequestId>01234567-89ab</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


@pytest.mark.parametrize(
    ("form", "code", "words"),
    [
        ("Required=a&Leaf.Port=x", "MalformedInput", "'x' is not an Integer"),
        ("Required=a&Leaf.Ready=yes", "MalformedInput", "'yes' is not a Boolean"),
        ("Required=a&Leaf.Ratio=x", "MalformedInput", "'x' is not a Double"),
        ("Required=a&Leaf.When=never", "MalformedInput", "'never' is not a timestamp"),
        ("Required=a&Leaf=x", "MalformedInput", "A structure was expected"),
        ("Required=a&Names=x", "MalformedInput", "A list was expected"),
        ("Required=a&Names.member.x=1", "MalformedInput", "only integers are allowed"),
        ("Required=a&Names.member.1.Name=1", "MalformedInput", "A value was expected"),
        ("Required=a&Tags.entry.1.value=1", "MalformedInput", "no key"),
        ("Required=a&" + "a." * 50 + "b=1", "MalformedInput", "nested too deeply"),
        ("&".join(f"a{n}=1" for n in range(60_000)), "MalformedInput", "too many parameters"),
        ("Names.member.1=a", "ValidationError", "Value null at 'required' failed"),
        ("Required=a&Leaf.Name=" + "x" * 65, "ValidationError", "Member must have length less than or equal to 64"),
    ],
)
def test_parameters_that_do_not_fit(form, code, words):
    with pytest.raises(AWSError) as caught:
        QueryCodec(NAMESPACE).decode(GROW, form.encode())
    assert (caught.value.code, caught.value.status) == (code, 400)
    assert words.lower() in caught.value.message.lower()


@given(st.dictionaries(st.text(st.sampled_from("LeafNmsTag.member.entry.12key"), max_size=30), texts))
@settings(max_examples=300, deadline=None)
def test_any_form_is_read_or_refused(form):
    body = urlencode({"Required": "a", **form}).encode()
    try:
        read = QueryCodec(NAMESPACE).decode(GROW, body)
    except AWSError as error:
        read = error
    assert isinstance(read, Tree) or read.status == 400


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_errors_are_well_formed_xml(message):
    body = QueryCodec(NAMESPACE).encode_error(AWSError("Some.Code", message, status=503), "the-id")
    root = ET.fromstring(body)
    assert root.find(f"{{{NAMESPACE}}}Error/{{{NAMESPACE}}}Type").text == "Receiver"
    assert root.find(f"{{{NAMESPACE}}}Error/{{{NAMESPACE}}}Code").text == "Some.Code"
    assert root.find(f"{{{NAMESPACE}}}RequestId").text == "the-id"


def test_timestamps():
    assert iso_timestamp(1_440_938_160.0) == "2015-08-30T12:36:00Z"
    assert iso_timestamp(1_440_938_160.025) == "2015-08-30T12:36:00.025Z"
