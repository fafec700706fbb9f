"""The names that hosts are told of, by who may see them.  Pure: documents in, lookups out.

A name or zone has a scope: a VPC, whose interfaces see it, or ``*`` for everybody.  Askers of this
host that are no interface of a VPC (bridge and host mode tasks, the host) see the zones of all VPCs;
when two of those have a zone of one name, the one whose scope comes first in the alphabet counts.
Who is not on this host is not answered at all: ``answers`` sees to it.

The zone whose name is the longest end of a name is the one that answers for it, also when the
name does not exist there: then nobody else is asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from openecs.acs.host_documents import NameDocument, VpcDocument, ZoneDocument

EVERYBODY = "*"
#: The scope of askers outside of every VPC.
OUTSIDE = ""
#: What AWS SDKs put before the host name of Cloud Map's endpoint in some calls.
_DATA_PREFIX = "data-"

Documents = Mapping[str, Mapping[str, Any]]


class Found(NamedTuple):
    """What there is of a name."""

    #: The zone that answers for it; ``None`` for a name that stands alone.
    zone: ZoneDocument | None
    #: Its records; ``None`` when it has none.
    name: NameDocument | None
    #: Whether it exists: it has records, is a zone, or names below it exist.
    exists: bool


class _View:
    """All that one scope has."""

    def __init__(self) -> None:
        self.zones: dict[str, ZoneDocument] = {}
        self.names: dict[str, NameDocument] = {}
        #: Names that exist only because others below them do.
        self.branches: set[str] = set()

    def add(self, documents: Iterable[NameDocument]) -> None:
        for document in documents:
            name = document.name.lower()
            self.names[name] = document
            _, _, parent = name.partition(".")
            while parent and parent not in self.branches:
                self.branches.add(parent)
                _, _, parent = parent.partition(".")


class Zones:
    """Everything that can be looked up; made anew when documents change."""

    def __init__(self, documents: Documents) -> None:
        views: dict[str, _View] = {}
        for zone in documents.get("zone", {}).values():
            views.setdefault(zone.scope, _View()).zones[zone.name.lower()] = zone
        names: dict[str, list[NameDocument]] = {}
        for name in documents.get("name", {}).values():
            names.setdefault(name.scope, []).append(name)
        for scope, of_scope in names.items():
            views.setdefault(scope, _View()).add(of_scope)
        self._views = views
        everybody = [EVERYBODY] if EVERYBODY in views else []
        self._outside = tuple(views[scope] for scope in (*sorted(set(views) - {EVERYBODY}), *everybody))
        vpcs: Mapping[str, VpcDocument] = documents.get("vpc", {})
        self._networks = [
            (ipaddress.IPv4Network(cidr), vpc_id) for vpc_id, vpc in sorted(vpcs.items()) for cidr in vpc.cidrs
        ]
        #: VPC → address at which its interfaces ask.
        self.resolvers = {vpc_id: vpc.resolver for vpc_id, vpc in vpcs.items() if vpc.dns_support}
        self._of_scope: dict[str, tuple[_View, ...]] = {OUTSIDE: self._outside}

    def scope(self, address: str) -> str:
        """The VPC that an address lies in, or ``OUTSIDE``; where VPCs overlap, the interface tells more."""
        try:
            asker = ipaddress.IPv4Address(address)
        except ValueError:
            return OUTSIDE
        return next((vpc_id for network, vpc_id in self._networks if asker in network), OUTSIDE)

    def find(self, name: str, scope: str) -> Found | None:
        """What is known of a name (lower case, no final dot); ``None`` when somebody else must be asked."""
        views = self._visible(scope)
        rest = name
        while True:
            for view in views:
                zone = view.zones.get(rest)
                if zone is not None:
                    records = view.names.get(name)
                    exists = records is not None or name == rest or name in view.branches
                    return Found(zone, records, exists)
            _, dot, rest = rest.partition(".")
            if not dot:
                break
        for view in views:
            alone = view.names.get(name)
            if alone is not None:
                return Found(None, alone, exists=True)
        return None

    def host_name(self, name: str, scope: str) -> str | None:
        """The address in a name like ``ip-10-0-1-5.eu-west-1.compute.internal`` of a VPC that the asker sees.

        And in ``data-10.0.1.5``: what AWS SDKs make of the endpoint ``10.0.1.5`` for DiscoverInstances.
        """
        if name.startswith(_DATA_PREFIX):
            return _address(name.removeprefix(_DATA_PREFIX))
        label, _, domain = name.partition(".")
        if not label.startswith("ip-") or not (domain == "ec2.internal" or domain.endswith(".compute.internal")):
            return None
        address = _address(label[3:].replace("-", "."))
        if address is not None and any(
            ipaddress.IPv4Address(address) in network and scope in (vpc_id, OUTSIDE)
            for network, vpc_id in self._networks
        ):
            return address
        return None

    def _visible(self, scope: str) -> tuple[_View, ...]:
        found = self._of_scope.get(scope)
        if found is None:
            found = tuple(self._views[key] for key in (scope, EVERYBODY) if key in self._views)
            self._of_scope[scope] = found
        return found


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None
