"""``openecs status``: what runs, in one screen.  Exit status 0 well, 1 in trouble, 3 not running."""

from __future__ import annotations

import json
from typing import Any

import click

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation, Running
from openecs.cli.options import data_dir_option
from openecs.cli.process import ProcessIdentity

EXIT_TROUBLE = 1
EXIT_NOT_RUNNING = 3


@click.command()
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(installation: Installation, *, as_json: bool) -> None:
    """Show what runs.  Exit status: 0 all is well, 1 something is wrong, 3 not running."""
    running = installation.running()
    if running is None:
        if as_json:
            click.echo(json.dumps({"running": False, "data_dir": str(installation.home)}))
        else:
            click.echo(f"OpenECS is not running in {installation.home}. Start it with: {installation.command('up')}")
        raise SystemExit(EXIT_NOT_RUNNING)
    try:
        report = Client(installation.credentials(), timeout=10).get("/_openecs/status")
        problem = None
    except (UnreachableError, CallError) as error:
        report, problem = {}, f"The control plane does not answer: {error}"
    problem = problem or trouble_of(running, report)
    if as_json:
        click.echo(json.dumps(as_data(installation, running, report, problem), indent=2))
    else:
        for name, value in lines(installation, running, report, problem):
            click.echo(f"{name + ':':<12} {value}")
    if problem is not None:
        raise SystemExit(EXIT_TROUBLE)


def trouble_of(running: Running, report: dict[str, Any]) -> str | None:
    """What is wrong, in a sentence; ``None`` when all is well."""
    if running.trouble is not None:
        return running.trouble
    if not running.supervisor.is_alive():
        return "The supervisor is gone, so nothing restarts what ends. Run 'openecs down', then 'openecs up'."
    if running.with_agent and _pid(running.agent) is None:
        return "The agent does not run; it is started again. Look at: openecs logs --agent"
    if running.with_agent and not any(node["agent_connected"] for node in report["nodes"]):
        return "No agent is connected, so no task can start. Look at: openecs logs --agent"
    if report.get("paused"):
        return "No task is launched: 'openecs down' or a reset stops the tasks. This ends by itself when that gives up."
    return None


def as_data(
    installation: Installation, running: Running, report: dict[str, Any], problem: str | None
) -> dict[str, Any]:
    """The same as JSON-ready data."""
    return {
        "running": True,
        "data_dir": str(installation.home),
        "endpoint": running.endpoint,
        "ephemeral": running.ephemeral,
        "pids": {
            "supervisor": _pid(running.supervisor),
            "server": _pid(running.server),
            "agent": _pid(running.agent),
        },
        "restarts": {"server": running.server_crashes, "agent": running.agent_crashes},
        "metrics_token_file": str(installation.layout().metrics_token_file),
        "problem": problem,
        "control_plane": report,
    }


def lines(
    installation: Installation, running: Running, report: dict[str, Any], problem: str | None
) -> list[tuple[str, str]]:
    """What to print: heading and text."""
    agent = _shown(running.agent) if running.with_agent else "none (--no-agent)"
    found = [
        ("Endpoint", running.endpoint),
        ("Data", f"{installation.home}{' (ephemeral: nothing is kept)' if running.ephemeral else ''}"),
        ("Processes", f"supervisor {_shown(running.supervisor)}, server {_shown(running.server)}, agent {agent}"),
    ]
    token = installation.layout().metrics_token_file
    found.append(("Metrics", f"{running.endpoint}/metrics, with the bearer token in {token}"))
    if running.server_crashes or running.agent_crashes:
        found.append(("Restarts", f"server {running.server_crashes}, agent {running.agent_crashes}"))
    if report:
        tasks = {name: count for name, count in sorted(report["tasks_by_status"].items()) if count}
        found += [
            ("Version", f"{report['version']}, up {_duration(report['uptime'])}"),
            ("Clusters", _counted(report["clusters"])),
            ("Tasks", ", ".join(f"{count} {name}" for name, count in tasks.items()) or "none"),
        ]
        found += [("Machine", _machine(node)) for node in report["nodes"]]
        found += [line for each in report.get("load_balancers", ()) for line in _load_balancer(each)]
    if problem is not None:
        found.append(("Problem", problem))
    return found


def _machine(node: dict[str, Any]) -> str:
    engine = f", {node['engine']}" if node.get("engine") else ""
    return f"{node['node_id']} {'connected' if node['agent_connected'] else 'DISCONNECTED'}{engine}"


def _load_balancer(balancer: dict[str, Any]) -> list[tuple[str, str]]:
    """A load balancer and where each of its listeners is reached."""
    why = f": {balancer['reason']}" if balancer["reason"] else ""
    state = str(balancer["state"]).replace("_", " ")
    found = [("Balancer", f"{balancer['name']} ({balancer['region']}), {balancer['dns_name']}, {state}{why}")]
    for each in balancer["endpoints"]:
        address = each["address"]
        shown = f"{each['protocol'].lower()}://{address}" if each["protocol"].startswith("HTTP") else address
        found.append(("Listener", f"{balancer['name']} {each['protocol']} {each['port']} at {shown}"))
    return found


def _counted(clusters: object) -> str:
    return ", ".join(str(name) for name in clusters) or "none" if isinstance(clusters, list) else str(clusters)


def _pid(process: ProcessIdentity | None) -> int | None:
    return process.pid if process is not None and process.is_alive() else None


def _shown(process: ProcessIdentity | None) -> str:
    pid = _pid(process)
    return "not running" if pid is None else f"pid {pid}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(shown[:2]) or "0 s"
