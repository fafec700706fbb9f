"""What the requests of Application Auto Scaling have in common: which target they mean, and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from openecs import arn as arns
from openecs.errors import AWSError
from openecs.model.scaling import DIMENSION, NAMESPACE, ScalableTarget, target_key
from openecs.model.service import Service
from openecs.shapes import application_autoscaling as aas
from openecs.state.state import State
from openecs.wire.call import Call
from openecs.wire.pagination import Pagination

T = TypeVar("T")
PAGE_SIZE = 50


class Names(Protocol):
    """The members that name a scalable target."""

    @property
    def service_namespace(self) -> aas.ServiceNamespace: ...
    @property
    def resource_id(self) -> str: ...
    @property
    def scalable_dimension(self) -> aas.ScalableDimension: ...


class Filters(Protocol):
    """The members by which the describing operations choose."""

    @property
    def service_namespace(self) -> aas.ServiceNamespace: ...
    @property
    def scalable_dimension(self) -> aas.ScalableDimension | None: ...
    @property
    def max_results(self) -> int | None: ...
    @property
    def next_token(self) -> str | None: ...


def validation(message: str) -> AWSError:
    """A refusal of what was asked."""
    return AWSError("ValidationException", message)


def check_kind(namespace: aas.ServiceNamespace, dimension: aas.ScalableDimension | None) -> None:
    """Refuse everything that is not the desired count of a service."""
    if namespace != NAMESPACE:
        raise validation(f"OpenECS scales ECS services only; it has no resources of the namespace {namespace}.")
    if dimension not in (None, DIMENSION):
        raise validation("Unsupported service namespace, resource type or scalable dimension")


def service_of(state: State, call: Call, resource_id: str) -> Service:
    """The service that ``service/CLUSTER/SERVICE`` names."""
    parts = resource_id.split("/")
    if len(parts) != 3 or parts[0] != "service" or not all(parts):
        raise validation("Unsupported service namespace, resource type or scalable dimension")
    service = state.services.get(arns.ecs(call.region, call.account, resource_id))
    if service is None or service.status != "ACTIVE":
        raise validation(f"ECS service doesn't exist: {resource_id}")
    return service


def find_target(state: State, call: Call, names: Names) -> ScalableTarget:
    """The registered target that a request names."""
    check_kind(names.service_namespace, names.scalable_dimension)
    found = state.scalable_targets.get(target_key(call.region, names.resource_id))
    if found is None:
        raise AWSError(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: {names.service_namespace}, "
            f"resource ID: {names.resource_id}, scalable dimension: {names.scalable_dimension}",
        )
    return found


def page(
    pagination: Pagination,
    items: Sequence[T],
    filters: Filters,
    *,
    scope: str,
    key: Callable[[T], Any],
    descending: bool = False,
) -> tuple[Sequence[T], str | None]:
    """One page of ``items``, which are sorted by ``key``, and the token of the next one."""
    size = filters.max_results
    if size is not None and not 1 <= size <= PAGE_SIZE:
        raise validation(f"The value of MaxResults must be between 1 and {PAGE_SIZE}.")
    try:
        return pagination.paginate(
            items,
            max_results=size,
            next_token=filters.next_token,
            default=PAGE_SIZE,
            limit=PAGE_SIZE,
            scope=f"application-autoscaling:{scope}",
            key=key,
            descending=descending,
        )
    except AWSError as error:
        raise AWSError("InvalidNextTokenException", error.message) from None


def check_scope(filters: Filters, resource: object) -> None:
    """A dimension alone chooses nothing: the resource belongs to it."""
    check_kind(filters.service_namespace, filters.scalable_dimension)
    if filters.scalable_dimension is not None and not resource:
        raise validation("If you specify a scalable dimension, you must also specify a resource ID.")
