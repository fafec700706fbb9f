"""What a schedule must be like, and what of it OpenECS refuses."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openecs.api.scheduler import errors
from openecs.planning.event_targets import TargetRefusedError, dead_letter_group, place
from openecs.planning.schedules.errors import InvalidScheduleError
from openecs.planning.schedules.expression import parse, zone
from openecs.planning.schedules.universal import universal_target
from openecs.shapes import scheduler

#: Service, operation → the members of its input, or ``None`` when it is not served.
Serves = Callable[[str, str], frozenset[str] | None]
#: What only reads is no target, as on AWS.
_READING = ("Get", "Describe", "List", "Poll", "Receive", "Search", "Scan", "Query", "Select", "Read", "BatchGet")


def check(request: scheduler.CreateScheduleInput | scheduler.UpdateScheduleInput, serves: Serves) -> None:
    """Refuse what cannot be honoured, all before anything changes."""
    if request.kms_key_arn is not None:
        raise errors.not_supported("KmsKeyArn")
    try:
        parse(request.schedule_expression)
    except InvalidScheduleError:
        raise errors.invalid(f"Invalid Schedule Expression {request.schedule_expression}.") from None
    try:
        zone(request.schedule_expression_timezone or "UTC")
    except InvalidScheduleError:
        raise errors.invalid(f"Invalid Schedule Expression Timezone {request.schedule_expression_timezone}.") from None
    start, end = request.start_date, request.end_date
    if start is not None and end is not None and start >= end:
        raise errors.invalid("The StartDate must come before the EndDate.")
    window = request.flexible_time_window
    if (window.mode == "FLEXIBLE") != (window.maximum_window_in_minutes is not None):
        raise errors.invalid("MaximumWindowInMinutes must be given with the mode FLEXIBLE, and only with it.")
    _check_target(request.target, serves)


def _check_target(target: scheduler.Target, serves: Serves) -> None:
    for name in (
        "KinesisParameters",
        "SageMakerPipelineParameters",
        "SqsParameters",
        "EventBridgePutEventsV2Parameters",
        "EventBridgePutRawEventsParameters",
    ):
        if msgspec.to_builtins(target).get(name) is not None:
            raise errors.not_supported(f"Target.{name}")
    if target.dead_letter_config is not None and target.dead_letter_config.arn:
        try:
            dead_letter_group(target.dead_letter_config.arn)
        except TargetRefusedError as error:
            raise errors.invalid(str(error)) from None
    universal = universal_target(target.arn)
    if universal is not None:
        _check_universal(target, universal.service, universal.operation, serves)
        kind = "universal"
    else:
        try:
            kind = place(target.arn).kind
        except TargetRefusedError as error:
            raise errors.invalid(str(error)) from None
    if kind == "http":
        raise errors.invalid("API destinations are no targets of schedules: let a rule of an event bus send to them.")
    if (kind == "ecs") != (target.ecs_parameters is not None):
        raise errors.invalid("EcsParameters must be given for targets that are ECS clusters, and only for them.")
    if (kind == "bus") != (target.event_bridge_parameters is not None):
        raise errors.invalid("EventBridgeParameters must be given for targets that are event buses, and only for them.")
    if kind in ("bus", "universal") and not isinstance(_json(target.input or "{}"), dict):
        raise errors.invalid("The Input of the target must be a JSON object.")


def _check_universal(target: scheduler.Target, service: str, operation: str, serves: Serves) -> None:
    if operation.startswith(_READING):
        raise errors.invalid(f"{operation} only reads: it is no target of a schedule.")
    members = serves(service, operation)
    if members is None:
        raise errors.invalid(f"{target.arn} is no target in OpenECS: it does not serve {service}:{operation}.")
    given = _json(target.input or "{}")
    strangers = sorted(set(given) - members) if isinstance(given, dict) else []
    if strangers:
        raise errors.invalid(
            f"{service}:{operation} has no parameter {', '.join(strangers)}. "
            "Spell parameters as the service's API does."
        )


def _json(text: str) -> object:
    try:
        found: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found
