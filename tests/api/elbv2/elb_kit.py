"""Load balancing on state: operations in wire spelling, and a host that reports as told."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import msgspec
import pytest

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import BalancerReport, TargetsReport, TargetView
from openecs.api.acm.certificates import Certificates
from openecs.api.elbv2.service import ElasticLoadBalancing
from openecs.clock import ManualClock
from openecs.control.balancer_documents import BalancerDocuments, attach
from openecs.control.balancer_reports import BalancerReports
from openecs.control.balancers import BalancerController
from openecs.control.draining_targets import DrainingTargets
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.iam.keyring import CERTIFICATE_KEYS, KeyRing
from openecs.ids import SeededIds
from openecs.model.host import Host
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.generated import acm, elbv2
from openecs.wire.pagination import Pagination

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CALLER = f"arn:aws:iam::{ACCOUNT}:root"


class World:
    """State with a region's default network, the services' handlers, the loops and the host board."""

    def __init__(self, *, fast_drain: bool = True) -> None:
        journal = MemoryJournal()
        self.state = State(journal)
        journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        self.clock = ManualClock()
        self.ids = SeededIds()
        self.networks = RegionNetworks(self.state, ACCOUNT, "10.208.0.0/16")
        ring = KeyRing(bytes(32), context=CERTIFICATE_KEYS)
        pagination = Pagination(b"0123456789abcdef")
        self.handlers: dict[str, Any] = {
            **ElasticLoadBalancing(self.state, pagination, self.networks.ensure, patience=0.0).handlers(),
            **Certificates(self.state, pagination, ring.seal).handlers(),
        }
        self.models = {**elbv2.SERVICE.operations, **acm.SERVICE.operations}
        self.board = HostBoard()
        attach(self.board, BalancerDocuments(self.state, ring.open, fast_drain=fast_drain), self.state)
        reports = BalancerReports(self.state, self.clock)
        reports.attach(self.board)
        self.reports = reports
        self.balancers = BalancerController(self.state, self.clock, reports)
        self.draining = DrainingTargets(self.state, self.clock)
        self.networks.ensure(REGION)
        subnets = sorted(self.state.subnets.by("region", REGION), key=lambda subnet: subnet.availability_zone)
        #: Of the zones a, b and c.
        self.subnets = [subnet.id for subnet in subnets]
        self.vpc = self.state.vpcs.by("region", REGION)[0].id

    def __call__(self, operation: str, *, region: str = REGION, **members: Any) -> Any:
        """Call an operation; a reply as plain data in wire spelling."""
        shape = self.models[operation].input
        assert shape is not None
        call = Call(
            service="elbv2",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=region,
            principal=Principal(arn=CALLER, kind="root", access_key_id="AKIA"),
            now=self.clock.now(),
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )
        reply = self.handlers[operation](call, msgspec.convert(members, shape))
        if inspect.iscoroutine(reply):
            reply = asyncio.run(reply)
        return msgspec.json.decode(msgspec.json.encode(reply))

    def refused(self, code: str, words: str, operation: str, **members: Any) -> None:
        """The call is refused and changes nothing."""
        revision = self.state.store.revision
        with pytest.raises(AWSError) as caught:
            self(operation, **members)
        assert caught.value.code == code, caught.value
        assert words in caught.value.message
        assert self.state.store.revision == revision

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    # What tests begin with.

    def balancer(self, name: str = "web", **members: Any) -> str:
        request = {"Name": name, "Subnets": self.subnets[:2], **members}
        request = {key: value for key, value in request.items() if value is not None}
        return str(self("CreateLoadBalancer", **request)["LoadBalancers"][0]["LoadBalancerArn"])

    def group(self, name: str = "blue", **members: Any) -> str:
        request = {"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, "TargetType": "ip", **members}
        return str(self("CreateTargetGroup", **request)["TargetGroups"][0]["TargetGroupArn"])

    def listener(self, balancer: str, group: str, port: int = 80, **members: Any) -> str:
        request = {
            "LoadBalancerArn": balancer,
            "Protocol": "HTTP",
            "Port": port,
            "DefaultActions": [forward(group)],
            **members,
        }
        return str(self("CreateListener", **request)["Listeners"][0]["ListenerArn"])

    def rule(self, listener: str, priority: int = 1, **members: Any) -> str:
        request = {
            "ListenerArn": listener,
            "Priority": priority,
            "Conditions": [{"Field": "path-pattern", "Values": ["/x"]}],
            "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
            **members,
        }
        return str(self("CreateRule", **request)["Rules"][0]["RuleArn"])

    def serving(self, **balancer: Any) -> tuple[str, str, str]:
        """A load balancer, a listener and its target group."""
        arn, group = self.balancer(**balancer), self.group()
        return arn, self.listener(arn, group), group

    # Hosts.

    def host(self, node: str = "n1", zone: str = "a", *, problem: str = "", connected: bool = True) -> None:
        """A host of the zone; again to change it."""
        self.put(
            Node(
                id=node,
                capacity=Resources(cpu=1024, memory=1024),
                availability_zone=f"{REGION}{zone}",
                agent_connected=connected,
            ),
            Host(node_id=node, address=f"192.0.2.{node[1:]}", balancer_problem=problem),
        )

    def report(self, balancer: str, node: str = "n1", *, ready: bool = True, **members: Any) -> None:
        self.reports.take_balancer(node, balancer, BalancerReport(ready=ready, **members))

    def sees(self, group: str, state: Any, node: str = "n1", address: str = "10.208.0.9", **members: Any) -> None:
        """A host reports one target, and no other, of a group."""
        view = TargetView(id=address, port=80, state=state, **members)
        self.reports.take_targets(node, group, TargetsReport(targets=(view,)))

    def health(self, group: str, **members: Any) -> list[tuple[str, str | None]]:
        """State and reason of the targets of a group."""
        found = self("DescribeTargetHealth", TargetGroupArn=group, **members)["TargetHealthDescriptions"]
        return [(each["TargetHealth"]["State"], each["TargetHealth"].get("Reason")) for each in found]

    def status(self, balancer: str) -> dict[str, str]:
        found = self("DescribeLoadBalancers", LoadBalancerArns=[balancer])["LoadBalancers"]
        return dict(found[0]["State"])


def forward(*groups: str) -> dict[str, Any]:
    """An action that forwards to target groups, with equal weights."""
    if len(groups) == 1:
        return {"Type": "forward", "TargetGroupArn": groups[0]}
    return {
        "Type": "forward",
        "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1} for group in groups]},
    }
