"""Attributes of services: get, set, delete."""

from __future__ import annotations

import msgspec

from openecs.api.servicediscovery.lookup import find_service
from openecs.errors import AWSError
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

MAX_ATTRIBUTES = 30


class ServiceAttributes:
    """The operations on the attributes of services."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "GetServiceAttributes": self.get,
            "UpdateServiceAttributes": self.update,
            "DeleteServiceAttributes": self.delete,
        }

    def get(self, call: Call, request: sd.GetServiceAttributesRequest) -> sd.GetServiceAttributesResponse:
        """All attributes of a service."""
        service = find_service(self._state, call, request.service_id)
        return sd.GetServiceAttributesResponse(
            service_attributes=sd.ServiceAttributes(
                # The model has no empty map here.
                service_arn=service.arn,
                resource_owner=call.account,
                attributes=dict(service.attributes) or None,
            )
        )

    def update(self, call: Call, request: sd.UpdateServiceAttributesRequest) -> sd.UpdateServiceAttributesResponse:
        """Add attributes or change their values."""
        service = find_service(self._state, call, request.service_id)
        attributes = {**service.attributes, **request.attributes}
        if len(attributes) > MAX_ATTRIBUTES:
            raise AWSError(
                "ServiceAttributesLimitExceededException",
                f"A service can have no more than {MAX_ATTRIBUTES} attributes",
            )
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(service, attributes=attributes))
        return sd.UpdateServiceAttributesResponse()

    def delete(self, call: Call, request: sd.DeleteServiceAttributesRequest) -> sd.DeleteServiceAttributesResponse:
        """Take attributes away; those that are not there are no error."""
        service = find_service(self._state, call, request.service_id)
        kept = {name: value for name, value in service.attributes.items() if name not in request.attributes}
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(service, attributes=kept))
        return sd.DeleteServiceAttributesResponse()
