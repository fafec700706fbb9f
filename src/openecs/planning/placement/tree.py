"""The tree that keeps candidates in the order of the strategies: branches, and leaves below.

Every node shows its parent the best entry that it has; a branch keeps what its children show
in a heap.  Entries are never searched for: one that holds no more stays where it is until it
comes to the top (or the heap is half rubbish) and is dropped then.  So a change costs the
logarithm of the number of candidates, at each level.
"""

from __future__ import annotations

import random
from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Any

from openecs.planning.placement.candidate import Candidate

Entry = tuple[Any, ...]


class Node:
    """What branches and leaves share: their place in the tree.

    ``shown`` is the node's entry in its parent's heap: (score, best entry of the node, node).
    """

    __slots__ = ("name", "parent", "score", "shown")

    def __init__(self, parent: Branch | None, name: Hashable, score: Any) -> None:
        self.parent = parent
        self.name = name
        self.score = score
        self.shown: Entry | None = None

    def __lt__(self, other: Node) -> bool:
        """Lets heaps compare entries that are equal up to the node: any order does."""
        return False

    def top(self) -> Entry | None:
        """The best entry of the node, ``None`` when it is empty."""
        raise NotImplementedError

    def show(self) -> None:
        """Tell the branches above what is the best here now."""
        node: Node = self
        while (parent := node.parent) is not None:
            top, shown = node.top(), node.shown
            if top is None:
                if shown is None:
                    return
                node.shown = None
            elif shown is not None and shown[1] is top and shown[0] == node.score:
                return
            else:
                node.shown = (node.score, top, node)
                parent.push(node.shown)
            node = parent


class Branch(Node):
    """A node with children, one for each value of its level; empty ones stay."""

    __slots__ = ("children", "heap")

    def __init__(self, parent: Branch | None, name: Hashable, score: Any) -> None:
        super().__init__(parent, name, score)
        self.children: dict[Hashable, Node] = {}
        self.heap: list[Entry] = []

    def top(self) -> Entry | None:
        heap = self.heap
        while heap:
            first: Entry = heap[0]
            node: Node = first[2]
            if node.shown is first:
                return first
            heappop(heap)
        return None

    def push(self, entry: Entry) -> None:
        """A child shows another entry."""
        heap = self.heap
        if len(heap) > 2 * len(self.children) + 16:
            heap[:] = [shown for child in self.children.values() if (shown := child.shown) is not None]
            heapify(heap)
        else:
            heappush(heap, entry)


class Leaf(Node):
    """Candidates in the order of their entries, which end with the candidate."""

    __slots__ = ("current", "heap", "size")

    def __init__(self, parent: Branch | None, name: Hashable, score: Any, current: dict[Candidate, Entry]) -> None:
        super().__init__(parent, name, score)
        self.heap: list[Entry] = []
        #: Entries that hold, of all leaves of the tree.
        self.current = current
        self.size = 0

    def fill(self, entries: list[Entry]) -> None:
        """Start with these entries, which ``current`` knows already."""
        self.heap = entries
        self.size = len(entries)
        heapify(entries)

    def top(self) -> Entry | None:
        heap, current = self.heap, self.current
        while heap:
            first: Entry = heap[0]
            if current.get(first[-1]) is first:
                return first
            heappop(heap)
        return None

    def put(self, entry: Entry, *, new: bool) -> None:
        """A candidate that is ``new`` here, or its entry has changed."""
        self.size += new
        heap = self.heap
        heappush(heap, entry)
        if len(heap) > 2 * self.size + 16:
            current = self.current
            heap[:] = [held for held in heap if current.get(held[-1]) is held]
            heapify(heap)

    def drop(self, _: Candidate) -> None:
        """A candidate has left; its entry holds no more."""
        self.size -= 1


class RandomLeaf(Node):
    """Candidates of which any is as good as the other."""

    __slots__ = ("_draw", "_rng", "candidates", "places")

    def __init__(self, parent: Branch | None, name: Hashable, score: Any, rng: random.Random) -> None:
        super().__init__(parent, name, score)
        self.candidates: list[Candidate] = []
        self.places: dict[Candidate, int] = {}
        self._rng = rng
        self._draw: Entry | None = None

    def top(self) -> Entry | None:
        """An entry whose place among those of equal leaves is drawn by lot."""
        if not self.candidates:
            self._draw = None
        elif self._draw is None:
            self._draw = (self._rng.random(), self)
        return self._draw

    def put(self, candidate: Candidate, *, new: bool) -> None:
        """A candidate that is ``new`` here, or has changed; the lot is drawn again."""
        if new:
            self.places[candidate] = len(self.candidates)
            self.candidates.append(candidate)
        self._draw = None

    def drop(self, candidate: Candidate) -> None:
        """A candidate has left; the last one takes its place."""
        place = self.places.pop(candidate)
        last = self.candidates.pop()
        if last is not candidate:
            self.candidates[place] = last
            self.places[last] = place

    def pick(self) -> Candidate:
        """One of the candidates."""
        return self._rng.choice(self.candidates)


def best(root: Node) -> Candidate | None:
    """The candidate that the whole tree likes best."""
    entry = root.top()
    if entry is None:
        return None
    while isinstance(entry[-1], Branch | Leaf):
        # What a branch shows: (score, entry of the child, child).
        entry = entry[1]
        assert entry is not None  # noqa: S101 -- nothing empty is shown
    last = entry[-1]
    return last.pick() if isinstance(last, RandomLeaf) else last
