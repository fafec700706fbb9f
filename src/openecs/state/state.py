"""The tables of OpenECS: what is kept, and by what it is found.

Index names say what the value is.  ``State`` is the one handle that handlers, loops and the
agent gateway share; its ``store`` opens transactions.
"""

from __future__ import annotations

from typing import Any

from openecs import arn as arns
from openecs.model.access_key import AccessKey
from openecs.model.alarm import AlarmMuteRule, AlarmNotification, CompositeAlarm, MetricAlarm
from openecs.model.auto_scaling_group import AutoScalingGroup, GroupActivity, GroupInstance
from openecs.model.capacity_provider import CapacityProvider
from openecs.model.cluster import Cluster
from openecs.model.dashboard import Dashboard
from openecs.model.discovery import DiscoveryInstance, DiscoveryOperation, DiscoveryService, Namespace
from openecs.model.event_archive import EventArchive, EventReplay
from openecs.model.event_connection import ApiDestination, EventConnection
from openecs.model.event_delivery import EventDelivery
from openecs.model.event_rule import EventBus, EventRule
from openecs.model.host import Host
from openecs.model.idempotency import ClientToken
from openecs.model.load_balancer import BalancerHost, Certificate, Listener, ListenerRule, LoadBalancer
from openecs.model.log_filter import LogResourcePolicy, MetricFilter, SubscriptionFilter, SubscriptionProgress
from openecs.model.network_acl import NetworkAcl
from openecs.model.network_interface import Interface
from openecs.model.node import ContainerInstance, Node
from openecs.model.query_definition import QueryDefinition
from openecs.model.route_table import ElasticAddress, InternetGateway, NatGateway, RouteTable
from openecs.model.scaling import ScalableTarget, ScalingActivity, ScalingPolicy, ScheduledScaling
from openecs.model.schedule import Schedule, ScheduleGroup, ScheduleInvocation, ScheduleProgress
from openecs.model.security_group import SecurityGroup, SecurityGroupRule
from openecs.model.service import Service, ServiceEvents
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.settings import AccountSetting
from openecs.model.tags import ResourceTags
from openecs.model.target_group import Target, TargetGroup, TargetHealth
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition, TaskDefinitionFamily
from openecs.model.vpc import RegionSetup, Vpc, VpcSubnet
from openecs.model.vpc_extras import LaunchTemplate, VpcEndpoint
from openecs.state.addresses import Addresses
from openecs.state.alarm_actions import AlarmActions
from openecs.state.alarm_parents import AlarmParents
from openecs.state.balancer_usage import BalancerUsage
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
            #: The ids under which it can be a target.
            ec2_instance=lambda i: i.ec2_instance_id,
            short_id=lambda i: arns.short(i.arn),
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
            #: Tasks that may call names of Service Connect, by ``namespace id/node id``.
            connect_clients=lambda t: (
                None
                if t.connect is None or t.node_id is None or t.stopped or not t.connect.names
                else f"{t.connect.namespace_id}/{t.node_id}"
            ),
            #: Tasks that leave Service Connect and may have requests in flight, by namespace.
            connect_draining=lambda t: (
                None if t.connect is None or t.connect_draining_since is None or t.stopped else t.connect.namespace_id
            ),
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
        self.region_setups = Table("region_setup", RegionSetup)
        self.vpcs = Table("vpc", Vpc, region=lambda v: v.region)
        self.subnets = Table("subnet", VpcSubnet, region=lambda s: s.region, vpc=lambda s: s.vpc_id)
        self.security_groups = Table("security_group", SecurityGroup, region=lambda g: g.region, vpc=lambda g: g.vpc_id)
        self.security_group_rules = Table(
            "security_group_rule",
            SecurityGroupRule,
            region=lambda r: r.region,
            group=lambda r: r.group_id,
            #: Rules by the group that they let in or out.
            referenced=lambda r: r.referenced_group_id,
        )
        self.network_acls = Table("network_acl", NetworkAcl, region=lambda a: a.region, vpc=lambda a: a.vpc_id)
        self.route_tables = Table("route_table", RouteTable, region=lambda t: t.region, vpc=lambda t: t.vpc_id)
        self.internet_gateways = Table(
            "internet_gateway", InternetGateway, region=lambda g: g.region, vpc=lambda g: g.vpc_id
        )
        self.nat_gateways = Table(
            "nat_gateway", NatGateway, region=lambda g: g.region, vpc=lambda g: g.vpc_id, subnet=lambda g: g.subnet_id
        )
        self.elastic_addresses = Table("elastic_address", ElasticAddress, region=lambda a: a.region)
        #: Interfaces that are not of tasks.
        self.interfaces = Table(
            "interface",
            Interface,
            region=lambda i: i.region,
            subnet=lambda i: i.subnet_id,
            vpc=lambda i: i.vpc_id,
            owner=lambda i: i.owner_arn,
        )
        self.elastic_addresses.watch(self.addresses.elastic_changed)
        self.interfaces.watch(self.addresses.interface_changed)
        self.vpc_endpoints = Table("vpc_endpoint", VpcEndpoint, region=lambda e: e.region, vpc=lambda e: e.vpc_id)
        self.launch_templates = Table("launch_template", LaunchTemplate, region=lambda t: t.region)
        self.load_balancers = Table("load_balancer", LoadBalancer, region=lambda b: b.region, vpc=lambda b: b.vpc_id)
        self.balancer_hosts = Table(
            "balancer_host", BalancerHost, load_balancer=lambda h: h.load_balancer_arn, node=lambda h: h.node_id
        )
        self.listeners = Table(
            "listener", Listener, region=lambda x: x.region, load_balancer=lambda x: x.load_balancer_arn
        )
        self.listener_rules = Table(
            "listener_rule", ListenerRule, region=lambda r: r.region, listener=lambda r: r.listener_arn
        )
        #: Which load balancer uses a target group or a certificate.
        self.balancer_usage = BalancerUsage()
        self.listeners.watch(self.balancer_usage.listener_changed)
        self.listener_rules.watch(self.balancer_usage.rule_changed)
        self.certificates = Table("certificate", Certificate, region=lambda c: c.region)
        self.target_groups = Table("target_group", TargetGroup, region=lambda g: g.region, vpc=lambda g: g.vpc_id)
        self.targets = Table("target", Target, target_group=lambda t: t.target_group_arn, task=lambda t: t.task_arn)
        self.target_health = Table("target_health", TargetHealth, target_group=lambda h: h.target_group_arn)
        self.namespaces = Table("namespace", Namespace, region=lambda n: n.region)
        self.discovery_services = Table(
            "discovery_service", DiscoveryService, region=lambda s: s.region, namespace=lambda s: s.namespace_id
        )
        self.discovery_instances = Table(
            "discovery_instance", DiscoveryInstance, service=lambda i: i.service_id, task=lambda i: i.task_arn
        )
        self.discovery_operations = Table("discovery_operation", DiscoveryOperation, region=lambda o: o.region)
        self.hosts = Table("host", Host)
        self.metric_alarms = Table(
            "metric_alarm", MetricAlarm, region=lambda a: a.region, owner=lambda a: a.owner or None
        )
        #: Which alarms act on a scaling policy.
        self.alarm_actions = AlarmActions()
        self.metric_alarms.watch(self.alarm_actions.alarm_changed)
        self.scalable_targets = Table(
            "scalable_target", ScalableTarget, region=lambda t: t.region, service=lambda t: t.service_arn
        )
        self.scaling_policies = Table(
            "scaling_policy", ScalingPolicy, region=lambda p: p.region, target=lambda p: p.target_key
        )
        self.scheduled_scalings = Table(
            "scheduled_scaling", ScheduledScaling, region=lambda s: s.region, target=lambda s: s.target_key
        )
        self.scaling_activities = Table(
            "scaling_activity", ScalingActivity, region=lambda a: a.region, target=lambda a: a.target_key
        )
        self.query_definitions = Table("query_definition", QueryDefinition, region=lambda d: d.region)
        self.auto_scaling_groups = Table("auto_scaling_group", AutoScalingGroup, region=lambda g: g.region)
        self.group_instances = Table(
            "group_instance", GroupInstance, region=lambda i: i.region, group=lambda i: i.group_arn
        )
        self.group_activities = Table(
            "group_activity", GroupActivity, region=lambda a: a.region, group=lambda a: a.group_arn
        )
        self.composite_alarms = Table("composite_alarm", CompositeAlarm, region=lambda a: a.region)
        #: Which composite alarms depend on which alarms.
        self.alarm_parents = AlarmParents()
        self.composite_alarms.watch(self.alarm_parents.alarm_changed)
        self.alarm_mute_rules = Table("alarm_mute_rule", AlarmMuteRule, region=lambda r: r.region)
        self.alarm_notifications = Table("alarm_notification", AlarmNotification)
        self.dashboards = Table("dashboard", Dashboard)
        self.event_buses = Table("event_bus", EventBus, region=lambda b: b.region)
        self.event_rules = Table("event_rule", EventRule, bus=lambda r: (r.region, r.bus_name))
        self.schedule_groups = Table("schedule_group", ScheduleGroup, region=lambda g: g.region)
        self.schedules = Table("schedule", Schedule, region=lambda s: s.region, group=lambda s: (s.region, s.group))
        self.schedule_progress = Table("schedule_progress", ScheduleProgress)
        self.schedule_invocations = Table("schedule_invocation", ScheduleInvocation, schedule=lambda i: i.schedule_arn)
        self.event_deliveries = Table("event_delivery", EventDelivery)
        self.event_archives = Table(
            "event_archive", EventArchive, region=lambda a: a.region, source=lambda a: a.source_arn
        )
        self.event_replays = Table("event_replay", EventReplay, region=lambda r: r.region)
        self.event_connections = Table("event_connection", EventConnection, region=lambda c: c.region)
        self.api_destinations = Table(
            "api_destination", ApiDestination, region=lambda d: d.region, connection=lambda d: d.connection_arn
        )
        #: Filters by the region and name of their log group.
        self.metric_filters = Table("metric_filter", MetricFilter, group=lambda f: (f.region, f.group))
        self.subscription_filters = Table(
            "subscription_filter", SubscriptionFilter, group=lambda f: (f.region, f.group)
        )
        self.subscription_progress = Table("subscription_progress", SubscriptionProgress)
        self.log_resource_policies = Table("log_resource_policy", LogResourcePolicy, region=lambda p: p.region)
        #: All of them: a table that is not here would not be kept.
        self.tables: tuple[Table[Any], ...] = tuple(part for part in vars(self).values() if isinstance(part, Table))
        self.store = Store(self.tables, journal)
        self.transaction = self.store.transaction

    def _task_changed(self, old: Task | None, new: Task | None) -> None:
        """Keep what is derived from tasks right; most of their changes are none to it."""
        if holds_the_same(old, new):
            return
        self.usage.task_changed(old, new)
        self.fleet.task_changed(old, new)
