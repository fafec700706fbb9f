"""The tables of OpenECS: what is kept, and by what it is found.

Index names say what the value is.  ``State`` is the one handle that handlers, loops and the
agent gateway share; its ``store`` opens transactions.
"""

from __future__ import annotations

from openecs.model.access_key import AccessKey
from openecs.model.capacity_provider import CapacityProvider
from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.node import ContainerInstance, Node
from openecs.model.service import Service, ServiceEvents
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.settings import AccountSetting
from openecs.model.tags import ResourceTags
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition, TaskDefinitionFamily
from openecs.state.addresses import Addresses
from openecs.state.fleet import Fleet
from openecs.state.journal.protocol import Journal
from openecs.state.store import Store
from openecs.state.table import Table
from openecs.state.usage import Usage, holds_the_same


class State:
    """Every table, and the store that keeps them consistent and durable."""

    def __init__(self, journal: Journal) -> None:
        self.clusters = Table("cluster", Cluster, region=lambda c: c.region)
        self.task_definitions = Table(
            "task_definition",
            TaskDefinition,
            region=lambda d: d.region,
            family=lambda d: (d.region, d.family),
        )
        self.families = Table("family", TaskDefinitionFamily, region=lambda f: f.region)
        self.nodes = Table("node", Node)
        self.container_instances = Table(
            "container_instance",
            ContainerInstance,
            cluster=lambda i: i.cluster_arn,
            #: Instances whose tasks have to go elsewhere.
            not_active=lambda i: None if i.status == "ACTIVE" else i.cluster_arn,
            node=lambda i: i.node_id,
        )
        self.tasks = Table(
            "task",
            Task,
            cluster=lambda t: t.cluster_arn,
            service=lambda t: t.service_arn,
            node=lambda t: t.node_id,
            container_instance=lambda t: t.container_instance_arn,
            #: Tasks that wait for a node.
            unplaced=lambda t: None if t.node_id or t.stopped else t.cluster_arn,
            #: Tasks that a capacity provider serves, by the deployment or group that its strategy is for.
            provided=lambda t: (
                None
                if t.capacity_provider_name is None or t.stopped or t.desired_status == "STOPPED"
                else (t.cluster_arn, t.deployment_id or t.group, t.capacity_provider_name)
            ),
            #: Tasks that hold resources of their node.
            live_on_node=lambda t: None if t.stopped else t.node_id,
            stopped=lambda t: "stopped" if t.stopped else None,
            task_definition=lambda t: t.task_definition_arn,
        )
        self.usage = Usage()
        self.fleet = Fleet(self.nodes, self.container_instances, self.usage)
        self.tasks.watch(self._task_changed)
        self.addresses = Addresses()
        self.tasks.watch(self.addresses.task_changed)
        self.services = Table(
            "service",
            Service,
            cluster=lambda s: s.cluster_arn,
            #: DAEMON services, which every change of a container instance concerns.
            daemons=lambda s: s.cluster_arn if s.scheduling_strategy == "DAEMON" and s.status != "INACTIVE" else None,
            #: Services whose tasks are kept balanced over availability zones.
            zone_balanced=lambda s: (
                s.cluster_arn if s.availability_zone_rebalancing == "ENABLED" and s.status == "ACTIVE" else None
            ),
        )
        self.service_events = Table("service_events", ServiceEvents)
        self.service_deployments = Table("service_deployment", ServiceDeployment, service=lambda d: d.service_arn)
        self.service_revisions = Table("service_revision", ServiceRevision, service=lambda r: r.service_arn)
        self.capacity_providers = Table("capacity_provider", CapacityProvider, region=lambda p: p.region)
        self.tags = Table("tags", ResourceTags)
        self.settings = Table("setting", AccountSetting, region=lambda s: s.region)
        self.client_tokens = Table("client_token", ClientToken)
        self.access_keys = Table("access_key", AccessKey, task=lambda k: k.task_arn)
        self.store = Store(
            [
                self.clusters,
                self.task_definitions,
                self.families,
                self.nodes,
                self.container_instances,
                self.tasks,
                self.services,
                self.service_events,
                self.service_deployments,
                self.service_revisions,
                self.capacity_providers,
                self.tags,
                self.settings,
                self.client_tokens,
                self.access_keys,
            ],
            journal,
        )
        self.transaction = self.store.transaction

    def _task_changed(self, old: Task | None, new: Task | None) -> None:
        """Keep what is derived from tasks right; most of their changes are none to it."""
        if holds_the_same(old, new):
            return
        self.usage.task_changed(old, new)
        self.fleet.task_changed(old, new)
