"""The form of task and execution roles: a role's name or its ARN."""

from __future__ import annotations

import re

from openecs.errors import client_error

_NAME = r"[\w+=,.@-]{1,64}"
_ROLE = re.compile(rf"(arn:aws[a-z-]*:iam::\d{{12}}:role/([\w+=,.@/-]{{1,512}}/)?)?{_NAME}", re.ASCII)


def check(field: str, role: str | None) -> None:
    """Refuse what cannot be a role; whether the role exists is not asked.

    Deploy tools send an empty string for no role, as AWS lets them.
    """
    if role and not _ROLE.fullmatch(role):
        raise client_error(f"Role is not valid: {field} must be the name or the ARN of an IAM role.")
