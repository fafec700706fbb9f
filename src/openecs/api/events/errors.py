"""The errors of EventBridge, in its words."""

from __future__ import annotations

from openecs.errors import AWSError


def invalid(message: str) -> AWSError:
    """A value that the operation cannot take."""
    return AWSError("ValidationException", message)


def parameter(name: str, why: str) -> AWSError:
    """A parameter that is not valid."""
    return invalid(f"Parameter {name} is not valid. Reason: {why}")


def not_supported(what: str) -> AWSError:
    """A setting that OpenECS cannot honour; ``what`` names it."""
    return invalid(f"{what} is not supported by OpenECS.")


def invalid_pattern(why: str) -> AWSError:
    """An event pattern that is none."""
    return AWSError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {why}")


def bus_not_found(name: str) -> AWSError:
    """No bus of that name."""
    return not_found(f"Event bus {name} does not exist.")


def rule_not_found(name: str, bus: str) -> AWSError:
    """No rule of that name on the bus."""
    return not_found(f"Rule {name} does not exist on EventBus {bus}.")


def not_found(message: str) -> AWSError:
    """Something that the request names is not there."""
    return AWSError("ResourceNotFoundException", message)


def already_exists(message: str) -> AWSError:
    """The name is taken."""
    return AWSError("ResourceAlreadyExistsException", message)


def limit_exceeded(message: str = "The requested resource exceeds the maximum number allowed.") -> AWSError:
    """A quota is used up."""
    return AWSError("LimitExceededException", message)
