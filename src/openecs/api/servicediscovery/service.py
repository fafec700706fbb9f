"""All operations of Cloud Map."""

from __future__ import annotations

from openecs.api.servicediscovery.discover import Discover
from openecs.api.servicediscovery.instances import Instances
from openecs.api.servicediscovery.namespaces import Namespaces, VpcExists
from openecs.api.servicediscovery.operations import Operations
from openecs.api.servicediscovery.service_attributes import ServiceAttributes
from openecs.api.servicediscovery.services import DiscoveryServices
from openecs.api.servicediscovery.tagging import Tagging
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class CloudMap:
    """AWS Cloud Map over the installation's state."""

    def __init__(self, state: State, pagination: Pagination, vpc_exists: VpcExists) -> None:
        self._parts = (
            Namespaces(state, pagination, vpc_exists),
            DiscoveryServices(state, pagination),
            ServiceAttributes(state),
            Instances(state, pagination),
            Discover(state),
            Operations(state, pagination),
            Tagging(state),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
