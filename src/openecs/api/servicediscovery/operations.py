"""GetOperation and ListOperations: what became of calls that AWS carries out in the background."""

from __future__ import annotations

from openecs.api.servicediscovery import errors, filters
from openecs.api.servicediscovery.pages import page as paged
from openecs.model.discovery import DiscoveryOperation
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

_RULES: filters.Rules[DiscoveryOperation] = {
    "NAMESPACE_ID": (lambda o: o.targets.get("NAMESPACE", ""), frozenset({"EQ"})),
    "SERVICE_ID": (lambda o: o.targets.get("SERVICE", ""), frozenset({"EQ"})),
    "STATUS": (lambda o: o.status, frozenset({"EQ", "IN"})),
    "TYPE": (lambda o: o.type, frozenset({"EQ", "IN"})),
    "UPDATE_DATE": (lambda o: str(o.updated_at), frozenset({"BETWEEN"})),
}


class Operations:
    """The operations about operations."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"GetOperation": self.get, "ListOperations": self.list_all}

    def get(self, call: Call, request: sd.GetOperationRequest) -> sd.GetOperationResponse:
        """One operation."""
        found = self._state.discovery_operations.get(request.operation_id)
        if found is None or found.region != call.region or request.owner_account not in (None, call.account):
            raise errors.operation_not_found(request.operation_id)
        return sd.GetOperationResponse(
            operation=sd.Operation(
                id=found.id,
                owner_account=call.account,
                type=found.type,
                status=found.status,
                error_message=found.error_message,
                error_code=found.error_code,
                create_date=found.created_at,
                update_date=found.updated_at,
                targets=found.targets,
            )
        )

    def list_all(self, call: Call, request: sd.ListOperationsRequest) -> sd.ListOperationsResponse:
        """The remembered operations of the region that match, oldest first."""
        found = filters.apply(self._state.discovery_operations.by("region", call.region), request.filters, _RULES)
        page, token = paged(
            self._pagination,
            sorted(found, key=lambda o: (o.created_at, o.id)),
            max_results=request.max_results,
            next_token=request.next_token,
            scope=f"ListOperations/{call.region}/{request.filters!r}",
            key=lambda o: (o.created_at, o.id),
        )
        shown = tuple(sd.OperationSummary(id=o.id, status=o.status) for o in page)
        return sd.ListOperationsResponse(operations=shown, next_token=token)
