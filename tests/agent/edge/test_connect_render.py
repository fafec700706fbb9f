"""Service Connect in Envoy's words: what listens where, where it leads, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from openecs.acs.host_documents import ConnectDocument, ConnectTarget, ConnectTest
from openecs.acs.task_payload import ConnectAlias, ConnectIngress, ConnectPayload
from openecs.agent.edge import connect_render
from openecs.agent.edge.connect_logs import ProxyLog, access_logs
from openecs.agent.edge.connect_render import ConnectPart
from openecs.agent.edge.connect_tasks import redirects

XDS = Path("/run/xds")
HTTP = ConnectAlias("web", "127.255.0.1", 8080, "ns-1/web", "http")
GRPC = ConnectAlias("api", "127.255.0.2", 8080, "ns-1/api", "grpc")
TCP = ConnectAlias("db", "127.255.0.3", 5432, "ns-1/db", "tcp")


def part(*aliases: ConnectAlias, ingress: tuple[ConnectIngress, ...] = (), task: str = "a") -> ConnectPart:
    return ConnectPart(f"arn:{task}", Path(f"/run/netns/{task}"), ConnectPayload(aliases, ingress))


def manager(listener: dict) -> dict:  # type: ignore[type-arg]
    found: dict = listener["filter_chains"][0]["filters"][0]["typed_config"]  # type: ignore[type-arg]
    return found


def test_each_name_listens_on_its_own_address_in_the_tasks_namespace() -> None:
    found = connect_render.render((part(HTTP, TCP),), {}, XDS)
    binds = {
        (socket["address"], socket["port_value"], socket["network_namespace_filepath"])
        for socket in (one["address"]["socket_address"] for one in found.listeners.values())
    }
    assert binds == {("127.255.0.1", 8080, "/run/netns/a"), ("127.255.0.3", 5432, "/run/netns/a")}
    for cluster in found.clusters.values():
        assert cluster["upstream_bind_config"]["source_address"]["network_namespace_filepath"] == "/run/netns/a"


def test_endpoints_follow_the_document_and_drain() -> None:
    targets = (
        ConnectTarget(address="10.0.0.2", port=80),
        ConnectTarget(address="10.0.0.1", port=80, draining=True),
    )
    found = connect_render.render((part(HTTP),), {"ns-1/web": ConnectDocument(targets=targets)}, XDS)
    (endpoints,) = found.endpoints.values()
    states = {
        entry["endpoint"]["address"]["socket_address"]["address"]: entry["health_status"]
        for entry in endpoints["endpoints"][0]["lb_endpoints"]
    }
    assert states == {"10.0.0.1": "DRAINING", "10.0.0.2": "HEALTHY"}


def test_timeouts_are_those_of_the_document_or_the_documented_defaults() -> None:
    def timeouts(document: ConnectDocument) -> tuple[str, str, str]:
        found = connect_render.render((part(HTTP, TCP),), {"ns-1/web": document, "ns-1/db": document}, XDS)
        (route,) = found.routes.values()
        web, db = (
            next(manager(one) for name, one in found.listeners.items() if endpoint in name)
            for endpoint in ("ns-1/web", "ns-1/db")
        )
        request: str = route["virtual_hosts"][0]["routes"][0]["route"]["timeout"]
        return request, web["common_http_protocol_options"]["idle_timeout"], db["idle_timeout"]

    assert timeouts(ConnectDocument()) == ("15s", "300s", "3600s")
    assert timeouts(ConnectDocument(idle_timeout=0, request_timeout=0)) == ("0s", "0s", "0s")
    assert timeouts(ConnectDocument(idle_timeout=7, request_timeout=3)) == ("3s", "7s", "7s")


def test_protocols_reach_the_servers_as_they_are_spoken() -> None:
    found = connect_render.render((part(HTTP, GRPC, TCP),), {}, XDS)
    spoken = {
        name.split("/")[2].split("@")[0]: next(
            (
                set(options["explicit_http_config"])
                for options in cluster.get("typed_extension_protocol_options", {}).values()
            ),
            set(),
        )
        for name, cluster in found.clusters.items()
    }
    assert spoken == {"web": {"http_protocol_options"}, "api": {"http2_protocol_options"}, "db": set()}


def test_an_overridden_port_leads_to_the_containers() -> None:
    found = connect_render.render((part(ingress=(ConnectIngress(8181, 80),)),), {}, XDS)
    (listener,) = found.listeners.values()
    assert listener["address"]["socket_address"]["port_value"] == 8181
    (cluster,) = found.clusters.values()
    (entry,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert entry["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 80}
    # Envoy's own limit is 1,024 connections.
    assert cluster["circuit_breakers"]["thresholds"][0]["max_connections"] > 100_000


def test_the_traffic_of_two_places_is_divided_by_weights_and_by_a_header() -> None:
    document = ConnectDocument(
        targets=(
            ConnectTarget(address="10.0.0.1", port=80),
            ConnectTarget(address="10.0.0.2", port=80, alternate=True),
        ),
        alternate_share=125,
        test=ConnectTest(header="x-test", value="yes", alternate=True),
    )
    found = connect_render.render((part(HTTP, TCP),), {"ns-1/web": document, "ns-1/db": document}, XDS)
    own = connect_render.short("arn:a")
    plain, other = f"connect/ns-1/web@{own}", f"connect/ns-1/web/alternate@{own}"
    addresses = {
        name: [e["endpoint"]["address"]["socket_address"]["address"] for e in one["endpoints"][0]["lb_endpoints"]]
        for name, one in found.endpoints.items()
        if "/web" in name
    }
    assert addresses == {plain: ["10.0.0.1"], other: ["10.0.0.2"]}
    test, production = found.routes[plain]["virtual_hosts"][0]["routes"]
    assert test["match"] == {"prefix": "/", "headers": [{"name": "x-test", "string_match": {"exact": "yes"}}]}
    assert test["route"]["cluster"] == other
    weights = {c["name"]: c["weight"] for c in production["route"]["weighted_clusters"]["clusters"]}
    assert weights == {plain: 875, other: 125}
    (db,) = (manager(one) for name, one in found.listeners.items() if "/db@" in name)
    assert {c["name"]: c["weight"] for c in db["weighted_clusters"]["clusters"]} == {
        f"connect/ns-1/db@{own}": 875,
        f"connect/ns-1/db/alternate@{own}": 125,
    }


@pytest.mark.parametrize(("share", "place"), [(0, ""), (1000, "/alternate")])
def test_undivided_traffic_has_one_cluster(share: int, place: str) -> None:
    document = ConnectDocument(alternate_share=share, test=ConnectTest(header="x-test"))
    found = connect_render.render((part(HTTP, TCP),), {"ns-1/web": document, "ns-1/db": document}, XDS)
    own = connect_render.short("arn:a")
    (routes,) = found.routes.values()
    test, production = routes["virtual_hosts"][0]["routes"]
    assert test["match"]["headers"] == [{"name": "x-test", "present_match": True}]
    assert production["route"]["cluster"] == f"connect/ns-1/web{place}@{own}"
    (db,) = (manager(one) for name, one in found.listeners.items() if "/db@" in name)
    assert db["cluster"] == f"connect/ns-1/db{place}@{own}"
    assert {production["route"]["cluster"], db["cluster"]} <= set(found.clusters) == set(found.endpoints)


def test_access_logs_tell_of_calls_and_of_what_comes_in() -> None:
    ingress = (ConnectIngress(80, 80, "http", 61700), ConnectIngress(5432, 5432, "tcp", 61701))
    payload = ConnectPayload((HTTP, TCP), ingress, "{}", "JSON", access_log_queries=True)
    found = connect_render.render((ConnectPart("arn:a", Path("/run/netns/a"), payload, "/log"),), {}, XDS)
    forms = {
        name.partition("@")[0]: manager(one)["access_log"][-1]["typed_config"]["log_format"]["json_format"]
        for name, one in found.listeners.items()
    }
    assert {name: form.get("path") for name, form in forms.items()} == {
        "connect/127.255.0.1:8080/ns-1/web": "%PATH(WQ)%",
        "connect/127.255.0.3:5432/ns-1/db": None,
        "connect/ingress/80": "%PATH(WQ)%",
        "connect/ingress/5432": None,
    }
    ports = {
        one["address"]["socket_address"]["port_value"] for name, one in found.listeners.items() if "ingress" in name
    }
    assert ports == {61700, 61701}


def test_lines_of_text_hide_query_strings_unless_asked_for() -> None:
    (log,) = access_logs(ProxyLog("/log", "TEXT"), "web:80", http=True)
    form = log["typed_config"]["log_format"]["text_format_source"]["inline_string"]
    assert form.startswith('[%START_TIME%] "%REQ(:METHOD)% %PATH(NQ)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ')
    assert form.endswith('"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n')


def test_what_comes_in_at_container_ports_is_led_to_the_proxy() -> None:
    connect = ConnectPayload(ingress=(ConnectIngress(80, 80, "http", 61700), ConnectIngress(8181, 81)))
    rules = redirects(connect)
    assert 'iifname != "lo" tcp dport 80 redirect to :61700' in rules
    assert "8181" not in rules
    assert redirects(ConnectPayload(ingress=(ConnectIngress(8181, 81),))) == ""


def test_every_resource_says_whose_it_is_and_two_tasks_share_none() -> None:
    first, second = (part(HTTP, TCP, ingress=(ConnectIngress(8181, 80),), task=task) for task in "ab")
    found = connect_render.render((first, second), {}, XDS)
    owners = {connect_render.owner(name) for name in found.names()}
    assert owners == {connect_render.short("arn:a"), connect_render.short("arn:b")}
    assert connect_render.owner("targetgroup/x@zone") == ""
    alone = connect_render.render((first,), {}, XDS)
    assert len(found.names()) == 2 * len(alone.names())
