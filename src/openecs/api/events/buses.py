"""Event buses and their policies."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.events import errors
from openecs.api.events.lookup import bus, bus_name
from openecs.api.events.pages import page
from openecs.api.events.tagging import forget_tags, put_tags
from openecs.errors import AWSError
from openecs.model.event_rule import DEFAULT_BUS, EventBus, bus_arn
from openecs.planning.event_targets import TargetRefusedError, dead_letter_group
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Custom buses of a region, and bytes of a policy.
MAX_BUSES, MAX_POLICY = 100, 10240


class Buses:
    """The operations on buses."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateEventBus": self.create,
            "UpdateEventBus": self.update,
            "DescribeEventBus": self.describe,
            "ListEventBuses": self.list_all,
            "DeleteEventBus": self.delete,
            "PutPermission": self.put_permission,
            "RemovePermission": self.remove_permission,
        }

    def create(self, call: Call, request: events.CreateEventBusRequest) -> events.CreateEventBusResponse:
        """A custom bus."""
        if request.event_source_name is not None or "/" in request.name:
            raise errors.not_supported("A partner event bus (EventSourceName)")
        _check_settings(request.kms_key_identifier, request.dead_letter_config, request.log_config)
        arn = bus_arn(call.region, call.account, request.name)
        if request.name == DEFAULT_BUS or arn in self._state.event_buses:
            raise errors.already_exists(f"Event bus {request.name} already exists.")
        if self._state.event_buses.count("region", call.region) >= MAX_BUSES:
            raise errors.limit_exceeded()
        made = EventBus(
            arn=arn,
            region=call.region,
            name=request.name,
            created_at=call.now,
            modified_at=call.now,
            description=request.description,
            dead_letter_config=request.dead_letter_config,
        )
        with self._state.transaction() as tx:
            tx.put(made)
            if request.tags:
                put_tags(self._state, tx, arn, request.tags)
        return events.CreateEventBusResponse(
            event_bus_arn=arn, description=made.description, dead_letter_config=made.dead_letter_config
        )

    def update(self, call: Call, request: events.UpdateEventBusRequest) -> events.UpdateEventBusResponse:
        """Change description and dead-letter configuration."""
        _check_settings(request.kms_key_identifier, request.dead_letter_config, request.log_config)
        found = bus(self._state, call, bus_name(self._state, call, request.name))
        changed = msgspec.structs.replace(
            found,
            description=found.description if request.description is None else request.description,
            dead_letter_config=request.dead_letter_config or found.dead_letter_config,
            modified_at=call.now,
        )
        with self._state.transaction() as tx:
            tx.put(changed)
        return events.UpdateEventBusResponse(
            arn=changed.arn,
            name=changed.name,
            description=changed.description,
            dead_letter_config=changed.dead_letter_config,
        )

    def describe(self, call: Call, request: events.DescribeEventBusRequest) -> events.DescribeEventBusResponse:
        """One bus."""
        found = bus(self._state, call, bus_name(self._state, call, request.name))
        return events.DescribeEventBusResponse(
            name=found.name,
            arn=found.arn,
            description=found.description,
            dead_letter_config=found.dead_letter_config,
            policy=found.policy,
            creation_time=found.created_at or None,
            last_modified_time=found.modified_at or None,
        )

    def list_all(self, call: Call, request: events.ListEventBusesRequest) -> events.ListEventBusesResponse:
        """The buses of a region, by name."""
        known = {record.name: record for record in self._state.event_buses.by("region", call.region)}
        known.setdefault(DEFAULT_BUS, bus(self._state, call, DEFAULT_BUS))
        prefix = request.name_prefix or ""
        names, token = page(
            self._pagination,
            (name for name in known if name.startswith(prefix)),
            request,
            f"ListEventBuses/{call.region}/{prefix}",
        )
        return events.ListEventBusesResponse(
            event_buses=tuple(
                events.EventBus(
                    name=name,
                    arn=known[name].arn,
                    description=known[name].description,
                    policy=known[name].policy,
                    creation_time=known[name].created_at or None,
                    last_modified_time=known[name].modified_at or None,
                )
                for name in names
            ),
            next_token=token,
        )

    def delete(self, call: Call, request: events.DeleteEventBusRequest) -> None:
        """Delete a custom bus without rules; one that is not there is no error."""
        if request.name == DEFAULT_BUS:
            raise errors.invalid("Cannot delete event bus default.")
        found = self._state.event_buses.get(bus_arn(call.region, call.account, request.name))
        if found is None:
            return
        if self._state.event_rules.count("bus", (call.region, found.name)):
            raise errors.invalid("Event bus can't be deleted since it has rules.")
        with self._state.transaction() as tx:
            tx.delete(found)
            forget_tags(self._state, tx, found.arn)

    def put_permission(self, call: Call, request: events.PutPermissionRequest) -> None:
        """Put a whole policy, or one statement of it."""
        found = bus(self._state, call, bus_name(self._state, call, request.event_bus_name))
        if request.policy is not None:
            policy = _read_policy(request.policy)
        else:
            if request.action is None or request.principal is None or request.statement_id is None:
                raise errors.invalid("Action, Principal and StatementId are required unless a Policy is given.")
            policy = _with_statement(found, request)
        text = msgspec.json.encode(policy).decode()
        if len(text.encode()) > MAX_POLICY:
            raise AWSError("PolicyLengthExceededException", "The event bus policy is too long.")
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(found, policy=text, modified_at=call.now))

    def remove_permission(self, call: Call, request: events.RemovePermissionRequest) -> None:
        """Take one statement, or the whole policy, away."""
        found = bus(self._state, call, bus_name(self._state, call, request.event_bus_name))
        policy: str | None = None
        if not request.remove_all_permissions:
            if found.policy is None:
                raise errors.not_found("EventBus does not have a policy.")
            document = _read_policy(found.policy)
            kept = [item for item in document["Statement"] if item.get("Sid") != request.statement_id]
            if len(kept) == len(document["Statement"]):
                raise errors.not_found("Statement with the provided id does not exist.")
            policy = msgspec.json.encode(document | {"Statement": kept}).decode() if kept else None
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(found, policy=policy, modified_at=call.now))


