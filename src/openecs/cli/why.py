"""``openecs why``: why a task, a service or a deployment is as it is, now or weeks ago."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click

from openecs import arn as arns
from openecs.cli.client import Client
from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.errors import OperatorError

PATH = "/_openecs/why"
TASK_ID = 32


@click.command()
@click.argument("reference", metavar="TASK|SERVICE|DEPLOYMENT|SCHEDULE")
@data_dir_option
@click.option("--cluster", default="default", show_default=True, help="The cluster of a service that is named.")
@click.option("--region", help="The region of a service that is named [default: the installation's].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; times are seconds since the epoch.")
def why(installation: Installation, *, reference: str, cluster: str, region: str | None, as_json: bool) -> None:
    """Tell why a task, a service, a deployment or a schedule is as it is.

    TASK is an id or ARN, SERVICE a name, CLUSTER/NAME or ARN, DEPLOYMENT is ecs-svc/N or the ARN of a service
    deployment, service revision or task set, SCHEDULE the ARN of a schedule or a rule.  Tasks, services and
    deployments that are gone are remembered for 30 days.
    """
    client = Client(installation.credentials())
    path, region = path_of(reference, cluster, region, client)
    answer = client.get(f"{PATH}/{quote(path, safe='/:')}", region)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        for line in lines(answer):
            click.echo(line)


def path_of(reference: str, cluster: str, region: str | None, client: Client) -> tuple[str, str | None]:
    """What to ask for, and in which region.  Raises ``OperatorError`` for what cannot be asked for."""
    arn = arns.parse(reference)
    if arn is not None:
        if (arn.service, arn.kind) in (("scheduler", "schedule"), ("events", "rule")):
            return f"schedule/{reference}", arn.region
        if arn.kind == "task":
            return f"task/{reference}", arn.region
        if arn.kind == "service" and len(arn.path) == 2:
            return f"service/{'/'.join(arn.path)}", arn.region
        if arn.kind == "service-revision":
            return f"deployment/ecs-svc/{arn.path[-1]}", arn.region
        if arn.kind == "task-set":
            return f"deployment/{'/'.join(arn.path[-2:])}", arn.region
        if arn.kind == "service-deployment":
            return f"deployment/{_deployment_of(reference, arn.region, client)}", arn.region
        raise OperatorError(
            f"{reference} is none of a task, a service, a deployment and a schedule. Name one of these."
        )
    if reference.startswith("ecs-svc/"):
        return f"deployment/{reference}", region
    if len(reference) == TASK_ID and all(c in "0123456789abcdef" for c in reference):
        return f"task/{reference}", region
    if "/" in reference:
        cluster, _, reference = reference.partition("/")
    return f"service/{arns.short(cluster)}/{reference}", region


def _deployment_of(reference: str, region: str, client: Client) -> str:
    """``ecs-svc/N`` of a service deployment, by way of its target revision."""
    described = client.call("ecs", "DescribeServiceDeployments", region, serviceDeploymentArns=[reference])
    for found in described.get("serviceDeployments", ()):
        revision: str = found["targetServiceRevision"]["arn"]
        return f"ecs-svc/{arns.short(revision)}"
    raise OperatorError(f"There is no {reference}. List them with: aws ecs list-service-deployments --service NAME")


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """What to print of an answer, one line each, whatever containers printed."""
    return (printable(line) for line in _lines(answer))


def printable(text: str) -> str:
    """Text that a terminal shows as it is: control characters, line ends and what turns its direction are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    status = f" {answer['status']}" if answer["status"] else ""
    yield f"{answer['subject']} {answer['id']}{status}"
    yield f"  {answer['summary']}"
    if answer["now"]:
        yield from ("", "Now")
        for line in answer["now"]:
            yield f"  {line['text']}"
            yield from (f"      {detail}" for detail in line["details"])
    if answer["failures"]:
        yield from ("", "Failures, newest cause first")
        for group in answer["failures"]:
            yield f"  {group['count']} x {group['cause']} (last {_when(group['last_at'])})"
            yield f"      openecs why {group['tasks'][0]}"
    if answer["timeline"]:
        yield from ("", "What happened (local time)")
        for line in answer["timeline"]:
            yield f"  {_when(line['at'])}  {line['what']:<14}  {line['text']}"
            yield from (f"      {detail}" for detail in line["details"])


def _when(at: float | None) -> str:
    if at is None:
        return " " * 19
    whole, fraction = divmod(at, 1)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole)) + f".{int(fraction * 1000):03d}"
