"""Log groups: create, describe, delete, and how long their events are kept."""

from __future__ import annotations

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import INVALID_TOKEN, group_exists, group_protected, invalid_parameter, not_supported
from openecs.api.logs.group_filters import GroupFilters
from openecs.api.logs.lookup import find_group, group_arn, group_name
from openecs.api.logs.tags import check_tags
from openecs.logs.patterns.comparison import wildcard
from openecs.logs.records import LogGroup
from openecs.logs.store import LogStore
from openecs.shapes import logs as shapes
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE = 50

#: The periods that PutRetentionPolicy takes, in days.
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class LogGroups:
    """The log group operations; groups are separate by region."""

    def __init__(self, store: LogStore, pagination: Pagination, filters: GroupFilters) -> None:
        self._store = store
        self._pagination = pagination
        self._filters = filters

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "CreateLogGroup": self.create_log_group,
                "DescribeLogGroups": self.describe_log_groups,
                "DeleteLogGroup": self.delete_log_group,
                "PutRetentionPolicy": self.put_retention_policy,
                "DeleteRetentionPolicy": self.delete_retention_policy,
                "PutLogGroupDeletionProtection": self.put_deletion_protection,
                "ListLogGroups": self.list_log_groups,
                "AssociateKmsKey": self.associate_kms_key,
                "DisassociateKmsKey": self.disassociate_kms_key,
            },
        )

    def create_log_group(self, call: Call, request: shapes.CreateLogGroupRequest) -> None:
        """Make a group; refuses the settings that OpenECS has no counterpart for."""
        if request.kms_key_id is not None:
            raise not_supported("kmsKeyId")
        if request.log_group_class not in (None, "STANDARD"):
            raise not_supported(f"logGroupClass {request.log_group_class}")
        if request.log_group_name.lower().startswith("aws/"):
            raise invalid_parameter("Log groups starting with AWS/ are reserved for AWS.")
        tags = dict(request.tags or {})
        check_tags(tags)
        if request.log_group_name in self._store.groups(call.region):
            raise group_exists()
        group = self._store.create_group(call.region, request.log_group_name, tags)
        if request.deletion_protection_enabled:
            self._store.set_protection(group, on=True)

    def describe_log_groups(
        self, call: Call, request: shapes.DescribeLogGroupsRequest
    ) -> shapes.DescribeLogGroupsResponse:
        """The groups in the order of their names, filtered by prefix, substring or identifiers."""
        if request.account_identifiers:
            raise not_supported("accountIdentifiers")
        if request.include_linked_accounts:
            raise not_supported("includeLinkedAccounts")
        prefix, pattern = request.log_group_name_prefix, request.log_group_name_pattern
        if prefix is not None and pattern is not None:
            raise invalid_parameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        names = self._select(call, request, prefix or "", pattern or "")
        page, token = self._pagination.paginate(
            names,
            max_results=request.limit,
            next_token=request.next_token,
            default=PAGE_SIZE,
            limit=PAGE_SIZE,
            scope=f"DescribeLogGroups:{call.region}:{prefix}:{pattern}",
            member="limit",
            invalid_token=INVALID_TOKEN,
        )
        groups = self._store.groups(call.region)
        describe = _describe_briefly if pattern else self._describe
        return shapes.DescribeLogGroupsResponse(
            log_groups=tuple(describe(call, groups[name]) for name in page), next_token=token
        )

    def delete_log_group(self, call: Call, request: shapes.DeleteLogGroupRequest) -> None:
        """Delete a group with its streams, events, filters and policy."""
        group = find_group(self._store, call, request.log_group_name)
        if group.deletion_protected:
            raise group_protected()
        self._filters.forget(call.region, group.name, group_arn(call, group.name))
        self._store.delete_group(group)

    def put_deletion_protection(self, call: Call, request: shapes.PutLogGroupDeletionProtectionRequest) -> None:
        """Refuse, or allow again, to delete a group and its streams."""
        group = find_group(self._store, call, group_name(call, request.log_group_identifier.removesuffix(":*")))
        self._store.set_protection(group, on=request.deletion_protection_enabled)

    def list_log_groups(self, call: Call, request: shapes.ListLogGroupsRequest) -> shapes.ListLogGroupsResponse:
        """The groups whose names contain, or with ``^`` begin with, one of up to five texts."""
        if request.account_identifiers:
            raise not_supported("accountIdentifiers")
        if request.include_linked_accounts:
            raise not_supported("includeLinkedAccounts")
        groups = self._store.groups(call.region)
        # Nothing here has data sources or field indexes, and all groups are of the class STANDARD.
        nothing = request.data_sources or request.field_index_names or request.log_group_class not in (None, "STANDARD")
        pattern = request.log_group_name_pattern or ""
        alternatives = pattern.split("|")
        tags = request.log_group_tags or ()
        names = [] if nothing else sorted(n for n, g in groups.items() if _named(n, alternatives) and _tagged(g, tags))
        page, token = self._pagination.paginate(
            names,
            max_results=request.limit,
            next_token=request.next_token,
            default=PAGE_SIZE,
            limit=1000,
            scope=f"ListLogGroups:{call.region}:{pattern}:{tags}",
            member="limit",
            invalid_token=INVALID_TOKEN,
        )
        summaries = tuple(
            shapes.LogGroupSummary(log_group_name=name, log_group_arn=group_arn(call, name), log_group_class="STANDARD")
            for name in page
        )
        return shapes.ListLogGroupsResponse(log_groups=summaries, next_token=token)

    def associate_kms_key(self, _call: Call, _request: shapes.AssociateKmsKeyRequest) -> None:
        """Always refused: events are not encrypted by group."""
        raise not_supported("kmsKeyId")

    def disassociate_kms_key(self, _call: Call, _request: shapes.DisassociateKmsKeyRequest) -> None:
        """Always refused: no group has a key."""
        raise not_supported("DisassociateKmsKey: no log group has a KMS key, and kmsKeyId")

    def put_retention_policy(self, call: Call, request: shapes.PutRetentionPolicyRequest) -> None:
        """Let the group's events expire after some days."""
        if request.retention_in_days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, RETENTION_DAYS))
            raise invalid_parameter(
                f"1 validation error detected: Value '{request.retention_in_days}' at 'retentionInDays' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{allowed}]"
            )
        self._store.set_retention(find_group(self._store, call, request.log_group_name), request.retention_in_days)

    def delete_retention_policy(self, call: Call, request: shapes.DeleteRetentionPolicyRequest) -> None:
        """Keep the group's events for ever."""
        self._store.set_retention(find_group(self._store, call, request.log_group_name), None)

    def _describe(self, call: Call, group: LogGroup) -> shapes.LogGroup:
        arn = group_arn(call, group.name)
        return shapes.LogGroup(
            log_group_name=group.name,
            creation_time=group.created,
            retention_in_days=group.retention_days,
            metric_filter_count=self._filters.metric_filter_count(call.region, group.name),
            arn=f"{arn}:*",
            stored_bytes=group.stored_bytes,
            log_group_class="STANDARD",
            log_group_arn=arn,
            deletion_protection_enabled=group.deletion_protected,
        )

    def _select(self, call: Call, request: shapes.DescribeLogGroupsRequest, prefix: str, pattern: str) -> list[str]:
        groups = self._store.groups(call.region)
        if request.log_group_identifiers is not None:
            if prefix or pattern or request.log_group_class is not None:
                raise invalid_parameter("logGroupIdentifiers cannot be combined with another filter.")
            wanted = {group_name(call, identifier) for identifier in request.log_group_identifiers}
            return sorted(wanted & groups.keys())
        if request.log_group_class not in (None, "STANDARD"):
            return []  # every group here is of the class STANDARD
        return sorted(name for name in groups if name.startswith(prefix) and pattern in name)


def _describe_briefly(call: Call, group: LogGroup) -> shapes.LogGroup:
    """What a search by pattern returns of a group."""
    return shapes.LogGroup(
        log_group_name=group.name, creation_time=group.created, arn=f"{group_arn(call, group.name)}:*"
    )


def _named(name: str, alternatives: list[str]) -> bool:
    return any(name.startswith(a[1:]) if a.startswith("^") else a in name for a in alternatives)


def _tagged(group: LogGroup, filters: tuple[shapes.TagFilter, ...]) -> bool:
    """Whether a group has every tag, with one of its values where the filter names some."""
    return all(
        f.key in group.tags and (not f.values or any(_has_value(group.tags[f.key], value) for value in f.values))
        for f in filters
    )


def _has_value(value: str, wanted: str) -> bool:
    """Whether a tag's value is as wanted: ``*`` at an end stands for anything, ``!`` before it all turns it round."""
    text = wanted.removeprefix("!")
    if "*" in text:
        text, value = text.casefold(), value.casefold()
    return wildcard(text)(value) is not wanted.startswith("!")
