# ruff: noqa: INP001 -- a script, not a package
"""Deploys the sample web service on a running installation and fetches a page from it.

It calls the same API that the AWS CLI calls, through OpenECS's own small client, so that
nothing else need be installed.  Running it again changes nothing that is already right.
"""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from sample_image import make_image

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.errors import OperatorError

WEB = Path(__file__).parent / "web"
#: A docker label that tells which version of image and definition a revision was made from.
VERSION_LABEL = "openecs.example.version"
#: What agents claim that serve the credentials that the ``awslogs`` driver needs.
AWSLOGS = "com.amazonaws.ecs.capability.logging-driver.awslogs"


@click.command()
@data_dir_option
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for a steady service.")
def main(installation: Installation, *, timeout: float) -> None:
    """Deploy the sample web service and fetch a page from it."""
    try:
        deploy(installation, timeout)
    except (OperatorError, UnreachableError, CallError) as error:
        raise click.ClickException(str(error)) from None


def deploy(installation: Installation, timeout: float) -> None:
    """All steps, each said as it is done."""
    credentials = installation.credentials()
    client = Client(credentials)
    wanted = json.loads((WEB / "service.json").read_text())
    cluster, name = wanted["cluster"], wanted["serviceName"]

    digest = make_image()
    click.echo("  image openecs-examples/web:latest made")
    ensure_cluster(client, cluster)
    awslogs = offers_awslogs(client, cluster)
    if not awslogs:
        click.echo(
            "  note: the agent serves no credentials for awslogs (it does as root), so json-file is used instead"
        )
    definition = ensure_definition(client, fitted(credentials.region, awslogs=awslogs), digest)
    click.echo(f"  task definition {definition.rpartition('/')[2]}")
    ensure_service(client, wanted, definition)
    begun = time.monotonic()
    for event in wait_until_steady(client, cluster, name, timeout):
        click.echo(f"  {event}")
    click.echo(f"  service {name} is steady ({time.monotonic() - begun:.1f} s)")

    url = addresses(client, cluster, name)[0]
    click.echo(f"\n$ curl {url}cgi-bin/page")
    click.echo(fetch(f"{url}cgi-bin/page"))
    click.echo(
        f"Endpoint:    {credentials.endpoint}\n"
        f'Credentials: eval "$({installation.command("env")})"\n\n'
        "Next:\n"
        f"  aws ecs describe-services --services {name}\n"
        + (f"  aws logs filter-log-events --log-group-name /examples/{name}\n" if awslogs else "")
        + f"  aws ecs update-service --service {name} --desired-count 3"
    )


def ensure_cluster(client: Client, name: str) -> None:
    """Create the cluster unless it is there."""
    found = client.call("ecs", "DescribeClusters", clusters=[name])["clusters"]
    if not any(cluster["status"] == "ACTIVE" for cluster in found):
        client.call("ecs", "CreateCluster", clusterName=name)


def offers_awslogs(client: Client, cluster: str) -> bool:
    """Whether some machine of the cluster can run tasks that log to ``awslogs``."""
    found = client.call(
        "ecs", "ListAttributes", cluster=cluster, targetType="container-instance", attributeName=AWSLOGS
    )
    return bool(found["attributes"])


def fitted(region: str, *, awslogs: bool) -> dict[str, Any]:
    """The file's task definition, for this region and for what the machines can do."""
    wanted: dict[str, Any] = json.loads((WEB / "task-definition.json").read_text())
    for container in wanted["containerDefinitions"]:
        if awslogs:
            container["logConfiguration"]["options"]["awslogs-region"] = region
        else:
            container["logConfiguration"] = {"logDriver": "json-file"}
    return wanted


