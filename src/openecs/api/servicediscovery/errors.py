"""The refusals of Cloud Map, with the codes of its model."""

from __future__ import annotations

from openecs.errors import AWSError
from openecs.model.discovery import DiscoveryService, Namespace


def invalid_input(message: str) -> AWSError:
    """A member that is missing, malformed or does not fit the others."""
    return AWSError("InvalidInput", message)


def not_supported(what: str) -> AWSError:
    """A setting that OpenECS cannot honour."""
    return invalid_input(f"{what} is not supported by OpenECS.")


def namespace_not_found(namespace_id: str) -> AWSError:
    """No namespace of this region has that id."""
    return AWSError("NamespaceNotFound", f"No namespace found with ID [{namespace_id}]")


def service_not_found(service_id: str) -> AWSError:
    """No service of this region has that id."""
    return AWSError("ServiceNotFound", f"No service found with ID [{service_id}]")


def instance_not_found(service_id: str, instance_id: str) -> AWSError:
    """The service has no such instance."""
    return AWSError("InstanceNotFound", f"No instance found with ID [{instance_id}] and service ID [{service_id}]")


def operation_not_found(operation_id: str) -> AWSError:
    """No operation has that id, or it is forgotten."""
    return AWSError("OperationNotFound", f"No operation found with ID [{operation_id}]")


def resource_not_found(arn: str) -> AWSError:
    """The tagging operations' word for an ARN of nothing."""
    return AWSError("ResourceNotFoundException", f"Resource not found: {arn}")


def custom_health_not_found(service_id: str) -> AWSError:
    """The service has no custom health check."""
    return AWSError("CustomHealthNotFound", f"The service {service_id} has no custom health check configuration")


def namespace_exists(existing: Namespace) -> AWSError:
    """The name is taken."""
    return AWSError(
        "NamespaceAlreadyExists",
        f"Namespace with name {existing.name} already exists",
        members={"CreatorRequestId": existing.creator_request_id, "NamespaceId": existing.id},
    )


def service_exists(existing: DiscoveryService) -> AWSError:
    """The name is taken in its namespace."""
    return AWSError(
        "ServiceAlreadyExists",
        f"Service with name {existing.name} already exists in the namespace {existing.namespace_id}",
        members={
            "CreatorRequestId": existing.creator_request_id,
            "ServiceId": existing.id,
            "ServiceArn": existing.arn,
        },
    )


def in_use(message: str) -> AWSError:
    """Something still depends on it."""
    return AWSError("ResourceInUse", message)
