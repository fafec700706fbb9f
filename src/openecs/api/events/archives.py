"""Archives: which events of a bus are kept, and for how long."""

from __future__ import annotations

import msgspec

from openecs.api.events import errors
from openecs.api.events.pages import page
from openecs.api.events.patterns import check_pattern
from openecs.events.archive_store import ArchiveStore
from openecs.model.event_archive import EventArchive
from openecs.model.event_rule import bus_arn
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_ARCHIVES = 100
#: Days; more than a hundred years are no retention.
MAX_RETENTION = 36500


class Archives:
    """The operations on archives."""

    def __init__(self, state: State, pagination: Pagination, store: ArchiveStore) -> None:
        self._state = state
        self._pagination = pagination
        self._store = store

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateArchive": self.create,
            "UpdateArchive": self.update,
            "DescribeArchive": self.describe,
            "ListArchives": self.list_all,
            "DeleteArchive": self.delete,
        }

    def create(self, call: Call, request: events.CreateArchiveRequest) -> events.CreateArchiveResponse:
        """Keep the events of a bus from now on."""
        arn = archive_arn(call, request.archive_name)
        if arn in self._state.event_archives:
            raise errors.already_exists(f"Archive {request.archive_name} already exists.")
        if self._state.event_archives.count("region", call.region) >= MAX_ARCHIVES:
            raise errors.limit_exceeded()
        source = request.event_source_arn
        if source not in self._state.event_buses and source != bus_arn(call.region, call.account):
            raise errors.bus_not_found(source.partition(":event-bus/")[2] or source)
        _check(request.event_pattern, request.retention_days, request.kms_key_identifier)
        made = EventArchive(
            arn=arn,
            region=call.region,
            name=request.archive_name,
            source_arn=source,
            created_at=call.now,
            description=request.description,
            event_pattern=request.event_pattern or None,
            retention_days=request.retention_days or 0,
        )
        # What a deletion just before the end of the process may have left.
        self._store.forget(made)
        with self._state.transaction() as tx:
            tx.put(made)
        return events.CreateArchiveResponse(archive_arn=arn, state="ENABLED", creation_time=made.created_at)

    def update(self, call: Call, request: events.UpdateArchiveRequest) -> events.UpdateArchiveResponse:
        """Change pattern, retention or description."""
        found = self._find(call, request.archive_name)
        _check(request.event_pattern, request.retention_days, request.kms_key_identifier)
        changes = {
            "description": request.description,
            "event_pattern": request.event_pattern,
            "retention_days": request.retention_days,
        }
        changed = msgspec.structs.replace(
            found, **{name: value for name, value in changes.items() if value is not None}
        )
        with self._state.transaction() as tx:
            tx.put(changed)
        self._store.keep_for(changed)
        return events.UpdateArchiveResponse(archive_arn=found.arn, state="ENABLED", creation_time=found.created_at)

    def describe(self, call: Call, request: events.DescribeArchiveRequest) -> events.DescribeArchiveResponse:
        """One archive."""
        found = self._find(call, request.archive_name)
        count, size = self._store.size(found)
        return events.DescribeArchiveResponse(
            archive_arn=found.arn,
            archive_name=found.name,
            event_source_arn=found.source_arn,
            description=found.description,
            event_pattern=found.event_pattern,
            state="ENABLED",
            retention_days=found.retention_days,
            size_bytes=size,
            event_count=count,
            creation_time=found.created_at,
        )

    def list_all(self, call: Call, request: events.ListArchivesRequest) -> events.ListArchivesResponse:
        """The archives of a region, by name; at most one filter."""
        prefix, source, state = request.name_prefix, request.event_source_arn, request.state
        if sum(given is not None for given in (prefix, source, state)) > 1:
            raise errors.invalid(
                "At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix."
            )
        known = {
            found.name: found
            for found in self._state.event_archives.by("region", call.region)
            if found.name.startswith(prefix or "") and source in (None, found.source_arn) and state in (None, "ENABLED")
        }
        names, token = page(self._pagination, known, request, f"ListArchives/{call.region}/{prefix}/{source}/{state}")
        return events.ListArchivesResponse(archives=tuple(self._item(known[name]) for name in names), next_token=token)

    def delete(self, call: Call, request: events.DeleteArchiveRequest) -> events.DeleteArchiveResponse:
        """Delete an archive and what it holds."""
        found = self._find(call, request.archive_name)
        with self._state.transaction() as tx:
            tx.delete(found)
        self._store.forget(found)
        return events.DeleteArchiveResponse()

    def _item(self, found: EventArchive) -> events.Archive:
        count, size = self._store.size(found)
        return events.Archive(
            archive_name=found.name,
            event_source_arn=found.source_arn,
            state="ENABLED",
            retention_days=found.retention_days,
            size_bytes=size,
            event_count=count,
            creation_time=found.created_at,
        )

    def _find(self, call: Call, name: str) -> EventArchive:
        found = self._state.event_archives.get(archive_arn(call, name))
        if found is None:
            raise errors.not_found(f"Archive {name} does not exist.")
        return found


def archive_arn(call: Call, name: str) -> str:
    """The ARN of an archive."""
    return f"arn:aws:events:{call.region}:{call.account}:archive/{name}"


def _check(pattern: str | None, days: int | None, key: str | None) -> None:
    if key:
        raise errors.not_supported("KmsKeyIdentifier")
    if days is not None and days > MAX_RETENTION:
        raise errors.invalid(f"RetentionDays must be at most {MAX_RETENTION}.")
    if pattern:
        check_pattern(pattern)
