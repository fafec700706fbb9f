"""A small world of Cloud Map for fuzzing, and one sound request for each of its operations."""

from __future__ import annotations

from typing import Any

from fuzz_plane import ACCOUNT, REGION, Plane

from openecs.model.network import region_network

SERVICE = "servicediscovery"
VPC = region_network(ACCOUNT, REGION).vpc_id
ADDRESS = {"AWS_INSTANCE_IPV4": "10.0.0.1"}


class Names:
    """Things of Cloud Map that requests can name."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.private = self.namespace("CreatePrivateDnsNamespace", Name="a.test", Vpc=VPC)
        self.http = self.namespace("CreateHttpNamespace", Name="apis")
        self.public = self.namespace("CreatePublicDnsNamespace", Name="p.test")
        self.operation = plane.must(SERVICE, "CreateHttpNamespace", Name="empty")["OperationId"]
        self.empty = self._target(self.operation)
        self.service = self._service("web", HealthCheckCustomConfig={}, DnsConfig={"DnsRecords": [RECORD]})
        self.spare = self._service("spare")
        plane.must(SERVICE, "UpdateServiceAttributes", ServiceId=self.service, Attributes={"k": "v"})
        plane.must(SERVICE, "RegisterInstance", ServiceId=self.service, InstanceId="one", Attributes=ADDRESS)
        self.arn = f"arn:aws:servicediscovery:{REGION}:{ACCOUNT}:service/{self.service}"
        plane.must(SERVICE, "TagResource", ResourceARN=self.arn, Tags=[TAG])

    def namespace(self, operation: str, **members: Any) -> str:
        return self._target(self.plane.must(SERVICE, operation, **members)["OperationId"])

    def _target(self, operation_id: str) -> str:
        told = self.plane.must(SERVICE, "GetOperation", OperationId=operation_id)["Operation"]
        target: str = told["Targets"]["NAMESPACE"]
        return target

    def _service(self, name: str, **members: Any) -> str:
        made = self.plane.must(SERVICE, "CreateService", Name=name, NamespaceId=self.private, **members)
        identifier: str = made["Service"]["Id"]
        return identifier

    @property
    def references(self) -> dict[str, list[Any]]:
        """Values that fit where members of these names stand."""
        return {
            "NamespaceId": [self.private, self.http, self.public, self.empty],
            "Id": [self.private, self.http, self.empty, self.service, self.spare, self.arn],
            "ServiceId": [self.service, self.spare, self.arn],
            "InstanceId": ["one", "two"],
            "OperationId": [self.operation],
            "NamespaceName": ["a.test", "apis"],
            "ServiceName": ["web", "spare"],
            "ResourceARN": [self.arn],
            "Vpc": [VPC, "vpc-1"],
            "Attributes": [ADDRESS, {"AWS_INSTANCE_PORT": "x"}, {"AWS_ALIAS_DNS_NAME": "x"}, {"a": "b"}],
        }

    def sound(self) -> dict[str, dict[str, Any]]:
        """Operation → a request that is answered with 200."""
        service, instance = {"ServiceId": self.service}, {"ServiceId": self.service, "InstanceId": "one"}
        named = {"NamespaceName": "a.test", "ServiceName": "web"}
        page = {"MaxResults": 1}
        soa = {"DnsProperties": {"SOA": {"TTL": 5}}}
        of_type = [{"Name": "TYPE", "Values": ["HTTP"], "Condition": "EQ"}]
        return {
            "CreateHttpNamespace": {"Name": "more", "Description": "d", "Tags": [TAG]},
            "CreatePrivateDnsNamespace": {"Name": "b.test", "Vpc": VPC, "Properties": soa},
            "CreatePublicDnsNamespace": {"Name": "q.test", "Properties": soa},
            "GetNamespace": {"Id": self.private},
            "ListNamespaces": {**page, "Filters": of_type},
            "UpdateHttpNamespace": {"Id": self.http, "Namespace": {"Description": "x"}},
            "UpdatePrivateDnsNamespace": {"Id": self.private, "Namespace": {"Properties": soa}},
            "UpdatePublicDnsNamespace": {"Id": self.public, "Namespace": {"Description": "x"}},
            "DeleteNamespace": {"Id": self.empty},
            "CreateService": {
                "Name": "new",
                "NamespaceId": self.private,
                "DnsConfig": {"RoutingPolicy": "WEIGHTED", "DnsRecords": [RECORD]},
                "HealthCheckCustomConfig": {"FailureThreshold": 1},
                "Tags": [TAG],
            },
            "GetService": {"Id": self.service},
            "ListServices": {**page, "Filters": [{"Name": "NAMESPACE_ID", "Values": [self.private]}]},
            "UpdateService": {"Id": self.service, "Service": {"DnsConfig": {"DnsRecords": [RECORD]}}},
            "DeleteService": {"Id": self.spare},
            "GetServiceAttributes": service,
            "UpdateServiceAttributes": {**service, "Attributes": {"a": "b"}},
            "DeleteServiceAttributes": {**service, "Attributes": ["k"]},
            "RegisterInstance": {**service, "InstanceId": "two", "Attributes": {**ADDRESS, "own": "x"}},
            "DeregisterInstance": instance,
            "GetInstance": instance,
            "ListInstances": {**service, **page},
            "GetInstancesHealthStatus": {**service, "Instances": ["one"]},
            "UpdateInstanceCustomHealthStatus": {**instance, "Status": "UNHEALTHY"},
            "DiscoverInstances": {**named, "HealthStatus": "ALL", "QueryParameters": {"a": "b"}, **page},
            "DiscoverInstancesRevision": named,
            "GetOperation": {"OperationId": self.operation},
            "ListOperations": {**page, "Filters": [{"Name": "STATUS", "Values": ["SUCCESS"], "Condition": "IN"}]},
            "TagResource": {"ResourceARN": self.arn, "Tags": [TAG]},
            "UntagResource": {"ResourceARN": self.arn, "TagKeys": ["k"]},
            "ListTagsForResource": {"ResourceARN": self.arn},
        }


RECORD = {"Type": "A", "TTL": 10}
TAG = {"Key": "k", "Value": "v"}
