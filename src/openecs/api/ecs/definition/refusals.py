"""The sentences in which ECS refuses a container's setting; used by every check."""

from __future__ import annotations

from openecs.errors import AWSError, client_error


def invalid_field(field: str, container: str, why: str = "") -> AWSError:
    """``Invalid 'hostPort' setting for container 'web'.`` and why, as a second sentence."""
    return client_error(f"Invalid '{field}' setting for container '{container}'.{_sentence(why)}")


def invalid_setting(container: str, why: str) -> AWSError:
    """``Invalid setting for container 'web'.`` and why; ``why`` names the field."""
    return client_error(f"Invalid setting for container '{container}'.{_sentence(why)}")


def not_in_mode(field: str, mode: str) -> AWSError:
    """A container's setting that its task's network mode rules out."""
    return client_error(f"{field} is not supported on container when networkMode={mode}.")


def _sentence(text: str) -> str:
    return f" {text}" if text else ""
