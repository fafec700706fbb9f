"""What is known of a group's machines from the nodes that they became, and what they shall be told.

Reads only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from openecs.model.auto_scaling_group import AutoScalingGroup, GroupInstance, instance_of
from openecs.model.capacity_provider import CapacityProvider
from openecs.model.node import ContainerInstance, Node
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.shapes import ec2
from openecs.state.state import State

_CLUSTER = re.compile(r"ECS_CLUSTER=[\"']?([A-Za-z0-9_-]+)")


class GroupMachines:
    """A view of state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def nodes(self) -> dict[str, Node]:
        """Machine → the node that it became."""
        return {name: node for node in self._state.nodes if (name := instance_of(node.owner)) is not None}

    def memberships(self, node: Node) -> list[ContainerInstance]:
        """The container instances of a node that are not gone."""
        return [one for one in self._state.container_instances.by("node", node.id) if one.status != "INACTIVE"]

    def tasks(self, node: Node) -> list[Task]:
        """What runs on a node, or is to, daemons left out."""
        return [task for task in self._state.tasks.by("live_on_node", node.id) if not self._is_daemon(task)]

    def providers(self, group: AutoScalingGroup) -> list[CapacityProvider]:
        """The capacity providers that stand for a group: one or none."""
        return [
            provider
            for provider in self._state.capacity_providers.by("region", group.region)
            if provider.status == "ACTIVE" and provider.group_name == group.name
        ]

    def drains(self, group: AutoScalingGroup) -> bool:
        """Whether machines of the group are emptied before they are ended."""
        return any(p.auto_scaling_group_provider.managed_draining != "DISABLED" for p in self.providers(group))

    def cluster(self, group: AutoScalingGroup, data: ec2.RequestLaunchTemplateData | None) -> str:
        """The name of the cluster that machines join: the user data's, else that of the capacity provider."""
        text = (data.user_data if data is not None else None) or ""
        try:
            named = _CLUSTER.search(base64.b64decode(text, validate=True).decode(errors="replace"))
        except (binascii.Error, ValueError):
            named = None
        if named is not None:
            return named[1]
        names = {provider.name for provider in self.providers(group)}
        for cluster in self._state.clusters:
            if cluster.region == group.region and cluster.status == "ACTIVE" and names & {*cluster.capacity_providers}:
                return cluster.name
        return "default"

    def launch_data(self, group: AutoScalingGroup) -> ec2.RequestLaunchTemplateData | None:
        """What the group's launch template says, if it has one that exists."""
        wanted = group.launch_template
        policy = group.mixed_instances_policy
        if wanted is None and policy is not None and policy.launch_template is not None:
            wanted = policy.launch_template.launch_template_specification
        if wanted is None:
            return None
        for template in self._state.launch_templates.by("region", group.region):
            if template.id != wanted.launch_template_id and template.name != wanted.launch_template_name:
                continue
            number = {"$Latest": template.versions[-1].number, "$Default": template.default_version}.get(
                wanted.version or "$Default"
            )
            for version in template.versions:
                if version.number == number or str(version.number) == wanted.version:
                    return version.data
        return None

    def instances(self, group: AutoScalingGroup) -> tuple[GroupInstance, ...]:
        """The machines of a group, oldest first."""
        return self._state.group_instances.by("group", group.arn)

    def _is_daemon(self, task: Task) -> bool:
        service: Service | None = self._state.services.get(task.service_arn or "")
        return service is not None and service.scheduling_strategy == "DAEMON"


def connected(memberships: Iterable[ContainerInstance], node: Node) -> bool:
    """Whether a machine does its work: its agent is there and some cluster has it."""
    return node.agent_connected and any(one.status == "ACTIVE" for one in memberships)
