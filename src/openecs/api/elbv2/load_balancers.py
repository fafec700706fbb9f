"""Load balancers: create, describe, delete, and their groups, subnets and address type."""

from __future__ import annotations

from typing import Literal

from openecs.api.elbv2 import errors, limits, tag_store
from openecs.api.elbv2.activation import until_active
from openecs.api.elbv2.attributes import of_load_balancer
from openecs.api.elbv2.balancer_network import (
    Wanted,
    checked_groups,
    default_groups,
    enter_subnet,
    leave_subnet,
    wanted_subnets,
)
from openecs.api.elbv2.load_balancer_view import inbound_rules, load_balancer_view, zones_view
from openecs.api.elbv2.lookup import Lookup, only_one, ordered
from openecs.api.elbv2.names import check_name
from openecs.api.elbv2.paging import Pages
from openecs.errors import AWSError
from openecs.model import balancer_arns
from openecs.model.load_balancer import DNS_ZONE, BalancerZone, LoadBalancer
from openecs.model.record import changed
from openecs.shapes import ecs, elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

#: Load balancers that can be named in one call.
MOST_NAMED = 20


class LoadBalancers:
    """The operations on load balancers themselves."""

    def __init__(self, state: State, pages: Pages, patience: float) -> None:
        self._state = state
        self._pages = pages
        self._patience = patience
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateLoadBalancer": self.create,
            "DescribeLoadBalancers": self.describe,
            "DeleteLoadBalancer": self.delete,
            "SetSecurityGroups": self.set_security_groups,
            "SetSubnets": self.set_subnets,
            "SetIpAddressType": self.set_ip_address_type,
            "DescribeCapacityReservation": self.describe_capacity_reservation,
        }

    async def create(self, call: Call, request: elbv2.CreateLoadBalancerInput) -> elbv2.CreateLoadBalancerOutput:
        """Make a load balancer, or find the one that was made with the same settings."""
        made = self._make(call, request)
        await until_active(self._state, made.arn, self._patience)
        # Somebody may have changed it meanwhile, or deleted it.
        balancer = self._state.load_balancers.get(made.arn) or made
        return elbv2.CreateLoadBalancerOutput(load_balancers=(load_balancer_view(self._state, balancer),))

    def _make(self, call: Call, request: elbv2.CreateLoadBalancerInput) -> LoadBalancer:
        state = self._state
        kind = _kind(request)
        _refuse(request)
        check_name("load balancer", request.name)
        scheme: Literal["internet-facing", "internal"] = request.scheme or "internet-facing"
        wanted = wanted_subnets(state, call, request.subnets, request.subnet_mappings, kind=kind, scheme=scheme)
        vpc = wanted[0].subnet.vpc_id
        groups = checked_groups(state, call, request.security_groups or (), vpc)
        if not groups and kind == "application":
            groups = default_groups(state, vpc)
        tags = tag_store.checked(request.tags)
        known = state.load_balancers.by("region", call.region)
        same_name = next((balancer for balancer in known if balancer.name == request.name), None)
        if same_name is not None:
            if not self._same(same_name, kind, scheme, wanted, groups, tags):
                raise AWSError(
                    "DuplicateLoadBalancerName",
                    f"A load balancer with the same name '{request.name}' exists, but with different settings",
                )
            return same_name
        most = limits.APPLICATION_LOAD_BALANCERS if kind == "application" else limits.NETWORK_LOAD_BALANCERS
        if sum(balancer.type == kind for balancer in known) >= most:
            raise errors.too_many("TooManyLoadBalancers", most, f"{kind} load balancers")
        id16 = call.ids.hex32()[:16]
        bare = LoadBalancer(
            arn=balancer_arns.load_balancer(call.region, call.account, kind, request.name, id16),
            region=call.region,
            name=request.name,
            type=kind,
            scheme=scheme,
            vpc_id=vpc,
            dns_name=_dns_name(call.region, request.name, kind, scheme, id16),
            created_at=call.now,
            security_groups=groups,
            reason="",
        )
        with state.transaction() as tx:
            balancer = changed(bare, zones=tuple(enter_subnet(tx, state, call, bare, each) for each in wanted))
            tx.put(balancer)
            tag_store.add(tx, state, balancer.arn, tags)
        return balancer

    def describe(self, call: Call, request: elbv2.DescribeLoadBalancersInput) -> elbv2.DescribeLoadBalancersOutput:
        """Load balancers by ARN, by name, or all of them."""
        only_one(LoadBalancerArns=request.load_balancer_arns, Names=request.names)
        if len(request.load_balancer_arns or ()) > MOST_NAMED or len(request.names or ()) > MOST_NAMED:
            raise errors.validation_error(f"At most {MOST_NAMED} load balancers can be specified")
        known = self._state.load_balancers.by("region", call.region)
        if request.load_balancer_arns:
            chosen = {arn: self._lookup.load_balancer(call, arn) for arn in request.load_balancer_arns}
            found = list(chosen.values())
        elif request.names:
            by_name = {balancer.name: balancer for balancer in known}
            missing = [name for name in request.names if name not in by_name]
            if missing:
                raise errors.load_balancer_not_found(", ".join(missing))
            found = [by_name[name] for name in dict.fromkeys(request.names)]
        else:
            found = list(known)
        page, marker = self._pages.page(
            ordered(found), request.page_size, request.marker, f"load-balancers/{call.region}", lambda b: b.arn
        )
        return elbv2.DescribeLoadBalancersOutput(
            load_balancers=tuple(load_balancer_view(self._state, balancer) for balancer in page), next_marker=marker
        )

    def delete(self, call: Call, request: elbv2.DeleteLoadBalancerInput) -> elbv2.DeleteLoadBalancerOutput:
        """Delete a load balancer with its listeners; one that is gone already is no error."""
        state = self._state
        try:
            balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
        except AWSError as error:
            if error.code != "LoadBalancerNotFound":
                raise
            return elbv2.DeleteLoadBalancerOutput()
        if of_load_balancer(balancer)["deletion_protection.enabled"] == "true":
            raise errors.not_permitted(
                f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled"
            )
        with state.transaction() as tx:
            for listener in state.listeners.by("load_balancer", balancer.arn):
                for rule in state.listener_rules.by("listener", listener.arn):
                    tx.delete(rule)
                    tag_store.forget(tx, state, rule.arn)
                tx.delete(listener)
                tag_store.forget(tx, state, listener.arn)
            for zone in balancer.zones:
                leave_subnet(tx, state, zone)
            for host in state.balancer_hosts.by("load_balancer", balancer.arn):
                tx.delete(host)
            tag_store.forget(tx, state, balancer.arn)
            tx.delete(balancer)
        return elbv2.DeleteLoadBalancerOutput()

    def set_security_groups(self, call: Call, request: elbv2.SetSecurityGroupsInput) -> elbv2.SetSecurityGroupsOutput:
        """Put a load balancer into other security groups."""
        state = self._state
        balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
        groups = checked_groups(state, call, request.security_groups, balancer.vpc_id)
        if not groups:
            raise errors.validation_error("At least one security group must be specified")
        if balancer.type == "network" and not balancer.security_groups:
            raise errors.invalid_configuration(
                "You cannot set security groups on a network load balancer that was created without security groups"
            )
        inbound = request.enforce_security_group_inbound_rules_on_private_link_traffic
        if inbound is not None and balancer.type != "network":
            raise errors.validation_error(
                "'EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic' is for network load balancers only"
            )
        if inbound == "off":
            raise errors.not_supported("Private links to load balancers are")
        balancer = changed(balancer, security_groups=groups)
        with state.transaction() as tx:
            tx.put(balancer)
            for interface in state.interfaces.by("owner", balancer.arn):
                tx.put(changed(interface, security_groups=groups))
        return elbv2.SetSecurityGroupsOutput(
            security_group_ids=groups,
            enforce_security_group_inbound_rules_on_private_link_traffic=inbound_rules(balancer),
        )

    def set_subnets(self, call: Call, request: elbv2.SetSubnetsInput) -> elbv2.SetSubnetsOutput:
        """Have a load balancer in exactly these subnets; where it stays it keeps its address."""
        state = self._state
        balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
        _refuse_address_type(request.ip_address_type)
        if request.enable_prefix_for_ipv6_source_nat == "on":
            raise errors.not_supported("IPv6 addresses of load balancers are")
        wanted = wanted_subnets(
            state, call, request.subnets, request.subnet_mappings, kind=balancer.type, scheme=balancer.scheme
        )
        if wanted[0].subnet.vpc_id != balancer.vpc_id:
            raise errors.invalid_configuration(f"The subnets must be in the load balancer's VPC '{balancer.vpc_id}'")
        old = {zone.subnet_id: zone for zone in balancer.zones}
        with state.transaction() as tx:
            kept = {each.subnet.id for each in wanted if _unchanged(each, old.get(each.subnet.id))}
            for zone in balancer.zones:
                if zone.subnet_id not in kept:
                    leave_subnet(tx, state, zone)
            zones = tuple(
                old[each.subnet.id] if each.subnet.id in kept else enter_subnet(tx, state, call, balancer, each)
                for each in wanted
            )
            balancer = changed(balancer, zones=zones)
            tx.put(balancer)
        return elbv2.SetSubnetsOutput(availability_zones=zones_view(state, balancer), ip_address_type="ipv4")

    def set_ip_address_type(self, call: Call, request: elbv2.SetIpAddressTypeInput) -> elbv2.SetIpAddressTypeOutput:
        """``ipv4`` is all there is."""
        self._lookup.load_balancer(call, request.load_balancer_arn)
        _refuse_address_type(request.ip_address_type)
        return elbv2.SetIpAddressTypeOutput(ip_address_type="ipv4")

    def describe_capacity_reservation(
        self, call: Call, request: elbv2.DescribeCapacityReservationInput
    ) -> elbv2.DescribeCapacityReservationOutput:
        """There are none: a load balancer has what its hosts have."""
        self._lookup.load_balancer(call, request.load_balancer_arn)
        return elbv2.DescribeCapacityReservationOutput(decrease_requests_remaining=0, capacity_reservation_state=())

    def _same(
        self,
        balancer: LoadBalancer,
        kind: str,
        scheme: str,
        wanted: tuple[Wanted, ...],
        groups: tuple[str, ...],
        tags: tuple[ecs.Tag, ...],
    ) -> bool:
        """Whether a load balancer was made with these settings."""
        old = {zone.subnet_id: zone for zone in balancer.zones}
        return (
            (balancer.type, balancer.scheme) == (kind, scheme)
            and set(old) == {each.subnet.id for each in wanted}
            and all(_unchanged(each, old[each.subnet.id]) for each in wanted)
            and set(balancer.security_groups) == set(groups)
            and set(tag_store.tags_of(self._state, balancer.arn)) == set(tags)
        )


