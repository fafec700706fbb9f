"""Load balancers as Envoy's resources: which listeners, clusters and certificates there are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
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
from openecs.agent.edge.rendering import Renderer
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
    return Renderer(Path("/logs"))(serving, Path("/xds"))


def listener(protocol: str, **changes: object) -> BalancerListener:
    actions = (elbv2.Action(type="forward", target_group_arn=TG),)
    return BalancerListener(
        arn=LISTENER,
        port=443,
        protocol=protocol,  # type: ignore[arg-type]
        rules=(BalancerRule(arn="default", priority=0, actions=actions),),
        **changes,  # type: ignore[arg-type]
    )


def test_everything_has_an_owner() -> None:
    made = rendered(balancer(8080, interfaces=INTERFACES))
    names = set(made.resources.listeners) | set(made.resources.clusters)
    assert set(made.owners) == names
    assert set(made.owners.values()) == {LB}
    assert made.problems == {}
    network = balancer(443, type="network", interfaces=INTERFACES, listeners=(listener("TCP"),))
    zoned = rendered(network)
    assert set(zoned.owners) == set(zoned.resources.listeners) | set(zoned.resources.clusters)
    assert len(zoned.resources.clusters) == 3


def test_served_in_the_namespace_and_at_the_edge() -> None:
    text = msgspec.json.encode(rendered(balancer(8080, interfaces=INTERFACES)).resources.listeners).decode()
    for piece in ('"10.208.0.9"', '"10.208.1.9"', '"127.0.0.1"', "20000", "/run/netns/x"):
        assert piece in text


@pytest.mark.parametrize(("protocol", "streams"), [("UDP", 0), ("TCP_UDP", 3)])
def test_envoy_takes_datagrams_from_outside_only(protocol: str, streams: int) -> None:
    document = balancer(443, type="network", interfaces=INTERFACES, listeners=(listener(protocol),))
    made = rendered(document)
    assert made.problems == {}
    kinds = [one["address"]["socket_address"]["protocol"] for one in made.resources.listeners.values()]
    assert sorted(kinds) == ["TCP"] * streams + ["UDP"]
    (outside,) = (one for one in made.resources.listeners.values() if "udp_listener_config" in one)
    assert outside["address"]["socket_address"] == {"protocol": "UDP", "address": "127.0.0.1", "port_value": 20_000}
    # To the load balancer itself, in whose namespace the kernel gives them to targets.
    cluster = made.resources.clusters[outside["name"]]
    entries = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    places = [entry["endpoint"]["address"]["socket_address"] for entry in entries]
    assert places == [{"address": f"10.208.{n}.9", "port_value": 443} for n in range(2)]
    assert made.owners[outside["name"]] == LB


def test_https_waits_for_its_certificate() -> None:
    document = balancer(443, listeners=(listener("HTTPS", certificates=(CERTIFICATE,)),))
    waiting = rendered(document)
    assert waiting.resources.listeners == {}
    assert CERTIFICATE in waiting.problems[LB][0]
    one = CertificateDocument(chain="chain", private_key="key", names=("a.example.com",))
    made = rendered(document, one)
    assert made.resources.listeners
    assert made.problems == {}


@pytest.mark.parametrize(
    ("bucket", "prefix", "folder"),
    [
        ("logs", "", "logs"),
        ("logs", "a/b", "logs/a/b"),
        ("..", "../../etc", "etc"),
        ("/etc", "", "etc"),
        ("a%b", "", "a%%b"),
    ],
)
def test_access_logs_stay_in_their_folder(bucket: str, prefix: str, folder: str) -> None:
    attributes = {
        "access_logs.s3.enabled": "true", "access_logs.s3.bucket": bucket, "access_logs.s3.prefix": prefix
    }  # fmt: skip
    made = rendered(balancer(80, attributes=attributes))
    assert f'"folder":"{folder}"' in msgspec.json.encode(made.resources.listeners).decode()
    assert made.folders == (Path("/logs"),)
