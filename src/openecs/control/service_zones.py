"""In which availability zones services may run, for zone rebalancing, and whom to wake.

Counts the usable nodes of every cluster and of the Fargate pool by zone as they change, so
that a snapshot costs nothing however many nodes there are.  Remembers zones that had no room
for a service until a node changes; that memory is a hint and may be lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from openecs.control.launch_spec import LaunchSpec
from openecs.control.region_networks import RegionNetworks
from openecs.model.node import ContainerInstance, Node
from openecs.model.service import Deployment, Service
from openecs.planning.launch_requirements import launch_types
from openecs.planning.service_places import Zones
from openecs.planning.zone_rebalancing import ZONE_ATTRIBUTE, eligible
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice

#: Seconds after which a zone without room is tried again even if no node seems to have changed.
FULL_LASTS = 900.0
_ZONE = ZONE_ATTRIBUTE.removeprefix("attribute:")


class _Place(NamedTuple):
    """A kind of tasks in one zone: of a launch type in a cluster, or FARGATE (no cluster)."""

    cluster_arn: str | None
    launch_type: str
    zone: str


class ServiceZones:
    """Looks zones up for services."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._networks = networks
        self._usable: Counter[_Place] = Counter()
        #: Node or container instance → what it counts for.
        self._counted: dict[str, tuple[_Place, ...]] = {}
        #: Zones by (cluster, launch type), made again after a change.
        self._zones: dict[tuple[str | None, str], frozenset[str]] = {}
        self._appeared: dict[_Place, None] = {}
        #: Service → zone → until when not to try again.
        self._full: dict[str, dict[str, float]] = {}
        for node in state.nodes:
            self._node_replaced(None, node)
        for instance in state.container_instances:
            self._instance_replaced(None, instance)
        self._appeared.clear()
        # As watchers of the tables these see changes that are undone, too.
        state.nodes.watch(self._node_replaced)
        state.container_instances.watch(self._instance_replaced)

    def of(self, service: Service, now: float) -> Zones:
        """The zones of a service; empty when rebalancing is not for it."""
        deployment = service.primary
        if service.availability_zone_rebalancing != "ENABLED" or deployment is None or not eligible(service):
            return Zones()
        full = self._full.get(service.arn, {})
        return Zones(
            self._usable_by(service, deployment),
            frozenset(zone for zone, until in full.items() if until > now) if full else frozenset(),
        )

    def refuse(self, service: Service, zone: str, now: float) -> None:
        """The zone had no room for a task of the service."""
        self._full.setdefault(service.arn, {})[zone] = now + FULL_LASTS

    def try_again_at(self, service: Service, now: float) -> float | None:
        """When the first of its zones without room is to be tried again (epoch seconds)."""
        full = self._full.get(service.arn)
        return min((until for until in full.values() if until > now), default=None) if full else None

    def forget(self, service_arn: str) -> None:
        """The service is gone."""
        self._full.pop(service_arn, None)

    def within(self, spec: LaunchSpec, zone: str) -> LaunchSpec:
        """``spec`` for tasks of one zone only, and only if it has room now."""
        configuration = spec.network_configuration
        vpc = configuration.awsvpc_configuration if configuration else None
        if configuration is not None and vpc is not None:
            region = spec.cluster.region
            found = [(subnet_id, self._networks.subnet(region, subnet_id)) for subnet_id in vpc.subnets]
            inside = tuple(subnet_id for subnet_id, s in found if s is not None and s.availability_zone == zone)
            if inside:
                vpc = msgspec.structs.replace(vpc, subnets=inside)
                configuration = msgspec.structs.replace(configuration, awsvpc_configuration=vpc)
        quoted = zone.replace("\\", "\\\\").replace('"', '\\"')
        constraint = ecs.PlacementConstraint(type="memberOf", expression=f'{ZONE_ATTRIBUTE} == "{quoted}"')
        return msgspec.structs.replace(
            spec,
            network_configuration=configuration,
            waits=False,
            placement_constraints=(*spec.placement_constraints, constraint),
        )

    # Whom changes wake.

    def place_changed(self, notice: Notice) -> Iterable[str]:
        """Services that a change of a node or container instance concerns."""
        old, new = notice.old, notice.new
        keys: dict[str, None] = {}
        appeared, self._appeared = self._appeared, {}
        for place in appeared:
            clusters = (
                self._state.services.values("zone_balanced") if place.cluster_arn is None else (place.cluster_arn,)
            )
            for cluster in clusters:
                keys.update((service.arn, None) for service in self._state.services.by("zone_balanced", cluster))
        if self._full and (old is None or new is None or not _same(old, new)):
            keys.update(dict.fromkeys(self._full))
            self._full.clear()
        return keys

    def _usable_by(self, service: Service, deployment: Deployment) -> frozenset[str]:
        fargate = deployment.launch_type == "FARGATE"
        key = (None if fargate else service.cluster_arn, deployment.launch_type)
        zones = self._zones.get(key)
        if zones is None:
            zones = self._zones[key] = frozenset(
                place.zone for place, count in self._usable.items() if count > 0 and place[:2] == key
            )
        vpc = deployment.network_configuration.awsvpc_configuration if deployment.network_configuration else None
        if fargate and vpc is not None:
            subnets = (self._networks.subnet(service.region, subnet_id) for subnet_id in vpc.subnets)
            zones &= {subnet.availability_zone for subnet in subnets if subnet is not None}
        return zones

    def _node_replaced(self, old: Node | None, new: Node | None) -> None:
        node = new or old
        if node is None or (old is not None and new is not None and _same(old, new)):
            return
        self._count_pool(node.id, new)
        for instance in self._state.container_instances.by("node", node.id):
            self._count_instance(instance.arn, instance, new)

    def _instance_replaced(self, old: ContainerInstance | None, new: ContainerInstance | None) -> None:
        instance = new or old
        if instance is None or (old is not None and new is not None and _same(old, new)):
            return
        node = self._state.nodes.get(instance.node_id)
        self._count_instance(instance.arn, new, node)
        self._count_pool(instance.node_id, node)

    def _count_instance(self, arn: str, instance: ContainerInstance | None, node: Node | None) -> None:
        places: tuple[_Place, ...] = ()
        if instance is not None and node is not None and node.agent_connected and instance.status == "ACTIVE":
            attributes = {a.name: a.value or "" for a in instance.attributes}
            zone = attributes.get(_ZONE)
            if zone:
                places = tuple(_Place(instance.cluster_arn, kind, zone) for kind in sorted(launch_types(attributes)))
        self._count(arn, places)

    def _count_pool(self, node_id: str, node: Node | None) -> None:
        places: tuple[_Place, ...] = ()
        if node is not None and node.fargate_pool and node.agent_connected:
            # A node of the pool is where it registered to be as a container instance.
            instances = self._state.container_instances.by("node", node_id)
            zones = [a.value for a in instances[0].attributes if a.name == _ZONE and a.value] if instances else []
            places = tuple(_Place(None, "FARGATE", zone) for zone in zones)
        self._count(f"pool/{node_id}", places)

    def _count(self, key: str, places: tuple[_Place, ...]) -> None:
        before = self._counted.get(key, ())
        if before == places:
            return
        for place in before:
            self._usable[place] -= 1
            if not self._usable[place]:
                del self._usable[place]
                self._zones.pop(place[:2], None)
        for place in places:
            self._usable[place] += 1
            if self._usable[place] == 1:
                self._appeared[place] = None
                self._zones.pop(place[:2], None)
        if places:
            self._counted[key] = places
        else:
            self._counted.pop(key, None)


def _same(old: Node | ContainerInstance, new: Node | ContainerInstance) -> bool:
    """Whether a change of a record changes nothing about what may run there."""
    if isinstance(old, Node) and isinstance(new, Node):
        return (
            old.agent_connected == new.agent_connected
            and old.fargate_pool == new.fargate_pool
            and old.capacity == new.capacity
        )
    if isinstance(old, ContainerInstance) and isinstance(new, ContainerInstance):
        return old.status == new.status and old.attributes == new.attributes
    return False