def _unchanged(wanted: Wanted, zone: BalancerZone | None) -> bool:
    """Whether the load balancer is in the subnet already, with the same choice of address."""
    chosen = wanted.private_address is not None
    return zone is not None and (zone.allocation_id, zone.chosen_address) == (wanted.allocation_id, chosen)


def _kind(request: elbv2.CreateLoadBalancerInput) -> Literal["application", "network"]:
    kind = request.type or "application"
    if kind == "gateway":
        raise errors.not_supported("Gateway load balancers are")
    return kind


def _refuse(request: elbv2.CreateLoadBalancerInput) -> None:
    """What a load balancer cannot be here."""
    _refuse_address_type(request.ip_address_type)
    if request.customer_owned_ipv4_pool:
        raise errors.not_supported("Customer-owned address pools are")
    if request.ipam_pools is not None:
        raise errors.not_supported("IPAM pools are")
    if request.enable_prefix_for_ipv6_source_nat == "on":
        raise errors.not_supported("IPv6 addresses of load balancers are")


def _refuse_address_type(kind: str | None) -> None:
    if kind not in (None, "ipv4"):
        raise errors.not_supported(f"The IP address type '{kind}' is")


def _dns_name(region: str, name: str, kind: str, scheme: str, id16: str) -> str:
    """AWS's form: ten digits for application load balancers, the id for network ones."""
    number = f"{int(id16, 16) % 10**10:010d}" if kind == "application" else id16
    prefix = "internal-" if scheme == "internal" and kind == "application" else ""
    return f"{prefix}{name}-{number}.{region}.{DNS_ZONE}"
