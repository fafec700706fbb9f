"""A task as an agent gets it: what ``messages.PayloadMessage`` carries.

Member names and meanings are those of the ECS agent protocol; members of ours are under
``openecs`` and ignored by other agents.  Structures only; ``acs.payload`` fills them in.
"""

from __future__ import annotations

from openecs.acs.structure import Structure


class RoleCredentials(Structure, frozen=True):
    """Temporary keys for a task; ``expiration`` is passed on to containers as it is."""

    credentials_id: str
    role_arn: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str = ""
    expiration: str = ""
    #: ``TaskApplication`` or ``TaskExecution`` in IAMRoleCredentialsMessage.
    role_type: str | None = None


class DockerConfig(Structure, frozen=True):
    """JSON texts that the agent lays over the Config and HostConfig that it builds."""

    version: str = "1.21"
    config: str = "{}"
    host_config: str = "{}"


class PortMapping(Structure, frozen=True):
    """One port mapping; ``host_port`` 0 lets the agent choose."""

    container_port: int | None = None
    host_port: int = 0
    container_port_range: str | None = None
    protocol: str = "tcp"


class MountPoint(Structure, frozen=True):
    """A volume of the task at a path of a container."""

    source_volume: str = ""
    container_path: str = ""
    read_only: bool = False


class VolumeFrom(Structure, frozen=True):
    """Another container's mounts, taken over."""

    source_container: str = ""
    read_only: bool = False


class Dependency(Structure, frozen=True):
    """What another container must have reached before this one starts."""

    container_name: str
    #: START, COMPLETE, SUCCESS or HEALTHY.
    condition: str


class RestartPolicy(Structure, frozen=True):
    """Whether a container that ends is started again by its agent."""

    enabled: bool = False
    ignored_exit_codes: tuple[int, ...] = ()
    #: Seconds a container must have run to be restarted; 300 when absent.
    restart_attempt_period: int | None = None


class FirelensPayload(Structure, frozen=True):
    """What makes a container the task's log router; ``type`` is ``fluentbit`` or ``fluentd``."""

    type: str
    options: dict[str, str] = {}


class ContainerPayload(Structure, frozen=True):
    """One container of a task payload, overrides already merged in."""

    name: str
    image: str
    container_arn: str = ""
    command: tuple[str, ...] = ()
    entry_point: tuple[str, ...] | None = None
    #: CPU shares.
    cpu: int = 0
    #: Hard limit in MiB, 0 for none.
    memory: int = 0
    essential: bool = True
    environment: dict[str, str] = {}
    port_mappings: tuple[PortMapping, ...] = ()
    links: tuple[str, ...] = ()
    mount_points: tuple[MountPoint, ...] = ()
    volumes_from: tuple[VolumeFrom, ...] = ()
    docker_config: DockerConfig = DockerConfig()
    #: ``docker`` when the Config holds a Healthcheck.
    health_check_type: str | None = None
    depends_on: tuple[Dependency, ...] = ()
    #: Seconds; ``None`` leaves it to the agent.
    start_timeout: int | None = None
    stop_timeout: int | None = None
    restart_policy: RestartPolicy | None = None
    overrides: str = "{}"
    #: ``ExecutionRole`` makes the agent add the credentials endpoint to awslogs options.
    logs_auth_strategy: str | None = None
    firelens_configuration: FirelensPayload | None = None
    #: An extension: the image as the task definition has it, when ``image`` is another because
    #: the deployment keeps to one digest.  Only what is shown goes by it.
    requested_image: str | None = None


class HostVolume(Structure, frozen=True):
    """A directory of the host; without a path, a volume of the task's own."""

    source_path: str = ""


class DockerVolume(Structure, frozen=True):
    """A volume that a driver of the engine makes."""

    scope: str = "task"
    autoprovision: bool = False
    driver: str = "local"
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}


class VolumePayload(Structure, frozen=True):
    """A volume of a task: ``host`` (also the anonymous task volume) or ``docker``."""

    name: str
    type: str = "host"
    host: HostVolume | None = None
    docker_volume_configuration: DockerVolume | None = None


class Ipv4Address(Structure, frozen=True):
    """One address of an interface."""

    primary: bool
    private_address: str


class ElasticNetworkInterface(Structure, frozen=True):
    """The interface of an awsvpc task."""

    ec2_id: str
    attachment_arn: str
    mac_address: str
    ipv4_addresses: tuple[Ipv4Address, ...]
    #: Address and prefix length of the subnet's gateway: ``10.0.0.1/24``.
    subnet_gateway_ipv4_address: str
    index: int = 0
    name: str = "eth0"
    domain_name_servers: tuple[str, ...] = ()
    domain_name: tuple[str, ...] = ()
    private_dns_name: str = ""
    interface_association_protocol: str = "default"


class AssociationContent(Structure, frozen=True):
    """What programs may read about a device through the metadata endpoint."""

    encoding: str = "base64"
    value: str = ""


class Association(Structure, frozen=True):
    """A device of the host that is given to containers; a GPU (``gpu``) has exactly one."""

    name: str
    containers: tuple[str, ...] = ()
    content: AssociationContent = AssociationContent()
    type: str = "gpu"


class ConnectAlias(Structure, frozen=True):
    """A name that the task may call, and where its proxy listens for it in the task's network."""

    name: str
    address: str
    port: int
    #: ``namespace id/discovery name``.
    endpoint: str
    protocol: str = "tcp"


class ConnectIngress(Structure, frozen=True):
    """A port of the task's address behind which its proxy stands, and the one of its own to which that leads."""

    port: int
    container_port: int
    protocol: str = "tcp"
    #: Where the proxy listens while ``port`` is the container's own: what comes in there is redirected.
    listener: int = 0


class ConnectPayload(Structure, frozen=True):
    """The task's part in Service Connect: an extension of ours, for agents of ours."""

    aliases: tuple[ConnectAlias, ...] = ()
    ingress: tuple[ConnectIngress, ...] = ()
    #: Docker's LogConfig of what the proxy could not deliver, as JSON; empty for no log.
    log_config: str = ""
    #: ``TEXT`` or ``JSON``: the form in which all requests and connections are written there.
    access_log: str = ""
    #: Paths in it keep their query strings.
    access_log_queries: bool = False


class TaskPayload(Structure, frozen=True):
    """One task as an agent gets it; with ``desired_status`` STOPPED only ``arn`` counts."""

    arn: str
    desired_status: str = "RUNNING"
    task_cluster_arn: str = ""
    task_definition_account_id: str = ""
    zone: str = ""
    family: str = ""
    version: str = ""
    overrides: str = "{}"
    service_name: str | None = None
    group: str | None = None
    launch_type: str = "EC2"
    network_mode: str = "bridge"
    #: Task limit in vCPUs, 0 for none.
    cpu: float = 0.0
    #: Task limit in MiB, 0 for none.
    memory: int = 0
    pid_mode: str | None = None
    ipc_mode: str | None = None
    containers: tuple[ContainerPayload, ...] = ()
    volumes: tuple[VolumePayload, ...] = ()
    role_credentials: RoleCredentials | None = None
    execution_role_credentials: RoleCredentials | None = None
    elastic_network_interfaces: tuple[ElasticNetworkInterface, ...] = ()
    associations: tuple[Association, ...] = ()
    openecs_connect: ConnectPayload | None = None
