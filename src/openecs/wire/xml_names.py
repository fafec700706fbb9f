"""How one service spells its members in XML and in forms.  Data and two rules only.

The Query services write a member's own name, and ``member`` around the items of lists.  EC2
has names of its own: replies start with a small letter and say ``item``, requests start with
a capital, lists stand under singular names; what no rule gives is in generated tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Names(NamedTuple):
    """The spelling of one service."""

    #: Structure → member → element, where the rule gives another.
    elements: Mapping[str, Mapping[str, str]] = {}
    #: Structure → member → element of the items of that list, where it is not the usual one.
    items: Mapping[str, Mapping[str, str]] = {}
    usual_item: str = "member"
    small: bool = False

    def element(self, structure: str, member: str) -> str:
        """The element of a member in replies."""
        exception = self.elements.get(structure, {}).get(member)
        if exception is not None:
            return exception
        return member[:1].lower() + member[1:] if self.small else member

    def parameter(self, structure: str, member: str) -> str:
        """The name of a member in requests: EC2 writes its elements with a capital."""
        name = self.elements.get(structure, {}).get(member, member)
        return name[:1].upper() + name[1:] if self.small else name

    def item(self, structure: str, member: str) -> str:
        """The element around each item of a list."""
        return self.items.get(structure, {}).get(member, self.usual_item)


QUERY_NAMES = Names()
