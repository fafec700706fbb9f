"""What RegisterContainerInstance says of a host's capacity and identity: read and checked.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from openecs.errors import AWSError, invalid_parameter, not_supported
from openecs.model import network_text
from openecs.model.cluster import NAME as CLUSTER_NAME
from openecs.model.resources import Resources
from openecs.shapes import ecs

MAX_AMOUNT = 2**31 - 1
MAX_RESERVED_PORTS = 100
#: Attributes by which OpenECS's own agent says more than AWS's protocol has a place for.
NODE_ID, FARGATE, LEND_TO = "openecs.node-id", "openecs.fargate", "openecs.lend-to"
#: Names that agents and the service give; nobody may put or delete such attributes.
RESERVED_PREFIXES = ("ecs.", "com.amazonaws.", "openecs.")
MAX_NAME = MAX_VALUE = 128
MAX_LENT = 100
MAX_GPUS = 1000
_GPU = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,128}", re.ASCII)
_NODE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


class Identity(msgspec.Struct, frozen=True, rename="camel"):
    """The members that count of an EC2 instance identity document."""

    instance_id: str | None = None
    instance_type: str | None = None
    availability_zone: str | None = None
    image_id: str | None = None


class Capacity(msgspec.Struct, frozen=True):
    """A host's resources as its agent registered them."""

    total: Resources
    reserved_ports: tuple[int, ...]
    reserved_ports_udp: tuple[int, ...]
    #: Ids of its GPUs.
    gpus: tuple[str, ...]


def capacity(request: ecs.RegisterContainerInstanceRequest) -> Capacity:
    """The registered amounts; ``InvalidParameterException`` for what cannot be."""
    by_name: dict[str, ecs.Resource] = {}
    for resource in request.total_resources or ():
        if not resource.name or resource.name in by_name:
            raise invalid_parameter(f"Resource names must be given and different: {resource.name or ''}")
        by_name[resource.name] = resource
    gpus = _gpus(request.platform_devices or ())
    return Capacity(
        total=Resources(cpu=_amount(by_name, "CPU"), memory=_amount(by_name, "MEMORY"), gpus=len(gpus)),
        reserved_ports=_ports(by_name, "PORTS"),
        reserved_ports_udp=_ports(by_name, "PORTS_UDP"),
        gpus=gpus,
    )


def identity(document: str | None) -> Identity:
    """What the identity document says; nothing when there is none.

    Its signature is not checked: the caller is known by its own key, and nothing is granted
    for what the document says.
    """
    if not document:
        return Identity()
    try:
        return msgspec.json.decode(document, type=Identity)
    except (msgspec.DecodeError, UnicodeError):
        raise invalid_parameter("The instance identity document could not be read.") from None


def attributes(given: Iterable[ecs.Attribute]) -> dict[str, str | None]:
    """The agent's attributes by name, in their order."""
    by_name: dict[str, str | None] = {}
    for attribute in given:
        if not attribute.name or len(attribute.name) > MAX_NAME:
            raise invalid_parameter(f"Attribute names must have between 1 and {MAX_NAME} characters.")
        if attribute.name in by_name:
            raise invalid_parameter(f"Duplicate attribute: {attribute.name}")
        if len(attribute.value or "") > MAX_VALUE and not attribute.name.startswith("openecs."):
            raise invalid_parameter(f"Attribute values can have at most {MAX_VALUE} characters: {attribute.name}")
        by_name[attribute.name] = attribute.value
    return by_name


def node_id(named: Mapping[str, str | None]) -> str | None:
    """What our own agent calls its host; ``None`` when the agent is another one."""
    if NODE_ID not in named:
        return None
    given = named[NODE_ID] or ""
    if not _NODE_ID.fullmatch(given):
        raise invalid_parameter(
            f"Attribute {NODE_ID} must have between 1 and 128 letters, numbers, periods, colons, hyphens and "
            "underscores."
        )
    return given


def lent_to(named: Mapping[str, str | None]) -> tuple[str, ...]:
    """Names of the clusters to which our own agent lends its host, each once."""
    parts = (part.strip() for part in (named.get(LEND_TO) or "").split(","))
    names = tuple(dict.fromkeys(part for part in parts if part))
    if len(names) > MAX_LENT:
        raise invalid_parameter(f"Attribute {LEND_TO} can name at most {MAX_LENT} clusters.")
    for name in names:
        if not CLUSTER_NAME.fullmatch(name):
            raise invalid_parameter(f"Attribute {LEND_TO} names '{name[:255]}', which cannot be a cluster.")
    return names


def _amount(by_name: dict[str, ecs.Resource], name: str) -> int:
    resource = by_name.get(name)
    value = resource.integer_value if resource else None
    if value is None:
        raise invalid_parameter(f"Resource {name} must be given with an integerValue.")
    if not 0 <= value <= MAX_AMOUNT:
        raise invalid_parameter(f"Resource {name} is out of range: {value}")
    return value


def _ports(by_name: dict[str, ecs.Resource], name: str) -> tuple[int, ...]:
    resource = by_name.get(name)
    texts = resource.string_set_value if resource else None
    ports: dict[int, None] = {}
    for text in texts or ():
        port = network_text.port(text)
        if port is None:
            raise invalid_parameter(f"Resource {name} holds '{text}', which is no port.")
        ports[port] = None
    if len(ports) > MAX_RESERVED_PORTS:
        raise invalid_parameter(f"Resource {name} can hold at most {MAX_RESERVED_PORTS} ports.")
    return tuple(ports)


def _gpus(devices: Iterable[ecs.PlatformDevice]) -> tuple[str, ...]:
    """Ids of the registered GPUs.  Engines take them in a list with commas, so none may have one."""
    ids: dict[str, None] = {}
    for device in devices:
        if device.type != "GPU":
            raise not_supported(f"platformDevices type {device.type}")
        if not _GPU.fullmatch(device.id):
            raise invalid_parameter(
                "The id of a platform device must have between 1 and 128 printable ASCII characters, no space or comma."
            )
        if device.id in ids:
            raise invalid_parameter(f"Duplicate platform device: {device.id}")
        ids[device.id] = None
    if len(ids) > MAX_GPUS:
        raise invalid_parameter(f"A container instance can have at most {MAX_GPUS} platform devices.")
    return tuple(ids)


def instance_type_changed() -> AWSError:
    """The refusal of a re-registration from another type of machine; agents know the text."""
    return AWSError("ClientException", "Container instance type changes are not supported.")
