"""EC2 and ELB as forms, ACM as JSON, Cloud Map as CBOR, against requests that are valid, nearly valid and absurd.

Never a 500, answers are of the protocol, and a refused request leaves every table as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import cbor2
import pytest
from fuzz_balancing import REFUSED as REFUSED_BALANCING
from fuzz_balancing import Balancing
from fuzz_certificates import Certificates
from fuzz_depth import EXAMPLES, SEARCH
from fuzz_networks import REFUSED, Networks, send
from fuzz_plane import Plane, Reply
from fuzz_requests import BROKEN, bodies
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.wire.generated import acm, ec2, elbv2, servicediscovery
from openecs.wire.operation import Operation

MODELS = {model.SERVICE.name: model.SERVICE for model in (ec2, elbv2)}
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
    requests = world.sound()
    # What is always refused here needs no request that would be taken.
    sound = requests.get(operation.name, {}) if operation.name in refused else requests[operation.name]
    references = {**networks.references, **world.references}
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


@pytest.fixture(scope="module")
def certificates(networks: Networks) -> Certificates:
    return Certificates(networks.plane)


def check_json(operation: Operation, reply: Reply, about: object, *, same: bool) -> None:
    """What holds for an answer in JSON or CBOR, whose code is in a header in both."""
    text = (operation.name, about, reply)
    assert reply.status < 500, text
    if reply.status != 200:
        assert reply.headers["x-amzn-errortype"], text
    assert same or (reply.status == 200 and not operation.name.startswith((*READS, "List", "Discover"))), text


@pytest.mark.parametrize("name", sorted(acm.SERVICE.operations))
def test_an_operation_on_certificates_survives_any_request(
    networks: Networks, certificates: Certificates, product_bugs: list[str], name: str
) -> None:
    plane, operation = networks.plane, acm.SERVICE.operations[name]
    sound = certificates.sound()[name]
    before = plane.picture()

    @settings(SEARCH, max_examples=max(EXAMPLES // 4, 1))
    @given(body=bodies(operation.input, sound, certificates.references), who=st.sampled_from(["root"] * 9 + ["agent"]))
    def survives(body: bytes, who: str) -> None:
        picture = plane.picture()
        try:
            reply = plane.send("acm", name, body, who=getattr(plane, who))
            check_json(operation, reply, (body[:2000], product_bugs[-1:]), same=plane.picture() == picture)
        finally:
            plane.restore(before)

    reply = plane.ask("acm", name, **sound)
    plane.restore(before)
    assert reply.status == 200, reply
    survives()


@given(operation=st.sampled_from(list(servicediscovery.SERVICE.operations.values())), data=st.data())
@settings(SEARCH, max_examples=EXAMPLES * 4)
def test_cloud_map_survives_any_request_in_cbor(
    networks: Networks, product_bugs: list[str], operation: Operation, data: st.DataObject
) -> None:
    """The operations' own rules are looked at in JSON; here it is the reader of the form."""
    plane = networks.plane
    text = data.draw(bodies(operation.input, {}, networks.references))
    # CBOR has no lone surrogates.
    body = cbor2.dumps(json.loads(re.sub(rb"\\u[dD][89a-fA-F]..", b"?", text)))
    if data.draw(st.integers(0, 3)) == 0:
        place, byte = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 255))
        body = body[:place] + bytes([byte]) + body[place + data.draw(st.integers(0, 2)) :]
    before = plane.picture()
    try:
        reply = plane.send("servicediscovery", operation.name, body, cbor=True)
        check_json(operation, reply, (body[:2000], product_bugs[-1:]), same=plane.picture() == before)
        assert reply.headers["content-type"] == "application/cbor", (operation.name, reply)
        cbor2.loads(reply.body)
    finally:
        plane.restore(before)


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
