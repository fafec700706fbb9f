"""Container instances and their attributes through boto3.

Hosts that are only talked about are registered as their agent would, without one.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 3000}


def host(ecs: Any, cluster: str, *, cpu: int = 1024, memory: int = 2048, **more: Any) -> dict[str, Any]:
    """Register a host that has no agent."""
    zero = {"doubleValue": 0.0, "longValue": 0, "integerValue": 0}
    resources = [
        {"name": "CPU", "type": "INTEGER", **zero, "integerValue": cpu},
        {"name": "MEMORY", "type": "INTEGER", **zero, "integerValue": memory},
        {"name": "PORTS", "type": "STRINGSET", **zero, "stringSetValue": ["22"]},
        {"name": "PORTS_UDP", "type": "STRINGSET", **zero, "stringSetValue": []},
    ]
    version = {"agentVersion": "1.80.0", "agentHash": "abc", "dockerVersion": "DockerVersion: 25.0.0"}
    reply = ecs.register_container_instance(cluster=cluster, totalResources=resources, versionInfo=version, **more)
    found: dict[str, Any] = reply["containerInstance"]
    return found


def described(ecs: Any, cluster: str, arn: str, *include: str) -> dict[str, Any]:
    reply = ecs.describe_container_instances(cluster=cluster, containerInstances=[arn], include=list(include))
    (found,) = reply["containerInstances"]
    result: dict[str, Any] = found
    return result


def amounts(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {r["name"]: r.get("stringSetValue", r["integerValue"]) for r in resources}


def test_the_machine_is_an_instance_of_the_default_cluster(ecs: Any) -> None:
    (arn,) = ecs.list_container_instances(status="ACTIVE")["containerInstanceArns"]
    instance = described(ecs, "default", arn, "CONTAINER_INSTANCE_HEALTH")
    assert instance["status"] == "ACTIVE"
    assert instance["agentConnected"] is True
    assert instance["versionInfo"]["agentVersion"]
    names = {attribute["name"]: attribute.get("value") for attribute in instance["attributes"]}
    assert names["ecs.os-type"] == "linux"
    assert "ecs.availability-zone" in names
    assert instance["healthStatus"]["overallStatus"] in ("OK", "INSUFFICIENT_DATA")
    assert "healthStatus" not in described(ecs, "default", arn)


def test_a_registered_host_is_shown_with_its_resources(ecs: Any, cluster: str) -> None:
    tags = [{"key": "rack", "value": "7"}]
    instance = host(ecs, cluster, attributes=[{"name": "ecs.os-type", "value": "linux"}], tags=tags)
    arn = instance["containerInstanceArn"]
    assert f":container-instance/{cluster}/" in arn
    expected = {"CPU": 1024, "MEMORY": 2048, "PORTS": ["22"], "PORTS_UDP": []}
    assert amounts(instance["registeredResources"]) == amounts(instance["remainingResources"]) == expected
    assert (instance["runningTasksCount"], instance["pendingTasksCount"]) == (0, 0)
    assert described(ecs, cluster, arn)["tags"] == []
    assert described(ecs, cluster, arn, "TAGS")["tags"] == tags
    count = ecs.describe_clusters(clusters=[cluster])["clusters"][0]["registeredContainerInstancesCount"]
    assert count == 1


def test_a_host_without_agent_gets_no_task(ecs: Any, cluster: str) -> None:
    arn = host(ecs, cluster)["containerInstanceArn"]
    ecs.register_task_definition(family=cluster, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    reply = ecs.run_task(cluster=cluster, taskDefinition=cluster)
    assert reply["tasks"] == []
    assert reply["failures"] == [{"arn": arn, "reason": "AGENT"}]


def test_a_cluster_without_hosts_refuses_tasks(ecs: Any, cluster: str) -> None:
    ecs.register_task_definition(family=cluster, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    with pytest.raises(ClientError, match=r"No Container Instances were found in your cluster\.") as caught:
        ecs.run_task(cluster=cluster, taskDefinition=cluster)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


def test_draining_is_shown_and_keeps_tasks_away(ecs: Any, name: str) -> None:
    (arn,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    task = ecs.run_task(taskDefinition=name)["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(tasks=[task], WaiterConfig=QUICK)
    try:
        reply = ecs.update_container_instances_state(containerInstances=[arn, "0" * 32], status="DRAINING")
        assert [i["status"] for i in reply["containerInstances"]] == ["DRAINING"]
        assert [failure["reason"] for failure in reply["failures"]] == ["MISSING"]
        assert ecs.list_container_instances(status="DRAINING")["containerInstanceArns"] == [arn]
        refused = ecs.run_task(taskDefinition=name)
        assert (refused["tasks"], refused["failures"]) == ([], [{"arn": arn, "reason": "INACTIVE"}])
        assert ecs.describe_tasks(tasks=[task])["tasks"][0]["lastStatus"] == "RUNNING"
    finally:
        ecs.update_container_instances_state(containerInstances=[arn], status="ACTIVE")
    again = ecs.run_task(taskDefinition=name)["tasks"][0]["taskArn"]
    for each in (task, again):
        ecs.stop_task(task=each)


def test_a_service_tells_that_its_cluster_is_drained(ecs: Any, cluster: str) -> None:
    arn = host(ecs, cluster)["containerInstanceArn"]
    ecs.update_container_instances_state(cluster=cluster, containerInstances=[arn], status="DRAINING")
    ecs.register_task_definition(family=cluster, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    ecs.create_service(cluster=cluster, serviceName="web", taskDefinition=cluster, desiredCount=1)
    event = wait_for(lambda: ecs.describe_services(cluster=cluster, services=["web"])["services"][0]["events"])[0]
    assert f'(container-instance {arn.rpartition("/")[2]}) encountered error "INACTIVE"' in event["message"]
    assert ecs.list_tasks(cluster=cluster)["taskArns"] == []
    ecs.delete_service(cluster=cluster, service="web", force=True)


def test_a_deregistered_instance_is_inactive(ecs: Any, cluster: str) -> None:
    arn = host(ecs, cluster)["containerInstanceArn"]
    gone = ecs.deregister_container_instance(cluster=cluster, containerInstance=arn)["containerInstance"]
    assert (gone["status"], gone["agentConnected"]) == ("INACTIVE", False)
    assert ecs.list_container_instances(cluster=cluster)["containerInstanceArns"] == []
    with pytest.raises(ClientError, match="not found"):
        ecs.deregister_container_instance(cluster=cluster, containerInstance=arn)
    assert ecs.delete_cluster(cluster=cluster)["cluster"]["status"] == "INACTIVE"


def test_an_instance_with_tasks_is_deregistered_by_force_only(ecs: Any, name: str) -> None:
    (arn,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    task = ecs.run_task(taskDefinition=name)["tasks"][0]["taskArn"]
    with pytest.raises(ClientError, match=r"Found running tasks on the instance\."):
        ecs.deregister_container_instance(containerInstance=arn)
    assert described(ecs, "default", arn)["status"] == "ACTIVE"
    ecs.stop_task(task=task)


def test_lists_are_filtered_by_the_query_language_and_paged(ecs: Any, cluster: str) -> None:
    arns = {
        host(ecs, cluster, attributes=[{"name": "ecs.instance-type", "value": kind}])["containerInstanceArn"]
        for kind in ("small", "small", "big", "big", "big")
    }
    paginator = ecs.get_paginator("list_container_instances")
    pages = list(paginator.paginate(cluster=cluster, PaginationConfig={"PageSize": 2}))
    found = [arn for page in pages for arn in page["containerInstanceArns"]]
    assert len(pages) == 3
    assert len(found) == 5
    assert set(found) == arns
    big = ecs.list_container_instances(cluster=cluster, filter="attribute:ecs.instance-type == big")
    assert len(big["containerInstanceArns"]) == 3
    with pytest.raises(ClientError, match="filter") as caught:
        ecs.list_container_instances(cluster=cluster, filter="attribute:ecs.instance-type ==")
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


def test_absent_instances_are_failures(ecs: Any, cluster: str) -> None:
    reply = ecs.describe_container_instances(cluster=cluster, containerInstances=["0" * 32])
    assert reply["containerInstances"] == []
    assert reply["failures"][0]["reason"] == "MISSING"


def test_attributes_are_put_listed_and_deleted(ecs: Any, cluster: str) -> None:
    arn = host(ecs, cluster)["containerInstanceArn"]
    wanted = [{"name": f"a{number}", "value": str(number), "targetId": arn} for number in range(5)]
    assert ecs.put_attributes(cluster=cluster, attributes=wanted)["attributes"] == wanted
    query = {"cluster": cluster, "targetType": "container-instance"}
    paginator = ecs.get_paginator("list_attributes")
    pages = list(paginator.paginate(**query, PaginationConfig={"PageSize": 2}))
    found = [a for page in pages for a in page["attributes"] if a["name"].startswith("a")]
    assert sorted(found, key=lambda a: a["name"]) == wanted
    assert ecs.list_attributes(**query, attributeName="a1")["attributes"] == [wanted[1]]
    assert ecs.list_attributes(**query, attributeName="a1", attributeValue="2")["attributes"] == []
    gone = ecs.delete_attributes(cluster=cluster, attributes=[{"name": "a1", "targetId": arn}])["attributes"]
    assert gone == [wanted[1]]
    assert ecs.list_attributes(**query, attributeName="a1")["attributes"] == []
    with pytest.raises(ecs.exceptions.TargetNotFoundException):
        ecs.put_attributes(cluster=cluster, attributes=[{"name": "a", "value": "b", "targetId": "0" * 32}])


def test_put_attributes_steer_placement(ecs: Any, name: str) -> None:
    (arn,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    only = [{"type": "memberOf", "expression": f"attribute:{name} == yes"}]
    refused = ecs.run_task(taskDefinition=name, placementConstraints=only)
    assert (refused["tasks"], refused["failures"]) == (
        [],
        [{"arn": arn, "reason": "MemberOf placement constraint unsatisfied."}],
    )
    ecs.put_attributes(attributes=[{"name": name, "value": "yes", "targetId": arn}])
    (task,) = ecs.run_task(taskDefinition=name, placementConstraints=only)["tasks"]
    assert task["containerInstanceArn"] == arn
    ecs.stop_task(task=task["taskArn"])
    ecs.delete_attributes(attributes=[{"name": name, "targetId": arn}])
