"""What awsvpc tasks of all agents share on a host, and when it may go.

Per subnet that is the gateway's address on ``lo`` and a place in the NAT table; per host the
table itself and the firewall's permissions.  Several agents may have tasks in one subnet and
know nothing of each other, so nobody counts: the kernel's routes to tasks' interfaces say what
is in use, and a lock file keeps one agent from taking down what another is about to use.  What
was set up is noted in a directory of its own, so that a later agent can clear up after one that
was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog

from openecs.agent.network import kernel, overlay, wiring
from openecs.agent.network.commands import run, sysctl
from openecs.agent.network.driver import NetworkError

_log = structlog.get_logger("openecs.agent")
#: Seconds between tries while another agent sets up or takes down, which takes it milliseconds.
LOCK_PAUSE = 0.005


class HostNetwork:
    """The shared part of this host's task network.  All methods but ``locked`` want the lock held."""

    def __init__(self, run_dir: Path) -> None:
        namespace = Path("/proc/self/ns/net").stat().st_ino
        self._folder = run_dir / "network" / f"net-{namespace}"
        self._mine = asyncio.Lock()
        #: Subnets that this agent has set up; others' work is not trusted to be whole.
        self._subnets: set[str] = set()
        #: Whether what leaves a subnet is translated here; not where the control plane's documents say what is.
        self.translates: Callable[[], bool] = lambda: True

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Keep the other agents of this host from changing the shared part.

        Raises ``NetworkError`` when the lock file cannot be made.
        """
        async with self._mine:
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise NetworkError(f"the agents' network directory {self._folder}: {error.strerror}") from None
            try:
                # A blocking wait would need a thread that cannot be cancelled.
                while not _try_lock(lock):  # noqa: ASYNC110
                    await asyncio.sleep(LOCK_PAUSE)
                yield
            finally:
                os.close(lock)

    def occupant(self, plan: wiring.Wiring, task_arn: str) -> str | None:
        """Who has the task's address on this host already; ``None`` when it is free or the task's own."""
        alias = interface_alias(plan.host_end)
        if alias and alias != task_arn:
            return alias
        try:
            way = kernel.way_to(plan.address)
            if way.local:
                return "this host itself"
            if not way.exact or way.metric == overlay.METRIC:
                return None  # It is free, or lives on another host until the word of its move has come.
            device = kernel.link(way.device).name
        except OSError as error:
            _log.debug("no way leads to the address", address=plan.address, error=str(error))
            return None
        return f"the interface {device}" if device != plan.host_end else None

    async def ensure(self, plan: wiring.Wiring) -> None:
        """Forwarding, NAT and permissions for a subnet; its gateway comes with the task's own wiring."""
        note = self._folder / plan.gateway
        there = kernel.is_local(plan.gateway) and _noted(note)
        if there and plan.subnet in self._subnets:
            return
        sysctl("net/ipv4/ip_forward", "1")
        _write(note, plan.subnet)
        if self.translates():
            await run(("nft", "-f", "-"), wiring.masquerade(plan.subnet))
        elif there:
            await self.stop_translating(plan.subnet)
        await _docker_user(wanted=True)
        self._subnets.add(plan.subnet)

    async def stop_translating(self, subnet: str) -> None:
        """Take a subnet out of the NAT table that all agents share."""
        await _try_run(("nft", "-f", "-"), wiring.stop_masquerading(subnet))

    async def tidy(self) -> None:
        """Take down what no task of any agent uses.  Raises ``NetworkError``."""
        used = [route.network for route in kernel.routes(_read(kernel.ROUTES)) if _is_task(route)]
        noted = {path: _read(str(path)).strip() for path in self._notes()}
        for path, subnet in noted.items():
            if any(network.subnet_of(ipaddress.IPv4Network(subnet)) for network in used):
                continue
            if kernel.is_local(path.name):
                await run(("ip", "-batch", "-"), wiring.disconnect_gateway(path.name))
            if not any(other != path and text == subnet for other, text in noted.items()):
                await _try_run(("nft", "-f", "-"), wiring.stop_masquerading(subnet))
            _remove(path)
            self._subnets.discard(subnet)
        if noted and not used and not self._notes():
            await _try_run(("nft", "-f", "-"), wiring.drop_table())
            await _docker_user(wanted=False)

    def _notes(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.name != "lock"] if self._folder.exists() else []


def interface_alias(name: str) -> str | None:
    """The task ARN on an interface: empty when it has none yet, ``None`` without such an interface."""
    try:
        return Path(f"/sys/class/net/{name}/ifalias").read_text().strip()
    except OSError:
        return None


async def remove_interface(plan: wiring.Wiring, task_arn: str) -> None:
    """Take down a task's interface, if it is the task's: the address may be another one's, which is why this failed."""
    if interface_alias(plan.host_end) != task_arn:
        return
    try:
        await run(("ip", "link", "delete", plan.host_end), "")
    except NetworkError as error:
        # The kernel takes the pair down with the namespace, perhaps just now.
        _log.debug("interface went away by itself", interface=plan.host_end, error=str(error))


def _is_task(route: kernel.Route) -> bool:
    return route.interface.startswith(wiring.PREFIX) and route.network.prefixlen == 32


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _docker_user(*, wanted: bool) -> None:
    """Have our rules in Docker's chain for rules of others, or none of them; all at once."""
    if shutil.which("iptables-restore") is None:
        return
    try:
        listing = await run(("iptables", "-w", "-S", "DOCKER-USER"), "")
    except NetworkError as error:
        _log.debug("Docker manages no rules here", error=str(error))
        return
    script = wiring.docker_user(listing, wanted=wanted)
    if script:
        await run(("iptables-restore", "--wait", "--noflush"), script)


async def _try_run(command: tuple[str, ...], script: str = "") -> bool:
    try:
        await run(command, script)
    except NetworkError as error:
        _log.debug("command failed, as it may", command=command, error=str(error))
        return False
    return True


def _noted(path: Path) -> bool:
    return path.exists()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise NetworkError(f"{path}: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise NetworkError(f"{path}: {error.strerror}") from None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
