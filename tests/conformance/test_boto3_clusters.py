"""Cluster operations through boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

EMPTY = {
    "status": "ACTIVE",
    "registeredContainerInstancesCount": 0,
    "runningTasksCount": 0,
    "pendingTasksCount": 0,
    "activeServicesCount": 0,
    "statistics": [],
    "tags": [],
    "capacityProviders": [],
    "defaultCapacityProviderStrategy": [],
}


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    found: str = caught.value.response["Error"]["Code"]
    return found


def test_a_new_cluster_has_the_documented_defaults(apart: Any) -> None:
    created = apart.create_cluster(clusterName="web")["cluster"]
    assert created["clusterArn"].endswith(":cluster/web")
    assert created["settings"] == [{"name": "containerInsights", "value": "disabled"}]
    assert {name: created[name] for name in EMPTY} == EMPTY


def test_creating_it_again_answers_with_the_same_cluster(apart: Any) -> None:
    first = apart.create_cluster(clusterName="web", tags=[{"key": "a", "value": "1"}])["cluster"]
    again = apart.create_cluster(clusterName="web", tags=[{"key": "a", "value": "2"}])["cluster"]
    assert again["clusterArn"] == first["clusterArn"]
    assert again["tags"] == [{"key": "a", "value": "1"}]
    assert apart.list_clusters()["clusterArns"] == [first["clusterArn"]]


def test_no_name_means_default(apart: Any) -> None:
    assert apart.create_cluster()["cluster"]["clusterName"] == "default"
    assert apart.describe_clusters()["clusters"][0]["clusterName"] == "default"


def test_absent_clusters_are_failures(apart: Any) -> None:
    apart.create_cluster(clusterName="web")
    reply = apart.describe_clusters(clusters=["web", "nowhere"])
    assert [cluster["clusterName"] for cluster in reply["clusters"]] == ["web"]
    (failure,) = reply["failures"]
    assert failure["reason"] == "MISSING"
    assert failure["arn"].endswith(":cluster/nowhere")


def test_include_adds_what_it_names(apart: Any) -> None:
    tags = [{"key": "team", "value": "blue"}]
    apart.create_cluster(clusterName="web", tags=tags)

    def described(*include: str) -> dict[str, Any]:
        found: dict[str, Any] = apart.describe_clusters(clusters=["web"], include=list(include))["clusters"][0]
        return found

    plain = described()
    assert (plain["tags"], plain["settings"], plain["statistics"]) == ([], [], [])
    assert "attachments" not in plain
    assert "configuration" not in plain
    assert described("TAGS")["tags"] == tags
    assert described("SETTINGS")["settings"] == [{"name": "containerInsights", "value": "disabled"}]
    assert described("ATTACHMENTS")["attachments"] == []
    statistics = {entry["name"]: entry["value"] for entry in described("STATISTICS")["statistics"]}
    assert statistics["runningFargateTasksCount"] == "0"
    assert len(statistics) == 12


def test_the_paginator_lists_every_cluster_once(apart: Any) -> None:
    arns = {apart.create_cluster(clusterName=f"c{number}")["cluster"]["clusterArn"] for number in range(7)}
    pages = list(apart.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["clusterArns"]) for page in pages] == [3, 3, 1]
    listed = [arn for page in pages for arn in page["clusterArns"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == arns


def test_a_token_of_another_list_is_refused(apart: Any) -> None:
    for number in range(2):
        apart.create_cluster(clusterName=f"c{number}")
    token = apart.list_clusters(maxResults=1)["nextToken"]
    with pytest.raises(ClientError) as caught:
        apart.list_tasks(cluster="c0", nextToken=token)
    assert code(caught) == "InvalidParameterException"


def test_settings_are_changed_and_have_the_account_s_default(apart: Any) -> None:
    apart.create_cluster(clusterName="web")
    apart.put_account_setting_default(name="containerInsights", value="enhanced")
    enhanced = [{"name": "containerInsights", "value": "enhanced"}]
    assert apart.create_cluster(clusterName="later")["cluster"]["settings"] == enhanced
    disabled = [{"name": "containerInsights", "value": "disabled"}]
    assert apart.update_cluster_settings(cluster="web", settings=disabled)["cluster"]["settings"] == disabled
    assert apart.update_cluster(cluster="web", settings=disabled)["cluster"]["settings"] == disabled
    assert apart.update_cluster_settings(cluster="web", settings=enhanced)["cluster"]["settings"] == enhanced
    with pytest.raises(ClientError, match="containerInsights") as caught:
        apart.update_cluster_settings(cluster="web", settings=[{"name": "containerInsights", "value": "some"}])
    assert code(caught) == "InvalidParameterException"
    found = apart.describe_clusters(clusters=["web"], include=["SETTINGS"])["clusters"][0]
    assert found["settings"] == enhanced


def test_a_deleted_cluster_is_inactive_and_not_listed(apart: Any) -> None:
    apart.create_cluster(clusterName="web")
    assert apart.delete_cluster(cluster="web")["cluster"]["status"] == "INACTIVE"
    assert apart.list_clusters()["clusterArns"] == []
    assert apart.describe_clusters(clusters=["web"])["clusters"][0]["status"] == "INACTIVE"
    with pytest.raises(apart.exceptions.ClusterNotFoundException):
        apart.delete_cluster(cluster="web")
    assert apart.create_cluster(clusterName="web")["cluster"]["status"] == "ACTIVE"


def test_a_cluster_in_use_is_not_deleted(ecs: Any, cluster: str) -> None:
    ecs.register_task_definition(family=cluster, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    ecs.create_service(cluster=cluster, serviceName="web", taskDefinition=cluster, desiredCount=0)
    with pytest.raises(ecs.exceptions.ClusterContainsServicesException):
        ecs.delete_cluster(cluster=cluster)
    with pytest.raises(ecs.exceptions.ClusterContainsContainerInstancesException):
        ecs.delete_cluster(cluster="default")
    assert ecs.describe_clusters(clusters=[cluster])["clusters"][0]["status"] == "ACTIVE"


@pytest.mark.parametrize("bad", ["1st", "with space", "a" * 256, "dot.ted"])
def test_bad_names_are_refused(apart: Any, bad: str) -> None:
    with pytest.raises(ClientError) as caught:
        apart.create_cluster(clusterName=bad)
    assert code(caught) == "InvalidParameterException"
    assert apart.list_clusters()["clusterArns"] == []
