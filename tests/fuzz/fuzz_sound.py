"""One sound request for every served operation: what mutations start from."""

from __future__ import annotations

import json
from typing import Any

from fuzz_world import BASE, LOG_BASE, World, container, machine

from openecs.logs.insights.pointers import pointer

FULL_DEFINITION: dict[str, Any] = {
    "networkMode": "bridge",
    "cpu": "512",
    "memory": "1024",
    "containerDefinitions": [
        container(
            portMappings=[{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
            environment=[{"name": "A", "value": "B"}],
            mountPoints=[{"sourceVolume": "data", "containerPath": "/data", "readOnly": True}],
            healthCheck={"command": ["CMD-SHELL", "true"], "interval": 5, "timeout": 2, "retries": 1, "startPeriod": 0},
            dependsOn=[{"containerName": "side", "condition": "START"}],
            ulimits=[{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
            linuxParameters={"initProcessEnabled": True, "sharedMemorySize": 64},
            logConfiguration={"logDriver": "json-file", "options": {"max-size": "1m"}},
            dockerLabels={"a": "b"},
            stopTimeout=5,
            command=["a"],
            entryPoint=["b"],
            extraHosts=[{"hostname": "h", "ipAddress": "10.0.0.1"}],
            systemControls=[{"namespace": "net.core.somaxconn", "value": "10"}],
            restartPolicy={"enabled": True, "ignoredExitCodes": [1], "restartAttemptPeriod": 60},
        ),
        container("side", essential=False, links=[]),
    ],
    "volumes": [{"name": "data", "host": {"sourcePath": "/tmp/data"}}],
    "placementConstraints": [{"type": "memberOf", "expression": "attribute:rack == r1"}],
    "requiresCompatibilities": ["EC2"],
    "tags": [{"key": "a", "value": "b"}],
    "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
}


def sound_requests(world: World) -> dict[tuple[str, str], dict[str, Any]]:
    """(service, operation) → a request that this world answers with 200, where any is."""
    full_service = {
        "serviceName": "another",
        "taskDefinition": "web",
        "desiredCount": 1,
        "deploymentConfiguration": {
            "maximumPercent": 200,
            "minimumHealthyPercent": 50,
            "deploymentCircuitBreaker": {
                "enable": True,
                "rollback": True,
                "resetOnHealthyTask": False,
                "thresholdConfiguration": {"type": "COUNT", "value": 2},
            },
            "earlySuccessCriteria": {
                "enable": True,
                "healthyPercent": 80,
                "sourceServiceRevisionCleanup": "DEFERRED",
            },
        },
        "placementStrategy": [{"type": "spread", "field": "instanceId"}],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "availabilityZoneRebalancing": "DISABLED",
        "tags": [{"key": "a", "value": "b"}],
        "clientToken": "token",
    }
    of_ext = {"cluster": "default", "service": "ext"}
    overrides = {
        "containerOverrides": [{"name": "web", "command": ["x"], "environment": [{"name": "A", "value": "B"}]}]
    }
    run = {
        "cluster": "default",
        "taskDefinition": "web:1",
        "count": 2,
        "overrides": overrides,
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:rack == r1"}],
        "placementStrategy": [{"type": "binpack", "field": "memory"}],
        "tags": [{"key": "a", "value": "b"}],
        "clientToken": "token",
        "startedBy": "fuzz",
    }
    start = {k: run[k] for k in ("cluster", "taskDefinition", "overrides", "tags", "startedBy")}
    group = {"logGroupName": "group"}
    stream = {**group, "logStreamName": "stream"}
    tag = [{"key": "a", "value": "b"}]
    ecs: dict[str, dict[str, Any]] = {
        "CreateCluster": {
            "clusterName": "new",
            "serviceConnectDefaults": {"namespace": "mesh"},
            "settings": [{"name": "containerInsights", "value": "disabled"}],
            "tags": tag,
        },
        "DescribeClusters": {"clusters": ["default", "none"], "include": ["STATISTICS", "TAGS", "SETTINGS"]},
        "ListClusters": {"maxResults": 2},
        "UpdateCluster": {
            "cluster": "spare",
            "settings": [{"name": "containerInsights", "value": "disabled"}],
            "serviceConnectDefaults": {"namespace": "mesh"},
        },
        "UpdateClusterSettings": {
            "cluster": "spare",
            "settings": [{"name": "containerInsights", "value": "disabled"}],
        },
        "DeleteCluster": {"cluster": "empty"},
        "CreateCapacityProvider": {
            "name": "another",
            "autoScalingGroupProvider": {
                "autoScalingGroupArn": "another-group",
                "managedScaling": {"status": "DISABLED", "targetCapacity": 90},
                "managedTerminationProtection": "DISABLED",
            },
            "tags": tag,
        },
        "DescribeCapacityProviders": {"capacityProviders": ["machines", "FARGATE", "none"], "include": ["TAGS"]},
        "UpdateCapacityProvider": {
            "name": "machines",
            "autoScalingGroupProvider": {"managedScaling": {"targetCapacity": 80}},
        },
        "DeleteCapacityProvider": {"capacityProvider": "unused"},
        "PutClusterCapacityProviders": {
            "cluster": "default",
            "capacityProviders": ["machines", "FARGATE", "FARGATE_SPOT"],
            "defaultCapacityProviderStrategy": [{"capacityProvider": "machines", "weight": 1, "base": 1}],
        },
        "RegisterTaskDefinition": {"family": "web", **FULL_DEFINITION},
        "DeregisterTaskDefinition": {"taskDefinition": "web:1"},
        "DeleteTaskDefinitions": {"taskDefinitions": ["old:1"]},
        "DescribeTaskDefinition": {"taskDefinition": "web", "include": ["TAGS"]},
        "ListTaskDefinitions": {"familyPrefix": "web", "status": "ACTIVE", "sort": "DESC", "maxResults": 1},
        "ListTaskDefinitionFamilies": {"familyPrefix": "w", "status": "ALL", "maxResults": 1},
        "RunTask": run,
        "StartTask": {**start, "containerInstances": [world.instances[0]]},
        "StopTask": {"task": world.running, "reason": "enough"},
        "DescribeTasks": {"tasks": [world.running, "none"], "include": ["TAGS"]},
        "GetTaskProtection": {"cluster": "default", "tasks": [world.running, "none"]},
        "UpdateTaskProtection": {
            "cluster": "default",
            "tasks": [world.running, "none"],
            "protectionEnabled": True,
            "expiresInMinutes": 60,
        },
        "ListTasks": {"family": "web", "desiredStatus": "RUNNING", "maxResults": 1},
        "CreateService": full_service,
        "UpdateService": {
            "service": "svc",
            "desiredCount": 2,
            "taskDefinition": "web:1",
            "forceNewDeployment": True,
        },
        "DescribeServices": {"services": ["svc", "none"], "include": ["TAGS"]},
        "ListServices": {"launchType": "EC2", "maxResults": 1},
        "ListServicesByNamespace": {"namespace": "none", "maxResults": 1},
        "ListServiceDeployments": {
            "service": "idle",
            "status": ["PENDING", "IN_PROGRESS"],
            "createdAt": {"after": 1.5},
            "maxResults": 1,
        },
        "DescribeServiceDeployments": {"serviceDeploymentArns": [world.deployment]},
        "DescribeServiceRevisions": {"serviceRevisionArns": [world.revision]},
        "StopServiceDeployment": {"serviceDeploymentArn": world.deployment, "stopType": "ROLLBACK"},
        "ContinueServiceDeployment": {"serviceDeploymentArn": world.paused, "hookId": world.hook, "action": "CONTINUE"},
        "CreateTaskSet": {
            **of_ext,
            "taskDefinition": "web:1",
            "externalId": "green",
            "launchType": "EC2",
            "scale": {"value": 12.5, "unit": "PERCENT"},
            "clientToken": "token",
            "tags": tag,
        },
        "UpdateTaskSet": {**of_ext, "taskSet": world.task_sets[0], "scale": {"value": 50, "unit": "PERCENT"}},
        "DeleteTaskSet": {**of_ext, "taskSet": world.task_sets[0], "force": True},
        "DescribeTaskSets": {**of_ext, "taskSets": [world.task_sets[0]], "include": ["TAGS"]},
        "UpdateServicePrimaryTaskSet": {**of_ext, "primaryTaskSet": world.task_sets[1]},
        "UpdateContainerAgent": {"containerInstance": world.instances[0]},
        "DeleteService": {"service": "svc", "force": True},
        "RegisterContainerInstance": machine(3),
        "DeregisterContainerInstance": {"containerInstance": world.instances[0], "force": True},
        "DescribeContainerInstances": {"containerInstances": [world.instances[0], "none"], "include": ["TAGS"]},
        "ListContainerInstances": {"filter": "attribute:rack == r1", "status": "ACTIVE", "maxResults": 1},
        "UpdateContainerInstancesState": {"containerInstances": [world.instances[0]], "status": "DRAINING"},
        "PutAttributes": {"attributes": [{"name": "zone", "value": "z", "targetId": world.instances[0]}]},
        "DeleteAttributes": {"attributes": [{"name": "rack", "targetId": world.instances[0]}]},
        "ListAttributes": {"targetType": "container-instance", "attributeName": "rack", "maxResults": 1},
        "DiscoverPollEndpoint": {"cluster": "default", "containerInstance": world.instances[0]},
        "SubmitTaskStateChange": {
            "task": world.running,
            "status": "STOPPED",
            "reason": "over",
            "containers": [{"containerName": "web", "status": "STOPPED", "exitCode": 1, "runtimeId": "r"}],
            "pullStartedAt": 1.5,
            "executionStoppedAt": 2,
        },
        "SubmitContainerStateChange": {
            "task": world.running,
            "containerName": "web",
            "status": "RUNNING",
            "runtimeId": "r",
            "networkBindings": [{"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 8080, "protocol": "tcp"}],
        },
        "SubmitAttachmentStateChanges": {"attachments": [{"attachmentArn": world.attachment, "status": "ATTACHED"}]},
        "TagResource": {"resourceArn": f"{BASE}cluster/default", "tags": tag},
        "UntagResource": {"resourceArn": f"{BASE}cluster/default", "tagKeys": ["k"]},
        "ListTagsForResource": {"resourceArn": f"{BASE}cluster/default"},
        "ListAccountSettings": {"effectiveSettings": True, "maxResults": 3},
        "PutAccountSetting": {"name": "awsvpcTrunking", "value": "disabled"},
        "PutAccountSettingDefault": {"name": "awsvpcTrunking", "value": "enabled"},
        "DeleteAccountSetting": {"name": "awsvpcTrunking"},
    }
    kept = world.plane.logs.groups("us-east-1")["group"].streams["stream"]
    logs: dict[str, dict[str, Any]] = {
        "CreateLogGroup": {"logGroupName": "new", "tags": {"a": "b"}},
        "DeleteLogGroup": {"logGroupName": "quiet"},
        "DescribeLogGroups": {"logGroupNamePrefix": "g", "limit": 1},
        "CreateLogStream": {**group, "logStreamName": "new"},
        "DeleteLogStream": {"logGroupName": "quiet", "logStreamName": "stream"},
        "DescribeLogStreams": {**group, "orderBy": "LogStreamName", "descending": True, "limit": 1},
        "PutLogEvents": {**stream, "logEvents": [{"timestamp": world.now, "message": "x"}]},
        "GetLogEvents": {**stream, "startTime": 0, "limit": 2, "startFromHead": True},
        "FilterLogEvents": {**group, "logStreamNames": ["stream"], "filterPattern": "line", "limit": 2},
        "PutRetentionPolicy": {**group, "retentionInDays": 7},
        "DeleteRetentionPolicy": group,
        "TagLogGroup": {**group, "tags": {"a": "b"}},
        "UntagLogGroup": {**group, "tags": ["k"]},
        "ListTagsLogGroup": group,
        "TagResource": {"resourceArn": f"{LOG_BASE}group", "tags": {"a": "b"}},
        "UntagResource": {"resourceArn": f"{LOG_BASE}group", "tagKeys": ["k"]},
        "ListTagsForResource": {"resourceArn": f"{LOG_BASE}group"},
        "ListLogGroups": {"logGroupNamePattern": "^gro|qui", "logGroupTags": [{"key": "k", "values": ["v*"]}]},
        "PutLogGroupDeletionProtection": {"logGroupIdentifier": "quiet", "deletionProtectionEnabled": False},
        "AssociateKmsKey": {**group, "kmsKeyId": "key"},
        "DisassociateKmsKey": group,
        "StartQuery": {**group, "startTime": 0, "endTime": 10, "queryString": "fields @message | limit 2", "limit": 5},
        "StopQuery": {"queryId": world.query},
        "GetQueryResults": {"queryId": world.query},
        "DescribeQueries": {**group, "status": "Complete", "maxResults": 5},
        "GetLogRecord": {"logRecordPointer": pointer("group", (kept.first_timestamp or 0, kept.id, 1))},
        "GetLogGroupFields": {**group, "time": 10},
        "PutQueryDefinition": {"name": "saved", "queryString": "limit 1", "logGroupNames": ["group"]},
        "DescribeQueryDefinitions": {"queryDefinitionNamePrefix": "s", "maxResults": 5},
        "DeleteQueryDefinition": {"queryDefinitionId": world.query_definition},
        "PutMetricFilter": {
            **group,
            "filterName": "new",
            "filterPattern": "[level=ERROR, ms>5, ...]",
            "metricTransformations": [
                {
                    "metricName": "m",
                    "metricNamespace": "n",
                    "metricValue": "$ms",
                    "dimensions": {"Level": "$level"},
                    "unit": "Count",
                }
            ],
        },
        "DescribeMetricFilters": {**group, "filterNamePrefix": "f", "limit": 1},
        "DeleteMetricFilter": {**group, "filterName": "filter"},
        "TestMetricFilter": {
            "filterPattern": '{ ($.a = "x*" || $.b[0] > 1) && $.c NOT EXISTS && $.d = %[0-9]+% }',
            "logEventMessages": ['{"a": "xy", "d": "1"}', "plain"],
        },
        "PutSubscriptionFilter": {
            **group,
            "filterName": "new",
            "filterPattern": "line ?x",
            "destinationArn": f"{LOG_BASE}quiet",
        },
        "DescribeSubscriptionFilters": {**group, "filterNamePrefix": "f", "limit": 1},
        "DeleteSubscriptionFilter": {**group, "filterName": "filter"},
        "PutResourcePolicy": {"policyName": "new", "policyDocument": '{"Statement": []}'},
        "DescribeResourcePolicies": {"limit": 1},
        "DeleteResourcePolicy": {"policyName": "policy"},
        "StartLiveTail": {"logGroupIdentifiers": [f"{LOG_BASE}group"], "logEventFilterPattern": "line"},
    }
    by_service = {
        "ecs": ecs,
        "logs": logs,
        "sts": {"GetCallerIdentity": {}},
        "servicediscovery": world.names.sound(),
        "events": world.happenings.sound(),
        "cloudwatch": world.observed.cloudwatch(),
        "application_autoscaling": world.observed.application_autoscaling(),
    }
    return {
        (service, operation): json.loads(json.dumps(request))
        for service, requests in by_service.items()
        for operation, request in requests.items()
    }
