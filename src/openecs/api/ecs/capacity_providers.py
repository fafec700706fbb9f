"""Capacity providers: create, describe, update, delete, and give them to clusters.

A provider of the Auto Scaling group kind stands for the machines whose agents joined under
the group's name (``openecs agent --group NAME``), and for those that the group started.  Managed
scaling needs the group itself and a provisioner (``control.provisioner``).
"""

from __future__ import annotations

import re

import msgspec

from openecs import arn as arns
from openecs.api.ecs import cluster_providers, cluster_view, lookup
from openecs.errors import client_error, invalid_parameter, not_supported
from openecs.model import tag_rules
from openecs.model.capacity_provider import FARGATE_PROVIDERS, CapacityProvider
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DESCRIBED = 100
PAGE = 10
_NAME = re.compile(r"(?!aws|ecs|fargate)[a-z0-9_-]{1,255}", re.ASCII | re.IGNORECASE)
#: Names of groups; machines carry theirs in an attribute, which cannot be longer.
_GROUP = re.compile(r"[ -~]{1,128}", re.ASCII)
#: What AWS fills in where managed scaling says nothing.
_SCALING = ecs.ManagedScaling(
    status="DISABLED",
    target_capacity=100,
    minimum_scaling_step_size=1,
    maximum_scaling_step_size=10_000,
    instance_warmup_period=300,
)


