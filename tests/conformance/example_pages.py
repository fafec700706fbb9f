"""The example pages of the installed ``awscli`` package, read as data.

A page is text with indented blocks: a command, the files that it reads, and what it printed.
Nothing of the pages is kept here; they are read from the package when the tests run.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import awscli

EXAMPLES = Path(awscli.__file__).parent / "examples"
_FILE_NAME = re.compile(r"``([\w.-]+)``|\b([\w-]+\.json)\b")
_OPEN_OPTION = re.compile(r"\s*\\?\s*\n\s*")


@dataclass
class Example:
    """One command of a page with everything that the page says of it."""

    page: str
    number: int
    #: The words after ``aws``.
    words: list[str]
    #: What the page prints as output, ``None`` when it prints none.
    output: Any = None
    #: Whether the page's output is no JSON even with a benevolent eye.
    unreadable: bool = False
    #: Contents of files by the name that the command gives.
    files: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.page}#{self.number}"

    @property
    def operation(self) -> str:
        """``describe-tasks``; waiters are ``wait tasks-running``."""
        return " ".join(self.words[1:3]) if self.words[1] == "wait" else self.words[1]

    def option(self, name: str) -> list[str]:
        """The values of an option, none when it is not there."""
        for place, word in enumerate(self.words):
            if word == f"--{name}":
                rest = self.words[place + 1 :]
                end = next((i for i, other in enumerate(rest) if other.startswith("--")), len(rest))
                return rest[:end]
        return []


def examples(service: str) -> list[Example]:
    """Every command of every example page of a service, in the pages' order."""
    folder = EXAMPLES / service
    found: list[Example] = []
    for path in sorted(folder.rglob("*.rst")):
        page = f"{service}/{path.relative_to(folder).with_suffix('')}"
        found += _read(page, path.read_text())
    return found


def pages(service: str) -> list[str]:
    """The names of the pages of a service."""
    return [str(path.relative_to(EXAMPLES)) for path in sorted((EXAMPLES / service).rglob("*.rst"))]


def _read(page: str, text: str) -> list[Example]:
    found: list[Example] = []
    for heading, block in _blocks(text):
        if re.match(r"(\$ )?aws ", block):
            command = _OPEN_OPTION.sub(" ", block).removeprefix("$ ")
            found.append(Example(page, len(found) + 1, shlex.split(command)[1:]))
        elif not found:
            continue
        elif "Contents of" in heading or "from a file named" in heading:
            name = next(("".join(names) for names in _FILE_NAME.findall(heading)), "nameless")
            for example in found:
                if any(word.startswith("file://") and word.endswith(f"/{name}") for word in example.words):
                    example.files[name] = block
        elif block[0] in '{["' and found[-1].output is None:
            try:
                found[-1].output = _json(block)
            except ValueError:
                found[-1].unreadable = True
    for earlier, example in pairwise(found):
        # A page that shows one file lets a further command read another one like it.
        if "file://" in " ".join(example.words) and not example.files:
            example.files = earlier.files
    return found


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Indented blocks, each with the last line of text above it."""
    heading, block = "", list[str]()
    for line in [*text.splitlines(), "end"]:
        if line.strip() and not line[0].isspace():
            if block:
                yield heading, "\n".join(block).strip()
                block = []
            heading = line
        elif line.strip() or block:
            block.append(line)


def _json(text: str) -> Any:
    """JSON as the pages have it: with a comma too many or too few, a bracket left over or left out."""
    if text.startswith('"'):
        text = f"{{{text}}}"
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    text = re.sub(r'([}\]"0-9el])(\s*\n\s*")', r"\1,\2", text)
    return json.JSONDecoder().raw_decode(text)[0]
