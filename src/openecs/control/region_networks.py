"""The networks of every region: their default ones are made here, all are looked up here.

A region gets its default network once (``RegionSetup``); what its users change or delete stays
so.  ``ensure`` opens a transaction of its own, so it is called before one: by the API before
each call of a service that knows networks, and at the start for regions that are in use.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from openecs.errors import invalid_parameter
from openecs.ids import Ids
from openecs.model.network import RegionNetwork, derived_id, public_pool, region_network
from openecs.model.vpc import RegionSetup, Vpc, VpcSubnet
from openecs.planning.new_vpc import DEFAULT_GROUP, default_network
from openecs.state.state import State
from openecs.state.store import Transaction


class RegionNetworks:
    """Makes default networks, and finds subnets and default groups."""

    def __init__(self, state: State, account: str, cidr: str) -> None:
        self._state = state
        self._account = account
        self.range = ipaddress.IPv4Network(cidr)
        #: Where public addresses come from: nothing else of the installation is in it.
        self.public_pool = public_pool(cidr)

    def plan(self, region: str) -> RegionNetwork:
        """The default network that a region gets."""
        return region_network(self._account, region, str(self.range))

    def ensure(self, region: str) -> None:
        """Make the region's default network unless it once had it.  Not inside a transaction."""
        if region not in self._state.region_setups:
            with self._state.transaction() as tx:
                self.make(tx, region)

    def ensure_all(self, home: str) -> None:
        """Make the default networks of the home region and of those in which clusters are."""
        for region in dict.fromkeys((home, *(cluster.region for cluster in self._state.clusters))):
            self.ensure(region)

    def make(self, tx: Transaction, region: str, ids: Ids | None = None) -> Vpc:
        """Write a default network: with ``ids`` a new one, otherwise that with the region's derived ids."""

        def make_id(prefix: str, what: str) -> str:
            if ids is None:
                return derived_id(self._account, region, prefix, what)
            return f"{prefix}-0{ids.hex32()[:16]}"

        plan = region_network(self._account, region, str(self.range), make_id)
        for record in default_network(plan, region=region, owner=self._account, make_id=make_id):
            tx.put(record)
        tx.put(RegionSetup(region=region))
        vpc = self._state.vpcs.get(plan.vpc_id)
        assert vpc is not None  # noqa: S101 -- just written
        return vpc

    def default_vpc(self, region: str) -> Vpc | None:
        """The region's default VPC; ``None`` when it was deleted."""
        return next((vpc for vpc in self._state.vpcs.by("region", region) if vpc.is_default), None)

    def vpc_exists(self, region: str, vpc_id: str) -> bool:
        """Whether the region has that VPC, its default one made if need be.  Not inside a transaction."""
        self.ensure(region)
        vpc = self._state.vpcs.get(vpc_id)
        return vpc is not None and vpc.region == region

    def subnet(self, region: str, subnet_id: str) -> VpcSubnet | None:
        """The subnet of that id in the region."""
        subnet = self._state.subnets.get(subnet_id)
        return subnet if subnet is not None and subnet.region == region else None

    def check(self, region: str, subnets: Sequence[str], groups: Sequence[str]) -> None:
        """Raise ECS's error unless all subnets and security groups are there, in one VPC."""
        vpcs: dict[str, None] = {}
        for subnet_id in subnets:
            subnet = self.subnet(region, subnet_id)
            if subnet is None:
                raise invalid_parameter(
                    f"Error retrieving subnet information for [{subnet_id}]: The subnet ID '{subnet_id}' does not "
                    f"exist (ErrorCode: InvalidSubnetID.NotFound). Subnets of this region: {self._subnets(region)}."
                )
            vpcs[subnet.vpc_id] = None
        if len(vpcs) > 1:
            raise invalid_parameter(f"Subnets must be in the same VPC, but these are in {', '.join(vpcs)}.")
        for group_id in groups:
            group = self._state.security_groups.get(group_id)
            if group is None or group.region != region:
                raise invalid_parameter(
                    f"Error retrieving security group information for [{group_id}]: The security group '{group_id}' "
                    "does not exist (ErrorCode: InvalidGroup.NotFound). Security group of this region: "
                    f"{self._groups(region)}."
                )
            if group.vpc_id not in vpcs:
                raise invalid_parameter(
                    f"Security group {group_id} does not appear to belong to the same VPC as the input subnets."
                )

    def default_group(self, vpc_id: str) -> str:
        """The id of a VPC's default security group, which lives as long as the VPC."""
        return next(g.id for g in self._state.security_groups.by("vpc", vpc_id) if g.name == DEFAULT_GROUP)

    def gateway(self, region: str, subnet_id: str) -> str | None:
        """Address and prefix length of a subnet's gateway, ``None`` for an unknown subnet."""
        subnet = self.subnet(region, subnet_id)
        return subnet.gateway if subnet else None

    def _subnets(self, region: str) -> str:
        """The region's subnets in a sentence, the default ones first."""
        subnets = sorted(self._state.subnets.by("region", region), key=lambda s: not s.default_for_az)
        return ", ".join(subnet.id for subnet in subnets) or "none"

    def _groups(self, region: str) -> str:
        """The region's security groups in a sentence, that of the default VPC first."""
        home = self.default_vpc(region)
        groups = self._state.security_groups.by("region", region)
        ordered = sorted(groups, key=lambda g: (home is None or g.vpc_id != home.id, g.name != DEFAULT_GROUP))
        return ", ".join(group.id for group in ordered) or "none"
