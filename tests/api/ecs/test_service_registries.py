"""``serviceRegistries`` of services and task sets: what is kept, shown and refused."""

from __future__ import annotations

import msgspec
import pytest
from service_kit import SUBNET, Api, definition

from openecs.errors import AWSError
from openecs.model.discovery import DiscoveryService, Namespace
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd

ARN = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-{}"
NETWORK = {"awsvpcConfiguration": {"subnets": [SUBNET]}}


@pytest.fixture
def api() -> Api:
    api = Api()
    for kind in ("A", "SRV", "CNAME"):
        api.put(
            DiscoveryService(
                id=f"srv-{kind}",
                arn=ARN.format(kind),
                region="eu-west-1",
                name=kind,
                namespace_id="ns-1",
                created_at=1.0,
                creator_request_id="",
                type="DNS_HTTP",
                dns_config=sd.DnsConfig(dns_records=(sd.DnsRecord(type=kind, ttl=1),)),
            )
        )
    for mode, family in (("awsvpc", "vpc"), ("bridge", "bridge")):
        base = definition(1, family=family, network_mode=mode)
        containers = tuple(
            msgspec.structs.replace(c, port_mappings=(ecs.PortMapping(container_port=80),))
            for c in base.definition.container_definitions
        )
        inner = msgspec.structs.replace(base.definition, container_definitions=containers)
        api.put(msgspec.structs.replace(base, definition=inner))
    return api


def registry(kind: str, **members: object) -> list[dict[str, object]]:
    return [{"registryArn": ARN.format(kind), **members}]


def test_a_registry_is_kept_and_shown_and_a_change_of_it_is_a_deployment(api: Api) -> None:
    given = registry("A")
    made = api.create(taskDefinition="vpc:1", networkConfiguration=NETWORK, serviceRegistries=given)
    assert made["serviceRegistries"] == given
    first = api.record().primary
    assert first is not None
    revision = api.state.service_revisions.get(first.revision_arn)
    assert revision is not None
    assert revision.service_registries == first.service_registries
    assert api.update(desiredCount=3)["deployments"][0]["id"] == first.id
    changed = api.update(serviceRegistries=registry("SRV", port=80))
    assert changed["serviceRegistries"] == registry("SRV", port=80)
    assert changed["deployments"][0]["id"] != first.id
    # A new task definition keeps the registry; an empty list takes it away.
    assert api.update(forceNewDeployment=True)["serviceRegistries"] == registry("SRV", port=80)
    assert api.update(serviceRegistries=[])["serviceRegistries"] == []


@pytest.mark.parametrize(("length", "accepted"), [(216, True), (217, False)])
def test_names_of_tasks_that_srv_records_lead_to_fit_into_a_query(api: Api, length: int, accepted: bool) -> None:
    name = ".".join(["n" * 54] * 4)[:length].ljust(length, "n")
    api.put(
        Namespace(
            id="ns-1",
            arn="arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-1",
            region="eu-west-1",
            name=name,
            type="DNS_PUBLIC",
            created_at=1.0,
            creator_request_id="",
        )
    )
    given = {"taskDefinition": "vpc:1", "networkConfiguration": NETWORK}
    if accepted:
        api.create(**given, serviceRegistries=registry("SRV", port=80))
    else:
        with pytest.raises(AWSError, match="would be longer than 253 characters"):
            api.create(**given, serviceRegistries=registry("SRV", port=80))
        api.create(**given, serviceRegistries=registry("A"))


def test_task_sets_have_registries_of_their_own(api: Api) -> None:
    api.external()
    made = api.task_set(
        taskDefinition="vpc:1", networkConfiguration=NETWORK, launchType="EC2", serviceRegistries=registry("A")
    )
    assert made["serviceRegistries"] == registry("A")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (registry("A") * 2, "at most 1 items"),
        ([{}], "Registry ARN can not be blank."),
        ([{"registryArn": "x"}], "Invalid ARN syntax."),
        (registry("none"), "does not exist"),
        (registry("CNAME"), "CNAME"),
        (registry("SRV"), "either a port or a containerName and containerPort"),
        (registry("SRV", port=80, containerName="web", containerPort=80), "cannot specify both"),
        (registry("SRV", containerName="web"), "together"),
        (registry("SRV", port=70000), "between 1 and 65535"),
        (registry("SRV", containerName="other", containerPort=80), "does not exist in the task definition"),
    ],
)
def test_registries_that_do_not_fit_an_awsvpc_service(api: Api, given: list, text: str) -> None:
    wanted = {"taskDefinition": "vpc:1", "networkConfiguration": NETWORK, "serviceRegistries": given}
    api.refused_create("InvalidParameterException", text, **wanted)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (registry("A"), "needs a service registry with an SRV record"),
        (registry("SRV"), "When specifying 'host' or 'bridge' for networkMode"),
        (registry("SRV", port=80), "When specifying 'host' or 'bridge' for networkMode"),
    ],
)
def test_registries_that_do_not_fit_a_bridge_service(api: Api, given: list, text: str) -> None:
    wanted = {"taskDefinition": "bridge:1", "serviceRegistries": given}
    api.refused_create("InvalidParameterException", text, **wanted)
    name = api.state.task_definitions.get("arn:aws:ecs:eu-west-1:123456789012:task-definition/bridge:1")
    container = name.definition.container_definitions[0].name
    made = api.create(
        taskDefinition="bridge:1", serviceRegistries=registry("SRV", containerName=container, containerPort=80)
    )
    assert made["serviceRegistries"][0]["containerPort"] == 80
