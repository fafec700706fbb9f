"""Scaling policies at work on services: woken by alarms, told in activities, forgotten with the service."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import ACCOUNT, REGION, World, controlled, new_service, running_loop

from openecs.control.scaling import MAX_ACTIVITIES, ScalingController
from openecs.control.scaling_records import keep_within
from openecs.control.scaling_schedules import ScalingSchedules, bounded
from openecs.control.virtual_time import VirtualTime
from openecs.model.alarm import MetricAlarm
from openecs.model.scaling import ScalableTarget, ScalingActivity, ScalingPolicy, ScheduledScaling
from openecs.planning.scaling.tracking_alarms import alarms
from openecs.shapes import application_autoscaling as aas

RESOURCE = "service/default/web"
HIGH, LOW = "TargetTracking-service/default/web-AlarmHigh-1", "TargetTracking-service/default/web-AlarmLow-2"


def policy(**members: object) -> ScalingPolicy:
    metric = aas.PredefinedMetricSpecification(predefined_metric_type="ECSServiceAverageCPUUtilization")
    return ScalingPolicy(
        arn="arn:policy",
        name="cpu",
        region=REGION,
        target_key=f"{REGION}:{RESOURCE}",
        created_at=0.0,
        tracking=aas.TargetTrackingScalingPolicyConfiguration(
            target_value=70.0, predefined_metric_specification=metric, **members
        ),
        high_alarm=HIGH,
        low_alarm=LOW,
    )


class Scaled:
    """A service with room for 20 tasks and a policy on its CPU, whose metric the test says."""

    def __init__(self, world: World, time: VirtualTime) -> None:
        self.world = world
        self.values: tuple[float, ...] = ()
        self.controller = ScalingController(world.state, time, world.ids, lambda alarm, now: self.values)
        self.target = ScalableTarget(
            arn="arn:target",
            region=REGION,
            resource_id=RESOURCE,
            service_arn=new_service(world, 1).arn,
            min_capacity=1,
            max_capacity=8,
            role_arn="role",
            created_at=0.0,
            suspended=aas.SuspendedState(),
        )
        world.add_node("n1", memory=2000)
        rule = policy()
        world.put(new_service(world, 2), self.target, rule, *alarms(self.target, rule, account=ACCOUNT, now=time.now()))

    def alarm(self, name: str) -> MetricAlarm:
        return next(a for a in self.world.state.metric_alarms if a.name == name)

    def sound(self, name: str, state: str, *values: float) -> None:
        self.values = values
        now = self.world.clock.now()
        self.world.put(msgspec.structs.replace(self.alarm(name), state=state, state_changed_at=now))

    @property
    def desired(self) -> int:
        return self.world.service().desired_count

    def activities(self) -> list[ScalingActivity]:
        return sorted(self.world.state.scaling_activities, key=lambda a: a.started_at)


@pytest.fixture
def scaled(world: World, time: VirtualTime) -> Scaled:
    return Scaled(world, time)


def test_the_alarms_are_aws_s(scaled: Scaled) -> None:
    above, below = scaled.alarm(HIGH).settings, scaled.alarm(LOW).settings
    assert (above.comparison_operator, above.threshold, above.evaluation_periods) == ("GreaterThanThreshold", 70.0, 3)
    assert (below.comparison_operator, below.threshold, below.evaluation_periods) == ("LessThanThreshold", 63.0, 15)
    assert above.alarm_description == "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy arn:policy."
    assert {d.name: d.value for d in above.dimensions} == {"ClusterName": "default", "ServiceName": "web"}
    assert (above.namespace, above.metric_name, above.statistic) == ("AWS/ECS", "CPUUtilization", "Average")
    assert (above.period, above.alarm_actions) == (60, ("arn:policy",))


async def test_out_and_in_with_activities(scaled: Scaled, world: World, time: VirtualTime) -> None:
    async with controlled(world, time), running_loop(scaled.controller.loop(time.timing())):
        await time.run_until(lambda: world.agents_obey() or len(world.running()) == 2)
        scaled.sound(HIGH, "ALARM", 120.0, 140.0)
        await time.run_until(lambda: scaled.desired == 4)
        (activity,) = scaled.activities()
        assert activity.cause == f"monitor alarm {HIGH} in state ALARM triggered policy cpu"
        assert activity.description == "Setting desired count to 4."
        assert activity.status == "InProgress"
        while len(world.running()) < 4:
            world.agents_obey()
            await time.advance(1)
        await time.run_until(lambda: scaled.activities()[0].status == "Successful")
        assert scaled.activities()[0].status_message == (
            "Successfully set desired count to 4. Change successfully fulfilled by ecs."
        )
        # The alarm still sounds: after the cooldown it is heard again, and the maximum holds.
        await time.advance(290)
        assert scaled.desired == 4
        await time.run_until(lambda: scaled.desired == 8)
        await time.advance(1000)
        assert scaled.desired == 8
        assert [a.reasons[0].code for a in scaled.activities() if a.reasons] == ["AlreadyAtMaxCapacity"]
        scaled.sound(HIGH, "OK")
        while len(world.running()) < 8:
            world.agents_obey()
            await time.advance(1)
        scaled.sound(LOW, "ALARM", 7.0, 30.0, 20.0)
        await time.run_until(lambda: scaled.desired == 4)


async def test_an_alarm_whose_actions_are_off_does_nothing(scaled: Scaled, world: World, time: VirtualTime) -> None:
    alarm = scaled.alarm(HIGH)
    world.put(msgspec.structs.replace(alarm, settings=msgspec.structs.replace(alarm.settings, actions_enabled=False)))
    async with running_loop(scaled.controller.loop(time.timing())):
        scaled.sound(HIGH, "ALARM", 140.0)
        await time.advance(200)
        assert scaled.desired == 2


async def test_ok_actions_call_a_policy_once(scaled: Scaled, world: World, time: VirtualTime) -> None:
    step = ScalingPolicy(
        arn="arn:step",
        name="step",
        region=REGION,
        target_key=scaled.target.key,
        created_at=0.0,
        step=aas.StepScalingPolicyConfiguration(
            adjustment_type="ChangeInCapacity",
            step_adjustments=(aas.StepAdjustment(metric_interval_upper_bound=0.0, scaling_adjustment=1),),
            cooldown=0,
        ),
    )
    alarm = scaled.alarm(HIGH)
    mine = msgspec.structs.replace(
        alarm,
        arn="arn:mine",
        name="mine",
        owner="",
        settings=msgspec.structs.replace(alarm.settings, alarm_actions=(), ok_actions=("arn:step",)),
    )
    world.put(step, mine)
    async with running_loop(scaled.controller.loop(time.timing())):
        scaled.sound("mine", "OK", 10.0)
        await time.run_until(lambda: scaled.desired == 3)
        await time.advance(600)
        assert scaled.desired == 3


async def test_another_count_overrides_an_activity(scaled: Scaled, world: World, time: VirtualTime) -> None:
    async with running_loop(scaled.controller.loop(time.timing())):
        scaled.sound(HIGH, "ALARM", 140.0)
        await time.run_until(lambda: scaled.desired == 4)
        world.put(msgspec.structs.replace(world.service(), desired_count=5))
        await time.run_until(lambda: scaled.activities()[0].status == "Overridden")


async def test_everything_goes_with_the_service(scaled: Scaled, world: World, time: VirtualTime) -> None:
    async with running_loop(scaled.controller.loop(time.timing())):
        scaled.sound(HIGH, "ALARM", 140.0)
        await time.run_until(lambda: scaled.desired == 4)
        world.put(msgspec.structs.replace(world.service(), status="INACTIVE"))
        await time.run_until(lambda: not len(world.state.scalable_targets))
        assert not len(world.state.scaling_policies)
        assert not len(world.state.metric_alarms)
        # What was done is remembered for six weeks.
        await time.advance(41 * 86400)
        assert len(world.state.scaling_activities) == 1
        await time.advance(2 * 86400)
        assert len(world.state.scaling_activities) == 0


async def test_activities_are_bounded(scaled: Scaled, world: World, time: VirtualTime) -> None:
    old = scaled.target
    for number in range(MAX_ACTIVITIES + 5):
        world.put(
            ScalingActivity(
                id=f"a{number}",
                region=REGION,
                target_key=old.key,
                resource_id=RESOURCE,
                description="",
                cause="",
                started_at=time.now() - 5000 + number,
                status="Successful",
                status_message="",
            )
        )
    async with running_loop(scaled.controller.loop(time.timing())):
        await time.run_until(lambda: len(world.state.scaling_activities) == MAX_ACTIVITIES)
        assert "a4" not in world.state.scaling_activities
        assert "a5" in world.state.scaling_activities


def test_bounds_are_enforced_with_an_activity(scaled: Scaled, world: World) -> None:
    for low, high, expected, cause in (
        (3, 8, 3, "minimum capacity was set to 3"),
        (1, 2, 2, "maximum capacity was set to 2"),
    ):
        target = msgspec.structs.replace(scaled.target, min_capacity=low, max_capacity=high)
        with world.state.transaction() as tx:
            keep_within(world.state, tx, target, ids=world.ids, now=world.clock.now())
        assert scaled.desired == expected
        assert cause in [a.cause for a in scaled.activities()]


def scheduled(world: World, schedule: str, low: int | None, high: int | None, **members: object) -> ScheduledScaling:
    return ScheduledScaling(
        arn=f"arn:{schedule}",
        name="s",
        region=REGION,
        target_key=f"{REGION}:{RESOURCE}",
        created_at=world.clock.now(),
        schedule=schedule,
        action=aas.ScalableTargetAction(min_capacity=low, max_capacity=high),
        done_until=world.clock.now(),
        **members,
    )


async def test_schedules_set_bounds(scaled: Scaled, world: World, time: VirtualTime) -> None:
    schedules = ScalingSchedules(world.state, time, world.ids)
    async with running_loop(schedules.loop(time.timing())):
        # The clock begins at 22:13:20.
        world.put(scheduled(world, "cron(0 23 * * ? *)", 5, None))
        await time.advance(46 * 60)
        assert scaled.desired == 2
        await time.run_until(lambda: scaled.desired == 5, within=120)
        world.put(msgspec.structs.replace(world.service(), desired_count=1))
        await time.advance(3600)
        assert scaled.desired == 1
        await time.run_until(lambda: scaled.desired == 5, within=86_400)
    # After downtime the newest of the missed ticks counts, once.
    await time.advance(3 * 86_400)
    world.put(msgspec.structs.replace(world.service(), desired_count=1))
    async with running_loop(schedules.loop(time.timing())):
        await time.run_until(lambda: scaled.desired == 5, within=1)
        world.put(msgspec.structs.replace(world.service(), desired_count=1))
        await time.advance(600)
        assert scaled.desired == 1


async def test_a_suspended_schedule_does_nothing_later_either(scaled: Scaled, world: World, time: VirtualTime) -> None:
    suspended = aas.SuspendedState(scheduled_scaling_suspended=True)
    world.put(msgspec.structs.replace(scaled.target, suspended=suspended))
    world.put(scheduled(world, "rate(1 hour)", 5, None))
    schedules = ScalingSchedules(world.state, time, world.ids)
    async with running_loop(schedules.loop(time.timing())):
        await time.advance(2 * 3600)
        world.put(scaled.target)
        await time.advance(1800)
        assert scaled.desired == 2
        await time.run_until(lambda: scaled.desired == 5, within=3600)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(3, 4, (3, 4)), (9, None, (9, 9)), (None, 0, (0, 0)), (None, 4, (1, 4))]
)
def test_bounds_of_actions(scaled: Scaled, world: World, low: int | None, high: int | None, expected: tuple) -> None:
    changed = bounded(scaled.target, scheduled(world, "rate(1 hour)", low, high))
    assert (changed.min_capacity, changed.max_capacity) == expected
