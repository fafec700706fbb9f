"""For every example that OpenECS answers: what to make before its command is run.

An example is here or in ``example_refusals``; one that is in neither fails the test.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from example_pages import Example
from example_world import ACCOUNT, CONTAINER, Preparation, World
from waiting import wait_for


def nothing(world: World) -> None:
    """The command needs nothing."""


def named_cluster(world: World) -> None:
    """The cluster that the command names, by name or in an ARN."""
    example = world.example
    named = [*example.option("cluster"), *example.option("clusters"), *example.option("resource-arn")]
    tags = [{"key": f"key{number}", "value": f"value{number}"} for number in (1, 2, 3)]
    for name in named or ["default"]:
        world.cluster(name.rpartition("/")[2], tags=tags)


def empty_cluster(world: World) -> None:
    """A cluster that can be deleted: the machine is not in it any more."""
    instance = world.instance("MyCluster")
    world.ecs.deregister_container_instance(cluster="MyCluster", containerInstance=instance)


def capacity_providers(world: World) -> None:
    """The providers that the page names, and its cluster with those that it had."""
    example = world.example
    given = [*example.option("name"), *example.option("capacity-provider"), *example.option("capacity-providers")]
    names = {name.rpartition("/")[2] for name in given if not name.startswith("[")}
    names |= {"MyCapacityProvider1", "MyCapacityProvider2", "MyCapacityProvider", "sampleCapacityProvider"}
    tags = [{"key": "environment", "value": "production"}]
    for name in sorted(names):
        world.ecs.create_capacity_provider(
            name=name, autoScalingGroupProvider={"autoScalingGroupArn": f"group-of-{name}"[:128]}, tags=tags
        )
    if example.operation == "put-cluster-capacity-providers":
        world.cluster("MyCluster", capacityProviders=["MyCapacityProvider1", "MyCapacityProvider2"])
    if example.operation == "describe-clusters":
        world.cluster("sampleCluster", capacityProviders=["sampleCapacityProvider"])


def documented_clusters(world: World) -> None:
    for arn in world.example.output["clusterArns"]:
        world.cluster(arn.rpartition("/")[2])


def cluster_and_definition(world: World) -> None:
    world.cluster("MyCluster")
    world.cluster("default")
    world.fargate("sample-fargate")
    world.definition("sleep360", 2)


def http_service(world: World) -> None:
    """``my-http-service``, steady, on the machine."""
    cluster = (world.example.option("cluster") or ["default"])[0]
    world.definition("amazon-ecs-sample")
    world.instance(cluster)
    world.steady_service(cluster, "my-http-service")


def fargate_http_service(world: World) -> None:
    """``my-http-service`` of Fargate tasks, and definitions to which it can be changed."""
    _fargate_http_service(world, launchType="FARGATE")


def provider_http_service(world: World) -> None:
    """``my-http-service`` on the capacity provider FARGATE."""
    cluster = world.example.option("cluster")[0]
    world.cluster(cluster, capacityProviders=["FARGATE"])
    _fargate_http_service(world, capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}])


def _fargate_http_service(world: World, **runs_on: Any) -> None:
    subnet, group = world.network()
    cluster = world.example.option("cluster")[0]
    world.cluster(cluster)
    for family in ("web", "mytaskdef", "amazon-ecs-sample"):
        world.fargate(family)
    world.ecs.create_service(
        cluster=cluster,
        serviceName="my-http-service",
        taskDefinition="web",
        desiredCount=1,
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
        # Echoed as given; the pages' services have them.
        deploymentConfiguration={"alarms": {"alarmNames": [], "rollback": False, "enable": False}},
        **runs_on,
    )
    world.ecs.get_waiter("services_stable").wait(
        cluster=cluster, services=["my-http-service"], WaiterConfig={"Delay": 0, "MaxAttempts": 600}
    )


def service_of(cluster: str, *names: str) -> Preparation:
    def prepare(world: World) -> None:
        world.instance(cluster)
        for name in names:
            world.steady_service(cluster, name)

    return prepare


def external_service(world: World) -> None:
    """``MyService``, whose deployments are task sets, and a definition with an interface."""
    world.cluster("MyCluster")
    for _ in range(2):
        world.ecs.register_task_definition(
            family="MyTaskDefinition", networkMode="awsvpc", containerDefinitions=[CONTAINER]
        )
    world.ecs.create_service(
        cluster="MyCluster", serviceName="MyService", deploymentController={"type": "EXTERNAL"}, desiredCount=1
    )


def task_set(world: World) -> None:
    """A task set of ``MyService`` for the page's."""
    external_service(world)
    subnet, group = world.network()
    made = world.ecs.create_task_set(
        cluster="MyCluster",
        service="MyService",
        taskDefinition="MyTaskDefinition:2",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
    )["taskSet"]
    world.names["ecs-svc/1234567890123456789"] = made["id"]


