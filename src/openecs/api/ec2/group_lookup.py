"""Finding the security groups that requests name, by id or, in the default VPC, by name."""

from __future__ import annotations

from openecs.api.ec2.errors import missing, unsupported
from openecs.api.ec2.prefix_lists import prefix_lists
from openecs.api.ec2.resources import SECURITY_GROUP
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.model.security_group import SecurityGroup
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call


class GroupLookup:
    """Finds groups for the operations on them and on their rules."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._networks = networks

    def named(self, call: Call, group_id: str | None, name: str | None) -> SecurityGroup:
        """The group that a request is about.  Raises MissingParameter, InvalidGroup.NotFound."""
        if group_id is not None:
            return self.by_id(call.region, group_id)
        if name is None:
            raise missing("groupId")
        return self.by_name(call.region, name)

    def by_id(self, region: str, group_id: str) -> SecurityGroup:
        """The group with that id."""
        group: SecurityGroup = SECURITY_GROUP.find(self._state, region, group_id)
        return group

    def by_name(self, region: str, name: str) -> SecurityGroup:
        """The group with that name in the default VPC."""
        home = self._networks.default_vpc(region)
        if home is None:
            raise AWSError("VPCIdNotSpecified", "No default VPC for this user. Use the group's ID instead of its name.")
        return self._in_vpc(home.id, name, f"The security group '{name}' does not exist in default VPC '{home.id}'")

    def peer(self, group: SecurityGroup, pair: ec2.UserIdGroupPair) -> str:
        """The id of the group that a rule of ``group`` names as its peer."""
        if pair.vpc_peering_connection_id:
            raise unsupported("VPC peering")
        if pair.user_id and pair.user_id != group.owner:
            raise unsupported("A security group of another account")
        if pair.group_id is None:
            if pair.group_name is None:
                raise missing("groupId")
            name = pair.group_name
            return self._in_vpc(group.vpc_id, name, f"The security group '{name}' does not exist").id
        found = self.by_id(group.region, pair.group_id)
        if found.vpc_id != group.vpc_id:
            raise AWSError(
                "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
            )
        return found.id

    def prefix_list(self, region: str, prefix_list_id: str) -> None:
        """Raise InvalidPrefixListID.NotFound unless the region has the prefix list."""
        if prefix_list_id not in prefix_lists(region):
            raise AWSError("InvalidPrefixListID.NotFound", f"The prefix list ID '{prefix_list_id}' does not exist")

    def _in_vpc(self, vpc_id: str, name: str, absent: str) -> SecurityGroup:
        found = next((g for g in self._state.security_groups.by("vpc", vpc_id) if g.name == name), None)
        if found is None:
            raise AWSError("InvalidGroup.NotFound", absent)
        return found
