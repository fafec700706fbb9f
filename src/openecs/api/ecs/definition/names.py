"""The rules for families, containers, volumes and images: which characters, how long."""

from __future__ import annotations

import re

from openecs.errors import client_error

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_IMAGE = re.compile(r"[A-Za-z0-9_.:/#-]{1,255}(@sha256:[A-Fa-f0-9]{64})?")

#: Images in an Amazon ECR private registry: pulled with the execution role's rights.
ECR_IMAGE = re.compile(r"\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)/.+")


def check_family(family: str) -> None:
    """Up to 255 letters, digits, underscores and hyphens."""
    if not family:
        raise client_error("Family can not be blank.")
    if not _NAME.fullmatch(family):
        raise client_error("Family contains invalid characters.")


def check_container_names(names: list[str | None]) -> None:
    """Every container has a name by the same rule as families, and no two share one."""
    seen: set[str] = set()
    for name in names:
        if not name:
            raise client_error("Container.name should not be null or empty.")
        if not _NAME.fullmatch(name):
            raise client_error("Container.name contains invalid characters.")
        if name in seen:
            raise client_error(f"Container names must be unique: '{name}' is used more than once (name).")
        seen.add(name)


def check_image(image: str | None) -> None:
    """A reference that can be handed to the engine: ``repository[:tag][@sha256:digest]``."""
    if not image:
        raise client_error("Container.image should not be null or empty.")
    if not _IMAGE.fullmatch(image):
        raise client_error("Container.image contains invalid characters.")


def check_volume_names(names: list[str | None]) -> None:
    """Volumes are named like containers; no two share a name."""
    seen: set[str] = set()
    for name in names:
        if not name:
            raise client_error("Volume.name should not be null or empty.")
        if not _NAME.fullmatch(name):
            raise client_error("Volume.name contains invalid characters.")
        if name in seen:
            raise client_error(f"Volume names must be unique: '{name}' is used more than once (volumes).")
        seen.add(name)
