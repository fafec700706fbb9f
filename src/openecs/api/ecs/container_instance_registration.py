"""RegisterContainerInstance: a host becomes a node and a container instance, or comes back.

Our own agent names its node, lends it to further clusters and to the Fargate pool through
attributes of our own (``registered_resources``); an agent that does not is a node of its own
in one cluster.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs import arn as arns
from openecs.api.ecs import lookup, registered_resources
from openecs.api.ecs.container_instance_view import resources, view
from openecs.api.ecs.draining import take_back
from openecs.api.ecs.node_ownership import require_owner
from openecs.errors import client_error
from openecs.ids import Ids
from openecs.model import tag_rules
from openecs.model.auto_scaling_group import instance_of
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance, Node
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call

#: Attributes that AWS's service adds to what the agent registers.
ZONE, INSTANCE_TYPE, IMAGE = "ecs.availability-zone", "ecs.instance-type", "ecs.ami-id"


class Registration:
    """The operation, apart from the others on container instances because of its size."""

    def __init__(self, state: State) -> None:
        self._state = state

    def register(
        self, call: Call, request: ecs.RegisterContainerInstanceRequest
    ) -> ecs.RegisterContainerInstanceResponse:
        """Answers with every attribute that the agent sent, as agents insist."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        capacity = registered_resources.capacity(request)
        identity = registered_resources.identity(request.instance_identity_document)
        named = registered_resources.attributes(request.attributes or ())
        tags = request.tags or ()
        tag_rules.check(tags)
        instance = self._known(call, cluster, request, registered_resources.node_id(named))
        if instance is not None:
            old_type = _value(instance.attributes, INSTANCE_TYPE)
            if old_type and identity.instance_type and old_type != identity.instance_type:
                raise registered_resources.instance_type_changed()
        node = self._node(call, cluster, request, capacity, identity, named, instance)
        if instance is None:
            instance = _new_instance(cluster, node, now=call.now, ids=call.ids)
        old_tags = self._state.tags.get(instance.arn)
        merged_tags = tag_rules.merge(old_tags.tags if old_tags else (), tags)
        registered = resources(
            cpu=capacity.total.cpu,
            memory=capacity.total.memory,
            ports=capacity.reserved_ports,
            ports_udp=capacity.reserved_ports_udp,
            gpus=node.gpus or None,
        )
        node = msgspec.structs.replace(node, instance_arn=instance.arn)
        instance = msgspec.structs.replace(
            instance,
            status="ACTIVE" if instance.taken_back else instance.status,
            taken_back=False,
            registered_attributes=tuple(
                ecs.Attribute(name=name, value=value) for name, value in named.items() if not _given_by_agent(name)
            ),
            attributes=_attributes(cluster, named, identity, instance.attributes, node),
            registered_resources=registered,
            ec2_instance_id=instance_of(call.principal.arn) or identity.instance_id or instance.ec2_instance_id,
        )
        with self._state.transaction() as tx:
            tx.put(node)
            tx.put(instance)
            if tags:
                tx.put(ResourceTags(arn=instance.arn, tags=merged_tags))
            self._refresh_lent(tx, node, instance)
            for other in [c for c in self._state.clusters if c.name in node.lent_to and c.arn != cluster.arn]:
                lend(self._state, tx, node, other, now=call.now, ids=call.ids)
            take_back(self._state, tx, node, now=call.now)
        return ecs.RegisterContainerInstanceResponse(container_instance=view(self._state, instance, ("TAGS",)))

    def _known(
        self, call: Call, cluster: Cluster, request: ecs.RegisterContainerInstanceRequest, node_id: str | None
    ) -> ContainerInstance | None:
        """The instance that comes back: by its ARN, or by its node's name in this cluster."""
        reference = request.container_instance_arn
        if reference:
            found = lookup.container_instance(self._state, cluster, reference)
            if found is None or found.status == "INACTIVE":
                raise client_error(f"Referenced container instance {arns.short(reference)} not registered.")
            require_owner(call, self._state.nodes.get(found.node_id), found.arn)
            return found
        if not node_id:
            return None
        return next(
            (
                instance
                for instance in self._state.container_instances.by("node", node_id)
                if instance.cluster_arn == cluster.arn and instance.status != "INACTIVE"
            ),
            None,
        )

    def _node(
        self,
        call: Call,
        cluster: Cluster,
        request: ecs.RegisterContainerInstanceRequest,
        capacity: registered_resources.Capacity,
        identity: registered_resources.Identity,
        named: dict[str, str | None],
        instance: ContainerInstance | None,
    ) -> Node:
        node_id = instance.node_id if instance else registered_resources.node_id(named) or call.ids.hex32()
        old = self._state.nodes.get(node_id)
        if old is not None:
            require_owner(call, old, cluster.arn)
        return Node(
            id=node_id,
            capacity=capacity.total,
            reserved_ports=capacity.reserved_ports,
            reserved_ports_udp=capacity.reserved_ports_udp,
            gpus=capacity.gpus,
            fargate_pool=named.get(registered_resources.FARGATE) == "true",
            lent_to=registered_resources.lent_to(named),
            availability_zone=named.get(ZONE) or identity.availability_zone or f"{cluster.region}a",
            architecture="arm64" if named.get("ecs.cpu-architecture") == "arm64" else "x86_64",
            agent_connected=old.agent_connected if old else False,
            version_info=request.version_info or (old.version_info if old else None),
            owner=old.owner if old else call.principal.arn,
            registered_at=old.registered_at if old else call.now,
        )

    def _refresh_lent(self, tx: Transaction, node: Node, instance: ContainerInstance) -> None:
        """What the agent says now holds for the node's other instances too."""
        own = {a.name: a.value for a in instance.attributes if _given_by_agent(a.name)}
        for other in self._state.container_instances.by("node", node.id):
            if other.arn == instance.arn or other.status == "INACTIVE":
                continue
            own[ZONE] = zone_in(other.region, node)
            tx.put(
                msgspec.structs.replace(
                    other,
                    attributes=_laid_over(other.attributes, own),
                    registered_resources=instance.registered_resources,
                    ec2_instance_id=instance.ec2_instance_id,
                )
            )


