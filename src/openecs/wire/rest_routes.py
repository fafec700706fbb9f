"""Which REST operation a method and a path are for.  Paths are as on the wire, still percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from openecs.wire.operation import Operation, ServiceModel

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")


class RestMatch(NamedTuple):
    """An operation and the labels of its path, decoded."""

    model: ServiceModel
    operation: Operation
    labels: dict[str, str]


class _Template(NamedTuple):
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    model: ServiceModel
    operation: Operation


class RestRoutes:
    """All operations of services with a REST protocol, served or not."""

    def __init__(self) -> None:
        self._by_method: dict[str, list[_Template]] = {}

    def add(self, model: ServiceModel) -> None:
        """Know the operations of a service."""
        for operation in model.operations.values():
            path = operation.uri.partition("?")[0]
            templates = self._by_method.setdefault(operation.method, [])
            templates.append(_Template(_compiled(path), _labels(path), model, operation))
            # Of two that match, the one with fewer labels says more.
            templates.sort(key=lambda template: len(template.labels))

    def find(self, method: str, path: str, signing_name: str | None) -> RestMatch | None:
        """The operation; between services the scope of the signature decides."""
        matches = list(self._matches(method, path))
        return next((match for match in matches if match.model.signing_name == signing_name), None) or next(
            iter(matches), None
        )

    def _matches(self, method: str, path: str) -> Iterable[RestMatch]:
        for template in self._by_method.get(method, ()):
            found = template.pattern.fullmatch(path)
            if found is not None:
                values = map(unquote, found.groups())
                yield RestMatch(template.model, template.operation, dict(zip(template.labels, values, strict=True)))


def _compiled(path: str) -> re.Pattern[str]:
    """``{Name}`` stands for one segment, ``{Name+}`` for one or more."""
    parts = _LABEL.split(path)
    pattern = re.escape(parts[0])
    for greedy, literal in zip(parts[2::3], parts[3::3], strict=True):
        pattern += ("(.+)" if greedy else "([^/]+)") + re.escape(literal)
    return re.compile(pattern + "/?")


def _labels(path: str) -> tuple[str, ...]:
    return tuple(_LABEL.split(path)[1::3])
