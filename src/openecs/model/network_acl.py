"""Network ACLs as state keeps them: ordered, stateless rules for the edges of subnets."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record

#: The number of the entry that denies what no other entry decided.
LAST_RULE = 32767


class AclEntry(Record, frozen=True, kw_only=True):
    """One rule; lower numbers are looked at first."""

    number: int
    egress: bool
    action: Literal["allow", "deny"]
    #: ``-1`` for all, otherwise a protocol number: ``6``, ``17``, ``1``.
    protocol: str
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


class AclAssociation(Record, frozen=True, kw_only=True):
    """A subnet to which an ACL applies; every subnet has exactly one."""

    id: str
    subnet_id: str


class NetworkAcl(Record, frozen=True, kw_only=True):
    """One network ACL."""

    id: str
    region: str
    owner: str
    vpc_id: str
    is_default: bool = False
    entries: tuple[AclEntry, ...] = ()
    associations: tuple[AclAssociation, ...] = ()
    #: Of the request that made it.
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id
