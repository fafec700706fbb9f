"""Scalars of forms: each has one spelling, and what no reply could tell is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.errors import AWSError
from openecs.shapes import ec2 as ec2_shapes
from openecs.shapes import elbv2 as elbv2_shapes
from openecs.wire import form_values
from openecs.wire.ec2_codec import Ec2Codec
from openecs.wire.generated import ec2, elbv2
from openecs.wire.query_codec import QueryCodec
from openecs.wire.xml_text import escape, is_tellable

EC2 = Ec2Codec(ec2.SERVICE.xml_namespace or "", ec2.SERVICE.names)
ELB = QueryCodec(elbv2.SERVICE.xml_namespace)


@given(st.integers(-(10**18), 10**18))
def test_integers(number):
    assert form_values.integer(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles(number):
    assert form_values.double(repr(number)) == number


@pytest.mark.parametrize(
    "text", ["", "080", "+80", " 80", "80 ", "8_0", "0x8", "٨٠", "80\n", "-", "--1", "-01", "1e1", "1.0"]
)
def test_what_is_no_integer(text):
    assert form_values.integer(text) is None


@pytest.mark.parametrize("text", ["", "nan", "inf", "-Infinity", "1_0.0", " 1", "+1", ".5", "1.", "1e999", "01.5"])
def test_what_is_no_double(text):
    assert form_values.double(text) is None


@pytest.mark.parametrize(
    "text", ["", "nan", "1e300", "2020-13-01T00:00:00Z", "2020-01-01", "2020-01-01T00:00:00", "253402300800"]
)
def test_what_is_no_timestamp(text):
    assert form_values.timestamp(text) is None


def test_timestamps():
    assert form_values.timestamp("1970-01-01T00:00:10.5Z") == form_values.timestamp("10.5") == 10.5


@pytest.mark.parametrize("character", ["%00", "%01", "%0B", "%1F", "%EF%BF%BE"])
def test_what_xml_cannot_carry_is_refused(character):
    with pytest.raises(AWSError) as refused:
        EC2.decode(
            ec2.SERVICE.operations["CreateTags"], f"ResourceId.1=a&Tag.1.Key=k&Tag.1.Value=v{character}".encode()
        )
    assert refused.value.code == "InvalidParameterValue"
    assert "Tag.1.Value" in refused.value.message
    rule = f"ResourceArns.member.1=a&Tags.member.1.Key=k&Tags.member.1.Value=v{character}"
    with pytest.raises(AWSError) as refused:
        ELB.decode(elbv2.SERVICE.operations["AddTags"], rule.encode())
    assert refused.value.code == "ValidationError"


def test_what_it_can_carry_is_taken():
    text = "a\tb\nc\r\U0001f600"
    assert is_tellable(text)
    assert escape(text) == "a\tb\nc&#xD;\U0001f600"
    taken = EC2.decode(
        ec2.SERVICE.operations["CreateTags"], b"ResourceId.1=a&Tag.1.Key=k&Tag.1.Value=a%09b%0Ac%0D%F0%9F%98%80"
    )
    assert taken == ec2_shapes.CreateTagsRequest(resources=("a",), tags=(ec2_shapes.Tag(key="k", value=text),))


@pytest.mark.parametrize("character", ["%09", "%0A", "%1C", "%C2%85", "%7F"])
def test_control_characters_are_no_separators(character):
    """The model's class of separators has blanks in it, and no control characters."""
    with pytest.raises(AWSError) as refused:
        ELB.decode(
            elbv2.SERVICE.operations["AddTags"],
            f"ResourceArns.member.1=a&Tags.member.1.Key=k&Tags.member.1.Value=v{character}".encode(),
        )
    assert refused.value.code == "ValidationError"


def test_separators_of_tags():
    taken = ELB.decode(
        elbv2.SERVICE.operations["AddTags"],
        b"ResourceArns.member.1=a&Tags.member.1.Key=k&Tags.member.1.Value=a%20b%C2%A0c%E2%80%A8",
    )
    assert isinstance(taken, elbv2_shapes.AddTagsInput)
    assert taken.tags[0].value == "a b\xa0c\u2028"


def test_the_pattern_is_told_as_the_model_has_it():
    with pytest.raises(AWSError) as refused:
        ELB.decode(elbv2.SERVICE.operations["AddTags"], b"ResourceArns.member.1=a&Tags.member.1.Key=k%0A")
    assert r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)" in refused.value.message
