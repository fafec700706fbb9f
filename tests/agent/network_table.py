"""nftables in a few lines of Python: takes the scripts of ``ruleset``, decides packets as the kernel would.

It knows no more than the rules use, and refuses what it does not know; so does nftables refuse
what names something that is not there.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Packet(NamedTuple):
    """The first packet of a connection."""

    iifname: str
    oifname: str
    saddr: str
    daddr: str
    #: Protocol number.
    protocol: int
    #: Destination port; type of ICMP.
    port: int
    state: str = "new"


class Table:
    """The state of one table."""

    def __init__(self) -> None:
        self.there = False
        self.chains: dict[str, list[str]] = {}
        self.hooks: dict[str, str] = {}
        self.sets: dict[str, set[str]] = {}
        self.maps: dict[str, dict[str, str]] = {}
        #: Address → the interface that its route leads to; others have that of the network.
        self.ways: dict[str, str] = {}

    def run(self, script: str) -> None:
        """One transaction."""
        for line in script.splitlines():
            verb, kind, _, _, name, *rest = line.split(" ", 5)
            body = rest[0] if rest else ""
            if kind != "rule":
                body = body.removeprefix("{ ").removesuffix(" }")
            getattr(self, f"_{verb}_{kind}")(name, body)
        self._check()

    def contents(self) -> tuple[object, ...]:
        return (self.there, self.chains, self.hooks, self.sets, self.maps)

    def decide(self, hook: str, packet: Packet) -> bool:
        """Whether a packet gets past the base chains of a hook."""
        chains = [name for name, text in self.hooks.items() if f"filter hook {hook} " in text]
        return all(self._chain(name, packet) != "drop" for name in chains)

    def _chain(self, name: str, packet: Packet) -> str:
        """``accept``, ``drop`` or ``return`` (also at the chain's end)."""
        for rule in self.chains[name]:
            verdict = self._rule(rule, packet)
            if verdict == "":
                continue
            word, _, target = verdict.partition(" ")
            if word == "jump":
                found = self._chain(target, packet)
                if found != "return":
                    return found
            elif word == "goto":
                return self._chain(target, packet)
            else:
                return word
        return "return"

    def _rule(self, rule: str, packet: Packet) -> str:
        """The verdict of a rule; empty when it does not match."""
        words = rule.split()
        while words:
            match words:
                case ["accept" | "drop" | "return"]:
                    return words[0]
                case ["jump" | "goto", target]:
                    return f"{words[0]} {target}"
                case ["iifname" | "oifname" as side, "vmap", name]:
                    return self.maps[name[1:]].get(f'"{getattr(packet, side)}"', "")
                case ["meta", "nfproto", "ipv6", *_]:
                    return ""
                case ["meta", "l4proto", number, *words]:
                    holds = packet.protocol == int(number)
                case ["ct", "state", states, *words]:
                    holds = packet.state in states.split(",")
                case ["ct", "original", "ip", "daddr", name, *words]:
                    holds = packet.daddr in self.sets[name[1:]]
                case ["icmp", "type", number, *words]:
                    holds = packet.protocol == 1 and (number == "echo-request" or packet.port == int(number))
                case ["icmp", "code", number, *words]:
                    holds = packet.protocol == 1 and int(number) == 0
                case ["fib", "saddr", "oifname", name, *words]:
                    holds = self._named(name, self.ways.get(packet.saddr, "eth0"))
                case ["iifname", ".", "ip", "saddr", name, *words]:
                    holds = f'"{packet.iifname}" . {packet.saddr}' in self.sets[name[1:]]
                case ["ip", "daddr", ".", "tcp", "dport", name, *words]:
                    holds = packet.protocol == 6 and f"{packet.daddr} . {packet.port}" in self.sets[name[1:]]
                case ["iifname" | "oifname" as side, "!=", name, *words]:
                    holds = not self._named(name, getattr(packet, side))
                case ["iifname" | "oifname" as side, name, *words]:
                    holds = self._named(name, getattr(packet, side))
                case ["ip", "saddr" | "daddr" as side, "!=", name, *words]:
                    holds = not self._in(name, getattr(packet, side))
                case ["ip", "saddr" | "daddr" as side, name, *words]:
                    holds = self._in(name, getattr(packet, side))
                case ["tcp" | "udp" as protocol, "dport", ports, *words]:
                    first, _, last = ports.partition("-")
                    holds = packet.protocol == {"tcp": 6, "udp": 17}[protocol]
                    holds = holds and int(first) <= packet.port <= int(last or first)
                case _:
                    raise AssertionError(f"a rule that this table does not know: {rule}")
            if not holds:
                return ""
        return ""

    def _named(self, name: str, value: str) -> bool:
        if name.startswith("@"):
            return f'"{value}"' in self.sets[name[1:]]
        name = name.strip('"')
        return value.startswith(name[:-1]) if name.endswith("*") else value == name

    def _in(self, name: str, address: str) -> bool:
        blocks = self.sets[name[1:]] if name.startswith("@") else {name}
        return any(ipaddress.IPv4Address(address) in ipaddress.IPv4Network(block) for block in blocks)

    # -- what scripts do --------------------------------------------------------------------

    def _add_chain(self, name: str, body: str) -> None:
        self.chains.setdefault(name, [])
        if body:
            self.hooks[name] = body

    def _add_set(self, name: str, _: str) -> None:
        self.sets.setdefault(name, set())

    def _add_map(self, name: str, _: str) -> None:
        self.maps.setdefault(name, {})

    def _add_rule(self, name: str, body: str) -> None:
        self.chains[name].append(body)

    def _flush_chain(self, name: str, _: str) -> None:
        self.chains[name].clear()

    def _flush_set(self, name: str, _: str) -> None:
        self.sets[name].clear()

    def _flush_map(self, name: str, _: str) -> None:
        self.maps[name].clear()

    def _delete_chain(self, name: str, _: str) -> None:
        assert not self.chains[name]
        self._unused(name)
        del self.chains[name]
        self.hooks.pop(name, None)

    def _delete_set(self, name: str, _: str) -> None:
        self._unused(f"@{name}")
        del self.sets[name]

    def _delete_map(self, name: str, _: str) -> None:
        self._unused(f"@{name}")
        del self.maps[name]

    def _add_element(self, name: str, body: str) -> None:
        for element in body.split(", "):
            if name in self.sets:
                assert element not in self.sets[name]
                self.sets[name].add(element)
            else:
                key, _, value = element.partition(" : ")
                assert key not in self.maps[name]
                self.maps[name][key] = value

    def _delete_element(self, name: str, body: str) -> None:
        for element in body.split(", "):
            if name in self.sets:
                self.sets[name].remove(element)
            else:
                del self.maps[name][element]

    def _unused(self, name: str) -> None:
        texts = [rule for rules in self.chains.values() for rule in rules]
        texts += [verdict for mapping in self.maps.values() for verdict in mapping.values()]
        assert not any(name in text.split() for text in texts), f"{name} is still used"

    def _check(self) -> None:
        """Whatever is named is there."""
        texts = [rule for rules in self.chains.values() for rule in rules]
        texts += [verdict for mapping in self.maps.values() for verdict in mapping.values()]
        for text in texts:
            words = text.split()
            for before, word in zip(["", *words], words, strict=False):
                if before in ("jump", "goto"):
                    assert word in self.chains, f"{word} is missing"
                elif word.startswith("@") and not word.startswith("@th"):
                    assert word[1:] in self.sets or word[1:] in self.maps, f"{word} is missing"


def run(table: Table, script: str) -> None:
    """Run a script; adding and deleting the table itself is done here."""
    rest = []
    for line in script.splitlines():
        verb, kind, *_ = line.split(" ")
        if kind != "table":
            rest.append(line)
        elif verb == "delete":
            assert not rest
            table.__init__()  # type: ignore[misc]
        else:
            table.there = True
    assert table.there or not rest
    table.run("\n".join(rest))
