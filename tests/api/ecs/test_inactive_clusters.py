"""What AWS says of clusters that were deleted, and of blank names."""

from __future__ import annotations

from typing import Any

import pytest

from openecs.api.ecs.clusters import Clusters
from openecs.api.ecs.tagging import Tagging
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT, REGION = "123456789012", "eu-west-1"
ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/gone"
TAG = (ecs.Tag(key="a", value="b"),)


class Api:
    """A state with the INACTIVE cluster ``gone``."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        clusters = Clusters(self.state, Pagination(b"0123456789abcdef"))
        self.handlers = {**clusters.handlers(), **Tagging(self.state).handlers()}
        self("CreateCluster", ecs.CreateClusterRequest(cluster_name="gone"))
        self("DeleteCluster", ecs.DeleteClusterRequest(cluster="gone"))

    def __call__(self, operation: str, request: Any) -> Any:
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIA"),
            now=1.0,
            ids=SeededIds(),
            endpoint="http://127.0.0.1:4566",
        )
        return self.handlers[operation](call, request)

    def refused(self, operation: str, request: Any) -> tuple[str, str]:
        with pytest.raises(AWSError) as caught:
            self(operation, request)
        return caught.value.code, caught.value.message


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize("name", ["gone", ARN])
def test_an_inactive_cluster_is_no_cluster_to_act_on(api: Api, name: str) -> None:
    refusal = ("ClusterNotFoundException", "The referenced cluster was inactive.")
    assert api.refused("DeleteCluster", ecs.DeleteClusterRequest(cluster=name)) == refusal
    assert api.refused("UpdateCluster", ecs.UpdateClusterRequest(cluster=name)) == refusal


def test_an_inactive_cluster_takes_no_tags(api: Api) -> None:
    refusal = (
        "InvalidParameterException",
        "The specified cluster is inactive. Specify an active cluster and try again.",
    )
    assert api.refused("TagResource", ecs.TagResourceRequest(resource_arn=ARN, tags=TAG)) == refusal
    assert api.refused("UntagResource", ecs.UntagResourceRequest(resource_arn=ARN, tag_keys=("a",))) == refusal
    never = ARN.replace("gone", "never")
    assert api.refused("TagResource", ecs.TagResourceRequest(resource_arn=never, tags=TAG)) == (
        "ClusterNotFoundException",
        "Cluster not found.",
    )


def test_names_of_clusters_are_not_blank(api: Api) -> None:
    for names in (("",), ("default", "")):
        assert api.refused("DescribeClusters", ecs.DescribeClustersRequest(clusters=names)) == (
            "InvalidParameterException",
            "Clusters can not be blank.",
        )
    assert api("DescribeClusters", ecs.DescribeClustersRequest(clusters=())).failures[0].reason == "MISSING"
