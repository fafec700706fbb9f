from __future__ import annotations

import pytest
from cloud_map import Map

from openecs.model.discovery import DiscoveryInstance
from openecs.shapes import servicediscovery as sd


def test_a_service_as_it_is_shown() -> None:
    cm = Map()
    namespace = cm.namespace()
    made = cm.CreateService(
        name="web",
        namespace_id=namespace,
        creator_request_id="r",
        dns_config=sd.DnsConfig(dns_records=(sd.DnsRecord(type="A", ttl=10),)),
        health_check_custom_config=sd.HealthCheckCustomConfig(failure_threshold=3),
    ).service
    assert (made.type, made.instance_count, made.namespace_id) == ("DNS_HTTP", 0, namespace)
    assert (made.dns_config.routing_policy, made.dns_config.namespace_id) == ("MULTIVALUE", namespace)
    assert made.health_check_custom_config.failure_threshold == 1
    assert cm.GetService(id=made.arn).service == made
    assert cm.GetNamespace(id=namespace).namespace.service_count == 1
    # The same request again is the same service; another one of that name is refused.
    assert cm.CreateService(name="web", namespace_id=namespace, creator_request_id="r").service == made
    assert cm.refusal("CreateService", name="WEB", namespace_id=namespace) == "ServiceAlreadyExists"
    shown = cm.ListServices(filters=(sd.ServiceFilter(name="NAMESPACE_ID", values=(namespace,)),)).services
    assert [s.id for s in shown] == [made.id]
    assert cm.ListServices(filters=(sd.ServiceFilter(name="NAMESPACE_ID", values=("ns-x",)),)).services == ()


RECORD = sd.DnsRecord(type="A", ttl=10)


@pytest.mark.parametrize(
    "settings",
    [
        {"dns_config": sd.DnsConfig(dns_records=(sd.DnsRecord(type="AAAA", ttl=1),))},
        {"dns_config": sd.DnsConfig(dns_records=(RECORD, RECORD))},
        {"dns_config": sd.DnsConfig(dns_records=(RECORD, sd.DnsRecord(type="SRV", ttl=1)))},
        {"dns_config": sd.DnsConfig(dns_records=(sd.DnsRecord(type="CNAME", ttl=1),))},
        {"dns_config": sd.DnsConfig(dns_records=())},
        {"dns_config": sd.DnsConfig(dns_records=(RECORD,)), "type": "HTTP"},
        {"health_check_config": sd.HealthCheckConfig(type="TCP")},
        {"namespace_id": None},
    ],
)
def test_settings_that_are_refused(settings: dict) -> None:
    cm = Map()
    assert cm.refusal("CreateService", **{"name": "web", "namespace_id": cm.namespace()} | settings) == "InvalidInput"


def test_dns_needs_a_dns_namespace() -> None:
    cm = Map()
    records = sd.DnsConfig(dns_records=(RECORD,))
    namespace = cm.http_namespace()
    assert cm.refusal("CreateService", name="web", namespace_id=namespace, dns_config=records) == "InvalidInput"
    assert cm.GetService(id=cm.service(namespace)).service.type == "HTTP"
    assert cm.refusal("CreateService", name="web", namespace_id="ns-none") == "NamespaceNotFound"


def test_updates_of_services() -> None:
    cm = Map()
    service = cm.service(cm.namespace(), "web", "A")
    slower = sd.DnsConfigChange(dns_records=(sd.DnsRecord(type="A", ttl=77),))
    cm.UpdateService(id=service, service=sd.ServiceChange(description="d", dns_config=slower))
    found = cm.GetService(id=service).service
    assert (found.description, found.dns_config.dns_records[0].ttl) == ("d", 77)
    other = sd.DnsConfigChange(dns_records=(sd.DnsRecord(type="SRV", ttl=77),))
    assert cm.refusal("UpdateService", id=service, service=sd.ServiceChange(dns_config=other)) == "InvalidInput"
    cm.UpdateService(id=service, service=sd.ServiceChange())
    assert cm.GetService(id=service).service.dns_config is None


def test_attributes_of_services() -> None:
    cm = Map()
    service = cm.service(cm.namespace())
    cm.UpdateServiceAttributes(service_id=service, attributes={"a": "1", "b": "2"})
    cm.DeleteServiceAttributes(service_id=service, attributes=("a", "none"))
    assert cm.GetServiceAttributes(service_id=service).service_attributes.attributes == {"b": "2"}
    many = {f"k{n}": "" for n in range(30)}
    assert (
        cm.refusal("UpdateServiceAttributes", service_id=service, attributes=many)
        == "ServiceAttributesLimitExceededException"
    )