def deployed_service(world: World) -> None:
    """``example-service`` on FARGATE, deployed, with its deployment and revision for the page's."""
    subnet, group = world.network()
    world.cluster("example-cluster", capacityProviders=["FARGATE"])
    world.fargate("webserver")
    created = world.ecs.create_service(
        cluster="example-cluster",
        serviceName="example-service",
        taskDefinition="webserver",
        desiredCount=1,
        capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1, "base": 0}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
        deploymentConfiguration={
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            "alarms": {"alarmNames": [], "rollback": False, "enable": False},
        },
    )["service"]
    arn = created["currentServiceDeployment"]
    wait_for(
        lambda: (
            world.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]["status"]
            == "SUCCESSFUL"
        ),
        what="the service is deployed",
        seconds=60,
    )
    world.names["ejGvqq2ilnbKT9qj0vLJe"] = arn.rpartition("/")[2]
    world.names["1485800978477494678"] = created["currentServiceRevisions"][0]["arn"].rpartition("/")[2]


def inactive_service(world: World) -> None:
    world.service("MyCluster", "MyService", desiredCount=0)
    world.ecs.delete_service(cluster="MyCluster", service="MyService")
    world.ecs.get_waiter("services_inactive").wait(
        cluster="MyCluster", services=["MyService"], WaiterConfig={"Delay": 0, "MaxAttempts": 600}
    )


def instance_of(cluster: str, page_id: str) -> Preparation:
    """The machine's container instance for the id that the page has."""

    def prepare(world: World) -> None:
        world.names[page_id] = world.instance(cluster)

    return prepare


def attribute_put(world: World) -> None:
    """``stack=production`` on the container instance."""
    page_id = "1c3be8ed-df30-47b4-8f1e-6e68ebd01f34"
    world.names[page_id] = instance = world.instance("default")
    world.ecs.put_attributes(
        attributes=[
            {"name": "stack", "value": "production", "targetType": "container-instance", "targetId": instance},
        ]
    )


def documented_definition(world: World) -> None:
    world.documented_definition(world.example.output["taskDefinition"])


def documented_definitions_deregistered(world: World) -> None:
    for shape in world.example.output["taskDefinitions"]:
        world.documented_definition(shape)
        world.ecs.deregister_task_definition(taskDefinition=f"{shape['family']}:{shape['revision']}")


def documented_families(world: World) -> None:
    for family in world.example.output["families"]:
        world.definition(family)


def documented_revisions(world: World) -> None:
    """The ACTIVE revisions that the page lists; the ones before them are deregistered."""
    listed = [arn.rpartition("/")[2].split(":") for arn in world.example.output["taskDefinitionArns"]]
    for family, revision in listed:
        number = int(revision)
        while world_revision(world, family) < number:
            world.definition(family)
        for earlier in range(1, number):
            if [family, str(earlier)] not in listed:
                world.ecs.deregister_task_definition(taskDefinition=f"{family}:{earlier}")


