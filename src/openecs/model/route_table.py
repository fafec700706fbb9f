"""Route tables, gateways and elastic addresses as state keeps them."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record


class Route(Record, frozen=True, kw_only=True):
    """One route.  ``target`` is an id: ``local``, ``igw-…``, ``nat-…``, ``eni-…``, ``vpce-…``."""

    destination: str
    target: str
    origin: Literal["CreateRouteTable", "CreateRoute"] = "CreateRoute"


class RouteTableAssociation(Record, frozen=True, kw_only=True):
    """A subnet that uses a route table, or with ``main`` all subnets that name no other."""

    id: str
    subnet_id: str | None = None
    gateway_id: str | None = None
    main: bool = False


class RouteTable(Record, frozen=True, kw_only=True):
    """One route table."""

    id: str
    region: str
    owner: str
    vpc_id: str
    routes: tuple[Route, ...] = ()
    associations: tuple[RouteTableAssociation, ...] = ()
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id


class InternetGateway(Record, frozen=True, kw_only=True):
    """One internet gateway; attached to one VPC at most."""

    id: str
    region: str
    owner: str
    vpc_id: str | None = None

    @property
    def key(self) -> str:
        return self.id


class NatGateway(Record, frozen=True, kw_only=True):
    """One NAT gateway; the hosts do its work wherever a route names it."""

    id: str
    region: str
    owner: str
    vpc_id: str
    subnet_id: str
    created_at: float
    state: Literal["pending", "failed", "available", "deleting", "deleted"] = "available"
    connectivity_type: Literal["private", "public"] = "public"
    network_interface_id: str = ""
    private_ip: str = ""
    allocation_id: str | None = None
    public_ip: str | None = None
    association_id: str | None = None
    deleted_at: float | None = None
    client_token: str | None = None

    @property
    def key(self) -> str:
        return self.id


class ElasticAddress(Record, frozen=True, kw_only=True):
    """One elastic IP address; ``public_ip`` is reachable from the installation's hosts."""

    allocation_id: str
    region: str
    owner: str
    public_ip: str
    association_id: str | None = None
    network_interface_id: str | None = None
    private_ip: str | None = None

    @property
    def key(self) -> str:
        return self.allocation_id
