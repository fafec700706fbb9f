"""Names of load balancers and target groups."""

from __future__ import annotations

import re

from openecs.api.elbv2.errors import validation_error

LONGEST = 32


def check_name(what: str, name: str) -> None:
    """Raise for a name that AWS does not take; ``what``: ``load balancer`` or ``target group``."""
    shown = what.capitalize()
    if not name:
        raise validation_error(f"{shown} name cannot be empty")
    if len(name) > LONGEST:
        raise validation_error(f"{shown} name '{name}' cannot be longer than '{LONGEST}' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise validation_error(
            f"{shown} name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)"
        )
    if name.startswith("-") or name.endswith("-"):
        raise validation_error(f"{shown} name '{name}' cannot begin or end with '-'")
    if what == "load balancer" and name.startswith("internal-"):
        raise validation_error(f"{shown} name '{name}' cannot begin with 'internal-'")
