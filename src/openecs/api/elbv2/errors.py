"""The refusals of Elastic Load Balancing, by AWS's codes and in its words."""

from __future__ import annotations

from openecs.errors import AWSError


def validation_error(message: str) -> AWSError:
    """A parameter that AWS does not take."""
    return AWSError("ValidationError", message)


def invalid_configuration(message: str) -> AWSError:
    """Settings that contradict each other or the resource."""
    return AWSError("InvalidConfigurationRequest", message)


def not_supported(what: str) -> AWSError:
    """Something of AWS's that this installation cannot do; ``what`` begins the sentence."""
    return AWSError("InvalidConfigurationRequest", f"{what} not supported by OpenECS.")


def not_permitted(message: str) -> AWSError:
    """What may not be done to this resource."""
    return AWSError("OperationNotPermitted", message)


def in_use(message: str) -> AWSError:
    """Something else still needs the resource."""
    return AWSError("ResourceInUse", message)


def load_balancer_not_found(name: str | None = None) -> AWSError:
    """Asked for by ARN, or by ``name``."""
    words = "One or more load balancers not found" if name is None else f"Load balancers '[{name}]' not found"
    return AWSError("LoadBalancerNotFound", words)


def target_group_not_found() -> AWSError:
    """A target group that is not there."""
    return AWSError("TargetGroupNotFound", "One or more target groups not found")


def listener_not_found() -> AWSError:
    """A listener that is not there."""
    return AWSError("ListenerNotFound", "One or more listeners not found")


def rule_not_found() -> AWSError:
    """A rule that is not there."""
    return AWSError("RuleNotFound", "One or more rules not found")


def certificate_not_found(arn: str) -> AWSError:
    """A certificate that was not imported."""
    return AWSError("CertificateNotFound", f"Certificate '{arn}' not found")


def subnet_not_found(subnet_id: str) -> AWSError:
    """A subnet that is not there."""
    return AWSError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")


def too_many(what: str, limit: int, noun: str) -> AWSError:
    """``TooManyListeners`` and the like; ``noun``: what there are too many of."""
    return AWSError(what, f"The maximum number of {noun} has been reached: {limit}")