def world_revision(world: World, family: str) -> int:
    try:
        found = world.ecs.describe_task_definition(taskDefinition=family)
    except ClientError:
        return 0
    return int(found["taskDefinition"]["revision"])


def service_task(world: World) -> None:
    """A running task of a service with a port, for the page's task."""
    world.definition("app", portMappings=[{"containerPort": 80, "hostPort": 0}])
    world.instance("MyCluster")
    world.steady_service("MyCluster", "testupdate", family="app")
    page_id = world.example.option("tasks")[0].rpartition("/")[2]
    world.names[page_id] = world.service_tasks("MyCluster", "testupdate")[0]


def protectable_task(world: World) -> None:
    """A running task of a service, for the page's task."""
    cluster = "ECS-project-update-cluster"
    world.instance(cluster)
    world.steady_service(cluster, "protected")
    world.names[world.example.option("tasks")[0]] = world.service_tasks(cluster, "protected")[0]


def cluster_of_the_page(world: World) -> None:
    world.cluster("ECS-project-update-cluster")


def two_fargate_tasks(world: World) -> None:
    fargate_http_service(world)
    world.ecs.update_service(cluster="MyCluster", service="my-http-service", desiredCount=2)
    world.ecs.get_waiter("services_stable").wait(
        cluster="MyCluster", services=["my-http-service"], WaiterConfig={"Delay": 0, "MaxAttempts": 600}
    )
    tasks = world.service_tasks("MyCluster", "my-http-service")
    world.names |= dict(zip(world.example.option("tasks"), tasks, strict=True))


def tasks_in(cluster: str, page_ids: tuple[str, ...], *, stopped: bool = False) -> Preparation:
    """Standalone tasks for the ids that the page has."""

    def prepare(world: World) -> None:
        world.instance(cluster)
        for page_id in page_ids:
            world.names[page_id] = world.task(cluster)
        if stopped:
            for task in world.names.values():
                world.ecs.stop_task(cluster=cluster, task=task)
            world.ecs.get_waiter("tasks_stopped").wait(
                cluster=cluster, tasks=[*world.names.values()], WaiterConfig={"Delay": 0, "MaxAttempts": 600}
            )

    return prepare


def tasks_on_instance(world: World) -> None:
    world.names["a1b2c3d4-5678-90ab-cdef-33333EXAMPLE"] = world.instance("default")
    world.task("default")


def runnable(world: World) -> None:
    """``sleep360`` and the machine in the default cluster."""
    world.names["765936fadbdd46b5991a4bd70c2a43d4"] = world.instance("default")
    world.definition("sleep360")


def setting_of_user(world: World) -> None:
    principal = f"arn:aws:iam::{ACCOUNT}:user/MyUser"
    world.ecs.put_account_setting(name="serviceLongArnFormat", value="enabled", principalArn=principal)


def log_group(world: World) -> None:
    world.logs.create_log_group(logGroupName="my-logs")
    world.logs.put_retention_policy(logGroupName="my-logs", retentionInDays=5)


def log_streams(world: World) -> None:
    log_group(world)
    for name in ("20150531", "20150601"):
        if world.example.operation != "create-log-stream" or name != "20150601":
            world.logs.create_log_stream(logGroupName="my-logs", logStreamName=name)


def log_events(world: World) -> None:
    """Events as old as now: CloudWatch Logs takes none of 2015, the pages' year."""
    log_streams(world)
    now = world.installation.now()
    events = [{"timestamp": now + number, "message": f"Example Event {number}"} for number in range(3)]
    for stream in ("20150531", "20150601"):
        world.logs.put_log_events(logGroupName="my-logs", logStreamName=stream, logEvents=events)


