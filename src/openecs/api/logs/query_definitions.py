"""Saved queries: put, describe, delete."""

from __future__ import annotations

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import INVALID_TOKEN, not_supported
from openecs.api.logs.queries import refuse_language
from openecs.errors import AWSError
from openecs.logs.store import LogStore
from openecs.model.query_definition import QueryDefinition
from openecs.shapes import logs as shapes
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DEFINITIONS = 1000


class QueryDefinitions:
    """The operations on saved queries.  They are not read when they are saved, as on AWS."""

    def __init__(self, store: LogStore, state: State, pagination: Pagination) -> None:
        self._store = store
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "PutQueryDefinition": self.put,
                "DescribeQueryDefinitions": self.describe,
                "DeleteQueryDefinition": self.delete,
            },
        )

    def put(self, call: Call, request: shapes.PutQueryDefinitionRequest) -> shapes.PutQueryDefinitionResponse:
        """Save a query, or change one by its id."""
        refuse_language(request.query_language)
        if request.parameters:
            raise not_supported("parameters")
        known = self._state.query_definitions.by("region", call.region)
        if request.query_definition_id is not None:
            self._existing(call, request.query_definition_id)
        elif request.client_token is not None:
            for definition in known:
                if definition.client_token == request.client_token:
                    return shapes.PutQueryDefinitionResponse(query_definition_id=definition.id)
        if request.query_definition_id is None and len(known) >= MAX_DEFINITIONS:
            raise AWSError("LimitExceededException", f"A region can have {MAX_DEFINITIONS} query definitions.")
        definition = QueryDefinition(
            id=request.query_definition_id or call.ids.uuid(),
            region=call.region,
            name=request.name,
            query=request.query_string,
            log_groups=request.log_group_names or (),
            modified_at=call.now,
            client_token=request.client_token,
        )
        with self._state.transaction() as tx:
            tx.put(definition)
        return shapes.PutQueryDefinitionResponse(query_definition_id=definition.id)

    def describe(
        self, call: Call, request: shapes.DescribeQueryDefinitionsRequest
    ) -> shapes.DescribeQueryDefinitionsResponse:
        """The saved queries in the order of their names."""
        refuse_language(request.query_language)
        prefix = request.query_definition_name_prefix or ""
        found = [d for d in self._state.query_definitions.by("region", call.region) if d.name.startswith(prefix)]
        page, token = self._pagination.paginate(
            sorted(found, key=_place),
            max_results=request.max_results,
            next_token=request.next_token,
            default=1000,
            limit=1000,
            scope=f"DescribeQueryDefinitions:{call.region}:{prefix}",
            key=_place,
            invalid_token=INVALID_TOKEN,
        )
        return shapes.DescribeQueryDefinitionsResponse(query_definitions=tuple(map(_view, page)), next_token=token)

    def delete(self, call: Call, request: shapes.DeleteQueryDefinitionRequest) -> shapes.DeleteQueryDefinitionResponse:
        """Forget a saved query."""
        definition = self._existing(call, request.query_definition_id)
        with self._state.transaction() as tx:
            tx.delete(definition)
        return shapes.DeleteQueryDefinitionResponse(success=True)

    def _existing(self, call: Call, definition_id: str) -> QueryDefinition:
        found = self._state.query_definitions.get(definition_id)
        if found is None or found.region != call.region:
            raise AWSError("ResourceNotFoundException", f"The query definition {definition_id} does not exist.")
        return found


def _place(definition: QueryDefinition) -> tuple[str, str]:
    return definition.name, definition.id


def _view(definition: QueryDefinition) -> shapes.QueryDefinition:
    return shapes.QueryDefinition(
        query_language="CWLI",
        query_definition_id=definition.id,
        name=definition.name,
        query_string=definition.query,
        last_modified=round(definition.modified_at * 1000),
        log_group_names=definition.log_groups,
    )
