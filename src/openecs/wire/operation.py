"""What the wire knows about an operation and a service: names, shapes and protocol facts.

The instances are generated (``wire/generated``); this module only says what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openecs.shapes.base import Shape
from openecs.wire.xml_names import QUERY_NAMES, Names


@dataclass(frozen=True, slots=True)
class Operation:
    """One served API operation."""

    service: str
    name: str
    input: type[Shape] | None
    output: type[Shape] | None
    #: Shape names of the errors that the model lists for it.
    errors: tuple[str, ...]
    method: str
    uri: str
    #: Element around the result in Query replies (``GetCallerIdentityResult``).
    result_wrapper: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """One AWS service as clients see it on the wire."""

    name: str
    api_version: str
    #: Protocols in the model's own order: ``json``, ``query``, ``ec2``, ``rest-json`` ….
    protocols: tuple[str, ...]
    signing_name: str
    target_prefix: str | None
    json_version: str | None
    xml_namespace: str | None
    #: Names of all operations of the model, served or not.
    all_operations: frozenset[str]
    operations: dict[str, Operation] = field(repr=False)
    #: Exception shape → (error code on the wire, HTTP status).
    error_codes: dict[str, tuple[str, int]] = field(repr=False)
    #: How the service spells its members in XML, where its protocol has a spelling of its own.
    names: Names = field(default=QUERY_NAMES, repr=False)
    #: The member of the service's errors that holds their text.
    message_member: str = "message"