class CapacityProviders:
    """The operations on capacity providers."""

    def __init__(self, state: State, pagination: Pagination, *, provisioned: bool) -> None:
        """``provisioned``: whether there is a provisioner, which starts and stops machines."""
        self._state = state
        self._pagination = pagination
        self._provisioned = provisioned

    def handlers(self) -> Handlers:
        return {
            "CreateCapacityProvider": self.create,
            "DescribeCapacityProviders": self.describe,
            "UpdateCapacityProvider": self.update,
            "DeleteCapacityProvider": self.delete,
            "PutClusterCapacityProviders": self.put_for_cluster,
        }

    def create(self, call: Call, request: ecs.CreateCapacityProviderRequest) -> ecs.CreateCapacityProviderResponse:
        """Make a provider of an Auto Scaling group's name."""
        if not _NAME.fullmatch(request.name):
            raise client_error(
                "The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters "
                '(upper and lowercase), numbers, underscores, and hyphens. The name cannot be prefixed with "aws", '
                '"ecs", or "fargate". Specify a valid name and try again.'
            )
        if request.managed_instances_provider is not None:
            raise not_supported("managedInstancesProvider")
        if request.cluster:
            raise invalid_parameter(
                "cluster can only be specified for capacity providers of Amazon ECS Managed Instances."
            )
        given = request.auto_scaling_group_provider
        if given is None:
            raise client_error("A capacity provider needs an autoScalingGroupProvider. Specify one and try again.")
        tags = request.tags or ()
        tag_rules.check(tags)
        group = _group_name(given.auto_scaling_group_arn)
        settings = self._settings(call, group, given, ecs.AutoScalingGroupProviderUpdate())
        arn = arns.ecs(call.region, call.account, f"capacity-provider/{request.name}")
        for other in self._state.capacity_providers.by("region", call.region):
            if other.status != "ACTIVE":
                continue
            if other.arn == arn:
                raise client_error(
                    "The specified capacity provider already exists. To change the configuration of an existing "
                    "capacity provider, update the capacity provider."
                )
            if other.group_name == group:
                raise client_error(
                    "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify "
                    "a unique Auto Scaling group ARN and try again."
                )
        provider = CapacityProvider(
            arn=arn,
            name=request.name,
            region=call.region,
            status="ACTIVE",
            created_at=call.now,
            auto_scaling_group_provider=settings,
            group_name=group,
        )
        with self._state.transaction() as tx:
            tx.put(provider)
            tx.put(ResourceTags(arn=arn, tags=tag_rules.merge((), tags)))
        return ecs.CreateCapacityProviderResponse(capacity_provider=self._view(provider, tags=True))

    def describe(
        self, call: Call, request: ecs.DescribeCapacityProvidersRequest
    ) -> ecs.DescribeCapacityProvidersResponse:
        """The named providers, deleted ones for a while too; else every ACTIVE one, in pages."""
        tags = "TAGS" in (request.include or ())
        cluster = lookup.cluster(self._state, call, request.cluster) if request.cluster else None
        found: dict[str, ecs.CapacityProvider] = {}
        failures: dict[str, ecs.Failure] = {}
        names = request.capacity_providers or ()
        if len(names) > MAX_DESCRIBED:
            raise invalid_parameter(f"capacityProviders can have at most {MAX_DESCRIBED} items.")
        for reference in names:
            arn = _arn(call, reference)
            shown = self._described(arn, tags=tags)
            if shown is None or (cluster is not None and shown.name not in cluster.capacity_providers):
                failures[arn] = ecs.Failure(arn=arn, reason="MISSING")
            else:
                found[arn] = shown
        if not names:
            records = self._state.capacity_providers.by("region", call.region)
            own = {arns.short(p.arn): self._view(p, tags=tags) for p in records if p.status == "ACTIVE"}
            found = own | {name: self._reserved(_arn(call, name)) for name in FARGATE_PROVIDERS}
            if cluster is not None:
                found = {name: shown for name, shown in found.items() if name in cluster.capacity_providers}
        page, token = self._pagination.paginate(
            sorted(found),
            max_results=request.max_results,
            next_token=request.next_token,
            default=PAGE,
            limit=PAGE,
            scope=f"DescribeCapacityProviders:{call.region}:{request.cluster or ''}:{','.join(names)}",
        )
        return ecs.DescribeCapacityProvidersResponse(
            capacity_providers=tuple(found[key] for key in page), failures=tuple(failures.values()), next_token=token
        )

    def update(self, call: Call, request: ecs.UpdateCapacityProviderRequest) -> ecs.UpdateCapacityProviderResponse:
        """Change settings; those that are not given stay."""
        provider = self._existing(call, request.name, "updated")
        if request.managed_instances_provider is not None:
            raise not_supported("managedInstancesProvider")
        if request.auto_scaling_group_provider is None:
            raise client_error("autoScalingGroupProvider is required to update the capacity provider.")
        provider = msgspec.structs.replace(
            provider,
            auto_scaling_group_provider=self._settings(
                call, provider.group_name, provider.auto_scaling_group_provider, request.auto_scaling_group_provider
            ),
            update_status="UPDATE_COMPLETE",
            update_status_reason=None,
        )
        with self._state.transaction() as tx:
            tx.put(provider)
        return ecs.UpdateCapacityProviderResponse(capacity_provider=self._view(provider, tags=True))

    def delete(self, call: Call, request: ecs.DeleteCapacityProviderRequest) -> ecs.DeleteCapacityProviderResponse:
        """Make a provider INACTIVE.  One that a cluster has stays: the answer says DELETE_FAILED and why."""
        provider = self._existing(call, request.capacity_provider, "deleted")
        holders = cluster_providers.holders(self._state, call.region, provider.name)
        if holders:
            provider = msgspec.structs.replace(
                provider,
                update_status="DELETE_FAILED",
                update_status_reason=(
                    "The capacity provider cannot be deleted because it is associated with cluster: "
                    f"{holders[0].name}. Remove the capacity provider from the cluster and try again."
                ),
            )
        else:
            provider = msgspec.structs.replace(
                provider,
                status="INACTIVE",
                update_status="DELETE_COMPLETE",
                update_status_reason=None,
                deleted_at=call.now,
            )
        with self._state.transaction() as tx:
            tx.put(provider)
        return ecs.DeleteCapacityProviderResponse(capacity_provider=self._view(provider, tags=True))

    def put_for_cluster(
        self, call: Call, request: ecs.PutClusterCapacityProvidersRequest
    ) -> ecs.PutClusterCapacityProvidersResponse:
        """Set the providers of a cluster and its default strategy, in place of those it had."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        cluster = cluster_providers.attached(
            self._state, cluster, request.capacity_providers, request.default_capacity_provider_strategy
        )
        with self._state.transaction() as tx:
            tx.put(cluster)
        shown = cluster_view.view(self._state, cluster, ("SETTINGS", "TAGS", "ATTACHMENTS"))
        return ecs.PutClusterCapacityProvidersResponse(cluster=shown)

    def _settings(
        self,
        call: Call,
        group_name: str,
        base: ecs.AutoScalingGroupProvider,
        given: ecs.AutoScalingGroupProviderUpdate,
    ) -> ecs.AutoScalingGroupProvider:
        """``given`` over ``base`` over AWS's defaults; what needs power over machines needs a provisioner."""
        scaling = _SCALING
        for layer in (base.managed_scaling, given.managed_scaling):
            if layer is not None:
                named = {name: value for name in layer.__struct_fields__ if (value := getattr(layer, name)) is not None}
                scaling = msgspec.structs.replace(scaling, **named)
        protection = given.managed_termination_protection or base.managed_termination_protection or "DISABLED"
        usual: ecs.ManagedDraining = "ENABLED" if self._provisioned else "DISABLED"
        draining = given.managed_draining or base.managed_draining or usual
        wanted = {
            "autoScalingGroupProvider.managedScaling.status ENABLED": scaling.status != "DISABLED",
            "autoScalingGroupProvider.managedTerminationProtection ENABLED": protection != "DISABLED",
            "autoScalingGroupProvider.managedDraining ENABLED": draining != "DISABLED",
        }
        for member in (name for name, asked in wanted.items() if asked and not self._provisioned):
            raise client_error(
                f"{member} is not supported by an OpenECS without a provisioner, which cannot add or end machines. Use "
                "DISABLED and add machines to the group with openecs agent --group NAME, or start OpenECS with "
                "--provisioner PROGRAM."
            )
        _check_scaling(scaling)
        if scaling.status == "ENABLED" or protection == "ENABLED":
            self._check_group(call, group_name, protected=protection == "ENABLED")
        if protection == "ENABLED" and scaling.status != "ENABLED":
            raise client_error("Managed termination protection needs managed scaling. Enable both and try again.")
        return ecs.AutoScalingGroupProvider(
            auto_scaling_group_arn=base.auto_scaling_group_arn,
            managed_scaling=scaling,
            managed_termination_protection=protection,
            managed_draining=draining,
        )

    def _check_group(self, call: Call, name: str, *, protected: bool) -> None:
        groups = self._state.auto_scaling_groups.by("region", call.region)
        group = next((group for group in groups if group.name == name and not group.deleting), None)
        if group is None:
            raise client_error("The specified Auto Scaling group does not exist. Specify a valid ARN and try again.")
        if protected and not group.protect_new_instances:
            raise client_error(
                "The managed termination protection setting for the capacity provider is invalid. To enable managed "
                "termination protection for a capacity provider, the Auto Scaling group must have instance protection "
                "from scale in enabled."
            )

    def _existing(self, call: Call, reference: str, changed: str) -> CapacityProvider:
        """An ACTIVE provider that may be changed."""
        arn = _arn(call, reference)
        if arns.short(arn) in FARGATE_PROVIDERS:
            raise client_error(f"The {arns.short(arn)} capacity provider is reserved and cannot be {changed}.")
        found = self._state.capacity_providers.get(arn)
        if found is None or found.status != "ACTIVE":
            raise client_error(
                "The specified capacity provider does not exist. Specify a valid name or ARN and try again."
            )
        return found

    def _described(self, arn: str, *, tags: bool) -> ecs.CapacityProvider | None:
        if arns.short(arn) in FARGATE_PROVIDERS:
            return self._reserved(arn)
        found = self._state.capacity_providers.get(arn)
        return self._view(found, tags=tags) if found else None

    @staticmethod
    def _reserved(arn: str) -> ecs.CapacityProvider:
        name = arns.short(arn)
        return ecs.CapacityProvider(
            capacity_provider_arn=arn,
            name=name,
            status="ACTIVE",
            tags=(),
            type="FARGATE_SPOT" if name == "FARGATE_SPOT" else "FARGATE",
        )

    def _view(self, provider: CapacityProvider, *, tags: bool) -> ecs.CapacityProvider:
        found = self._state.tags.get(provider.arn) if tags else None
        return ecs.CapacityProvider(
            capacity_provider_arn=provider.arn,
            name=provider.name,
            status=provider.status,
            auto_scaling_group_provider=provider.auto_scaling_group_provider,
            update_status=provider.update_status,
            update_status_reason=provider.update_status_reason,
            tags=found.tags if found else (),
            type="EC2_AUTOSCALING",
        )


