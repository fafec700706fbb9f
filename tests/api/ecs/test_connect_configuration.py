"""``serviceConnectConfiguration`` of services: what is kept, shown, made in Cloud Map, and refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_kit import SUBNET, Api, definition

from openecs.errors import AWSError
from openecs.model.discovery import DiscoveryService, Namespace
from openecs.model.service_connect import ConnectName, ConnectPort
from openecs.shapes import ecs

NETWORK = {"awsvpcConfiguration": {"subnets": [SUBNET]}}
WEB = {"portName": "web", "clientAliases": [{"port": 80}]}
RAW = {"portName": "raw", "clientAliases": [{"port": 9000, "dnsName": "db"}]}
PORTS = (
    ecs.PortMapping(container_port=8080, name="web", app_protocol="http"),
    ecs.PortMapping(container_port=5432, name="raw"),
    ecs.PortMapping(container_port=53, name="dns", protocol="udp"),
)


@pytest.fixture
def api() -> Api:
    api = Api()
    api.put(
        Namespace(
            id="ns-1",
            arn="arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-1",
            region="eu-west-1",
            name="Shop",
            type="HTTP",
            created_at=1.0,
            creator_request_id="",
        )
    )
    for mode in ("awsvpc", "bridge", "host"):
        base = definition(1, family=mode, network_mode=mode)
        containers = tuple(
            msgspec.structs.replace(c, port_mappings=PORTS) for c in base.definition.container_definitions
        )
        inner = msgspec.structs.replace(base.definition, container_definitions=containers)
        api.put(msgspec.structs.replace(base, definition=inner))
    return api


def create(api: Api, *services: dict[str, Any], name: str = "web", **connect: Any) -> Any:
    given = {"enabled": True, "namespace": "Shop", "services": list(services), **connect}
    return api.create(
        serviceName=name,
        taskDefinition="awsvpc:1",
        networkConfiguration=NETWORK,
        serviceConnectConfiguration={key: value for key, value in given.items() if value is not None},
    )


def test_an_endpoint_is_made_in_cloud_map_and_shown(api: Api) -> None:
    shown = create(api, WEB, RAW)["deployments"][0]
    assert shown["serviceConnectConfiguration"] == {"enabled": True, "namespace": "Shop", "services": [WEB, RAW]}
    made = {s.name: s for s in api.state.discovery_services.by("namespace", "ns-1")}
    assert set(made) == {"web", "raw"}
    assert {s.type for s in made.values()} == {"HTTP"}
    assert shown["serviceConnectResources"] == [
        {"discoveryName": name, "discoveryArn": made[name].arn} for name in ("web", "raw")
    ]
    primary = api.record().primary
    assert primary is not None
    assert primary.connect is not None
    assert primary.connect.names == (
        ConnectName(dns_name="db", port=9000, discovery_name="raw", protocol="tcp"),
        ConnectName(dns_name="web.shop", port=80, discovery_name="web", protocol="http"),
    )
    revision = api.state.service_revisions.get(primary.revision_arn)
    assert revision is not None
    assert revision.service_connect == primary.service_connect


def test_ports_and_timeouts_are_settled(api: Api) -> None:
    timeout = {"idleTimeoutSeconds": 0, "perRequestTimeoutSeconds": 7}
    create(api, {**WEB, "discoveryName": "front", "ingressPortOverride": 8181, "timeout": timeout})
    primary = api.record().primary
    assert primary is not None
    assert primary.connect is not None
    assert primary.connect.ports == (
        ConnectPort(
            discovery_name="front",
            container_port=8080,
            ingress_port=8181,
            protocol="http",
            idle_timeout=0,
            request_timeout=7,
            test_header="x-amzn-ecs-blue-green-test",
        ),
    )


def test_test_traffic_is_told_by_the_given_header(api: Api) -> None:
    rules = {"header": {"name": "X-Canary", "value": {"exact": "yes"}}}
    shown = create(api, {**WEB, "clientAliases": [{"port": 80, "testTrafficRules": rules}]}, RAW)["deployments"][0]
    assert shown["serviceConnectConfiguration"]["services"][0]["clientAliases"][0]["testTrafficRules"] == rules
    primary = api.record().primary
    assert primary is not None
    assert primary.connect is not None
    assert [(port.test_header, port.test_value) for port in primary.connect.ports] == [("x-canary", "yes"), ("", None)]


def test_a_deployment_that_shifts_traffic_uses_the_other_place(api: Api) -> None:
    def place() -> bool:
        primary = api.record().primary
        assert primary is not None
        assert primary.connect is not None
        revision = api.state.service_revisions.get(primary.revision_arn)
        assert revision is not None
        assert revision.connect_alternate == primary.connect.alternate
        return primary.connect.alternate

    def completed() -> None:
        service = api.record()
        (primary, *_) = service.deployments
        done = msgspec.structs.replace(primary, rollout_state="COMPLETED")
        attempt = api.state.service_deployments.get(service.service_deployment_arn or "")
        assert attempt is not None
        api.put(
            msgspec.structs.replace(service, deployments=(done,)), msgspec.structs.replace(attempt, status="SUCCESSFUL")
        )

    def update(strategy: str) -> bool:
        completed()
        api.update(forceNewDeployment=True, deploymentConfiguration={"strategy": strategy})
        return place()

    create(api, WEB)
    assert [place(), *(update(strategy) for strategy in ("LINEAR", "ROLLING", "CANARY", "BLUE_GREEN"))] == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_access_logs_need_a_log(api: Api) -> None:
    access = {"format": "JSON", "includeQueryParameters": "ENABLED"}
    with pytest.raises(AWSError, match="logConfiguration must be specified"):
        create(api, WEB, accessLogConfiguration=access)
    shown = create(api, WEB, accessLogConfiguration=access, logConfiguration={"logDriver": "json-file"})
    assert shown["deployments"][0]["serviceConnectConfiguration"]["accessLogConfiguration"] == access
    primary = api.record().primary
    assert primary is not None
    assert primary.connect is not None
    assert primary.connect.access_log == ecs.ServiceConnectAccessLogConfiguration(
        format="JSON", include_query_parameters="ENABLED"
    )


def test_clients_know_the_endpoints_that_there_were_when_their_deployment_began(api: Api) -> None:
    create(api, name="client")
    create(api, WEB, name="server")
    assert _names(api, "client") == []
    assert _names(api, "server") == ["web.shop"]
    # What changes nothing is no deployment; a deployment learns of what there is then.
    assert _names(api, "client", api.update("client", desiredCount=2)) == []
    assert _names(api, "client", api.update("client", forceNewDeployment=True)) == ["web.shop"]


def _names(api: Api, name: str, *_: Any) -> list[str]:
    (service,) = [s for s in api.state.services if s.name == name]
    assert service.primary is not None
    assert service.primary.connect is not None
    return [found.dns_name for found in service.primary.connect.names]


def test_a_change_of_the_configuration_is_a_deployment_and_disabled_takes_it_away(api: Api) -> None:
    first = create(api, WEB)["deployments"][0]["id"]
    given = {"enabled": True, "namespace": "Shop", "services": [RAW]}
    second = api.update(serviceConnectConfiguration=given)["deployments"][0]
    assert second["id"] != first
    assert second["serviceConnectConfiguration"] == given
    third = api.update(serviceConnectConfiguration={"enabled": False})["deployments"][0]
    assert third["id"] != second["id"]
    assert "serviceConnectConfiguration" not in third


def test_services_of_a_namespace_are_listed_by_name_and_arn(api: Api) -> None:
    create(api, WEB, name="server")
    create(api, name="client")
    for reference in ("Shop", "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-1"):
        listed = api("list_by_namespace", namespace=reference)["serviceArns"]
        assert [arn.rpartition("/")[2] for arn in listed] == ["client", "server"]
    with pytest.raises(AWSError, match="nowhere was not found") as caught:
        api("list_by_namespace", namespace="nowhere")
    assert caught.value.code == "NamespaceNotFoundException"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("an unnamed port", {"services": [{**WEB, "portName": "http"}]}, "does not refer to any named PortMapping"),
    ("a UDP port", {"services": [{**WEB, "portName": "dns"}]}, "must be a single TCP port"),
    ("no alias", {"services": [{"portName": "web"}]}, "exactly one client alias"),
    ("two aliases", {"services": [{**WEB, "clientAliases": [{"port": 1}, {"port": 2}]}]}, "exactly one client alias"),
    ("a bad discovery name", {"services": [{**WEB, "discoveryName": "-a"}]}, "discoveryName -a is not valid"),
    ("a bad alias", {"services": [{**WEB, "clientAliases": [{"port": 1, "dnsName": "A b"}]}]}, "dnsName A b"),
    ("port 0", {"services": [{**WEB, "clientAliases": [{"port": 0}]}]}, "between 1 and 65535"),
    ("a name twice", {"services": [WEB, {**RAW, "discoveryName": "web"}]}, "more than once"),
    ("an alias twice", {"services": [WEB, {**RAW, "clientAliases": [{"port": 80, "dnsName": "web.shop"}]}]}, "in use"),
    ("a mapped port as override", {"services": [{**WEB, "ingressPortOverride": 5432}]}, "conflicts"),
    ("a request timeout of TCP", {"services": [{**RAW, "timeout": {"perRequestTimeoutSeconds": 1}}]}, "TCP"),
    ("TLS", {"services": [{**WEB, "tls": {"issuerCertificateAuthority": {}}}]}, "services.tls .*Private CA"),
    (
        "test traffic of TCP",
        {"services": [{**RAW, "clientAliases": [{"port": 1, "testTrafficRules": {"header": {"name": "x"}}}]}]},
        "testTrafficRules can't be set for the TCP",
    ),
    (
        "no header's name",
        {"services": [{**WEB, "clientAliases": [{"port": 1, "testTrafficRules": {"header": {"name": "a b"}}}]}]},
        "header name a b of the testTrafficRules",
    ),
    ("a log level", {"containerConfigurations": [{"logLevel": "debug"}]}, "containerConfigurations is not supported"),
    ("no namespace", {"namespace": None}, "A namespace must be specified"),
    ("an unknown namespace", {"namespace": "shop"}, "namespace shop was not found"),
]


@pytest.mark.parametrize(("connect", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_is_refused_and_leaves_nothing(api: Api, connect: dict[str, Any], message: str) -> None:
    with pytest.raises(AWSError, match=message):
        create(api, **connect) if "services" in connect else create(api, WEB, **connect)
    assert not list(api.state.services)
    assert not list(api.state.discovery_services)


@pytest.mark.parametrize("mode", ["bridge", "host"])
def test_other_network_modes_are_refused(api: Api, mode: str) -> None:
    with pytest.raises(AWSError, match=f"{mode} network mode"):
        api.create(taskDefinition=f"{mode}:1", serviceConnectConfiguration={"enabled": True, "namespace": "Shop"})


def test_names_of_other_services_are_taken(api: Api) -> None:
    create(api, WEB, name="server")
    with pytest.raises(AWSError, match="discoveryName web is already in use"):
        create(api, WEB, name="other")
    with pytest.raises(AWSError, match=r"client alias web\.shop:80 is already in use"):
        create(api, {**WEB, "discoveryName": "x", "clientAliases": [{"port": 80, "dnsName": "web.shop"}]}, name="other")
    api.put(
        DiscoveryService(
            id="srv-own",
            arn="arn:own",
            region="eu-west-1",
            name="own",
            namespace_id="ns-1",
            created_at=1.0,
            creator_request_id="",
            type="HTTP",
        )
    )
    with pytest.raises(AWSError, match="discoveryName own is already in use"):
        create(api, {**WEB, "discoveryName": "own"}, name="other")


def test_a_discovery_name_keeps_its_protocol(api: Api) -> None:
    create(api, WEB)
    swapped = {**RAW, "discoveryName": "web"}
    with pytest.raises(AWSError, match="appProtocol of the Service Connect service web can't be changed"):
        api.update(serviceConnectConfiguration={"enabled": True, "namespace": "Shop", "services": [swapped]})
