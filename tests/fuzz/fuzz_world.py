"""The small world that fuzzed requests speak of.

``build`` makes clusters, machines, task definitions, tasks, services and logs through the API.
``references`` are the values that requests use where they name something: things that exist,
that once existed, that never did, and malformed ones.
"""

from __future__ import annotations

from typing import Any

from fuzz_discovery import Names
from fuzz_events import Happenings
from fuzz_observing import Observed
from fuzz_plane import ACCOUNT, REGION, Plane

from openecs.model.network import region_network

BASE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:"
LOG_BASE = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
NETWORK = region_network(ACCOUNT, REGION)
AWSVPC = {"awsvpcConfiguration": {"subnets": [NETWORK.subnets[0].id], "securityGroups": [NETWORK.security_group_id]}}
CAPABILITIES = (
    "ecs.capability.container-ordering",
    "ecs.capability.network.container-port-range",
    "ecs.capability.container-restart-policy",
    "ecs.capability.container-health-check",
    "ecs.capability.docker-plugin.local",
    "com.amazonaws.ecs.capability.privileged-container",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.increased-task-cpu-limit",
    "ecs.capability.task-eni",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "ecs.capability.execution-role-awslogs",
    *(f"com.amazonaws.ecs.capability.docker-remote-api.1.{n}" for n in range(17, 33)),
    *(
        f"com.amazonaws.ecs.capability.logging-driver.{driver}"
        for driver in ("json-file", "awslogs", "none", "syslog", "journald", "fluentd", "gelf", "local")
    ),
)


def container(name: str = "web", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "cpu": 64, "memory": 64, "essential": True, **more}


DEFINITIONS: dict[str, dict[str, Any]] = {
    "web": {"containerDefinitions": [container(), container("side", essential=False)]},
    "port": {"containerDefinitions": [container(portMappings=[{"containerPort": 80, "hostPort": 8080}])]},
    "net": {"networkMode": "awsvpc", "containerDefinitions": [container()]},
    "far": {
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{"name": "web", "image": "busybox"}],
    },
}