def ensure_definition(client: Client, wanted: dict[str, Any], digest: str) -> str:
    """The ARN of a revision that is the wanted one, with the image of that digest."""
    version = hashlib.sha256((json.dumps(wanted, sort_keys=True) + digest).encode()).hexdigest()[:16]
    for container in wanted["containerDefinitions"]:
        container["dockerLabels"] = {VERSION_LABEL: version}
    try:
        newest = client.call("ecs", "DescribeTaskDefinition", taskDefinition=wanted["family"])["taskDefinition"]
    except CallError as error:
        if error.code != "ClientException":
            raise
    else:
        labels = newest["containerDefinitions"][0].get("dockerLabels", {})
        if labels.get(VERSION_LABEL) == version:
            return str(newest["taskDefinitionArn"])
    made = client.call("ecs", "RegisterTaskDefinition", **wanted)["taskDefinition"]
    return str(made["taskDefinitionArn"])


def ensure_service(client: Client, wanted: dict[str, Any], definition: str) -> None:
    """Create the service, or update what differs."""
    cluster, name = wanted["cluster"], wanted["serviceName"]
    found = client.call("ecs", "DescribeServices", cluster=cluster, services=[name])["services"]
    active = [service for service in found if service["status"] == "ACTIVE"]
    if not active:
        client.call("ecs", "CreateService", **{**wanted, "taskDefinition": definition})
        click.echo(f"  service {name} created")
    elif active[0]["taskDefinition"] != definition or active[0]["desiredCount"] < 1:
        count = max(active[0]["desiredCount"], wanted["desiredCount"])
        client.call(
            "ecs", "UpdateService", cluster=cluster, service=name, taskDefinition=definition, desiredCount=count
        )
        click.echo(f"  service {name} updated")
    else:
        click.echo(f"  service {name} is there already")


def wait_until_steady(client: Client, cluster: str, name: str, timeout: float) -> Iterator[str]:
    """Wait as ``aws ecs wait services-stable`` does; gives the service's new events meanwhile."""
    deadline = time.monotonic() + timeout
    known: set[str] | None = None
    while True:
        (service,) = client.call("ecs", "DescribeServices", cluster=cluster, services=[name])["services"]
        events = {event["id"]: event["message"] for event in reversed(service["events"])}
        if known is not None:
            yield from (message for key, message in events.items() if key not in known)
        known = set(events)
        if len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]:
            return
        if time.monotonic() > deadline:
            raise OperatorError(
                f"The service {name} is not steady after {timeout:.0f} seconds: {service['runningCount']} of "
                f"{service['desiredCount']} tasks run.{stopped_reason(client, cluster, name)} "
                f"Look at: aws ecs describe-services --services {name}"
            )
        time.sleep(0.2)


def stopped_reason(client: Client, cluster: str, name: str) -> str:
    """Why a task of the service stopped last, as a sentence, or nothing."""
    arns = client.call("ecs", "ListTasks", cluster=cluster, serviceName=name, desiredStatus="STOPPED")["taskArns"]
    if not arns:
        return ""
    tasks = client.call("ecs", "DescribeTasks", cluster=cluster, tasks=arns[:100])["tasks"]
    newest = max(tasks, key=lambda task: float(task["createdAt"]))
    reasons = [newest.get("stoppedReason"), *[part.get("reason") for part in newest["containers"]]]
    return " A task stopped: " + " ".join(reason for reason in reasons if reason)


def addresses(client: Client, cluster: str, name: str) -> list[str]:
    """URLs of the service's tasks on this machine."""
    arns = client.call("ecs", "ListTasks", cluster=cluster, serviceName=name)["taskArns"]
    tasks = client.call("ecs", "DescribeTasks", cluster=cluster, tasks=arns)["tasks"]
    ports = [
        binding["hostPort"]
        for task in tasks
        if task["lastStatus"] == "RUNNING"
        for container in task["containers"]
        for binding in container.get("networkBindings", [])
    ]
    if not ports:
        raise OperatorError(f"No task of {name} has published a port. Look at: aws ecs describe-tasks")
    return [f"http://127.0.0.1:{port}/" for port in ports]


def fetch(url: str) -> str:
    """The page, as text."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 10
    while True:
        try:
            with opener.open(url, timeout=10) as reply:
                return str(reply.read().decode())
        except OSError as error:
            # RUNNING means that the process was started; the web server in it may still be at it.
            if time.monotonic() > deadline:
                raise OperatorError(f"{url} does not answer: {error}") from None
            time.sleep(0.1)


if __name__ == "__main__":
    main()
