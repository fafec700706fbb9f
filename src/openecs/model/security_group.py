"""Security groups and their rules as state keeps them."""

from __future__ import annotations

from openecs.model.record import Record


class SecurityGroup(Record, frozen=True, kw_only=True):
    """One security group; its rules are records of their own."""

    id: str
    region: str
    owner: str
    vpc_id: str
    name: str
    description: str
    created_at: float = 0.0

    @property
    def key(self) -> str:
        return self.id


class SecurityGroupRule(Record, frozen=True, kw_only=True):
    """One rule: one protocol, one range of ports, one peer.

    Exactly one of ``cidr_ipv4``, ``cidr_ipv6``, ``referenced_group_id`` and ``prefix_list_id`` is set.
    """

    id: str
    region: str
    owner: str
    group_id: str
    is_egress: bool
    #: ``-1`` (all), ``tcp``, ``udp``, ``icmp``, ``icmpv6`` or a protocol number.
    protocol: str
    #: Ports, or ICMP type and code; -1 for all of them.
    from_port: int = -1
    to_port: int = -1
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    referenced_group_id: str | None = None
    prefix_list_id: str | None = None
    description: str | None = None

    @property
    def key(self) -> str:
        return self.id