def test_instances_come_change_and_go() -> None:
    cm = Map()
    service = cm.service(cm.namespace(), "web", "A")
    cm.register(service, "one", AWS_INSTANCE_IPV4="10.0.0.1", stage="prod")
    cm.register(service, "one", AWS_INSTANCE_IPV4="10.0.0.2")
    got = cm.GetInstance(service_id=service, instance_id="one").instance
    assert got.attributes == {"AWS_INSTANCE_IPV4": "10.0.0.2"}
    assert [i.id for i in cm.ListInstances(service_id=service).instances] == ["one"]
    assert cm.GetService(id=service).service.instance_count == 1
    assert cm.refusal("DeleteService", id=service) == "ResourceInUse"
    cm.DeregisterInstance(service_id=service, instance_id="one")
    assert cm.refusal("DeregisterInstance", service_id=service, instance_id="one") == "InstanceNotFound"
    assert cm.refusal("GetInstance", service_id=service, instance_id="one") == "InstanceNotFound"
    cm.DeleteService(id=service)
    assert cm.refusal("GetService", id=service) == "ServiceNotFound"


def test_instances_that_are_tasks_are_changed_by_ecs_only() -> None:
    cm = Map()
    service = cm.service(cm.namespace(), "web", "A", custom=True)
    task = "arn:aws:ecs:eu-west-1:123456789012:task/default/1"
    instance = DiscoveryInstance(
        service_id=service,
        instance_id="1",
        region=cm.region,
        attributes={"AWS_INSTANCE_IPV4": "10.208.0.9"},
        created_at=cm.now,
        task_arn=task,
    )
    with cm.state.transaction() as tx:
        tx.put(instance)
    named = {"service_id": service, "instance_id": "1"}
    assert cm.refusal("RegisterInstance", **named, attributes={"AWS_INSTANCE_IPV4": "10.208.0.8"}) == "InvalidInput"
    assert cm.refusal("UpdateInstanceCustomHealthStatus", **named, status="UNHEALTHY") == "InvalidInput"
    assert cm.refusal("DeregisterInstance", **named) == "ResourceInUse"
    assert tuple(cm.state.discovery_instances) == (instance,)


