"""What is wrong with one load balancer concerns no other, on the real Envoy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from envoy_world import BALANCER, LISTENER, World, forward, free_port, path, rule

from openecs.acs.host_documents import BalancerInterface, CertificateDocument
from openecs.agent.edge.envoy_render import Place, Rendered, render
from openecs.shapes import elbv2

OTHER = BALANCER.replace("web", "bad")
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/1"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def both(world: World, *rules: Any, **listener: Any) -> Rendered:
    """The load balancer of the world, and one with this listener."""
    own = world.documents(listener=listener)
    good = world.documents()
    one = own.balancer.listeners[0]
    bad = msgspec.structs.replace(
        own.balancer,
        name="bad",
        listeners=(
            msgspec.structs.replace(
                one, arn=LISTENER.replace("/web/", "/bad/"), port=free_port(), rules=(*rules, *one.rules)
            ),
        ),
    )
    certificates = {CERTIFICATE: CertificateDocument(chain="nonsense", private_key="nonsense")}
    places = {BALANCER: Place(), OTHER: Place()}
    return render(
        {BALANCER: good.balancer, OTHER: bad}, good.groups, certificates, good.states, places, xds=world.envoy.xds
    )


def refused(world: World, rendered: Rendered) -> set[str]:
    """Load balancers of what Envoy did not take."""
    applied = world.loop.run_until_complete(world.envoy.apply(rendered.resources))
    assert applied.rejected
    return {rendered.listeners[name][0] for name in applied.rejected}


def test_a_certificate_that_is_none(world: World) -> None:
    found = both(world, protocol="HTTPS", certificates=(CERTIFICATE,))
    assert refused(world, found) == {OTHER}
    assert world.ask()[0] == 200
    # The others go on being changed.
    world.serve(rule(forward("a")))
    assert world.ask()[1].split()[0] == "a"


def test_an_expression_that_envoy_does_not_take(world: World) -> None:
    odd = elbv2.RuleCondition(field="path-pattern", regex_values=("(?=x)",))
    found = both(world, rule(forward("a"), odd))
    assert refused(world, found) == {OTHER}
    assert world.ask()[0] == 200


def test_an_address_that_is_not_there(world: World) -> None:
    interface = BalancerInterface(interface_id="e", subnet_id="s", availability_zone="a", address="192.0.2.7")
    document = msgspec.structs.replace(world.documents().balancer, interfaces=(interface,))
    listeners = (msgspec.structs.replace(document.listeners[0], arn=LISTENER.replace("/web/", "/bad/")),)
    good = world.documents()
    found = render(
        {BALANCER: good.balancer, OTHER: msgspec.structs.replace(document, listeners=listeners)},
        good.groups,
        {},
        good.states,
        {BALANCER: Place(), OTHER: Place()},
        xds=world.envoy.xds,
    )
    assert refused(world, found) == {OTHER}
    assert world.ask()[0] == 200


def test_a_document_that_nobody_thought_of(world: World) -> None:
    good = world.documents()
    broken = elbv2.FixedResponseActionConfig(status_code=None)  # type: ignore[arg-type]
    action = elbv2.Action(type="fixed-response", fixed_response_config=broken)
    odd = world.documents(rule(action, path("/x"))).balancer
    found = render(
        {BALANCER: good.balancer, OTHER: odd},
        good.groups,
        {},
        good.states,
        {BALANCER: Place(), OTHER: Place()},
        xds=world.envoy.xds,
    )
    assert found.failed == {OTHER}
    assert "It cannot be put into Envoy's words" in found.problems[OTHER][0]
    assert world.loop.run_until_complete(world.envoy.apply(found.resources)).rejected == {}
    assert world.ask()[0] == 200
