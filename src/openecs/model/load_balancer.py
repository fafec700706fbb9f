"""Load balancers, listeners and rules (Elastic Load Balancing v2) as state keeps them."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import elbv2

#: The DNS zone of all load balancers.
DNS_ZONE = "elb.openecs.internal"


class BalancerZone(Record, frozen=True, kw_only=True):
    """A subnet in which a load balancer has an address; the interface is a record of its own."""

    subnet_id: str
    availability_zone: str
    interface_id: str
    allocation_id: str | None = None
    #: Whether the user chose its private address.
    chosen_address: bool = False


class LoadBalancer(Record, frozen=True, kw_only=True):
    """One load balancer."""

    arn: str
    region: str
    name: str
    type: Literal["application", "network"]
    scheme: Literal["internet-facing", "internal"]
    vpc_id: str
    dns_name: str
    created_at: float
    zones: tuple[BalancerZone, ...] = ()
    security_groups: tuple[str, ...] = ()
    ip_address_type: str = "ipv4"
    #: Only what differs from the defaults of ``api.elbv2``.
    attributes: dict[str, str] = {}
    #: AWS's states; ``reason`` says why it is not active.
    state: Literal["provisioning", "active", "active_impaired", "failed"] = "provisioning"
    reason: str = ""

    @property
    def key(self) -> str:
        return self.arn


class BalancerHost(Record, frozen=True, kw_only=True):
    """What one host says of the part of a load balancer that it runs.  Written by its reports but for ``missed``."""

    load_balancer_arn: str
    node_id: str
    ready: bool = False
    #: Why it is not ready, or which of its settings the host could not do.
    problem: str = ""
    #: Listener ARN → ``address:port`` on the host at which the listener is reached from outside the VPC.
    endpoints: dict[str, str] = {}
    #: The routing revision (``control.balancer_revision``) that is in force there.
    applied: str = ""
    #: The host's agent is away; written by the control plane.
    missed: bool = False

    @property
    def key(self) -> str:
        return f"{self.load_balancer_arn}|{self.node_id}"


class Listener(Record, frozen=True, kw_only=True):
    """One listener of a load balancer."""

    arn: str
    region: str
    load_balancer_arn: str
    port: int
    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
    default_actions: tuple[elbv2.Action, ...]
    ssl_policy: str | None = None
    #: The default certificate, then those of the list, which may name the default one, too.
    certificates: tuple[str, ...] = ()
    alpn_policy: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    created_at: float = 0.0

    @property
    def key(self) -> str:
        return self.arn


class ListenerRule(Record, frozen=True, kw_only=True):
    """One rule of a listener; the default rule is made of the listener's own actions."""

    arn: str
    region: str
    listener_arn: str
    #: 1 to 50,000; the lowest that matches decides.
    priority: int
    conditions: tuple[elbv2.RuleCondition, ...]
    actions: tuple[elbv2.Action, ...]
    transforms: tuple[elbv2.RuleTransform, ...] = ()

    @property
    def key(self) -> str:
        return self.arn


class Certificate(Record, frozen=True, kw_only=True):
    """An imported certificate (ACM); the private key is sealed."""

    arn: str
    region: str
    certificate: str
    #: Sealed with the installation's key ring.
    sealed_private_key: bytes
    certificate_chain: str = ""
    created_at: float = 0.0
    #: When it was imported last.
    imported_at: float = 0.0
    domain_name: str = ""
    alternative_names: tuple[str, ...] = ()
    serial: str = ""
    subject: str = ""
    issuer: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    key_algorithm: str = ""
    signature_algorithm: str = ""

    @property
    def key(self) -> str:
        return self.arn
