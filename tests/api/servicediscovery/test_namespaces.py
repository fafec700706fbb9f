from __future__ import annotations

import pytest
from cloud_map import ACCOUNT, REGION, Map

from openecs.shapes import servicediscovery as sd
from openecs.wire.generated import servicediscovery


def test_every_operation_of_the_model_is_served() -> None:
    assert Map().operations == servicediscovery.SERVICE.all_operations


def test_a_private_namespace_is_there_when_its_operation_says_so() -> None:
    cm = Map()
    soa = sd.PrivateDnsNamespaceProperties(dns_properties=sd.PrivateDnsPropertiesMutable(soa=sd.SOA(ttl=20)))
    operation = cm.CreatePrivateDnsNamespace(
        name="app.test", vpc=cm.vpc, description="d", creator_request_id="r1", properties=soa
    ).operation_id
    told = cm.GetOperation(operation_id=operation).operation
    assert (told.type, told.status, told.owner_account) == ("CREATE_NAMESPACE", "SUCCESS", ACCOUNT)
    found = cm.GetNamespace(id=told.targets["NAMESPACE"]).namespace
    assert found.arn == f"arn:aws:servicediscovery:{REGION}:{ACCOUNT}:namespace/{found.id}"
    assert (found.name, found.type, found.description, found.service_count) == ("app.test", "DNS_PRIVATE", "d", 0)
    assert found.creator_request_id == "r1"
    assert found.properties.dns_properties.soa.ttl == 20
    assert found.properties.dns_properties.hosted_zone_id.startswith("Z")
    assert found.properties.http_properties.http_name == "app.test"
    assert cm.GetNamespace(id=found.arn).namespace == found


def test_a_name_is_taken_once_of_a_kind_and_told_apart_when_discovered() -> None:
    cm = Map()
    first = cm.namespace(creator_request_id="one")
    assert cm.refusal("CreatePrivateDnsNamespace", name="App.test", vpc=cm.vpc) == "NamespaceAlreadyExists"
    # The same request again is the same namespace.
    assert cm.namespace(creator_request_id="one") == first
    second = cm.http_namespace("app.test")
    names = {cm.GetNamespace(id=n).namespace.properties.http_properties.http_name for n in (first, second)}
    assert len(names) == 2
    assert "app.test" in names


@pytest.mark.parametrize("name", ["a..b", "-a.test", "a" * 64, "a b", "x.elb.openecs.internal", "ec2.internal"])
def test_names_that_are_no_zones(name: str) -> None:
    cm = Map()
    assert cm.refusal("CreatePrivateDnsNamespace", name=name, vpc=cm.vpc) == "InvalidInput"


def test_the_vpc_must_exist_in_the_region() -> None:
    cm = Map()
    assert cm.refusal("CreatePrivateDnsNamespace", name="app.test", vpc="vpc-00000000") == "InvalidInput"
    other = cm.vpc
    cm.region = "us-east-1"
    cm.networks.ensure("us-east-1")
    assert cm.refusal("CreatePrivateDnsNamespace", name="app.test", vpc=other) == "InvalidInput"


def test_lists_are_filtered_and_paged() -> None:
    cm = Map()
    made = {cm.namespace(f"n{n}.test") for n in range(3)}
    http = cm.http_namespace()
    filters = (sd.NamespaceFilter(name="TYPE", values=("DNS_PRIVATE",)),)
    first = cm.ListNamespaces(max_results=2, filters=filters)
    second = cm.ListNamespaces(max_results=2, filters=filters, next_token=first.next_token)
    assert {n.id for n in (*first.namespaces, *second.namespaces)} == made
    assert second.next_token is None
    begins = (sd.NamespaceFilter(name="NAME", values=("api",), condition="BEGINS_WITH"),)
    assert [n.id for n in cm.ListNamespaces(filters=begins).namespaces] == [http]
    others = (sd.NamespaceFilter(name="RESOURCE_OWNER", values=("OTHER_ACCOUNTS",)),)
    assert cm.ListNamespaces(filters=others).namespaces == ()
    wrong = (sd.NamespaceFilter(name="NAME", values=("a", "b")),)
    assert cm.refusal("ListNamespaces", filters=wrong) == "InvalidInput"
    between = (sd.NamespaceFilter(name="NAME", values=("1", "2"), condition="BETWEEN"),)
    assert cm.refusal("ListNamespaces", filters=between) == "InvalidInput"


