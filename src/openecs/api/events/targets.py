"""Targets of rules."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.api.events import errors
from openecs.api.events.lookup import rule
from openecs.api.events.pages import page
from openecs.events.run_task import MAX_TASKS
from openecs.model.event_rule import EventRule
from openecs.planning.event_input import RESERVED, parse_path, placeholders
from openecs.planning.event_targets import TargetRefusedError, dead_letter_group, place
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Targets of one rule.
MAX_TARGETS = 5
#: Parameters of kinds of target that there are not.
_UNSERVED = (
    "kinesis_parameters",
    "run_command_parameters",
    "batch_parameters",
    "sqs_parameters",
    "redshift_data_parameters",
    "sage_maker_pipeline_parameters",
    "app_sync_parameters",
)


class Targets:
    """The operations on targets."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutTargets": self.put,
            "RemoveTargets": self.remove,
            "ListTargetsByRule": self.list_all,
        }

    def put(self, call: Call, request: events.PutTargetsRequest) -> events.PutTargetsResponse:
        """Add targets, or put others in the place of those with the same id."""
        found = rule(self._state, call, request.rule, request.event_bus_name)
        for target in request.targets:
            check_target(self._state, target)
        targets = {target.id: target for target in (*found.targets, *request.targets)}
        if len(targets) > MAX_TARGETS:
            raise errors.limit_exceeded()
        self._put(found, targets.values())
        return events.PutTargetsResponse(failed_entry_count=0, failed_entries=())

    def remove(self, call: Call, request: events.RemoveTargetsRequest) -> events.RemoveTargetsResponse:
        """Take targets away; ids that the rule does not have are no error."""
        found = rule(self._state, call, request.rule, request.event_bus_name)
        self._put(found, [target for target in found.targets if target.id not in request.ids])
        return events.RemoveTargetsResponse(failed_entry_count=0, failed_entries=())

    def list_all(self, call: Call, request: events.ListTargetsByRuleRequest) -> events.ListTargetsByRuleResponse:
        """The targets of a rule, by id."""
        found = rule(self._state, call, request.rule, request.event_bus_name)
        known = {target.id: target for target in found.targets}
        ids, token = page(self._pagination, known, request, f"ListTargetsByRule/{found.arn}")
        return events.ListTargetsByRuleResponse(targets=tuple(known[i] for i in ids), next_token=token)

    def _put(self, found: EventRule, targets: Iterable[events.Target]) -> None:
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(found, targets=tuple(targets)))


def check_target(state: State, target: events.Target) -> None:
    """Refuse a target that could not be served as it says."""
    try:
        where = place(target.arn)
    except TargetRefusedError as error:
        raise errors.parameter(f"Target {target.id} Arn {target.arn}", str(error)) from None
    for name in _UNSERVED:
        if getattr(target, name) is not None:
            spelt = "".join(part.capitalize() for part in name.split("_"))
            raise errors.not_supported(f"{spelt} of target {target.id}")
    if where.kind == "ecs":
        _check_ecs(target)
    elif target.ecs_parameters is not None:
        raise errors.invalid(f"Parameter(s) EcsParameters not valid for target {target.id}.")
    if target.http_parameters is not None and where.kind != "http":
        raise errors.invalid(f"Parameter(s) HttpParameters not valid for target {target.id}.")
    if where.kind == "http" and target.arn not in state.api_destinations:
        raise errors.not_found(f"API Destination {target.arn} does not exist.")
    if where.kind == "bus" and not target.arn.endswith("/default") and target.arn not in state.event_buses:
        raise errors.not_found(f"Event bus {target.arn} does not exist.")
    _check_input(target, takes_events=where.kind == "bus")
    if target.dead_letter_config is not None and target.dead_letter_config.arn:
        try:
            dead_letter_group(target.dead_letter_config.arn)
        except TargetRefusedError as error:
            raise errors.parameter(f"DeadLetterConfig of target {target.id}", str(error)) from None


def _check_ecs(target: events.Target) -> None:
    parameters = target.ecs_parameters
    if parameters is None:
        raise errors.invalid(f"EcsParameters are required for target {target.id}.")
    if (parameters.task_count or 1) > MAX_TASKS:
        raise errors.invalid(f"TaskCount of target {target.id} must be at most {MAX_TASKS}.")
    if parameters.launch_type is not None and parameters.capacity_provider_strategy:
        raise errors.invalid(
            f"Target {target.id}: a capacity provider strategy and a launch type cannot both be specified."
        )


def _check_input(target: events.Target, *, takes_events: bool) -> None:
    given = [member for member in (target.input, target.input_path, target.input_transformer) if member is not None]
    if len(given) > 1:
        raise errors.invalid(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {target.id}."
        )
    if given and takes_events:
        raise errors.invalid(f"Target {target.id}: an event bus gets the matched event and no other input.")
    if target.input is not None:
        try:
            msgspec.json.decode(target.input)
        except (msgspec.DecodeError, RecursionError):
            raise errors.invalid(f"JSON syntax error in input for target {target.id}") from None
    if target.input_path is not None:
        _check_path(target.input_path, target.id)
    if target.input_transformer is not None:
        _check_transformer(target.input_transformer, target.id)


def _check_path(path: str, target_id: str) -> None:
    try:
        parse_path(path)
    except ValueError:
        raise errors.invalid(f"InputPath for target {target_id} is invalid: {path}") from None


def _check_transformer(transformer: events.InputTransformer, target_id: str) -> None:
    names = frozenset(transformer.input_paths_map or ())
    if any(name.upper().startswith("AWS") for name in names):
        raise errors.invalid(f"InputPathsMap for target {target_id} must not use names that start with AWS.")
    for path in (transformer.input_paths_map or {}).values():
        _check_path(path, target_id)
    unknown = sorted(placeholders(transformer.input_template) - names - RESERVED)
    if unknown:
        raise errors.invalid(
            f"InputTemplate for target {target_id} contains placeholder(s) that are not defined: {', '.join(unknown)}"
        )
