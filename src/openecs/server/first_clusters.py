"""The clusters that an installation has from its start: those to which its own machine is lent."""

from __future__ import annotations

from collections.abc import Iterable

from openecs import arn as arns
from openecs.api.ecs.clusters import DEFAULT_SETTINGS
from openecs.api.ecs.container_instances import lend_to_cluster
from openecs.ids import Ids
from openecs.model.cluster import Cluster
from openecs.model.tags import ResourceTags
from openecs.state.state import State
from openecs.state.store import Transaction


class FirstClusters:
    """Makes them where they are missing."""

    def __init__(self, state: State, names: Iterable[str], *, account: str, region: str, ids: Ids) -> None:
        """``names`` are the clusters in ``region``; none without a machine of its own."""
        self._state = state
        self._places = {arns.ecs(region, account, f"cluster/{name}"): (name, region) for name in names}
        self._ids = ids

    def ensure(self, *, now: float) -> None:
        """Create those that are not ACTIVE."""
        with self._state.transaction() as tx:
            for arn, (name, region) in self._places.items():
                known = self._state.clusters.get(arn)
                if known is None or known.status != "ACTIVE":
                    self._create(tx, arn, name, region, now)

    def only(self, tx: Transaction, kept: Iterable[Cluster], *, now: float) -> None:
        """Have these, and those of the ``kept`` ones' names, as if just created, and no others."""
        places = self._places | {cluster.arn: (cluster.name, cluster.region) for cluster in kept}
        for cluster in list(self._state.clusters):
            if cluster.arn not in places:
                tx.delete(cluster)
        for arn, (name, region) in places.items():
            self._create(tx, arn, name, region, now)

    def _create(self, tx: Transaction, arn: str, name: str, region: str, now: float) -> None:
        cluster = Cluster(arn=arn, name=name, region=region, status="ACTIVE", created_at=now, settings=DEFAULT_SETTINGS)
        tx.put(cluster)
        tx.put(ResourceTags(arn=arn))
        lend_to_cluster(self._state, tx, cluster, now=now, ids=self._ids)