def test_updates_change_what_they_name() -> None:
    cm = Map()
    namespace = cm.namespace(description="old")
    soa = sd.PrivateDnsNamespacePropertiesChange(
        dns_properties=sd.PrivateDnsPropertiesMutableChange(soa=sd.SOAChange(ttl=99))
    )
    cm.UpdatePrivateDnsNamespace(id=namespace, namespace=sd.PrivateDnsNamespaceChange(properties=soa))
    found = cm.GetNamespace(id=namespace).namespace
    assert (found.description, found.properties.dns_properties.soa.ttl) == ("old", 99)
    change = sd.HttpNamespaceChange(description="new")
    assert cm.refusal("UpdateHttpNamespace", id=namespace, namespace=change) == "InvalidInput"
    assert cm.refusal("UpdateHttpNamespace", id="ns-none", namespace=change) == "NamespaceNotFound"


def test_deletion_waits_for_services_and_takes_tags_along() -> None:
    cm = Map()
    namespace = cm.namespace(tags=(sd.Tag(key="a", value="1"),))
    arn = cm.GetNamespace(id=namespace).namespace.arn
    service = cm.service(namespace)
    assert cm.refusal("DeleteNamespace", id=namespace) == "ResourceInUse"
    cm.DeleteService(id=service)
    operation = cm.DeleteNamespace(id=namespace).operation_id
    assert cm.GetOperation(operation_id=operation).operation.type == "DELETE_NAMESPACE"
    assert cm.refusal("GetNamespace", id=namespace) == "NamespaceNotFound"
    assert cm.refusal("ListTagsForResource", resource_arn=arn) == "ResourceNotFoundException"
    assert arn not in cm.state.tags


def test_regions_are_separate() -> None:
    cm = Map()
    namespace = cm.namespace()
    cm.region = "us-east-1"
    assert cm.refusal("GetNamespace", id=namespace) == "NamespaceNotFound"
    assert cm.ListNamespaces().namespaces == ()


def test_operations_are_listed_by_what_they_are() -> None:
    cm = Map()
    namespace = cm.namespace()
    cm.now += 100
    service = cm.service(namespace, "web", "A")
    cm.register(service, "i", AWS_INSTANCE_IPV4="10.0.0.1")

    def listed(name: str, *values: str, condition: str | None = None) -> int:
        filters = (sd.OperationFilter(name=name, values=values, condition=condition),)
        return len(cm.ListOperations(filters=filters).operations)

    assert listed("NAMESPACE_ID", namespace) == 1
    assert listed("SERVICE_ID", service) == 1
    assert listed("TYPE", "CREATE_NAMESPACE", "REGISTER_INSTANCE", condition="IN") == 2
    assert listed("STATUS", "FAIL") == 0
    assert listed("UPDATE_DATE", str(cm.now - 1), str(cm.now + 1), condition="BETWEEN") == 1
    for first in ("nan", " 1", "1_0", "yesterday"):
        wanted = (sd.OperationFilter(name="UPDATE_DATE", values=(first, "9e9"), condition="BETWEEN"),)
        assert cm.refusal("ListOperations", filters=wanted) == "InvalidInput"
    assert cm.refusal("GetOperation", operation_id="none") == "OperationNotFound"


def test_tags() -> None:
    cm = Map()
    arn = cm.GetNamespace(id=cm.namespace(tags=(sd.Tag(key="a", value="1"),))).namespace.arn
    cm.TagResource(resource_arn=arn, tags=(sd.Tag(key="a", value="2"), sd.Tag(key="b", value="3")))
    cm.UntagResource(resource_arn=arn, tag_keys=("b", "none"))
    assert cm.ListTagsForResource(resource_arn=arn).tags == (sd.Tag(key="a", value="2"),)
    many = tuple(sd.Tag(key=f"k{n}", value="") for n in range(50))
    assert cm.refusal("TagResource", resource_arn=arn, tags=many) == "TooManyTagsException"
    reserved = (sd.Tag(key="AWS:x", value=""),)
    assert cm.refusal("TagResource", resource_arn=arn, tags=reserved) == "InvalidInput"
