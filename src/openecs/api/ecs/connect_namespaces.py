"""Cloud Map namespaces as Service Connect names them: by name or by ARN."""

from __future__ import annotations

import re

from openecs import arn as arns
from openecs.api.servicediscovery.lookup import resource_arn
from openecs.api.servicediscovery.records import short_id
from openecs.errors import AWSError, invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.discovery import Namespace
from openecs.state.state import State
from openecs.wire.call import Call

_NAME = re.compile(r'[^<>"/]{1,1024}')


def not_found(reference: str) -> AWSError:
    """No namespace of the region has this name or ARN."""
    return AWSError("NamespaceNotFoundException", f"The specified namespace {reference} was not found.")


def find(state: State, call: Call, reference: str) -> Namespace | None:
    """The namespace that a name or ARN means; of several with one name the oldest."""
    if reference.startswith("arn:"):
        parsed = arns.parse(reference)
        found = state.namespaces.get(parsed.path[0]) if parsed is not None and len(parsed.path) == 1 else None
        return found if found is not None and found.arn == reference and found.region == call.region else None
    named = (n for n in state.namespaces.by("region", call.region) if n.name == reference)
    return min(named, key=lambda n: (n.created_at, n.id), default=None)


def of_service(state: State, call: Call, cluster: Cluster, reference: str | None) -> Namespace:
    """The namespace of a service: its own, or its cluster's default.  Raises AWS's errors."""
    wanted = reference or cluster.connect_namespace_arn
    if not wanted:
        raise invalid_parameter(
            "A namespace must be specified in the serviceConnectConfiguration, or as the serviceConnectDefaults of "
            "the cluster."
        )
    found = find(state, call, wanted)
    if found is None:
        raise not_found(wanted)
    return found


def of_cluster(state: State, call: Call, reference: str) -> tuple[Namespace, bool]:
    """The namespace that a cluster names, and whether it has to be made: a new name makes one.

    Raises AWS's errors.
    """
    found = find(state, call, reference)
    if found is not None:
        return found, False
    if reference.startswith("arn:"):
        raise not_found(reference)
    if not _NAME.fullmatch(reference):
        raise invalid_parameter("The namespace name is not valid.")
    identifier = f"ns-{short_id(call)}"
    return (
        Namespace(
            id=identifier,
            arn=resource_arn(call, "namespace", identifier),
            region=call.region,
            name=reference,
            type="HTTP",
            created_at=call.now,
            creator_request_id=call.ids.uuid(),
            description="Made by Amazon ECS for Service Connect",
        ),
        True,
    )
