"""The agent's end of ACS: a sans-I/O session, and a thin shell that dials and dials again.

``AgentSession`` turns frames into calls on a ``TaskSink`` and into answers; it knows no socket
and no time.  ``AcsLink`` keeps one session open: reconnects with back-off, at once after the
closes that mean "come again", ever more slowly while the instance is deregistered.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.errors import AWSError, Retryable

_log = structlog.get_logger("openecs.acs.link")

#: Seconds: first pause, growth, longest pause; pauses start anew after a stable connection.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE, STABLE = 0.25, 1.5, 15.0, 60.0
#: Seconds: first and longest pause while the instance is deregistered.  Amazon's agent waits an
#: hour; one handshake a minute is cheap, and finds a cluster that was made again.
INACTIVE_PAUSE, LONGEST_INACTIVE_PAUSE = 5.0, 60.0
#: A silent control plane is given up after this many seconds plus up to as many at random.
SILENCE = 60.0
#: A connection is renewed after this many seconds plus up to the spread.
LIFETIME, LIFETIME_SPREAD = 1800.0, 300.0
#: Closes after which the agent comes back without a pause.
COME_AGAIN = frozenset({1000, 1001, 1006, 1011})
HANDSHAKE_TIMEOUT = 30.0


class TaskSink(Protocol):
    """What the control plane's orders are done to.  All calls return at once."""

    def accept(self, payload: tp.TaskPayload) -> None:
        """Run the task; durable when it returns."""
        ...

    def stop(self, arn: str, cluster: str) -> None: ...

    def running(self) -> Sequence[str]:
        """ARNs of the tasks that should run here."""
        ...

    def credentials(self, task_arn: str, credentials: tp.RoleCredentials) -> None: ...

    def manifest(self, listed: Sequence[str]) -> None:
        """Every task that this node should run has been named."""
        ...

    def heartbeat(self) -> None: ...


class HostSink(Protocol):
    """What this host is told besides tasks, and its reports."""

    def take(self, message: m.HostDocumentsMessage) -> None: ...

    def connected(self) -> None:
        """A connection has begun: ``next`` gives everything once more."""
        ...

    async def next(self) -> m.HostReportsMessage:
        """Wait for reports to send."""
        ...


class AgentSession:
    """One connection's worth of the protocol."""

    def __init__(self, sink: TaskSink, host: HostSink | None = None) -> None:
        self._sink = sink
        self._host = host
        self._timeline = -1
        self._manifest: str | None = None

    def receive(self, frame: str | bytes) -> list[m.Message]:
        """Act on one frame; the messages to send back, in order."""
        try:
            message = m.decode(frame, m.TO_AGENT)
        except msgspec.DecodeError as error:
            # Not acknowledged: the control plane learns that nobody took it.
            _log.warning("message not understood", error=str(error))
            return []
        match message:
            case m.HeartbeatMessage():
                self._sink.heartbeat()
                return [m.HeartbeatAckRequest(message_id=message.message_id)] if message.message_id else []
            case m.PayloadMessage():
                return self._payload(message)
            case m.IAMRoleCredentialsMessage():
                self._sink.credentials(message.task_arn, message.role_credentials)
                return [_credentials_ack(message.message_id, message.role_credentials)]
            case m.TaskManifestMessage():
                return self._take_manifest(message)
            case m.TaskStopVerificationAck():
                self._take_verification(message)
            case m.HostDocumentsMessage():
                if self._host is not None:
                    self._host.take(message)
        return []

    def _payload(self, payload: m.PayloadMessage) -> list[m.Message]:
        self._timeline = max(self._timeline, payload.seq_num)
        for task in payload.tasks:
            if task.desired_status == "STOPPED":
                self._sink.stop(task.arn, task.task_cluster_arn)
        answers: list[m.Message] = []
        for task in payload.tasks:
            if task.desired_status == "STOPPED":
                continue
            self._sink.accept(task)
            answers += [
                _credentials_ack(payload.message_id, credentials)
                for credentials in (task.role_credentials, task.execution_role_credentials)
                if credentials is not None
            ]
        answers.append(_ack(payload.message_id, payload.cluster_arn, payload.container_instance_arn))
        return answers

    def _take_manifest(self, manifest: m.TaskManifestMessage) -> list[m.Message]:
        if manifest.timeline <= self._timeline:
            _log.warning("old manifest dropped", timeline=manifest.timeline, newest=self._timeline)
            return []
        self._timeline = manifest.timeline
        self._manifest = manifest.message_id
        wanted = {task.task_arn for task in manifest.tasks if task.desired_status == "RUNNING"}
        candidates = tuple(
            m.ManifestTask(task_arn=arn, task_cluster_arn=manifest.cluster_arn, desired_status="STOPPED")
            for arn in self._sink.running()
            if arn not in wanted
        )
        self._sink.manifest([task.task_arn for task in manifest.tasks])
        answers: list[m.Message] = [_ack(manifest.message_id, manifest.cluster_arn, manifest.container_instance_arn)]
        if candidates:
            answers.append(m.TaskStopVerificationMessage(message_id=manifest.message_id, stop_candidates=candidates))
        return answers

    def _take_verification(self, verification: m.TaskStopVerificationAck) -> None:
        if verification.message_id != self._manifest:
            _log.warning("stop verification for another manifest dropped", message_id=verification.message_id)
            return
        self._manifest = None
        for task in verification.stop_tasks:
            self._sink.stop(task.task_arn, task.task_cluster_arn)


class NotRegisteredError(Exception):
    """The control plane does not know this container instance (any more)."""


class InactiveInstanceError(Exception):
    """The container instance was deregistered."""