def _with_statement(found: EventBus, request: events.PutPermissionRequest) -> dict[str, Any]:
    policy: dict[str, Any] = _read_policy(found.policy) if found.policy else {"Version": "2012-10-17", "Statement": []}
    principal = request.principal or ""
    statement: dict[str, Any] = {
        "Sid": request.statement_id,
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
        "Action": request.action,
        "Resource": found.arn,
    }
    if request.condition is not None:
        statement["Condition"] = {request.condition.type: {request.condition.key: request.condition.value}}
    kept = [item for item in policy["Statement"] if item.get("Sid") != request.statement_id]
    return policy | {"Statement": [*kept, statement]}


def _read_policy(text: str) -> dict[str, Any]:
    try:
        policy = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise errors.invalid("The policy is not valid JSON.") from None
    if not isinstance(policy, dict):
        raise errors.invalid("The policy is not a JSON object.")
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    if not all(isinstance(item, dict) for item in statements):
        raise errors.invalid("The policy's Statement is not valid.")
    return policy | {"Statement": statements}


def _check_settings(
    key: str | None, dead_letters: events.DeadLetterConfig | None, log_config: events.LogConfig | None
) -> None:
    if key:
        raise errors.not_supported("KmsKeyIdentifier")
    if log_config is not None and log_config.level not in (None, "OFF"):
        raise errors.not_supported("LogConfig with a Level other than OFF")
    if dead_letters is not None and dead_letters.arn:
        try:
            dead_letter_group(dead_letters.arn)
        except TargetRefusedError as error:
            raise errors.parameter("DeadLetterConfig", str(error)) from None
