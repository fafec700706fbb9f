"""EC2's operations for tests: requests and answers in wire spelling."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openecs.api.ec2.service import Ec2
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.network import region_network
from openecs.shapes import ec2
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = 1_700_000_000.0
DEFAULT = region_network(ACCOUNT, REGION)
RANGE = "10.208.0.0/16"


class Api:
    """Call it with an operation's name and its members."""

    def __init__(self) -> None:
        journal = MemoryJournal()
        self.state = State(journal)
        journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        self.networks = RegionNetworks(self.state, ACCOUNT, RANGE)
        self.networks.ensure(REGION)
        self.handlers: Any = Ec2(self.state, Pagination(b"0123456789abcdef"), self.networks).handlers()
        self.ids = SeededIds(3)

    def __call__(self, operation: str, *, region: str = REGION, **members: Any) -> dict[str, Any]:
        shape = getattr(ec2, f"{operation}Request")
        call = Call(
            service="ec2",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=region,
            principal=Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIA"),
            now=NOW,
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )
        request = msgspec.json.decode(msgspec.json.encode(members), type=shape)
        answer = self.handlers[operation](call, request)
        found: dict[str, Any] = {} if answer is None else msgspec.json.decode(msgspec.json.encode(answer))
        return found

    def refused(self, operation: str, code: str, text: str = "", **members: Any) -> str:
        """The call is refused with that code and changes nothing; returns the whole text."""
        revision = self.state.store.revision
        with pytest.raises(AWSError) as caught:
            self(operation, **members)
        assert caught.value.code == code, caught.value
        assert text in caught.value.message
        assert self.state.store.revision == revision
        return caught.value.message

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def vpc(self, cidr: str = "10.20.0.0/16", **members: Any) -> str:
        vpc_id: str = self("CreateVpc", CidrBlock=cidr, **members)["Vpc"]["VpcId"]
        return vpc_id

    def subnet(self, vpc_id: str, cidr: str = "10.20.1.0/24", **members: Any) -> str:
        subnet_id: str = self("CreateSubnet", VpcId=vpc_id, CidrBlock=cidr, **members)["Subnet"]["SubnetId"]
        return subnet_id

    def group(self, name: str = "web", **members: Any) -> str:
        group_id: str = self("CreateSecurityGroup", GroupName=name, Description="for tests", **members)["GroupId"]
        return group_id

    def described(self, group_id: str) -> dict[str, Any]:
        (group,) = self("DescribeSecurityGroups", GroupIds=[group_id])["SecurityGroups"]
        return group

    def ids_of(self, operation: str, result: str, member: str, **members: Any) -> list[str]:
        """The ids that a Describe operation answers with."""
        return [each[member] for each in self(operation, **members)[result]]


def where(**values: str | list[str]) -> list[dict[str, Any]]:
    """Filters: ``where(vpc_id=…)`` is the filter ``vpc-id``."""
    return [
        {"Name": name.replace("_", "-"), "Values": [value] if isinstance(value, str) else value}
        for name, value in values.items()
    ]