def _check_scaling(scaling: ecs.ManagedScaling) -> None:
    ranges = {
        "targetCapacity": (scaling.target_capacity, 1, 100),
        "minimumScalingStepSize": (scaling.minimum_scaling_step_size, 1, 10_000),
        "maximumScalingStepSize": (scaling.maximum_scaling_step_size, 1, 10_000),
        "instanceWarmupPeriod": (scaling.instance_warmup_period, 0, 10_000),
    }
    for member, (value, low, high) in ranges.items():
        if value is None or not low <= value <= high:
            raise client_error(f"managedScaling.{member} must be between {low} and {high}.")
    if (scaling.minimum_scaling_step_size or 0) > (scaling.maximum_scaling_step_size or 0):
        raise client_error("managedScaling.minimumScalingStepSize must not be greater than maximumScalingStepSize.")


def _group_name(reference: str) -> str:
    """The name of an Auto Scaling group, from its ARN or the name itself."""
    parsed = arns.parse(reference)
    if parsed is not None and parsed.service == "autoscaling":
        _, found, name = parsed.resource.partition(":autoScalingGroupName/")
        if not found:
            name = ""
    else:
        name = "" if parsed is not None else reference
    if not _GROUP.fullmatch(name):
        raise invalid_parameter(
            "The specified Auto Scaling group ARN is invalid. Specify a valid ARN or name and try again."
        )
    return name


def _arn(call: Call, reference: str) -> str:
    """The ARN that a provider's name or ARN stands for."""
    if not reference:
        raise invalid_parameter("The name of a capacity provider can not be empty.")
    if not reference.startswith("arn:"):
        return arns.ecs(call.region, call.account, f"capacity-provider/{reference}")
    parsed = arns.parse(reference)
    if parsed is None or parsed.kind != "capacity-provider":
        raise invalid_parameter("Identifier is for a different resource type: expected capacity-provider.")
    return reference
