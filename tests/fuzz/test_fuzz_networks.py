"""EC2 and ELB as forms, ACM and Cloud Map as JSON, against requests that are valid, nearly valid and absurd.

Never a 500, answers are of the protocol, and a refused request leaves every table as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from fuzz_balancing import REFUSED as REFUSED_BALANCING
from fuzz_balancing import Balancing
from fuzz_depth import EXAMPLES, SEARCH
from fuzz_networks import REFUSED, Networks, send
from fuzz_plane import Plane, Reply
from fuzz_requests import BROKEN, bodies
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.wire.generated import acm, ec2, elbv2, servicediscovery
from openecs.wire.operation import Operation

MODELS = {model.SERVICE.name: model.SERVICE for model in (ec2, elbv2)}
JSON_OPERATIONS = [op for model in (acm, servicediscovery) for op in model.SERVICE.operations.values()]
OPERATIONS = [operation for model in MODELS.values() for operation in model.operations.values()]
READS = ("Describe", "Get")


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    with Plane() as plane:
        yield Networks(plane)


@pytest.fixture(scope="module")
def balancing(networks: Networks) -> Balancing:
    return Balancing(networks.plane)


def check(operation: Operation, reply: Reply, about: object, *, same: bool) -> None:
    """What holds for the answer to any request; ``same`` says that no table changed."""
    text = f"{operation.name} {str(about)[:2000]}\n-> {reply.status} {reply.body[:1000]!r}"
    assert reply.status < 500, text
    root = ET.fromstring(reply.body)
    if reply.status == 200:
        assert root.tag.rpartition("}")[2] == f"{operation.name}Response", text
        assert same or not operation.name.startswith(READS), text
        return
    assert root.find(".//{*}Error/{*}Code") is not None, text
    assert root.findtext(".//{*}Error/{*}Message"), text
    assert same, text


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op.service}-{op.name}")
def test_an_operation_survives_any_request(
    networks: Networks, balancing: Balancing, product_bugs: list[str], operation: Operation
) -> None:
    plane = networks.plane
    world, refused = (networks, REFUSED) if operation.service == "ec2" else (balancing, REFUSED_BALANCING)
    sound, references = world.sound()[operation.name], {**networks.references, **world.references}
    before = plane.picture()

    @settings(SEARCH, max_examples=max(EXAMPLES // 8, 1))
    @given(body=bodies(operation.input, sound, references), who=st.sampled_from(["root"] * 9 + ["agent"]))
    def survives(body: bytes, who: str) -> None:
        picture = plane.picture()
        try:
            reply = send(plane, operation.service, operation.name, json.loads(body), who=getattr(plane, who))
            check(operation, reply, (body, product_bugs[-1:]), same=plane.picture() == picture)
        finally:
            plane.restore(before)

    reply = send(plane, operation.service, operation.name, sound)
    plane.restore(before)
    assert (reply.status == 200) != (operation.name in refused), reply
    survives()


@pytest.mark.parametrize("operation", JSON_OPERATIONS, ids=lambda op: f"{op.service}-{op.name}")
def test_a_json_operation_survives_any_request(
    networks: Networks, product_bugs: list[str], operation: Operation
) -> None:
    plane = networks.plane
    before = plane.picture()

    @settings(SEARCH, max_examples=max(EXAMPLES // 8, 1))
    @given(body=bodies(operation.input, {}, networks.references))
    def survives(body: bytes) -> None:
        picture = plane.picture()
        try:
            reply = plane.send(operation.service, operation.name, body)
            about = (operation.name, body[:2000], reply, product_bugs[-1:])
            assert reply.status < 500, about
            if reply.status != 200:
                assert reply.data["__type"], about
                assert plane.picture() == picture, about
        finally:
            plane.restore(before)

    survives()


@pytest.mark.parametrize("service", sorted(MODELS))
def test_what_is_no_form_is_refused(networks: Networks, product_bugs: list[str], service: str) -> None:
    plane, model = networks.plane, MODELS[service]
    before = plane.picture()
    for operation in list(model.operations.values())[::7]:
        head = f"Action={operation.name}&Version={model.api_version}&".encode()
        for body in (
            *BROKEN,
            b"VpcId.1.1.1=a&VpcId=b",
            b"Filter.999999999.Name=a",
            b"%ff=%ff",
            b"Filter.1.Value.1=%00",
        ):
            reply = plane.send(service, operation.name, head + body)
            check(operation, reply, (body[:99], product_bugs[-1:]), same=True)
            plane.restore(before)
