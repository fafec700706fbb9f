"""Whether a reply holds exactly what the service's model says: no more, and never null.

The check is made on the bytes of the reply, before a client's parser drops what it does not
know.  ``watch`` hangs it into a botocore event system, so every call of a client, and of the
AWS CLI when it runs in this process, is checked.
"""

from __future__ import annotations

import json
import math
from typing import Any

from xml_reply_check import xml_differences, xml_error_differences

#: JSON types by shape type; ``bool`` is checked first because it is an ``int`` in Python.
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "boolean": (bool,),
}


class WrongReplyError(AssertionError):
    """A reply that is not of its model's shape; not a botocore error, so no client hides it."""


def watch(events: Any) -> None:
    """Check every JSON and XML reply that passes through a botocore event emitter."""
    events.register("before-parse", _before_parse)


def _before_parse(operation_model: Any, response_dict: dict[str, Any], **_: object) -> None:
    protocol = operation_model.service_model.resolved_protocol
    streams = operation_model.has_streaming_output or operation_model.has_event_stream_output
    if protocol not in ("json", "ec2", "query") or streams:
        return
    body = response_dict["body"]
    wrong: list[str]
    if protocol != "json":
        if response_dict["status_code"] >= 300:
            wrong = xml_error_differences(operation_model, response_dict["status_code"], body)
        else:
            wrong = xml_differences(operation_model, body)
    elif response_dict["status_code"] >= 300:
        wrong = error_differences(operation_model, response_dict["status_code"], body)
    else:
        wrong = reply_differences(operation_model, body)
    if wrong:
        raise WrongReplyError(f"{operation_model.name}: {'; '.join(wrong)}\n{body.decode(errors='replace')[:4000]}")


def reply_differences(operation_model: Any, body: bytes) -> list[str]:
    """What is wrong with the body of a good reply, one sentence each."""
    shape = operation_model.output_shape
    if shape is None:
        return [] if body in (b"", b"{}") else [f"the operation answers nothing, but there is {body[:80]!r}"]
    try:
        data = json.loads(body)
    except ValueError as error:
        return [f"no JSON: {error}"]
    return list(_walk(shape, data, "$"))


def error_differences(operation_model: Any, status: int, body: bytes) -> list[str]:
    """What is wrong with an error: its code must be modelled, or one that every service has."""
    data = json.loads(body)
    code = data.get("__type", "")
    modelled = {shape.name: shape for shape in operation_model.service_model.error_shapes}
    wrong = [] if data.get("message") else ["the error has no message"]
    if code in modelled:
        extra = set(data) - {"__type", "message"} - set(modelled[code].members)
        if extra:
            wrong.append(f"{code} has members that the model does not have: {sorted(extra)}")
    elif code not in COMMON_ERRORS:
        wrong.append(f"the code {code!r} is neither modelled nor common to all services")
    if status >= 500:
        wrong.append(f"status {status}")
    return wrong


#: Codes that AWS's front end gives whatever the service models, and OpenECS's own for an
#: operation that the model has and OpenECS has not yet.
COMMON_ERRORS = frozenset(
    {
        "AccessDeniedException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SerializationException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "UnsupportedOperationException",
        "ValidationException",
    }
)


def _walk(shape: Any, value: Any, path: str) -> Any:
    if value is None:
        yield f"{path} is null"
    elif shape.type_name == "structure":
        yield from _structure(shape, value, path)
    elif shape.type_name == "list":
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for index, item in enumerate(value):
            yield from _walk(shape.member, item, f"{path}[{index}]")
    elif shape.type_name == "map":
        if not isinstance(value, dict):
            yield f"{path} is no map"
            return
        for key, item in value.items():
            yield from _walk(shape.value, item, f"{path}.{key}")
    else:
        yield from _scalar(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    for name, item in value.items():
        if name in members:
            yield from _walk(members[name], item, f"{path}.{name}")
        else:
            yield f"{path}.{name} is not in the model"
    for name in shape.required_members:
        if name not in value:
            yield f"{path}.{name} is required but absent"


def _scalar(shape: Any, value: Any, path: str) -> Any:
    kinds = _SCALARS[shape.type_name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{path} should be of the type {shape.type_name}: {value!r}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is not finite"
    elif isinstance(value, str) and shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{path} is none of the model's values: {value!r}"