@pytest.mark.parametrize(
    ("types", "attributes"),
    [
        (("A",), {}),
        (("A",), {"AWS_INSTANCE_IPV4": "10.0.0"}),
        (("A",), {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_IPV6": "::1"}),
        (("A",), {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INIT_HEALTH_STATUS": "HEALTHY"}),
        (("A",), {"AWS_ALIAS_DNS_NAME": "lb.example.org"}),
        (("A",), {"AWS_EC2_INSTANCE_ID": "i-1"}),
        (("A",), {"AWS_INSTANCE_IPV4": "10.0.0.1"} | {f"k{n}": "" for n in range(31)}),
        (("A",), {"AWS_INSTANCE_IPV4": "10.0.0.1"} | {f"k{n}": "x" * 1000 for n in range(5)}),
        (("SRV",), {"AWS_INSTANCE_IPV4": "10.0.0.1"}),
        (("SRV",), {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "65536"}),
        (("SRV",), {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "080"}),
        (("SRV",), {"AWS_INSTANCE_PORT": "80"}),
    ],
)
def test_attributes_that_do_not_fit_the_records(types: tuple[str, ...], attributes: dict[str, str]) -> None:
    cm = Map()
    service = cm.service(cm.namespace(), "web", *types)
    refused = cm.refusal("RegisterInstance", service_id=service, instance_id="i", attributes=attributes)
    assert refused == "InvalidInput"


def test_ids_that_srv_records_lead_to_are_parts_of_dns_names() -> None:
    cm = Map()
    namespace = cm.namespace()
    services = {kind: cm.service(namespace, kind.lower(), kind) for kind in ("SRV", "A")}
    given = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"}
    for bad in ("x" * 64, "a..b", ".a", "a."):
        refused = {"service_id": services["SRV"], "instance_id": bad, "attributes": given}
        assert cm.refusal("RegisterInstance", **refused) == "InvalidInput"
        # Records of the type A do not tell the id.
        cm.register(services["A"], bad, **given)
    cm.register(services["SRV"], "x" * 63, **given)


def test_names_that_srv_records_lead_to_fit_into_a_query() -> None:
    cm = Map()
    namespace = cm.namespace(".".join(["n" * 63] * 3 + ["n" * 55]))
    given = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"}
    services = {kind: cm.service(namespace, kind.ljust(3, "x"), kind) for kind in ("SRV", "A")}
    cm.register(services["SRV"], "i", **given)  # That makes 253 characters.
    refused = {"service_id": services["SRV"], "instance_id": "ii", "attributes": given}
    assert cm.refusal("RegisterInstance", **refused) == "InvalidInput"
    cm.register(services["A"], "ii", **given)


def test_a_dns_service_cannot_be_named_by_a_dot() -> None:
    cm = Map()
    records = sd.DnsConfig(dns_records=(RECORD,))
    namespace = cm.namespace()
    assert cm.refusal("CreateService", name=".", namespace_id=namespace, dns_config=records) == "InvalidInput"


def test_discovery_by_health() -> None:
    cm = Map()
    service = cm.service(cm.namespace(), "web", custom=True)
    cm.register(service, "up")
    cm.register(service, "down", AWS_INIT_HEALTH_STATUS="UNHEALTHY")
    assert cm.found() == {"up": "HEALTHY"}
    assert cm.found(health_status="HEALTHY") == {"up": "HEALTHY"}
    assert cm.found(health_status="UNHEALTHY") == {"down": "UNHEALTHY"}
    assert set(cm.found(health_status="ALL")) == {"up", "down"}
    cm.UpdateInstanceCustomHealthStatus(service_id=service, instance_id="up", status="UNHEALTHY")
    assert cm.found(health_status="HEALTHY") == {}
    assert set(cm.found(health_status="HEALTHY_OR_ELSE_ALL")) == {"up", "down"}
    status = cm.GetInstancesHealthStatus(service_id=service, instances=("up",)).status
    assert status == {"up": "UNHEALTHY"}
    assert cm.refusal("GetInstancesHealthStatus", service_id=service, instances=("x",)) == "InstanceNotFound"


def test_discovery_without_a_health_check() -> None:
    cm = Map()
    service = cm.service(cm.namespace())
    cm.register(service, "one")
    assert cm.found(health_status="UNHEALTHY") == {"one": "UNKNOWN"}
    refused = cm.refusal("UpdateInstanceCustomHealthStatus", service_id=service, instance_id="one", status="UNHEALTHY")
    assert refused == "CustomHealthNotFound"


def test_discovery_by_attributes() -> None:
    cm = Map()
    service = cm.service(cm.namespace())
    cm.register(service, "a", stage="prod", zone="1")
    cm.register(service, "b", stage="prod", zone="2")
    cm.register(service, "c", stage="test", zone="1")
    assert set(cm.found(query_parameters={"stage": "prod"})) == {"a", "b"}
    assert set(cm.found(query_parameters={"stage": "prod"}, optional_parameters={"zone": "2"})) == {"b"}
    assert set(cm.found(query_parameters={"stage": "prod"}, optional_parameters={"zone": "9"})) == {"a", "b"}
    assert len(cm.found(max_results=2)) == 2
    assert cm.refusal("DiscoverInstances", namespace_name="none", service_name="web") == "NamespaceNotFound"
    assert cm.refusal("DiscoverInstances", namespace_name="app.test", service_name="x") == "ServiceNotFound"


def test_the_revision_rises_exactly_when_the_answer_changes() -> None:
    cm = Map()
    service = cm.service(cm.namespace(), custom=True)

    def revision() -> int:
        return cm.DiscoverInstancesRevision(namespace_name="app.test", service_name="web").instances_revision

    seen = [revision()]
    for change, rises in (
        (lambda: cm.register(service, "one", a="1"), 1),
        (lambda: cm.register(service, "one", a="1"), 0),
        (lambda: cm.register(service, "one", a="2"), 1),
        (lambda: cm.UpdateInstanceCustomHealthStatus(service_id=service, instance_id="one", status="UNHEALTHY"), 1),
        (lambda: cm.UpdateInstanceCustomHealthStatus(service_id=service, instance_id="one", status="UNHEALTHY"), 0),
        (lambda: cm.UpdateServiceAttributes(service_id=service, attributes={"x": "y"}), 0),
        (lambda: cm.DeregisterInstance(service_id=service, instance_id="one"), 1),
    ):
        change()
        assert revision() - seen[-1] == rises
        seen.append(revision())
