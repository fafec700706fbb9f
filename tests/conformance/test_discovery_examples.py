"""Every command of the Cloud Map example pages of the AWS CLI, against names that exist.

Every example has a region of its own.  Its reply has what the page shows, or the command is one
of those that are refused, with a clear error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from example_cli import CommandLine
from example_differences import differences
from example_pages import Example, examples, pages

from openecs.model.network import region_network

ALL = examples("servicediscovery")
ACCOUNT = "123456789012"
_ARN = re.compile(r"arn:aws:servicediscovery:[a-z0-9-]+:\d+:")
_OPERATION = "abcd1234xmpl5678abcd1234xmpl5678-abcd1234"
ADDRESS = {"AWS_INSTANCE_IPV4": "10.0.0.7"}

#: Example → words of the error.
REFUSED = {
    "servicediscovery/update-service#1": "HealthCheckConfig is not supported by OpenECS",
    "servicediscovery/update-service#2": "HealthCheckConfig is not supported by OpenECS",
    # Of another account that shares its namespace, which there is none of.
    "servicediscovery/discover-instances#2": "NamespaceNotFound",
    "servicediscovery/discover-instances-revision#2": "NamespaceNotFound",
    "servicediscovery/get-operation#2": "OperationNotFound",
    # The page has an option that the command does not know, and a blank that splits a tag in two.
    "servicediscovery/list-operations#1": "Unknown options: --service-id",
    "servicediscovery/tag-resource#1": "Error parsing parameter '--tags'",
}
#: Examples that list what other accounts share: nothing.
EMPTY = {"servicediscovery/list-namespaces#2": "Namespaces", "servicediscovery/list-services#2": "Services"}
#: Members that a page shows and the reply does not have.
LACKING = {
    "HealthCheckConfig": "Services with Route 53 health checks are refused.",
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("map"), "--runtime", "fake", "--account-id", ACCOUNT)
    installation.up()
    yield installation
    installation.down()


class Shelf:
    """What the pages name, in the region of one example."""

    def __init__(self, installation: Installation, region: str, example: Example) -> None:
        self.example = example
        self.map: Any = installation.client("servicediscovery", region, inject_host_prefix=False)
        self.vpc = region_network(ACCOUNT, region).vpc_id
        self.region = region
        #: What of the page → what stands for it here.
        self.names: dict[str, str] = {}

    def prepare(self) -> None:
        operation = self.example.operation
        if operation == "create-private-dns-namespace":
            return
        name = (self.example.option("namespace-name") or ["shelf.test"])[0]
        kind = re.search("http|public|private", operation) if operation.startswith("update-") else None
        namespace, made_by = self.namespace(name, kind[0] if kind else "private")
        self.map.tag_resource(
            ResourceARN=f"arn:aws:servicediscovery:{self.region}:{ACCOUNT}:namespace/{namespace}",
            Tags=[{"Key": "Department", "Value": "Engineering"}, {"Key": "Project", "Value": "Zeta"}],
        )
        self.names |= {r"ns-\w+": namespace, _OPERATION: made_by, r"vpc-\w+": self.vpc}
        if operation == "delete-namespace" or kind is not None:
            return
        service = self.map.create_service(
            Name=(self.example.option("service-name") or ["web"])[0],
            NamespaceId=namespace,
            Description="d",
            DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 60}]},
            HealthCheckCustomConfig={"FailureThreshold": 1},
        )["Service"]["Id"]
        self.map.update_service_attributes(ServiceId=service, Attributes={"Port": "80"})
        self.names[r"srv-\w+"] = service
        if operation not in ("delete-service", "register-instance"):
            shown = self.example.output if isinstance(self.example.output, dict) else {}
            attributes = ADDRESS | {"AWS_INSTANCE_PORT": "80", "env": "prod"}
            attributes |= shown.get("Instance", {}).get("Attributes", {})
            for instance in self.example.option("instance-id") or shown.get("Status") or ["i-abcd1234"]:
                self.map.register_instance(ServiceId=service, InstanceId=instance, Attributes=attributes)

    def namespace(self, name: str, kind: str) -> tuple[str, str]:
        """Ids of a namespace and of the operation that made it."""
        if kind == "http":
            operation = self.map.create_http_namespace(Name=name, Description="d")["OperationId"]
        elif kind == "public":
            operation = self.map.create_public_dns_namespace(Name=name, Description="d")["OperationId"]
        else:
            operation = self.map.create_private_dns_namespace(Name=name, Vpc=self.vpc, Description="d")["OperationId"]
        return self.map.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"], operation

    def words(self) -> list[str]:
        """The command's words with this region's names."""
        self.names.setdefault(r"vpc-\w+", self.vpc)
        found = []
        for word in self.example.words:
            word = _ARN.sub(f"arn:aws:servicediscovery:{self.region}:{ACCOUNT}:", word)
            for pattern, name in self.names.items():
                word = re.sub(rf"\b{pattern}\b", name, word)
            found.append(word)
        return found


#: The second command of most pages is the first one with an ARN in place of the id: a few of them do.
CHOSEN = [
    example
    for example in ALL
    if example.number == 1
    or example.id in REFUSED
    or example.id in EMPTY
    or example.operation in ("create-service", "get-namespace", "get-instance")
]


@pytest.mark.parametrize("example", CHOSEN, ids=lambda example: example.id)
def test_an_example_of_cloud_map(
    example: Example, installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shelf = Shelf(installation, f"map-{ALL.index(example) + 1}", example)
    shelf.prepare()
    monkeypatch.setenv("AWS_DISABLE_HOST_PREFIX_INJECTION", "true")
    outcome = CommandLine(installation, shelf.region, monkeypatch, tmp_path).aws(*shelf.words())
    if example.id in REFUSED:
        assert outcome.status != 0
        assert REFUSED[example.id] in outcome.stderr
        return
    assert outcome.status == 0, f"{' '.join(shelf.words())}\n{outcome.stdout}\n{outcome.stderr}"
    if example.id in EMPTY:
        assert outcome.data[EMPTY[example.id]] == []
    elif example.output is not None:
        assert not example.unreadable
        found = differences(example.output, outcome.data)
        assert [line for line in found if not any(name in line for name in LACKING)] == []


def test_the_pages_of_cloud_map_are_all_read() -> None:
    assert {example.page for example in ALL} == {page.removesuffix(".rst") for page in pages("servicediscovery")}
    assert len(ALL) >= 50
    assert set(REFUSED) | set(EMPTY) <= {example.id for example in ALL}
