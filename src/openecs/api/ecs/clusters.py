"""Clusters: create, describe, list, update, delete."""

from __future__ import annotations

import msgspec

from openecs import arn as arns
from openecs.api.ecs import cluster_providers, cluster_view, connect_namespaces, lookup, provider_strategy
from openecs.api.ecs.account_settings import AccountSettings
from openecs.api.ecs.container_instances import lend_to_cluster
from openecs.errors import AWSError, invalid_parameter, not_supported
from openecs.model import tag_rules
from openecs.model.cluster import NAME, Cluster
from openecs.model.discovery import Namespace
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

DEFAULT_SETTINGS = (ecs.ClusterSetting(name="containerInsights", value="disabled"),)
MAX_DESCRIBED = 100
#: What CreateCluster shows of the new cluster.
CREATED = ("SETTINGS", "TAGS", "ATTACHMENTS")


class Clusters:
    """The operations on clusters."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        return {
            "CreateCluster": self.create_cluster,
            "DescribeClusters": self.describe_clusters,
            "ListClusters": self.list_clusters,
            "UpdateCluster": self.update_cluster,
            "UpdateClusterSettings": self.update_cluster_settings,
            "DeleteCluster": self.delete_cluster,
        }

    def create_cluster(self, call: Call, request: ecs.CreateClusterRequest) -> ecs.CreateClusterResponse:
        """Make a cluster; one that exists and is ACTIVE is answered as it is."""
        name = request.cluster_name or "default"
        if not NAME.fullmatch(name):
            raise invalid_parameter(
                "Invalid cluster name: it must start with a letter and hold up to 255 letters, numbers, hyphens and "
                "underscores."
            )
        settings = _settings(request.settings) if request.settings else self._account_settings(call)
        _refuse_unserved(request.configuration)
        tags = request.tags or ()
        tag_rules.check(tags)
        arn = arns.ecs(call.region, call.account, f"cluster/{name}")
        existing = self._state.clusters.get(arn)
        if existing is not None and existing.status == "ACTIVE":
            _check_same_providers(existing, request)
            return ecs.CreateClusterResponse(cluster=cluster_view.view(self._state, existing, CREATED))
        cluster = Cluster(
            arn=arn, name=name, region=call.region, status="ACTIVE", created_at=call.now, settings=settings
        )
        cluster = self._with_providers(cluster, request)
        cluster, made = self._connected(call, cluster, request.service_connect_defaults)
        with self._state.transaction() as tx:
            tx.put(cluster)
            if made is not None:
                tx.put(made)
            tx.put(ResourceTags(arn=arn, tags=tag_rules.merge((), tags)))
            lend_to_cluster(self._state, tx, cluster, now=call.now, ids=call.ids)
        return ecs.CreateClusterResponse(cluster=cluster_view.view(self._state, cluster, CREATED))

    def _account_settings(self, call: Call) -> tuple[ecs.ClusterSetting, ...]:
        """What new clusters get where the caller says nothing."""
        accounts = AccountSettings(self._state, self._pagination)
        value = accounts.effective(call.region, call.account, "containerInsights", call.principal.arn)
        return (ecs.ClusterSetting(name="containerInsights", value=value),)

    def describe_clusters(self, call: Call, request: ecs.DescribeClustersRequest) -> ecs.DescribeClustersResponse:
        """Up to 100 clusters, ``default`` when none is named; absent ones are MISSING."""
        references = request.clusters or ("default",)
        if len(references) > MAX_DESCRIBED:
            raise invalid_parameter(f"Clusters can have at most {MAX_DESCRIBED} items.")
        if not all(references):
            raise invalid_parameter("Clusters can not be blank.")
        include: set[str] = set(request.include or ())
        clusters: list[ecs.Cluster] = []
        failures: list[ecs.Failure] = []
        for reference in dict.fromkeys(references):
            arn = lookup.cluster_arn(call, reference)
            cluster = self._state.clusters.get(arn)
            if cluster is None or cluster.region != call.region:
                failures.append(ecs.Failure(arn=arn, reason="MISSING"))
            else:
                clusters.append(cluster_view.view(self._state, cluster, include))
        return ecs.DescribeClustersResponse(clusters=tuple(clusters), failures=tuple(failures))

    def list_clusters(self, call: Call, request: ecs.ListClustersRequest) -> ecs.ListClustersResponse:
        """ARNs of the ACTIVE clusters of the region."""
        found = [c.arn for c in self._state.clusters.by("region", call.region) if c.status == "ACTIVE"]
        page, token = self._pagination.paginate(
            sorted(found),
            max_results=request.max_results,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=f"ListClusters:{call.region}",
        )
        return ecs.ListClustersResponse(cluster_arns=tuple(page), next_token=token)

    def update_cluster(self, call: Call, request: ecs.UpdateClusterRequest) -> ecs.UpdateClusterResponse:
        """Change settings; what is not given stays."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        _refuse_unserved(request.configuration)
        settings = _settings(request.settings) if request.settings else cluster.settings
        changed, made = self._connected(call, cluster, request.service_connect_defaults)
        changed = msgspec.structs.replace(changed, settings=settings)
        if changed != cluster:
            with self._state.transaction() as tx:
                tx.put(changed)
                if made is not None:
                    tx.put(made)
            cluster = changed
        return ecs.UpdateClusterResponse(cluster=cluster_view.view(self._state, cluster, {"SETTINGS", "TAGS"}))

    def update_cluster_settings(
        self, call: Call, request: ecs.UpdateClusterSettingsRequest
    ) -> ecs.UpdateClusterSettingsResponse:
        """Change settings."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        if not request.settings:
            raise invalid_parameter("Settings can not be empty.")
        cluster = self._change(cluster, _settings(request.settings))
        return ecs.UpdateClusterSettingsResponse(cluster=cluster_view.view(self._state, cluster, {"SETTINGS", "TAGS"}))

    def delete_cluster(self, call: Call, request: ecs.DeleteClusterRequest) -> ecs.DeleteClusterResponse:
        """Make an empty cluster INACTIVE; it stays describable for a while."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        state = self._state
        if any(s.status != "INACTIVE" for s in state.services.by("cluster", cluster.arn)):
            raise AWSError(
                "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
            )
        counts = state.usage.cluster(cluster.arn)
        if counts.groups:
            raise AWSError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
        if any(i.status != "INACTIVE" for i in state.container_instances.by("cluster", cluster.arn)):
            raise AWSError(
                "ClusterContainsContainerInstancesException",
                "The Cluster cannot be deleted while Container Instances are active or draining.",
            )
        cluster = msgspec.structs.replace(cluster, status="INACTIVE", deleted_at=call.now)
        with state.transaction() as tx:
            tx.put(cluster)
        return ecs.DeleteClusterResponse(cluster=cluster_view.view(self._state, cluster, {"SETTINGS", "TAGS"}))

    def _with_providers(self, cluster: Cluster, request: ecs.CreateClusterRequest) -> Cluster:
        """The cluster with the capacity providers and the default strategy that the request names."""
        names, default = request.capacity_providers or (), request.default_capacity_provider_strategy or ()
        return cluster_providers.attached(self._state, cluster, names, default)

    def _connected(
        self, call: Call, cluster: Cluster, defaults: ecs.ClusterServiceConnectDefaultsRequest | None
    ) -> tuple[Cluster, Namespace | None]:
        """The cluster with the namespace that its services use when they name none, and it if it is to be made."""
        if defaults is None:
            return cluster, None
        if not defaults.namespace:
            return msgspec.structs.replace(cluster, connect_namespace_arn=None), None
        namespace, new = connect_namespaces.of_cluster(self._state, call, defaults.namespace)
        return msgspec.structs.replace(cluster, connect_namespace_arn=namespace.arn), namespace if new else None

    def _change(self, cluster: Cluster, settings: tuple[ecs.ClusterSetting, ...]) -> Cluster:
        changed = msgspec.structs.replace(cluster, settings=settings)
        with self._state.transaction() as tx:
            tx.put(changed)
        return changed