#: By example, then by operation.
BY_EXAMPLE: dict[str, Preparation] = {
    "ecs/create-cluster#2": capacity_providers,
    "ecs/describe-clusters#2": capacity_providers,
    "ecs/describe-tasks#2": two_fargate_tasks,
    "ecs/list-account-settings#1": nothing,
    "ecs/list-tasks#2": tasks_on_instance,
    "ecs/update-cluster#1": cluster_of_the_page,
    "ecs/update-cluster#2": cluster_of_the_page,
    "ecs/update-cluster-settings#1": named_cluster,
    "ecs/update-service#2": provider_http_service,
    "ecs/update-service#5": provider_http_service,
}
BY_OPERATION: dict[str, Preparation] = {
    "create-cluster": nothing,
    "create-service": cluster_and_definition,
    "create-task-set": external_service,
    "delete-account-setting": setting_of_user,
    "delete-attributes": attribute_put,
    "delete-capacity-provider": capacity_providers,
    "delete-cluster": empty_cluster,
    "delete-service": service_of("MyCluster", "MyService1"),
    "delete-task-definitions": documented_definitions_deregistered,
    "delete-task-set": task_set,
    "deregister-container-instance": instance_of("MyCluster", "a1b2c3d4-5678-90ab-cdef-11111EXAMPLE"),
    "deregister-task-definition": documented_definition,
    "describe-capacity-providers": capacity_providers,
    "describe-clusters": named_cluster,
    "describe-container-instances": instance_of("update", "a1b2c3d4-5678-90ab-cdef-11111EXAMPLE"),
    "describe-service-deployments": deployed_service,
    "describe-service-revisions": deployed_service,
    "describe-services": http_service,
    "describe-task-definition": documented_definition,
    "describe-task-sets": task_set,
    "describe-tasks": service_task,
    "get-task-protection": protectable_task,
    "list-account-settings": setting_of_user,
    "list-attributes": attribute_put,
    "list-clusters": documented_clusters,
    "list-container-instances": instance_of("MyCluster", "no id on this page"),
    "list-service-deployments": deployed_service,
    "list-services": service_of("MyCluster", "MyService"),
    "list-tags-for-resource": named_cluster,
    "list-task-definition-families": documented_families,
    "list-task-definitions": documented_revisions,
    "list-tasks": tasks_in("default", ("no id", "on this page")),
    "put-account-setting": nothing,
    "put-account-setting-default": nothing,
    "put-cluster-capacity-providers": capacity_providers,
    "put-attributes": instance_of("default", "1c3be8ed-df30-47b4-8f1e-6e68ebd01f34"),
    "register-task-definition": nothing,
    "run-task": runnable,
    "start-task": runnable,
    "stop-task": tasks_in("default", ("666fdccc2e2d4b6894dd422f4eeee8f8",), stopped=True),
    "tag-resource": named_cluster,
    "update-capacity-provider": capacity_providers,
    "update-container-instances-state": runnable,
    "update-service": fargate_http_service,
    "update-service-primary-task-set": task_set,
    "update-task-set": task_set,
    "update-task-protection": protectable_task,
    "wait services-inactive": inactive_service,
    "wait services-stable": service_of("MyCluster", "MyService"),
    "wait tasks-running": tasks_in("MyCluster", ("a1b2c3d4-5678-90ab-cdef-44444EXAMPLE",)),
    "wait tasks-stopped": tasks_in(
        "MyCluster", ("2c196f0a00dd4f58b7c8897a5c7bce13", "4d590253bb114126b7afa7b58EXAMPLE"), stopped=True
    ),
    "create-log-group": nothing,
    "create-log-stream": log_streams,
    "delete-log-group": log_streams,
    "delete-log-stream": log_streams,
    "delete-retention-policy": log_group,
    "describe-log-groups": log_group,
    "describe-log-streams": log_events,
    "get-log-events": log_events,
    "put-log-events": log_streams,
    "put-retention-policy": log_group,
}


def preparation(example: Example) -> Preparation | None:
    """How to prepare an example, ``None`` when nobody said that it is answered."""
    return BY_EXAMPLE.get(example.id) or BY_OPERATION.get(example.operation)
