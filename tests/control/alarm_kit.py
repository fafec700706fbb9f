"""Alarms in virtual time over a real metric store."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self

import msgspec
from control_kit import ACCOUNT, REGION, new_state, running_loop

from openecs.control.alarm_changes import AlarmChanges
from openecs.control.alarm_data import AlarmData, Values
from openecs.control.alarm_mutes import AlarmMutes
from openecs.control.alarm_notifications import AlarmNotifications
from openecs.control.alarms import AlarmController
from openecs.control.composite_alarms import CompositeAlarmController
from openecs.control.historian import Historian
from openecs.control.virtual_time import VirtualTime
from openecs.errors import Retryable
from openecs.ids import SeededIds
from openecs.metrics.metric import MetricKey, dimensions, single
from openecs.metrics.store import MetricStore
from openecs.model.alarm import CompositeAlarm, MetricAlarm, alarm_arn
from openecs.planning.alarms.configuration import Alarm
from openecs.shapes import cloudwatch as cw
from openecs.state.journal.protocol import HistoryQuery

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:ops"
POLICY = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:1:resource/ecs/service/default/web:policyName/cpu"
KEY = MetricKey(REGION, "App", "Errors", dimensions({"Service": "web"}))


def deployment_alarm(state: str, name: str = "errors") -> MetricAlarm:
    """An alarm as deployments see it."""
    return MetricAlarm(
        arn=alarm_arn(REGION, ACCOUNT, name),
        region=REGION,
        name=name,
        configured_at=0.0,
        state=state,
        settings=cw.PutMetricAlarmInput(alarm_name=name, period=60, evaluation_periods=2),
    )


class AlarmWorld:
    """The alarm controllers, a metric, and somebody who takes the messages of a topic."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.state = new_state()
        Historian(self.state, time, strict=True)
        self.metrics = MetricStore(None, time)
        self.changes = AlarmChanges(self.state, SeededIds(1), (TOPIC,))
        #: What metric math gives, where a test says so.
        self.math = Values({})
        self.data = AlarmData(self.metrics, lambda queries, region, window, now: self.math)
        self.posted: list[dict[str, str]] = []
        self.refuses = 0

    async def post(self, url: str, headers: object, body: bytes) -> int:
        if self.refuses:
            self.refuses -= 1
            raise Retryable("nobody answers")
        self.posted.append(msgspec.json.decode(body))
        return 200

    async def __aenter__(self) -> Self:
        await self.metrics.open()
        self._stack = AsyncExitStack()
        parts = (
            AlarmController(self.state, self.time, self.changes, self.data),
            CompositeAlarmController(self.state, self.time, self.changes),
            AlarmMutes(self.state, self.time, self.changes),
            AlarmNotifications(self.state, self.time, {TOPIC: "http://ops.test/hook"}, self.post),
        )
        for part in parts:
            await self._stack.enter_async_context(running_loop(part.loop(self.time.timing())))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.metrics.close()

    def put(self, *alarms: Alarm) -> None:
        with self.state.transaction() as tx:
            for alarm in alarms:
                self.changes.write(tx, None, alarm, self.time.now())

    def metric_alarm(self, name: str = "errors", **settings: object) -> MetricAlarm:
        given: dict[str, object] = {
            "namespace": KEY.namespace,
            "metric_name": KEY.name,
            "dimensions": (cw.Dimension(name="Service", value="web"),),
            "statistic": "Sum",
            "period": 60,
            "evaluation_periods": 1,
            "threshold": 5.0,
            "comparison_operator": "GreaterThanThreshold",
            "alarm_actions": (TOPIC,),
            **settings,
        }
        return MetricAlarm(**self._shared(name), settings=cw.PutMetricAlarmInput(alarm_name=name, **given))

    def composite_alarm(self, name: str, rule: str, **settings: object) -> CompositeAlarm:
        given: dict[str, object] = {"alarm_actions": (TOPIC,), "ok_actions": (TOPIC,), **settings}
        return CompositeAlarm(
            **self._shared(name), settings=cw.PutCompositeAlarmInput(alarm_name=name, alarm_rule=rule, **given)
        )

    def _shared(self, name: str) -> dict[str, object]:
        now = self.time.now()
        return {
            "arn": alarm_arn(REGION, ACCOUNT, name),
            "region": REGION,
            "name": name,
            "configured_at": now,
            "state_updated_at": now,
            "state_changed_at": now,
        }

    def alarm(self, name: str = "errors") -> Alarm:
        arn = alarm_arn(REGION, ACCOUNT, name)
        found = self.state.metric_alarms.get(arn) or self.state.composite_alarms.get(arn)
        assert found is not None
        return found

    def sound(self, name: str, state: str) -> None:
        with self.state.transaction() as tx:
            self.changes.set_state(tx, self.alarm(name), state, "test", "", self.time.now())

    def measure(self, value: float, ago: float = 0.0) -> None:
        self.metrics.add([single(KEY, self.time.now() - ago, value)])

    async def history(self, name: str = "errors") -> list[str]:
        query = HistoryQuery("alarm", alarm_arn(REGION, ACCOUNT, name))
        return [entry.text for entry in await self.state.store.history(query)]
