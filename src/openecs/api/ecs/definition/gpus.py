"""GPUs in ``resourceRequirements``: whole ones, counted.  What else may stand there is refused (``support``)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from openecs.errors import not_supported
from openecs.shapes import ecs

_COUNT = re.compile(r"[1-9][0-9]{0,5}")


def problem(requirements: Iterable[ecs.ResourceRequirement]) -> str | None:
    """What is wrong with a container's requirements, in a sentence; ``None`` when nothing is."""
    seen = set()
    for requirement in requirements:
        if requirement.type in seen:
            return f"Resource type {requirement.type} is given more than once."
        seen.add(requirement.type)
        if not _COUNT.fullmatch(requirement.value or ""):
            return f"The value for {requirement.type} must be a positive integer, not '{requirement.value or ''}'."
    return None


def refuse_unsupported(path: str, requirements: Iterable[ecs.ResourceRequirement]) -> None:
    """Refuse in an override what is refused in a definition; ``path`` leads to the requirements."""
    for index, requirement in enumerate(requirements):
        here = f"{path}[{index}]"
        if requirement.type != "GPU":
            raise not_supported(f"{here}.type {requirement.type}")
        if requirement.value == "ALL":
            raise not_supported(f"{here}.value ALL")
        if requirement.sharing_strategy is not None:
            raise not_supported(f"{here}.sharingStrategy")