def _check_same_providers(existing: Cluster, request: ecs.CreateClusterRequest) -> None:
    """A cluster that is there is answered as it is, unless it was asked for with other providers."""
    names, default = request.capacity_providers, request.default_capacity_provider_strategy
    if (names is not None and set(names) != set(existing.capacity_providers)) or (
        default is not None and provider_strategy.filled_in(default) != existing.default_capacity_provider_strategy
    ):
        raise invalid_parameter(
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
        )


def _settings(settings: tuple[ecs.ClusterSetting, ...] | None) -> tuple[ecs.ClusterSetting, ...]:
    """The settings that hold; what cannot be honoured is refused."""
    for setting in settings or ():
        if setting.name is None or setting.value is None:
            raise invalid_parameter("Cluster settings must have a name and a value.")
        if setting.value not in ("enabled", "disabled", "enhanced"):
            raise invalid_parameter(f"Invalid value '{setting.value}' for cluster setting {setting.name}.")
    return settings or DEFAULT_SETTINGS


def _refuse_unserved(configuration: ecs.ClusterConfiguration | None) -> None:
    if configuration is not None:
        if configuration.execute_command_configuration is not None:
            raise not_supported("configuration.executeCommandConfiguration")
        if configuration.managed_storage_configuration is not None:
            raise not_supported("configuration.managedStorageConfiguration")
