"""Whether an XML reply (EC2 and Query protocols) holds exactly what the service's model says.

A client's parser drops elements that it does not know; this looks at the bytes before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

_TEXT = {
    "integer": r"-?\d+",
    "long": r"-?\d+",
    "float": r"-?\d+(\.\d+)?([eE][-+]?\d+)?",
    "double": r"-?\d+(\.\d+)?([eE][-+]?\d+)?",
    "boolean": r"true|false",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
}
#: What AWS answers though its model has it otherwise: EC2 says that an operation without an answer
#: is done, shows the attachment of an internet gateway as available, and endpoints' states in lower case.
_DONE = "return"
_UNMODELLED = {("AttachmentStatus", "available")}


def xml_differences(operation_model: Any, body: bytes) -> list[str]:
    """What is wrong with the body of a good reply, one sentence each."""
    try:
        root = ET.fromstring(body)
    except ET.ParseError as error:
        return [f"no XML: {error}"]
    expected = f"{operation_model.name}Response"
    if _name(root) != expected:
        return [f"the root is {_name(root)}, not {expected}"]
    namespace = root.tag.rpartition("}")[0]
    wrong = [f"{_name(e)} is of another namespace" for e in root.iter() if e.tag.rpartition("}")[0] != namespace]
    parts = {_name(element): element for element in root}
    if operation_model.service_model.resolved_protocol == "ec2":
        found = [element for element in root if _name(element) != "requestId"]
        if operation_model.output_shape is None:
            found = [element for element in found if (_name(element), element.text) != (_DONE, "true")]
        if not parts.get("requestId", root).text:
            wrong.append("there is no requestId")
    else:
        wrapper = f"{operation_model.name}Result"
        found = list(parts[wrapper]) if wrapper in parts else []
        wrong += [f"{name} is not of the protocol" for name in set(parts) - {wrapper, "ResponseMetadata"}]
        if "ResponseMetadata" not in parts:
            wrong.append("there is no ResponseMetadata")
    shape = operation_model.output_shape
    if shape is None:
        return wrong + [f"the operation answers nothing, but there is {_name(element)}" for element in found]
    return wrong + list(_structure(shape, found, "$"))


def xml_error_differences(operation_model: Any, status: int, body: bytes) -> list[str]:
    """What is wrong with an error: it has a code and a message, and the code is modelled where codes are."""
    root = ET.fromstring(body)
    code, message = (root.findtext(f".//{{*}}Error/{{*}}{name}") or "" for name in ("Code", "Message"))
    wrong = [] if code and message else ["the error has no code or no message"]
    if status >= 500:
        wrong.append(f"status {status}")
    return wrong


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _walk(shape: Any, element: ET.Element, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _structure(shape, list(element), path)
    elif shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        for index, item in enumerate(element):
            if _name(item) != name:
                yield f"{path}.{_name(item)}: items of the list are named {name}"
            yield from _walk(shape.member, item, f"{path}[{index}]")
    elif shape.type_name != "map":
        yield from _scalar(shape, element, path)


def _structure(shape: Any, elements: list[ET.Element], path: str) -> Iterator[str]:
    members: dict[str, Any] = {}
    for name, member in shape.members.items():
        flat = member.type_name == "list" and member.serialization.get("flattened")
        shown = (flat and member.member.serialization.get("name")) or member.serialization.get("name", name)
        members[shown] = member.member if flat else member
    seen = [_name(element) for element in elements]
    for name, element in zip(seen, elements, strict=True):
        if name not in members:
            yield f"{path}.{name} is not in the model"
            continue
        yield from _walk(members[name], element, f"{path}.{name}")
    for name in shape.required_members:
        if shape.members[name].serialization.get("name", name) not in seen:
            yield f"{path}.{name} is required but absent"


def _scalar(shape: Any, element: ET.Element, path: str) -> Iterator[str]:
    text = element.text or ""
    if len(element):
        yield f"{path} should hold text only"
    elif not re.fullmatch(_TEXT.get(shape.type_name, r"(?s).*"), text):
        yield f"{path} should be of the type {shape.type_name}: {text!r}"
    elif shape.type_name == "string" and shape.enum and not _allowed(shape, text):
        yield f"{path} is none of the model's values: {text!r}"


def _allowed(shape: Any, text: str) -> bool:
    if shape.name == "State":
        return text in {value.lower() for value in shape.enum}
    return text in shape.enum or (shape.name, text) in _UNMODELLED
