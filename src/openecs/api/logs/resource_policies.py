"""Resource policies: kept and shown.

On AWS they let other AWS services write into log groups.  Here there is one account, and rules
deliver into its groups without a policy, so that nothing depends on one.
"""

from __future__ import annotations

import json

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import INVALID_TOKEN, invalid_parameter, resource_not_found
from openecs.api.logs.lookup import group_of_resource
from openecs.errors import AWSError
from openecs.logs.store import LogStore
from openecs.model.log_filter import LogResourcePolicy
from openecs.shapes import logs as shapes
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE = 50
MOST_POLICIES = 10
#: Characters of a policy of the region; one of a group may have as many as the model allows.
MOST_CHARACTERS = 5120


class ResourcePolicies:
    """The resource policy operations."""

    def __init__(self, store: LogStore, state: State, pagination: Pagination) -> None:
        self._store = store
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "PutResourcePolicy": self.put,
                "DescribeResourcePolicies": self.describe,
                "DeleteResourcePolicy": self.delete,
            },
        )

    def put(self, call: Call, request: shapes.PutResourcePolicyRequest) -> shapes.PutResourcePolicyResponse:
        """Create a policy, or replace the one of that name or log group."""
        document = request.policy_document
        if document is None or not _is_policy(document):
            raise invalid_parameter("The policyDocument must be a JSON object with a Statement.")
        if request.resource_arn is None:
            if not request.policy_name:
                raise invalid_parameter("The policyName must be specified.")
            if len(document) > MOST_CHARACTERS:
                raise AWSError("LimitExceededException", "Resource limit exceeded.")
        else:
            group_of_resource(self._store, call, request.resource_arn)
        policy = LogResourcePolicy(
            region=call.region,
            name=request.policy_name or "",
            document=document,
            updated=round(call.now * 1000),
            resource_arn=_bare(request.resource_arn),
            revision="" if request.resource_arn is None else call.ids.uuid(),
        )
        known = self._state.log_resource_policies.get(policy.key)
        if request.resource_arn is not None:
            _check_revision(known, request.expected_revision_id)
        elif known is None and len(self._of_region(call.region)) >= MOST_POLICIES:
            raise AWSError("LimitExceededException", "Resource limit exceeded.")
        with self._state.transaction() as tx:
            tx.put(policy)
        return shapes.PutResourcePolicyResponse(resource_policy=_describe(policy), revision_id=policy.revision or None)

    def describe(
        self, call: Call, request: shapes.DescribeResourcePoliciesRequest
    ) -> shapes.DescribeResourcePoliciesResponse:
        """The policies of the region by name, or that of a log group."""
        scope = request.policy_scope or ("ACCOUNT" if request.resource_arn is None else "RESOURCE")
        if scope == "ACCOUNT":
            if request.resource_arn is not None:
                raise invalid_parameter("resourceArn can be specified only with the policyScope RESOURCE.")
            found = self._of_region(call.region)
        else:
            wanted = _bare(request.resource_arn)
            of_groups = (p for p in self._state.log_resource_policies.by("region", call.region) if p.resource_arn)
            found = [p for p in of_groups if wanted in ("", p.resource_arn)]
        page, token = self._pagination.paginate(
            sorted(found, key=_order),
            max_results=request.limit,
            next_token=request.next_token,
            default=PAGE_SIZE,
            limit=PAGE_SIZE,
            scope=f"DescribeResourcePolicies:{call.region}:{scope}:{request.resource_arn}",
            key=_order,
            member="limit",
            invalid_token=INVALID_TOKEN,
        )
        return shapes.DescribeResourcePoliciesResponse(resource_policies=tuple(map(_describe, page)), next_token=token)

    def delete(self, call: Call, request: shapes.DeleteResourcePolicyRequest) -> None:
        """Delete a policy by its name or its log group."""
        key = f"{call.region}/{_bare(request.resource_arn) or request.policy_name}"
        known = self._state.log_resource_policies.get(key)
        if known is None:
            raise resource_not_found()
        if known.resource_arn:
            _check_revision(known, request.expected_revision_id)
        with self._state.transaction() as tx:
            tx.delete(known)

    def _of_region(self, region: str) -> list[LogResourcePolicy]:
        return [p for p in self._state.log_resource_policies.by("region", region) if not p.resource_arn]


def _bare(arn: str | None) -> str:
    return (arn or "").removesuffix(":*")


def _order(policy: LogResourcePolicy) -> str:
    return policy.key


def _check_revision(known: LogResourcePolicy | None, expected: str | None) -> None:
    if (known.revision if known is not None else None) != expected:
        raise AWSError("OperationAbortedException", "The expectedRevisionId is not that of the resource policy.")


def _is_policy(document: str) -> bool:
    try:
        decoded = json.loads(document)
    except (ValueError, RecursionError):
        return False
    return isinstance(decoded, dict) and "Statement" in decoded


def _describe(policy: LogResourcePolicy) -> shapes.ResourcePolicy:
    return shapes.ResourcePolicy(
        policy_name=policy.name or None,
        policy_document=policy.document,
        last_updated_time=policy.updated,
        policy_scope="RESOURCE" if policy.resource_arn else "ACCOUNT",
        resource_arn=policy.resource_arn or None,
        revision_id=policy.revision or None,
    )
