"""Sends the messages of alarms to the URLs that the operator gave for SNS topics.

Messages are records until they are delivered, so a restart loses none; one may arrive twice, and
says so by its MessageId.  What fails for an hour is given up, and the alarm's history tells it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from openecs.clock import Clock
from openecs.control.loop import Done, Loop, Result, Timing
from openecs.errors import Retryable
from openecs.events.authorization import request
from openecs.http.errors import HttpProtocolError, HttpUnavailable
from openecs.model.alarm import AlarmNotification
from openecs.planning.alarms.history import action_entry
from openecs.planning.alarms.notification import envelope
from openecs.state.state import State

#: Seconds after which a message that nobody takes is given up, as SNS does.
GIVE_UP_AFTER = 3600.0

#: (URL, headers, body) → the reply's HTTP status.  Raises ``Retryable`` when there is no reply.
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """A request on a connection of its own."""
    try:
        status, _ = await request("POST", url, {}, dict(headers), body)
    except (HttpUnavailable, HttpProtocolError, ValueError) as error:
        raise Retryable(str(error)) from error
    return status


class AlarmNotifications:
    """Delivers messages.  Keys are those of ``AlarmNotification``; ``topics`` are ARN → URL."""

    def __init__(self, state: State, clock: Clock, topics: Mapping[str, str], send: Post = post) -> None:
        self._state = state
        self._clock = clock
        self._topics = topics
        self._post = send

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("alarm-notifications", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "alarm_notification", lambda n: (n.key,) if n.new is not None else ())
        return loop

    async def reconcile(self, key: str) -> Result:
        """Send one message."""
        message = self._state.alarm_notifications.get(key)
        if message is None:
            return Done()
        # Nothing leaves the process before what it tells of is durable.
        await self._state.store.durable()
        failure = await self._send(message)
        if failure and self._clock.now() < message.created_at + GIVE_UP_AFTER:
            raise Retryable(failure)
        arn = message.alarm_arn
        alarm = self._state.metric_alarms.get(arn) or self._state.composite_alarms.get(arn)
        with self._state.transaction() as tx:
            tx.delete(message)
            if alarm is not None:
                tx.note(action_entry(alarm, message.topic_arn, self._clock.now(), failure=failure))
        return Done()

    async def _send(self, message: AlarmNotification) -> str:
        """Why a message could not be delivered; empty when it was."""
        url = self._topics.get(message.topic_arn)
        if url is None:
            return "the topic is not mapped to a URL any more (--alarm-topic)"
        headers = {
            "content-type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": message.id,
            "x-amz-sns-topic-arn": message.topic_arn,
        }
        try:
            status = await self._post(url, headers, envelope(message))
        except Retryable as error:
            return str(error)
        return "" if 200 <= status < 300 else f"{url} answered {status}"

    def _all(self) -> Iterable[str]:
        return [message.id for message in self._state.alarm_notifications]
