"""``openecs up``: start a control plane and this machine's agent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import click
import msgspec

from openecs.cli.address_range import choose_range
from openecs.cli.foreground import Foreground
from openecs.cli.installation import Installation, Settings
from openecs.cli.leftovers import remove_abandoned
from openecs.cli.options import (
    ALL,
    Amount,
    data_dir_option,
    edge_address_option,
    evidence_option,
    group_option,
    host_address_option,
    hosts_file_option,
    log_level_option,
    overlay_option,
    require_zone_of,
    zone_option,
)
from openecs.cli.plan import AgentPlan, StartPlan
from openecs.cli.progress import wait_until_ready
from openecs.cli.supervisor import program
from openecs.config import Layout, ServerConfig, write_private
from openecs.errors import OperatorError
from openecs.log import Level
from openecs.logs.victoria_logs import VictoriaLogs


def _program(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The absolute path of a program that can be run; the empty text for none."""
    if not value:
        return value
    found = shutil.which(value)
    if found is None:
        raise click.BadParameter(f"{value} is no program that can be run.")
    return str(Path(found).absolute())


def _log_engine(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The address of a VictoriaLogs; the empty text for none."""
    if value:
        try:
            VictoriaLogs(value, "")
        except OperatorError as error:
            raise click.BadParameter(str(error)) from None
    return value


def _remote_write(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Where metrics are sent on to; the empty text for nowhere."""
    if value:
        # Imported here: the other commands start faster without it.
        from openecs.metrics.remote_write import endpoint_of

        try:
            endpoint_of(value)
        except OperatorError as error:
            raise click.BadParameter(str(error)) from None
    return value


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Return when everything runs, instead of staying in the foreground.")
@click.option(
    "--port", envvar="OPENECS_PORT", type=click.IntRange(0, 65535), help="Port; 0 picks a free one [default: 8327]."
)
@click.option("--bind", help="Address to listen on [default: 127.0.0.1].")
@click.option("--advertise-url", help="URL under which other machines reach this control plane.")
@data_dir_option
@click.option("--runtime", type=click.Choice(["docker", "fake"]), help="What runs the containers [default: docker].")
@click.option("--account-id", help="Account id of this installation, 12 digits [default: 000000000000].")
@click.option("--region", help="Default region; any region name works in calls [default: us-east-1].")
@click.option(
    "--address-range",
    metavar="CIDR",
    help="Private addresses for awsvpc tasks [default: 10.208.0.0/16; a part of 10.208.0.0/12 with --data-dir].",
)
@click.option("--ephemeral", is_flag=True, help="Keep nothing on disk; POST /_openecs/reset wipes everything.")
@click.option("--lend-to", multiple=True, metavar="CLUSTER", help="Show this machine in it [default: default].")
@group_option
@zone_option
@click.option("--cpu", type=Amount(128), help="CPU units that this machine offers [default: all].")
@click.option("--memory", type=Amount(64), help="MiB that this machine offers [default: all].")
@host_address_option
@edge_address_option
@hosts_file_option
@overlay_option
@evidence_option
@click.option(
    "--replace-lost-after",
    metavar="SECONDS",
    type=click.IntRange(min=0),
    help="When services replace tasks of machines that do not answer; 0: never, as on AWS [default: 300].",
)
@click.option(
    "--fast-probes/--no-fast-probes",
    default=None,
    help="Load balancers probe new targets every second until the first pass; AWS keeps to the interval [default: on].",
)
@click.option(
    "--fast-drain/--no-fast-drain",
    default=None,
    help="Draining ends when nothing is in flight; AWS waits for the whole delay [default: on].",
)
@click.option(
    "--retry-safe/--no-retry-safe",
    "retries_safe",
    default=None,
    help="GET, HEAD and OPTIONS requests whose target is lost before it answers go to another one;"
    " AWS answers 502 [default: on].",
)
@click.option(
    "--provisioner",
    metavar="PROGRAM",
    callback=_program,
    help="Program that starts and stops machines for Auto Scaling groups; '' for none (docs/capacity.md).",
)
@click.option(
    "--log-engine",
    metavar="URL",
    callback=_log_engine,
    help="VictoriaLogs that takes over log events which are no longer new; '' for none (docs/logs.md).",
)
@click.option(
    "--metrics-remote-write",
    metavar="URL",
    callback=_remote_write,
    help="Prometheus, VictoriaMetrics or the like that all metrics are sent on to; '' for none (docs/metrics.md).",
)
@click.option(
    "--alarm-topic",
    multiple=True,
    metavar="ARN=URL",
    help="Post what CloudWatch alarms publish to this SNS topic to a URL; may be given several times.",
)
@click.option(
    "--agent/--no-agent", default=None, help="--no-agent: only the control plane; machines join with 'openecs agent'."
)
@click.option("--keep-tasks", is_flag=True, help="In the foreground: Ctrl-C leaves containers running.")
@click.option("--timeout", type=float, default=90.0, show_default=True, help="Seconds to wait until everything runs.")
@log_level_option
def up(
    installation: Installation,
    *,
    detach: bool,
    ephemeral: bool,
    keep_tasks: bool,
    timeout: float,
    log_level: Level,
    **given: object,
) -> None:
    """Start OpenECS on this machine.

    Settings that are not given are those of the last time, so that a plain 'openecs up' brings
    the same installation back, with everything in it.
    """
    if installation.running() is not None:
        raise OperatorError(installation.already_running())
    settings = choose_settings(installation, {name: value for name, value in given.items() if value not in (None, ())})
    check_port(settings.bind, settings.port)
    require_zone_of(settings.region, settings.availability_zone)
    plan = make_plan(installation, settings, ephemeral=ephemeral, log_level=log_level)
    with installation.locked():
        remove_abandoned(installation)
        installation.clear_run()
    if not ephemeral:
        installation.save_settings(settings)
    start(installation, plan, detach=detach, keep_tasks=keep_tasks, timeout=timeout)


def choose_settings(installation: Installation, given: dict[str, object]) -> Settings:
    """What was given now over what was kept over the defaults.

    Raises ``OperatorError`` for an account id other than the one that the ARNs hold.
    """
    kept = installation.settings()
    asked_account, asked_range = given.get("account_id"), given.get("address_range")
    if kept is not None and asked_account not in (None, kept.account_id):
        raise OperatorError(
            f"The installation in {installation.home} has the account id {kept.account_id}, which is part of all its "
            "ARNs and cannot change. Leave --account-id away, or make a new installation with --data-dir DIR."
        )
    if kept is not None and asked_range not in (None, kept.address_range):
        raise OperatorError(
            f"The installation in {installation.home} has the addresses {kept.address_range}, which its tasks carry. "
            "Leave --address-range away, or make a new installation with --data-dir DIR."
        )
    fresh = Settings(address_range=choose_range(installation.home, Installation.locate(None, os.environ).home))
    asked = {name: None if name in ("cpu", "memory") and value == ALL else value for name, value in given.items()}
    settings = msgspec.structs.replace(kept or fresh, **asked)
    if settings.port == 0:
        settings = msgspec.structs.replace(settings, port=_free_port(settings.bind))
    return settings


def make_plan(installation: Installation, settings: Settings, *, ephemeral: bool, log_level: Level) -> StartPlan:
    """What the supervisor is to start."""
    layout = Layout(installation.home, ephemeral=ephemeral)
    server = ServerConfig(
        bind=settings.bind,
        port=settings.port,
        data_dir=None if ephemeral else installation.home,
        run_dir=layout.run,
        account_id=settings.account_id,
        region=settings.region,
        runtime=settings.runtime,
        advertise_url=settings.advertise_url,
        lend_to=settings.lend_to if settings.agent else (),
        address_range=settings.address_range,
        replace_lost_after=settings.replace_lost_after,
        fast_probes=settings.fast_probes,
        fast_drain=settings.fast_drain,
        retries_safe=settings.retries_safe,
        provisioner=settings.provisioner or None,
        log_engine=settings.log_engine or None,
        metrics_remote_write=settings.metrics_remote_write or None,
        alarm_topics=tuple((arn, url) for arn, _, url in (topic.partition("=") for topic in settings.alarm_topic)),
        log_level=log_level,
    )
    if not settings.agent:
        return StartPlan(home=installation.home, server=server, agent=None)
    local = AgentPlan(
        cluster=settings.lend_to[0],
        # All of them, because clusters of these names in other regions are meant as well.
        lend_to=settings.lend_to,
        group=settings.group,
        availability_zone=settings.availability_zone,
        runtime=settings.runtime,
        docker_host=os.environ.get("DOCKER_HOST") or None,
        cpu=settings.cpu,
        memory=settings.memory,
        evidence=settings.evidence,
        host_address=settings.host_address or None,
        edge_address=settings.edge_address or None,
        hosts_file=settings.hosts_file or None,
        overlay=settings.overlay,
        reserved_port=settings.port,
        data_dir=layout.agent,
        region=settings.region,
        log_level=log_level,
    )
    return StartPlan(home=installation.home, server=server, agent=local)


def check_port(bind: str, port: int) -> None:
    """Raise ``OperatorError`` when nobody could listen there."""
    try:
        family, _, _, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise OperatorError(
            f"Cannot listen on {bind} port {port}: {error.strerror or error}. Choose another port with --port, or let "
            "'--port 0' find a free one; --bind names the address."
        ) from None


def start(installation: Installation, plan: StartPlan, *, detach: bool, keep_tasks: bool, timeout: float) -> None:
    """Start the supervisor, wait until everything runs, say so, and stay unless detached."""
    click.echo(f"Starting OpenECS in {installation.home}" + (" (nothing is kept)" if plan.server.ephemeral else ""))
    log = installation.home / "run" / "supervisor.out"
    plan_file = installation.home / "run" / "plan.json"
    write_private(plan_file, plan)
    parent = [] if detach else ["--parent", str(os.getpid())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            program(*parent, "supervise", str(plan_file)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    foreground = Foreground(process, log)
    ready = False
    with foreground.signals():
        try:
            wait_until_ready(installation, foreground.last_words, seconds=timeout, say=click.echo)
            ready = True
            announce(installation, plan, detach=detach)
            if detach:
                return
            foreground.wait()
        except KeyboardInterrupt:
            if not ready or detach:
                foreground.end_supervisor()
                _forget(installation, plan)
                raise
            foreground.stop(installation, stop_tasks=not keep_tasks)
        except OperatorError:
            foreground.end_supervisor()
            _forget(installation, plan)
            raise
        _forget(installation, plan)


def _forget(installation: Installation, plan: StartPlan) -> None:
    """Leave nothing of an ephemeral installation; another one's trouble report stays readable."""
    if plan.server.ephemeral:
        with installation.locked():
            installation.clear_run()


def announce(installation: Installation, plan: StartPlan, *, detach: bool) -> None:
    """What a newcomer needs next."""
    click.echo(
        f"\nEndpoint:    {plan.server.endpoint}   (account {plan.server.account_id}, region {plan.server.region})\n"
        f'Credentials: eval "$({installation.command("env")})"\n\n'
        "Then, for example:\n"
        "  aws ecs list-container-instances\n"
        f"  {installation.command('status')}\n"
        f"  {installation.command('down')}"
    )
    if not detach:
        click.echo("\nCtrl-C stops it.")


def _free_port(bind: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((bind, 0))
        port: int = probe.getsockname()[1]
        return port