def machine(number: int, **more: Any) -> dict[str, Any]:
    """What the agent of a machine registers."""
    attributes = [{"name": name} for name in CAPABILITIES]
    valued = {
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.cpu-architecture": "x86_64",
        "openecs.node-id": f"node-{number}",
        "openecs.task-eni": "true",
        "openecs.fargate": "true",
        "openecs.lend-to": "spare",
    }
    attributes += [{"name": name, "value": value} for name, value in valued.items()]
    return {
        "cluster": "default",
        "attributes": attributes,
        "totalResources": [
            {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": 2048},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ],
        **more,
    }


#: A blue/green deployment that waits at once to be continued.
PAUSED: dict[str, Any] = {
    "strategy": "BLUE_GREEN",
    "bakeTimeInMinutes": 5,
    "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]}],
}


class World:
    """What exists, by the names under which requests can speak of it."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        for name in ("default", "spare", "empty", "gone"):
            plane.must("ecs", "CreateCluster", clusterName=name, tags=[{"key": "k", "value": "v"}])
        plane.must("ecs", "DeleteCluster", cluster="gone")
        for name in ("machines", "unused"):
            group = {"autoScalingGroupArn": f"{name}-group"}
            plane.must("ecs", "CreateCapacityProvider", name=name, autoScalingGroupProvider=group)
        plane.must(
            "ecs",
            "PutClusterCapacityProviders",
            cluster="default",
            capacityProviders=["machines", "FARGATE"],
            defaultCapacityProviderStrategy=[],
        )
        registered = [
            plane.must("ecs", "RegisterContainerInstance", who=plane.agent, **machine(number)) for number in (1, 2)
        ]
        self.instances = [reply["containerInstance"]["containerInstanceArn"] for reply in registered]
        plane.connect_agents()
        for family, members in DEFINITIONS.items():
            plane.must("ecs", "RegisterTaskDefinition", family=family, **members)
        for _ in range(2):
            plane.must("ecs", "RegisterTaskDefinition", family="old", **DEFINITIONS["web"])
        plane.must("ecs", "DeregisterTaskDefinition", taskDefinition="old:1")
        plane.must("ecs", "DeregisterTaskDefinition", taskDefinition="old:2")
        self.running = self._run("web", startedBy="me", tags=[{"key": "k", "value": "v"}])
        self.stopped = self._run("web")
        self.pending = self._run("port")
        self.attached = self._run("net", networkConfiguration=AWSVPC)
        for task, status in ((self.running, "RUNNING"), (self.stopped, "STOPPED")):
            plane.must("ecs", "SubmitTaskStateChange", who=plane.agent, task=task, status=status)
        for name, members in (
            ("svc", {"taskDefinition": "web", "desiredCount": 1}),
            ("idle", {"taskDefinition": "web", "desiredCount": 0}),
            ("paused", {"taskDefinition": "web", "desiredCount": 0, "deploymentConfiguration": PAUSED}),
        ):
            plane.must("ecs", "CreateService", serviceName=name, **members)
        plane.must("ecs", "CreateService", serviceName="ext", desiredCount=1, deploymentController={"type": "EXTERNAL"})
        plane.settle_services()
        # "idle" was deployed at once, so its newest deployment can be rolled back.
        moved = plane.must("ecs", "UpdateService", service="idle", desiredCount=1, forceNewDeployment=True)["service"]
        self.deployment = moved["currentServiceDeployment"]
        saved = plane.must("logs", "PutQueryDefinition", name="kept", queryString="limit 1")
        self.query_definition = saved["queryDefinitionId"]
        self.revision = moved["currentServiceRevisions"][0]["arn"]
        (paused,) = plane.must("ecs", "DescribeServices", services=["paused"])["services"]
        self.paused = paused["currentServiceDeployment"]
        (shown,) = plane.must("ecs", "DescribeServiceDeployments", serviceDeploymentArns=[self.paused])[
            "serviceDeployments"
        ]
        self.hook = shown["lifecycleHookDetails"][0]["hookId"]
        sets = [
            plane.must("ecs", "CreateTaskSet", cluster="default", service="ext", taskDefinition="web:1")["taskSet"]
            for _ in range(2)
        ]
        self.task_sets = [made["taskSetArn"] for made in sets]
        plane.must("ecs", "UpdateServicePrimaryTaskSet", cluster="default", service="ext", primaryTaskSet=sets[0]["id"])
        plane.must("ecs", "PutAttributes", attributes=[{"name": "rack", "value": "r1", "targetId": self.instances[0]}])
        plane.must("ecs", "PutAccountSetting", name="awsvpcTrunking", value="enabled")
        self.names = Names(plane)
        self.happenings = Happenings(plane)
        self.observed = Observed(plane)
        self.now = self.make_logs(plane)
        asked = plane.must("logs", "StartQuery", logGroupName="group", startTime=0, endTime=1, queryString="limit 1")
        self.query = asked["queryId"]

    @staticmethod
    def make_logs(plane: Plane) -> int:
        """Two log groups with a stream each; returns the time of the first event."""
        for name in ("group", "quiet"):
            plane.must("logs", "CreateLogGroup", logGroupName=name, tags={"k": "v"})
            plane.must("logs", "CreateLogStream", logGroupName=name, logStreamName="stream")
        of = {"logGroupName": "group", "filterName": "filter", "filterPattern": "line"}
        metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
        plane.must("logs", "PutMetricFilter", **of, metricTransformations=[metric])
        plane.must("logs", "PutSubscriptionFilter", **of, destinationArn="http://127.0.0.1:9/")
        plane.must("logs", "PutResourcePolicy", policyName="policy", policyDocument='{"Statement": []}')
        now = round(plane.clock.now() * 1000)
        events = [{"timestamp": now + n, "message": f"line {n}"} for n in range(5)]
        plane.must("logs", "PutLogEvents", logGroupName="group", logStreamName="stream", logEvents=events)
        return now

    def _run(self, definition: str, **more: Any) -> str:
        reply = self.plane.must("ecs", "RunTask", taskDefinition=definition, **more)
        assert not reply["failures"], reply
        arn: str = reply["tasks"][0]["taskArn"]
        return arn

    @property
    def references(self) -> dict[str, list[Any]]:
        """Member name → values worth trying; a list's items are found under the list's name."""
        clusters = ["default", "spare", "empty", "gone", "nowhere", f"{BASE}cluster/default", f"{BASE}service/x", ""]
        definitions = ["web", "web:1", "far", "net", "port:1", "old", "old:1", "web:99", "none", "web:", ":1", "web:0"]
        definitions += [f"{BASE}task-definition/web:1", f"{BASE}task-definition/web", "arn:aws:ecs", "web:1:1", ""]
        tasks = [self.running, self.stopped, self.pending, self.attached, self.running.rsplit("/", 1)[1], "0" * 32]
        tasks += [f"{BASE}task/spare/{'0' * 32}", f"{BASE}task/{'0' * 32}", f"{BASE}cluster/default", "x", ""]
        services = [
            "svc",
            "idle",
            "ext",
            "none",
            f"{BASE}service/default/svc",
            f"{BASE}service/svc",
            f"{BASE}service/a/b/c",
        ]
        instances = [*self.instances, self.instances[0].rsplit("/", 1)[1], "0" * 32, f"{BASE}container-instance/x", ""]
        resources = [f"{BASE}cluster/default", self.running, self.instances[0], f"{BASE}service/default/svc"]
        task_sets = [
            *self.task_sets,
            self.task_sets[0].partition("/ext/")[2],
            "ecs-svc/1",
            "ecs-svc/x",
            "",
            services[0],
        ]
        deployments = [self.deployment, self.paused, f"{BASE}service-deployment/default/svc/x", self.revision, "x", ""]
        resources += [
            self.task_sets[1],
            f"{BASE}task-definition/web:1",
            f"{BASE}task-definition/old:1",
            f"{BASE}cluster/none",
            "arn:x",
        ]
        resources += [f"{LOG_BASE}group", f"{LOG_BASE}group:*", f"{LOG_BASE}none", "arn:aws:s3:::bucket"]
        groups, streams = ["group", "quiet", "none", "a/b", "", "x" * 513], ["stream", "none", "a:b", "*", ""]
        subnets = [[NETWORK.subnets[0].id], [NETWORK.subnets[1].id, NETWORK.subnets[2].id], ["subnet-0"], []]
        providers = ["machines", "unused", "FARGATE", "FARGATE_SPOT", "none", f"{BASE}capacity-provider/machines", ""]
        return {
            **self.happenings.references,
            **self.observed.references,
            **self.names.references,
            "cluster": clusters,
            "clusters": clusters,
            "clusterName": [*clusters, "new-one", "a" * 256, "9lives"],
            "taskDefinition": definitions,
            "taskDefinitions": definitions,
            "family": ["web", "fresh", "old", "far", "a" * 256, "a b", ""],
            "familyPrefix": ["web", "old", "w", "none"],
            "task": tasks,
            "tasks": tasks,
            "service": services,
            "services": services,
            "serviceName": [*services, "new-service", "a" * 256],
            "taskSet": task_sets,
            "taskSets": task_sets,
            "primaryTaskSet": task_sets,
            "serviceDeploymentArn": deployments,
            "serviceDeploymentArns": deployments,
            "serviceRevisionArns": [self.revision, f"{BASE}service-revision/default/svc/1", self.deployment, "x"],
            "stopType": ["ROLLBACK", "ABORT"],
            "containerInstance": instances,
            "containerInstances": instances,
            "containerInstanceArn": instances,
            "targetId": instances,
            "resourceArn": resources,
            "logGroupName": groups,
            "logGroupIdentifier": [*groups, f"{LOG_BASE}group", f"{LOG_BASE}group:*"],
            "logGroupNamePrefix": groups,
            "logStreamName": streams,
            "logStreamNames": streams,
            "logStreamNamePrefix": streams,
            "logGroupIdentifiers": [f"{LOG_BASE}group", f"{LOG_BASE}none", "group", f"{LOG_BASE}group:*"],
            "filterName": ["filter", "none", "a:b", ""],
            "filterPattern": ["line", "a-b", "%(%", "{ $.a = 1 }", "[a, ..., b=1]", "{" * 99, "%a*a*a*a*%", '"'],
            "logEventFilterPattern": ["line", "a-b", "%(%", "{ $.a }"],
            "destinationArn": [f"{LOG_BASE}quiet", f"{LOG_BASE}group", "http://x", "https://a:99999/", "arn:x"],
            "metricValue": ["1", "$a", "$.a", "x", "inf", ""],
            "policyName": ["policy", "none", ""],
            "subnets": [item for several in subnets for item in several],
            "securityGroups": [NETWORK.security_group_id, "sg-0"],
            "image": ["busybox", "busybox:1", "repo/image@sha256:" + "0" * 64, "a b", "", "UPPER"],
            "containerName": ["web", "side", "none"],
            "name": ["web", "side", "volume", "rack", "CPU", "awsvpcTrunking", "containerInsights", "a b", "n" * 256],
            "capacityProvider": [*providers, "m" * 256],
            "capacityProviders": providers,
            "autoScalingGroupArn": ["machines-group", "fresh-group", "arn:aws:autoscaling:x", "", "x" * 200],
            "networkMode": ["bridge", "host", "none", "awsvpc"],
            "cpu": ["256", "1 vCPU", ".25 vcpu", "0", "-1", "99999999999", "1e3", "²"],
            "memory": ["512", "1GB", "0.5 gb", "0", "-5", "one"],
            "expression": [
                "attribute:rack == r1",
                "agentConnected == true",
                "not(task:group == family:web)",
                "runningTasksCount > 1",
                "(" * 60,
                "attribute:rack in [",
                "a == b and",
                "attribute:rack =~ (a+)+$",
                "attribute:rack =~ [",
            ],
            "filter": ["attribute:rack == r1", "agentConnected == true", "task:group ==", "((", "status == ACTIVE"],
            "field": ["instanceId", "host", "cpu", "memory", "attribute:rack", "attribute:", "rack"],
            "status": ["RUNNING", "STOPPED", "PENDING", "ACTIVE", "DRAINING", "MANIFEST_PULLED", "x"],
            "startedBy": ["me", "ecs-svc/1", "s" * 129],
            "group": ["family:web", "service:svc", "mine", ""],
            "attachmentArn": [f"{BASE}attachment/x", self.attachment, "x", ""],
            "nextToken": ["x", "", "a" * 2000, "eyJ9", "é"],
            "sequenceToken": ["x", "1"],
            "startTime": [0, self.now, self.now + 3, -1, 2**62],
            "endTime": [0, self.now, self.now + 3, -1, 2**62],
            "timestamp": [self.now, self.now - 1, 0, -1, 2**62, self.now + 10**9],
            "key": ["k", "aws:x", "", "k" * 129],
            "tagKeys": ["k", "none", "aws:x"],
            "containerPort": [80, 0, 1, 65535, 65536, -1],
            "hostPort": [0, 8080, 22, 80, 49153, 65536, -1],
            "containerPortRange": ["80-90", "90-80", "1-65535", "x-y", "80", "0-0", "80-80-80"],
            "desiredCount": [0, 1, 2, -1, 10**6, 2**31 - 1],
            "count": [1, 2, 10, 11, 0, -1],
            "launchType": ["EC2", "FARGATE", "EXTERNAL"],
            "instanceIdentityDocument": ["", "{}", '{"instanceId":"i-1"}', "[]", '{"instanceId":1}', "\ud800", "{"],
        }

    @property
    def attachment(self) -> str:
        """The ARN of the attachment of a task in a network of its own."""
        task = self.plane.state.tasks.get(self.attached)
        assert task is not None
        assert task.eni is not None
        return f"{BASE}attachment/{task.eni.attachment_id}"
