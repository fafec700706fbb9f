"""One nftables table as data, and the shortest script that makes one of another.  Pure.

A script is one transaction: the kernel takes all of it or nothing, and no packet sees half of it.
Chains, sets and maps are compared by name; what did not change is not touched, so counters of
the kernel and connections that it follows go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple


class Set(NamedTuple):
    """A named set; ``type`` as nft writes it (``ipv4_addr``).  Elements of an interval set are replaced as a whole."""

    type: str
    elements: frozenset[str]
    interval: bool = False


class Map(NamedTuple):
    """A named map or verdict map; ``type`` like ``ifname : verdict``."""

    type: str
    elements: Mapping[str, str]


class Chain(NamedTuple):
    """A chain; ``hook`` is empty for one that is only jumped to."""

    rules: tuple[str, ...]
    hook: str = ""


class Ruleset(NamedTuple):
    """The table's contents by name."""

    sets: Mapping[str, Set]
    maps: Mapping[str, Map]
    chains: Mapping[str, Chain]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to have a table for."""
        return not (self.sets or self.maps or self.chains)


EMPTY = Ruleset({}, {}, {})


def load(table: str, rules: Ruleset) -> str:
    """A script that makes the table exactly this, whatever it was."""
    return remove(table) + ("" if rules.empty else f"add table inet {table}\n" + change(table, EMPTY, rules))


def remove(table: str) -> str:
    """A script that removes the table; no error when there is none."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def change(table: str, old: Ruleset, new: Ruleset) -> str:
    """A script that makes ``new`` of a table that is ``old``; empty when they are the same."""
    if old.empty != new.empty and not old.empty:
        return remove(table)
    lines = [f"{verb} inet {table} {rest}" for verb, rest in _steps(old, new)]
    if lines and old.empty:
        lines.insert(0, f"add table inet {table}")
    return "".join(f"{line}\n" for line in lines)


def _steps(old: Ruleset, new: Ruleset) -> Iterator[tuple[str, str]]:
    # What is pointed at comes before what points at it, and goes after it.
    anew = {name for name, wanted in new.chains.items() if name in old.chains and old.chains[name].hook != wanted.hook}
    for name, wanted in new.chains.items():
        if name not in old.chains:
            yield "add chain", f"{name} {{ {wanted.hook} }}" if wanted.hook else name
    if anew:  # A chain's hook cannot be changed; none of ours ever does.
        raise ValueError(f"the hook of {', '.join(sorted(anew))} changed")
    for name, group in new.sets.items():
        if name not in old.sets:
            flags = " flags interval;" if group.interval else ""
            yield "add set", f"{name} {{ type {group.type};{flags} }}"
    for name, mapping in new.maps.items():
        if name not in old.maps:
            yield "add map", f"{name} {{ type {mapping.type}; }}"
    for name, wanted in new.chains.items():
        before = old.chains.get(name)
        if before is None or before.rules != wanted.rules:
            if before is not None and before.rules:
                yield "flush chain", name
            for rule in wanted.rules:
                yield "add rule", f"{name} {rule}"
    for name in old.chains.keys() - new.chains.keys():
        yield "flush chain", name
    yield from _set_steps(old.sets, new.sets)
    yield from _map_steps(old.maps, new.maps)
    for kind, names in (
        ("map", old.maps.keys() - new.maps.keys()),
        ("chain", old.chains.keys() - new.chains.keys()),
        ("set", old.sets.keys() - new.sets.keys()),
    ):
        for name in sorted(names):
            yield f"delete {kind}", name


def _set_steps(old: Mapping[str, Set], new: Mapping[str, Set]) -> Iterator[tuple[str, str]]:
    for name, group in new.items():
        before = old[name].elements if name in old else frozenset[str]()
        if before == group.elements:
            continue
        if group.interval:
            if before:
                yield "flush set", name
            gone, come = frozenset[str](), group.elements
        else:
            gone, come = before - group.elements, group.elements - before
        if gone:
            yield "delete element", f"{name} {{ {_listed(gone)} }}"
        if come:
            yield "add element", f"{name} {{ {_listed(come)} }}"


def _map_steps(old: Mapping[str, Map], new: Mapping[str, Map]) -> Iterator[tuple[str, str]]:
    for name, mapping in new.items():
        before = old[name].elements if name in old else {}
        if before is mapping.elements or before == mapping.elements:
            continue
        gone = [key for key, value in before.items() if mapping.elements.get(key) != value]
        come = [f"{key} : {value}" for key, value in mapping.elements.items() if before.get(key) != value]
        if gone:
            yield "delete element", f"{name} {{ {_listed(gone)} }}"
        if come:
            yield "add element", f"{name} {{ {_listed(come)} }}"
    for name in old.keys() - new.keys():
        if old[name].elements:
            yield "flush map", name


def _listed(elements: Iterable[str]) -> str:
    return ", ".join(sorted(elements))
