"""Which fields of RegisterTaskDefinition OpenECS honours, and which it refuses.

The one table from which requests are refused and ``docs/compatibility.md`` is written.  A
field that is refused is refused with its whole subtree.  Empty lists, ``false`` and absent
members ask for nothing and are always accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openecs.api.ecs.definition import paths
from openecs.errors import not_supported
from openecs.shapes import ecs


@dataclass(frozen=True, slots=True)
class Field:
    """One field by its wire path, and what of it is refused."""

    path: str
    #: Whether a given value is refused; ``None`` when every valid value is honoured.
    refuses: Callable[[Any], bool] | None = None
    #: What a reader of the table should know.
    note: str = ""
    #: Whether nothing of the field is honoured.
    entirely: bool = False


def _honoured(*fields: str, note: str = "") -> tuple[Field, ...]:
    return tuple(Field(field, note=note) for field in fields)


def _refused(*fields: str, note: str) -> tuple[Field, ...]:
    return tuple(Field(field, _asks, note, entirely=True) for field in fields)


def _values_refused(field: str, values: frozenset[str], note: str) -> tuple[Field, ...]:
    return (Field(field, lambda value: value in values, note),)


def _asks(value: Any) -> bool:
    return value is not False and value not in ((), "", {})


_WINDOWS = frozenset(
    f"WINDOWS_SERVER_{edition}"
    for edition in (
        "2016_FULL",
        "2019_FULL",
        "2019_CORE",
        "2004_CORE",
        "20H2_CORE",
        "2022_FULL",
        "2022_CORE",
        "2025_FULL",
        "2025_CORE",
    )
)

_TASK: tuple[Field, ...] = (
    *_honoured("family", "cpu", "memory", "tags", "taskRoleArn", "executionRoleArn", "networkMode"),
    *_values_refused("requiresCompatibilities[]", frozenset({"MANAGED_INSTANCES"}), "EC2, FARGATE and EXTERNAL"),
    *_values_refused("pidMode", frozenset({"task"}), "host is honoured, task is refused"),
    *_values_refused("ipcMode", frozenset({"task"}), "host and none are honoured, task is refused"),
    *_honoured("placementConstraints[].type", "placementConstraints[].expression"),
    *_honoured("runtimePlatform.cpuArchitecture"),
    *_values_refused("runtimePlatform.operatingSystemFamily", _WINDOWS, "LINUX is honoured, Windows is refused"),
    *_refused("ephemeralStorage", note="a size can neither be reserved nor limited on every host's file system"),
    *_refused("proxyConfiguration", note="App Mesh"),
    *_refused("inferenceAccelerators", note="Elastic Inference no longer exists"),
    *_refused("enableFaultInjection", note="false is accepted"),
    *_refused("trustedExecutionConfiguration", note="Managed Instances only"),
)

_VOLUMES: tuple[Field, ...] = (
    *_honoured("volumes[].name", "volumes[].host.sourcePath"),
    *_honoured(
        "volumes[].dockerVolumeConfiguration.scope",
        "volumes[].dockerVolumeConfiguration.autoprovision",
        "volumes[].dockerVolumeConfiguration.driver",
        "volumes[].dockerVolumeConfiguration.driverOpts",
        "volumes[].dockerVolumeConfiguration.labels",
    ),
    *_refused(
        "volumes[].efsVolumeConfiguration",
        "volumes[].s3filesVolumeConfiguration",
        "volumes[].fsxWindowsFileServerVolumeConfiguration",
        note="use a bind mount of a file system that the host has mounted",
    ),
    *_refused("volumes[].configuredAtLaunch", note="EBS volumes; false is accepted"),
)

_CONTAINER: tuple[Field, ...] = (
    *_honoured("name", "image", "cpu", "memory", "memoryReservation", "essential", "entryPoint", "command"),
    *_honoured("environment[].name", "environment[].value"),
    *_honoured("links[]", note="network mode bridge"),
    *_honoured(
        "portMappings[].containerPort",
        "portMappings[].hostPort",
        "portMappings[].protocol",
        "portMappings[].containerPortRange",
    ),
    *_honoured("portMappings[].name", note="a name for other settings to refer to; it changes nothing by itself"),
    *_honoured("portMappings[].appProtocol", note="for Service Connect"),
    *_honoured("restartPolicy.enabled", "restartPolicy.ignoredExitCodes", "restartPolicy.restartAttemptPeriod"),
    *_honoured("mountPoints[].sourceVolume", "mountPoints[].containerPath", "mountPoints[].readOnly"),
    *_honoured("volumesFrom[].sourceContainer", "volumesFrom[].readOnly"),
    *_honoured("dependsOn[].containerName", "dependsOn[].condition", "startTimeout", "stopTimeout"),
    *_honoured("versionConsistency"),
    *_honoured("hostname", "user", "workingDirectory", "disableNetworking", "privileged"),
    *_honoured("readonlyRootFilesystem", "dnsServers", "dnsSearchDomains"),
    *_honoured("extraHosts[].hostname", "extraHosts[].ipAddress"),
    *_honoured("dockerSecurityOptions", "interactive", "pseudoTerminal", "dockerLabels"),
    *_honoured("ulimits[].name", "ulimits[].softLimit", "ulimits[].hardLimit"),
    *_honoured(
        "healthCheck.command",
        "healthCheck.interval",
        "healthCheck.timeout",
        "healthCheck.retries",
        "healthCheck.startPeriod",
    ),
    *_honoured("systemControls[].namespace", "systemControls[].value"),
    *_honoured("linuxParameters.capabilities.add", "linuxParameters.capabilities.drop"),
    *_honoured(
        "linuxParameters.devices[].hostPath",
        "linuxParameters.devices[].containerPath",
        "linuxParameters.devices[].permissions",
        "linuxParameters.initProcessEnabled",
        "linuxParameters.sharedMemorySize",
        "linuxParameters.tmpfs[].containerPath",
        "linuxParameters.tmpfs[].size",
        "linuxParameters.tmpfs[].mountOptions",
    ),
    *_honoured("linuxParameters.maxSwap", note="requires memory on the container"),
    *_honoured("linuxParameters.swappiness", note="requires maxSwap; hosts with cgroup v2 have no such setting"),
    *_values_refused(
        "logConfiguration.logDriver",
        frozenset({"splunk"}),
        "awslogs, awsfirelens, json-file, syslog, journald, gelf and fluentd are honoured; splunk is refused",
    ),
    *_honoured("logConfiguration.options"),
    *_refused("logConfiguration.secretOptions", "secrets", note="no secret store yet"),
    *_refused("environmentFiles", note="no object store; use environment"),
    *_refused("repositoryCredentials", note="no secret store yet; log the host's engine in to the registry"),
    *_values_refused(
        "resourceRequirements[].type",
        frozenset({"InferenceAccelerator", "NeuronDevice"}),
        "GPU is honoured, InferenceAccelerator and NeuronDevice are refused",
    ),
    *_values_refused("resourceRequirements[].value", frozenset({"ALL"}), "numbers are honoured, ALL is refused"),
    *_refused("resourceRequirements[].sharingStrategy", note="a GPU belongs to one container at a time"),
    *_honoured("firelensConfiguration.type", "firelensConfiguration.options", note="config-file-type s3 is refused"),
    *_refused("credentialSpecs", note="Active Directory"),
)

#: Every field of the request, in the order of the documentation's table.
FIELDS: tuple[Field, ...] = (
    *_TASK,
    *_VOLUMES,
    *(Field(f"containerDefinitions[].{field.path}", field.refuses, field.note, field.entirely) for field in _CONTAINER),
)

_REFUSING = tuple(field for field in FIELDS if field.refuses is not None)


def refuse_unsupported(request: ecs.RegisterTaskDefinitionRequest) -> None:
    """Raise the refusal of the first setting that cannot be honoured; it names the field's path."""
    for field in _REFUSING:
        for path, value in paths.find(request, field.path):
            if field.refuses is not None and field.refuses(value):
                raise not_supported(path if field.entirely else f"{path} {value}")
