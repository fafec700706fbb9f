"""Attributes of container instances that users put, list and delete."""

from __future__ import annotations

import re

import msgspec

from openecs.api.ecs import lookup
from openecs.api.ecs.registered_resources import RESERVED_PREFIXES
from openecs.errors import AWSError, invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

NAME = re.compile(r"[A-Za-z0-9_./\\-]{1,128}")
VALUE = re.compile(r"(?! )[A-Za-z0-9_.@:/\\ -]{1,128}(?<! )")
MAX_GIVEN = 10
#: Custom attributes that one instance may have.
MAX_CUSTOM = 10


class Attributes:
    """The operations on attributes.  The only target type is ``container-instance``."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        return {
            "PutAttributes": self.put_attributes,
            "DeleteAttributes": self.delete_attributes,
            "ListAttributes": self.list_attributes,
        }

    def put_attributes(self, call: Call, request: ecs.PutAttributesRequest) -> ecs.PutAttributesResponse:
        """Set up to 10 attributes; one of the same name gets the new value."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        targets = self._targets(cluster, request.attributes)
        changed: dict[str, ContainerInstance] = {}
        for attribute, target in zip(request.attributes, targets, strict=True):
            if attribute.value is not None and not VALUE.fullmatch(attribute.value):
                raise invalid_parameter(f"Invalid attribute value: '{attribute.value}'")
            instance = changed.get(target.arn, target)
            by_name = {a.name: a for a in instance.attributes}
            by_name[attribute.name] = ecs.Attribute(name=attribute.name, value=attribute.value)
            if sum(_custom(name) for name in by_name) > MAX_CUSTOM:
                raise AWSError(
                    "AttributeLimitExceededException",
                    f"You can specify up to {MAX_CUSTOM} custom attributes for a single resource.",
                )
            changed[target.arn] = msgspec.structs.replace(instance, attributes=tuple(by_name.values()))
        self._write(changed)
        return ecs.PutAttributesResponse(
            attributes=tuple(
                ecs.Attribute(name=a.name, value=a.value, target_id=t.arn)
                for a, t in zip(request.attributes, targets, strict=True)
            )
        )

    def delete_attributes(self, call: Call, request: ecs.DeleteAttributesRequest) -> ecs.DeleteAttributesResponse:
        """Remove up to 10 attributes; a given value must be the present one.

        Answers with what was removed; an attribute that is not there is left out.
        """
        cluster = lookup.cluster(self._state, call, request.cluster)
        targets = self._targets(cluster, request.attributes)
        changed: dict[str, ContainerInstance] = {}
        deleted: list[ecs.Attribute] = []
        for attribute, target in zip(request.attributes, targets, strict=True):
            instance = changed.get(target.arn, target)
            present = next((a for a in instance.attributes if a.name == attribute.name), None)
            if present is None or attribute.value not in (None, present.value):
                continue
            rest = tuple(a for a in instance.attributes if a is not present)
            changed[target.arn] = msgspec.structs.replace(instance, attributes=rest)
            deleted.append(ecs.Attribute(name=present.name, value=present.value, target_id=target.arn))
        self._write(changed)
        return ecs.DeleteAttributesResponse(attributes=tuple(deleted))

    def list_attributes(self, call: Call, request: ecs.ListAttributesRequest) -> ecs.ListAttributesResponse:
        """Attributes of the cluster's instances, those of agents and of the service included."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        name, value = request.attribute_name, request.attribute_value
        if value is not None and not name:
            raise invalid_parameter("attributeName must be specified when attributeValue is.")
        found = [
            ecs.Attribute(name=a.name, value=a.value, target_id=instance.arn)
            for instance in self._state.container_instances.by("cluster", cluster.arn)
            if instance.status != "INACTIVE"
            for a in instance.attributes
            if (not name or a.name == name) and (value is None or a.value == value)
        ]
        found.sort(key=_place)
        page, token = self._pagination.paginate(
            found,
            max_results=request.max_results,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=f"ListAttributes:{cluster.arn}:{name}:{value}",
            key=_place,
        )
        return ecs.ListAttributesResponse(attributes=tuple(page), next_token=token)

    def _targets(self, cluster: Cluster, attributes: tuple[ecs.Attribute, ...]) -> list[ContainerInstance]:
        """The instance of each attribute, after checking names and numbers."""
        if not attributes:
            raise invalid_parameter("Attributes cannot be empty.")
        if len(attributes) > MAX_GIVEN:
            raise invalid_parameter(f"Attributes can have at most {MAX_GIVEN} items.")
        targets = []
        for attribute in attributes:
            if not NAME.fullmatch(attribute.name):
                raise invalid_parameter(f"Invalid attribute name: '{attribute.name}'")
            if not _custom(attribute.name):
                raise invalid_parameter(f"Attribute '{attribute.name}' is set by the container agent or by Amazon ECS.")
            if not attribute.target_id:
                raise invalid_parameter(f"Attribute '{attribute.name}' must have a targetId.")
            found = lookup.container_instance(self._state, cluster, attribute.target_id)
            if found is None or found.status == "INACTIVE":
                raise AWSError(
                    "TargetNotFoundException", f"The container instance {attribute.target_id} was not found."
                )
            targets.append(found)
        return targets

    def _write(self, changed: dict[str, ContainerInstance]) -> None:
        with self._state.transaction() as tx:
            for instance in changed.values():
                tx.put(msgspec.structs.replace(instance, version=instance.version + 1))


def _custom(name: str) -> bool:
    return not name.startswith(RESERVED_PREFIXES)


def _place(attribute: ecs.Attribute) -> tuple[str, str]:
    return attribute.target_id or "", attribute.name
