"""Every served operation against requests that are valid, nearly valid and absurd.

Never a 500, never a call without end, replies are exactly of the model, and a refused request
leaves every table and the log store as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from fuzz_depth import EXAMPLES, SEARCH
from fuzz_plane import Plane, Reply
from fuzz_requests import BROKEN, bodies
from fuzz_sound import sound_requests
from fuzz_world import World
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.wire.generated import application_autoscaling, cloudwatch, ecs, events, logs, servicediscovery, sts
from openecs.wire.operation import Operation

#: EC2 and ELB, which speak forms and not JSON, are in test_fuzz_networks.
MODELS = (application_autoscaling, cloudwatch, ecs, events, logs, servicediscovery, sts)
SERVICES = {model.SERVICE.name: model.SERVICE for model in MODELS}
#: Operations that answer with a stream of events.
STREAMS = {"StartLiveTail"}
READS = ("Describe", "List", "Get", "Filter", "Discover")
#: Codes that the front of every AWS service answers, whatever the model of the operation lists.
FRONT = {"SerializationException", "ValidationException", "AccessDeniedException", "UnsupportedOperationException"}
#: ECS and CloudWatch Logs answer these for most operations, with or without listing them.
COMMON = {"ClientException", "InvalidParameterException", "ClusterNotFoundException"}
#: CloudWatch these, though its model lists them for few.
COMMON |= {
    "InvalidParameterValueException",
    "InvalidParameterCombinationException",
    "MissingRequiredParameterException",
}
#: What a rule without targets is answered with, though its model wants one at least.
NO_TARGETS = {"Targets": []}
#: Served to say that it cannot be done, in clearer words than an operation that nobody built.
ALWAYS_REFUSED = {"UpdateContainerAgent", "ListServicesByNamespace", "AssociateKmsKey", "DisassociateKmsKey"}
#: The operations with the largest shapes get more requests.
LARGE = {"RegisterTaskDefinition", "RunTask", "CreateService", "UpdateService", "RegisterContainerInstance"}


def served() -> list[tuple[str, str]]:
    with Plane() as plane:
        return sorted((name, operation) for name in SERVICES for operation in plane.served[name].handlers)


SERVED = served()
JSON_OPERATIONS = [at for at in SERVED if SERVICES[at[0]].target_prefix]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Plane() as plane:
        yield World(plane)


def check(
    plane: Plane, operation: Operation, body: bytes, reply: Reply, before: dict[str, Any], bugs: list[str]
) -> None:
    """What holds for the answer to any request."""
    about = f"{operation.name} {body[:3000]!r}\n-> {reply.status} {reply.body[:1000]!r}"
    assert reply.status < 500, f"{about}\n{bugs[-1:]}"
    assert reply.headers["x-amzn-requestid"], about
    after = plane.picture()
    if reply.status == 200 and operation.name in STREAMS:
        assert reply.headers["content-type"] == "application/vnd.amazon.eventstream", about
        changed = False
    elif reply.status == 200:
        assert reply.headers["content-type"].startswith("application/x-amz-json"), about
        if operation.output is None:
            assert reply.body == b"", about
        elif reply.data != NO_TARGETS:
            shown = msgspec.json.decode(reply.body, type=operation.output)
            assert msgspec.json.decode(msgspec.json.encode(shown)) == reply.data, about
        changed = not operation.name.startswith(READS)
    else:
        error = reply.data
        assert 400 <= reply.status < 500, about
        assert isinstance(error["message"], str), about
        assert error["message"], about
        code = error["__type"]
        assert code == reply.headers["x-amzn-errortype"], about
        modelled = {SERVICES[operation.service].error_codes.get(e, (e, 0))[0] for e in operation.errors}
        # CloudWatch has names of its own for Query clients; JSON has those of the shapes.
        assert code in modelled | set(operation.errors) | FRONT | COMMON, about
        changed = False
    if not changed:
        assert after == before, about


@pytest.mark.parametrize(("service", "name"), JSON_OPERATIONS, ids=lambda value: str(value))
def test_an_operation_survives_any_request(world: World, product_bugs: list[str], service: str, name: str) -> None:
    plane, operation = world.plane, SERVICES[service].operations[name]
    sound = sound_requests(world).get((service, name), {})
    before = plane.picture()

    def put_back() -> None:
        if plane.picture() == before:
            return
        if service == "logs":
            rebuild_logs(plane)
        plane.restore(before)

    @settings(SEARCH, max_examples=EXAMPLES * (4 if name in LARGE else 1))
    @given(body=bodies(operation.input, sound, world.references), who=st.sampled_from(["root"] * 9 + ["agent"]))
    def survives(body: bytes, who: str) -> None:
        picture = plane.picture()
        try:
            reply = plane.send(service, name, body, who=getattr(plane, who))
            check(plane, operation, body, reply, picture, product_bugs)
        finally:
            put_back()

    reply = plane.ask(service, name, **sound)
    put_back()
    assert (reply.status == 200) != (name in ALWAYS_REFUSED), reply
    survives()


def rebuild_logs(plane: Plane) -> None:
    """Log groups and streams again as the world has them; sizes and ids may differ."""
    for policy in list(plane.state.log_resource_policies):
        named = {"resourceArn": policy.resource_arn, "expectedRevisionId": policy.revision}
        plane.must("logs", "DeleteResourcePolicy", **(named if policy.resource_arn else {"policyName": policy.name}))
    for name, group in list(plane.logs.groups("us-east-1").items()):
        plane.logs.set_protection(group, on=False)
        plane.must("logs", "DeleteLogGroup", logGroupName=name)
    World.make_logs(plane)


@pytest.mark.parametrize(("service", "name"), JSON_OPERATIONS, ids=lambda value: str(value))
def test_what_is_no_request_is_refused(world: World, product_bugs: list[str], service: str, name: str) -> None:
    plane, operation = world.plane, SERVICES[service].operations[name]
    members = {field.encode_name for field in msgspec.structs.fields(operation.input)} if operation.input else set()
    for body in BROKEN:
        before = plane.picture()
        reply = plane.send(service, name, body)
        if reply.status == 200 and not name.startswith(READS):
            # An absent body is an empty structure, and members that the model does not have are not looked at:
            # operations without required members take these.
            named = {name.decode() for name in re.findall(rb'"(\w+)":', body)}
            assert body == b"" or (body.startswith(b"{") and named.isdisjoint(members)), body[:99]
            plane.restore(before)
            continue
        check(plane, operation, body, reply, before, product_bugs)


@given(
    pairs=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=8),
    action=st.sampled_from(["GetCallerIdentity", "AssumeRole", "", "é", "x" * 500]),
    version=st.sampled_from(["2011-06-15", "", "2014-11-13", "x"]),
)
@settings(SEARCH, max_examples=EXAMPLES * 3)
def test_query_requests(
    world: World,
    product_bugs: list[str],
    pairs: list[tuple[str, str]],
    action: str,
    version: str,
) -> None:
    body = urlencode([("Action", action), ("Version", version), *pairs], errors="replace").encode()
    before = world.plane.picture()
    reply = world.plane.send("sts", "GetCallerIdentity", body)
    assert reply.status < 500, (body, reply, product_bugs[-1:])
    assert reply.body.startswith(b"<"), (body, reply)
    assert world.plane.picture() == before


def test_every_served_operation_has_a_sound_request(world: World) -> None:
    assert set(sound_requests(world)) == set(SERVED)