class Dial(Protocol):
    """Opens a websocket with a signed handshake: ``dial``, or what a simulation has in its place."""

    def __call__(
        self, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None = None, /
    ) -> AbstractAsyncContextManager[ClientConnection]: ...


class AcsLink:
    """Keeps ACS open.  ``run`` ends only by cancellation or ``NotRegisteredError``.

    ``locate(send_credentials)`` gives the URL, ``sign(url)`` the headers of the handshake,
    ``open_socket`` opens the websocket.
    """

    def __init__(
        self,
        sink: TaskSink,
        *,
        locate: Callable[[bool], Awaitable[str]],
        sign: Callable[[str], Mapping[str, str]],
        on_connect: Callable[[], None] = lambda: None,
        tls: ssl.SSLContext | None = None,
        jitter: random.Random | None = None,
        open_socket: Dial | None = None,
        host: HostSink | None = None,
    ) -> None:
        self._sink = sink
        self._host = host
        self._dial: Dial = open_socket or dial
        self._locate = locate
        self._sign = sign
        self._on_connect = on_connect
        self._tls = tls
        self._jitter = jitter or random.Random()  # noqa: S311 -- spreads retries, guards nothing
        #: Whether the control plane must push all credentials: until the first connection of the process.
        self._credentials_needed = True

    async def run(self) -> None:
        """Connect, serve, reconnect."""
        loop = asyncio.get_running_loop()
        pause, inactive_pause = FIRST_PAUSE, INACTIVE_PAUSE
        while True:
            began = loop.time()
            at_once = False
            try:
                await self._serve()
                at_once = True
            except ConnectionClosed as closed:
                at_once = (closed.rcvd.code if closed.rcvd is not None else 1006) in COME_AGAIN
                _log.info("ACS connection ended", reason=str(closed))
            except InactiveInstanceError:
                _log.warning("Container instance is deregistered", next_try_seconds=inactive_pause)
                await asyncio.sleep(inactive_pause * self._jitter.uniform(0.8, 1.2))
                inactive_pause = min(inactive_pause * 2, LONGEST_INACTIVE_PAUSE)
                continue
            except (Retryable, AWSError, OSError, TimeoutError, InvalidHandshake) as error:
                _log.info("ACS not reached", error=str(error) or type(error).__name__)
            lasted = loop.time() - began
            if lasted >= STABLE:
                inactive_pause = INACTIVE_PAUSE
            if lasted >= STABLE or (at_once and lasted >= 1.0):
                pause = FIRST_PAUSE
            if at_once and lasted >= 1.0:
                continue
            await asyncio.sleep(pause * self._jitter.uniform(0.8, 1.2))
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    async def _serve(self) -> None:
        url = await self._locate(self._credentials_needed)
        async with self._dial(url, self._sign(url), self._tls) as socket:
            _log.info("ACS connected")
            self._credentials_needed = False
            self._on_connect()
            session = AgentSession(self._sink, self._host)
            silence = SILENCE + self._jitter.uniform(0.0, SILENCE)
            lifetime = LIFETIME + self._jitter.uniform(0.0, LIFETIME_SPREAD)
            try:
                async with asyncio.timeout(lifetime), self._reporting(socket):
                    while True:
                        async with asyncio.timeout(silence):
                            frame = await socket.recv()
                        for answer in session.receive(frame):
                            await socket.send(m.encode(answer))
            except TimeoutError:
                await socket.close(1000, "ConnectionExpired: Reconnect to continue")

    @contextlib.asynccontextmanager
    async def _reporting(self, socket: ClientConnection) -> AsyncIterator[None]:
        """Send the host's reports meanwhile."""
        if self._host is None:
            yield
            return
        self._host.connected()
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(_send_reports(self._host, socket))
            try:
                yield
            except Exception as error:  # noqa: BLE001 -- raised again below, without the group around it
                failure = error
            finally:
                sender.cancel()
        if failure is not None:
            raise failure


async def _send_reports(host: HostSink, socket: ClientConnection) -> None:
    # The reader hears of a connection that ended.
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.send(m.encode(await host.next()))


class dial:  # noqa: N801 -- reads as a verb: ``async with dial(url, headers) as socket``
    """Open a websocket with a signed handshake.

    Raises ``NotRegisteredError`` and ``InactiveInstanceError`` for those refusals, else what
    ``websockets`` raises.
    """

    def __init__(self, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> None:
        self._connect = connect(
            url,
            ssl=tls if url.startswith("wss:") else None,
            additional_headers=dict(headers),
            user_agent_header="OpenECS-Agent",
            compression=None,
            proxy=None,
            open_timeout=HANDSHAKE_TIMEOUT,
            close_timeout=2.0,
            max_size=None,
        )
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> ClientConnection:
        try:
            self._socket = await self._connect
        except InvalidStatus as refusal:
            text = bytes(refusal.response.body or b"").decode(errors="replace")
            if "InactiveInstanceException" in text:
                raise InactiveInstanceError(text) from None
            if "InvalidInstanceException" in text or "InvalidClusterException" in text:
                raise NotRegisteredError(text) from None
            raise Retryable(f"the handshake was refused with status {refusal.response.status_code}: {text}") from None
        except InvalidURI as error:
            raise Retryable(f"the control plane named an endpoint that is none: {error}") from None
        return self._socket

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()


def _ack(message_id: str, cluster: str, instance: str) -> m.AckRequest:
    return m.AckRequest(cluster=cluster, container_instance=instance, message_id=message_id)


def _credentials_ack(message_id: str, credentials: tp.RoleCredentials) -> m.IAMRoleCredentialsAckRequest:
    return m.IAMRoleCredentialsAckRequest(
        message_id=message_id, credentials_id=credentials.credentials_id, expiration=credentials.expiration
    )
