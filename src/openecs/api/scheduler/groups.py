"""Schedule groups and their tags."""

from __future__ import annotations

from openecs.api.scheduler import errors
from openecs.api.scheduler.pages import page
from openecs.arn import parse
from openecs.model.schedule import DEFAULT_GROUP, ScheduleGroup, group_arn
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs, scheduler
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_GROUPS, MAX_TAGS = 500, 200


class Groups:
    """The operations on groups."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateScheduleGroup": self.create,
            "GetScheduleGroup": self.get,
            "ListScheduleGroups": self.list_all,
            "DeleteScheduleGroup": self.delete,
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTagsForResource": self.list_tags,
        }

    def create(self, call: Call, request: scheduler.CreateScheduleGroupInput) -> scheduler.CreateScheduleGroupOutput:
        """Make a group; a repeated client token answers as the first call did."""
        arn = group_arn(call.region, call.account, request.name)
        known = self._state.schedule_groups.get(arn)
        if known is not None and request.client_token is not None and known.client_token == request.client_token:
            return scheduler.CreateScheduleGroupOutput(schedule_group_arn=arn)
        if known is not None or request.name == DEFAULT_GROUP:
            raise errors.conflict(f"Schedule group {request.name} already exists.")
        if self._state.schedule_groups.count("region", call.region) >= MAX_GROUPS - 1:
            raise errors.quota("The number of schedule groups exceeds the limit.")
        made = ScheduleGroup(
            arn=arn,
            region=call.region,
            name=request.name,
            created_at=call.now,
            modified_at=call.now,
            client_token=request.client_token,
        )
        with self._state.transaction() as tx:
            tx.put(made)
            if request.tags:
                self._put_tags(tx, arn, request.tags)
        return scheduler.CreateScheduleGroupOutput(schedule_group_arn=arn)

    def get(self, call: Call, request: scheduler.GetScheduleGroupInput) -> scheduler.GetScheduleGroupOutput:
        """One group."""
        shown = self._summary(group_arn(call.region, call.account, request.name), request.name)
        return scheduler.GetScheduleGroupOutput(
            arn=shown.arn,
            name=shown.name,
            state=shown.state,
            creation_date=shown.creation_date,
            last_modification_date=shown.last_modification_date,
        )

    def list_all(self, call: Call, request: scheduler.ListScheduleGroupsInput) -> scheduler.ListScheduleGroupsOutput:
        """The groups by name."""
        prefix = request.name_prefix or ""
        names = {DEFAULT_GROUP, *(group.name for group in self._state.schedule_groups.by("region", call.region))}
        shown, token = page(
            self._pagination,
            (name for name in names if name.startswith(prefix)),
            request,
            f"ListScheduleGroups/{call.region}/{prefix}",
        )
        return scheduler.ListScheduleGroupsOutput(
            schedule_groups=tuple(self._summary(group_arn(call.region, call.account, name), name) for name in shown),
            next_token=token,
        )

    def delete(self, call: Call, request: scheduler.DeleteScheduleGroupInput) -> scheduler.DeleteScheduleGroupOutput:
        """Delete a group with all its schedules, at once."""
        if request.name == DEFAULT_GROUP:
            raise errors.invalid("The default schedule group can not be deleted.")
        found = self._state.schedule_groups.get(group_arn(call.region, call.account, request.name))
        if found is None:
            raise errors.group_not_found(request.name)
        with self._state.transaction() as tx:
            for schedule in self._state.schedules.by("group", (call.region, request.name)):
                for invocation in self._state.schedule_invocations.by("schedule", schedule.arn):
                    tx.delete(invocation)
                tx.delete(schedule)
            tx.delete(found)
            tags = self._state.tags.get(found.arn)
            if tags is not None:
                tx.delete(tags)
        return scheduler.DeleteScheduleGroupOutput()

    def tag(self, call: Call, request: scheduler.TagResourceInput) -> scheduler.TagResourceOutput:
        """Add tags or change their values."""
        arn = self._existing(call, request.resource_arn)
        with self._state.transaction() as tx:
            self._put_tags(tx, arn, request.tags)
        return scheduler.TagResourceOutput()

    def untag(self, call: Call, request: scheduler.UntagResourceInput) -> scheduler.UntagResourceOutput:
        """Take tags off; keys that are not there are no error."""
        arn = self._existing(call, request.resource_arn)
        found = self._state.tags.get(arn)
        if found is not None:
            kept = tuple(tag for tag in found.tags if tag.key not in request.tag_keys)
            with self._state.transaction() as tx:
                tx.put(ResourceTags(arn=arn, tags=kept))
        return scheduler.UntagResourceOutput()

    def list_tags(self, call: Call, request: scheduler.ListTagsForResourceInput) -> scheduler.ListTagsForResourceOutput:
        """The tags of a group."""
        found = self._state.tags.get(self._existing(call, request.resource_arn))
        tags = found.tags if found else ()
        return scheduler.ListTagsForResourceOutput(
            tags=tuple(scheduler.Tag(key=tag.key or "", value=tag.value or "") for tag in tags)
        )

    def _summary(self, arn: str, name: str) -> scheduler.ScheduleGroupSummary:
        found = self._state.schedule_groups.get(arn)
        if found is None and name != DEFAULT_GROUP:
            raise errors.group_not_found(name)
        return scheduler.ScheduleGroupSummary(
            arn=arn,
            name=name,
            state="ACTIVE",
            creation_date=found.created_at if found else None,
            last_modification_date=found.modified_at if found else None,
        )

    def _existing(self, call: Call, arn: str) -> str:
        parsed = parse(arn)
        name = parsed.path[0] if parsed is not None and parsed.path else ""
        if arn != group_arn(call.region, call.account, name):
            raise errors.group_not_found(name)
        self._summary(arn, name)
        return arn

    def _put_tags(self, tx: Transaction, arn: str, tags: tuple[scheduler.Tag, ...]) -> None:
        found = self._state.tags.get(arn)
        merged = {tag.key: tag.value for tag in found.tags} if found else {}
        for tag in tags:
            if tag.key.lower().startswith("aws:"):
                raise errors.invalid("Tag keys that start with 'aws:' are reserved for system use.")
            merged[tag.key] = tag.value
        if len(merged) > MAX_TAGS:
            raise errors.invalid(f"A resource can have no more than {MAX_TAGS} tags.")
        tx.put(ResourceTags(arn=arn, tags=tuple(ecs.Tag(key=key, value=value) for key, value in merged.items())))
