"""Cloud Map at its handlers, for tests: ``cm.CreateService(name="web")``."""

from __future__ import annotations

from typing import Any

import pytest

from openecs.api.servicediscovery.service import CloudMap
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.shapes import servicediscovery as sd
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT, REGION = "123456789012", "eu-west-1"


class Map:
    """Cloud Map over a state of its own."""

    def __init__(self) -> None:
        journal = MemoryJournal()
        self.state = State(journal)
        journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        self.networks = RegionNetworks(self.state, ACCOUNT, "10.208.0.0/16")
        self.networks.ensure(REGION)
        self.vpc = self.networks.plan(REGION).vpc_id
        self._ids = SeededIds()
        self._handlers = CloudMap(self.state, Pagination(b"0123456789abcdef"), self.networks.vpc_exists).handlers()
        self.operations = frozenset(self._handlers)
        self.now = 1_700_000_000.0
        self.region = REGION

    def __getattr__(self, operation: str):
        def call(**members: Any) -> Any:
            principal = Principal(f"arn:aws:iam::{ACCOUNT}:root", "root", "AKIA")
            context = Call(
                "servicediscovery",
                operation,
                self._ids.uuid(),
                ACCOUNT,
                self.region,
                principal,
                self.now,
                self._ids,
                "http://x",
            )
            request = getattr(sd, f"{operation}Request")(**members)
            return self._handlers[operation](context, request)

        return call

    def refusal(self, operation: str, **members: Any) -> str:
        """The code of the error that the operation answers; nothing may have changed."""
        before = self.state.store.revision
        with pytest.raises(AWSError) as caught:
            getattr(self, operation)(**members)
        assert self.state.store.revision == before
        return caught.value.code

    # -- what most tests begin with ---------------------------------------------------------

    def namespace(self, name: str = "app.test", **more: Any) -> str:
        """A private DNS namespace's id."""
        operation = self.CreatePrivateDnsNamespace(name=name, vpc=self.vpc, **more).operation_id
        return self.target(operation, "NAMESPACE")

    def http_namespace(self, name: str = "apis", **more: Any) -> str:
        return self.target(self.CreateHttpNamespace(name=name, **more).operation_id, "NAMESPACE")

    def target(self, operation_id: str, kind: str) -> str:
        operation = self.GetOperation(operation_id=operation_id).operation
        assert operation.status == "SUCCESS"
        return operation.targets[kind]

    def service(self, namespace: str, name: str = "web", *types: str, custom: bool = False, **more: Any) -> str:
        if types:
            records = tuple(sd.DnsRecord(type=kind, ttl=10) for kind in types)
            more["dns_config"] = sd.DnsConfig(dns_records=records, routing_policy=more.pop("routing", None))
        if custom:
            more["health_check_custom_config"] = sd.HealthCheckCustomConfig()
        return self.CreateService(name=name, namespace_id=namespace, **more).service.id

    def register(self, service: str, instance: str, **attributes: str) -> None:
        self.RegisterInstance(service_id=service, instance_id=instance, attributes=attributes)

    def found(self, service: str = "web", namespace: str = "app.test", **more: Any) -> dict[str, str]:
        """What DiscoverInstances gives: id → health."""
        reply = self.DiscoverInstances(namespace_name=namespace, service_name=service, **more)
        return {i.instance_id: i.health_status for i in reply.instances}
