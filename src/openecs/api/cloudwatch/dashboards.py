"""Dashboards: put, get, list, delete.  Bodies are checked and kept as they are; nothing is drawn here."""

from __future__ import annotations

import json
import re

from openecs.errors import AWSError
from openecs.model import tag_rules
from openecs.model.dashboard import Dashboard, dashboard_arn
from openecs.model.tags import ResourceTags
from openecs.planning.dashboard_body import check_body
from openecs.planning.json_rules import Finding
from openecs.shapes import cloudwatch as cw
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Dashboards on one page, which callers cannot choose.
PAGE_SIZE = 1000
MAX_DELETED = 100
#: Bytes of a body; CloudWatch's limit is of that order.
MAX_BODY = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,255}")


class Dashboards:
    """The dashboard operations; dashboards are the same in every region."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "PutDashboard": self.put,
            "GetDashboard": self.get,
            "ListDashboards": self.list_all,
            "DeleteDashboards": self.delete,
        }

    def put(self, call: Call, request: cw.PutDashboardInput) -> cw.PutDashboardOutput:
        """Create a dashboard or replace its body; warnings are told, mistakes are refused."""
        name = request.dashboard_name
        if not _NAME.fullmatch(name):
            raise _invalid(f"The field DashboardName must match the regular expression {_NAME.pattern}")
        if len(request.dashboard_body.encode()) > MAX_BODY:
            raise _invalid(f"The field DashboardBody must not have more than {MAX_BODY} bytes")
        report = check_body(request.dashboard_body)
        if report is None:
            raise _invalid("The field DashboardBody must be a valid JSON object")
        if report.errors:
            raise _invalid(_all_errors(report.errors), report.errors)
        arn = dashboard_arn(call.account, name)
        tags = tuple(ecs.Tag(key=tag.key, value=tag.value) for tag in request.tags or ())
        if tags and name not in self._state.dashboards:
            _check_tags(tags)
        with self._state.transaction() as tx:
            # Tags count for a new dashboard only; CloudWatch ignores them afterwards.
            if tags and name not in self._state.dashboards:
                tx.put(ResourceTags(arn=arn, tags=tags))
            tx.put(Dashboard(name=name, arn=arn, body=request.dashboard_body, modified_at=call.now))
        return cw.PutDashboardOutput(dashboard_validation_messages=_messages(report.warnings))

    def get(self, _call: Call, request: cw.GetDashboardInput) -> cw.GetDashboardOutput:
        """One dashboard with its body."""
        found = self._state.dashboards.get(request.dashboard_name)
        if found is None:
            raise AWSError("DashboardNotFoundError", f"Dashboard {request.dashboard_name} does not exist", status=404)
        return cw.GetDashboardOutput(dashboard_arn=found.arn, dashboard_body=found.body, dashboard_name=found.name)

    def list_all(self, _call: Call, request: cw.ListDashboardsInput) -> cw.ListDashboardsOutput:
        """The dashboards whose names begin with a prefix, by name."""
        prefix = request.dashboard_name_prefix or ""
        if not _PREFIX.fullmatch(prefix):
            raise _invalid_value(f"The field DashboardNamePrefix must match the regular expression {_PREFIX.pattern}")
        names = sorted(found.name for found in self._state.dashboards if found.name.startswith(prefix))
        try:
            page, token = self._pagination.paginate(
                names,
                max_results=None,
                next_token=request.next_token,
                default=PAGE_SIZE,
                limit=PAGE_SIZE,
                scope=f"ListDashboards/{prefix}",
            )
        except AWSError as error:
            raise _invalid_value(error.message) from None
        found = filter(None, map(self._state.dashboards.get, page))
        return cw.ListDashboardsOutput(dashboard_entries=tuple(map(_entry, found)), next_token=token)

    def delete(self, _call: Call, request: cw.DeleteDashboardsInput) -> cw.DeleteDashboardsOutput:
        """Forget dashboards; names of none are no error."""
        names = dict.fromkeys(request.dashboard_names)
        if len(names) > MAX_DELETED:
            raise _invalid_value(f"The field DashboardNames must not have more than {MAX_DELETED} names")
        with self._state.transaction() as tx:
            for dashboard in filter(None, map(self._state.dashboards.get, names)):
                tx.delete(dashboard)
                tags = self._state.tags.get(dashboard.arn)
                if tags is not None:
                    tx.delete(tags)
        return cw.DeleteDashboardsOutput()


def _entry(dashboard: Dashboard) -> cw.DashboardEntry:
    return cw.DashboardEntry(
        dashboard_name=dashboard.name,
        dashboard_arn=dashboard.arn,
        last_modified=dashboard.modified_at,
        size=len(dashboard.body.encode()),
    )


def _all_errors(errors: list[Finding]) -> str:
    listed = json.dumps([{"dataPath": path, "message": message} for path, message in errors], indent=2)
    return f"The dashboard body is invalid, there are {len(errors)} validation errors:\n{listed}"


def _messages(findings: list[Finding]) -> tuple[cw.DashboardValidationMessage, ...]:
    return tuple(cw.DashboardValidationMessage(data_path=path, message=message) for path, message in findings)


def _check_tags(tags: tuple[ecs.Tag, ...]) -> None:
    """The rules of tags in the code that PutDashboard has."""
    try:
        tag_rules.check(tags)
        tag_rules.merge((), tags)
    except AWSError as error:
        raise _invalid(error.message) from None


def _invalid(message: str, errors: list[Finding] | None = None) -> AWSError:
    """The refusal of PutDashboard."""
    told = [{"DataPath": path, "Message": text} for path, text in errors or ()]
    return AWSError(
        "DashboardInvalidInputError", message, members={"dashboardValidationMessages": told} if told else None
    )


def _invalid_value(message: str) -> AWSError:
    return AWSError("InvalidParameterValue", message)
