"""Log drivers and the options that each requires and knows."""

from __future__ import annotations

from collections.abc import Mapping

from openecs.api.ecs.definition.refusals import invalid_field
from openecs.errors import client_error
from openecs.shapes import ecs

_DELIVERY = frozenset({"mode", "max-buffer-size"})
_ATTRIBUTES = frozenset({"tag", "labels", "labels-regex", "env", "env-regex"})

#: Driver → the options it knows; what it does not know an engine refuses at the start.
OPTIONS: Mapping[str, frozenset[str]] = {
    "awslogs": frozenset(
        {
            "awslogs-create-group",
            "awslogs-region",
            "awslogs-group",
            "awslogs-stream-prefix",
            "awslogs-datetime-format",
            "awslogs-multiline-pattern",
        }
    )
    | _DELIVERY,
    "json-file": frozenset({"max-size", "max-file", "compress"}) | _ATTRIBUTES | _DELIVERY,
    "local": frozenset({"max-size", "max-file", "compress"}) | _DELIVERY,
    "none": frozenset(),
    "syslog": frozenset(
        {
            "syslog-address",
            "syslog-facility",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
            "syslog-format",
        }
    )
    | _ATTRIBUTES
    | _DELIVERY,
    "journald": _ATTRIBUTES | _DELIVERY,
    "gelf": frozenset(
        {
            "gelf-address",
            "gelf-compression-type",
            "gelf-compression-level",
            "gelf-tcp-max-reconnect",
            "gelf-tcp-reconnect-delay",
        }
    )
    | _ATTRIBUTES
    | _DELIVERY,
    "fluentd": frozenset(
        {
            "fluentd-address",
            "fluentd-async",
            "fluentd-async-reconnect-interval",
            "fluentd-buffer-limit",
            "fluentd-retry-wait",
            "fluentd-max-retries",
            "fluentd-sub-second-precision",
            "fluentd-request-ack",
            "fluentd-write-timeout",
        }
    )
    | _ATTRIBUTES
    | _DELIVERY,
}

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "awslogs": ("awslogs-region", "awslogs-group"),
    "gelf": ("gelf-address",),
}
#: How engines read an option that is yes or no.
_FLAG_VALUES = frozenset({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"})


def check(container: ecs.ContainerDefinition) -> None:
    """The options are those of the driver, and the required ones are there.

    Drivers that are not supported at all are refused before (``support``).
    """
    log = container.log_configuration
    if log is None:
        return
    options = log.options or {}
    if log.log_driver == "awsfirelens":
        # The options are those of the router's output.
        return
    require(log, _REQUIRED.get(log.log_driver, ()))
    if unknown := sorted(options.keys() - OPTIONS.get(log.log_driver, frozenset())):
        raise client_error(f"Log driver {log.log_driver} disallows options: {', '.join(unknown)}")
    name = container.name or ""
    if options.get("awslogs-create-group", "true") not in _FLAG_VALUES:
        raise invalid_field("awslogs-create-group", name, "It must be 'true' or 'false'.")
    if options.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise invalid_field("mode", name, "It must be 'blocking' or 'non-blocking'.")
    if "max-buffer-size" in options and options.get("mode") != "non-blocking":
        raise invalid_field("max-buffer-size", name, "It requires the mode 'non-blocking'.")
    if "awslogs-datetime-format" in options and "awslogs-multiline-pattern" in options:
        raise invalid_field("awslogs-multiline-pattern", name, "It cannot be used with awslogs-datetime-format.")


def require(log: ecs.LogConfiguration, options: tuple[str, ...]) -> None:
    """Refuse a configuration that leaves out any of ``options``."""
    if missing := [option for option in options if not (log.options or {}).get(option)]:
        raise client_error(f"Log driver {log.log_driver} requires options: {', '.join(missing)}")
