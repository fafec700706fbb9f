"""What hosts are told of Cloud Map: the zones of DNS namespaces and the names in them.

A private namespace is for the interfaces of its VPC and for askers outside of all VPCs, a public
one for everybody.  A name gets the records of its service's healthy instances, or of all when
none is healthy.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.acs.host_board import HostBoard, Placed
from openecs.acs.host_documents import NameDocument, ServiceTarget, ZoneDocument
from openecs.model.discovery import DiscoveryInstance, DiscoveryService, Namespace
from openecs.state.state import State
from openecs.state.store import Notice

EVERYBODY = "*"
IPV4, PORT, CNAME = "AWS_INSTANCE_IPV4", "AWS_INSTANCE_PORT", "AWS_INSTANCE_CNAME"
ALIAS = "AWS_ALIAS_DNS_NAME"


class DiscoveryDocuments:
    """Makes the documents of kinds ``zone`` and ``name`` that Cloud Map's resources ask for."""

    kinds = frozenset({"zone", "name"})

    def __init__(self, state: State, board: HostBoard) -> None:
        self._state = state
        self._board = board
        #: Key of a name → the service, and the instance for names of single ones.
        self._owners: dict[str, tuple[str, str | None]] = {}
        #: Key of a zone → ids of the namespaces that have it.
        self._zones: dict[str, dict[str, None]] = {}
        state.store.subscribe("namespace", self._namespace_changed)
        state.store.subscribe("discovery_service", self._service_changed)
        state.store.subscribe("discovery_instance", self._instance_changed)

    def keys(self, kind: str) -> Iterable[str]:
        """The keys of all documents there are."""
        if kind == "zone":
            for namespace in self._state.namespaces:
                self._note_zone(namespace)
            return tuple(self._zones)
        for service in self._state.discovery_services:
            self._note_service(service)
            for instance in self._state.discovery_instances.by("service", service.id):
                self._note_instance(service, instance.instance_id)
        return tuple(self._owners)

    def render(self, kind: str, key: str) -> Placed | None:
        """The document as it should be now."""
        document = self._zone(key) if kind == "zone" else self._name(key)
        return None if document is None else Placed(document)

    # -- documents ------------------------------------------------------------------------

    def _zone(self, key: str) -> ZoneDocument | None:
        for namespace_id in self._zones.get(key, ()):
            found = self._state.namespaces.get(namespace_id)
            if found is not None:
                return ZoneDocument(name=found.name.lower(), scope=_scope(found), soa_ttl=found.soa_ttl)
        return None

    def _name(self, key: str) -> NameDocument | None:
        service_id, instance_id = self._owners.get(key, ("", None))
        service = self._state.discovery_services.get(service_id)
        namespace = self._state.namespaces.get(service.namespace_id) if service is not None else None
        if service is None or namespace is None or service.dns_config is None:
            self._owners.pop(key, None)
            return None
        scope, _, name = key.partition("/")
        if instance_id is not None:
            document = self._of_instance(service, instance_id, name, scope)
        else:
            document = self._of_service(service, name, scope)
        if document is None:
            self._owners.pop(key, None)
        return document

    def _of_instance(self, service: DiscoveryService, instance_id: str, name: str, scope: str) -> NameDocument | None:
        """The address of one instance: what SRV records lead to."""
        instance = self._state.discovery_instances.get(f"{service.id}|{instance_id}")
        ttl = _ttl(service, "SRV")
        if instance is None or ttl is None or IPV4 not in instance.attributes:
            return None
        return NameDocument(name=name, scope=scope, ttl=ttl, a=(instance.attributes[IPV4],))

    def _of_service(self, service: DiscoveryService, name: str, scope: str) -> NameDocument | None:
        dns = service.dns_config
        assert dns is not None  # noqa: S101 -- the caller has looked
        instances = self._answered(service)
        if not instances:
            return None
        types = {record.type: record.ttl for record in dns.dns_records}
        given = [(i.instance_id.lower(), i.attributes) for i in instances]
        document = NameDocument(
            name=name,
            scope=scope,
            ttl=min(types.values()),
            a=_distinct(a[IPV4] for _, a in given if IPV4 in a) if "A" in types else (),
            aliases=_distinct(a[ALIAS].lower().rstrip(".") for _, a in given if ALIAS in a) if "A" in types else (),
            srv=tuple(
                ServiceTarget(port=int(a[PORT]), target=f"{instance_id}.{name}")
                for instance_id, a in given
                if "SRV" in types and PORT in a
            ),
            cnames=_distinct(a[CNAME].lower().rstrip(".") for _, a in given if CNAME in a) if "CNAME" in types else (),
            routing="weighted" if dns.routing_policy == "WEIGHTED" else "multivalue",
        )
        empty = not (document.a or document.aliases or document.srv or document.cnames)
        return None if empty else document

    def _answered(self, service: DiscoveryService) -> list[DiscoveryInstance]:
        """The instances that DNS tells of, in the order of their ids."""
        known = sorted(self._state.discovery_instances.by("service", service.id), key=lambda i: i.instance_id)
        if service.health_check_custom_config is None:
            return known
        return [i for i in known if i.health == "HEALTHY"] or known

    # -- what changes ---------------------------------------------------------------------

    def _namespace_changed(self, notice: Notice) -> None:
        namespace: Namespace = notice.new or notice.old
        if namespace.type != "HTTP":
            self._board.changed("zone", self._note_zone(namespace))

    def _service_changed(self, notice: Notice) -> None:
        old: DiscoveryService | None = notice.old
        new: DiscoveryService | None = notice.new
        if old is not None and new is not None and old.dns_config == new.dns_config:
            return
        service = new or old
        if service is None or (new is None and old is not None and old.dns_config is None):
            return
        key = self._note_service(service)
        if key is not None:
            self._board.changed("name", key)
            for instance in self._state.discovery_instances.by("service", service.id):
                one = self._note_instance(service, instance.instance_id)
                if one is not None:
                    self._board.changed("name", one)

    def _instance_changed(self, notice: Notice) -> None:
        instance: DiscoveryInstance = notice.new or notice.old
        service = self._state.discovery_services.get(instance.service_id)
        if service is None or service.dns_config is None:
            return
        for key in (self._note_service(service), self._note_instance(service, instance.instance_id)):
            if key is not None:
                self._board.changed("name", key)

    def _note_zone(self, namespace: Namespace) -> str:
        key = f"{_scope(namespace)}/{namespace.name.lower()}"
        if namespace.type != "HTTP":
            self._zones.setdefault(key, {})[namespace.id] = None
        return key

    def _note_service(self, service: DiscoveryService) -> str | None:
        namespace = self._state.namespaces.get(service.namespace_id)
        if namespace is None or namespace.type == "HTTP":
            return None
        name = f"{service.name}.{namespace.name}".lower()
        key = f"{_scope(namespace)}/{name}"
        self._owners[key] = (service.id, None)
        return key

    def _note_instance(self, service: DiscoveryService, instance_id: str) -> str | None:
        """The key of an instance's own name, which those of services with SRV records have."""
        if service.dns_config is None or _ttl(service, "SRV") is None:
            return None
        key = self._note_service(service)
        if key is None:
            return None
        scope, _, name = key.partition("/")
        own = f"{scope}/{instance_id.lower()}.{name}"
        self._owners[own] = (service.id, instance_id)
        return own


def _scope(namespace: Namespace) -> str:
    return namespace.vpc_id or EVERYBODY


def _ttl(service: DiscoveryService, kind: str) -> int | None:
    """The TTL of a service's records of one type; ``None`` when it has none of them."""
    records = service.dns_config.dns_records if service.dns_config else ()
    return next((record.ttl for record in records if record.type == kind), None)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
