"""What the wire knows about an operation and a service: names, shapes and protocol facts.

The instances are generated (``wire/generated``); this module only says what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openecs.shapes.base import Shape
from openecs.wire.xml_names import QUERY_NAMES, Names


@dataclass(frozen=True, slots=True)
class Bindings:
    """Where REST requests have the members of an operation's input that are not in the body."""

    #: Label of the path template → member.
    labels: dict[str, str] = field(default_factory=dict)
    #: Parameter of the query → member.
    query: dict[str, str] = field(default_factory=dict)
    #: Header, in small letters → member.
    headers: dict[str, str] = field(default_factory=dict)
    #: The member that is the whole body.
    payload: str | None = None
    #: HTTP status of a reply that is no error.
    status: int = 200


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
    #: Only operations of REST protocols have them.
    bindings: Bindings | None = None


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
    #: The member of the service's errors that holds their text, and the errors that spell it otherwise.
    message_member: str = "message"
    message_members: dict[str, str] = field(default_factory=dict, repr=False)
    #: Whether replies in other protocols carry the code that the Query protocol has for an error.
    query_compatible: bool = False

    def error_names(self, operation: str, code: str) -> tuple[str, str]:
        """The shape of an error and its code in the Query protocol, of either of them.

        Several shapes may have one code: the operation's own counts.
        """
        if code in self.error_codes:
            return code, self.error_codes[code][0]
        listed = self.operations[operation].errors if operation in self.operations else ()
        for shape in (*listed, *self.error_codes):
            if self.error_codes.get(shape, ("",))[0] == code:
                return shape, code
        return code, code
