"""What each kind of principal may do, as long as policies are not there yet.

A pure decision: root may do everything; the others have fixed lists, taken from what AWS's
own managed policies for the same purpose allow.  A task role grants nothing but what the
agent asks in the task's name, about that task alone (``api.ecs.task_protection``): no policy
says otherwise, credentials are real, permissions are denied until granted.
"""

from __future__ import annotations

from openecs.model.access_key import PrincipalKind

#: What AmazonEC2ContainerServiceforEC2Role allows, as far as OpenECS serves it.
AGENT_ACTIONS = frozenset(
    {
        "ecs:CreateCluster",
        "ecs:DeregisterContainerInstance",
        "ecs:DiscoverPollEndpoint",
        "ecs:ListTagsForResource",
        "ecs:Poll",
        "ecs:RegisterContainerInstance",
        "ecs:StartTelemetrySession",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
        "ecs:UpdateContainerInstancesState",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }
)

#: What AmazonECSTaskExecutionRolePolicy allows, and creating the log group that
#: ``awslogs-create-group`` asks for.
EXECUTION_ACTIONS = frozenset({"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"})

#: What tasks ask their agent for, which asks with the keys of the task's role.
TASK_ACTIONS = frozenset({"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"})

#: STS answers it to everybody who has valid keys.
EVERYBODY = frozenset({"sts:GetCallerIdentity"})


def allowed(kind: PrincipalKind, service: str, operation: str) -> bool:
    """Whether a principal of that kind may call ``service:operation``."""
    if kind == "root":
        return True
    action = f"{service}:{operation}"
    if action in EVERYBODY:
        return True
    if kind == "agent":
        return action in AGENT_ACTIONS
    if kind == "task":
        return action in TASK_ACTIONS
    return kind == "execution" and action in EXECUTION_ACTIONS
