"""Load balancers as Envoy's resources: which listeners, clusters and certificates there are."""

from __future__ import annotations

from pathlib import Path

import msgspec
from edge_kit import LB, LISTENER, TG, balancer, group, target

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    CertificateDocument,
)
from openecs.agent.edge.envoy_proxy import Rendered
from openecs.agent.edge.proxy import Part, Serving
from openecs.agent.edge.rendering import render
from openecs.shapes import elbv2

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/1"
ZONES = ("us-east-1a", "us-east-1b")
INTERFACES = tuple(
    BalancerInterface(interface_id=f"eni-{n}", subnet_id=f"subnet-{n}", availability_zone=zone, address=f"10.208.{n}.9")
    for n, zone in enumerate(ZONES)
)


def rendered(document: BalancerDocument, one: CertificateDocument | None = None) -> Rendered:
    serving = Serving(
        parts=(Part(LB, document, Path("/run/netns/x"), {LISTENER: 20_000}),),
        groups={TG: group(target(80))},
        certificates={CERTIFICATE: one} if one is not None else {},
        routes={TG: {("127.0.0.1", 80): "routable"}},
        edge_address="127.0.0.1",
    )
    return render(serving, Path("/xds"))


def listener(protocol: str, **changes: object) -> BalancerListener:
    actions = (elbv2.Action(type="forward", target_group_arn=TG),)
    return BalancerListener(
        arn=LISTENER,
        port=443,
        protocol=protocol,  # type: ignore[arg-type]
        rules=(BalancerRule(arn="default", priority=0, actions=actions),),
        **changes,  # type: ignore[arg-type]
    )


def places(made: Rendered) -> set[tuple[str, int, str | None]]:
    addresses = [one["address"]["socket_address"] for one in made.resources.listeners.values()]
    return {(one["address"], one["port_value"], one.get("network_namespace_filepath")) for one in addresses}


def test_a_listener_per_address_and_one_at_the_edge() -> None:
    made = rendered(balancer(8080, interfaces=INTERFACES))
    assert places(made) == {
        ("10.208.0.9", 8080, "/run/netns/x"),
        ("10.208.1.9", 8080, "/run/netns/x"),
        ("127.0.0.1", 20_000, None),
    }
    assert set(made.resources.clusters) == {"web/fedcba9876543210"}
    assert set(made.owners.values()) == {LB}
    assert made.problems == {LB: ()}


def test_zones_that_are_not_crossed_have_their_own_clusters() -> None:
    document = balancer(80, type="network", interfaces=INTERFACES, listeners=(listener("TCP"),))
    made = rendered(document)
    assert set(made.resources.clusters) == {
        "web/fedcba9876543210", *(f"web/fedcba9876543210@{zone}" for zone in ZONES)
    }  # fmt: skip
    assert made.resources.routes == {}
    used = {
        one["address"]["socket_address"]["address"]: one["filter_chains"][0]["filters"][0]["typed_config"]["cluster"]
        for one in made.resources.listeners.values()
    }
    assert used == {
        "10.208.0.9": "web/fedcba9876543210@us-east-1a",
        "10.208.1.9": "web/fedcba9876543210@us-east-1b",
        "127.0.0.1": "web/fedcba9876543210",
    }
    crossing = msgspec.structs.replace(document, attributes={"load_balancing.cross_zone.enabled": "true"})
    assert set(rendered(crossing).resources.clusters) == {"web/fedcba9876543210"}


def test_https_waits_for_its_certificate() -> None:
    document = balancer(443, listeners=(listener("HTTPS", certificates=(CERTIFICATE,)),))
    waiting = rendered(document)
    assert waiting.resources.listeners == {}
    assert "waits for certificates" in waiting.problems[LB][0]
    one = CertificateDocument(chain="chain", private_key="key", names=("a.example.com", "*.example.com"))
    made = rendered(document, one)
    assert set(made.resources.secrets) == {CERTIFICATE}
    (chain, default) = next(iter(made.resources.listeners.values()))["filter_chains"]
    assert chain["filter_chain_match"]["server_names"] == ["a.example.com", "*.example.com"]
    assert "filter_chain_match" not in default


def test_what_is_not_done_is_said() -> None:
    document = balancer(80, type="network", listeners=(listener("UDP"),))
    made = rendered(document)
    assert made.resources.listeners == {}
    assert made.problems[LB] == ("Listeners for UDP are not done.",)
    logs = balancer(80, attributes={"access_logs.s3.enabled": "true"})
    assert rendered(logs).problems[LB] == ("Access logs are not written by this host.",)