def lend(
    state: State, tx: Transaction, node: Node, cluster: Cluster, *, now: float, ids: Ids, again: bool = False
) -> None:
    """Make the node visible in a further cluster, unless it is or was there already.

    An instance that somebody deregistered does not come back by itself, only with a new
    cluster (``again``).  One that was taken back does.
    """
    instances = state.container_instances.by("node", node.id)
    if cluster.status != "ACTIVE" or not instances:
        return
    for there in instances:
        if there.cluster_arn != cluster.arn or (there.status == "INACTIVE" and (again or there.taken_back)):
            continue
        if there.taken_back:
            tx.put(msgspec.structs.replace(there, status="ACTIVE", taken_back=False, version=there.version + 1))
        return
    like = state.container_instances.get(node.instance_arn) or instances[0]
    attributes = {a.name: a.value for a in like.attributes if _given_by_agent(a.name)}
    attributes[ZONE] = zone_in(cluster.region, node)
    tx.put(
        msgspec.structs.replace(
            _new_instance(cluster, node, now=now, ids=ids),
            attributes=_laid_over((), attributes),
            registered_resources=like.registered_resources,
            ec2_instance_id=like.ec2_instance_id,
        )
    )


def zone_in(region: str, node: Node) -> str:
    """The node's availability zone as a region sees it; a node has one zone in its own region."""
    zone = node.availability_zone or ""
    return zone if zone.startswith(region) else f"{region}a"


def _new_instance(cluster: Cluster, node: Node, *, now: float, ids: Ids) -> ContainerInstance:
    base = cluster.arn.replace(":cluster/", ":container-instance/", 1)
    return ContainerInstance(
        arn=f"{base}/{ids.hex32()}",
        cluster_arn=cluster.arn,
        region=cluster.region,
        node_id=node.id,
        status="ACTIVE",
        registered_at=now,
    )


def _attributes(
    cluster: Cluster,
    named: dict[str, str | None],
    identity: registered_resources.Identity,
    old: tuple[ecs.Attribute, ...],
    node: Node,
) -> tuple[ecs.Attribute, ...]:
    added = {INSTANCE_TYPE: identity.instance_type, IMAGE: identity.image_id}
    given = {name: value for name, value in added.items() if value} | named
    # The agent's own word for its zone must come back as it is.
    given.setdefault(ZONE, zone_in(cluster.region, node))
    return _laid_over(old, given)


def _laid_over(old: Iterable[ecs.Attribute], given: dict[str, str | None]) -> tuple[ecs.Attribute, ...]:
    """The given attributes, after the ones of the old that were put through the API."""
    kept = {a.name: a.value for a in old if not _given_by_agent(a.name)}
    return tuple(ecs.Attribute(name=name, value=value) for name, value in (kept | given).items())


def _given_by_agent(name: str) -> bool:
    return name.startswith(registered_resources.RESERVED_PREFIXES)


def _value(attributes: Iterable[ecs.Attribute], name: str) -> str | None:
    return next((a.value for a in attributes if a.name == name), None)
