"""Kernel settings of a container: capabilities, devices, tmpfs, swap, ulimits, sysctls, user."""

from __future__ import annotations

import re

from openecs.api.ecs.definition.refusals import invalid_field
from openecs.api.ecs.definition.volumes import is_path
from openecs.shapes import ecs

_CAPABILITIES_TEXT = (
    "ALL AUDIT_CONTROL AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER"
    " KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP"
    " SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO"
    " SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM"
)

#: What can be added to or dropped from a container.
CAPABILITIES = frozenset(_CAPABILITIES_TEXT.split())

_TMPFS_TEXT = (
    "defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime"
    " nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime"
    " strictatime nostrictatime mode uid gid nr_inodes nr_blocks mpol"
)
_TMPFS_OPTIONS = frozenset(_TMPFS_TEXT.split())
_IPC_TEXT = (
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni"
    " kernel.shm_rmid_forced"
)
_IPC_CONTROLS = frozenset(_IPC_TEXT.split())
_CONTROL = re.compile(r"[A-Za-z0-9_./-]+")
_SECURITY_OPTION = re.compile(r"no-new-privileges(:(true|false))?|apparmor:\S+|label:\S+")
_PRINCIPAL = r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}\$?"
_USER = re.compile(rf"{_PRINCIPAL}(:{_PRINCIPAL})?")
_MIB = 2**31 - 1


def check(container: ecs.ContainerDefinition, *, mode: str, ipc_mode: str | None) -> None:
    """Everything that ends in the kernel, for one container."""
    name = container.name or ""
    if container.linux_parameters is not None:
        _check_parameters(container.linux_parameters, container)
    _check_ulimits(container.ulimits or (), name)
    _check_system_controls(container.system_controls or (), name, mode, ipc_mode)
    for option in container.docker_security_options or ():
        if not _SECURITY_OPTION.fullmatch(option):
            raise invalid_field("dockerSecurityOptions", name, f"'{option}' is not a known option.")
    if container.user is not None and not _USER.fullmatch(container.user):
        raise invalid_field("user", name, "It must be user, user:group, uid or uid:gid.")
    if container.working_directory is not None and not is_path(container.working_directory):
        raise invalid_field("workingDirectory", name, "It must be an absolute path.")


def _check_parameters(parameters: ecs.LinuxParameters, container: ecs.ContainerDefinition) -> None:
    name = container.name or ""
    if parameters.capabilities is not None:
        for capability in (*(parameters.capabilities.add or ()), *(parameters.capabilities.drop or ())):
            if capability not in CAPABILITIES:
                raise invalid_field("capabilities", name, f"'{capability}' is not a Linux capability.")
    for device in parameters.devices or ():
        if not is_path(device.host_path) or not (device.container_path is None or is_path(device.container_path)):
            raise invalid_field("devices", name, "Device paths must be absolute.")
    for mount in parameters.tmpfs or ():
        if not is_path(mount.container_path) or not 1 <= mount.size <= _MIB:
            raise invalid_field("tmpfs", name, "It needs an absolute containerPath and a size of at least 1 MiB.")
        for option in mount.mount_options or ():
            if option.partition("=")[0] not in _TMPFS_OPTIONS or "," in option:
                raise invalid_field("tmpfs.mountOptions", name, f"'{option}' is not a mount option.")
    if parameters.shared_memory_size is not None and not 1 <= parameters.shared_memory_size <= _MIB:
        raise invalid_field("sharedMemorySize", name, "It must be at least 1 MiB.")
    _check_swap(parameters, container)


def _check_swap(parameters: ecs.LinuxParameters, container: ecs.ContainerDefinition) -> None:
    name = container.name or ""
    if parameters.max_swap is not None:
        if not 0 <= parameters.max_swap <= _MIB:
            raise invalid_field("maxSwap", name, "It must be 0 or a positive number of MiB.")
        if container.memory is None:
            # The engine limits memory and swap together: without the one the other means nothing.
            raise invalid_field("maxSwap", name, "It requires 'memory' on the container.")
    if parameters.swappiness is not None:
        if not 0 <= parameters.swappiness <= 100:
            raise invalid_field("swappiness", name, "It must be between 0 and 100.")
        if parameters.max_swap is None:
            raise invalid_field("swappiness", name, "It requires 'maxSwap'.")


def _check_ulimits(ulimits: tuple[ecs.Ulimit, ...], name: str) -> None:
    seen: set[str] = set()
    for ulimit in ulimits:
        if ulimit.name in seen:
            raise invalid_field("ulimits", name, f"'{ulimit.name}' is given more than once.")
        seen.add(ulimit.name)
        soft, hard = ulimit.soft_limit, ulimit.hard_limit
        if soft < -1 or hard < -1 or (hard != -1 and (soft == -1 or soft > hard)):
            raise invalid_field("ulimits", name, f"The soft limit of '{ulimit.name}' must not exceed the hard limit.")


def _check_system_controls(controls: tuple[ecs.SystemControl, ...], name: str, mode: str, ipc_mode: str | None) -> None:
    seen: set[str] = set()
    for control in controls:
        namespace = control.namespace or ""
        if not control.value or not _CONTROL.fullmatch(namespace):
            raise invalid_field("systemControls", name, "Each needs a namespace and a value.")
        if namespace in seen:
            raise invalid_field("systemControls", name, f"'{namespace}' is given more than once.")
        seen.add(namespace)
        network = namespace.startswith("net.")
        if not network and namespace not in _IPC_CONTROLS and not namespace.startswith("fs.mqueue."):
            raise invalid_field("systemControls", name, f"'{namespace}' is not a namespaced kernel parameter.")
        if network and mode == "host":
            raise invalid_field("systemControls", name, f"'{namespace}' is not supported when networkMode=host.")
        if not network and ipc_mode == "host":
            raise invalid_field("systemControls", name, f"'{namespace}' is not supported when ipcMode=host.")
