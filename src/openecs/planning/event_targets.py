"""What the ARN of a rule's or schedule's target stands for, and what of it is refused.  Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs import arn as arns

TargetKind = Literal["ecs", "logs", "bus", "http"]

#: Services of AWS that are targets there and are not here.
_NAMES = {
    "lambda": "AWS Lambda functions",
    "sqs": "Amazon SQS queues",
    "sns": "Amazon SNS topics",
    "kinesis": "Amazon Kinesis streams",
    "firehose": "Amazon Data Firehose streams",
    "states": "AWS Step Functions state machines",
    "ssm": "AWS Systems Manager",
    "batch": "AWS Batch job queues",
    "codebuild": "AWS CodeBuild projects",
    "codepipeline": "AWS CodePipeline pipelines",
    "execute-api": "Amazon API Gateway",
    "redshift": "Amazon Redshift clusters",
    "redshift-serverless": "Amazon Redshift Serverless workgroups",
    "sagemaker": "Amazon SageMaker pipelines",
    "appsync": "AWS AppSync APIs",
    "ec2": "Amazon EC2 API calls",
    "glue": "AWS Glue workflows",
    "inspector": "Amazon Inspector",
}


class TargetPlace(NamedTuple):
    """A target's kind and what of its ARN matters: cluster ARN, log group's name, bus or destination ARN."""

    kind: TargetKind
    region: str
    name: str


class TargetRefusedError(ValueError):
    """The ARN is none of a target that there is; the text says why."""


def place(arn: str) -> TargetPlace:
    """What an ARN stands for; raises ``TargetRefusedError``."""
    parsed = arns.parse(arn)
    if parsed is None:
        raise TargetRefusedError("Provided Arn is not in correct format.")
    kind, _, rest = parsed.resource.replace(":", "/", 1).partition("/")
    if parsed.service == "ecs" and kind == "cluster" and rest:
        return TargetPlace("ecs", parsed.region, arn)
    if parsed.service == "logs" and kind == "log-group" and rest.removesuffix(":*"):
        return TargetPlace("logs", parsed.region, rest.removesuffix(":*"))
    if parsed.service == "events" and kind == "event-bus" and rest:
        return TargetPlace("bus", parsed.region, arn)
    if parsed.service == "events" and kind == "api-destination" and rest:
        return TargetPlace("http", parsed.region, arn)
    if parsed.service in _NAMES:
        raise TargetRefusedError(
            f"{_NAMES[parsed.service]} are no targets in OpenECS. It delivers to ECS clusters (RunTask), "
            "CloudWatch log groups, event buses and API destinations."
        )
    raise TargetRefusedError("Provided Arn is not in correct format.")


def dead_letter_group(arn: str) -> TargetPlace:
    """The log group of a dead-letter configuration; raises ``TargetRefusedError``."""
    parsed = arns.parse(arn)
    if parsed is not None and parsed.service == "sqs":
        raise TargetRefusedError(
            "Amazon SQS queues are not supported by OpenECS as dead-letter queues. "
            "Give the ARN of a CloudWatch log group instead."
        )
    found = place(arn)
    if found.kind != "logs":
        raise TargetRefusedError("A dead-letter queue must be the ARN of a CloudWatch log group in OpenECS.")
    return found
